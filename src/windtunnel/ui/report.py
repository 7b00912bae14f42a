# SPDX-License-Identifier: Apache-2.0
"""What a run found, read from its folder, as a table or as JSON.

`run`, `replay` and `runs show` print the same, because they read the same: a
run that was killed has a report as well.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.text import Text

from windtunnel.engine.run import Check
from windtunnel.model.event import Event
from windtunnel.store.corefiles import cores_of
from windtunnel.store.run_reader import RunReader
from windtunnel.ui import screen
from windtunnel.ui.screen import speed_text, time_text

_CHECK_KINDS = ("check", "step")
_NAME_COLUMNS = 14


@dataclass(frozen=True, slots=True)
class RunReport:
    """How a run went.

    Attributes:
        path: the run's folder.
        lab: its name.
        state: as in the manifest, or "running" or "killed".
        seed: None when the manifest does not say.
        kernel: its release; empty when it is not known.
        checks: in the order in which they were decided.
        end_ns: lab time of its end; of the last event when it did not end itself.
        finding: what stopped it; empty when nothing did.
        wall_host_s: None when it did not end itself; so is `cpu_host_s`.
        cpu_host_s: of us and the guests.
        repeat: the command that repeats it.
    """

    path: Path
    lab: str
    state: str
    seed: int | None
    kernel: str
    checks: tuple[Check, ...]
    end_ns: int
    finding: str
    wall_host_s: float | None
    cpu_host_s: float | None
    repeat: str

    @property
    def failures(self) -> tuple[Check, ...]:
        """The checks that count and have failed."""
        return tuple(check for check in self.checks if check.judged and not check.passed)

    def to_json(self) -> dict[str, Any]:
        """Give it as JSON values."""
        document = {**asdict(self), "path": str(self.path)}
        if self.wall_host_s:
            document["speed"] = round(self.end_ns / 1e9 / self.wall_host_s, 1)
        return document


def read_report(path: Path) -> RunReport:
    """Read how a run went.

    Raises:
        UsageError: there is no run in this folder.
        HostError: it cannot be read.
        ProtocolError: it is damaged.
    """
    reader = RunReader(path)
    manifest = reader.manifest
    host = manifest.get("host") or {}
    checks: list[Check] = []
    last_ns = 0
    for event in reader.events():
        last_ns = max(last_ns, event.time_ns)
        if event.kind in _CHECK_KINDS:
            checks.append(_check(event))
    end_ns = manifest.get("end_ns")
    return RunReport(
        path=path,
        lab=str(manifest.get("lab", "")),
        state=reader.state,
        seed=manifest.get("seed"),
        kernel=str((manifest.get("kernel") or {}).get("release") or ""),
        checks=tuple(checks),
        end_ns=last_ns if end_ns is None else end_ns,
        finding=str(manifest.get("finding") or manifest.get("error") or ""),
        wall_host_s=host.get("wall_host_s"),
        cpu_host_s=host.get("cpu_host_s"),
        repeat=str(manifest.get("repeat", "")).replace("{run}", short(path)),
    )


def _check(event: Event) -> Check:
    fields = event.fields
    took_ns = fields.get("took_ns", 0)
    return Check(
        name=str(fields.get("name", "")),
        kind=str(fields.get("of", "step")),
        node=event.node,
        at_ns=fields.get("at_ns", event.time_ns - took_ns),
        took_ns=took_ns,
        passed=bool(fields.get("passed")),
        message=str(fields.get("message", "")),
        judged=bool(fields.get("judged", True)),
    )


def print_report(report: RunReport, *, finding: bool = True) -> None:
    """Write the table of a run and what it comes to.

    Args:
        report: what to write.
        finding: whether to write what stopped it; False when it is said elsewhere.
    """
    console = screen.out()
    seed = "" if report.seed is None else f", seed {report.seed}"
    kernel = f", Linux {report.kernel}" if report.kernel[:1].isdigit() else ""
    console.print(Text(report.lab, "bold") + Text(f"{seed}{kernel}", "not bold"))
    if report.checks:
        console.print()
        screen.print_table(
            ("step or check", "node", "at", "took", "verdict"),
            list(_rows(report.checks)),
            right=(2, 3),
        )
    console.print()
    console.print(_verdict(report))
    if finding and report.state in ("error", "timeout"):
        console.print(Text(report.finding, "red"))
    for name, value in _facts(report):
        console.print(f"{name:{_NAME_COLUMNS}}{value}")


def _facts(report: RunReport) -> Iterable[tuple[str, str]]:
    yield "virtual time", time_text(report.end_ns)
    if report.wall_host_s:
        speed = speed_text(report.end_ns, report.wall_host_s)
        cpu = f"{report.cpu_host_s or 0:.1f} s of processor time"
        yield "wall time", f"{report.wall_host_s:.1f} s: {speed}, {cpu}"
    yield "recorded in", short(report.path)
    if report.state not in ("passed", "running"):
        yield "repeat it", f"{report.repeat}  (seed {report.seed})"
        yield "look at it", f"windtunnel report {shlex.quote(short(report.path))}"
    if cores_of(report.path):
        yield "look into it", f"windtunnel inspect {shlex.quote(short(report.path))}"


def _rows(checks: Iterable[Check]) -> Iterable[screen.Row]:
    processes = []
    for check in checks:
        if check.kind == "process" and check.passed:
            processes.append(check)
        else:
            yield _row(check)
    if processes:
        count = "1 process" if len(processes) == 1 else f"{len(processes)} processes"
        yield screen.Row((count, "", "", "", Text("✓ as expected", "green")))


def _row(check: Check) -> screen.Row:
    if check.passed:
        verdict = Text("✓ passed", "green") if check.node else Text("✓ done", "green")
    elif check.judged:
        verdict = Text("✗ failed", "bold red")
    else:
        verdict = Text("✗ not judged", "yellow")
    return screen.Row(
        (
            check.name,
            check.node,
            time_text(check.at_ns),
            time_text(check.took_ns),
            verdict,
        ),
        note="" if check.passed else check.message,
    )


def _verdict(report: RunReport) -> Text:
    steps = sum(1 for check in report.checks if check.judged)
    match report.state:
        case "passed":
            what = "1 of 1" if steps == 1 else f"all {steps} steps, checks and processes"
            return Text(f"passed: {what}" if steps else "passed", "bold green")
        case "failed":
            return Text(f"failed: {len(report.failures)} of {steps}", "bold red")
        case "running":
            return Text("still running", "bold yellow")
        case "killed":
            return Text(
                f"killed at {time_text(report.end_ns)}: nobody was left to say why",
                "bold red",
            )
        case "interrupted":
            return Text(f"interrupted at {time_text(report.end_ns)}", "bold yellow")
        case "timeout":
            return Text(f"not done after {time_text(report.end_ns)}", "bold red")
        case _:
            return Text(f"ended by an error at {time_text(report.end_ns)}", "bold red")


def listed_run(report: RunReport) -> screen.Row:
    """Give the line of a run in the list of all."""
    return screen.Row(
        (
            f"{report.path.parent.name}/{report.path.name}",
            state_text(report.state),
            str(len(report.failures) or ""),
            "",
            "" if report.seed is None else str(report.seed),
            time_text(report.end_ns),
            "" if report.wall_host_s is None else f"{report.wall_host_s:.1f} s",
        )
    )


_STATE_STYLES = {
    "passed": "green",
    "failed": "bold red",
    "error": "bold red",
    "timeout": "bold red",
    "lost": "bold red",
    "killed": "bold red",
    "interrupted": "yellow",
    "running": "yellow",
}


def state_text(state: str) -> Text:
    """Give a run's state the colour that it has everywhere."""
    return Text(state, _STATE_STYLES.get(state, ""))


def short(path: Path) -> str:
    """Write a path as a user in the current directory would."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative
