# SPDX-License-Identifier: Apache-2.0
"""The points of a grid outside of some boxes: how many, and which is the n-th.

A box is, for some axes, a set of values; a point is in it that has one of them on each
of these axes. To count, the axis that most boxes name is decided: values that are in the
same boxes are one case, and in each case most boxes are gone or have an axis less. Boxes
that share no axis are counted apart, and what was counted once is kept. So the order of
axes in the file does not matter for the cost, as it does for `matrix.states`, which walks
names from left to right.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import prod

Box = frozenset[tuple[int, int]]
"""Axes, by number, and the bits of their values that are in the box."""

_KEPT_MAX = 200_000  # counts


class Boxes:
    """A grid and the boxes that are cut out of it.

    Args:
        sizes: how many values each axis has.
        boxes: for each box the values of some axes, by number.
        allowed: for each axis which values there are at all; None for all of each.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        boxes: Iterable[Mapping[int, Iterable[int]]],
        allowed: Sequence[Iterable[int]] | None = None,
    ) -> None:
        self._allowed = [_bits(some) for some in allowed or [range(size) for size in sizes]]
        self._sizes = [bits.bit_count() for bits in self._allowed]
        self._kept: dict[frozenset[Box], int] = {}
        self._known: dict[tuple[frozenset[Box], int], list[tuple[int, frozenset[Box], int]]] = {}
        self._boxes = frozenset(self._clipped(boxes))

    def count(self) -> int:
        """How many points are outside of all boxes."""
        return self._outside(self._boxes, range(len(self._sizes)))

    def at(self, position: int) -> tuple[int, ...]:
        """The point at a position; the last axis changes fastest.

        Args:
            position: from 0, less than `count`.
        """
        boxes = self._boxes
        point = []
        for axis in range(len(self._sizes)):
            for value, left, count in self._ways(boxes, axis):
                if position < count:
                    point.append(value)
                    boxes = left
                    break
                position -= count
            else:
                raise AssertionError("positions are below the count")
        return tuple(point)

    def _ways(self, boxes: frozenset[Box], axis: int) -> list[tuple[int, frozenset[Box], int]]:
        """For each value of an axis what is left of the boxes, and how many points."""
        found = self._known.get((boxes, axis))
        if found is None:
            behind = range(axis + 1, len(self._sizes))
            found = [
                (value, left, self._outside(left, behind))
                for value, left in self._cases(boxes, axis)
            ]
            if len(self._known) >= _KEPT_MAX:
                self._known.clear()
            self._known[boxes, axis] = found
        return found

    def _clipped(self, boxes: Iterable[Mapping[int, Iterable[int]]]) -> Iterator[Box]:
        """The boxes without values that there are not, and without axes that say nothing."""
        for box in boxes:
            picks = {axis: _bits(some) & self._allowed[axis] for axis, some in box.items()}
            if all(picks.values()):
                yield frozenset(
                    (axis, bits) for axis, bits in picks.items() if bits != self._allowed[axis]
                )

    def _outside(self, boxes: frozenset[Box], axes: Iterable[int]) -> int:
        """Count the points of some axes that are in no box; boxes name no other axis."""
        if not all(boxes):
            return 0
        named = {axis for box in boxes for axis, _ in box}
        free = prod(self._sizes[axis] for axis in axes if axis not in named)
        return free * prod(map(self._count, _apart(boxes))) if free else 0

    def _count(self, boxes: frozenset[Box]) -> int:
        """The same for all axes that boxes name, which hang together."""
        found = self._kept.get(boxes)
        if found is None:
            names = Counter(axis for box in boxes for axis, _ in box)
            axis = max(names, key=lambda one: (names[one], -one))
            others = names.keys() - {axis}
            cases = Counter(left for _, left in self._cases(boxes, axis))
            found = sum(times * self._outside(left, others) for left, times in cases.items())
            if len(self._kept) >= _KEPT_MAX:
                self._kept.clear()
            self._kept[boxes] = found
        return found

    def _cases(self, boxes: frozenset[Box], axis: int) -> Iterator[tuple[int, frozenset[Box]]]:
        """For each value of an axis what is left of the boxes."""
        others = []
        touched = []
        for box in boxes:
            bits = next((bits for one, bits in box if one == axis), None)
            if bits is None:
                others.append(box)
            else:
                touched.append((bits, frozenset(pick for pick in box if pick[0] != axis)))
        known: dict[tuple[bool, ...], frozenset[Box]] = {}
        for value in range(self._allowed[axis].bit_length()):
            if self._allowed[axis] >> value & 1:
                inside = tuple(bool(bits >> value & 1) for bits, _ in touched)
                left = known.get(inside)
                if left is None:
                    kept = (rest for (_, rest), is_in in zip(touched, inside, strict=True) if is_in)
                    left = known[inside] = frozenset((*others, *kept))
                yield value, left


def _bits(values: Iterable[int]) -> int:
    return sum(1 << value for value in set(values))


def _apart(boxes: frozenset[Box]) -> list[frozenset[Box]]:
    """Put boxes that share axes, also by way of others, together."""
    groups: list[tuple[set[int], list[Box]]] = []
    for box in boxes:
        axes = {axis for axis, _ in box}
        members = [box]
        others = []
        for group in groups:
            if axes.isdisjoint(group[0]):
                others.append(group)
            else:
                axes |= group[0]
                members += group[1]
        groups = [*others, (axes, members)]
    return [frozenset(members) for _, members in groups]
