# SPDX-License-Identifier: Apache-2.0
"""How much passed each interface, from the counters of a run: bits a second over time.

Between two samples only the mean is known. A counter that is smaller than before began
anew, as after a node's power was off: there the curve has no point.
"""

from __future__ import annotations

from typing import Any

from windtunnel.model.event import Event
from windtunnel.report.run.numbers import Points, thinned
from windtunnel.report.run.record import RunRecord
from windtunnel.report.text import shown_name

INTERFACES_MAX = 400
"""In a page, each with two curves."""

_NS_PER_S = 1_000_000_000
_WAYS = ("rx_bytes", "tx_bytes")


def throughput_of(record: RunRecord) -> tuple[list[dict[str, Any]], int]:
    """Give the curves of all interfaces but loopbacks, and how many were left out.

    Each is `{"name": "r1:eth0", "received": points, "sent": points}`, in bits a second; a
    point stands at the end of the time that it is the mean of, the first at its beginning.
    """
    samples: dict[str, list[tuple[int, int, int]]] = {}
    for event in record.events:
        if event.kind == "counters":
            for name, received, sent in _interfaces(event):
                samples.setdefault(name, []).append((event.time_ns, received, sent))
    order = {node: at for at, node in enumerate(record.nodes)}
    names = sorted(samples, key=lambda name: (order.get(name.partition(":")[0], -1), name))
    curves = [
        {
            "name": shown_name(name),
            "received": _rates([(one[0], one[1]) for one in samples[name]]),
            "sent": _rates([(one[0], one[2]) for one in samples[name]]),
        }
        for name in names[:INTERFACES_MAX]
    ]
    return curves, max(len(names) - INTERFACES_MAX, 0)


def _interfaces(event: Event) -> list[tuple[str, int, int]]:
    interfaces = event.fields.get("interfaces")
    found = []
    for one in interfaces if isinstance(interfaces, list) else []:
        if not isinstance(one, dict) or one.get("name") == "lo":
            continue
        received, sent = (one.get(way) for way in _WAYS)
        if isinstance(received, int) and isinstance(sent, int):
            found.append((f"{event.node}:{one.get('name', '')}", received, sent))
    return found


def _rates(samples: list[tuple[int, int]]) -> Points:
    # Interfaces are made, and have sent nothing, when the lab begins.
    before_ns, before = 0, 0
    rates: list[tuple[int, int]] = []
    for time_ns, count in samples:
        if time_ns > before_ns and count >= before:
            rate = (count - before) * 8 * _NS_PER_S // (time_ns - before_ns)
            if not rates:
                rates.append((before_ns, rate))
            rates.append((time_ns, rate))
        before_ns, before = time_ns, count
    return thinned(rates)
