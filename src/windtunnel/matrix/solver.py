# SPDX-License-Identifier: Apache-2.0
"""Whether a row can still be completed under constraints.

Parameters that constraints tie together are looked at as one knot; knots know
nothing of one another. In a knot the search assigns the parameter with the
fewest values left and looks one step ahead. What it finds out stays: each
solution answers for all its parts, and of each dead end the smallest part that
is one is learned, so nearly all questions are answered without a search.
"""

from __future__ import annotations

from collections.abc import Sequence

from windtunnel.errors import LabFileError
from windtunnel.matrix.cells import Cell
from windtunnel.matrix.covermodel import Constraint

SEARCH_STEPS_MAX = 200_000
"""Of one question. Models of people need some tens; this many take a minute."""

SOLUTIONS_MAX = 64
"""So many solutions are tried before a search; more cost more than they save."""


class Solver:
    """The rules of a model, as `covertask.Rules`.

    Args:
        values: for each column the numbers that its values have in the model.
        constraints: of the model; they get those numbers.
    """

    def __init__(self, values: Sequence[Sequence[int]], constraints: Sequence[Constraint]) -> None:
        self._knots = [
            _Knot(values, [constraints[number] for number in numbers])
            for numbers in _knotted(constraints)
        ]

    def allows(self, partial: Cell) -> bool:
        """Whether a row can become of this; numbers below 0 are free."""
        return all(knot.allows(partial) for knot in self._knots)

    def complete(self, partial: Cell) -> Cell | None:
        """A row that agrees with `partial`; None when there is none."""
        row = [max(value, 0) for value in partial]
        for knot in self._knots:
            found = knot.solve(partial)
            if found is None:
                return None
            for column, value in zip(knot.columns, found, strict=True):
                row[column] = value
        return tuple(row)


# Which constraints belong together, because they share parameters.
def _knotted(constraints: Sequence[Constraint]) -> list[list[int]]:
    knots: list[tuple[set[int], list[int]]] = []
    for number, constraint in enumerate(constraints):
        columns, members = set(constraint.parameters), [number]
        apart = []
        for knot in knots:
            if knot[0] & columns:
                columns |= knot[0]
                members = knot[1] + members
            else:
                apart.append(knot)
        knots = [*apart, (columns, members)]
    return [sorted(members) for _, members in knots]


# A set of values, one bit for each value of each parameter of the knot.
_Bits = int


