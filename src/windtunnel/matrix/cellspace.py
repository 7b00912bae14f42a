# SPDX-License-Identifier: Apache-2.0
"""A Cartesian configuration as axes and cells, for whoever picks some of them."""

from __future__ import annotations

from collections.abc import Iterator

from windtunnel.errors import MatrixFileError
from windtunnel.matrix.cells import ABSENT, ANY, Axis, Cell
from windtunnel.matrix.plan import Edge, Plan, Stop
from windtunnel.matrix.states import State, States

# So many answers are kept.
_ANSWERS_MAX = 200_000


class Cells:
    """The cells of a matrix; see `windtunnel.matrix.cells.CellSpace`.

    Axes come in the order of names: the last variants block first, and after each
    axis those that lie inside its values.

    Raises:
        MatrixFileError: the matrix has a join, so its variants are no choices.
    """

    def __init__(self, plan: Plan, states: States) -> None:
        join = next((stop for stop in plan.stops if stop.joins), None)
        if join is not None:
            raise MatrixFileError(
                "a matrix with a 'join' has no cells: a variant is several choices at once",
                hint="leave out the join, or list the variants instead",
            )
        self._states = states
        self._plan = plan
        stops = [stop for stop in reversed(plan.stops) if stop.source is not None]
        self._at = {stop.number: at for at, stop in enumerate(stops)}
        self.axes: tuple[Axis, ...] = _axes(stops, self._at)
        self._answers: dict[tuple[State, Cell], Cell | None] = {}

    def cells(self) -> Iterator[Cell]:
        """Every cell, in the order of the matrix, one at a time."""
        start = self._states.start
        if start is not None:
            yield from self._walk(start, [ABSENT] * len(self.axes))

    def _walk(self, state: State, cell: list[int]) -> Iterator[Cell]:
        if not state.stop.number:
            yield tuple(cell)
            return
        at = self._at[state.stop.number]
        numbers = {edge: number for number, edge in enumerate(state.stop.edges)}
        for edge, next_, count in self._states.counts(state):
            if count:
                cell[at] = numbers[edge]
                yield from self._walk(next_, cell)
        cell[at] = ABSENT

    def __contains__(self, cell: Cell) -> bool:
        """Whether the filters leave this cell; it must be whole and well-formed."""
        return ANY not in cell and self.complete(cell) == cell

    def allows(self, partial: Cell) -> bool:
        """Whether a cell is left that agrees with `partial`, in which `ANY` is free."""
        return self.complete(partial) is not None

    def complete(self, partial: Cell) -> Cell | None:
        """The first cell, in the order of the matrix, that agrees; None: there is none."""
        start = self._states.start
        if start is None or len(partial) != len(self.axes):
            return None
        return self._complete(start, partial, 0)

    def _complete(self, state: State, wanted: Cell, axis: int) -> Cell | None:
        """Complete the axes from this one on; `wanted` has no more than those."""
        stop = state.stop
        end = self._at[stop.number] if stop.number else len(self.axes)
        absent = wanted[: end - axis]
        if any(value not in (ANY, ABSENT) for value in absent):
            return None
        head = (ABSENT,) * (end - axis)
        if not stop.number:
            return head
        wanted = wanted[end - axis :]
        key = (state, wanted)
        if key in self._answers:
            tail = self._answers[key]
        else:
            tail = self._choose(state, wanted, end)
            if len(self._answers) >= _ANSWERS_MAX:
                self._answers.clear()
            self._answers[key] = tail
        return None if tail is None else head + tail

    def _choose(self, state: State, wanted: Cell, axis: int) -> Cell | None:
        value, rest = wanted[0], wanted[1:]
        edges = state.stop.edges
        for edge, next_, count in self._states.counts(state):
            if count and (value == ANY or (value >= 0 and _is(edges, value, edge))):
                tail = self._complete(next_, rest, axis + 1)
                if tail is not None:
                    return (edges.index(edge), *tail)
        return None


def _is(edges: tuple[Edge, ...], value: int, edge: Edge) -> bool:
    return value < len(edges) and edges[value] is edge


def _axes(stops: list[Stop], at: dict[int, int]) -> tuple[Axis, ...]:
    """The axes of stops in the order of the walk."""
    inside = _parents(stops, at)
    axes = []
    used: set[str] = set()
    for number, stop in enumerate(stops):
        source = stop.source
        assert source is not None, "it is a choice"
        name = source.name or f"variants:{source.where.line}"
        if name in used:
            name = f"{name}:{source.where.line}"
        count = 2
        unique = name
        while unique in used:
            unique = f"{name}#{count}"
            count += 1
        used.add(unique)
        values = tuple(edge.variant.text for edge in stop.edges if edge.variant)
        axes.append(Axis(unique, values, inside.get(number)))
    return tuple(axes)


def _parents(stops: list[Stop], at: dict[int, int]) -> dict[int, tuple[int, int]]:
    """For each axis inside a value: which axis and which value."""
    by_block = {id(stop.source): at[stop.number] for stop in stops}
    found: dict[int, tuple[int, int]] = {}
    for stop in stops:
        for number, edge in enumerate(stop.edges):
            for one in edge.variant.body if edge.variant else ():
                if id(one) in by_block:
                    found[by_block[id(one)]] = (at[stop.number], number)
    return found
