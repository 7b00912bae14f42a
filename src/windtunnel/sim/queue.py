# SPDX-License-Identifier: Apache-2.0
"""What waits at the end of a link, and when each packet comes out at the other.

`DelayLine` is netem's queue: its limit counts all that has not arrived, and the
rate comes after the delay. `RateBuffer` is the buffer before a slow line: its
limit counts what waits for its turn, and RED or CoDel may drop before that.
Both know a packet's fate when it comes, so nothing has to be done later.

Source: sch_netem.c, netem_enqueue().
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from heapq import heappop, heappush

from windtunnel.model.impairment import Buffer, Impairment
from windtunnel.sim.discipline import Drop, make_discipline

SECOND_NS = 1_000_000_000
LIMIT_PACKETS = 1000
"""netem's limit, where the lab has none."""


def rate_bytes_per_s(rate_bps: int) -> int:
    """A rate in netem's unit."""
    return max(rate_bps // 8, 1)


class DelayLine:
    """netem's queue.

    Attributes:
        last_ns: when the last packet comes out of it.
        most_packets: the most that were in it.
    """

    __slots__ = ("_limit", "_rate", "_waiting", "last_ns", "most_packets")

    def __init__(self, impairment: Impairment) -> None:
        self._waiting: list[int] = []  # a heap of the times when they come out
        self.last_ns = 0
        self.most_packets = 0
        self.change(impairment)

    def change(self, impairment: Impairment) -> None:
        """Change limit and rate; what is in it stays as it is."""
        limit, rate = impairment.queue_packets, impairment.rate_bps
        self._limit = LIMIT_PACKETS if limit is None else limit
        self._rate = 0 if rate is None else rate_bytes_per_s(rate)

    def empty(self) -> None:
        """Lose all that is in it."""
        self._waiting.clear()
        self.last_ns = 0

    def refuse(self, now_ns: int, size_bytes: int) -> Drop | None:  # noqa: ARG002 - as a RateBuffer
        """Say why a packet of that size cannot enter, if so."""
        waiting = self._waiting
        while waiting and waiting[0] <= now_ns:
            heappop(waiting)
        return None if len(waiting) < self._limit else Drop.QUEUE

    def place(self, now_ns: int, size_bytes: int, delay_ns: int) -> int:
        """Put a packet in; returns when it comes out, which may be in the past."""
        time_ns = now_ns + delay_ns
        last_ns = self.last_ns
        if self._rate:
            if time_ns < last_ns > now_ns:
                # the delay went by while it stood behind the last one
                time_ns = last_ns
            time_ns += size_bytes * SECOND_NS // self._rate
        if time_ns > last_ns:
            self.last_ns = time_ns
        waiting = self._waiting
        heappush(waiting, time_ns)
        self.most_packets = max(self.most_packets, len(waiting))
        return time_ns

    def overtake(self, now_ns: int, size_bytes: int) -> int:  # noqa: ARG002 - as a RateBuffer
        """Let a packet pass all that is in it, and the rate: it comes out at once."""
        return now_ns


class RateBuffer:
    """The buffer before a line of some rate; the delay comes after.

    Attributes:
        last_ns: when the last packet comes out at the end of the line.
        most_packets: the most that waited for their turn.
    """

    __slots__ = (
        "_buffer",
        "_bytes",
        "_discipline",
        "_free_ns",
        "_limit_bytes",
        "_limit_packets",
        "_numbers",
        "_rate",
        "_waiting",
        "last_ns",
        "most_packets",
    )

    def __init__(self, impairment: Impairment, numbers: Iterator[int]) -> None:
        """Make an empty one.

        Args:
            impairment: with `buffer` and `rate_bps`.
            numbers: what RED draws from.
        """
        self._numbers = numbers
        self._waiting: deque[tuple[int, int]] = deque()  # when its turn comes, its size
        self._bytes = 0
        self._free_ns = 0
        self._rate = 0
        self._buffer: Buffer | None = None
        self.last_ns = 0
        self.most_packets = 0
        self.change(impairment)

    def change(self, impairment: Impairment) -> None:
        """Change limit, rate and discipline; what is in it stays as it is."""
        buffer = impairment.buffer
        assert buffer is not None, "without a buffer it is a DelayLine"
        assert impairment.rate_bps is not None, "check.py wants a rate for a buffer"
        self._limit_bytes = buffer.limit_bytes
        self._limit_packets = buffer.limit_packets
        is_new = self._buffer is None or buffer.discipline != self._buffer.discipline
        rate = rate_bytes_per_s(impairment.rate_bps)
        if is_new or rate != self._rate:
            self._discipline = make_discipline(buffer.discipline, rate, self._numbers)
        self._buffer = buffer
        self._rate = rate

    def empty(self) -> None:
        """Lose all that is in it."""
        self._waiting.clear()
        self._bytes = self._free_ns = self.last_ns = 0

    def refuse(self, now_ns: int, size_bytes: int) -> Drop | None:
        """Say why a packet of that size cannot enter, if so."""
        waiting = self._waiting
        while waiting and waiting[0][0] <= now_ns:
            self._bytes -= waiting.popleft()[1]
        if self._discipline is not None:
            reason = self._discipline.refuse(now_ns, self._free_ns, self._bytes)
            if reason is not None:
                return reason
        if self._free_ns <= now_ns:
            return None
        if self._limit_bytes is not None:
            return None if self._bytes + size_bytes <= self._limit_bytes else Drop.QUEUE
        assert self._limit_packets is not None, "a buffer has one of two limits"
        return None if len(waiting) < self._limit_packets else Drop.QUEUE

    def place(self, now_ns: int, size_bytes: int, delay_ns: int) -> int:
        """Put a packet in; returns when it comes out at the end of the line."""
        time_ns = self.overtake(now_ns, size_bytes) + delay_ns
        # as with netem, packets that wait for a rate do not pass each other
        self.last_ns = max(time_ns, self.last_ns)
        return self.last_ns

    def overtake(self, now_ns: int, size_bytes: int) -> int:
        """Put a packet in that has no delay; it waits for its turn all the same."""
        start_ns = self._free_ns
        if start_ns > now_ns:
            self._waiting.append((start_ns, size_bytes))
            self._bytes += size_bytes
            self.most_packets = max(self.most_packets, len(self._waiting))
        else:
            start_ns = now_ns
        self._free_ns = start_ns + size_bytes * SECOND_NS // self._rate
        return self._free_ns
