# SPDX-License-Identifier: Apache-2.0
"""Rows are read and written as CSV, with tabs, and as JSON."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matrix.covering import models, nested_space
from windtunnel.errors import LabFileError
from windtunnel.matrix.cells import ABSENT, ANY
from windtunnel.matrix.covermodel import Parameter, Value
from windtunnel.matrix.rowtext import (
    read_rows,
    row_texts,
    rows_to_csv,
    rows_to_json,
    whole_cells,
    whole_rows,
)

PARAMETERS = (
    Parameter("os", (Value("linux", aliases=("gnu", "tux")), Value('win, "11"'))),
    Parameter("cpus", (Value("0", negative=True), Value("1"), Value("64"))),
)


def test_names_of_a_value_take_turns_and_negative_ones_are_marked():
    assert row_texts(PARAMETERS, [(0, 0), (0, 1), (0, 2), (0, 1), (1, ABSENT)]) == [
        ["linux", "~0"], ["gnu", "1"], ["tux", "64"], ["linux", "1"], ['win, "11"', ""],
    ]  # fmt: skip


@settings(max_examples=50, deadline=None)
@given(models(), st.data())
def test_what_is_written_is_read_again(model, data):
    levels = [range(len(parameter.values)) for parameter in model.parameters]
    rows = data.draw(st.lists(st.tuples(*map(st.sampled_from, levels)), max_size=5))
    parameters = model.parameters
    text = rows_to_csv(parameters, rows)
    assert read_rows(text, file="r", parameters=parameters) == rows
    assert read_rows(text.replace(",", "\t"), file="r", parameters=parameters) == rows
    document = json.dumps(rows_to_json(parameters, rows))
    assert read_rows(document, file="r", parameters=parameters) == rows


def test_quotes_and_empty_cells_and_missing_columns_are_read():
    text = 'cpus,os\n"64","win, ""11"""\n\n,gnu\n~0\n'
    assert read_rows(text, file="r", parameters=PARAMETERS) == [(1, 2), (0, ANY), (ANY, 0)]
    assert read_rows('[{"cpus": 64}]', file="r", parameters=PARAMETERS) == [(ANY, 2)]


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        ("", "r.csv", "there are no rows"),
        ("os,cups\n", "r.csv:1:4", "there is no parameter 'cups'"),
        ("os,os\n", "r.csv:1:4", "parameter 'os' is there twice"),
        ("os,cpus\nlinux, 2\n", "r.csv:2:8", "parameter 'cpus' has no value '2'"),
        ('os,cpus\n"linux",2\n', "r.csv:2", "parameter 'cpus' has no value '2'"),
        ("os\tcpus\nlinux\t64\ntux\t65\n", "r.csv:3:5", "parameter 'cpus' has no value '65'"),
        ("os\nlinux,1\n", "r.csv:2:7", "the row has 2 values, but there are 1 names"),
        ("os\n" + "x" * 140_000, "r.csv:2", "this is no CSV"),
        ("[{]", "r.csv:1:3", "this is no JSON"),
        ("[1]", "r.csv, row 1", "a row is an object of names and values, not 1"),
        ('[{"os": "mac"}]', "r.csv, row 1", "parameter 'os' has no value 'mac'"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text, where, message):
    with pytest.raises(LabFileError) as caught:
        read_rows(text, file="r.csv", parameters=PARAMETERS)
    assert str(caught.value.where) == where
    assert caught.value.message.startswith(message)
    assert caught.value.hint


def test_only_whole_rows_can_be_checked():
    assert whole_rows([(0, 1)], file="r.csv", parameters=PARAMETERS) == [(0, 1)]
    with pytest.raises(LabFileError, match="row 2 has no value of 'cpus'"):
        whole_rows([(0, 1), (0, ANY)], file="r.csv", parameters=PARAMETERS)


def test_an_axis_inside_another_value_needs_no_cell():
    space = nested_space(lambda cell: cell[4] == 0)
    rows = [(1, ANY, 0, ANY, 0), (0, 1, 0, ANY, 0), (1, ANY, 0, ANY, 2)]
    assert whole_cells(rows, file="r.csv", space=space) == [
        (1, ABSENT, 0, ABSENT, 0),
        (0, 1, 0, ABSENT, 0),
        (1, ABSENT, 0, ABSENT, 2),  # no cell: the check will say so
    ]
    with pytest.raises(LabFileError, match="row 1 has no value of 'distro'"):
        whole_cells([(0, ANY, 0, ANY, 0)], file="r.csv", space=space)
