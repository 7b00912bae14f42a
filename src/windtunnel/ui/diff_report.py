# SPDX-License-Identifier: Apache-2.0
"""How `windtunnel diff` says what differs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from windtunnel.model.event import Event
from windtunnel.model.eventtext import event_text
from windtunnel.model.shorten import shortened
from windtunnel.store.diff.events import EventDifference
from windtunnel.store.diff.files import FileDifference
from windtunnel.store.diff.runs import Pair, RunDifference
from windtunnel.ui import screen
from windtunnel.ui.report import short

_ROWS_MAX = 20
_VALUE_CHARACTERS = 60


def difference_json(a: Path, b: Path, found: RunDifference) -> dict[str, Any]:
    """Give a difference as JSON values."""
    events = found.events
    return {
        "a": str(a),
        "b": str(b),
        "equal": found.equal,
        "conditions": [asdict(one) for one in found.conditions],
        "lab": list(found.lab),
        "verdict": [asdict(one) for one in found.verdict],
        "first_event": None
        if events.equal
        else {
            "before": [_event(one) for one in events.before],
            "a": _event(events.a),
            "b": _event(events.b),
        },
        "counts": [asdict(one) for one in found.counts],
        "checks": [asdict(one) for one in found.checks],
        "counters": [asdict(one) for one in found.counters],
        "outputs": [asdict(one) for one in found.outputs],
        "logs": [asdict(one) for one in found.logs],
        "files": [asdict(one) for one in found.files],
    }


def print_difference(a: Path, b: Path, found: RunDifference) -> None:
    """Print a difference: what was otherwise from the beginning, the first event, the rest."""
    console = screen.out()
    console.print(f"a  {short(a)}")
    console.print(f"b  {short(b)}")
    _print_pairs(console, "made from", found.conditions)
    for line in found.lab:
        console.print(Text(f"  {line}", _style(line)))
    print_first(console, found.events)
    _print_pairs(console, "ended", found.verdict)
    checks = [Pair(one.name, _check(one.a), _check(one.b)) for one in found.checks]
    _print_pairs(console, "checks", checks)
    _print_outputs(console, found)
    _print_logs(console, found)
    _print_pairs(console, "events", found.counts)
    _print_pairs(console, "counters at the end", found.counters)
    if found.files:
        rows = [(one.name, _place(one)) for one in found.files]
        _print_rows(console, ("file", "first difference"), rows)
        for one in found.files:
            if one.line is not None:
                console.print(f"  {one.name}, line {one.line}")
                _print_sides(console, one.a, one.b)
    if found.equal:
        console.print("nothing that was compared differs")


def print_first(console: Console, events: EventDifference) -> None:
    """Print the first event that differs, and those before it."""
    if events.equal:
        return
    times = [one.time_ns for one in (events.a, events.b) if one is not None]
    console.print(f"\nthe first event that differs, at {screen.time_text(min(times))}:")
    if events.before:
        for one in events.before:
            console.print(Text(f"     {event_text(one)}", "dim"))
    else:
        console.print(Text("     there is none before it", "dim"))
    console.print(Text(f"  a  {_side(events.a)}", "green"))
    console.print(Text(f"  b  {_side(events.b)}", "red"))


def _side(event: Event | None) -> str:
    return "nothing more" if event is None else event_text(event)


def _place(file: FileDifference) -> str:
    if file.offset_bytes is None:
        return "one has it"
    line = "" if file.line is None else f"line {file.line}, "
    return f"{line}byte {file.offset_bytes}"


def _print_outputs(console: Console, found: RunDifference) -> None:
    if not found.outputs:
        return
    console.print("\noutputs", style="bold")
    for one in found.outputs[:_ROWS_MAX]:
        console.print(f"  {one.node}: {one.process}, {one.stream}, line {one.line}")
        _print_sides(console, one.a, one.b)
    _print_more(console, len(found.outputs))


def _print_sides(console: Console, a: str | None, b: str | None) -> None:
    """Print a line of either run; None: there the file has ended."""
    console.print(Text(f"    a  {'(ended)' if a is None else a}", "green"))
    console.print(Text(f"    b  {'(ended)' if b is None else b}", "red"))


def _print_logs(console: Console, found: RunDifference) -> None:
    for one in found.logs:
        whose = f"kernel log of {one.kernel}" if one.kernel else "kernel log"
        console.print(f"\n{whose}", style="bold")
        for sign, lines, count in (("a", one.only_a, one.count_a), ("b", one.only_b, one.count_b)):
            for line in lines:
                console.print(Text(f"  {sign}  {line}", "green" if sign == "a" else "red"))
            if count > len(lines):
                console.print(f"  {sign}  and {count - len(lines)} lines more")


def _print_pairs(console: Console, title: str, pairs: Sequence[Pair]) -> None:
    if pairs:
        rows = [(one.name, _value(one.a), _value(one.b)) for one in pairs]
        _print_rows(console, (title, "a", "b"), rows)


def _print_rows(console: Console, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    console.print()
    screen.print_table(list(head), [screen.Row(tuple(row)) for row in rows[:_ROWS_MAX]])
    _print_more(console, len(rows))


def _print_more(console: Console, count: int) -> None:
    if count > _ROWS_MAX:
        console.print(f"and {count - _ROWS_MAX} more: --json has all")


def _value(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, Mapping):
        value = ", ".join(f"{key} {one}" for key, one in _plain(value))
    return shortened(str(value), _VALUE_CHARACTERS)


def _plain(value: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, one in value.items():
        yield key, one if isinstance(one, (str, int)) else json.dumps(one)


def _check(value: Any) -> str | None:
    if value is None:
        return None
    verdict = "passed" if value.get("passed") else "failed"
    message = f": {value['message']}" if value.get("message") else ""
    return f"{verdict} at {screen.time_text(value['time_ns'])}{message}"


def _style(line: str) -> str:
    return "green" if line.startswith("-") else "red" if line.startswith("+") else ""


def _event(event: Event | None) -> dict[str, Any] | None:
    return None if event is None else json.loads(event.to_line())
