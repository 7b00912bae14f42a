# SPDX-License-Identifier: Apache-2.0
"""Random configurations: the engine against brute force."""

from __future__ import annotations

import random  # noqa: TID251 - one configuration for each seed

import pytest
from hypothesis import HealthCheck, given, settings

from matrix_configs import configurations, write
from matrix_oracle import expand, no_files
from windtunnel.errors import MatrixFileError
from windtunnel.matrix import ANY, Matrix
from windtunnel.matrix.expand import Expansion
from windtunnel.matrix.grammar import parse
from windtunnel.matrix.names import join_names
from windtunnel.matrix.plan import make_plan
from windtunnel.matrix.states import States, first_that_empties

SEEDS = 600


def check(text, defaults, axes):
    plan = make_plan(parse(text, file="<string>", read=no_files), defaults=defaults, expand=axes)
    states = States(plan)
    expansion = Expansion(plan, states, join_names=join_names)
    try:
        wanted = expand(text, defaults, axes)
    except ValueError:
        return  # a limit that is no number; which leaf meets it first is not promised
    try:
        found = list(expansion.all())
    except MatrixFileError as error:
        raise AssertionError(text) from error
    assert found == wanted
    assert states.count(states.start) == len(found)
    assert states.leaves_something(states.start) == bool(found)
    for index in {0, 1, len(found) // 2, len(found) - 1} & set(range(len(found))):
        assert list(expansion.from_index(index)) == found[index:]
    culprit = first_that_empties(plan)
    assert culprit is None or not found


@pytest.mark.parametrize("part", range(4))
def test_random_configurations_expand_as_brute_force_does(part):
    for seed in range(part, SEEDS, 4):
        check(*write(random.Random(seed).randrange))


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(configurations())
def test_configurations_that_hypothesis_finds_expand_as_brute_force_does(configuration):
    check(*configuration)


def check_cells(text, defaults, axes, below):
    """Cells, walks and variants are the same things in the same order."""
    try:
        whole = Matrix.read(text, file="m.cfg", read=no_files, defaults=defaults, expand=axes)
        cells = whole.cells()
    except MatrixFileError:
        return 0
    every = list(cells.cells())
    walks = whole.walks()
    assert len(every) == whole.count()
    assert [walks.of_cell(cell) for cell in every] == list(walks.all())
    for position, cell in enumerate(every):
        walk = walks.of_cell(cell)
        assert walks.at(position) == walk
        assert walks.position(walk) == position
        assert cell in cells
        hidden = tuple(ANY if below(2) else value for value in cell)
        agreeing = [
            one
            for one in every
            if all(value in (ANY, own) for value, own in zip(hidden, one, strict=True))
        ]
        assert cells.complete(hidden) == agreeing[0]
        mixed = tuple(
            own if below(2) else other for own, other in zip(cell, every[-1], strict=True)
        )
        assert (mixed in cells) == (mixed in every)
    return whole.joins


@pytest.mark.parametrize("part", range(2))
def test_random_configurations_have_cells_that_are_their_walks(part):
    joined = 0
    for seed in range(part, SEEDS, 2):
        draw = random.Random(seed)
        text, defaults, axes = write(draw.randrange)
        joined += check_cells(text, defaults, axes, draw.randrange)
    assert joined > 10, "some of them have a join"
