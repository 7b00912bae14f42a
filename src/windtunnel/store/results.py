# SPDX-License-Identifier: Apache-2.0
"""Read the results of a lab's cells: finished, running, or killed at any moment.

A lab without parameters leaves one run; it is read as results with one cell, so
that every report works with both. `results_writer` writes the folder, `layout`
draws it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from windtunnel.errors import ProtocolError, UsageError
from windtunnel.model.event import Event
from windtunnel.model.result import CellResult, CellState, CheckResult
from windtunnel.store import layout
from windtunnel.store.layout import host_errors
from windtunnel.store.run_reader import RunReader, is_results, is_run

RESULTS_SCHEMA_VERSION = 1
"""Of `results.json` and `cells.jsonl`; raised when one of today's readers would misread them."""

CHECK_KINDS = ("check", "step")
"""The kinds of events that are checks."""

_STATES = {
    "passed": CellState.PASSED,
    "failed": CellState.FAILED,
    "timeout": CellState.TIMEOUT,
    "killed": CellState.LOST,
    "interrupted": CellState.INTERRUPTED,
    "running": CellState.INTERRUPTED,
}


@dataclass(frozen=True, slots=True)
class Results:
    """What the cells of a lab came to.

    Attributes:
        path: the folder.
        header: what `results.json` says; of a single run what its manifest says.
        results: each try of each cell, in the order in which they ended.
    """

    path: Path
    header: Mapping[str, Any]
    results: list[CellResult]

    @property
    def lab(self) -> str:
        """The lab's name."""
        return str(self.header.get("lab", ""))

    @property
    def state(self) -> str:
        """How it ended, "running", or "killed": the runner is gone without a word."""
        return state_of(self.header)


def state_of(header: Mapping[str, Any]) -> str:
    """Say how a runner ended by its header; "killed" when it is gone without a word."""
    state = str(header.get("state", "running"))
    if state == "running" and not layout.is_alive(header.get("writer")):
        return "killed"
    return state


def read_results(path: Path) -> Results:
    """Read results, or a single run as results with one cell.

    Raises:
        UsageError: there are none in this folder, or another version made them.
        ProtocolError: they are damaged; names file and line.
        HostError: they cannot be read.
    """
    if is_results(path):
        return Results(path, read_header(path), list(cell_results(path)))
    if is_run(path):
        reader = RunReader(path)
        return Results(path, {**reader.manifest, "state": reader.state}, [run_result(path)])
    raise UsageError(
        f"{path} has no results: neither {layout.RESULTS} nor {layout.EVENTS} is in it",
        hint="name results as LAB/NUMBER, or by their folder",
    )


def read_header(path: Path) -> dict[str, Any]:
    """Read what `results.json` says of a folder of results.

    Raises:
        UsageError: another version of windtunnel made it, and we would misread it.
        ProtocolError: it is damaged.
        HostError: it cannot be read.
    """
    file = path / layout.RESULTS
    with host_errors(path, f"read {layout.RESULTS}", hint=""):
        text = file.read_bytes()
    try:
        header = json.loads(text)
    except ValueError as error:
        raise ProtocolError(f"{file}: {error}") from error
    if not isinstance(header, dict) or not isinstance(header.get("schema"), int):
        raise ProtocolError(f"{file}: it does not say which version of its schema it has")
    schema = header["schema"]
    if schema != RESULTS_SCHEMA_VERSION:
        age = "a newer" if schema > RESULTS_SCHEMA_VERSION else "an older"
        raise UsageError(
            f"{path} was made by {age} windtunnel ({header.get('windtunnel', 'unknown')}): its "
            f"results have schema {schema}, and this one reads {RESULTS_SCHEMA_VERSION}",
            hint="read it with that version, or run the lab again",
        )
    return header


def cell_results(path: Path) -> Iterator[CellResult]:
    """Give each try of each cell of a results folder, in the order in which they ended.

    A cut last line, as a killed runner may leave, is passed over.

    Raises:
        ProtocolError: another line is no result; names file and line.
        HostError: they cannot be read.
    """
    file = path / layout.CELL_LINES
    with host_errors(path, f"read {layout.CELL_LINES}", hint=""):
        if not file.exists():
            return  # killed before the first one
        with file.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                try:
                    result = CellResult.from_json(json.loads(line))
                except (ValueError, KeyError, TypeError, AttributeError) as error:
                    if not line.endswith(b"\n"):
                        return
                    raise ProtocolError(
                        f"{file}:{number}: no result of a cell: {type(error).__name__}: {error}"
                    ) from error
                yield result


