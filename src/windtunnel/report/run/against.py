# SPDX-License-Identifier: Apache-2.0
"""Where a run parts from another one, as text for its page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from windtunnel.model.event import Event
from windtunnel.model.eventtext import event_text
from windtunnel.store.diff.events import Wanted
from windtunnel.store.diff.runs import RunDifference, diff_runs

CONTEXT = 10
"""Events before the first one that differs."""

LINES_MAX = 20
"""Of the lab's changed lines, and of outputs that differ."""


def difference_text(run: Path, other: Path) -> str:
    """Say what the two were made from, the first event that differs, and outputs.

    Raises:
        UsageError, ProtocolError, HostError: one of the two cannot be read.
    """
    found = diff_runs(other, run, Wanted(context=CONTEXT))
    return "\n".join(_lines(found)) or "Nothing that was recorded differs."


def _lines(found: RunDifference) -> Iterator[str]:
    for one in found.conditions:
        yield f"made from another {one.name}: other {one.a}, this {one.b}"
    yield from found.lab[:LINES_MAX]
    if not found.events.equal:
        yield "the first event that differs:"
        yield from (f"         {event_text(event)}" for event in found.events.before)
        yield f"  other  {_side(found.events.a)}"
        yield f"  this   {_side(found.events.b)}"
    for output in found.outputs[:LINES_MAX]:
        yield f"output of {output.process} on {output.node}, {output.stream}, line {output.line}:"
        yield f"  other  {'(ended)' if output.a is None else output.a}"
        yield f"  this   {'(ended)' if output.b is None else output.b}"


def _side(event: Event | None) -> str:
    return "nothing more" if event is None else event_text(event)
