# SPDX-License-Identifier: Apache-2.0
"""Round trips that captures show: echo requests and their replies, TCP and its acknowledgements.

Measured where it was captured: from what an interface sends to what it receives. What TCP
sent twice is left out, since nobody can say which of them was acknowledged (Karn).

Source: RFC 792 (echo), RFC 6298 section 3 (Karn's algorithm).
"""

from __future__ import annotations

from typing import Any

from windtunnel.report.run.numbers import thinned
from windtunnel.report.run.packets import Captured, Sight
from windtunnel.report.text import shown_name
from windtunnel.wire.headers import Headers
from windtunnel.wire.pcapng import Direction

CURVES_MAX = 100
"""In a page; those with the most round trips are kept."""

_HALF = 1 << 31
_WRAP = 1 << 32
_REQUEST, _REPLY = "echo request", "echo reply"


def round_trips_of(captured: Captured) -> tuple[list[dict[str, Any]], int]:
    """Give the curves of round trips, and how many curves were left out.

    Each is `{"name": "client:eth0, icmp to 10.0.0.2", "count": …, "points": points}`, in
    nanoseconds, each at the time of the answer.
    """
    values: dict[str, list[tuple[int, int]]] = {}
    for sights in captured.sights.values():
        for name, found in _of_capture(sights).items():
            values.setdefault(name, []).extend(found)
    names = sorted(values, key=lambda name: (-len(values[name]), name))
    curves = [
        {
            "name": shown_name(name),
            "count": len(values[name]),
            "points": thinned(sorted(values[name])),
        }
        for name in names[:CURVES_MAX]
    ]
    return curves, max(len(names) - CURVES_MAX, 0)


def _of_capture(sights: list[Sight]) -> dict[str, list[tuple[int, int]]]:
    echoes: dict[tuple[Any, ...], int] = {}
    streams: dict[tuple[Any, ...], _Stream] = {}
    values: dict[str, list[tuple[int, int]]] = {}
    for sight in sights:
        headers = sight.headers
        there = (sight.interface, headers.source, headers.target)
        back = (sight.interface, headers.target, headers.source)
        took_ns = None
        if headers.echo is not None:
            if headers.message == _REQUEST and sight.direction is Direction.OUT:
                echoes.setdefault((*there, headers.echo), sight.time_ns)
            elif headers.message == _REPLY and sight.direction is Direction.IN:
                sent_ns = echoes.pop((*back, headers.echo), None)
                took_ns = None if sent_ns is None else sight.time_ns - sent_ns
        elif headers.tcp_sequence is not None:
            if sight.direction is Direction.OUT:
                key = (*there, headers.source_port, headers.target_port)
                streams.setdefault(key, _Stream()).sent(headers, sight.time_ns)
            elif sight.direction is Direction.IN:
                key = (*back, headers.target_port, headers.source_port)
                if key in streams:
                    took_ns = streams[key].acknowledged(headers, sight.time_ns)
        if took_ns is not None:
            name = f"{sight.interface}, {headers.protocol} to {headers.source}"
            values.setdefault(name, []).append((sight.time_ns, took_ns))
    return values


class _Stream:
    """What one end of a connection has sent and nobody acknowledged yet."""

    def __init__(self) -> None:
        self._sent: dict[int, int] = {}  # end of a segment -> when it was sent
        self._highest: int | None = None

    def sent(self, headers: Headers, time_ns: int) -> None:
        """Take a segment; one that was sent before makes all that waits ambiguous."""
        assert headers.tcp_sequence is not None
        size = (headers.payload_bytes or 0) + ("S" in headers.flags) + ("F" in headers.flags)
        if not size:
            return
        end = (headers.tcp_sequence + size) % _WRAP
        if self._highest is not None and not _after(end, self._highest):
            self._sent.clear()
            return
        self._highest = end
        self._sent[end] = time_ns

    def acknowledged(self, headers: Headers, time_ns: int) -> int | None:
        """Take an acknowledgement; give how long the newest that it covers took."""
        upto = headers.tcp_acknowledged
        if upto is None:
            return None
        covered = [end for end in self._sent if not _after(end, upto)]
        sent_ns = None
        for end in covered:  # in the order of sending
            sent_ns = self._sent.pop(end)
        # Only what it acknowledges exactly was surely what caused it.
        return None if sent_ns is None or covered[-1] != upto else time_ns - sent_ns


# Numbers go round: one is after another if it is less than half of all numbers ahead.
def _after(one: int, other: int) -> bool:
    return 0 < (one - other) % _WRAP < _HALF
