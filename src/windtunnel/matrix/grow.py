# SPDX-License-Identifier: Apache-2.0
"""Rows that cover everything, grown column by column.

Each column first gets, in every row, the value that covers most of what is
missing; then rows are completed or added for what is left. A tuple that no row
can hold is found, and dropped, only there: whatever a row gained is possible.
Source: the strategy is IPOG, Lei, Kacker, Kuhn, Okun and Lawrence, "IPOG: A
General Strategy for T-Way Software Testing", ECBS 2007.
"""

from __future__ import annotations

from windtunnel.matrix.cells import ANY
from windtunnel.matrix.covertask import Layer, Task
from windtunnel.matrix.draw import Draw
from windtunnel.matrix.ladder import Ladder

Rows = list[list[int]]


def grow(task: Task, draw: Draw) -> Rows:
    """Make rows that cover the task; the required ones come first.

    Returns:
        Whole rows, in which nothing is `ANY`.
    """
    growth = _Growth(task, draw)
    for column in growth.order:
        growth.add_column(column)
    return [_completed(task, row, draw) for row in growth.rows]


def _completed(task: Task, row: list[int], draw: Draw) -> list[int]:
    """Fill what is still free, by weight, as far as the rules allow it."""
    free = draw.shuffled([column for column, value in enumerate(row) if value == ANY])
    for column in free:
        choices = list(range(task.levels[column]))
        while choices:
            row[column] = _by_weight(task, column, choices, draw)
            if task.allows(row):
                break
            choices.remove(row[column])
            row[column] = ANY  # an axis inside a value that the row does not have
    if task.rules is None:
        return row
    whole = task.rules.complete(tuple(row))
    assert whole is not None, "every step was allowed"
    return list(whole)


def _by_weight(task: Task, column: int, values: list[int], draw: Draw) -> int:
    if not task.weights:
        return draw.pick(values)
    return draw.pick_weighted(values, task.weights[column])


# The part of a layer that has been placed, in the order of this growth.
class _Part:
    def __init__(self, layer: Layer, order: list[int], levels: tuple[int, ...]) -> None:
        self.columns = [column for column in order if column in layer.columns]
        self.place = {column: place for place, column in enumerate(self.columns)}
        self.size = layer.strength - 1  # of the tuples that a new column completes
        self.ladder = Ladder([levels[column] for column in self.columns], self.size)
        self.but_inside = layer.but_inside
        self.sets: list[list[int]] = []  # of each row, without the column being added

    def completed_by(self, column: int) -> int:
        """The tuples of earlier columns that count together with this one."""
        place = self.place[column]
        wanted = (1 << self.ladder.sizes[self.size][place]) - 1
        for inside in self.but_inside:
            if column in inside:
                earlier = [p for c, p in self.place.items() if p < place and c in inside]
                wanted &= ~self.ladder.every(earlier)
        return wanted


