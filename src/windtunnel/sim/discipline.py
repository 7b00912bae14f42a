# SPDX-License-Identifier: Apache-2.0
"""What drops packets before a buffer is full: random early detection, and CoDel.

Both are asked once for each packet, when it comes. RED decides then anyway.
CoDel decides when a packet's turn comes; that time is known when it comes,
because all before it have their turn. What is not known then is how much will
wait behind it, so what waits in front of it stands for that.

Source: include/net/red.h and sch_red.c of Linux 7.3; iproute2, tc/tc_red.c; RFC 8289.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from math import isqrt
from typing import Protocol

from windtunnel.model.impairment import CoDel, Red
from windtunnel.sim.streams import U32_MAX

SECOND_NS = 1_000_000_000

AVERAGE_PACKET_BYTES = 1000
"""What tc-red(8) calls avpkt, with the value that its examples have."""

# RFC 8289, MAXPACKET: what a single packet makes wait is no standing queue.
_PACKET_BYTES_MAX = 1514
# RFC 8289: how many intervals later a link begins to drop where it left off.
_RECENT_INTERVALS = 16


class Drop(Enum):
    """Why a link lost a packet; the value is for people, in captures and events."""

    LOSS = "loss"
    QUEUE = "queue full"
    RED = "red"
    CODEL = "codel"
    CUT = "cable out"
    SIZE = "larger than the mtu"
    RUNT = "shorter than an Ethernet header"


class Discipline(Protocol):
    """Asked for each packet that comes to a buffer."""

    def refuse(self, now_ns: int, free_ns: int, waiting_bytes: int) -> Drop | None:
        """Say why the packet is dropped, if so.

        Args:
            now_ns: when it comes.
            free_ns: when all before it have been sent; in the past when the line idles.
            waiting_bytes: what waits before it, without what is being sent.
        """


def make_discipline(
    discipline: Red | CoDel | None, rate: int, numbers: Iterator[int]
) -> Discipline | None:
    """Make the discipline of a buffer; None for the limit alone.

    Args:
        discipline: its settings.
        rate: of the line, bytes a second.
        numbers: RED takes one of 32 bits now and then.
    """
    match discipline:
        case Red():
            return _Red(discipline, rate, numbers)
        case CoDel():
            return _CoDel(discipline)
        case None:
            return None


class _Red:
    """RED by the kernel's own arithmetic.

    Only the average after an idle time comes from the formula itself, which the
    kernel has a table for: average * (1 - w) ** (idle time / time of a packet).
    """

    __slots__ = (
        "_average",
        "_count",
        "_log",
        "_max",
        "_min",
        "_numbers",
        "_packet_ns",
        "_slope",
        "_threshold",
    )

    def __init__(self, red: Red, rate: int, numbers: Iterator[int]) -> None:
        self._log = _weight_log(red)
        self._min = red.min_bytes << self._log
        self._max = red.max_bytes << self._log
        width = red.max_bytes - red.min_bytes
        self._slope = max(round(red.probability * U32_MAX) // width, 1)
        self._packet_ns = max(AVERAGE_PACKET_BYTES * SECOND_NS // rate, 1)
        self._numbers = numbers
        self._average = 0  # with `_log` binary places
        self._count = -1  # packets since the last drop; -1 below the minimum
        self._threshold = 0

    def refuse(self, now_ns: int, free_ns: int, waiting_bytes: int) -> Drop | None:
        if free_ns < now_ns:
            self._fade((now_ns - free_ns) // self._packet_ns)
        else:
            self._average += waiting_bytes - (self._average >> self._log)
        if self._average < self._min:
            self._count = -1
            return None
        if self._average >= self._max:
            self._count = -1
            return Drop.RED
        self._count += 1
        if self._count:
            above = (self._average - self._min) >> self._log
            if above * self._count < self._threshold:
                return None
            self._count = 0
            self._threshold = next(self._numbers) // self._slope
            return Drop.RED
        self._threshold = next(self._numbers) // self._slope
        return None

    def _fade(self, packets: int) -> None:
        """Let the average become what `packets` into an empty queue would have made it."""
        if packets >= 64 << self._log:  # nothing of 32 bits is left after that
            self._average = 0
            return
        factor, power = (1 << 32) - (1 << (32 - self._log)), 1 << 32
        while packets:
            if packets & 1:
                power = power * factor >> 32
            factor = factor * factor >> 32
            packets >>= 1
        self._average = self._average * power >> 32


def _weight_log(red: Red) -> int:
    """The weight of one packet in the average, as a power of a half: tc_red_eval_ewma()."""
    burst = max((2 * red.min_bytes + red.max_bytes) // (3 * AVERAGE_PACKET_BYTES), 1)
    wanted = max((burst + 1) * AVERAGE_PACKET_BYTES - red.min_bytes, AVERAGE_PACKET_BYTES)
    for log in range(1, 32):
        # wanted / avpkt <= (1 - (1 - w) ** burst) / w, in whole numbers
        one, rest = 1 << (log * burst), ((1 << log) - 1) ** burst
        if wanted * one <= AVERAGE_PACKET_BYTES * ((one - rest) << log):
            return log
    return 31


class _CoDel:
    """CoDel, its square root exact: interval / sqrt(count)."""

    __slots__ = (
        "_above_ns",
        "_count",
        "_drop_next_ns",
        "_interval_ns",
        "_is_dropping",
        "_last_count",
        "_target_ns",
    )

    def __init__(self, codel: CoDel) -> None:
        self._target_ns = codel.target_ns
        self._interval_ns = codel.interval_ns
        self._above_ns: int | None = None  # when it is above for an interval
        self._is_dropping = False
        self._drop_next_ns = 0
        self._count = 0
        self._last_count = 0

    def refuse(self, now_ns: int, free_ns: int, waiting_bytes: int) -> Drop | None:
        if free_ns <= now_ns:  # the queue has run empty
            self._above_ns = None
            self._is_dropping = False
            return None
        if free_ns - now_ns < self._target_ns or waiting_bytes <= _PACKET_BYTES_MAX:
            self._above_ns = None
            self._is_dropping = False
            return None
        if self._above_ns is None:
            self._above_ns = free_ns + self._interval_ns
        is_over = free_ns > self._above_ns
        if not is_over:
            self._is_dropping = False
            return None
        if self._is_dropping:
            if free_ns < self._drop_next_ns:
                return None
            self._count += 1
            self._drop_next_ns = self._after(self._drop_next_ns)
            return Drop.CODEL
        self._begin(free_ns)
        return Drop.CODEL

    def _begin(self, time_ns: int) -> None:
        """Begin to drop, as often as when it ended if that was lately."""
        grown = self._count - self._last_count
        is_lately = time_ns - self._drop_next_ns < _RECENT_INTERVALS * self._interval_ns
        self._count = grown if grown > 1 and is_lately else 1
        self._last_count = self._count
        self._is_dropping = True
        self._drop_next_ns = self._after(time_ns)

    def _after(self, time_ns: int) -> int:
        return time_ns + max(isqrt(self._interval_ns**2 // self._count), 1)
