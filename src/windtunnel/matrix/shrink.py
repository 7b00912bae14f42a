# SPDX-License-Identifier: Apache-2.0
"""Fewer rows for the same tuples, by tabu search.

A row is taken away, and cells are changed until nothing is missing any more:
each step takes a missing tuple and puts it into the row that loses least by it.
A cell that was changed rests for some steps, so that the search leaves where it
has been. What is to be covered is what the rows cover at the start.
Source: the neighbourhood is that of Nurmela, "Upper bounds for covering arrays
by tabu search", Discrete Applied Mathematics 138 (2004).
"""

from __future__ import annotations

from functools import reduce
from itertools import combinations
from math import comb
from operator import and_, or_

from windtunnel.matrix.cells import ANY
from windtunnel.matrix.covertask import Layer, Task
from windtunnel.matrix.draw import Draw
from windtunnel.matrix.ladder import Ladder, Pair

REST_STEPS = 4
"""So long, and up to twice as long, a changed cell rests."""

ROWS_MAX = 200
"""So many rows are compared in a step; of more, some are drawn."""

SETUP_SHARE_MAX = 10
"""So many times the work itself may be spent before it begins, to count what is covered."""

Rows = list[list[int]]
_Missing = tuple[int, tuple[Pair, ...]]


def shrink(task: Task, rows: Rows, draw: Draw, *, work: int, steps: int) -> Rows:
    """Make fewer rows cover the same.

    Args:
        task: what the rows were made for; its required rows come first and stay.
        rows: whole ones, which cover the task.
        draw: the stream of choices.
        work: how much to do, in units of about a microsecond.
        steps: after so many without success it ends.

    Returns:
        The rows, or fewer.
    """
    bound = max(len(task.required), 1, _fewest(task, rows))
    best = [list(row) for row in rows]
    setup = len(rows) * sum(
        layer.strength * comb(len(layer.columns), layer.strength) for layer in task.layers
    )
    if len(best) <= bound or setup > SETUP_SHARE_MAX * work:
        return best
    search = _Search(task, best, draw, work)
    while len(search.rows) > bound:
        search.drop_row()
        if not search.repair(steps):
            break
        best = [list(row) for row in search.rows]
    return best


# No fewer rows can do: some set of columns has so many tuples, each in a row of its own.
def _fewest(task: Task, rows: Rows) -> int:
    most = 0
    for layer in task.layers:
        longest = sorted(layer.columns, key=lambda column: -task.levels[column])
        columns = longest[: layer.strength]
        if not any(set(columns) <= inside for inside in layer.but_inside):
            seen = {tuple(row[column] for column in columns) for row in rows}
            most = max(most, sum(all(value >= 0 for value in values) for values in seen))
    return most


# A layer's tuples, by the value that completes them.
class _Part:
    def __init__(self, layer: Layer, levels: tuple[int, ...]) -> None:
        self.columns = layer.columns
        self.place = {column: place for place, column in enumerate(layer.columns)}
        self.size = layer.strength - 1
        self.ladder = Ladder([levels[column] for column in layer.columns], self.size)
        self.but_inside = layer.but_inside
        # [column][value]: the tuples of others with which it is missing, or in one row only
        self.missing = {column: [0] * levels[column] for column in layer.columns}
        self.once = {column: [0] * levels[column] for column in layer.columns}
        self.sets: list[int] = []  # of each row, tuples without one column
        # [column]: the columns with which it makes pairs that count, and [value]: its bit;
        # only where a tuple without one column is a single value
        self.partners: dict[int, list[int]] = {}
        self.single: dict[int, list[int]] = {}
        if self.size == 1:
            for column, place in self.place.items():
                self.partners[column] = [
                    other
                    for other in layer.columns
                    if other != column and self.counts((other, column))
                ]
                self.single[column] = [
                    1 << self.ladder.number([(place, value)]) for value in range(levels[column])
                ]

    def set_of(self, row: list[int]) -> int:
        """The tuples that the row has."""
        sets = self.ladder.start()
        for place, column in enumerate(self.columns):
            if row[column] >= 0:
                self.ladder.climb(sets, place, row[column])
        return sets[self.size]

    def bit(self, pairs: tuple[Pair, ...], without: int) -> int:
        """The bit of a tuple without one of its pairs."""
        rest = pairs[:without] + pairs[without + 1 :]
        return 1 << self.ladder.number([(self.place[column], value) for column, value in rest])

    def counts(self, columns: tuple[int, ...]) -> bool:
        """Whether this set of columns is to be covered."""
        return not any(inside.issuperset(columns) for inside in self.but_inside)


