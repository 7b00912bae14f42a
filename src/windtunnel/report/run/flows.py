# SPDX-License-Identifier: Apache-2.0
"""Flows among captured packets, and the ladder of each: who sent what to whom, and when."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from windtunnel.report.run.packets import Captured, Passage
from windtunnel.report.text import shown_line, shown_name
from windtunnel.wire.headers import Headers

FLOWS_MAX = 100
"""With a ladder in a page; the largest are kept."""

ROWS_MAX = 200
"""Of one ladder: its beginning and its end."""

ALL_ROWS_MAX = 8_000
"""Of all ladders."""

_LAST_ROWS = 50
_WRAP = 1 << 32
_BY_ADDRESS = frozenset({"tcp", "udp", "sctp", "icmp", "icmpv6"})


@dataclass(slots=True)
class Flow:
    """Packets that belong together.

    Attributes:
        name: "tcp 10.0.0.1:80 ↔ 10.0.0.2:4000", "ospf on r1-r2".
        passages: in the order of time.
        first_sequence: of TCP, by sender: what its numbers are counted from.
    """

    name: str
    passages: list[Passage] = field(default_factory=list)
    first_sequence: dict[str, int] = field(default_factory=dict)


def flows_of(captured: Captured) -> list[Flow]:
    """Sort packets into flows, in the order in which these begin."""
    flows: dict[tuple[str, ...], Flow] = {}
    for passage in captured.passages:
        key, name = _key(passage)
        flow = flows.setdefault(key, Flow(name))
        flow.passages.append(passage)
        headers = passage.headers
        if headers.tcp_sequence is not None:
            flow.first_sequence.setdefault(_sender(headers), headers.tcp_sequence)
    return list(flows.values())


def _key(passage: Passage) -> tuple[tuple[str, ...], str]:
    headers = passage.headers
    if headers.protocol not in _BY_ADDRESS:
        return (headers.protocol, passage.capture), shown_line(
            f"{headers.protocol or 'unreadable'} on {passage.capture}"
        )
    one, other = _sender(headers), _endpoint(headers.target, headers.target_port)
    # The name says who began; the key is the same for both ways.
    ends = (min(one, other), max(one, other))
    return (headers.protocol, *ends), f"{headers.protocol} {one} ↔ {other}"


def _sender(headers: Headers) -> str:
    return _endpoint(headers.source, headers.source_port)


def _endpoint(address: str, port: int | None) -> str:
    if port is None:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def flows_json(flows: list[Flow], nodes: tuple[str, ...]) -> dict[str, Any]:
    """Give flows as the page has them.

    Args:
        flows: all.
        nodes: of the lab, in the order in which they stand in a ladder.
    """
    largest = sorted(range(len(flows)), key=lambda at: (-len(flows[at].passages), at))
    kept = sorted(largest[:FLOWS_MAX])
    rows_max = max(min(ROWS_MAX, ALL_ROWS_MAX // max(len(kept), 1)), 2)
    order = {node: at for at, node in enumerate(nodes)}
    return {
        "flows": [_flow(flows[at], order, rows_max) for at in kept],
        "left": len(flows) - len(kept),
    }


def _flow(flow: Flow, order: dict[str, int], rows_max: int) -> dict[str, Any]:
    passages, left = flow.passages, 0
    if len(passages) > rows_max:
        last = min(_LAST_ROWS, rows_max // 2)
        left = len(passages) - rows_max
        passages = [*passages[: rows_max - last], *passages[-last:]]
    names = {name for one in passages for name in (_node(one.source), _node(one.target))} - {""}
    columns = sorted(names, key=lambda name: (order.get(name, len(order)), name))
    place = {name: at for at, name in enumerate(columns)} | {"": -1}
    return {
        "name": flow.name,
        "count": len(flow.passages),
        "left": left,
        "cut": rows_max - min(_LAST_ROWS, rows_max // 2) if left else -1,
        "columns": [shown_name(name) for name in columns],
        "rows": [
            [
                one.sent_ns,
                one.arrived_ns,
                place[_node(one.source)],
                place[_node(one.target)],
                _what(one, flow),
                shown_line(one.comment, characters_max=160),
            ]
            for one in passages
        ],
    }


def _node(interface: str) -> str:
    return interface.rpartition(":")[0] or interface


def _what(passage: Passage, flow: Flow) -> str:
    headers = passage.headers
    if headers.protocol == "tcp" and headers.tcp_sequence is not None:
        return _tcp(headers, flow)
    parts = [headers.message or headers.protocol or "unreadable"]
    if headers.echo is not None:
        parts.append(f"id {headers.echo[0]}, seq {headers.echo[1]}")
    if headers.payload_bytes is not None:
        parts.append(f"{headers.payload_bytes} B")
    elif headers.echo is None and headers.protocol != "arp":
        parts.append(f"{passage.size_bytes} B on the link")
    if headers.protocol not in _BY_ADDRESS | {"arp"} and headers.source:
        parts.append(f"{headers.source} → {headers.target}")
    return ", ".join(parts)


_FLAG_NAMES = {"S": "SYN", "F": "FIN", "R": "RST", "P": "PSH", "A": "ACK", "U": "URG"}


def _tcp(headers: Headers, flow: Flow) -> str:
    assert headers.tcp_sequence is not None
    names = [_FLAG_NAMES[flag] for flag in "SFRPAU" if flag in headers.flags]
    names += [{"E": "ECE", "C": "CWR"}[flag] for flag in "EC" if flag in headers.flags]
    first = flow.first_sequence.get(_sender(headers), 0)
    parts = [" ".join(names), f"seq {(headers.tcp_sequence - first) % _WRAP}"]
    if headers.tcp_acknowledged is not None:
        other = flow.first_sequence.get(_endpoint(headers.target, headers.target_port), 0)
        parts.append(f"ack {(headers.tcp_acknowledged - other) % _WRAP}")
    parts.append(f"{headers.payload_bytes or 0} B")
    return ", ".join(part for part in parts if part)
