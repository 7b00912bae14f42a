# SPDX-License-Identifier: Apache-2.0
"""PICT's models mean what its manual says, and errors name their place."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windtunnel.errors import LabFileError
from windtunnel.matrix.cover import cover_model
from windtunnel.matrix.covermodel import Value
from windtunnel.matrix.pict import read_pict

VOLUME = """\
# creating volumes
Type:          Single, Span, Stripe, Mirror, RAID-5
Size:          10, 100, 500, 1000, 5000, 10000, 40000

File system:   FAT, FAT32, NTFS (10)
Cluster: ~0, 512, 1024 | 1 KiB
Cluster 2: <cluster>, 2048

{ Type, Cluster } @ 1
{ Size, File system }

IF [File system] = "FAT" THEN [Size] <= 4096;
# a comment within
if [file system] = "fat32"
then [SIZE] <= 32000
else [Cluster] <> [Cluster 2];
"""


def model_of(constraint, parameters="A: 1, 2, 3\nB: x, y, Zed\nC: 3, 2, 1"):
    return read_pict(f"{parameters}\n{constraint}\n", file="m.txt").model


def allowed(constraint, **options):
    """The rows that a constraint leaves, as "1 x 3"."""
    model = model_of(constraint, **options)
    return {
        " ".join(model.parameters[n].values[v].text for n, v in enumerate(row))
        for row in product(*(range(len(one.values)) for one in model.parameters))
        if not model.row_fault(row)
    }


ALL = {f"{a} {b} {c}" for a in "123" for b in ("x", "y", "Zed") for c in "321"}


def test_a_model_is_read_whole():
    reading = read_pict(VOLUME, file="v.txt")
    model = reading.model
    assert [one.name for one in model.parameters] == [
        "Type", "Size", "File system", "Cluster", "Cluster 2",
    ]  # fmt: skip
    assert model.parameters[2].values[2] == Value("NTFS", weight=10)
    assert model.parameters[3].values == (
        Value("0", negative=True),
        Value("512"),
        Value("1024", aliases=("1 KiB",)),
    )
    assert model.parameters[4].values == (*model.parameters[3].values, Value("2048"))
    assert [(group.parameters, group.strength) for group in model.groups] == [((0, 3), 1)]
    assert [one.parameters for one in model.constraints] == [(1, 2), (1, 2), (2, 3, 4)]
    assert [str(one.where) for one in model.constraints] == [
        "v.txt:12:1", "v.txt:14:1", "v.txt:14:1",
    ]  # fmt: skip
    assert model.constraints[0].text == 'IF [File system] = "FAT" THEN [Size] <= 4096'
    assert reading.warnings == ()
    assert cover_model(model, 2)


@pytest.mark.parametrize(
    ("constraint", "holds"),
    [
        ("[A] = 2;", lambda a, b, c: a == "2"),
        ("[A] <> 2;", lambda a, b, c: a != "2"),
        ("[A] > 1.5;", lambda a, b, c: a > "1"),
        ("[A] >= 2;", lambda a, b, c: a >= "2"),
        ("[A] < 20e-1;", lambda a, b, c: a < "2"),
        ("[A] <= 2;", lambda a, b, c: a <= "2"),
        ('[B] > "X";', lambda a, b, c: b != "x"),
        ('[B] = "zED";', lambda a, b, c: b == "Zed"),
        ('[B] IN {"x", "y"};', lambda a, b, c: b != "Zed"),
        ('[B] NOT IN {"x", "y"};', lambda a, b, c: b == "Zed"),
        ("[A] in {1};", lambda a, b, c: a == "1"),
        ('[B] LIKE "z*d";', lambda a, b, c: b == "Zed"),
        ('[B] LIKE "?";', lambda a, b, c: b != "Zed"),
        ('[B] not like "?";', lambda a, b, c: b == "Zed"),
        ("[A] = [C];", lambda a, b, c: a == c),
        ("[A] < [C];", lambda a, b, c: a < c),
        ("[A] <> [A];", lambda a, b, c: False),
        ("NOT [A] = 1;", lambda a, b, c: a != "1"),
        ('[A] = 1 OR [A] = 2 AND [B] = "x";', lambda a, b, c: a == "1" or (a, b) == ("2", "x")),
        ('([A] = 1 OR [A] = 2) AND [B] = "x";', lambda a, b, c: a in "12" and b == "x"),
        ("NOT ([A] = 1 AND [C] = 1);", lambda a, b, c: (a, c) != ("1", "1")),
        ("NOT [A] = 1 AND [C] = 1;", lambda a, b, c: a != "1" and c == "1"),
        ('IF [A] = 1 THEN [B] = "x";', lambda a, b, c: a != "1" or b == "x"),
        ("IF [A]=1 THEN [C]=1 ELSE [C]=2;", lambda a, b, c: c == ("1" if a == "1" else "2")),
        ("[A]<>1;[C]<>1\n ;", lambda a, b, c: a != "1" and c != "1"),
        ("IsPositive([A]);", lambda a, b, c: True),
        ("IsNegative([A]);", lambda a, b, c: False),
    ],
)
def test_constraints_mean_what_the_manual_says(constraint, holds):
    assert allowed(constraint) == {row for row in ALL if holds(*row.split())}


def test_case_counts_when_it_is_asked_for():
    text = 'os: linux, Linux\nOS: a, b\n[os] <> "linux";\n[os] LIKE "L*";'
    model = read_pict(text, file="m.txt", case_sensitive=True).model
    assert [model.row_fault((value, 0)) == "" for value in (0, 1)] == [False, True]


def test_the_mark_of_a_negative_value_is_no_part_of_it():
    assert allowed("[A] = -1;", parameters="A: ~-1, 0\nB: 0") == {"-1 0"}
    assert allowed("NOT ISNEGATIVE([A]);", parameters="A: ~-1, 0\nB: 0") == {"0 0"}


def test_a_number_in_brackets_alone_is_a_value():
    assert model_of("", parameters="A: (2), b (2)").parameters[0].values == (
        Value("(2)"),
        Value("b", weight=2),
    )


@pytest.mark.parametrize(
    ("constraint", "warning"),
    [
        ("[A] = 4;", "m.txt:2:7: 'A' has no value '4'; the values are 1, 2, 10"),
        ('[B] IN {"fat", "NTSF"};', "m.txt:2:16: 'B' has no value 'NTSF'; did you mean 'NTFS'?"),
        ('[B] LIKE "q*";', "m.txt:2:10: no value of 'B' is like 'q*'; the values are FAT, NTFS"),
    ],
)
def test_a_value_that_is_not_there_is_warned_of(constraint, warning):
    text = f"A: 1, 2, 10\n{constraint}"
    if "[B]" in constraint:
        text = f"B: FAT, NTFS\n{constraint}"
    assert read_pict(text, file="m.txt").warnings == (warning,)


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        ("", "m.txt", "there are no parameters"),
        ("# only this\n", "m.txt", "there are no parameters"),
        ("A 1, 2", "m.txt:1:1", "this is no parameter, no sub-model and no constraint: A 1, 2"),
        (" : 1", "m.txt:1:2", "a parameter without a name"),
        ("A: 1\na: 2", "m.txt:2:1", "there are two parameters 'a'"),
        ("A: 1, , 2", "m.txt:1:7", "a value is empty"),
        ("A:", "m.txt:1:3", "a value is empty"),
        ("A: 1, 2, 1", "m.txt:1:1", "parameter 'A' has the value '1' twice"),
        ("A: a | b, B", "m.txt:1:1", "parameter 'A' has the value 'B' twice"),
        ("A: a | , b", "m.txt:1:4", "a name of a value is empty"),
        ("A: ~, b", "m.txt:1:4", "a name of a value is empty"),
        ("A: a (0)", "m.txt:1:4", "a weight is 0"),
        ("A: 1\nB: <C>", "m.txt:2:4", "there is no parameter 'C' whose values could be used"),
        ("A: 1\n{ A @ 2", "m.txt:2:1", "this is no sub-model: { A @ 2"),
        ("A: 1\n{ A } @ x", "m.txt:2:1", "this is no sub-model: { A } @ x"),
        ("Ab: 1\n { Ac } @ 1", "m.txt:2:4", "there is no parameter 'Ac'"),
        ("A: 1\n{ A, a } @ 1", "m.txt:2:6", "parameter 'a' is twice in a sub-model"),
        ("A: 1\n{ A } @ 1\nB: 2", "m.txt:3:1", "parameter 'B' comes after a sub-model"),
        ("A: 1\n[B] = 1;", "m.txt:2:1", "there is no parameter 'B'"),
        ("A: 1\n[A] = 1", "m.txt:2:8", "; is expected, not the end of the file"),
        ("A: 1\n[A] ! 1;", "m.txt:2:5", "this is not understood: ! 1;"),
        ('A: 1\n[A] = "1";', "m.txt:2:7", 'a number is expected, not "1"'),
        ("A: x\n[A] = 1;", "m.txt:2:7", "text in quotes is expected, not 1"),
        ("A: x\n[A] LIKE x;", "m.txt:2:10", "a pattern in quotes is expected, not x"),
        ("A: x\n[A] NOT = 1;", "m.txt:2:9", "a relation is expected (=, <>, <, <="),
        ("A: x\nB: 1\n[A] = [B];", "m.txt:3:7", "'A' and 'B' cannot be compared"),
        ("A: x\nIF [A] = [A] [A] = [A];", "m.txt:2:14", "THEN is expected, not [A]"),
        ("A: x\nIF THEN;", "m.txt:2:4", "a parameter in brackets is expected, not THEN"),
        ("A: x\n([A] = [A];", "m.txt:2:11", ") is expected, not ;"),
        ("A: 1\nNOT [A] IN 1;", "m.txt:2:12", "{ is expected, not 1"),
        ("A: 1\n" + "(" * 101, "m.txt:2:101", "more than 100 parentheses and NOTs"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place(text, where, message):
    with pytest.raises(LabFileError) as caught:
        read_pict(text, file="m.txt")
    assert str(caught.value.where) == where
    assert caught.value.message.startswith(message)
    assert caught.value.hint


def test_a_constraint_of_a_thousand_parts_is_no_deeper_than_one_of_two():
    parts = " OR ".join(["[A] = 1"] * 1000)
    assert allowed(f"{parts};", parameters="A: 1, 2\nB: 0") == {"1 0"}


@given(st.text(st.sampled_from('AB:,12~|<>()[]{}"; =\n@IFTHENORNOT#*'), max_size=60))
def test_no_text_does_worse_than_an_error_with_a_place(text):
    try:
        read_pict(text, file="m.txt")
    except LabFileError as error:
        assert error.where is not None
