# SPDX-License-Identifier: Apache-2.0
"""A stream of random numbers for those who search: few lines, and the same everywhere.

SplitMix64, whose state is a counter. Source: Steele, Lea and Flood, "Fast
splittable pseudorandom number generators", OOPSLA 2014.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from windtunnel.model.seeds import derive

_Item = TypeVar("_Item")
_MASK = 2**64 - 1
_STEP = 0x9E3779B97F4A7C15


class Draw:
    """The stream that belongs to a seed and a name.

    Args:
        seed: 0 to 2**64 - 1.
        names: from the general to the particular.
    """

    def __init__(self, seed: int, *names: str) -> None:
        self._state = derive(seed, *names)

    def below(self, bound: int) -> int:
        """A number from 0 to `bound` - 1, each as likely as the others."""
        self._state = (self._state + _STEP) & _MASK
        word = self._state
        word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & _MASK
        return ((word ^ (word >> 31)) * bound) >> 64

    def pick(self, items: Sequence[_Item]) -> _Item:
        """One of the items, of which there is at least one."""
        return items[self.below(len(items))] if len(items) > 1 else items[0]

    def pick_weighted(self, items: Sequence[int], weights: Sequence[int]) -> int:
        """One of the items, as likely as its weight says.

        Args:
            items: at least one; indexes of `weights`.
            weights: 1 or more.
        """
        point = self.below(sum(weights[item] for item in items))
        for item in items[:-1]:
            point -= weights[item]
            if point < 0:
                return item
        return items[-1]

    def shuffled(self, items: Sequence[_Item]) -> list[_Item]:
        """The items in a random order."""
        mixed = list(items)
        for last in range(len(mixed) - 1, 0, -1):
            other = self.below(last + 1)
            mixed[last], mixed[other] = mixed[other], mixed[last]
        return mixed