# ---- a run by itself ----


def run_result(path: Path) -> CellResult:
    """Read the folder of one run as the result of a cell that has the lab's name.

    Raises:
        UsageError: there is no run in this folder.
        ProtocolError: it is damaged.
        HostError: it cannot be read.
    """
    reader = RunReader(path)
    manifest = reader.manifest
    checks = []
    last_ns = 0
    for event in reader.events():
        last_ns = max(last_ns, event.time_ns)
        if event.kind in CHECK_KINDS:
            checks.append(check_result(event))
    host = manifest.get("host") or {}
    end_ns = manifest.get("end_ns")
    state = reader.state
    return CellResult(
        cell=str(manifest.get("lab", "")),
        index=0,
        attempt=1,
        state=_STATES.get(state, CellState.ERROR),
        seed=manifest.get("seed"),
        checks=tuple(checks),
        run=".",
        finding=_finding(state, manifest, checks),
        end_ns=end_ns if end_ns is not None or state in ("passed", "failed") else last_ns or None,
        wall_host_s=host.get("wall_host_s") or 0.0,
        cpu_host_s=host.get("cpu_host_s") or 0.0,
        repeat=str(manifest.get("repeat", "")).replace("{run}", str(path)),
    )


def check_result(event: Event) -> CheckResult:
    """Read an event of one of the CHECK_KINDS."""
    fields = event.fields
    took_ns = fields.get("took_ns", 0)
    return CheckResult(
        name=str(fields.get("name", "")),
        kind=str(fields.get("of", "step")),
        node=event.node,
        at_ns=fields.get("at_ns", event.time_ns - took_ns),
        took_ns=took_ns,
        passed=bool(fields.get("passed")),
        message=str(fields.get("message", "")),
        judged=bool(fields.get("judged", True)),
    )


def first_finding(checks: list[CheckResult] | tuple[CheckResult, ...]) -> str:
    """Say in one line which check that counts failed first; empty when none did."""
    for check in checks:
        if check.judged and not check.passed:
            where = f" on {check.node}" if check.node else ""
            why = check.message.strip().partition("\n")[0]
            return f"{check.name}{where}: {why}" if why else f"{check.name}{where}"
    return ""


def _finding(state: str, manifest: Mapping[str, Any], checks: list[CheckResult]) -> str:
    said = manifest.get("finding") or manifest.get("error") or ""
    if said:
        return str(said).partition("\n")[0]
    if state in ("killed", "running", "interrupted"):
        return {"running": "it still goes on"}.get(state, state)
    return first_finding(checks)


# ---- what it all comes to ----


@dataclass(frozen=True, slots=True)
class Summary:
    """What the cells of a lab came to, without what each of them found.

    Attributes:
        counts: of cells, by the state of the try that decides; only those there are.
        tries: how many there were.
        failures: the deciding try of each cell that has not passed, without its
            checks, in the order of the lab.
        only_at_retry: the same of each cell that passed, but not at its first try.
    """

    counts: Mapping[str, int]
    tries: int
    failures: tuple[CellResult, ...]
    only_at_retry: tuple[CellResult, ...]

    @property
    def cells(self) -> int:
        """How many cells have been tried to an end."""
        return sum(self.counts.values()) - self.counts.get(CellState.INTERRUPTED.value, 0)

    @property
    def passed(self) -> bool:
        """Whether every one that was tried has passed."""
        return not self.failures


def summarize(results: Iterable[CellResult]) -> Summary:
    """Sum up results, each try of which is looked at once and dropped."""
    states: dict[int, tuple[int, CellState]] = {}
    kept: dict[int, CellResult] = {}
    tries = 0
    for result in results:
        tries += 1
        index = result.index
        if index in states and result.attempt < states[index][0]:
            continue
        states[index] = (result.attempt, result.state)
        kept.pop(index, None)
        if not result.passed or result.attempt > 1:
            kept[index] = replace(result, checks=())
    counts = Counter(state.value for _, state in states.values())
    in_order = [kept[index] for index in sorted(kept)]
    return Summary(
        counts={state.value: counts[state.value] for state in CellState if counts[state.value]},
        tries=tries,
        failures=tuple(result for result in in_order if not result.passed),
        only_at_retry=tuple(result for result in in_order if result.passed),
    )
