# SPDX-License-Identifier: Apache-2.0
"""What is right and wrong in a Cartesian configuration, with the place of each mistake."""

from __future__ import annotations

import pytest

from matrix_oracle import no_files
from windtunnel.errors import MatrixFileError, MatrixIncludeError, MatrixWordError
from windtunnel.matrix.grammar import DEPTH_MAX, parse
from windtunnel.matrix.syntax import Assign, Condition, Delete, Join, Only, Suffix, Variants


def read(text, files=None):
    def get(path, file):
        if files and path in files:
            return path, files[path]
        raise FileNotFoundError(2, "No such file", path)

    return parse(text, file="m.cfg", read=get)


@pytest.mark.parametrize(
    ("text", "key", "operator", "value"),
    [
        ("a = 1", "a", "=", "1"),
        ("a=b=c", "a", "=", "b=c"),
        ("a += 1", "a", "+=", "1"),
        ("a<=b", "a", "<=", "b"),
        ("a ~= ~= x", "a", "~=", "~= x"),
        ("a.* ?= 1", "a.*", "?=", "1"),
        ("a ?+= 1", "a", "?+=", "1"),
        ("a ?<= 1", "a", "?<=", "1"),
        ("a = b # c", "a", "=", "b # c"),
        ("a = ' x '", "a", "=", " x "),
        ('a = "', "a", "=", ""),
        ('a = "un', "a", "=", '"un'),
        ("a = echo a:b", "a", "=", "echo a:b"),
        ("a b = 1", "a b", "=", "1"),
        ("only=1", "only", "=", "1"),
        ("variants=4", "variants", "=", "4"),
        ("= 4", "", "=", "4"),
        ("a+b=c", "a+b", "=", "c"),
    ],
)
def test_an_assignment_is_read_as_it_always_was(text, key, operator, value):
    (one,) = read(text)
    assert isinstance(one, Assign)
    assert (one.key, one.operator, one.value) == (key, operator, value)


def test_names_of_variants_cannot_be_assigned():
    assert read("name = x\nshortname = x\ndep = x\n_name_map_file = x") == ()


def test_every_statement_becomes_what_it_is_and_a_suffix_stands_at_the_end():
    found = read(
        "suffix _a # no\ndel k\nonly a\nno b # why\njoin a b\nc: d = 1\n"
        "variants:\n  - x:\n!e:\n  f = 1\n"
    )
    kinds = [type(one) for one in found]
    assert kinds == [Delete, Only, Only, Join, Condition, Variants, Condition, Suffix]
    assert [found[1].negative, found[2].negative] == [False, True]
    assert [found[4].negative, found[6].negative] == [False, True]
    assert [str(found[4].where), found[5].variants[0].text] == ["m.cfg:6:1", "x"]


def test_a_condition_has_the_rest_of_its_line_and_what_is_deeper():
    (one, last) = read("a: b = 1\n  c = 2\nd = 3")
    assert [step.key for step in one.body] == ["b", "c"]
    assert last.key == "d"


def test_the_head_of_variants_may_have_a_name_and_brackets():
    (one,) = read("variants os [default = b] [meta] [x=y z]: # c\n  - @a.1: q, r..s\n  - b:\n")
    assert (one.name, one.meta) == ("os", (("default", "b"), ("meta", ""), ("x", "y z")))
    assert [(v.text, v.default, len(v.needs)) for v in one.variants] == [
        ("a.1", True, 3),
        ("b", True, 0),
    ]


def test_the_first_variant_may_stand_as_deep_as_the_head():
    (one,) = read("variants:\n- a:\n  k = 1\n")
    assert one.variants[0].body[0].key == "k"


def test_tabs_are_eight_columns_and_comments_and_empty_lines_are_nothing():
    assert [one.key for one in read("\ta = 1\n        b = 2\n# x\n// y\n\n")] == ["a", "b"]


def test_an_included_file_stands_where_it_is_named_and_its_suffix_ends_with_it():
    found = read("a = 1\ninclude x.cfg\nb = 2", {"x.cfg": "suffix _i\nc = 3"})
    assert [type(one) for one in found] == [Assign, Assign, Suffix, Assign]
    assert str(found[1].where) == "x.cfg:2:1"


WRONG = [
    ("variants tests$:", MatrixWordError, 1, 15, "'$'"),
    ("variants t [defaul$$t=s]:", MatrixWordError, 1, 19, "'$'"),
    ("variants t [default=s] wrong:", MatrixFileError, 1, 24, "a ':' is missing"),
    ("variants", MatrixFileError, 1, 1, "no statement"),
    ("variants x", MatrixFileError, 1, 11, "a ':' is missing"),
    ("variants: - a:", MatrixFileError, 1, 10, "follows the colon"),
    ("variants t [s = bbb:", MatrixFileError, 1, 12, "a ':' is missing"),
    ("variants t [default]:\n - s:", MatrixFileError, 1, 12, "'default' has no value"),
    ("variants t [default=x]:\n - s:", MatrixFileError, 1, 1, "no variant is called 'x'"),
    ("variants t:\n  wait:", MatrixFileError, 2, 3, "no variant, in variants t (line 1)"),
    ("variants:\n  - a b:", MatrixFileError, 2, 3, "no variant"),
    ("variants:\n  - a:\n    - b:", MatrixFileError, 3, 5, "in variant 'a' (line 2)"),
    ("- a:", MatrixFileError, 1, 1, "no statement"),
    ("aaabbbb.ddd", MatrixFileError, 1, 1, "no statement"),
    ("only", MatrixFileError, 1, 1, "no statement"),
    ("only # x", MatrixFileError, 1, 6, "a filter is missing"),
    ("only xxx...yyy", MatrixFileError, 1, 9, "joins nothing"),
    ("only xxx..,yyy", MatrixFileError, 1, 11, "missing before ','"),
    ("only .a", MatrixFileError, 1, 6, "missing before '.'"),
    ("only a .b", MatrixFileError, 1, 8, "joins nothing"),
    ("only a. b", MatrixFileError, 1, 9, "follow the dots"),
    ("only a,,b", MatrixFileError, 1, 8, "missing before ','"),
    ("only a(b=c)", MatrixFileError, 1, 7, "something between"),
    ("only (a=b", MatrixFileError, 1, 6, "not complete"),
    ("only @a", MatrixFileError, 1, 6, "'@'"),
    ("a b: c = 1", MatrixFileError, 1, 3, "something between"),
    ("a.b:\n  variants t:\n   - s:", MatrixFileError, 2, 3, "in condition 'a.b' (line 1)"),
    ("a: join b c", MatrixFileError, 1, 4, "'join' cannot stand"),
    ("[ ?= x", MatrixFileError, 1, 1, "no regular expression"),
    ("del (", MatrixFileError, 1, 5, "no regular expression"),
    ("suffix a b", MatrixFileError, 1, 8, "cannot be a suffix"),
    ("include nowhere.cfg", MatrixIncludeError, 1, 9, "No such file"),
    ("include x.cfg # c", MatrixIncludeError, 1, 9, "No such file"),
]


@pytest.mark.parametrize(("text", "kind", "line", "column", "says"), WRONG)
def test_what_is_wrong_is_said_with_its_place_and_its_block(text, kind, line, column, says):
    with pytest.raises(kind) as caught:
        parse(text, file="m.cfg", read=no_files)
    assert str(caught.value.where) == f"m.cfg:{line}:{column}"
    assert says in caught.value.message
    assert caught.value.hint


def test_a_circle_of_includes_is_an_error():
    with pytest.raises(MatrixIncludeError, match=r"b\.cfg includes m\.cfg") as caught:
        read("include b.cfg", {"b.cfg": "include m.cfg", "m.cfg": ""})
    assert str(caught.value.where) == "b.cfg:1:9"


def test_a_file_that_is_no_text_is_an_error():
    def get(path, file):
        raise ValueError("not UTF-8")

    with pytest.raises(MatrixIncludeError, match="not UTF-8"):
        parse("include x", file="m.cfg", read=get)


def test_blocks_cannot_be_nested_without_end():
    text = "".join(f"{' ' * depth}a:\n" for depth in range(DEPTH_MAX + 1))
    with pytest.raises(MatrixFileError, match="nested more than"):
        read(text)
