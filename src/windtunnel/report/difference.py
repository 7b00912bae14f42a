# SPDX-License-Identifier: Apache-2.0
"""How two results of a lab differ: what fails now, what was mended, what takes longer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from windtunnel.model.result import CellResult, CellState
from windtunnel.report.overview import Cell, cells_of, finding_text

HOST_RATIO = 2.0
"""How many times longer in host time is worth a line; a busy host easily makes less of it."""

HOST_FLOOR_S = 1.0
"""Below this a cell's host time is that of starting it."""


@dataclass(frozen=True, slots=True)
class CellChange:
    """A cell that ends otherwise in the second results, or fails in both.

    Attributes:
        cell: its name.
        before: its state in the first; empty when it is not there.
        after: its state in the second; empty when it is not there.
        finding: why it fails, in the second if it fails there; empty when it passes in both.
        repeat: the command that repeats that; empty when there is none.
    """

    cell: str
    before: str
    after: str
    finding: str = ""
    repeat: str = ""


@dataclass(frozen=True, slots=True)
class VirtualChange:
    """A cell that passes in both and ends at another virtual time: not the same behaviour."""

    cell: str
    before_ns: int
    after_ns: int


@dataclass(frozen=True, slots=True)
class HostChange:
    """A cell that passes in both and takes much longer, or much shorter, on its host."""

    cell: str
    before_host_s: float
    after_host_s: float


@dataclass(frozen=True, slots=True)
class ResultsDifference:
    """How a second results differ from a first; each list is in the order of the lab.

    Attributes:
        new_failures: fail in the second, and did not fail in the first; cells that
            are only in the second too.
        fixed: pass in the second, and failed in the first.
        still_failing: fail in both.
        not_tried: passed or failed in the first; interrupted in the second.
        only_before: cells that only the first has.
        only_after: cells that only the second has.
        flaky: passed at once in the first, and after retries in the second.
        virtual_times: in cells that pass in both; exact.
        host_times: in cells that pass in both; those that differ by the ratio.
    """

    new_failures: tuple[CellChange, ...]
    fixed: tuple[CellChange, ...]
    still_failing: tuple[CellChange, ...]
    not_tried: tuple[CellChange, ...]
    only_before: tuple[str, ...]
    only_after: tuple[str, ...]
    flaky: tuple[str, ...]
    virtual_times: tuple[VirtualChange, ...]
    host_times: tuple[HostChange, ...]

    @property
    def same(self) -> bool:
        """Whether all cells came to the same, host times apart."""
        lists = asdict(self)
        del lists["host_times"], lists["still_failing"]
        return not any(lists.values())

    def to_json(self) -> dict[str, Any]:
        """Give it as JSON values."""
        return asdict(self)


def compare_results(
    before: Iterable[CellResult], after: Iterable[CellResult], *, host_ratio: float = HOST_RATIO
) -> ResultsDifference:
    """Compare two results cell by cell, by name; the last try of each counts.

    Args:
        before: the tries of the first.
        after: the tries of the second.
        host_ratio: from how many times longer or shorter a host time is reported; above 1.
    """
    assert host_ratio > 1, "a ratio of 1 reports all"
    first = {cell.name: cell for cell in cells_of(before)}
    second = {cell.name: cell for cell in cells_of(after)}
    both = [(first[name], cell) for name, cell in second.items() if name in first]
    passed = [(one, two) for one, two in both if one.last.passed and two.last.passed]
    return ResultsDifference(
        new_failures=tuple(
            _change(first.get(name), cell)
            for name, cell in second.items()
            if cell.failing and not (name in first and first[name].failing)
        ),
        fixed=tuple(_change(one, two) for one, two in both if one.failing and two.last.passed),
        still_failing=tuple(_change(one, two) for one, two in both if one.failing and two.failing),
        not_tried=tuple(
            _change(one, two)
            for one, two in both
            if two.state is CellState.INTERRUPTED and one.state is not CellState.INTERRUPTED
        ),
        only_before=tuple(name for name in first if name not in second),
        only_after=tuple(name for name in second if name not in first),
        flaky=tuple(two.name for one, two in passed if two.flaky and not one.flaky),
        virtual_times=tuple(
            VirtualChange(two.name, one.last.end_ns, two.last.end_ns)
            for one, two in passed
            if one.last.end_ns is not None
            and two.last.end_ns is not None
            and one.last.end_ns != two.last.end_ns
        ),
        host_times=tuple(
            HostChange(two.name, one.last.wall_host_s, two.last.wall_host_s)
            for one, two in passed
            if _differs(one.last.wall_host_s, two.last.wall_host_s, host_ratio)
        ),
    )


def _change(before: Cell | None, after: Cell) -> CellChange:
    fails = after if after.failing else before
    shown = fails.last if fails is not None and fails.failing else None
    return CellChange(
        cell=after.name,
        before="" if before is None else before.state.value,
        after=after.state.value,
        finding="" if shown is None else finding_text(shown),
        repeat="" if shown is None else shown.repeat,
    )


def _differs(before_host_s: float, after_host_s: float, ratio: float) -> bool:
    shorter, longer = sorted((before_host_s, after_host_s))
    return longer >= HOST_FLOOR_S and longer >= ratio * shorter
