# SPDX-License-Identifier: Apache-2.0
"""Rows of a run's timeline: faults, steps and checks, and the processes of each node."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from windtunnel.model.event import Event
from windtunnel.model.result import CheckResult
from windtunnel.report.run.record import RunRecord
from windtunnel.report.text import shown_line, shown_name
from windtunnel.store.processes import ProcessRecord, processes_from_events
from windtunnel.store.results import CHECK_KINDS, check_result

ROWS_MAX = 400
"""Of the timeline; 20 nodes have some hundred."""

BARS_MAX = 6_000
"""Of all rows; the table in the run's folder, processes.json, has all of them."""

_TRY = re.compile(r"\.\d+$")


@dataclass(frozen=True, slots=True)
class Bar:
    """Something that took time.

    Attributes:
        start_ns: lab time.
        end_ns: lab time; None where it had not ended when the record ends.
        kind: "fault", "passed", "failed", "ran", "died" or "finding".
        text: for people.
    """

    start_ns: int
    end_ns: int | None
    kind: str
    text: str


@dataclass(slots=True)
class TimelineRow:
    """One row.

    Attributes:
        group: "faults", "lab", or a node.
        name: of the fault or the process; "checks" for those of a node.
        bars: in the order of their beginning.
    """

    group: str
    name: str
    bars: list[Bar] = field(default_factory=list)


def timeline_of(record: RunRecord) -> tuple[list[TimelineRow], int]:
    """Give the rows of a run, and how many bars were left out."""
    rows: dict[tuple[str, str], TimelineRow] = {}

    def add(group: str, name: str, bar: Bar) -> None:
        rows.setdefault((group, name), TimelineRow(group, name)).bars.append(bar)

    for name, bar in _faults(record.events):
        add("faults", name, bar)
    for event in record.events:
        if event.kind == "finding":
            text = shown_line(str(event.fields.get("message", "")), characters_max=300)
            add(event.node or "lab", "findings", Bar(event.time_ns, event.time_ns, "finding", text))
        elif event.kind in CHECK_KINDS:
            check = check_result(event)
            if check.kind != "process" or not check.passed:
                add(event.node or "lab", "checks", _check_bar(check))
    steps = _step_names(record)
    for process in processes_from_events(record.events):
        base = _TRY.sub("", process.name)
        name = base if base in steps else process.name
        add(process.node, name, _process_bar(process))
    order = {name: at for at, name in enumerate(("faults", "lab", *record.nodes))}
    found = sorted(rows.values(), key=lambda row: order.get(row.group, len(order)))
    return _bounded(found)


def _step_names(record: RunRecord) -> set[str]:
    """Names whose ".2", ".3" … are further tries of one step."""
    if record.spec is None:
        return set()
    return {step.name for step in (*record.spec.steps, *record.spec.validations)}


def _bounded(rows: list[TimelineRow]) -> tuple[list[TimelineRow], int]:
    total = sum(len(row.bars) for row in rows)
    kept, room = rows[:ROWS_MAX], BARS_MAX
    for row in kept:
        del row.bars[max(min(len(row.bars), room), 0) :]
        room -= len(row.bars)
    kept = [row for row in kept if row.bars]
    return kept, total - sum(len(row.bars) for row in kept)


def _faults(events: tuple[Event, ...]) -> list[tuple[str, Bar]]:
    begun: dict[str, list[int]] = {}
    found: list[tuple[str, Bar]] = []
    for event in events:
        if event.kind != "fault":
            continue
        fields = event.fields
        name, phase = str(fields.get("name", "")), fields.get("phase")
        text = shown_line(f"{fields.get('of', '')} {fields.get('target', '')}", characters_max=200)
        if phase == "begin":
            begun.setdefault(name, []).append(len(found))
            found.append((name, Bar(event.time_ns, None, "fault", text)))
        elif phase == "end" and begun.get(name):
            at = begun[name].pop(0)
            start = found[at][1]
            found[at] = (name, Bar(start.start_ns, event.time_ns, "fault", start.text))
        else:
            text = shown_line(f"{text} {phase}: {fields.get('message', '')}", characters_max=300)
            found.append((name, Bar(event.time_ns, event.time_ns, "failed", text)))
    return found


def _check_bar(check: CheckResult) -> Bar:
    kind = "passed" if check.passed else "failed" if check.judged else "ran"
    text = f"{check.kind} {check.name}: {'passed' if check.passed else 'failed'}"
    if check.message and not check.passed:
        text += f": {check.message}"
    return Bar(check.at_ns, check.at_ns + check.took_ns, kind, shown_line(text, characters_max=300))


def _process_bar(process: ProcessRecord) -> Bar:
    is_bad = process.outcome in ("killed", "not started") or (
        process.outcome == "exited" and process.status != 0
    )
    ended = "still runs" if process.end_ns is None else process.outcome
    status = "" if process.status is None else f" {process.status}"
    start_ns = process.start_ns if process.start_ns is not None else process.end_ns or 0
    text = shown_line(f"{process.name}: {ended}{status}: {process.command}", characters_max=160)
    return Bar(start_ns, process.end_ns, "died" if is_bad else "ran", text)


def rows_json(rows: list[TimelineRow]) -> list[dict[str, Any]]:
    """Give rows as the page has them."""
    return [
        {
            "group": shown_name(row.group),
            "name": shown_name(row.name),
            "bars": [[bar.start_ns, bar.end_ns, bar.kind, bar.text] for bar in row.bars],
        }
        for row in rows
    ]
