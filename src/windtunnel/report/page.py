# SPDX-License-Identifier: Apache-2.0
"""Results as one page for a browser: a map of any two axes, failures by finding, every cell.

The page is whole in itself: style, script and data are inside, and its policy
forbids it to load or to send anything. Failures are readable without the
script; the map and the list are drawn by `page.js` from the data.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from importlib.resources import files
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, StrictUndefined

from windtunnel.model.result import CellResult, CellState
from windtunnel.report.overview import (
    Cell,
    FailureGroup,
    check_times,
    check_title,
    failed_checks,
    failure_groups,
    finding_text,
    overview_of,
    virtual_text,
)
from windtunnel.report.text import json_text, shown, shown_line, shown_name
from windtunnel.store import layout

FLAKY = "flaky"

KINDS: Mapping[str, str] = {
    CellState.LOST: "?",
    CellState.ERROR: "!",
    CellState.TIMEOUT: "◔",
    CellState.FAILED: "✗",
    CellState.INTERRUPTED: "○",
    FLAKY: "↻",
    CellState.PASSED: "✓",
}
"""How cells end, the worst first, with the sign that says so without colours."""

CHECKS_MAX = 20
"""Failed checks of a try in the page; the run's folder has all of them."""

MESSAGE_CHARACTERS_MAX = 4_000
"""Of one check's message in the page."""

# An axis with more values makes a bad first map; it can still be chosen.
_FIRST_VALUES_MAX = 60
_FILES = (layout.EVENTS, layout.CONSOLE, layout.LAB, f"{layout.NODES}/")


def html_page(
    header: Mapping[str, Any],
    results: Iterable[CellResult],
    *,
    base_url: str = ".",
    with_page: Collection[str] = (),
) -> str:
    """Write results as a page.

    Args:
        header: what `results.json`, or a run's manifest, says.
        results: each try of each cell, in the order in which they ended.
        base_url: of the results' folder, relative to where the page will lie.
        with_page: the runs that have a page of their own, in their folders.
    """
    overview = overview_of(header, results)
    groups = failure_groups(overview.cells)
    axes, fixed = _axes(overview.cells)
    template = Environment(autoescape=True, undefined=StrictUndefined).from_string(_part("html"))
    return template.render(
        lab=shown_line(overview.lab),
        verdict=overview.verdict(),
        good=overview.good,
        facts=[(shown_line(name), shown_line(text)) for name, text in overview.facts],
        fixed=", ".join(f"{shown_line(name)} = {shown_line(value)}" for name, value in fixed),
        groups=[_group(group, base_url, with_page) for group in groups],
        css=_part("css"),
        script=_part("js"),
        data=for_script(_data(overview.cells, groups, axes, base_url, with_page)),
    )


def _part(suffix: str) -> str:
    return files("windtunnel.report").joinpath(f"page.{suffix}").read_text(encoding="utf-8")


def for_script(value: Any) -> str:
    """Write JSON for a script element; no text of a guest can end the element that it is in."""
    text = json_text(value)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _axes(cells: Iterable[Cell]) -> tuple[dict[str, list[str]], list[tuple[str, str]]]:
    """The parameters that differ, with their values in the lab's order; and the others."""
    values: dict[str, dict[str, None]] = {}
    count = 0
    present: dict[str, int] = {}
    for cell in cells:
        count += 1
        for name, value in cell.last.params.items():
            values.setdefault(name, {})[value] = None
            present[name] = present.get(name, 0) + 1
    axes = {
        name: list(found)
        for name, found in values.items()
        if len(found) > 1 or present[name] < count
    }
    fixed = [(name, next(iter(found))) for name, found in values.items() if name not in axes]
    return axes, fixed


def _data(
    cells: Iterable[Cell],
    groups: list[FailureGroup],
    axes: dict[str, list[str]],
    base_url: str,
    with_page: Collection[str],
) -> dict[str, Any]:
    group_of = {cell.name: at for at, group in enumerate(groups) for cell in group.cells}
    places = {name: {value: at for at, value in enumerate(found)} for name, found in axes.items()}
    first = [name for name, found in axes.items() if 1 < len(found) <= _FIRST_VALUES_MAX]
    first = (first or list(axes))[:2]
    return {
        "kinds": [{"name": name, "symbol": symbol} for name, symbol in KINDS.items()],
        "axes": [
            {"name": shown_name(name), "values": [shown_name(value) for value in found]}
            for name, found in axes.items()
        ],
        "rows": shown_name(first[0]) if first else "",
        "columns": shown_name(first[1]) if len(first) > 1 else "",
        "files": _FILES,
        "cells": [
            {
                "name": shown_name(cell.name),
                "kind": FLAKY if cell.flaky else cell.state.value,
                "at": [places[name].get(cell.last.params.get(name, ""), -1) for name in axes],
                "group": group_of.get(cell.name, -1),
                "tries": [_try(one, base_url, with_page) for one in (*cell.earlier, cell.last)],
            }
            for cell in cells
        ],
    }


def _try(result: CellResult, base_url: str, with_page: Collection[str]) -> dict[str, Any]:
    failed = failed_checks(result)
    checks = [
        {
            "title": f"✗ {shown_line(check_title(check))}, {check_times(check)}",
            "message": shown(check.message, characters_max=MESSAGE_CHARACTERS_MAX),
        }
        for check in failed[:CHECKS_MAX]
    ]
    if len(failed) > CHECKS_MAX:
        checks.append({"title": f"and {len(failed) - CHECKS_MAX} more", "message": ""})
    return {
        "state": result.state.value,
        "finding": "" if result.passed else finding_text(result),
        "facts": ", ".join(_facts(result)),
        "checks": checks,
        "repeat": shown_line(result.repeat),
        "url": _url(result, base_url),
        "page": layout.REPORT if result.run in with_page else "",
    }


def _facts(result: CellResult) -> Iterable[str]:
    if result.end_ns is not None:
        yield f"{virtual_text(result.end_ns)} of virtual time"
    yield f"{result.wall_host_s:.1f} s on the host"
    if result.seed is not None:
        yield f"seed {result.seed}"
    if result.checks:
        passed = sum(1 for check in result.checks if check.passed)
        yield f"{passed} of {len(result.checks)} steps, checks and processes passed"


def _group(group: FailureGroup, base_url: str, with_page: Collection[str]) -> dict[str, Any]:
    cells = [
        {
            "name": shown_name(cell.name),
            "state": cell.state.value,
            "url": _url(cell.last, base_url)
            + (layout.REPORT if cell.last.run in with_page else ""),
        }
        for cell in group.cells
    ]
    repeat = shown_line(group.cells[0].last.repeat)
    return {"finding": group.finding, "cells": cells, "repeat": repeat}


def _url(result: CellResult, base_url: str) -> str:
    if not result.run:
        return ""
    return f"{base_url}/{quote(result.run.encode('utf-8', 'surrogatepass'))}/"
