# SPDX-License-Identifier: Apache-2.0
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.conftest import load_text
from windtunnel.errors import LabFileError
from windtunnel.model.yamltree import parse_yaml


def value_of(text):
    return parse_yaml(text, file="x").root.value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("true", True),
        ("~", None),
        ("1:30", "1:30"),
        ("0o17", 15),
        ("017", 17),
        ("0x1F", 31),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("-.inf", float("-inf")),
        ("2030-01-01T00:00:00Z", "2030-01-01T00:00:00Z"),
        ("'1'", "1"),
        ("! 1", "1"),
        ("!!str 1", "1"),
        ("!!float 1", 1.0),
        ("1" * 200, "1" * 200),
        ("{a: , 1: b}", {"a": None, "1": "b"}),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text, value):
    assert value_of(text) == value


def test_merge_keys_fill_in_what_is_not_there():
    text = "x-a: &a {p: 1, q: 2}\nx-b: &b {q: 3, r: 4}\nc: {<<: [*a, *b], p: 0}\n"
    assert value_of(text)["c"] == {"p": 0, "q": 2, "r": 4}


def test_extension_keys_are_ignored_where_the_format_has_keys():
    lab = load_text("name: x\nx-note: {any: thing}\nnodes: {r1: {x-rack: 7}, x-ray: }\n")
    assert [node.name for node in lab.nodes] == ["r1", "x-ray"]


def test_places_are_those_of_keys_and_values():
    document = parse_yaml("a:\n  - b: 1\n    c: [2, 3]\n", file="f")
    assert str(document.where(("a", 0, "c", 1))) == "f:3:12"
    assert str(document.where(("a", 0, "c"), key=True)) == "f:3:5"
    assert str(document.where(("a", 0, "nothing"))) == "f:2:5"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "x: the file is empty"),
        ("a: 1\nb: 2\na: 3", "x:3:1: the key 'a' is here a second time\n  the first is at x:1:1"),
        ("a: [1", "x:2:1: not YAML: while parsing a flow sequence"),
        ("a: 1\n---\nb: 2", "x:2:1: a second document begins here"),
        ("a: *b", "x:1:4: no anchor &b before this alias"),
        ("a: &b [*b]", "x:1:8: *b contains itself"),
        ("? [1]\n: 2", "x:1:3: a key must be plain text"),
        ("a: !!python/object:os.system x", "x:1:4: unknown tag"),
        ("a: !!int x", "x:1:4: 'x' is not a !!int"),
        ("<<: 3", "x:1:1: << needs a mapping, or a list of mappings"),
        ("a: \x00", "x: not YAML: "),
        ("[" * 100 + "]" * 100, "x:1:66: nested more than 64 deep"),
        ("a" * 17_000_000, "x: the file has 17000000 characters, more than 16777216"),
    ],
)
def test_what_is_no_good_yaml_is_an_error_with_its_place(text, message):
    with pytest.raises(LabFileError) as caught:
        parse_yaml(text, file="x")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "line",
    [
        "a{next}: &a{next} [" + ", ".join(["*a{this}"] * 9) + "]",
        "a{next}: &a{next} {{" + ", ".join(f"k{i}: *a{{this}}" for i in range(9)) + "}}",
    ],
)
def test_a_yaml_bomb_is_stopped_early(line):
    bomb = "a0: &a0 [lol]\n" + "".join(line.format(this=i, next=i + 1) + "\n" for i in range(30))
    with pytest.raises(LabFileError, match="aliases blow this file up to more than 250000 values"):
        parse_yaml(bomb, file="x")


@given(st.text())
def test_any_text_is_yaml_or_a_lab_file_error(text):
    try:
        parse_yaml(text, file="x")
    except LabFileError as error:
        assert error.where is not None


words = st.sampled_from(
    "name nodes links r1 run steps at kinds files 10 1% x-a cmd { } [ ] : , - \n".split(" ")
)


@given(st.lists(words, max_size=30).map(" ".join))
def test_any_lab_is_loaded_or_a_lab_file_error(text):
    try:
        assert load_text(text).name != ""
    except LabFileError as error:
        assert error.where is not None


def test_ten_thousand_nodes_are_checked_in_seconds():
    nodes = "".join(
        f"  r{i}: {{kind: frr, groups: [core], vars: {{asn: {i}}},"
        f' addresses: ["1.1.{i // 256}.{i % 256}/32"]}}\n'
        for i in range(10_000)
    )
    links = "".join(f'  - ["r{i}:eth1", "r{i + 1}:eth2"]\n' for i in range(9_999))
    text = (
        "name: large\ngroups: {core: {env: {A: 1}}}\n"
        "kinds: {frr: {extends: router, files: {/etc/x: {template: '{{ node.name }}'}}}}\n"
        f"nodes:\n{nodes}links:\n{links}"
    )
    begin = time.process_time()  # noqa: TID251 - how long it takes is what is tested
    lab = load_text(text)
    seconds = time.process_time() - begin  # noqa: TID251 - as above
    assert lab.nodes[9_999].files[0].content == b"r9999"
    assert seconds < 10
