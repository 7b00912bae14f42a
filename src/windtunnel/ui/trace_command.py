# SPDX-License-Identifier: Apache-2.0
"""`windtunnel trace`: what a run's tracepoints saw."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from windtunnel.errors import ExitStatus, UsageError
from windtunnel.ui.failures import say_on_stderr
from windtunnel.ui.options import RUNS, RunArgument, RunsOption, examples

if TYPE_CHECKING:
    from windtunnel.model.event import Event
    from windtunnel.store.tracefile import Flow

EPILOG = examples(
    "windtunnel trace latest --node r1",
    "windtunnel trace ring/3 --event 'tcp_*' --event sched_switch",
    "windtunnel trace latest --follow tcp:10.0.0.1:5201",
    "windtunnel trace latest --format trace-cmd > trace.txt",
)
_TCP = "tcp"
_FLOWS_MAX = 10


class TraceFormat(StrEnum):
    """The words of --format."""

    TABLE = "table"
    TRACE_CMD = "trace-cmd"
    JSON = "json"


def trace(
    run: RunArgument,
    *,
    node: Annotated[str, typer.Option(metavar="NAME", help="Only what a node's tasks did.")] = "",
    event: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN", help="Only events, or syscalls, of this name. May be given again."
        ),
    ] = None,
    task: Annotated[
        str, typer.Option(metavar="PATTERN", help="Only what tasks of this name did.")
    ] = "*",
    follow: Annotated[
        str,
        typer.Option(
            metavar="tcp[:ADDRESS:PORT]",
            help="Only events of one TCP flow, at both of its ends: the one with this end, "
            "or the one with most events.",
        ),
    ] = "",
    shape: Annotated[
        TraceFormat, typer.Option("--format", help="How it is written.")
    ] = TraceFormat.TABLE,
    runs: RunsOption = RUNS,
    json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> int:
    """Show what a run's tracepoints saw.

    It is that of all kernels, in virtual time. A lab says which it wants:
    "trace: [sched, tcp]". A line is the time, the node, the task with its number, and the
    event with its fields. For ui.perfetto.dev: windtunnel export --to perfetto.
    """
    from windtunnel.store.run_reader import find_run  # noqa: PLC0415 - slow to import
    from windtunnel.store.tracefile import trace_events  # noqa: PLC0415

    path = find_run(run, runs)
    wanted = _Wanted(node, tuple(event or ["*"]), task, _follows(path, follow))
    write = _writer(TraceFormat.JSON if json else shape)
    losses: list[int] = []
    for one in trace_events(path):
        if "lost_before" in one.fields:
            losses.append(int(one.fields["lost_before"]))
        if wanted.has(one):
            sys.stdout.write(f"{write(one)}\n")
    if losses:
        known = sum(lost for lost in losses if lost > 0)
        count = f"{known:,} events" if min(losses) > 0 else f"at least {known:,} events"
        say_on_stderr(
            f"warning: {count} are missing, at {len(losses)} places: the kernel's buffer was full"
        )
    return ExitStatus.PASSED


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Which events are to be shown."""

    node: str
    events: tuple[str, ...]
    task: str
    follows: Callable[[Event], bool]

    def has(self, event: Event) -> bool:
        """Whether an event is one of them."""
        if self.node and event.node != self.node:
            return False
        names = (event.kind, str(event.fields.get("syscall", "")))
        if not any(fnmatchcase(name, one) for name in names for one in self.events):
            return False
        return fnmatchcase(str(event.fields["task"]), self.task) and self.follows(event)


def _writer(shape: TraceFormat) -> Callable[[Event], str]:
    from windtunnel.wire.tracetext import people_line, trace_cmd_line  # noqa: PLC0415 - as above

    if shape is TraceFormat.JSON:
        return lambda event: event.to_line()
    if shape is TraceFormat.TABLE:
        return people_line
    processors: dict[str, int] = {"": 0}
    return lambda event: trace_cmd_line(event, processors.setdefault(event.kernel, len(processors)))


def _follows(run: Path, follow: str) -> Callable[[Event], bool]:
    """What says of an event whether it is of the flow that is followed; without one, all are."""
    from windtunnel.store.tracefile import flow_of  # noqa: PLC0415 - as above

    if not follow:
        return lambda _event: True
    flow = _flow(run, follow)
    return lambda event: flow_of(event) == flow


def _flow(run: Path, follow: str) -> Flow:
    """Choose the flow to follow, and say so if there are others.

    Raises:
        UsageError: there is none, or the word is wrong.
    """
    from windtunnel.store.tracefile import tcp_flows  # noqa: PLC0415 - as above

    protocol, _, end = follow.partition(":")
    if protocol != _TCP:
        raise UsageError(
            f"--follow {follow!r} is no flow", hint="write --follow tcp, or tcp:ADDRESS:PORT"
        )
    flows = sorted(tcp_flows(run), key=lambda flow: -flow[1])
    if not flows:
        raise UsageError(
            f"the trace of {run} has no TCP flows", hint="the lab needs trace: [tcp, sock]"
        )
    chosen = [flow for flow, _ in flows if not end or end in map(str, flow)]
    if not chosen:
        raise UsageError(f"no TCP flow has the end {end}", hint=f"there are: {_listed(flows)}")
    if len(flows) > 1:
        say_on_stderr(f"following {_name(chosen[0])}; of the flows {_listed(flows)}")
    return chosen[0]


def _listed(flows: list[tuple[Flow, int]]) -> str:
    named = [f"{_name(flow)} ({count})" for flow, count in flows[:_FLOWS_MAX]]
    more = len(flows) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")


def _name(flow: Flow) -> str:
    return f"{flow[0]} - {flow[1]}"