class _Search:
    def __init__(self, task: Task, rows: Rows, draw: Draw, work: int) -> None:
        self.task = task
        self.draw = draw
        self.work = work
        self.rows: Rows = [list(row) for row in rows]
        self.having = [[0] * count for count in task.levels]
        for number, row in enumerate(self.rows):
            for column, value in enumerate(row):
                if value >= 0:
                    self.having[column][value] |= 1 << number
        self.parts = [_Part(layer, task.levels) for layer in task.layers]
        self.missing: dict[_Missing, None] = {}
        self.resting: dict[Pair, int] = {}  # (row, column): until which step
        for part in self.parts:
            part.sets = [part.set_of(row) for row in self.rows]
            for number in range(len(self.rows)):
                self._note_row(part, number)

    # Note which tuples of a row are in no other.
    def _note_row(self, part: _Part, number: int) -> None:
        row = self.rows[number]
        present = [(column, row[column]) for column in part.columns if row[column] >= 0]
        for pairs in combinations(present, part.size + 1):
            if self._count(pairs) == 1 << number and part.counts(tuple(c for c, _ in pairs)):
                for index, (column, value) in enumerate(pairs):
                    part.once[column][value] |= part.bit(pairs, index)

    def _count(self, pairs: tuple[Pair, ...]) -> int:
        return reduce(and_, (self.having[column][value] for column, value in pairs))

    def drop_row(self) -> None:
        """Take away the row that is needed least; there must be one that is not required."""
        first = len(self.task.required)
        losses = [self._loss_of_row(number) for number in range(first, len(self.rows))]
        number = first + losses.index(min(losses))
        for column in range(len(self.task.levels)):
            self._change(number, column, ANY)
        below = (1 << number) - 1
        for rows_of in self.having:
            rows_of[:] = [bits & below | (bits >> 1) & ~below for bits in rows_of]
        for part in self.parts:
            del part.sets[number]
        del self.rows[number]
        self.resting.clear()

    def _loss_of_row(self, number: int) -> int:
        row = self.rows[number]
        return sum(
            (part.once[column][row[column]] & part.sets[number]).bit_count()
            for part in self.parts
            for column in part.columns
            if row[column] >= 0
        )

    def repair(self, steps: int) -> bool:
        """Change cells until nothing is missing; False when it takes too long."""
        fewest = len(self.missing)
        for step in range(steps):
            if not self.missing:
                return True
            if self.work <= 0 or len(self.rows) == len(self.task.required):
                return False
            _, pairs = self.draw.pick(list(self.missing))
            number = self._row_for(pairs, step, fewest)
            if number < 0:
                self._rewrite(pairs, step)
            else:
                self._change_to(number, pairs, step)
            fewest = min(fewest, len(self.missing))
        return not self.missing

    # The row that loses least when it gets the pairs; -1 when none may have them.
    def _row_for(self, pairs: tuple[Pair, ...], step: int, fewest: int) -> int:
        best: list[int] = []
        least = 0
        for number in self._candidates(pairs):
            row = self.rows[number]
            changes = [pair for pair in pairs if row[pair[0]] != pair[1]]
            loss = self._loss(number, changes)
            if best and loss > least:
                continue
            rests = any(self.resting.get((number, column), -1) > step for column, _ in changes)
            if rests and len(self.missing) + loss >= fewest:
                continue
            if self.task.rules is not None:
                changed = list(row)
                for column, value in changes:
                    changed[column] = value
                if not self.task.allows(changed):
                    continue
            if not best or loss < least:
                best, least = [number], loss
            else:
                best.append(number)
        return self.draw.pick(best) if best else -1

    # Rows in which one cell must change, or for pairs of values any; not required ones.
    def _candidates(self, pairs: tuple[Pair, ...]) -> list[int]:
        every = (1 << len(self.rows)) - (1 << len(self.task.required))
        if len(pairs) > 2:
            having = [self.having[column][value] for column, value in pairs]
            near = [
                reduce(and_, having[:index] + having[index + 1 :]) for index in range(len(pairs))
            ]
            every = (every & reduce(or_, near)) or every
        numbers = [number for number in range(len(self.rows)) if every >> number & 1]
        if len(numbers) > ROWS_MAX:
            numbers = self.draw.shuffled(numbers)[:ROWS_MAX]
        return numbers

    # How many tuples more would be missing; exact for one change, and for pairs.
    def _loss(self, number: int, changes: list[Pair]) -> int:
        row = self.rows[number]
        loss = 0
        for part in self.parts:
            have = part.sets[number]
            self.work -= len(changes) * (1 + (have.bit_length() >> 12))
            for column, value in changes:
                if column not in part.place:
                    continue
                rest = have
                if part.single:
                    for other, _ in changes:
                        if other != column and other in part.place and row[other] >= 0:
                            rest &= ~part.single[other][row[other]]
                if row[column] >= 0:
                    loss += (part.once[column][row[column]] & rest).bit_count()
                loss -= (part.missing[column][value] & rest).bit_count()
        return loss - (len(changes) > 1)

    # Make a row anew around the pairs, as like the old one as the rules allow.
    def _rewrite(self, pairs: tuple[Pair, ...], step: int) -> None:
        required = len(self.task.required)
        number = required + self.draw.below(len(self.rows) - required)
        old = self.rows[number]
        new = [ANY] * len(old)
        for column, value in pairs:
            new[column] = value
        for column in self.draw.shuffled(range(len(old))):
            if new[column] == ANY:
                new[column] = old[column]
                self.work -= 2
                if old[column] < 0 or not self.task.allows(new):
                    new[column] = ANY
        whole = tuple(new) if self.task.rules is None else self.task.rules.complete(tuple(new))
        assert whole is not None, "every step was allowed"
        self._change_to(number, tuple(enumerate(whole)), step)

    def _change_to(self, number: int, pairs: tuple[Pair, ...], step: int) -> None:
        row = self.rows[number]
        changes = [pair for pair in pairs if row[pair[0]] != pair[1]]
        if self.task.rules is not None and len(changes) > 1:
            # Half changed, the row might have tuples that may not be.
            for column, _ in changes:
                self._change(number, column, ANY)
        for column, value in changes:
            self._change(number, column, value)
            self.resting[number, column] = step + REST_STEPS + self.draw.below(REST_STEPS)

    # Give a cell another value, or none, and note what that covers and uncovers.
    def _change(self, number: int, column: int, value: int) -> None:
        row = self.rows[number]
        old = row[column]
        bit = 1 << number
        having = self.having[column]
        if old >= 0:
            having[old] ^= bit
        for index, part in enumerate(self.parts):
            if column in part.place:
                if part.single:
                    self._recount_pairs(index, number, column, value)
                else:
                    self._recount(index, number, column, value)
        if value >= 0:
            having[value] ^= bit
        row[column] = value
        for part in self.parts:
            if part.size == 1 and column in part.place:
                single = part.single[column]
                part.sets[number] ^= (single[old] if old >= 0 else 0) | (
                    single[value] if value >= 0 else 0
                )
            elif column in part.place:
                part.sets[number] = part.set_of(row)

    def _recount(self, index: int, number: int, column: int, value: int) -> None:
        part = self.parts[index]
        row = self.rows[number]
        old = row[column]
        others = [(c, row[c]) for c in part.columns if c != column and row[c] >= 0]
        self.work -= 2 * comb(len(others), part.size)
        for pairs in combinations(others, part.size):
            rows = reduce(and_, [self.having[c][v] for c, v in pairs], -1)
            if old >= 0:
                left = rows & self.having[column][old]
                if not left & (left - 1):
                    self._note(index, (*pairs, (column, old)), once=left != 0, more=False)
            if value >= 0:
                had = rows & self.having[column][value]
                if not had & (had - 1):
                    self._note(index, (*pairs, (column, value)), once=had == 0, more=True)

    # A tuple is now in one row (`once`), or, one row more: in two; one less: in none.
    def _note(self, index: int, pairs: tuple[Pair, ...], *, once: bool, more: bool) -> None:
        part = self.parts[index]
        pairs = tuple(sorted(pairs))
        if not part.counts(tuple(column for column, _ in pairs)):
            return
        gone = not once and not more
        for place, (column, value) in enumerate(pairs):
            bit = part.bit(pairs, place)
            if once:
                part.once[column][value] |= bit
            else:
                part.once[column][value] &= ~bit
            if once and more:
                part.missing[column][value] &= ~bit
            elif gone:
                part.missing[column][value] |= bit
        if once and more:
            del self.missing[index, pairs]
        elif gone:
            self.missing[index, pairs] = None

    # The same for pairs, which is what is asked for most: four times as fast.
    def _recount_pairs(self, index: int, number: int, column: int, value: int) -> None:
        part = self.parts[index]
        row = self.rows[number]
        self.work -= len(row) >> 1
        for present, more in ((row[column], False), (value, True)):
            if present < 0:
                continue
            own_rows = self.having[column][present]
            own_bit = part.single[column][present]
            own_once, own_missing = part.once[column], part.missing[column]
            for other in part.partners[column]:
                met = row[other]
                if met < 0:
                    continue
                rows = own_rows & self.having[other][met]
                if rows & (rows - 1):
                    continue  # in two other rows at least
                bit = part.single[other][met]
                # In one other row: that one is the only one, or was.
                if (rows == 0) == more:
                    own_once[present] |= bit
                    part.once[other][met] |= own_bit
                else:
                    own_once[present] &= ~bit
                    part.once[other][met] &= ~own_bit
                if rows:
                    continue
                pairs = (column, present), (other, met)
                key = index, (pairs if column < other else pairs[::-1])
                if more:
                    own_missing[present] &= ~bit
                    part.missing[other][met] &= ~own_bit
                    del self.missing[key]
                else:
                    own_missing[present] |= bit
                    part.missing[other][met] |= own_bit
                    self.missing[key] = None
