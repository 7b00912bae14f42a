# SPDX-License-Identifier: Apache-2.0
r"""Results as lines of the Test Anything Protocol: TAP 14, TAP 13, and the kernel's KTAP.

A line for each cell; in TAP 14 and KTAP the cell's checks are its subtests. Names
and diagnostics hold no "#" (it is written "\x23"): few parsers undo TAP 14's
escape, and those that do not would take what follows for a directive.

Only virtual times are in here: two runs that found the same give the same bytes
but for the commands that repeat failures.

Sources: Documentation/dev-tools/ktap.rst and tools/testing/kunit/kunit_parser.py
of Linux; the specifications of TAP 13 and 14.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from windtunnel.model.result import CellResult, CellState, CheckResult
from windtunnel.report.overview import (
    Cell,
    Overview,
    check_times,
    check_title,
    finding_text,
    overview_of,
    virtual_text,
)
from windtunnel.report.text import json_text, shown, shown_line, shown_name

MESSAGE_LINES_MAX = 100
"""Of one check: a log of results is not a log of output, and the run's folder has all."""

# At these lines the kernel's parser stops, wherever they stand: it takes them for the end of a
# kernel's log. Guests do print them.
_ENDS_OF_KERNEL = re.compile(
    "(List of all partitions|Kernel panic - not syncing(?=: VFS:)|reboot(?=: System halted)):"
)
_DIRECTIVES = {
    CellState.TIMEOUT: "TIMEOUT",
    CellState.ERROR: "ERROR",
    CellState.LOST: "ERROR",
    CellState.INTERRUPTED: "SKIP",
}


@dataclass(frozen=True, slots=True)
class _Dialect:
    version: str
    separator: str  # between a number and a name
    subtest_indent: str  # empty: no subtests
    subtest_version: bool  # a subtest begins with the version, and not with a comment
    yaml: bool  # why a cell failed follows its line in YAML


_TAP_13 = _Dialect("TAP version 13", " - ", "", subtest_version=False, yaml=True)
_TAP_14 = _Dialect("TAP version 14", " - ", "    ", subtest_version=False, yaml=True)
_KTAP = _Dialect("KTAP version 1", " ", "  ", subtest_version=True, yaml=False)


def tap13(header: Mapping[str, Any], results: Iterable[CellResult]) -> str:
    """Write results as TAP 13: a line for each cell, and why it failed in YAML."""
    return _document(_TAP_13, overview_of(header, results))


def tap14(header: Mapping[str, Any], results: Iterable[CellResult]) -> str:
    """Write results as TAP 14: checks are subtests, and why a cell failed is in YAML."""
    return _document(_TAP_14, overview_of(header, results))


def ktap(header: Mapping[str, Any], results: Iterable[CellResult]) -> str:
    """Write results as the kernel's KTAP: checks are subtests."""
    return _document(_KTAP, overview_of(header, results))


def _document(dialect: _Dialect, overview: Overview) -> str:
    # Cells without a result are in the plan: a reader then misses them, as it should.
    count = len(overview.cells) + overview.missing
    lines = [dialect.version, f"1..{count}" if count else "1..0 # SKIP no cells"]
    lines += [f"# {_line(name)}: {_line(value)}" for name, value in _head(overview)]
    for number, cell in enumerate(overview.cells, start=1):
        lines += _cell(dialect, number, cell)
    return "\n".join(lines) + "\n"


def _head(overview: Overview) -> Iterator[tuple[str, str]]:
    yield "lab", overview.lab
    yield from overview.facts
    if overview.missing:
        yield "not run", str(overview.missing)


def _cell(dialect: _Dialect, number: int, cell: Cell) -> Iterator[str]:
    tries = [
        f"# try {one.attempt}: {one.state}: {_line(finding_text(one))}" for one in cell.earlier
    ]
    line = _result_line(dialect, number, cell.name, ok=not cell.failing, why=_why(cell))
    if dialect.yaml:
        # Between a subtest and its line TAP 14 allows nothing.
        yield from (*tries, *_subtests(dialect, cell), line)
        if cell.failing:
            yield from _yaml(cell.last)
        return
    yield from (*_subtests(dialect, cell), *tries)
    if cell.failing:
        yield f"# finding: {_line(finding_text(cell.last))}"
        if cell.last.repeat:
            yield f"# repeat it: {_line(cell.last.repeat)}"
    yield line


def _subtests(dialect: _Dialect, cell: Cell) -> Iterator[str]:
    checks = cell.last.checks
    if not dialect.subtest_indent or not checks or cell.state is CellState.INTERRUPTED:
        return
    indent = dialect.subtest_indent
    if dialect.subtest_version:
        yield f"{indent}{dialect.version}"
    else:
        yield f"# Subtest: {_name(cell.name)}"
    yield f"{indent}1..{len(checks)}"
    for number, check in enumerate(checks, start=1):
        yield from (f"{indent}{line}" for line in _check(dialect, number, check))


def _check(dialect: _Dialect, number: int, check: CheckResult) -> Iterator[str]:
    if not check.passed:
        yield from _diagnostics(check)
    # What is not judged must not make its cell fail.
    ok = check.passed or not check.judged
    why = f"SKIP it failed, and is not judged: {_line(check.message)}" if ok != check.passed else ""
    yield _result_line(dialect, number, check_title(check), ok=ok, why=why)


# What follows "#" on the line of a cell.
def _why(cell: Cell) -> str:
    directive = _DIRECTIVES.get(cell.state, "")
    if directive:
        return f"{directive} {_line(finding_text(cell.last))}"
    if cell.earlier:
        return f"try {cell.last.attempt}, after {len(cell.earlier)} that did not pass"
    return ""


def _diagnostics(check: CheckResult) -> Iterator[str]:
    yield f"# {_line(check_title(check))}: failed {check_times(check)}"
    lines = shown(check.message).splitlines()
    # Indented, so that no line reads "# Subtest: …".
    for line in lines[:MESSAGE_LINES_MAX]:
        yield f"#   {_line(line)}".rstrip()
    if len(lines) > MESSAGE_LINES_MAX:
        yield f"#   [{len(lines) - MESSAGE_LINES_MAX} lines left out]"


def _result_line(dialect: _Dialect, number: int, name: str, *, ok: bool, why: str) -> str:
    status = "ok" if ok else "not ok"
    line = f"{status} {number}{dialect.separator}{_name(name)}"
    return f"{line} # {why}" if why else line


def _yaml(result: CellResult) -> Iterator[str]:
    values = {
        "message": finding_text(result),
        "severity": "fail" if result.state is CellState.FAILED else result.state.value,
        "run": shown_line(result.run),
        "repeat": shown_line(result.repeat),
        "virtual_time": "" if result.end_ns is None else virtual_text(result.end_ns),
    }
    yield "  ---"
    for key, value in values.items():
        if value:
            yield f"  {key}: {json_text(value)}"  # a string of JSON is one of YAML
    yield "  ..."


def _line(text: str) -> str:
    text = shown_line(text).replace("#", "\\x23")
    return _ENDS_OF_KERNEL.sub(r"\1\\x3a", text)


def _name(name: str) -> str:
    name = shown_name(name).replace("#", "\\x23") or "(no name)"
    if name[0] in "-:":  # a parser would take it for the separator
        name = f"\\x{ord(name[0]):02x}{name[1:]}"
    return _ENDS_OF_KERNEL.sub(r"\1\\x3a", name)
