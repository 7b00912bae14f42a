# SPDX-License-Identifier: Apache-2.0
"""Run folders for tests of a run's page: written by the real writer, without a kernel."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from windtunnel.model.event import Event
from windtunnel.store.run_dir import RunWriter
from windtunnel.wire import pcapng
from windtunnel.wire.pcapng import Direction

CLOCK_NS = 1_893_456_000_000_000_000  # 2030-01-01T00:00:00Z
S = 1_000_000_000
MS = 1_000_000

LAB = """\
name: pair
clock: "2030-01-01T00:00:00Z"
stop: 20 s
nodes: {a: {}, b: {}, c: {}}
links:
  - {name: a-b, endpoints: [a:eth0, b:eth0], ip: [10.0.0.1/24, 10.0.0.2/24], delay: 5 ms}
  - {name: b-c, endpoints: [b:eth1, c:eth0], ip: [10.0.1.1/24, 10.0.1.2/24]}
run:
  - {name: server, node: b, cmd: serve}
faults:
  - {name: cut, at: 2 s, for: 4 s, link: a-b, down: true}
  - {name: split, at: 4 s, for: 4 s, partition: [[a], [b, c]]}
  - {name: bad, at: 5 s, for: 1 s, link: b-c, degrade: {loss: 10%}}
  - {name: freeze, at: 3 s, for: 1 s, node: c, pause: true}
steps:
  - {name: ready, at: 1 s, node: a, wait_for: "true", within: 5 s}
"""

MANIFEST = {
    "windtunnel": "0.1.0",
    "seed": 7,
    "kernel": {"release": "7.3.4"},
    "stop_ns": 20 * S,
    "repeat": "windtunnel replay runs/pair/0001",
}

CONSOLE = """\
<6>[    0.000000][    T0] Linux version 7.3
<6>[   10.000002][   T12] eth0: link up
<4>[   11.000000][   T12] BUG: kernel NULL pointer dereference, address: 0000000000000008
"""

NASTY = "</script></style><img src=x onerror=alert(1)><b>\x1b[31m\u2028 & \"'` {{ 7*7 }}"


def fault(time_ns: int, name: str, phase: str, **fields) -> Event:
    return Event(
        time_ns, 0, "fault", "", {"name": name, "of": "x", "target": "t", "phase": phase, **fields}
    )


def link(time_ns: int, name: str, change) -> Event:
    return Event(time_ns, 0, "link", "", {"link": name, "change": change})


def check(time_ns: int, name: str, passed: bool, **fields) -> Event:
    more = {"at_ns": time_ns, "took_ns": 0, "judged": True, "message": "", "of": "step", **fields}
    return Event(time_ns, 0, "check", "a", {"name": name, "passed": passed, **more})


def counters(time_ns: int, node: str, received: int, sent: int) -> Event:
    interfaces = [
        {"name": "lo", "rx_bytes": 10**9, "tx_bytes": 10**9},
        {"name": "eth0", "rx_bytes": received, "tx_bytes": sent},
    ]
    return Event(time_ns, 0, "counters", node, {"interfaces": interfaces, "processes": []})


def process(node: str, name: str, start_ns: int, end_ns: int, status: int = 0) -> list[Event]:
    return [
        Event(
            start_ns, 0, "process-start", node, {"process": name, "command": "run it", "pid": 12}
        ),
        Event(
            end_ns,
            0,
            "process-exit",
            node,
            {"process": name, "outcome": "exited", "status": status, "user_ns": 0, "system_ns": 0},
        ),
    ]


EVENTS = (
    Event(0, 0, "lab-begin", "", {"lab": "pair", "seed": 7, "kernel_ns": 10 * S}),
    *process("b", "server", 0, 15 * S, status=3),
    *process("a", "ready", 1 * S, 1 * S + 1, status=1),
    *process("a", "ready.2", 2 * S, 2 * S + 1),
    check(2 * S + 1, "ready", True),
    fault(2 * S, "cut", "begin"),
    link(2 * S, "a-b", "down"),
    fault(3 * S, "freeze", "begin"),
    fault(4 * S, "freeze", "end"),
    fault(4 * S, "split", "begin"),
    fault(5 * S, "bad", "begin"),
    link(5 * S, "b-c", "impairment"),
    link(6 * S, "b-c", "impairment"),
    fault(6 * S, "bad", "end"),
    fault(6 * S, "cut", "end"),
    link(8 * S, "a-b", "up"),
    fault(8 * S, "split", "end"),
    counters(10 * S, "a", 1_250_000, 0),
    counters(20 * S, "a", 3_750_000, 10),
    check(12 * S, "it answers", False, of="validate", message="no answer"),
    Event(20 * S, 0, "lab-end", "", {"passed": False}),
)


def in_order(events: Iterable[Event]) -> list[Event]:
    """By time, numbered, as a run writes them."""
    ordered = sorted(events, key=lambda event: event.time_ns)
    return [
        Event(event.time_ns, number, event.kind, event.node, event.fields)
        for number, event in enumerate(ordered)
    ]


def ethernet(kind: int, rest: bytes) -> bytes:
    return bytes.fromhex("020000000002 020000000001") + kind.to_bytes(2, "big") + rest


def ipv4(protocol: int, source: str, target: str, rest: bytes) -> bytes:
    ends = b"".join(bytes(map(int, one.split("."))) for one in (source, target))
    head = b"\x45\0" + (20 + len(rest)).to_bytes(2, "big") + bytes(4) + bytes([64, protocol, 0, 0])
    return ethernet(0x0800, head + ends + rest)


def echo(source: str, target: str, sequence: int, *, reply: bool = False) -> bytes:
    rest = bytes([0 if reply else 8, 0, 0, 0, 0, 1]) + sequence.to_bytes(2, "big")
    return ipv4(1, source, target, rest)


def tcp(
    source: str, target: str, *, seq: int, ack: int | None = None, size: int = 0, flags: int = 0
) -> bytes:
    """A segment from or to port 80 of the one whose address ends in 2."""
    ports = [4000, 80] if target.endswith("2") else [80, 4000]
    rest = b"".join(port.to_bytes(2, "big") for port in ports)
    rest += seq.to_bytes(4, "big") + (ack or 0).to_bytes(4, "big")
    rest += bytes([0x50, flags | (16 if ack is not None else 0)]) + bytes(6) + bytes(size)
    return ipv4(6, source, target, rest)


def capture(*seen: tuple[int, int, bytes, bool], comment: str = "") -> bytes:
    """A capture of the link a-b: time, which end (0 or 1), frame, whether it was sent."""
    data = [pcapng.section_header(), pcapng.interface("a:eth0"), pcapng.interface("b:eth0")]
    for time_ns, end, frame, sent in seen:
        way = Direction.OUT if sent else Direction.IN
        data.append(pcapng.packet(end, CLOCK_NS + time_ns, frame, direction=way, comment=comment))
    return b"".join(data)


A, B = "10.0.0.1", "10.0.0.2"
PINGS = (
    (S, 0, echo(A, B, 1), True),
    (S + 5 * MS, 1, echo(A, B, 1), False),
    (S + 5 * MS, 1, echo(B, A, 1, reply=True), True),
    (S + 10 * MS, 0, echo(B, A, 1, reply=True), False),
    (2 * S, 0, echo(A, B, 2), True),
)


def record(
    base: Path,
    events: Iterable[Event] = EVENTS,
    *,
    captures: dict[str, bytes] | None = None,
    outputs: dict[tuple[str, str], bytes] | None = None,
    lab_text: str = LAB,
    console: str = CONSOLE,
    state: str = "failed",
    lab: str = "pair",
    finding: str | None = None,
) -> Path:
    """Record a whole run."""
    with RunWriter.create(
        base, lab=lab, lab_text=lab_text, source_text=None, manifest=MANIFEST
    ) as writer:
        for event in in_order(events):
            writer.event(event)
        if console:
            writer.console_path.write_text(console)
        for name, data in (captures or {}).items():
            writer.append_file(f"{name}.pcapng", data)
        for (node, name), data in (outputs or {}).items():
            writer.output(node, name).write(data, stderr=False)
        summary = {"end_ns": 20 * S, "finding": finding, "host": {"wall_host_s": 1.5}}
        writer.finish(state, summary=summary)
    return writer.path
