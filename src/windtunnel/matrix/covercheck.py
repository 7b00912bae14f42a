# SPDX-License-Identifier: Apache-2.0
"""Whether rows cover a model: counted one tuple at a time, by code of its own.

Nothing here knows how rows are made. Every set of parameters that counts is
gone through, every tuple of their values is looked up in the rows, and of those
that are nowhere a plain search tells whether any row could hold them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from windtunnel.errors import LabFileError
from windtunnel.matrix.cells import ANY, Cell, CellSpace
from windtunnel.matrix.covermodel import Group, Model, check_strength

LISTED_MAX = 1000
"""So many missing tuples are kept by name; all are counted."""

SEARCH_STEPS_MAX = 1_000_000
"""Of the plain search for one tuple."""

Tuple = tuple[tuple[int, int], ...]
"""Parameters with a value each, by number, in ascending order."""


@dataclass(slots=True)
class Coverage:
    """What rows cover.

    Attributes:
        covered: how many tuples are in a row.
        missing: those that a row could hold and none does, `LISTED_MAX` at most.
        missing_count: of all of them.
        impossible: how many tuples no row can hold.
        invalid: rows that may not be, by index, and why; they cover nothing.
    """

    covered: int = 0
    missing: list[Tuple] = field(default_factory=list)
    missing_count: int = 0
    impossible: int = 0
    invalid: list[tuple[int, str]] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether everything is covered, and by right rows only."""
        return not self.missing_count and not self.invalid


def check_model(model: Model, rows: Sequence[Cell], strength: int) -> Coverage:
    """Check rows of a model.

    Args:
        model: what was to be covered.
        rows: whole ones.
        strength: how many values at once.

    Raises:
        UsageError: the strength is none.
        LabFileError: the model makes no sense, or its constraints are too hard.
    """
    check_strength(strength)
    model.check()
    faults = [(index, model.row_fault(row)) for index, row in enumerate(rows)]
    negative = [
        {index for index, value in enumerate(parameter.values) if value.negative}
        for parameter in model.parameters
    ]
    return _check(
        [len(parameter.values) for parameter in model.parameters],
        negative,
        rows,
        sets=_sets(len(model.parameters), strength, model.groups),
        invalid=[(index, fault) for index, fault in faults if fault],
        possible=_PlainSearch(model).possible,
    )


def check_space(
    space: CellSpace, cells: Sequence[Cell], strength: int, groups: Sequence[Group] = ()
) -> Coverage:
    """Check cells of a matrix.

    Args:
        space: the matrix; tuples that its filters do not leave are impossible.
        cells: whole ones.
        strength: how many values at once.
        groups: of axes that have a strength of their own.

    Raises:
        UsageError: the strength is none.
    """
    check_strength(strength)
    count = len(space.axes)

    def possible(pairs: Tuple) -> bool:
        chosen = dict(pairs)
        return space.allows(tuple(chosen.get(axis, ANY) for axis in range(count)))

    return _check(
        [len(axis.values) for axis in space.axes],
        [set() for _ in range(count)],
        cells,
        sets=_sets(count, strength, groups),
        invalid=[
            (index, "the filters do not leave it")
            for index, cell in enumerate(cells)
            if cell not in space
        ],
        possible=possible,
    )


# The sets of parameters that count, each once.
def _sets(count: int, strength: int, groups: Sequence[Group]) -> list[tuple[int, ...]]:
    members = [set(group.parameters) for group in groups]
    found = {
        columns: None
        for columns in combinations(range(count), min(strength, count))
        if not any(group.issuperset(columns) for group in members)
    }
    for group in groups:
        found.update(dict.fromkeys(combinations(sorted(group.parameters), group.strength)))
    return list(found)


def _check(
    levels: Sequence[int],
    negative: Sequence[set[int]],
    rows: Sequence[Cell],
    *,
    sets: Sequence[tuple[int, ...]],
    invalid: list[tuple[int, str]],
    possible: Callable[[Tuple], bool],
) -> Coverage:
    wrong = {index for index, _ in invalid}
    right = [row for index, row in enumerate(rows) if index not in wrong]
    # For each value the rows that have it, as bits.
    having = [
        [sum(1 << number for number, row in enumerate(right) if row[column] == value)
         for value in range(count)]
        for column, count in enumerate(levels)
    ]  # fmt: skip
    # A row with a negative value proves only what that value stands in.
    plain = sum(
        1 << number
        for number, row in enumerate(right)
        if not any(row[column] in values for column, values in enumerate(negative))
    )
    coverage = Coverage(invalid=invalid)
    for columns in sets:
        for pairs, in_rows, negatives in _tuples(columns, having, negative):
            if negatives > 1:
                continue
            if in_rows if negatives else in_rows & plain:
                coverage.covered += 1
            elif possible(pairs):
                coverage.missing_count += 1
                if len(coverage.missing) < LISTED_MAX:
                    coverage.missing.append(pairs)
            else:
                coverage.impossible += 1
    return coverage


# Every tuple of some columns, the rows that have it, and how many values are negative.
def _tuples(
    columns: tuple[int, ...], having: Sequence[Sequence[int]], negative: Sequence[set[int]]
) -> Iterator[tuple[Tuple, int, int]]:
    if not columns:
        yield (), -1, 0
        return
    last = columns[-1]
    for pairs, in_rows, negatives in _tuples(columns[:-1], having, negative):
        for value, own in enumerate(having[last]):
            yield (*pairs, (last, value)), in_rows & own, negatives + (value in negative[last])


class _PlainSearch:
    def __init__(self, model: Model) -> None:
        self._model = model
        self._choices = model.positives()
        self._neighbours: list[set[int]] = [set() for _ in model.parameters]
        for constraint in model.constraints:
            for number in constraint.parameters:
                self._neighbours[number] |= set(constraint.parameters)

    def possible(self, pairs: Tuple) -> bool:
        """Whether some row may hold the tuple, all else not negative."""
        chosen = dict(pairs)
        # What constraints tie to the tuple, near things first, or to nothing in it.
        order = list(chosen)
        seen = set(order)
        for start in [*order, *range(len(self._neighbours))]:
            if start not in seen and self._neighbours[start]:
                seen.add(start)
                order.append(start)
            for column in order:
                for other in sorted(self._neighbours[column] - seen):
                    seen.add(other)
                    order.append(other)
        choices = [
            (chosen[column],) if column in chosen else self._choices[column] for column in order
        ]
        return self._walk(order, choices)

    def _walk(self, order: Sequence[int], choices: Sequence[Sequence[int]]) -> bool:
        place = {column: index for index, column in enumerate(order)}
        # Each constraint is asked when the last of its parameters has a value.
        due: list[list[int]] = [[] for _ in order]
        for number, constraint in enumerate(self._model.constraints):
            due[max(place[column] for column in constraint.parameters)].append(number)
        tried = [0] * len(order)
        depth = 0
        for _ in range(SEARCH_STEPS_MAX):
            if depth == len(order):
                return True
            if tried[depth] == len(choices[depth]):
                tried[depth] = 0
                depth -= 1
                if depth < 0:
                    return False
                continue
            tried[depth] += 1
            if self._agrees(due[depth], place, choices, tried):
                depth += 1
        raise LabFileError(
            f"the constraints are too hard to check: {SEARCH_STEPS_MAX} steps were not enough",
            where=self._model.constraints[0].where,
            hint="split constraints over many parameters into several over few",
        )

    def _agrees(
        self,
        numbers: Sequence[int],
        place: dict[int, int],
        choices: Sequence[Sequence[int]],
        tried: Sequence[int],
    ) -> bool:
        for number in numbers:
            constraint = self._model.constraints[number]
            values = []
            for column in constraint.parameters:
                index = place[column]
                values.append(choices[index][tried[index] - 1])
            if not constraint.allows(tuple(values)):
                return False
        return True
