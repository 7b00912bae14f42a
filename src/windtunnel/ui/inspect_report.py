# SPDX-License-Identifier: Apache-2.0
"""How `windtunnel inspect` tells what is in a core."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from windtunnel.cores.facts import Frame, Inspection, Task
from windtunnel.model.eventtext import seconds_text
from windtunnel.store.lablog import LabTime
from windtunnel.ui import screen
from windtunnel.ui.report import short

_ROWS_MAX = 40
_RECORDS_MAX = 50
_BLOCKED = "D"


def print_inspection(run: Path, node: str, found: Inspection, time: LabTime) -> None:
    """Print all that was found, what explains most first.

    Args:
        run: the run's folder.
        node: whose own kernel it is; empty for the shared one.
        found: what is in the core.
        time: of the lab, for the records of the log.
    """
    console = screen.out()
    whose = f"the kernel of {node}" if node else "the kernel that the nodes share"
    release = f", Linux {found.release}" if found.release else ""
    console.print(Text(f"{short(run)}: {whose}{release}", "bold"))
    if found.panic:
        console.print(Text(f"panic: {found.panic}", "red"))
    if found.crashed is not None:
        console.print()
        console.print(Text(_who(found.crashed, "ran at the end"), "bold"))
        _print_stack(console, found.crashed.stack)
    for task in found.tasks:
        if task.stack:
            doing = "is blocked" if task.state == _BLOCKED else f"sleeps, state {task.state}"
            console.print()
            console.print(Text(_who(task, doing), "bold"))
            _print_stack(console, task.stack)
    _print_tables(console, found)
    _print_log(console, found, time)
    for doubt in found.doubts:
        console.print(Text(f"doubt: {doubt}", "yellow"))


def _who(task: Task, doing: str) -> str:
    if not task.pid:
        return f"what {doing}" if not task.name else f"{task.name} {doing}"
    whose = f" of {task.node}" if task.node else ""
    return f"{task.name}[{task.pid}]{whose} {doing}"


def _print_stack(console: Console, stack: Sequence[Frame]) -> None:
    width = max((len(frame.function) for frame in stack), default=0)
    for number, frame in enumerate(stack):
        line = Text(f"  #{number:<3}{frame.function:<{width}}  ")
        line.append(frame.source, "cyan")
        if frame.inlined:
            line.append(" (inlined)", "dim")
        line.rstrip()
        console.print(line)
        for variable in frame.variables:
            console.print(Text(f"         {variable.name} = {variable.value}", "dim"))


def _print_tables(console: Console, found: Inspection) -> None:
    _print_table(
        console,
        ("waits for", "lock", "who has it", "who waits"),
        [(one.kind, one.name, one.owner or "nobody knows", one.waiting) for one in found.locks],
    )
    _print_table(
        console,
        ("task", "parent", "node", "state", "name"),
        [
            (str(one.pid), str(one.parent or ""), one.node, one.state, one.name)
            for one in found.tasks
        ],
        right=(0, 1),
    )
    _print_table(
        console,
        ("node", "socket of", "kind", "state", "local", "remote", "unread", "unsent"),
        [
            (
                one.node,
                f"{one.task}:{one.file}",
                f"{one.family} {one.kind}",
                one.state,
                one.local,
                one.remote,
                str(one.received_bytes),
                str(one.unsent_bytes),
            )
            for one in found.sockets
        ],
        right=(6, 7),
    )
    _print_table(
        console,
        ("node", "interface", "qdisc", "handle", "packets", "bytes", "drops"),
        [
            (
                one.node,
                one.interface,
                one.kind,
                one.handle,
                str(one.packets),
                str(one.queued_bytes),
                str(one.drops),
            )
            for one in found.qdiscs
        ],
        right=(4, 5, 6),
    )


def _print_table(
    console: Console,
    head: Sequence[str],
    rows: Sequence[tuple[str, ...]],
    *,
    right: Sequence[int] = (),
) -> None:
    if not rows:
        return
    console.print()
    screen.print_table(head, [screen.Row(row) for row in rows[:_ROWS_MAX]], right=right)
    if len(rows) > _ROWS_MAX:
        console.print(f"… and {len(rows) - _ROWS_MAX} more; --json has all of them")


def _print_log(console: Console, found: Inspection, time: LabTime) -> None:
    if not found.records:
        return
    shown = found.records[-_RECORDS_MAX:]
    console.print()
    left = len(found.records) - len(shown)
    before = f", the last {len(shown)} of {len(found.records)} records" if left else ""
    console.print(Text(f"the kernel's log{before}", "bold"))
    width = max(len(one.owner) for one in shown)
    for one in shown:
        at_ns = time.of(one.micros)
        at = seconds_text(at_ns) if at_ns >= 0 else "before 0"
        for line in one.text.splitlines() or [""]:
            console.print(f"  {at:>14}  {one.owner:<{width}}  {line}")
