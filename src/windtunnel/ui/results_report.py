# SPDX-License-Identifier: Apache-2.0
"""Results, and how two of them differ, for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich.text import Text

from windtunnel.model.result import CellState
from windtunnel.model.units import duration_text
from windtunnel.report.difference import CellChange, ResultsDifference
from windtunnel.report.overview import Cell, failure_groups, overview_of
from windtunnel.report.text import shown_line
from windtunnel.store.results import Results
from windtunnel.ui import screen
from windtunnel.ui.report import short, state_text

GROUP_CELLS_MAX = 10
"""Names of cells under one finding; --all shows the others."""

_NAME_COLUMNS = 14
_CONDITIONS = ("lab", "seed", "kernel", "source", "windtunnel")


def print_results(results: Results, *, every_cell: bool = False) -> None:
    """Write cells, failures by finding, and what it comes to.

    Args:
        results: what to write.
        every_cell: also those that passed at once, and all names in a group.
    """
    overview = overview_of({**results.header, "state": results.state}, results.results)
    console = screen.out()
    console.print(Text(overview.lab, "bold"))
    cells = [cell for cell in overview.cells if every_cell or not cell.last.passed or cell.flaky]
    if cells:
        console.print()
        screen.print_table(
            ("cell", "state", "tries", "virtual", "host"),
            [_row(cell) for cell in cells],
            right=(2, 3, 4),
        )
    for group in failure_groups(overview.cells):
        console.print()
        count = len(group.cells)
        console.print(
            Text(f"{count} {'cell' if count == 1 else 'cells'}: ", "bold red") + group.finding
        )
        names = [shown_line(cell.name) for cell in group.cells]
        left_out = 0 if every_cell else max(len(names) - GROUP_CELLS_MAX, 0)
        for name in names[: len(names) - left_out]:
            console.print(f"{screen.NOTE_INDENT}{name}")
        if left_out:
            console.print(f"{screen.NOTE_INDENT}and {left_out} more (--all)")
        if group.cells[0].last.repeat:
            console.print(f"  repeat the first: {shown_line(group.cells[0].last.repeat)}")
    console.print()
    console.print(Text(overview.verdict(), "bold green" if overview.good else "bold red"))
    for name, value in (*overview.facts, ("recorded in", short(results.path))):
        console.print(f"{name:{_NAME_COLUMNS}}  {shown_line(value)}")


def _row(cell: Cell) -> screen.Row:
    last = cell.last
    return screen.Row(
        (
            shown_line(cell.name),
            state_text(cell.state.value),
            str(len(cell.earlier) + 1) if cell.earlier else "",
            "" if last.end_ns is None else screen.time_text(last.end_ns),
            f"{last.wall_host_s:.1f} s",
        )
    )


def other_conditions(before: Results, after: Results) -> list[dict[str, Any]]:
    """Say in what two results were not made equally: seed, kernel, the lab's text."""
    return [
        {"name": key, "before": before.header.get(key), "after": after.header.get(key)}
        for key in _CONDITIONS
        if before.header.get(key) != after.header.get(key)
    ]


def print_difference(difference: ResultsDifference, conditions: Iterable[dict[str, Any]]) -> None:
    """Write how two results differ; the worst first."""
    console = screen.out()
    for one in conditions:
        console.print(
            Text(f"other {one['name']}: {_value(one['before'])} → {_value(one['after'])}", "yellow")
        )
    _print_changes("new failures", "bold red", difference.new_failures)
    _print_changes("still failing", "red", difference.still_failing)
    _print_changes("fixed", "green", difference.fixed)
    _print_changes("not tried to their end", "yellow", difference.not_tried)
    _print_lines("passed only after retries", difference.flaky)
    _print_lines("only in the first", difference.only_before)
    _print_lines("only in the second", difference.only_after)
    _print_lines(
        "another virtual time",
        [
            f"{one.cell}: {duration_text(one.before_ns)} → {duration_text(one.after_ns)}"
            for one in difference.virtual_times
        ],
    )
    _print_lines(
        "another host time",
        [
            f"{one.cell}: {one.before_host_s:.1f} s → {one.after_host_s:.1f} s"
            for one in difference.host_times
        ],
    )
    if difference.same:
        console.print(Text("no cell ends otherwise", "bold green"))


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {shown_line(str(inner))}" for name, inner in value.items())
    return shown_line(str(value))


def _print_changes(title: str, style: str, changes: Sequence[CellChange]) -> None:
    if not changes:
        return
    console = screen.out()
    console.print(Text(f"{title}: {len(changes)}", style))
    for one in changes:
        console.print(
            f"  {shown_line(one.cell)}: {one.before or 'not there'} → {one.after or 'not there'}"
        )
        if one.finding:
            console.print(f"{screen.NOTE_INDENT}{one.finding}")
        if one.repeat and one.after != CellState.PASSED:
            console.print(f"{screen.NOTE_INDENT}{shown_line(one.repeat)}")


def _print_lines(title: str, lines: Sequence[str]) -> None:
    if not lines:
        return
    console = screen.out()
    console.print(Text(f"{title}: {len(lines)}", "bold"))
    for line in lines:
        console.print(f"  {shown_line(line)}")
