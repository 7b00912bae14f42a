# SPDX-License-Identifier: Apache-2.0
"""The check counts what brute force counts."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matrix.covering import (
    column_sets,
    forbid,
    models,
    nested_space,
    plain_model,
    tuples_of,
    valid_rows,
)
from windtunnel.errors import LabFileError, UsageError, Where
from windtunnel.matrix import covercheck
from windtunnel.matrix.covercheck import check_model, check_space
from windtunnel.matrix.covermodel import Constraint, Group, Model, Parameter, Value


@settings(deadline=None, max_examples=100)
@given(models(), st.integers(1, 5), st.data())
def test_it_counts_as_brute_force_does(model, strength, data):
    levels = [range(len(parameter.values)) for parameter in model.parameters]
    rows = data.draw(st.lists(st.tuples(*map(st.sampled_from, levels)), max_size=8))
    every = valid_rows(model)
    right = [row for row in rows if row in every]
    wanted = tuples_of(model, every, strength)
    covered = tuples_of(model, right, strength)
    coverage = check_model(model, rows, strength)
    assert {index for index, _ in coverage.invalid} == {
        index for index, row in enumerate(rows) if row not in every
    }
    assert coverage.covered == len(covered)
    assert set(coverage.missing) == wanted - covered
    assert coverage.missing_count == len(wanted - covered)
    assert coverage.complete == (wanted == covered and right == rows)
    negatives = set(model.negatives())
    tuples = {
        pairs
        for columns in column_sets(len(levels), strength, model.groups)
        for values in product(*(levels[column] for column in columns))
        if len(negatives & set(pairs := tuple(zip(columns, values, strict=True)))) <= 1
    }
    assert coverage.impossible == len(tuples) - len(wanted)


def test_it_says_why_a_row_may_not_be():
    values = (Value("x", negative=True), Value("y"))
    where = Where("model.txt", 4, 1)
    model = Model(
        (Parameter("a", values), Parameter("b", values)),
        (
            Constraint((1, 0), lambda pair: pair != (1, 1), "not [a]", where),
            Constraint((0,), lambda _: True),
        ),
    )
    assert check_model(model, [(0, 0), (1, 1), (1, 0)], 1).invalid == [
        (0, "it has several negative values: a=~x, b=~x"),
        (1, "it breaks the constraint not [a] (model.txt:4:1)"),
    ]


def test_of_many_missing_tuples_some_are_listed_and_all_counted(monkeypatch):
    monkeypatch.setattr(covercheck, "LISTED_MAX", 3)
    coverage = check_model(plain_model(3, 3), [], 2)
    assert (len(coverage.missing), coverage.missing_count) == (3, 9)


def test_constraints_that_are_too_hard_are_an_error(monkeypatch):
    monkeypatch.setattr(covercheck, "SEARCH_STEPS_MAX", 3)
    model = plain_model(3, 3, constraints=[forbid((0, 1), *product(range(3), range(3)))])
    with pytest.raises(LabFileError, match="too hard to check: 3 steps"):
        check_model(model, [], 1)


def test_the_strength_is_checked():
    with pytest.raises(UsageError, match="the strength is 9"):
        check_model(plain_model(2), [], 9)


def test_cells_of_a_matrix_are_counted():
    space = nested_space(lambda cell: cell[4] != 2 or cell[0] == 0)
    every = list(space.cells())
    coverage = check_space(space, every, 2)
    assert coverage.complete
    assert coverage.covered == len(space.tuples(every, 2))
    # cpus 64 only with linux; distro needs linux, so it meets nothing else of os
    assert coverage.impossible > 0
    wrong = (1, -1, 0, -1, 2)
    worse = check_space(space, [*every[:3], wrong], 2, [Group((0, 4), 1)])
    assert worse.invalid == [(3, "the filters do not leave it")]
    assert not worse.complete
