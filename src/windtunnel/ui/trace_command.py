# SPDX-License-Identifier: Apache-2.0
"""`windtunnel trace`: what a run's tracepoints saw."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from windtunnel.errors import ExitStatus, UsageError
from windtunnel.model.eventtext import seconds_text
from windtunnel.ui.failures import say_on_stderr
from windtunnel.ui.options import RUNS, RunArgument, RunsOption, examples

if TYPE_CHECKING:
    from windtunnel.model.event import Event

EPILOG = examples(
    "windtunnel trace latest --node r1",
    "windtunnel trace ring/3 --event 'tcp_*' --event sched_switch",
    "windtunnel trace latest --task iperf3 --json | jq .kind | sort | uniq -c",
)


def trace(
    run: RunArgument,
    *,
    node: Annotated[str, typer.Option(metavar="NAME", help="Only what a node's tasks did.")] = "",
    event: Annotated[
        list[str] | None,
        typer.Option(metavar="PATTERN", help="Only events of this name. May be given again."),
    ] = None,
    task: Annotated[
        str, typer.Option(metavar="PATTERN", help="Only what tasks of this name did.")
    ] = "*",
    runs: RunsOption = RUNS,
    json: Annotated[
        bool, typer.Option("--json", help="A JSON object a line instead of text for people.")
    ] = False,
) -> int:
    """Show what a run's tracepoints saw.

    It is that of all kernels, in virtual time. A lab says which it wants:
    "trace: [sched, tcp]". A line is the time, the node, the task with its number, and the
    event with its fields.
    """
    from windtunnel.store.run_reader import find_run  # noqa: PLC0415 - slow to import

    path = find_run(run, runs)
    names = event or ["*"]
    lost = 0
    for one in _events(path):
        lost += one.fields.get("lost_before", 0) != 0
        if (node and one.node != node) or not any(fnmatchcase(one.kind, name) for name in names):
            continue
        if fnmatchcase(str(one.fields["task"]), task):
            sys.stdout.write(f"{one.to_line() if json else _line(one)}\n")
    if lost:
        say_on_stderr(f"warning: at {lost} places events are missing: the kernel's buffer was full")
    return ExitStatus.PASSED


def _events(run: Path) -> Iterator[Event]:
    from windtunnel.store import layout  # noqa: PLC0415 - as above
    from windtunnel.store.layout import host_errors  # noqa: PLC0415
    from windtunnel.store.run_reader import parse_event  # noqa: PLC0415

    file = run / layout.FILES / layout.TRACE
    if not file.exists():
        raise UsageError(
            f"{run} has no trace", hint="a lab says what it wants traced: trace: [sched, tcp]"
        )
    with host_errors(run, f"read {layout.TRACE}", hint=""), file.open("rb") as lines:
        for line in lines:
            if line.endswith(b"\n"):
                yield parse_event(line)


def _line(event: Event) -> str:
    """As trace-cmd and the kernel write it, with the node before the task."""
    fields: dict[str, Any] = dict(event.fields)
    pid, task = fields.pop("common_pid"), fields.pop("task")
    said = " ".join(f"{key}={_value(value)}" for key, value in sorted(fields.items()))
    who = f"{task}-{pid}"
    time = seconds_text(event.time_ns)
    return f"{time:>16} {event.node or '-':<8} {who:>22}  {event.kind}: {said}".rstrip()


def _value(value: Any) -> str:
    return ".".join(map(str, value)) if isinstance(value, list) else str(value)
