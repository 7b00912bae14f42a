# SPDX-License-Identifier: Apache-2.0
"""Models of Avocado's combinatorial varianter."""

from __future__ import annotations

import pytest

from windtunnel.errors import LabFileError
from windtunnel.matrix.cit import looks_like_cit, read_cit

COLOURS = """
PARAMETERS
color   [black,  gold, red ]
shape[square, triangle]

# what cannot be
CONSTRAINTS
color != black || square != shape
color != gold
"""


def test_a_model_is_read():
    model = read_cit(COLOURS, file="m.cit")
    assert [(one.name, [value.text for value in one.values]) for one in model.parameters] == [
        ("color", ["black", "gold", "red"]),
        ("shape", ["square", "triangle"]),
    ]
    right = [(a, b) for a in range(3) for b in range(2) if not model.row_fault((a, b))]
    assert right == [(0, 1), (2, 0), (2, 1)]
    assert str(model.constraints[1].where) == "m.cit:9:1"


@pytest.mark.parametrize(
    ("text", "is_cit"),
    [
        (COLOURS, True),
        ("# first\n\n[Parameters]\na[1]", True),
        ("PARAMETERS: 1, 2", False),
        ("", False),
        ("# nothing\n", False),
    ],
)
def test_it_is_known_by_its_first_line(text, is_cit):
    assert looks_like_cit(text) is is_cit


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        ("", "m.cit", "there are no parameters"),
        ("a [1]", "m.cit:1:1", "this belongs to no section: a [1]"),
        ("PARAMETERS\n a: 1", "m.cit:2:2", "this is no parameter: a: 1"),
        ("PARAMETERS\n[1]", "m.cit:2:1", "this is no parameter: [1]"),
        ("PARAMETERS\na[1]\na[1]", "m.cit:3:1", "there are two parameters 'a'"),
        ("PARAMETERS\n a[1, ,2]", "m.cit:2:7", "a value is empty"),
        ("PARAMETERS\na[1,1]", "m.cit:2:1", "parameter 'a' has the value '1' twice"),
        ("PARAMETERS\na[1]\nCONSTRAINTS\na = 1", "m.cit:4:1", "this is no constraint: a = 1"),
        ("PARAMETERS\na[1]\nCONSTRAINTS\na != 1 ||", "m.cit:4:10", "this is no constraint: a != 1"),
        ("PARAMETERS\na[1]\nCONSTRAINTS\na !=", "m.cit:4:1", "this is no constraint: a !="),
        ("PARAMETERS\nab[1]\nCONSTRAINTS\nac != 1", "m.cit:4:1", "neither 'ac' nor '1' is a para"),
        ("PARAMETERS\na[1]\nCONSTRAINTS\na != 2", "m.cit:4:1", "parameter 'a' has no value '2'"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text, where, message):
    with pytest.raises(LabFileError) as caught:
        read_cit(text, file="m.cit")
    assert str(caught.value.where) == where
    assert caught.value.message.startswith(message)
    assert caught.value.hint
