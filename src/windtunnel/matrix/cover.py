# SPDX-License-Identifier: Apache-2.0
"""Few rows that hold every t-tuple of values that can stand together.

Rows without negative values come first. Then, for each negative value, rows
that hold it together with every (t - 1)-tuple of the others: such a row proves
nothing about tuples without its negative value, since the failure may mask them.
Each of these searches grows rows several times, takes the fewest, and shrinks
them. What is done is bounded by counted work, not by time, so the same call
gives the same rows on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import comb

from windtunnel.errors import LabFileError, UsageError
from windtunnel.matrix.cells import ANY, Cell, CellSpace
from windtunnel.matrix.covermodel import Constraint, Group, Model, check_strength
from windtunnel.matrix.covertask import Layer, Task
from windtunnel.matrix.draw import Draw
from windtunnel.matrix.grow import Rows, grow
from windtunnel.matrix.shrink import shrink
from windtunnel.matrix.solver import Solver

TUPLES_MAX = 50_000_000
"""More tuples would take gigabytes of memory, and hours."""

GROWTHS_MAX = 8
"""So often rows are grown; more seldom find fewer."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How much to do, in counted units, so that the result is the same everywhere.

    Attributes:
        growing: tuples of rows that are looked at; bounds how often rows are grown.
        shrinking: about a microsecond each; 0 leaves the rows as they were grown.
        steps: tries to save one more row before it is given up.
    """

    growing: int = 4_000_000
    shrinking: int = 300_000
    steps: int = 3_000


DEFAULT_EFFORT = Effort()
"""Within a second for the usual benchmarks of pairs."""


def cover_model(
    model: Model,
    strength: int,
    *,
    required: Sequence[Cell] = (),
    seed: int = 0,
    effort: Effort = DEFAULT_EFFORT,
) -> list[Cell]:
    """Make rows that cover a model.

    Args:
        model: what is to be covered.
        strength: how many values at once, 1 to 6; more than the model has
            parameters means all of them.
        required: rows that must be there, `ANY` where the choice is free; they
            come first, in this order.
        seed: another one gives other rows, and sometimes fewer.
        effort: how much to do.

    Returns:
        Whole rows: for each parameter the number of its value.

    Raises:
        LabFileError: no row satisfies the constraints, or a required row does not.
        UsageError: the strength is none, or there is too much to cover.
    """
    check_strength(strength)
    model.check()
    layers = _layers(model, strength)
    positive = model.positives()
    phases: list[tuple[int, int] | None] = [None, *model.negatives()]
    by_phase = _required_by_phase(model, required)
    chosen: list[Cell | None] = [None] * len(required)
    rest: list[Cell] = []
    for phase in phases:
        name = "positive" if phase is None else f"negative {phase[0]} {phase[1]}"
        values = list(positive)
        if phase is not None:
            values[phase[0]] = (phase[1],)
        task = _phase_task(model, values, layers, phase, [row for _, row in by_phase[phase]])
        rows = _solve(task, Draw(seed, "cover", name), effort, at_least_one=phase is not None)
        whole = [tuple(values[column][level] for column, level in enumerate(row)) for row in rows]
        for (number, _), row in zip(by_phase[phase], whole, strict=False):
            chosen[number] = row
        rest += whole[len(by_phase[phase]) :]
    rows_first = [row for row in chosen if row is not None]
    if not rows_first and not rest:
        raise _contradiction(model)
    return rows_first + rest


def cover_space(
    space: CellSpace,
    strength: int,
    *,
    groups: Sequence[Group] = (),
    required: Sequence[Cell] = (),
    seed: int = 0,
    effort: Effort = DEFAULT_EFFORT,
) -> list[Cell]:
    """Choose cells of a matrix that hold every tuple that its filters leave.

    An axis that lies inside a value counts only together with that value.

    Args:
        space: the matrix; its filters are the constraints.
        strength: as for `cover_model`.
        groups: of axes, by number, that have a strength of their own.
        required: as for `cover_model`; `ABSENT` where an axis is not there.
        seed: as for `cover_model`.
        effort: how much to do.

    Returns:
        Cells of the matrix.

    Raises:
        LabFileError: a required cell is not in the matrix.
        UsageError: as for `cover_model`.
    """
    check_strength(strength)
    levels = tuple(len(axis.values) for axis in space.axes)
    for number, row in enumerate(required, start=1):
        if not space.allows(row):
            raise LabFileError(
                f"required row {number} is no cell that the filters leave",
                hint="`windtunnel matrix explain` tells which filter removed it",
            )
    if not space.allows((ANY,) * len(levels)):
        return []
    task = Task(levels, _groups_and_rest(len(levels), strength, groups), space, tuple(required))
    return [tuple(row) for row in _solve(task, Draw(seed, "cover"), effort, at_least_one=True)]


def _layers(model: Model, strength: int) -> tuple[Layer, ...]:
    return _groups_and_rest(len(model.parameters), strength, model.groups)


# The groups, and everything else with the strength of the whole.
def _groups_and_rest(count: int, strength: int, groups: Sequence[Group]) -> tuple[Layer, ...]:
    inside = tuple(frozenset(group.parameters) for group in groups)
    whole = Layer(tuple(range(count)), min(strength, count), inside)
    return (
        whole,
        *(Layer(tuple(sorted(group.parameters)), group.strength) for group in groups),
    )


# Only what goes together with one column that is fixed.
def _around(layers: tuple[Layer, ...], column: int) -> tuple[Layer, ...]:
    return tuple(
        Layer(
            tuple(other for other in layer.columns if other != column),
            layer.strength - 1,
            tuple(inside - {column} for inside in layer.but_inside if column in inside),
        )
        for layer in layers
        if column in layer.columns and layer.strength > 1
    )


def _phase_task(
    model: Model,
    values: list[tuple[int, ...]],
    layers: tuple[Layer, ...],
    phase: tuple[int, int] | None,
    required: list[Cell],
) -> Task:
    rules = Solver(values, model.constraints) if model.constraints else None
    weights = tuple(
        tuple(model.parameters[column].values[index].weight for index in found)
        for column, found in enumerate(values)
    )
    return Task(
        tuple(len(found) for found in values),
        layers if phase is None else _around(layers, phase[0]),
        rules,
        tuple(
            tuple(
                value if value == ANY else values[column].index(value)
                for column, value in enumerate(row)
            )
            for row in required
        ),
        weights if any(weight != 1 for found in weights for weight in found) else (),
    )


def _solve(task: Task, draw: Draw, effort: Effort, *, at_least_one: bool) -> Rows:
    _check_size(task)
    if not task.allows((ANY,) * len(task.levels)):
        return []
    rows = grow(task, draw)
    once = sum(len(rows) * comb(len(layer.columns), layer.strength) for layer in task.layers)
    for _ in range(min(GROWTHS_MAX, effort.growing // max(once, 1)) - 1):
        rows = min(rows, grow(task, draw), key=len)
    if not rows and at_least_one:
        # Nothing to cover but the value itself.
        nothing = replace(task, required=((ANY,) * len(task.levels),))
        return grow(nothing, draw)
    return shrink(task, rows, draw, work=effort.shrinking, steps=effort.steps)


def _check_size(task: Task) -> None:
    for layer in task.layers:
        sizes = [1] + [0] * layer.strength
        for column in layer.columns:
            for size in range(layer.strength, 0, -1):
                sizes[size] += sizes[size - 1] * task.levels[column]
        if sizes[-1] > TUPLES_MAX:
            raise UsageError(
                f"there are {sizes[-1]} tuples of {layer.strength} values to cover, "
                f"more than {TUPLES_MAX}",
                hint="ask for a smaller strength, and for more in a group: --mixed 'a,b,c@3'",
            )


# Which required rows belong to which phase, checked.
def _required_by_phase(
    model: Model, required: Sequence[Cell]
) -> dict[tuple[int, int] | None, list[tuple[int, Cell]]]:
    positive = model.positives()
    negatives = model.negatives()
    found: dict[tuple[int, int] | None, list[tuple[int, Cell]]] = {None: []}
    found.update({pair: [] for pair in negatives})
    for number, row in enumerate(required):
        own = [pair for pair in negatives if row[pair[0]] == pair[1]]
        if len(own) > 1:
            names = " and ".join(model.label(*pair) for pair in own)
            raise LabFileError(
                f"required row {number + 1} has several negative values: {names}",
                hint="a row may have one; make two rows of it",
            )
        phase = own[0] if own else None
        values = list(positive)
        if phase is not None:
            values[phase[0]] = (phase[1],)
        levels = tuple(
            value if value == ANY else values[column].index(value)
            for column, value in enumerate(row)
        )
        if not Solver(values, model.constraints).allows(levels):
            raise LabFileError(
                f"required row {number + 1} cannot be completed: {_why_not(model, values, levels)}",
                hint="change the row, or the constraints",
            )
        found[phase].append((number, row))
    return found


# The constraints that no row satisfies together, as few as possible.
def _conflict(
    constraints: Sequence[Constraint], values: Sequence[Sequence[int]], row: Cell
) -> list[Constraint]:
    needed = list(constraints)
    for constraint in constraints:
        fewer = [one for one in needed if one is not constraint]
        if not Solver(values, fewer).allows(row):
            needed = fewer
    return needed


def _why_not(model: Model, values: Sequence[Sequence[int]], row: Cell) -> str:
    found = _conflict(model.constraints, values, row)
    texts = " and ".join(f"{one.text} ({one.where})" if one.where else one.text for one in found)
    return f"it breaks {texts}"


def _contradiction(model: Model) -> LabFileError:
    values = model.positives()
    found = _conflict(model.constraints, values, (ANY,) * len(values))
    texts = "; ".join(one.text for one in found)
    return LabFileError(
        f"no row satisfies the constraints; together they leave nothing: {texts}",
        where=found[0].where,
        hint="weaken one of them",
    )
