# SPDX-License-Identifier: Apache-2.0
"""The consoles of a run's kernels, and who had which number on each.

Lab time zero is some seconds after a kernel began, and a kernel stamps its lines with
the time since it began. A node with a kernel of its own has a console of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from windtunnel.errors import HostError, ProtocolError
from windtunnel.logs.printk import Confidence, Line, Owners
from windtunnel.logs.reading import KernelLog, read_log
from windtunnel.model.clock import ZERO_NS
from windtunnel.model.event import Event
from windtunnel.store import layout
from windtunnel.store.layout import host_errors
from windtunnel.store.run_reader import RunReader, parse_event
from windtunnel.store.tracefile import trace_file

_PREFIX = "console-"
_SUFFIX = ".log"
_NS_PER_MICRO = 1_000
_PIECE_BYTES = 1 << 20
# machines/guest/frames.c, die(): it exits with 1, which wait(2) writes as 0x100.
_PORT_CLOSED = re.compile(r"agent: (?:reading from|writing to) the port: ")
_AGENT_EXITED = "Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100"
_NAMES_A_TASK = re.compile(rb'"kind":"(?:sched_process_fork|task_rename)"')


@dataclass(frozen=True, slots=True)
class Console:
    """What one kernel of a run printed.

    Attributes:
        node: whose own kernel it is; empty for the kernel that nodes share.
        path: its console's text.
    """

    node: str
    path: Path


def consoles(run: Path) -> tuple[Console, ...]:
    """Give a run's consoles, the shared kernel's first, then by the nodes' names."""
    own = [
        Console(path.name[len(_PREFIX) : -len(_SUFFIX)], path)
        for path in sorted(run.glob(f"{_PREFIX}*{_SUFFIX}"))
    ]
    shared = run / layout.CONSOLE
    return (*([Console("", shared)] if shared.is_file() else []), *own)


def lab_zero_ns(run: Path) -> int:
    """Say what time it was for the lab's kernel at lab time zero.

    A run that did not get so far, or of an early version, does not say; then it is
    what it nearly always is.
    """
    with suppress(ProtocolError, HostError):
        for event in RunReader(run).events():
            if event.kind == "lab-begin":
                kernel_ns = event.fields.get("kernel_ns")
                return kernel_ns if isinstance(kernel_ns, int) else ZERO_NS
    return ZERO_NS


def kernel_logs(
    run: Path, *, join_from: Confidence = Confidence.LIKELY
) -> Iterator[tuple[Console, KernelLog]]:
    """Read the logs of a run's kernels, with the owners that the run knows.

    Args:
        run: its folder.
        join_from: as for `read_log`.

    Raises:
        HostError: a console cannot be read.
    """
    owners = _owners(run)
    for console in consoles(run):
        name = console.path.name
        with host_errors(run, f"read {name}", hint=""), console.path.open("rb") as file:
            pieces = iter(lambda: file.read(_PIECE_BYTES), b"")
            yield console, read_log(pieces, owners[console.node], join_from=join_from)


def before_our_end(log: KernelLog) -> KernelLog:
    """Leave out what a kernel printed because we were gone.

    When we are killed, the guest's agent finds its port closed, says so and exits, and a
    kernel without its first process panics. That is no event of the lab.
    """
    for at, entry in enumerate(log.entries):
        if isinstance(entry, Line) and not entry.is_kernel and _PORT_CLOSED.match(entry.text):
            rest = [one for one in log.entries[at:] if isinstance(one, Line)]
            if any(one.text.startswith(_AGENT_EXITED) for one in rest):
                gone = {id(one) for one in rest}
                reports = [found for found in log.reports if id(found.headline) not in gone]
                return KernelLog(log.entries[:at], tuple(reports))
    return log


def _owners(run: Path) -> dict[str, Owners]:
    """Name the tasks of each kernel, by what the run's events and its trace say.

    A process that a node was given is called as in the lab, "r1/zebra"; what it forks has
    the name that the kernel knows, from samples of the counters and from a trace.
    """
    owners = {console.node: Owners() for console in consoles(run)}
    zero_ns = lab_zero_ns(run)
    given: set[tuple[str, int]] = set()
    events = _of_events(RunReader(run).events(), given)
    traced = _of_trace(trace_file(run), given)
    for facts in (events, traced):
        with suppress(ProtocolError, HostError):  # what is behind a spoilt event has no names
            for node, pid, name, time_ns in facts:
                kernel = node if node in owners else ""
                if kernel in owners:
                    owners[kernel].learn(pid, name, (zero_ns + time_ns) // _NS_PER_MICRO)
    return owners


_Fact = tuple[str, int, str, int]  # node, number, name, since when


def _of_events(events: Iterable[Event], given: set[tuple[str, int]]) -> Iterator[_Fact]:
    """What starts, exits and samples say; `given` is told of what nodes were given to run."""
    pids: dict[tuple[str, str], int] = {}
    for event in events:
        node, fields, time_ns = event.node, event.fields, event.time_ns
        process = (node, str(fields.get("process", "")))
        if event.kind == "process-start" and isinstance(fields.get("pid"), int):
            pids[process] = fields["pid"]
            given.add((node, fields["pid"]))
            yield node, fields["pid"], "/".join(process), time_ns
        elif event.kind == "process-exit" and process in pids:
            # From the next microsecond on the number may be another's.
            yield node, pids.pop(process), "", time_ns + _NS_PER_MICRO
        elif event.kind == "counters":
            for one in fields.get("processes", ()):
                if isinstance(one, dict) and isinstance(one.get("pid"), int):
                    yield node, one["pid"], f"{node}/{one.get('name', '')}", time_ns


def _of_trace(file: Path, given: set[tuple[str, int]]) -> Iterator[_Fact]:
    """What forks and renames say, in a trace of hundreds of thousands of events."""
    if not file.is_file() or file.is_symlink():
        return
    with file.open("rb") as lines:
        for line in lines:
            if not (_NAMES_A_TASK.search(line) and line.endswith(b"\n")):
                continue
            event = parse_event(line)
            is_fork = event.kind == "sched_process_fork"
            pid = event.fields.get("child_pid" if is_fork else "pid")
            name = str(event.fields.get("child_comm" if is_fork else "newcomm", ""))
            if isinstance(pid, int) and (event.node, pid) not in given:
                named = f"{event.node}/{name}" if event.node else name
                yield event.node, pid, named, event.time_ns
