# SPDX-License-Identifier: Apache-2.0
"""The trace in a run's folder: an event a line, in virtual time, read one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from windtunnel.errors import ProtocolError, UsageError
from windtunnel.model.event import Event
from windtunnel.store import layout
from windtunnel.store.layout import host_errors
from windtunnel.store.run_reader import parse_event
from windtunnel.wire.traceflow import End, sight_of

Flow = tuple[End, End]


def has_trace(run: Path) -> bool:
    """Whether a run was traced."""
    return trace_file(run).is_file()


def trace_events(run: Path) -> Iterator[Event]:
    """Read a run's trace; a last line without its end is left out.

    Raises:
        UsageError: it has none.
        HostError: it cannot be read.
        ProtocolError: a line is no event; names it.
    """
    if not has_trace(run):
        raise UsageError(
            f"{run} has no trace", hint="a lab says what it wants traced: trace: [sched, tcp]"
        )
    with host_errors(run, f"read {layout.TRACE}", hint=""), trace_file(run).open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if line.endswith(b"\n"):
                yield _parsed(line, f"{trace_file(run)}:{number}")


def _parsed(line: bytes, where: str) -> Event:
    try:
        return parse_event(line)
    except ProtocolError as error:
        raise ProtocolError(
            f"{where}: {error.message}", hint="`windtunnel sql` leaves such lines out"
        ) from error


def flow_of(event: Event) -> Flow | None:
    """Say which TCP flow an event is of; None for one that is of none."""
    sight = sight_of(event.kind, event.fields)
    return None if sight is None else sight.flow


def tcp_flows(run: Path) -> list[tuple[Flow, int]]:
    """Find the TCP flows of a trace, each with the number of its events, in order of coming.

    Raises:
        As of `trace_events`.
    """
    found: Counter[Flow] = Counter()
    for event in trace_events(run):
        flow = flow_of(event)
        if flow is not None:
            found[flow] += 1
    return list(found.items())


def trace_file(run: Path) -> Path:
    """Name the file of a run's trace, which need not be there."""
    return run / layout.FILES / layout.TRACE