class _Knot:
    def __init__(self, values: Sequence[Sequence[int]], constraints: Sequence[Constraint]) -> None:
        self.columns = sorted({number for one in constraints for number in one.parameters})
        self._values = [tuple(values[column]) for column in self.columns]
        place = {column: index for index, column in enumerate(self.columns)}
        self._constraints = constraints
        self._scopes = [tuple(place[number] for number in one.parameters) for one in constraints]
        self._watching: list[list[int]] = [[] for _ in self.columns]
        for number, scope in enumerate(self._scopes):
            for index in scope:
                self._watching[index].append(number)
        # Where the bits of each parameter begin.
        self._shift = [0]
        for found in self._values:
            self._shift.append(self._shift[-1] + len(found))
        self._known: dict[_Bits, bool] = {}
        self._solutions: list[_Bits] = []
        self._dead_ends: list[_Bits] = []
        self._answers: list[dict[tuple[int, ...], bool]] = [{} for _ in constraints]

    def allows(self, partial: Cell) -> bool:
        """Whether there is a solution that agrees."""
        bits = 0
        for index, column in enumerate(self.columns):
            if partial[column] >= 0:
                bits |= 1 << (self._shift[index] + partial[column])
        known = self._known.get(bits)
        if known is None:
            known = self._known[bits] = self._find_out(bits)
        return known

    def solve(self, partial: Cell) -> list[int] | None:
        """The solution that agrees and comes first; None when there is none."""
        return self._search([partial[column] for column in self.columns])

    def _find_out(self, bits: _Bits) -> bool:
        if any(bits & solution == bits for solution in self._solutions):
            return True
        if any(bits & dead == dead for dead in self._dead_ends):
            return False
        found = self._search(self._chosen(bits))
        if found is not None:
            solution = 0
            for index, value in enumerate(found):
                solution |= 1 << (self._shift[index] + value)
            self._solutions.append(solution)
            del self._solutions[:-SOLUTIONS_MAX]
            return True
        self._dead_ends.append(self._smallest(bits))
        return False

    # Take away from a dead end whatever it does not need to be one.
    def _smallest(self, bits: _Bits) -> _Bits:
        rest = bits
        while rest:
            lowest = rest & -rest
            rest ^= lowest
            if self._search(self._chosen(bits ^ lowest)) is None:
                bits ^= lowest
        return bits

    # The value of each parameter, -1 where there is none.
    def _chosen(self, bits: _Bits) -> list[int]:
        chosen = []
        for index in range(len(self.columns)):
            width = self._shift[index + 1] - self._shift[index]
            chosen.append(((bits >> self._shift[index]) & ((1 << width) - 1)).bit_length() - 1)
        return chosen

    def _search(self, chosen: Sequence[int]) -> list[int] | None:
        # What each parameter may still be, as bits of its values.
        left = [
            1 << value if value >= 0 else (1 << len(values)) - 1
            for value, values in zip(chosen, self._values, strict=True)
        ]
        if not self._look_ahead(left, list(range(len(self._scopes)))):
            return None
        # What is still to be tried, the next one last.
        waiting = [left]
        for _ in range(SEARCH_STEPS_MAX):
            if not waiting:
                return None
            left = waiting.pop()
            open_ones = [index for index, bits in enumerate(left) if bits & (bits - 1)]
            if not open_ones:
                return [bits.bit_length() - 1 for bits in left]
            index = min(open_ones, key=lambda index: left[index].bit_count())
            bits = left[index]
            while bits:  # the highest first, so that the lowest is tried first
                highest = 1 << (bits.bit_length() - 1)
                bits ^= highest
                narrower = [*left[:index], highest, *left[index + 1 :]]
                if self._look_ahead(narrower, self._watching[index]):
                    waiting.append(narrower)
        texts = "; ".join(one.text for one in self._constraints if one.text)
        raise LabFileError(
            f"the constraints are too hard: {SEARCH_STEPS_MAX} steps were not enough "
            f"to find a row that satisfies them ({texts})",
            where=self._constraints[0].where,
            hint="split constraints over many parameters into several over few",
        )

    # Strike what constraints with one open parameter forbid; False: nothing is left.
    def _look_ahead(self, left: list[int], numbers: Sequence[int]) -> bool:
        queue = list(numbers)
        while queue:
            number = queue.pop()
            scope = self._scopes[number]
            open_ones = [index for index in scope if left[index] & (left[index] - 1)]
            if len(open_ones) > 1:
                continue
            values = [left[index].bit_length() - 1 for index in scope]
            if not open_ones:
                if not self._satisfied(number, tuple(values)):
                    return False
                continue
            index = open_ones[0]
            place = scope.index(index)
            kept = 0
            for value in range(len(self._values[index])):
                if left[index] >> value & 1:
                    values[place] = value
                    if self._satisfied(number, tuple(values)):
                        kept |= 1 << value
            if not kept:
                return False
            if kept != left[index]:
                left[index] = kept
                queue += [other for other in self._watching[index] if other != number]
        return True

    def _satisfied(self, number: int, values: tuple[int, ...]) -> bool:
        answers = self._answers[number]
        answer = answers.get(values)
        if answer is None:
            scope = self._scopes[number]
            own = tuple(
                self._values[index][value] for index, value in zip(scope, values, strict=True)
            )
            answer = answers[values] = self._constraints[number].allows(own)
        return answer
