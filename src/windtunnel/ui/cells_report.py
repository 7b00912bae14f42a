# SPDX-License-Identifier: Apache-2.0
"""What the cells of a lab came to: a table of those that have not passed, counts, and JSON."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.text import Text

from windtunnel.errors import ExitStatus
from windtunnel.model.result import CellResult, CellState
from windtunnel.store.results import Summary, cell_results, read_header, state_of, summarize
from windtunnel.ui import screen
from windtunnel.ui.report import short, state_text

SHOWN_MAX = 50
"""How many failures the table shows: what is more is a list for a program."""

_NAME_COLUMNS = 14


def exit_status(summary: Summary) -> int:
    """Say with what the program exits when all cells were run.

    0 if all passed; 1 if a check failed in one; 4 if none did, but one was not
    run to its end.
    """
    states = {result.state for result in summary.failures}
    if not states:
        return ExitStatus.PASSED
    return ExitStatus.FAILED if CellState.FAILED in states else ExitStatus.GUEST


def results_json(path: Path) -> dict[str, Any]:
    """Give results as JSON values: every try of every cell, in the order of the lab."""
    header = read_header(path)
    tries = sorted(cell_results(path), key=lambda result: (result.index, result.attempt))
    return {
        "path": str(path),
        **{key: value for key, value in header.items() if key != "writer"},
        "state": state_of(header),
        "cells": [result.to_json() for result in tries],
    }


def listed_results(path: Path) -> tuple[dict[str, Any], screen.Row]:
    """Give the entry of results in the list of all runs, as JSON values and as a line."""
    header = read_header(path)
    summary = summarize(cell_results(path))
    state = state_of(header)
    wall_host_s = (header.get("host") or {}).get("wall_host_s")
    document = {
        "path": str(path),
        "lab": header.get("lab"),
        "state": state,
        "seed": header.get("seed"),
        "planned": header.get("planned"),
        "counts": dict(summary.counts),
        "wall_host_s": wall_host_s,
    }
    row = screen.Row(
        (
            f"{path.parent.name}/{path.name}",
            state_text(state),
            str(len(summary.failures) or ""),
            str(header.get("planned", "")),
            str(header.get("seed", "")),
            "",
            "" if wall_host_s is None else f"{wall_host_s:.1f} s",
        )
    )
    return document, row


def print_results(path: Path) -> None:
    """Write what is in a folder of results: a line for each try, then what it comes to."""
    header = read_header(path)
    kernel = (header.get("kernel") or {}).get("release", "")
    what = f", seed {header.get('seed')}" + (f", Linux {kernel}" if kernel[:1].isdigit() else "")
    screen.out().print(Text(str(header.get("lab", "")), "bold") + Text(what, "not bold"))
    screen.out().print()
    results = sorted(cell_results(path), key=lambda result: (result.index, result.attempt))
    screen.print_table(
        ("cell", "state", "try", "virtual", "host"),
        [
            screen.Row(
                (
                    result.cell,
                    state_text(result.state),
                    str(result.attempt) if result.attempt > 1 else "",
                    "" if result.end_ns is None else screen.time_text(result.end_ns),
                    f"{result.wall_host_s:.1f} s",
                )
            )
            for result in results
        ],
        right=(2, 3, 4),
    )
    summary = summarize(results)
    print_failures(path, summary)
    print_end(path, summary, state=state_of(header), planned=int(header.get("planned", 0)))


def print_failures(path: Path, summary: Summary) -> None:
    """Write which cells have not passed, what was found in each, and how to repeat it."""
    failures = [one for one in summary.failures if one.state is not CellState.INTERRUPTED]
    if not failures:
        return
    console = screen.out()
    console.print()
    shown = failures[:SHOWN_MAX]
    screen.print_table(
        ("cell", "state", "tries"),
        [
            screen.Row(
                (result.cell, state_text(result.state), str(result.attempt)),
                note="\n".join(_notes(result)),
            )
            for result in shown
        ],
        right=(2,),
    )
    if len(failures) > len(shown):
        more = len(failures) - len(shown)
        console.print(f"and {more} more: windtunnel runs show {short(path)} --json")


def _notes(result: CellResult) -> Iterator[str]:
    if result.finding:
        yield result.finding
    if result.repeat:
        yield f"repeat it: {result.repeat}"


def print_end(path: Path, summary: Summary, *, state: str, planned: int) -> None:
    """Write how many cells came to what, and where it is recorded."""
    console = screen.out()
    console.print()
    counts = [f"{count} {name}" for name, count in summary.counts.items()]
    missing = planned - sum(summary.counts.values())
    if missing > 0:
        counts.append(f"{missing} not run")
    style = "bold green" if state == "passed" else "bold yellow"
    if summary.failures and state != "interrupted":
        style = "bold red"
    cells = "1 cell" if planned == 1 else f"{planned} cells"
    console.print(Text(f"{state}: {', '.join(counts) or 'none'} of {cells}", style))
    if summary.only_at_retry:
        names = ", ".join(result.cell for result in summary.only_at_retry[:SHOWN_MAX])
        console.print(Text(f"passed only when tried again: {names}", "yellow"))
        console.print(
            "The same seed gives the same result, so something of the host was in the way of the\n"
            "first try, or reaches the lab: `windtunnel verify` would name it."
        )
    console.print(f"{'recorded in':{_NAME_COLUMNS}}{short(path)}")
