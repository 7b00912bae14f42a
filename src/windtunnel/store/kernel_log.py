# SPDX-License-Identifier: Apache-2.0
"""The consoles of a run's kernels, and who had which number on each.

Lab time zero is some seconds after a kernel began, and a kernel stamps its lines with
the time since it began. A node with a kernel of its own has a console of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from windtunnel.errors import HostError, ProtocolError
from windtunnel.logs.printk import Owners
from windtunnel.model.clock import ZERO_NS
from windtunnel.store import layout
from windtunnel.store.run_reader import RunReader

_PREFIX = "console-"
_SUFFIX = ".log"
_NS_PER_MICRO = 1_000


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


def owners_of(run: Path, console: Console, *, lab_zero_ns: int) -> Owners:
    """Name a kernel's tasks by the processes that the run started.

    Args:
        run: its folder.
        console: of which kernel.
        lab_zero_ns: the kernel's time at lab time zero.
    """
    with_own = {other.node for other in consoles(run)} - {""}
    owners = Owners()
    with suppress(ProtocolError):  # what is behind a spoilt event has no names
        for node, name, pid, time_ns in _starts(run):
            if node == console.node or (not console.node and node not in with_own):
                owners.learn(pid, name, (lab_zero_ns + time_ns) // _NS_PER_MICRO)
    return owners


def _starts(run: Path) -> Iterator[tuple[str, str, int, int]]:
    for event in RunReader(run).events():
        pid = event.fields.get("pid")
        if event.kind == "process-start" and isinstance(pid, int):
            name = f"{event.node}/{event.fields.get('process', '')}"
            yield event.node, name, pid, event.time_ns
