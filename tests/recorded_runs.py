# SPDX-License-Identifier: Apache-2.0
"""Run folders for tests of tables: written by the real writer, without a kernel."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from windtunnel.model.event import Event
from windtunnel.store.run_dir import RunWriter
from windtunnel.wire import pcapng

CLOCK_NS = 1_893_456_000_000_000_000  # 2030-01-01T00:00:00Z
LAB = 'name: ring\nclock: "2030-01-01T00:00:00Z"\n'
CONSOLE = """\
[    0.000000][    T0] Linux version 6.12
[   10.000000][   T12] eth0: link up
[   11.000000][   T12] BUG: kernel NULL pointer dereference, address: 0000000000000008
"""
MANIFEST = {
    "windtunnel": "0.1.0",
    "seed": 2**64 - 1,
    "kernel": {"release": "6.12.90"},
    "stop_ns": 5_000_000_000,
    "repeat": "windtunnel replay runs/ring/0001",
}
SUMMARY = {"end_ns": 5_000_000_000, "finding": None, "host": {"wall_host_s": 1.5}}
TCP = bytes.fromhex(
    "020000000002020000000001080045000029000000004006000 00a0000010a000002".replace(" ", "")
    + "9c40005000000007000000085018ffff0000000061"
)

EVENTS = (
    Event(0, 0, "lab-begin", "", {"lab": "ring", "seed": 1, "kernel_ns": 10_000_000_000}),
    Event(1, 1, "process-start", "r1", {"process": "zebra", "command": "zebra -d", "pid": 12}),
    Event(2, 2, "fault", "", {"name": "cut", "of": "link-cut", "target": "a-b", "phase": "begin"}),
    Event(
        3,
        3,
        "process-exit",
        "r1",
        {
            "process": "zebra",
            "outcome": "killed",
            "status": 9,
            "user_ns": 5,
            "system_ns": 7,
            "rss_max_bytes": 4096,
            "waits": 2,
            "preemptions": 1,
        },
    ),
    Event(4, 4, "process-start", "r1", {"process": "zebra", "command": "zebra", "pid": 13}),
    Event(5, 5, "fault", "", {"name": "cut", "of": "link-cut", "target": "a-b", "phase": "end"}),
    Event(
        6,
        6,
        "counters",
        "r1",
        {
            "interfaces": [{"name": "eth0", "rx_bytes": 100, "tx_bytes": 50}],
            "processes": [{"name": "zebra", "pid": 13, "waits": 3}],
        },
    ),
    Event(
        7,
        7,
        "check",
        "r1",
        {
            "name": "it pings",
            "of": "validate",
            "passed": False,
            "judged": True,
            "at_ns": 6,
            "took_ns": 1,
            "message": "it exited with 1, not 0",
        },
    ),
    Event(8, 8, "finding", "r2", {"message": "the kernel of r2 is gone"}, "r2"),
    Event(9, 9, "sched", "r1", {"task": "zebra"}, "", "trace"),
)


def begin(base: Path, lab: str = "ring", **manifest) -> RunWriter:
    """Begin a run."""
    return RunWriter.create(
        base, lab=lab, lab_text=LAB, source_text=None, manifest=MANIFEST | manifest
    )


def record(base: Path, events: Iterable[Event] = EVENTS, *, lab: str = "ring") -> Path:
    """Record a whole run, with a console and a capture."""
    with begin(base, lab) as writer:
        for event in events:
            writer.event(event)
        writer.console_path.write_text(CONSOLE)
        writer.append_file("a-b.pcapng", capture("a:eth0", [1000, 3000]))
        writer.append_file("b-lo.pcapng", capture("b:lo", [2000, 3000]))
        writer.finish("failed", summary=SUMMARY)
    return writer.path


def capture(interface: str, times_ns: list[int]) -> bytes:
    """A capture of one interface with equal TCP segments."""
    data = pcapng.section_header() + pcapng.interface(interface, "for people")
    for time_ns in times_ns:
        data += pcapng.packet(
            0, CLOCK_NS + time_ns, TCP, direction=pcapng.Direction.OUT, comment="lost"
        )
    return data


def cell(index: int, state: str, **more) -> str:
    """A line of cells.jsonl."""
    record = {"cell": f"loss={index}%", "index": index, "attempt": 1, "state": state, **more}
    return json.dumps(record) + "\n"