class _Growth:
    def __init__(self, task: Task, draw: Draw) -> None:
        self.task = task
        self.draw = draw
        levels = task.levels
        # The sort keeps the random order of columns that are equally long.
        self.order = sorted(draw.shuffled(range(len(levels))), key=lambda c: -levels[c])
        self.parts = [_Part(layer, self.order, levels) for layer in task.layers]
        self.rows: Rows = []
        # By column (and value): which rows have it, or nothing yet, as bits.
        self.having = [[0] * count for count in levels]
        self.free = [0] * len(levels)
        for row in task.required:
            self._add_row()
            for column, value in enumerate(row):
                if value >= 0:
                    self._fill(len(self.rows) - 1, column, value)
                elif value != ANY:
                    self._leave_out(len(self.rows) - 1, column, value)

    def add_column(self, column: int) -> None:
        """Cover what this column completes, together with earlier ones."""
        # Each part with its missing tuples, by the value of this column.
        missing = [
            (part, [part.completed_by(column)] * self.task.levels[column])
            for part in self.parts
            if column in part.place
        ]
        for number in range(len(self.rows)):
            self._widen(number, column, missing)
        for part, _ in missing:
            place = part.place[column]
            for row, sets in zip(self.rows, part.sets, strict=True):
                if row[column] >= 0:
                    part.ladder.climb(sets, place, row[column])
        for part, by_value in missing:
            for value in range(len(by_value)):
                self._deepen(part, column, value, missing)

    # Give a row the value of this column that covers most.
    def _widen(self, number: int, column: int, missing: list[tuple[_Part, list[int]]]) -> None:
        row = self.rows[number]
        if row[column] == ANY:
            gains = [0] * self.task.levels[column]
            for part, by_value in missing:
                have = part.sets[number][part.size]
                for value, tuples in enumerate(by_value):
                    gains[value] += (tuples & have).bit_count()
            value = self._best(row, column, gains)
            if value < 0:
                return
            self._fill(number, column, value)
        if row[column] >= 0:
            for part, by_value in missing:
                by_value[row[column]] &= ~part.sets[number][part.size]

    # The value with the greatest gain that is allowed; -1: none gains anything.
    def _best(self, row: list[int], column: int, gains: list[int]) -> int:
        while (most := max(gains)) > 0:
            best = [value for value, gain in enumerate(gains) if gain == most]
            value = _by_weight(self.task, column, best, self.draw)
            if self.task.rules is None:
                return value
            row[column] = value
            allowed = self.task.allows(row)
            row[column] = ANY
            if allowed:
                return value
            gains[value] = 0
        return -1

    # Complete or add rows for what is missing with one value.
    def _deepen(
        self, part: _Part, column: int, value: int, missing: list[tuple[_Part, list[int]]]
    ) -> None:
        by_value = next(tuples for other, tuples in missing if other is part)
        while tuples := by_value[value]:
            lowest = tuples & -tuples
            pairs = [(part.columns[p], v) for p, v in part.ladder.pairs(lowest.bit_length() - 1)]
            pairs.append((column, value))
            number = self._room_for(pairs)
            if number < 0:
                by_value[value] ^= lowest  # no row can hold it
                continue
            for other, wanted in pairs:
                if self.rows[number][other] == ANY:
                    self._fill(number, other, wanted)
            for other_part, others in missing:
                others[value] &= ~self._rebuild(other_part, number, column)
            if len(missing) < len(self.parts):
                for other_part in self.parts:
                    if column not in other_part.place:
                        self._rebuild(other_part, number, column)

    # The first row that can hold the pairs, a new one if need be; -1 when none can.
    def _room_for(self, pairs: list[tuple[int, int]]) -> int:
        if self.task.rules is not None:
            alone = [ANY] * len(self.task.levels)
            for column, value in pairs:
                alone[column] = value
            if not self.task.allows(alone):
                return -1
        rows = -1
        for column, value in pairs:
            rows &= self.having[column][value] | self.free[column]
        while rows:
            lowest = rows & -rows
            number = lowest.bit_length() - 1
            if self.task.rules is None:
                return number
            row = list(self.rows[number])
            for column, value in pairs:
                row[column] = value
            if self.task.allows(row):
                return number
            rows ^= lowest
        self._add_row()
        return len(self.rows) - 1

    # Count a row's sets again, up to and with this column; return those without it.
    def _rebuild(self, part: _Part, number: int, column: int) -> int:
        row = self.rows[number]
        sets = part.ladder.start()
        for earlier in self.order[: self.order.index(column)]:
            if earlier in part.place and row[earlier] >= 0:
                part.ladder.climb(sets, part.place[earlier], row[earlier])
        part.sets[number] = sets
        without = sets[part.size]
        if column in part.place:
            part.ladder.climb(sets, part.place[column], row[column])
        return without

    def _add_row(self) -> None:
        bit = 1 << len(self.rows)
        self.rows.append([ANY] * len(self.task.levels))
        self.free = [rows | bit for rows in self.free]
        for part in self.parts:
            part.sets.append(part.ladder.start())

    def _fill(self, number: int, column: int, value: int) -> None:
        self.rows[number][column] = value
        self.having[column][value] |= 1 << number
        self.free[column] &= ~(1 << number)

    def _leave_out(self, number: int, column: int, absent: int) -> None:
        self.rows[number][column] = absent
        self.free[column] &= ~(1 << number)
