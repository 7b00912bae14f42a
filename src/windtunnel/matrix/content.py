# SPDX-License-Identifier: Apache-2.0
"""What a part of a matrix does to keys, for each outcome of its conditions.

The statements between two variants blocks are one `Content`. Which of them
apply depends on nothing but the runs that its conditions ask for, so for each
set of those the statements are put together once: neighbouring assignments
without references become one `dict`, which Python merges at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from windtunnel.matrix.operations import Keys, Names, Operation, Value, operation_of
from windtunnel.matrix.patterns import Patterns, Test
from windtunnel.matrix.syntax import Assign, Condition, Delete, Only, Statement, Suffix

Item = dict[str, str] | Operation
"""A patch, or an operation."""


@dataclass(frozen=True, slots=True)
class Guarded:
    """Statements that apply when a filter matches, or with `negative` does not."""

    test: Test
    negative: bool
    steps: tuple[Step, ...]


Plain = Assign | Delete | Suffix
Step = Plain | Guarded


class Content:
    """Statements in their order.

    Attributes:
        steps: as they are written.
        runs: what their conditions ask for.
    """

    __slots__ = ("_items", "runs", "steps")

    def __init__(self, steps: tuple[Step, ...]) -> None:
        self.steps = steps
        self.runs = _runs(steps)
        self._items: dict[int, tuple[Item, ...]] = {}

    def items(self, found: int) -> tuple[Item, ...]:
        """What applies to names in which these runs are found."""
        key = found & self.runs
        items = self._items.get(key)
        if items is None:
            items = self._items[key] = _put_together(self.applying(found))
        return items

    def applying(self, found: int) -> Iterator[Plain]:
        """The statements that apply to names in which these runs are found."""
        return _applying(self.steps, found)


def content_of(statements: Iterable[Statement], patterns: Patterns) -> Content | None:
    """Compile statements; filters, variants and joins among them are not for here.

    Returns:
        None when they do nothing to keys.
    """
    steps = _compile(statements, patterns)
    return Content(steps) if steps else None


def _compile(statements: Iterable[Statement], patterns: Patterns) -> tuple[Step, ...]:
    steps: list[Step] = []
    for one in statements:
        if isinstance(one, Condition):
            inner = _compile(one.body, patterns)
            if inner:
                steps.append(Guarded(patterns.test(one.filter), one.negative, inner))
        elif isinstance(one, Assign | Delete | Suffix):
            steps.append(one)
    return tuple(steps)


def _runs(steps: tuple[Step, ...]) -> int:
    runs = 0
    for one in steps:
        if isinstance(one, Guarded):
            runs |= one.test.runs | _runs(one.steps)
    return runs


def _applying(steps: tuple[Step, ...], found: int) -> Iterator[Plain]:
    for one in steps:
        if not isinstance(one, Guarded):
            yield one
        elif one.test.holds(found) != one.negative:
            yield from _applying(one.steps, found)


def _put_together(statements: Iterable[Plain]) -> tuple[Item, ...]:
    items: list[Item] = []
    for one in statements:
        last = items[-1] if items else None
        patch = last if isinstance(last, dict) else {}
        if isinstance(one, Assign) and _is_known(one, patch):
            operation_of(one).apply(patch, _NO_NAMES)  # type: ignore[arg-type]
            if patch is not last:
                items.append(patch)
        else:
            items.append(operation_of(one))
    return tuple(items)


_NO_NAMES = Names({})


def _is_known(one: Assign, patch: dict[str, str]) -> bool:
    """Whether what it comes to follows from the assignments just before."""
    if one.operator.startswith("?") or (one.operator != "=" and one.key not in patch):
        return False
    return all(key in patch for key in Value(one.value).needs())


def apply(items: Iterable[Item], keys: Keys, names: Names) -> None:
    """Change keys in the order of the items."""
    for item in items:
        if type(item) is dict:
            keys.update(item)
        else:
            item.apply(keys, names)  # type: ignore[union-attr]


def constraints_in(
    statements: Iterable[Statement], patterns: Patterns, guards: tuple[tuple[Test, bool], ...] = ()
) -> Iterator[tuple[Only, tuple[tuple[Test, bool], ...]]]:
    """Find `only` and `no`, those in conditions too.

    Yields:
        The statement, and what must not be true all together: (test, what it comes to).
    """
    for one in statements:
        if isinstance(one, Only):
            yield one, (*guards, (patterns.test(one.filter), one.negative))
        elif isinstance(one, Condition):
            inner = (*guards, (patterns.test(one.filter), not one.negative))
            yield from constraints_in(one.body, patterns, inner)
