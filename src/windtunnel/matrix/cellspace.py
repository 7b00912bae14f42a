# SPDX-License-Identifier: Apache-2.0
"""A Cartesian configuration as axes and cells, for whoever picks some of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from windtunnel.matrix.cells import ABSENT, ANY, Axis, Cell
from windtunnel.matrix.columns import Columns
from windtunnel.matrix.plan import Edge, Plan
from windtunnel.matrix.states import State, States

# So many answers are kept.
_ANSWERS_MAX = 200_000


class Cells:
    """The cells of a matrix; see `windtunnel.matrix.cells.CellSpace`.

    Axes come in the order of names: the last variants block first, and after each
    axis those that lie inside its values. Behind a join each of its parts has all
    axes for itself: "one/os" and "two/os".

    Raises:
        MatrixFileError: a join stands inside a variant, so only some cells have its parts.
    """

    def __init__(self, plan: Plan, states: States) -> None:
        self._states = states
        self._plan = plan
        self._columns = Columns(plan)
        self._at = self._columns.at
        self.axes: tuple[Axis, ...] = self._columns.axes()
        self._answers: dict[tuple[State, Cell], Cell | None] = {}

    def cells(self) -> Iterator[Cell]:
        """Every cell, in the order of the matrix, one at a time."""
        start = self._states.start
        if start is not None and self._states.count(start):
            cell = [ABSENT] * len(self.axes)
            for _ in self._fill(start, cell, 0):
                yield tuple(cell)

    def _fill(self, state: State, cell: list[int], base: int) -> Iterator[None]:
        """Write every choice of a part, whose axes begin at `base`, into a cell."""
        stop = state.stop
        at = base + self._at[stop.number]
        if stop.joins:
            size = self._columns.part_size[stop.number]
            yield from self._fill_parts(self._states.parts(state), cell, at, size)
            return
        if not stop.number:
            yield
            return
        numbers = {edge: number for number, edge in enumerate(stop.edges)}
        for edge, next_, count in self._states.counts(state):
            if count:
                cell[at] = numbers[edge]
                yield from self._fill(next_, cell, base)
        cell[at] = ABSENT

    def _fill_parts(
        self, parts: Sequence[State | None], cell: list[int], base: int, size: int
    ) -> Iterator[None]:
        if not parts:
            yield
        elif parts[0] is not None:
            for _ in self._fill(parts[0], cell, base):
                yield from self._fill_parts(parts[1:], cell, base + size, size)

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
        """Complete the axes of a part from this one on; `wanted` has no more than those."""
        stop = state.stop
        end = self._at[stop.number]
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
            choose = self._choose_parts if stop.joins else self._choose
            tail = choose(state, wanted)
            if len(self._answers) >= _ANSWERS_MAX:
                self._answers.clear()
            self._answers[key] = tail
        return None if tail is None else head + tail

    def _choose_parts(self, state: State, wanted: Cell) -> Cell | None:
        """Each part for itself: what one chooses is nothing to the others."""
        size = self._columns.part_size[state.stop.number]
        tail: Cell = ()
        for number, part in enumerate(self._states.parts(state)):
            own = wanted[number * size : (number + 1) * size]
            found = None if part is None else self._complete(part, own, 0)
            if found is None:
                return None
            tail += found
        return tail

    def _choose(self, state: State, wanted: Cell) -> Cell | None:
        value, rest = wanted[0], wanted[1:]
        axis = self._at[state.stop.number]
        edges = state.stop.edges
        for edge, next_, count in self._states.counts(state):
            if count and (value == ANY or (value >= 0 and _is(edges, value, edge))):
                tail = self._complete(next_, rest, axis + 1)
                if tail is not None:
                    return (edges.index(edge), *tail)
        return None


def _is(edges: tuple[Edge, ...], value: int, edge: Edge) -> bool:
    return value < len(edges) and edges[value] is edge
