# SPDX-License-Identifier: Apache-2.0
"""Sets of tuples as bits of integers, numbered so that a row's set takes a few shifts.

A tuple of size s is s columns with a value each. Over the first k columns there
are `sizes[s][k]` of them, and those whose last column is column k begin there,
one block of `sizes[s - 1][k]` for each of its values. So a row's set of size s
grows, when column k gets the value v, by its set of size s - 1, shifted by
`sizes[s][k] + v * sizes[s - 1][k]`: however many tuples there are, it is one
shift and one "or" of long integers.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence

Pair = tuple[int, int]
"""A column and a value of it."""


class Ladder:
    """The numbering of tuples for columns in a given order.

    Attributes:
        sizes: [size of the tuples][number of columns]: how many tuples there are.

    Args:
        levels: how many values each column has, in the order of the columns.
        top: the size of the largest tuples.
    """

    def __init__(self, levels: Sequence[int], top: int) -> None:
        self.levels = tuple(levels)
        self.top = top
        self.sizes = [[1] * (len(levels) + 1)]
        for size in range(1, top + 1):
            below = self.sizes[size - 1]
            counts = [0]
            for column, count in enumerate(levels):
                counts.append(counts[column] + count * below[column])
            self.sizes.append(counts)

    def start(self) -> list[int]:
        """The sets of a row without values: only the empty tuple."""
        return [1] + [0] * self.top

    def climb(self, sets: list[int], column: int, value: int) -> None:
        """Add a value to a row's sets; columns must come in their order.

        Args:
            sets: the row's, by the tuples' size; changed.
            column: its number in this order.
            value: its number.
        """
        for size in range(self.top, 0, -1):
            low = self.sizes[size - 1][column]
            sets[size] |= sets[size - 1] << (self.sizes[size][column] + value * low)

    def every(self, columns: Iterable[int]) -> int:
        """The set of the largest tuples that lie wholly inside some columns."""
        sets = self.start()
        for column in sorted(columns):
            before = list(sets)
            for size in range(1, self.top + 1):
                low = self.sizes[size - 1][column]
                for value in range(self.levels[column]):
                    sets[size] |= before[size - 1] << (self.sizes[size][column] + value * low)
        return sets[self.top]

    def number(self, pairs: Sequence[Pair]) -> int:
        """The number of a tuple, whose columns come in their order."""
        total = 0
        for size, (column, value) in enumerate(pairs, start=1):
            total += self.sizes[size][column] + value * self.sizes[size - 1][column]
        return total

    def pairs(self, number: int) -> list[Pair]:
        """The tuple with a number, the last column first."""
        found = []
        for size in range(self.top, 0, -1):
            # the counts are the same (0) before the first column that can end a tuple
            column = bisect_right(self.sizes[size], number) - 1
            value, number = divmod(number - self.sizes[size][column], self.sizes[size - 1][column])
            found.append((column, value))
        return found
