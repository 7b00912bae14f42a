# SPDX-License-Identifier: Apache-2.0
"""Rows cover every tuple that can be, with no row that may not be, the same each time."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from matrix.covering import (
    NestedSpace,
    forbid,
    models,
    nested_space,
    plain_model,
    tuples_of,
    valid_rows,
)
from repository import REPOSITORY
from windtunnel.errors import LabFileError, UsageError
from windtunnel.matrix import cover, shrink, solver
from windtunnel.matrix.cells import ABSENT, ANY, Axis
from windtunnel.matrix.cover import Effort, cover_model, cover_space
from windtunnel.matrix.covermodel import Group, Model, Parameter, Value

LITTLE = Effort(growing=2_000, shrinking=20_000, steps=100)
"""So that a property can be tried on many models."""

BENCHMARKS = {
    # levels, and the rows of PICT's best of 20 seeds
    "3^4": ([3] * 4, 9),
    "3^13": ([3] * 13, 19),
    "4^15 3^17 2^29": ([4] * 15 + [3] * 17 + [2] * 29, 37),
    "4^1 3^39 2^35": ([4] + [3] * 39 + [2] * 35, 27),
    "2^100": ([2] * 100, 15),
    "10^20": ([10] * 20, 211),
    "TCAS": ([2] * 7 + [3] * 2 + [4] + [10] * 2, 100),
}


@settings(deadline=None, max_examples=100)
@given(models(), st.integers(1, 6), st.integers(0, 3))
def test_rows_cover_exactly_what_can_be(model, strength, seed):
    every = valid_rows(model)
    assume(every)
    rows = cover_model(model, strength, seed=seed, effort=LITTLE)
    assert set(rows) <= set(every)
    assert tuples_of(model, rows, strength) == tuples_of(model, every, strength)
    assert rows == cover_model(model, strength, seed=seed, effort=LITTLE)


@settings(deadline=None, max_examples=100)
@given(models(), st.integers(1, 3), st.data())
def test_required_rows_come_first_and_are_completed(model, strength, data):
    every = valid_rows(model)
    negatives = set(model.negatives())
    plain = [row for row in every if not negatives & set(enumerate(row))]
    assume(plain)
    required = []
    for row in data.draw(st.lists(st.sampled_from(every), max_size=4)):
        kept = data.draw(st.lists(st.booleans(), min_size=len(row), max_size=len(row)))
        # What has a negative value must keep it: without it, it must go without one.
        keep_all = bool(negatives & set(enumerate(row)))
        required.append(
            tuple(v if keep or keep_all else ANY for v, keep in zip(row, kept, strict=True))
        )
    rows = cover_model(model, strength, required=required, effort=LITTLE)
    assert len(rows) >= len(required)
    for wanted, row in zip(required, rows, strict=False):
        assert all(want in (ANY, have) for want, have in zip(wanted, row, strict=True))
    assert set(rows) <= set(every)
    assert tuples_of(model, rows, strength) == tuples_of(model, every, strength)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_pairs_need_no_more_rows_than_picts_best_of_twenty(name):
    levels, most = BENCHMARKS[name]
    model = plain_model(*levels)
    rows = cover_model(model, 2)
    assert len(rows) <= most
    pairs = sum(levels[one] * levels[other] for other in range(len(levels)) for one in range(other))
    assert len(tuples_of(model, rows, 2)) == pairs


@pytest.mark.parametrize(("strength", "most"), [(3, 401), (4, 1370)])
def test_triples_and_quadruples_of_tcas_need_few_rows(strength, most):
    levels, _ = BENCHMARKS["TCAS"]
    rows = cover_model(plain_model(*levels), strength, effort=Effort(shrinking=0))
    shrunk = cover_model(plain_model(*levels), strength) if strength == 3 else rows
    assert len(shrunk) <= min(most, len(rows))


def test_another_hash_seed_gives_the_same_rows():
    code = (
        "from matrix.covering import *; from windtunnel.matrix.cover import cover_model\n"
        "model = plain_model(4, 3, 3, 2, 2, 5, constraints=[forbid((0, 5), (0, 0), (1, 4))], "
        "groups=[Group((1, 2, 3), 3)])\n"
        "print(cover_model(model, 2, seed=7))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={
                "PYTHONHASHSEED": hash_seed,
                "PYTHONPATH": os.pathsep.join(str(REPOSITORY / part) for part in ("src", "tests")),
            },
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2", "3")
    }
    assert len(outputs) == 1


def test_another_seed_gives_other_rows():
    model = plain_model(3, 3, 3, 3)
    assert cover_model(model, 2, seed=1) != cover_model(model, 2, seed=2)


def test_a_group_is_covered_with_its_strength_and_the_rest_with_less():
    model = plain_model(2, 2, 2, 2, 2, groups=[Group((4, 0, 2), 3)])
    rows = cover_model(model, 1)
    assert len({(row[0], row[2], row[4]) for row in rows}) == 8
    assert len(rows) == 8


def test_a_group_of_less_strength_takes_rows_away():
    alone = cover_model(plain_model(5, 5), 2)
    grouped = cover_model(plain_model(5, 5, groups=[Group((0, 1), 1)]), 2)
    assert (len(alone), len(grouped)) == (25, 5)


def test_more_than_all_parameters_at_once_is_all_of_them():
    assert len(cover_model(plain_model(2, 3), 6)) == 6


def test_a_value_that_weighs_more_is_taken_where_nothing_else_counts():
    heavy = Parameter("p", (Value("a"), Value("b", weight=50)))
    light = Parameter("q", tuple(Value(str(number)) for number in range(40)))
    rows = cover_model(Model((light, heavy)), 1)
    assert sum(row[1] for row in rows) > 30


def test_a_negative_value_is_alone_in_its_rows_and_meets_every_other_value():
    def number(name):
        return Parameter(name, (Value("-1", negative=True), Value("0"), Value("1"), Value("2")))

    rows = cover_model(Model((number("a"), number("b"))), 2)
    assert len(rows) == 15
    assert sorted(row for row in rows if 0 in row) == sorted(
        [(0, 1), (0, 2), (0, 3), (1, 0), (2, 0), (3, 0)]
    )


def test_a_single_value_needs_a_row_for_each_negative_one():
    values = (Value("x", negative=True), Value("y", negative=True), Value("z"))
    rows = cover_model(Model((Parameter("a", values), Parameter("b", (Value("1"),)))), 1)
    assert sorted(rows) == [(0, 0), (1, 0), (2, 0)]


def test_constraints_that_tie_columns_together_are_kept_while_rows_are_saved():
    equal = [forbid((n, n + 4), *((a, b) for a in range(3) for b in range(3) if a != b))
             for n in range(4)]  # fmt: skip
    rows = cover_model(plain_model(*[3] * 8, constraints=equal), 2)
    assert all(row[:4] == row[4:] for row in rows)
    assert len(rows) == 9


def test_long_columns_are_searched_only_in_part(monkeypatch):
    monkeypatch.setattr(shrink, "ROWS_MAX", 5)
    model = plain_model(3, 3, 3, 3, 3)
    rows = cover_model(model, 3, effort=Effort(shrinking=100_000, steps=300))
    assert len(tuples_of(model, rows, 3)) == 10 * 27


@pytest.mark.parametrize("strength", [1, 2, 3, 4])
@pytest.mark.parametrize("kept", ["all", "some"])
def test_cells_of_a_matrix_cover_what_its_filters_leave(strength, kept):
    def keep(cell):
        return kept == "all" or (cell[:2] != (0, 1) and (cell[2] != 2 or cell[4] == 0))

    space = nested_space(keep)
    cells = cover_space(space, strength)
    assert set(cells) <= set(space.cells())
    assert space.tuples(cells, strength) == space.tuples(space.cells(), strength)
    assert len(cells) <= len(list(space.cells()))


def test_a_matrix_of_little_choice_is_covered_in_one_cell():
    space = NestedSpace([Axis("a", ("x",)), Axis("b", ("y",), inside=(0, 0))])
    assert cover_space(space, 2) == [(0, 0)]


def test_required_cells_of_a_matrix_come_first():
    space = nested_space()
    required = [(2, ABSENT, 0, ABSENT, ANY), (0, 2, 1, 1, 2)]
    cells = cover_space(space, 2, required=required)
    assert cells[0][:4] == (2, ABSENT, 0, ABSENT)
    assert cells[1] == (0, 2, 1, 1, 2)
    assert space.tuples(cells, 2) == space.tuples(space.cells(), 2)


def test_axes_of_a_matrix_may_be_grouped():
    cells = cover_space(nested_space(), 1, groups=[Group((0, 2, 4), 3)])
    assert len({(cell[0], cell[2], cell[4]) for cell in cells}) == 27


def test_an_empty_matrix_has_no_cells():
    assert cover_space(nested_space(lambda _: False), 2) == []


def test_a_required_cell_that_the_filters_removed_is_an_error():
    with pytest.raises(LabFileError, match="required row 1 is no cell that the filters leave"):
        cover_space(nested_space(), 2, required=[(1, 0, 0, ABSENT, 0)])


@pytest.mark.parametrize("strength", [0, 7, -1])
def test_a_strength_is_one_to_six(strength):
    with pytest.raises(UsageError, match="it may be 1 to 6"):
        cover_model(plain_model(2, 2), strength)


def test_too_much_to_cover_is_said_before_it_is_tried():
    with pytest.raises(UsageError, match=r"there are \d+ tuples of 6 values"):
        cover_model(plain_model(*[10] * 30), 6)


def test_constraints_that_contradict_one_another_are_named():
    model = plain_model(
        2, 2, 2, constraints=[forbid((0,), (0,)), forbid((1,), (1,)), forbid((0, 1), (1, 0))]
    )
    with pytest.raises(LabFileError) as caught:
        cover_model(model, 2)
    assert "no row satisfies the constraints" in caught.value.message
    assert caught.value.message.count("are forbidden") == 3


def test_only_the_constraints_that_contradict_one_another_are_named():
    model = plain_model(
        2, 2, 2, constraints=[forbid((0,), (0,), (1,)), forbid((1,), (1,)), forbid((2,), (1,))]
    )
    with pytest.raises(LabFileError) as caught:
        cover_model(model, 2)
    assert caught.value.message.count("are forbidden") == 1


def test_a_model_that_only_fails_has_only_rows_with_a_negative_value():
    parameter = Parameter("a", (Value("bad", negative=True), Value("good")))
    model = Model((parameter,), (forbid((0,), (1,)),))
    assert cover_model(model, 1) == [(0,)]


def test_a_required_row_that_breaks_a_constraint_names_it():
    model = plain_model(2, 2, constraints=[forbid((0, 1), (0, 0))])
    with pytest.raises(LabFileError, match=r"required row 2 cannot be completed: it breaks .*forb"):
        cover_model(model, 2, required=[(1, 1), (0, 0)])


def test_a_required_row_has_at_most_one_negative_value():
    values = (Value("x", negative=True), Value("y"))
    model = Model((Parameter("a", values), Parameter("b", values)))
    with pytest.raises(LabFileError, match="required row 1 has several negative values: a=~x and"):
        cover_model(model, 2, required=[(0, 0)])


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Model(()), "there are no parameters"),
        (plain_model(10_001), "has 10001 values"),
        (Model((Parameter("a", (Value("x", negative=True),)),)), "no value that is in range"),
        (plain_model(2, 2, groups=[Group((0, 1), 3)]), "a group of 2 parameters cannot have"),
        (plain_model(2, 2, groups=[Group((0, 1), 0)]), "cannot have the strength 0"),
    ],
)
def test_a_model_that_makes_no_sense_is_an_error(model, message):
    with pytest.raises(LabFileError, match=message):
        cover_model(model, 2)


def test_constraints_that_take_too_long_are_an_error(monkeypatch):
    monkeypatch.setattr(solver, "SEARCH_STEPS_MAX", 10)
    # Six pigeons in five holes, each pair of them forbidden to share one.
    apart = [
        forbid((one, other), *((hole, hole) for hole in range(5)))
        for other in range(6)
        for one in range(other)
    ]
    with pytest.raises(LabFileError, match="the constraints are too hard: 10 steps"):
        cover_model(plain_model(*[5] * 6, constraints=apart), 2)


def test_what_is_never_asked_for_is_not_shrunk():
    model = plain_model(3, 3, 3, 3)
    grown = cover_model(model, 2, effort=Effort(shrinking=0))
    assert len(tuples_of(model, grown, 2)) == 54
    assert cover.DEFAULT_EFFORT.shrinking > 0


def test_what_cannot_be_completed_is_told_after_a_search():
    # Three columns of two values, all different: each single step looks possible.
    apart = [forbid(pair, (0, 0), (1, 1)) for pair in ((0, 1), (1, 2), (0, 2))]
    rules = solver.Solver([(0, 1)] * 3, apart)
    assert rules.complete((ANY, ANY, ANY)) is None
    assert not rules.allows((ANY, ANY, ANY))
    assert solver.Solver([(0, 1)] * 3, apart[:2]).complete((ANY, 0, ANY)) == (1, 0, 1)
