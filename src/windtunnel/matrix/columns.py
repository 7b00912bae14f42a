# SPDX-License-Identifier: Apache-2.0
"""Where in a cell each choice of a matrix stands.

Without a join that is the order of the walk. At a join the walk parts: all choices
behind it are made once for each of its words. So a part is the choices up to the next
join, and then as many parts as that has words; all of these are equally long.
"""

from __future__ import annotations

from collections.abc import Sequence

from windtunnel.errors import MatrixFileError
from windtunnel.matrix.cells import Axis
from windtunnel.matrix.plan import Plan, Stop
from windtunnel.matrix.syntax import Join


class Columns:
    """The columns of a plan's cells.

    Attributes:
        at: by the number of a stop, its place in its part; of the end and of a join, what
            is behind the choices of their part.
        part_size: by the number of a join, how many columns each of its parts has.

    Raises:
        MatrixFileError: a way leads around a join.
    """

    def __init__(self, plan: Plan) -> None:
        _check_joins(plan)
        self._stops = [stop for stop in reversed(plan.stops) if stop.number]
        self.at: dict[int, int] = {}
        self.part_size: dict[int, int] = {}
        place = 0
        for stop in self._stops:
            self.at[stop.number] = place
            place = 0 if stop.joins else place + 1
        self.at[0] = size = place
        for stop in reversed(self._stops):
            if stop.joins:
                self.part_size[stop.number] = size
                size = self.at[stop.number] + size * len(stop.joins)

    def axes(self) -> tuple[Axis, ...]:
        """An axis for each column."""
        axes = _Axes()
        axes.add(self._stops, "", {})
        return tuple(axes.found)


class _Axes:
    def __init__(self) -> None:
        self.found: list[Axis] = []
        self._used: set[str] = set()

    def add(self, stops: Sequence[Stop], part: str, parents: dict[int, tuple[int, int]]) -> None:
        """Add the axes of a part.

        Args:
            stops: from here on.
            part: before the names: "one/".
            parents: by variants block, in which axis and in which value of it that lies.
        """
        parents = dict(parents)
        for number, stop in enumerate(stops):
            if stop.joins:
                for word in _words(stop):
                    self.add(stops[number + 1 :], f"{part}{word}/", parents)
                return
            assert stop.source is not None, "it is a choice"
            at = len(self.found)
            values = tuple(edge.variant.text for edge in stop.edges if edge.variant)
            self.found.append(Axis(self._name(stop, part), values, parents.get(id(stop.source))))
            for value, edge in enumerate(stop.edges):
                for one in edge.variant.body if edge.variant else ():
                    parents[id(one)] = (at, value)

    def _name(self, stop: Stop, part: str) -> str:
        source = stop.source
        assert source is not None, "it is a choice"
        name = part + (source.name or f"variants:{source.where.line}")
        if name in self._used:
            name = f"{name}:{source.where.line}"
        count = 2
        unique = name
        while unique in self._used:
            unique = f"{name}#{count}"
            count += 1
        self._used.add(unique)
        return unique


def _words(stop: Stop) -> list[str]:
    joins = dict.fromkeys(constraint.source for constraint in stop.joins)
    return [word.text for join in joins if isinstance(join, Join) for word in join.words]


def _check_joins(plan: Plan) -> None:
    ways = [plan.start, *(edge for stop in plan.stops for edge in stop.edges)]
    sources = [len(plan.stops), *(stop.number for stop in plan.stops for _ in stop.edges)]
    for join in (stop for stop in plan.stops if stop.joins):
        for number, edge in zip(sources, ways, strict=True):
            if edge.target.number < join.number < number:
                raise MatrixFileError(
                    "a 'join' inside a variant: only some variants have its parts, "
                    "so they have no axes",
                    where=join.joins[0].source.where,
                    hint="move the join to the end of the file, or list the variants instead",
                )
