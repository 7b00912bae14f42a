# SPDX-License-Identifier: Apache-2.0
"""What all formats say of results: cells with their tries, counts, groups of failures."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from windtunnel.model.result import CellResult, CellState, CheckResult
from windtunnel.model.units import format_duration
from windtunnel.report.text import shown_line

# How the cells were chosen, by the names of the options.
_SELECTION = ("only", "no", "shard", "cover", "sample")
_NUMBERS = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell and its tries.

    Attributes:
        last: the try that decides.
        earlier: the tries before it that came to an end, in their order.
    """

    last: CellResult
    earlier: tuple[CellResult, ...] = ()

    @property
    def name(self) -> str:
        """Its name."""
        return self.last.cell

    @property
    def state(self) -> CellState:
        """How it ended."""
        return self.last.state

    @property
    def flaky(self) -> bool:
        """Whether it passed, and not at once."""
        return self.last.passed and bool(self.earlier)

    @property
    def failing(self) -> bool:
        """Whether it was tried, and has not passed."""
        return self.state not in (CellState.PASSED, CellState.INTERRUPTED)


@dataclass(frozen=True, slots=True)
class Overview:
    """Results, put in order.

    Attributes:
        lab: its name.
        state: how the whole ended, as the header says.
        facts: name and value of what the header says for people.
        cells: in the order of the lab.
        missing: how many cells were planned and have no result.
    """

    lab: str
    state: str
    facts: tuple[tuple[str, str], ...]
    cells: tuple[Cell, ...]
    missing: int

    def counts(self) -> dict[str, int]:
        """Count cells by state; all states are there, then "flaky" and "missing"."""
        counts = dict.fromkeys((state.value for state in CellState), 0)
        for cell in self.cells:
            counts[cell.state.value] += 1
        flaky = sum(1 for cell in self.cells if cell.flaky)
        return {**counts, "flaky": flaky, "missing": self.missing}

    @property
    def good(self) -> bool:
        """Whether all cells have passed."""
        return not self.missing and all(cell.last.passed for cell in self.cells)

    def verdict(self) -> str:
        """Say in one line what it comes to: "5 passed (1 after retries), 1 failed"."""
        counts = self.counts()
        parts = [f"{counts[state]} {state.value}" for state in CellState if counts[state]]
        if counts["flaky"]:
            parts[0] += f" ({counts['flaky']} after retries)"
        if self.missing:
            parts.append(f"{self.missing} not run")
        return ", ".join(parts) or "no cells"


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Cells that failed in the same way.

    Attributes:
        finding: of the first of them, in one line.
        cells: in the order of the lab.
    """

    finding: str
    cells: tuple[Cell, ...]


def overview_of(header: Mapping[str, Any], results: Iterable[CellResult]) -> Overview:
    """Put results in order.

    Args:
        header: what `results.json`, or a run's manifest, says.
        results: each try of each cell, in the order in which they ended.
    """
    cells = cells_of(results)
    planned = header.get("planned")
    missing = planned - len(cells) if isinstance(planned, int) else 0
    return Overview(
        lab=str(header.get("lab") or "lab"),
        state=str(header.get("state", "")),
        facts=tuple(_facts(header)),
        cells=cells,
        missing=max(missing, 0),
    )


def cells_of(results: Iterable[CellResult]) -> tuple[Cell, ...]:
    """Put the tries of each cell together.

    A try that was interrupted counts as not tried, unless there is no other.
    """
    tries: dict[str, list[CellResult]] = {}
    for result in results:
        tries.setdefault(result.cell, []).append(result)
    cells = []
    for ended in tries.values():
        ended.sort(key=lambda result: result.attempt)  # stable: of equal ones the newest is last
        earlier = [one for one in ended[:-1] if one.state is not CellState.INTERRUPTED]
        cells.append(Cell(ended[-1], tuple(earlier)))
    return tuple(sorted(cells, key=lambda cell: (cell.last.index, cell.name)))


def failure_groups(cells: Iterable[Cell]) -> list[FailureGroup]:
    """Group the cells that fail by their first finding; the largest group is first.

    Findings that differ in numbers only are the same: a time or a count is
    another one in each cell.
    """
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        if cell.failing:
            key = f"{cell.state}: {_NUMBERS.sub('0', cell.last.finding)}"
            groups.setdefault(key, []).append(cell)
    found = [FailureGroup(finding_text(group[0].last), tuple(group)) for group in groups.values()]
    return sorted(found, key=lambda group: -len(group.cells))  # stable: then the lab's order


def finding_text(result: CellResult) -> str:
    """Say in one line why a try did not pass; its state when nobody said why."""
    return shown_line(result.finding) or result.state.value


def check_title(check: CheckResult) -> str:
    """Name a check: "validate routes agree on r1"."""
    where = f" on {check.node}" if check.node else ""
    return f"{check.kind} {check.name}{where}"


def check_times(check: CheckResult) -> str:
    """Say when a check began, and how long it took: both in virtual time."""
    return f"at {virtual_text(check.at_ns)}, took {virtual_text(check.took_ns)}"


def virtual_text(time_ns: int) -> str:
    """Write virtual time for people."""
    return format_duration(time_ns) if time_ns else "0 s"


def failed_checks(result: CellResult) -> list[CheckResult]:
    """Give the checks that count and have failed."""
    return [check for check in result.checks if check.judged and not check.passed]


# What people want to know of a header; what is beside it is for programs.
def _facts(header: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    kernel, selection = header.get("kernel"), header.get("selection")
    said = {
        "seed": header.get("seed"),
        "kernel": kernel.get("release") if isinstance(kernel, Mapping) else kernel,
        **{name: selection.get(name) for name in _SELECTION if isinstance(selection, Mapping)},
        "planned": header.get("planned"),
        "windtunnel": header.get("windtunnel"),
    }
    for name, value in said.items():
        if value in (None, "", [], ()):
            continue
        if isinstance(value, (list, tuple)):
            yield name, ("/" if name == "shard" else ", ").join(map(str, value))
        else:
            yield name, str(value)
