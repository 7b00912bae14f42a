# SPDX-License-Identifier: Apache-2.0
"""What the cells of a matrix came to: plain data, and as JSON values.

A cell may have been tried more than once; each try is a result of its own, and
the last one decides. What the host decides (durations in host time) is in the
fields whose names say so.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class CellState(StrEnum):
    """How a try of a cell ended."""

    PASSED = "passed"
    FAILED = "failed"
    """A check that counts failed."""
    ERROR = "error"
    """A guest was lost or stuck, a hook failed, or this machine could not go on."""
    TIMEOUT = "timeout"
    """It took longer, in virtual or in host time, than it may."""
    LOST = "lost"
    """Its worker died without a word."""
    INTERRUPTED = "interrupted"
    """The user ended it; it counts as not tried."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One thing that a cell found right or wrong.

    Attributes:
        name: of the step, process or validation.
        kind: "step", "process", "validate", "hook" or "kernel".
        node: where; empty for links and hooks.
        at_ns: lab time when it began.
        took_ns: virtual time until it was decided.
        passed: the verdict.
        message: why it failed; what it found otherwise.
        judged: whether it counts for the verdict of the cell.
    """

    name: str
    kind: str
    node: str
    at_ns: int
    took_ns: int
    passed: bool
    message: str = ""
    judged: bool = True


@dataclass(frozen=True, slots=True)
class CellResult:
    """One try of one cell.

    Attributes:
        cell: its name; the lab's own for a lab without parameters.
        index: its place in the order of the lab, before any filter; from 0.
        attempt: 1 for the first try.
        state: how it ended.
        params: its parameters, in the order of the lab.
        run: its run folder, relative to the results folder, with "/"; empty when
            there is none.
        seed: of its lab.
        checks: in the order in which they were decided.
        finding: what failed first or what stopped it, in one line; empty when it passed.
        end_ns: lab time of its end; None when it did not get there.
        wall_host_s, cpu_host_s: what it took.
        repeat: the command that repeats it; empty when there is no run.
    """

    cell: str
    index: int
    attempt: int
    state: CellState
    params: dict[str, str] = field(default_factory=dict)
    run: str = ""
    seed: int | None = None
    checks: tuple[CheckResult, ...] = ()
    finding: str = ""
    end_ns: int | None = None
    wall_host_s: float = 0.0
    cpu_host_s: float = 0.0
    repeat: str = ""

    @property
    def passed(self) -> bool:
        """Whether this try passed."""
        return self.state is CellState.PASSED

    def to_json(self) -> dict[str, Any]:
        """Give it as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> CellResult:
        """Read what `to_json` gave; a field that is not known is passed over.

        Raises:
            KeyError, TypeError, ValueError: it is no such record.
        """
        known = {name: values[name] for name in cls.__slots__ if name in values}
        known["state"] = CellState(known["state"])
        known["checks"] = tuple(CheckResult(**check) for check in known.get("checks", ()))
        return cls(**known)


def last_results(results: Iterable[CellResult]) -> list[CellResult]:
    """Of each cell the try that decides, in the order of the lab."""
    last: dict[str, CellResult] = {}
    for result in results:
        before = last.get(result.cell)
        if before is None or result.attempt >= before.attempt:
            last[result.cell] = result
    return sorted(last.values(), key=lambda result: result.index)
