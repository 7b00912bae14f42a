# SPDX-License-Identifier: Apache-2.0
"""Where a run parts from another one, as text for its page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from windtunnel.errors import WindtunnelError
from windtunnel.model.event import Event
from windtunnel.model.eventtext import event_text
from windtunnel.store.diff.counterpart import nearest_good
from windtunnel.store.diff.events import Wanted
from windtunnel.store.diff.runs import RunDifference, diff_runs

IGNORED = frozenset(("lab-begin",))
"""Kinds of events: lab-begin says only what the runs were made from, which stands above."""

CONTEXT = 10
"""Events before the first one that differs."""

LINES_MAX = 20
"""Of the lab's changed lines, and of outputs that differ."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Where a run parts from another one.

    Attributes:
        other: the other one's folder, as it is called: "0003", "cells/loss=0".
        has_passed: it was chosen because it is the nearest that passed.
        text: what they were made from, the first event that differs, and outputs.
    """

    other: str
    has_passed: bool
    text: str


def difference_from(run: Path, other: Path) -> Difference:
    """Compare a run with another one.

    Raises:
        UsageError, ProtocolError, HostError: one of the two cannot be read.
    """
    return Difference(_name(run, other), has_passed=False, text=_difference_text(run, other))


def difference_from_good(run: Path, warn: Callable[[str], None]) -> Difference | None:
    """Compare a run with the nearest that passed, as `windtunnel run` chooses it.

    Args:
        run: its folder.
        warn: told in a sentence when there is one and it cannot be compared.

    Returns:
        None when there is none.
    """
    try:
        good = nearest_good(run)
        if good is None:
            return None
        return Difference(_name(run, good), has_passed=True, text=_difference_text(run, good))
    except WindtunnelError as error:
        # Where the folder lies is no part of the run.
        warn(f"no comparison with a run that passed: {type(error).__name__}")
        return None


def _name(run: Path, other: Path) -> str:
    """The other run's name: below its results when both are cells, else its number."""
    one, two = run.resolve(), other.resolve()
    if two.parent == one.parent:
        return two.name
    return f"{two.parent.name}/{two.name}"


def _difference_text(run: Path, other: Path) -> str:
    found = diff_runs(other, run, Wanted(ignore=IGNORED, context=CONTEXT))
    return "\n".join(_lines(found)) or "Nothing that was recorded differs."


def _lines(found: RunDifference) -> Iterator[str]:
    for one in found.conditions:
        yield f"made from another {one.name}: other {one.a}, this {one.b}"
    yield from found.lab[:LINES_MAX]
    yield from _left_out(len(found.lab), "changed lines of the lab")
    if not found.events.equal:
        yield "the first event that differs:"
        yield from (f"         {event_text(event)}" for event in found.events.before)
        yield f"  other  {_side(found.events.a)}"
        yield f"  this   {_side(found.events.b)}"
    for output in found.outputs[:LINES_MAX]:
        yield f"output of {output.process} on {output.node}, {output.stream}, line {output.line}:"
        yield f"  other  {'(ended)' if output.a is None else output.a}"
        yield f"  this   {'(ended)' if output.b is None else output.b}"
    yield from _left_out(len(found.outputs), "outputs that differ")


def _left_out(count: int, what: str) -> Iterator[str]:
    if count > LINES_MAX:
        yield f"({count - LINES_MAX} more {what}; `windtunnel diff --json` has all)"


def _side(event: Event | None) -> str:
    return "nothing more" if event is None else event_text(event)
