# SPDX-License-Identifier: Apache-2.0
"""Make what fails smaller: which items does a failure need, and how much of a number?

These generators ask and are told, and run nothing themselves. Each yields a
batch of candidates, the best first, and is sent the index of the first one that
fails, or None if none does. What comes after the first that fails is neither
looked at nor counted. So whoever runs a batch may try several candidates at the
same time and comes to the same end as one who tries them one by one.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from itertools import pairwise

WAYS = 4
"""Into how many parts `least` cuts: three candidates at once keep two or three jobs busy."""


@dataclass(frozen=True, slots=True)
class Fewest:
    """What `fewest` comes to.

    Attributes:
        kept: the indices of the items that are left, in order.
        trials: how many candidates were tried.
        complete: whether none of these items can be left out; False when the
            limit came first.
    """

    kept: tuple[int, ...]
    trials: int
    complete: bool


@dataclass(frozen=True, slots=True)
class Least:
    """What `least` comes to.

    Attributes:
        value: the smallest one known to fail.
        trials: how many candidates were tried.
        complete: whether the search came to its end; False when the limit came first.
    """

    value: int
    trials: int
    complete: bool


Indices = tuple[int, ...]


def fewest(count: int, *, limit: int) -> Generator[tuple[Indices, ...], int | None, Fewest]:
    """Find a part of `count` items that still fails and none of which can be left out.

    First it is tried whether the failure needs any item at all; then ddmin halves,
    quarters and so on (Zeller, Hildebrandt, "Simplifying and Isolating
    Failure-Inducing Input", IEEE Transactions on Software Engineering 28(2), 2002).
    No candidate is tried twice.

    Args:
        count: of the items; all of them together are known to fail.
        limit: how many candidates may be tried.

    Yields:
        Candidates, each as the indices of the items in it, in order.
    """
    kept: Indices = tuple(range(count))
    passing: set[Indices] = {kept}  # never to be tried; all of them together fail, of course
    trials = 0
    parts: list[Indices] = [()]
    while True:
        wanted = dict.fromkeys([*parts, *(_without(kept, part) for part in parts)])
        batch = tuple(candidate for candidate in wanted if candidate not in passing)
        asked = batch[: limit - trials]
        first = (yield asked) if asked else None
        trials += len(asked) if first is None else first + 1
        passing.update(asked[:first])
        if first is not None:
            is_part = asked[first] in parts
            pieces = 2 if is_part else max(len(parts) - 1, 2)
            kept = asked[first]
            passing.add(kept)
        elif len(asked) < len(batch):
            return Fewest(kept, trials, complete=False)
        else:
            pieces = 2 * len(parts)
            if len(parts) >= len(kept):
                return Fewest(kept, trials, complete=True)
        if not kept:
            return Fewest(kept, trials, complete=True)
        parts = _split(kept, min(pieces, len(kept)))


def _split(items: Indices, pieces: int) -> list[Indices]:
    cuts = [len(items) * piece // pieces for piece in range(pieces + 1)]
    return [items[begin:end] for begin, end in pairwise(cuts)]


def _without(items: Indices, part: Indices) -> Indices:
    return tuple(item for item in items if item not in part)


def least(
    low: int, high: int, *, grain: int, limit: int
) -> Generator[tuple[int, ...], int | None, Least]:
    """Find a small number that still fails.

    Where larger numbers than one that fails fail too, it is the smallest but for
    `grain`. Otherwise it is one that fails.

    Args:
        low: smaller than every number that is to be tried.
        high: known to fail.
        grain: every number that is tried is a multiple of it, more than 0.
        limit: how many numbers may be tried.

    Yields:
        Numbers, ascending.
    """
    below, value, trials = low // grain, high, 0
    while True:
        # All that could be tried: multiples of the grain above `below` and under `value`.
        room = -(-value // grain) - below
        steps = sorted({below + room * way // WAYS for way in range(1, WAYS)})
        batch = tuple(step * grain for step in steps if step > below and low < step * grain)
        asked = batch[: limit - trials]
        if not batch:
            return Least(value, trials, complete=True)
        if not asked:
            return Least(value, trials, complete=False)
        first = yield asked
        trials += len(asked) if first is None else first + 1
        if first is None:
            below = asked[-1] // grain
            if len(asked) < len(batch):
                return Least(value, trials, complete=False)
        else:
            value = asked[first]
            below = asked[first - 1] // grain if first else below


def readable_grain(value: int) -> int:
    """Choose steps for `least` that are at most a hundredth of a number, and read well.

    Returns:
        The largest power of ten that is at most a hundredth of `value`; 1 at least.
    """
    return max(10 ** (len(str(value)) - 3), 1) if value > 0 else 1
