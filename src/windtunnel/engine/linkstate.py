# SPDX-License-Identifier: Apache-2.0
"""What a link does now, computed from all that is done to it. Pure.

The lab, its steps and a program set a link's base. Faults put holds on top of
it, each under a key of its own, and take them away in any order: what the link
then does follows from the base and the holds that are left, never from a memory
of how it was before.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, replace

from windtunnel.model.impairment import Impairment

Pair = tuple[Impairment, Impairment]
"""What is done to the packets of the first end, and of the second."""


@dataclass(frozen=True, slots=True)
class LinkState:
    """What a link does.

    Attributes:
        up: whether its cable is in.
        impairments: what it does to packets.
    """

    up: bool
    impairments: Pair


@dataclass(frozen=True, slots=True)
class Hold:
    """What one fault does to a link as long as it holds.

    Attributes:
        cut: its cable is out.
        lost: whether all that the first end sends is lost, and the second.
        impairments: instead of the base's; None leaves those.
    """

    cut: bool = False
    lost: tuple[bool, bool] = (False, False)
    impairments: Pair | None = None


def effective(base: LinkState, holds: Iterable[Hold]) -> LinkState:
    """Lay holds over a base.

    A cable is in if the base has it in and no hold cuts it; an end's packets
    are lost if any hold loses them; of several impairments the latest counts.

    Args:
        base: without any hold.
        holds: in the order in which they began.
    """
    up, impairments, lost = base.up, base.impairments, (False, False)
    for hold in holds:
        up = up and not hold.cut
        impairments = hold.impairments or impairments
        lost = (lost[0] or hold.lost[0], lost[1] or hold.lost[1])
    return LinkState(up, (_losing(impairments[0], lost[0]), _losing(impairments[1], lost[1])))


def _losing(impairment: Impairment, lost: bool) -> Impairment:
    return replace(impairment, loss=1.0) if lost else impairment


@dataclass(frozen=True, slots=True)
class LinkRecord:
    """All that is done to a link.

    Attributes:
        base: what it does without faults.
        holds: each fault's key and what it does, in the order in which they began.
    """

    base: LinkState
    holds: tuple[tuple[Hashable, Hold], ...] = ()

    @property
    def effective(self) -> LinkState:
        """What the link does now."""
        return effective(self.base, (hold for _, hold in self.holds))

    def held(self, key: Hashable) -> Hold:
        """What `key` does to it; an empty hold if nothing."""
        return dict(self.holds).get(key, Hold())

    def with_base(self, base: LinkState) -> LinkRecord:
        """The record with another base."""
        return replace(self, base=base)

    def with_hold(self, key: Hashable, hold: Hold) -> LinkRecord:
        """The record with a hold on top; it replaces an older one of the same key."""
        return replace(self, holds=(*self.without(key).holds, (key, hold)))

    def without(self, key: Hashable) -> LinkRecord:
        """The record without a key's hold."""
        return replace(self, holds=tuple(pair for pair in self.holds if pair[0] != key))
