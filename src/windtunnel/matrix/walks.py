# SPDX-License-Identifier: Apache-2.0
"""A variant as the choices that lead to it, and its position without a look at the others.

Filters take variants away and change no choice. So a walk that is found in a matrix
is the same one in that matrix with more filters, and its position in either is what
they count before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

from windtunnel.matrix.cells import ABSENT, Cell
from windtunnel.matrix.plan import Edge, Plan, Stop
from windtunnel.matrix.states import State, States

Walk = tuple[int, ...]
"""At each stop on the way the number of the edge that is taken."""


class Walks:
    """The variants of a matrix.

    At a join the walk goes on with that of its first part to the end, then with that
    of the next. Only in a matrix without a join a walk is one path of `edges`, and has
    a name that can be looked for.
    """

    def __init__(self, plan: Plan, states: States) -> None:
        self._plan = plan
        self._states = states
        self._numbers: dict[int, dict[int, int]] = {}
        self._same: dict[tuple[int, tuple[str, ...]], int] = {}

    def all(self) -> Iterator[Walk]:
        """All walks in the order of the matrix, one at a time."""
        if self._states.start is not None:
            yield from self._behind(self._states.start, ())

    def at(self, position: int) -> Walk:
        """The walk at a position, which must be one."""
        state = self._states.start
        assert state is not None, "there is a variant"
        walk: list[int] = []
        self._go(state, position, walk)
        return tuple(walk)

    def _go(self, state: State, position: int, walk: list[int]) -> None:
        """Add to a walk what leads from a state to a position."""
        while state.stop.number:
            if state.stop.joins:
                self._go_parts(state, position, walk)
                return
            for edge, next_, count in self._states.counts(state):
                if position < count:
                    walk.append(self._number(state.stop, edge))
                    state = next_
                    break
                position -= count
            else:
                raise AssertionError("positions are below the count")

    def _go_parts(self, state: State, position: int, walk: list[int]) -> None:
        parts = self._states.parts(state)
        per_one = self._states.count(state)
        for part in parts:
            assert part is not None, "each part leaves something"
            per_one //= self._states.count(part)
            own, position = divmod(position, per_one)
            self._go(part, own, walk)

    def position(self, walk: Walk) -> int | None:
        """How many variants come before; None when filters drop this one."""
        found = self._position(self._states.start, walk, 0)
        return None if found is None else found[0]

    def _position(self, state: State | None, walk: Walk, at: int) -> tuple[int, int] | None:
        """How many variants behind a state come before, and where in the walk its part ends."""
        if state is None:
            return None
        position = 0
        while state.stop.number:
            if state.stop.joins:
                parts = self._position_of_parts(state, walk, at)
                return None if parts is None else (position + parts[0], parts[1])
            wanted = state.stop.edges[walk[at]]
            at += 1
            for edge, next_, count in self._states.counts(state):
                if edge is wanted:
                    if not count:
                        return None
                    state = next_
                    break
                position += count
            else:
                return None
        return position, at

    def _position_of_parts(self, state: State, walk: Walk, at: int) -> tuple[int, int] | None:
        position = 0
        for part in self._states.parts(state):
            found = self._position(part, walk, at)
            if found is None:
                return None
            position = position * self._states.count(part) + found[0]
            at = found[1]
        return position, at

    def edges(self, walk: Walk) -> list[Edge]:
        """The edges of a walk, with the one that leads to the first stop."""
        path = [self._plan.start]
        for choice in walk:
            path.append(path[-1].target.edges[choice])
        return path

    def of_cell(self, cell: Cell) -> Walk:
        """The walk to a cell of `Matrix.cells()`."""
        return tuple(value for value in cell if value != ABSENT)

    def named(self, name: str, most: int) -> list[Walk]:
        """Walks whose labels, without their axes, are a name, whatever the filters say.

        Args:
            name: labels with dots between them.
            most: so many at most.
        """
        labels = tuple(name.split(".")) if name else ()
        found: list[Walk] = []
        self._look(self._plan.start, labels, (), found, most)
        return found

    def same_name(self, walk: Walk) -> int:
        """How many walks have the name of this one, itself included."""
        if not self._may_repeat:
            return 1
        labels = tuple(label.value for edge in self.edges(walk) for label in edge.labels)
        return self._ways(self._plan.start.target, labels)

    @cached_property
    def _may_repeat(self) -> bool:
        """Whether two walks may have one name: never, if each label leads one way."""
        labels = [
            tuple(label.value for label in edge.labels)
            for stop in self._plan.stops
            for edge in stop.edges
        ]
        flat = [label for run in labels for label in run]
        return len(set(flat)) < len(flat)

    def _ways(self, stop: Stop, labels: tuple[str, ...]) -> int:
        """How many walks there are from a stop on that read exactly these labels."""
        if not stop.number:
            return not labels
        key = (stop.number, labels)
        found = self._same.get(key)
        if found is None:
            found = sum(
                self._ways(edge.target, labels[len(edge.labels) :])
                for edge in stop.edges
                if _begins(labels, edge)
            )
            self._same[key] = found
        return found

    def _look(
        self, at: Edge, labels: tuple[str, ...], walk: Walk, found: list[Walk], most: int
    ) -> None:
        stop = at.target
        if not stop.number:
            found.append(walk)
            return
        for number, edge in enumerate(stop.edges):
            rest = labels[len(edge.labels) :]
            # Only ways that come to the name are gone.
            if len(found) < most and _begins(labels, edge) and self._ways(edge.target, rest):
                self._look(edge, rest, (*walk, number), found, most)

    def _behind(self, state: State, walk: Walk) -> Iterator[Walk]:
        if not state.stop.number:
            yield walk
            return
        if state.stop.joins:
            yield from self._behind_parts(self._states.parts(state), walk)
            return
        for edge, next_, count in self._states.counts(state):
            if count:
                yield from self._behind(next_, (*walk, self._number(state.stop, edge)))

    def _behind_parts(self, parts: Sequence[State | None], walk: Walk) -> Iterator[Walk]:
        if not parts:
            yield walk
        elif parts[0] is not None:
            for one in self._behind(parts[0], walk):
                yield from self._behind_parts(parts[1:], one)

    def _number(self, stop: Stop, edge: Edge) -> int:
        numbers = self._numbers.get(stop.number)
        if numbers is None:
            numbers = {id(one): number for number, one in enumerate(stop.edges)}
            self._numbers[stop.number] = numbers
        return numbers[id(edge)]


def _begins(labels: Sequence[str], edge: Edge) -> bool:
    here = labels[: len(edge.labels)]
    return len(here) == len(edge.labels) and all(
        text == label.value for text, label in zip(here, edge.labels, strict=True)
    )
