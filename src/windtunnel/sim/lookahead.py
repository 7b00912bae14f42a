# SPDX-License-Identifier: Apache-2.0
"""How far somebody may go before anybody else can reach him: conservative simulation.

Places (guests, switches) send each other messages that take at least some time.
A place whose next event is at `next_ns` can reach another one no earlier than
that plus the shortest way between them. So every place may go on up to the
least of these sums over all others, at the same time as they do, and no message
can come too late: Chandy and Misra, "Distributed Simulation", IEEE Transactions
on Software Engineering SE-5(5), 1979, with the shortest ways known in advance.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter

from windtunnel.errors import InternalError

FOREVER_NS = 2**63 - 1
"""No bound at all; what a sum of times is cut to."""


class Lookahead:
    """The shortest ways between places that are named by numbers."""

    def __init__(self, ways: Iterable[tuple[int, int, int]] = ()) -> None:
        """Find the shortest ways.

        Args:
            ways: (from, to, least time in ns, more than 0), each in one direction.

        Raises:
            InternalError: a way takes no time: nobody could ever go first.
        """
        following: dict[int, dict[int, int]] = {}
        for source, target, least_ns in ways:
            if least_ns <= 0:
                raise InternalError(f"the way from {source} to {target} takes {least_ns} ns")
            ends = following.setdefault(source, {})
            ends[target] = min(least_ns, ends.get(target, FOREVER_NS))
        self._shortest = {source: _shortest(source, following) for source in following}

    def least_ns(self, source: int, target: int) -> int:
        """How long a message takes at the least; round a circle for a place to itself."""
        return self._shortest.get(source, {}).get(target, FOREVER_NS)

    def bounds_ns(self, next_ns: Mapping[int, int], targets: Sequence[int]) -> list[int]:
        """Up to where each of `targets` may go before another place can reach it.

        Args:
            next_ns: when each place has its next event; those that sleep are absent.
            targets: the places that are asked about.
        """
        # The first ones bound most: once their time is beyond the bound, so is all that follows.
        order = sorted(next_ns.items(), key=_time_of)
        bounds = []
        for target in targets:
            bound_ns = FOREVER_NS
            for source, time_ns in order:
                if time_ns >= bound_ns:
                    break
                if source != target:
                    bound_ns = min(bound_ns, time_ns + self.least_ns(source, target))
            bounds.append(bound_ns)
        return bounds


_time_of = itemgetter(1)


def _shortest(source: int, following: Mapping[int, Mapping[int, int]]) -> dict[int, int]:
    """Dijkstra; the entry of `source` itself is the shortest circle."""
    found: dict[int, int] = {}
    heap = [(least_ns, target) for target, least_ns in following[source].items()]
    heapq.heapify(heap)
    while heap:
        time_ns, place = heapq.heappop(heap)
        if place in found:
            continue
        found[place] = time_ns
        for target, least_ns in following.get(place, {}).items():
            if target not in found:
                heapq.heappush(heap, (time_ns + least_ns, target))
    return found
