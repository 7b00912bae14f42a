# SPDX-License-Identifier: Apache-2.0
"""Results as JUnit XML, for Jenkins, GitLab and what else shows it.

One suite for the lab and one case for each cell: a cell is what is retried and
what a command repeats, and readers follow a case by class and name from build to
build. The checks that failed are in the text of the failure.

Valid by the schemas of Maven Surefire and of Jenkins' xUnit plugin, so a case has
no properties (both forbid them there): a cell's parameters are in its
system-out. Retries are Surefire's: `flakyFailure` and `flakyError` in a case that
passed at last, `rerunFailure` and `rerunError` in one that did not.

`time` is host time, for readers find slow cases and split work by it; virtual
time is in the system-out.

Source: surefire-test-report.xsd 3.0; junit-10.xsd of jenkinsci/xunit-plugin.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping
from typing import Any

from windtunnel.model.result import CellResult, CellState
from windtunnel.report.overview import (
    Cell,
    Overview,
    check_times,
    check_title,
    failed_checks,
    finding_text,
    overview_of,
    virtual_text,
)
from windtunnel.report.text import shown, shown_line, shown_name

NOT_RUN = "(cells not run)"
"""The name of the case that stands for all cells that were planned and have no result."""


def junit_xml(header: Mapping[str, Any], results: Iterable[CellResult]) -> str:
    """Write results as JUnit XML, with a newline at its end."""
    overview = overview_of(header, results)
    lab = shown_name(overview.lab)
    counts = _counts(overview)
    root = ET.Element("testsuites", {"name": lab, **counts})
    suite = ET.SubElement(
        root, "testsuite", {"name": lab, **counts, "skipped": str(_skipped(overview))}
    )
    properties = ET.SubElement(suite, "properties")
    for name, value in (("lab", overview.lab), ("state", overview.state), *overview.facts):
        ET.SubElement(
            properties, "property", {"name": shown_line(name), "value": shown_line(value)}
        )
    for cell in overview.cells:
        _add_case(suite, lab, cell)
    if overview.missing:
        _add_missing(suite, lab, overview)
    ET.indent(root, " ")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _counts(overview: Overview) -> dict[str, str]:
    failures = sum(1 for cell in overview.cells if cell.state is CellState.FAILED)
    failing = sum(1 for cell in overview.cells if cell.failing)
    return {
        "tests": str(len(overview.cells) + bool(overview.missing)),
        "failures": str(failures),
        "errors": str(failing - failures + _stopped(overview)),
        "time": _seconds(sum(cell.last.wall_host_s for cell in overview.cells)),
    }


def _skipped(overview: Overview) -> int:
    interrupted = sum(1 for cell in overview.cells if cell.state is CellState.INTERRUPTED)
    return interrupted + (bool(overview.missing) and not _stopped(overview))


# Cells are missing though nobody wanted it so: that must not look green.
def _stopped(overview: Overview) -> bool:
    return bool(overview.missing) and overview.state not in ("failed", "interrupted")


def _add_missing(suite: ET.Element, lab: str, overview: Overview) -> None:
    case = ET.SubElement(suite, "testcase", _case(lab, NOT_RUN, 0.0))
    message = f"{overview.missing} of the planned cells were not run"
    if _stopped(overview):
        message = f"{message}: the runner is {shown_line(overview.state) or 'gone'}"
        ET.SubElement(case, "error", {"message": message, "type": "missing"})
    else:
        ET.SubElement(case, "skipped", {"message": message})


def _seconds(host_s: float) -> str:
    return f"{max(host_s, 0.0):.3f}"


def _case(lab: str, name: str, host_s: float) -> dict[str, str]:
    return {"name": name, "classname": lab, "time": _seconds(host_s)}


def _add_case(suite: ET.Element, lab: str, cell: Cell) -> None:
    case = ET.SubElement(
        suite, "testcase", _case(lab, shown_name(cell.name), cell.last.wall_host_s)
    )
    prefix = "flaky" if cell.flaky else "rerun"
    failures = [one for one in cell.earlier if one.state is CellState.FAILED]
    errors = [one for one in cell.earlier if one.state is not CellState.FAILED]
    # The order of the elements is Surefire's schema's.
    if cell.state is CellState.FAILED:
        _add_reason(case, "failure", cell.last)
    for one in failures:
        _add_try(case, f"{prefix}Failure", one)
    if cell.state is CellState.INTERRUPTED:
        ET.SubElement(case, "skipped", {"message": finding_text(cell.last)})
    elif cell.failing and cell.state is not CellState.FAILED:
        _add_reason(case, "error", cell.last)
    for one in errors:
        _add_try(case, f"{prefix}Error", one)
    ET.SubElement(case, "system-out").text = _output(cell)


def _add_reason(case: ET.Element, tag: str, result: CellResult) -> None:
    attributes = {"message": finding_text(result), "type": result.state.value}
    ET.SubElement(case, tag, attributes).text = _reason(result)


def _add_try(case: ET.Element, tag: str, result: CellResult) -> None:
    message = f"try {result.attempt}: {finding_text(result)}"
    element = ET.SubElement(case, tag, {"message": message, "type": result.state.value})
    ET.SubElement(element, "stackTrace").text = _reason(result)
    ET.SubElement(element, "system-out").text = "\n".join(_facts(result))


def _reason(result: CellResult) -> str:
    lines = [finding_text(result)]
    for check in failed_checks(result):
        lines += ["", f"{shown_line(check_title(check))}, {check_times(check)}"]
        lines += [f"    {line}" for line in shown(check.message).splitlines()]
    if result.repeat:
        lines += ["", f"repeat it: {shown_line(result.repeat)}"]
    return "\n".join(lines)


def _output(cell: Cell) -> str:
    lines = _facts(cell.last)
    if cell.earlier:
        lines.append(f"tries: {len(cell.earlier) + 1}")
    lines += [
        f"{shown_line(name)} = {shown_line(value)}" for name, value in cell.last.params.items()
    ]
    return "\n".join(lines)


def _facts(result: CellResult) -> list[str]:
    lines = []
    if result.repeat:
        lines.append(f"repeat it: {shown_line(result.repeat)}")
    if result.run:
        lines.append(f"run: {shown_line(result.run)}")
    if result.end_ns is not None:
        lines.append(f"virtual time: {virtual_text(result.end_ns)}")
    if result.seed is not None:
        lines.append(f"seed: {result.seed}")
    return lines
