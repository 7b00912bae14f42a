# SPDX-License-Identifier: Apache-2.0
"""A run with its folder: what `windtunnel run`, `verify` and `replay` all do.

`run_session` → `RunWriter` (manifest, lab) → `run_lab` → verdict into the
manifest. Whatever goes wrong on the way, the folder says so and keeps what was
recorded.
"""

from __future__ import annotations

import os
import platform
import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from windtunnel.engine.hostclock import cpu_host_s, monotonic_host_s
from windtunnel.engine.kernel import node_kernels
from windtunnel.engine.kernelrecord import kernel_facts
from windtunnel.engine.run import Check, Outcomes, run_lab
from windtunnel.engine.world import WorldOptions
from windtunnel.errors import GuestError, OverdueError, WindtunnelError
from windtunnel.model.event import Event
from windtunnel.model.flatten import lab_to_yaml
from windtunnel.model.lab import LabSpec
from windtunnel.store import layout
from windtunnel.store.run_dir import ProcessOutput, RunWriter
from windtunnel.version import VERSION

RUNS = Path("runs")
"""Where runs are recorded when nobody says otherwise, in the current directory."""


REPEAT = "windtunnel replay {run}"
"""Repeats a run; "{run}" is its folder."""


@dataclass(frozen=True, slots=True)
class SessionRequest:
    """What to run and where to record it.

    Attributes:
        spec: the lab, checked.
        source_text: of the lab file; None when there was none.
        options: how to run it.
        base: the folder of all runs.
        output: a folder of the user's choice for this one; None numbers it in `base`.
        repeat: the command that repeats the run, for failure messages; "{run}"
            in it is replaced by the run's folder.
        log_grants: whether the folder gets the calendar's log of grants.
        driver: what drives the lab, if it is not its own schedule: "pytest". Its
            folder alone cannot repeat such a run.
    """

    spec: LabSpec
    options: WorldOptions
    source_text: str | None = None
    base: Path = RUNS
    output: Path | None = None
    repeat: str = REPEAT
    log_grants: bool = False
    driver: str = ""


@dataclass(frozen=True, slots=True)
class Session:
    """How a run ended.

    Attributes:
        path: its folder.
        state: "passed", "failed", "error" …, as in the manifest.
        outcomes: None when it did not get to its end.
        error: what stopped it.
        wall_host_s, cpu_host_s: what it took.
        repeat: the command that repeats it.
    """

    path: Path
    state: str
    outcomes: Outcomes | None
    error: WindtunnelError | None
    wall_host_s: float
    cpu_host_s: float
    repeat: str

    @property
    def checks(self) -> tuple[Check, ...]:
        """What it found; empty when it did not get so far."""
        return () if self.outcomes is None else self.outcomes.checks


class FolderRecorder:
    """Writes what a world tells into a run folder."""

    def __init__(self, writer: RunWriter, spec: LabSpec) -> None:
        self._writer = writer
        self._own_kernels = {node.name for node in spec.nodes if node.kernel is not None}
        self._sequence = 0
        self._outputs: dict[tuple[str, str], ProcessOutput] = {}

    def event(self, time_ns: int, kind: str, node: str = "", **fields: Any) -> None:
        """Record one fact."""
        kernel = node if node in self._own_kernels else ""
        self._writer.event(Event(time_ns, self._sequence, kind, node, fields, kernel))
        self._sequence += 1

    def output(self, node: str, process: str, data: bytes, *, stderr: bool) -> None:
        """Record what a process printed, and when."""
        key = (node, process)
        if key not in self._outputs:
            self._outputs[key] = self._writer.output(node, process)
        self._outputs[key].write(data, stderr=stderr)

    def trace(self, data: bytes) -> None:
        """Record lines of the trace."""
        self._writer.append_file(layout.TRACE, data)

    def coverage(self, kernel: str, name: str, data: bytes) -> None:
        """Record the counts of one object of a kernel."""
        self._writer.coverage_file(kernel, name, data)

    def capture(self, name: str) -> Callable[[bytes], None]:
        """Begin the file of a capture."""
        file = f"{name}.pcapng"
        self._writer.append_file(file, b"")
        return lambda data: self._writer.append_file(file, data)


class RunRecord:
    """The folder of a run from its beginning to its verdict; a context manager.

    Attributes:
        path: the folder.
        repeat: the command that repeats the run.
        recorder: for the run's world.
        options: for the run's world.
    """

    def __init__(
        self, request: SessionRequest, *, begun: Callable[[Path], None] = lambda _path: None
    ) -> None:
        """Make the folder; arguments and errors as of `run_session`."""
        self._began_host_s, self._began_cpu_s = monotonic_host_s(), cpu_host_s()
        options = request.options
        kernels = node_kernels(request.spec, options.kernel, options.node_kernels)
        request = replace(request, options=replace(options, node_kernels=kernels))
        arguments: dict[str, Any] = {
            "lab": request.spec.name,
            "lab_text": lab_to_yaml(request.spec),
            "source_text": request.source_text,
            "manifest": _manifest(request),
        }
        if request.output is None:
            self._writer = RunWriter.create(request.base, **arguments)
        else:
            self._writer = RunWriter.create_at(request.output, **arguments)
        self.path = self._writer.path
        begun(self.path)
        self.repeat = repeat_command(self.path, request.repeat)
        self.recorder = FolderRecorder(self._writer, request.spec)
        self.options = replace(
            request.options,
            console=self._writer.console_path,
            grants=self._writer.grants_path if request.log_grants else None,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._writer.__exit__(kind, error, trace)

    def finish(self, state: str, *, finding: str | None, end_ns: int | None) -> tuple[float, float]:
        """Record how the run ended.

        Args:
            state: "passed", "failed" or "error".
            finding: what stopped it; None if nothing did.
            end_ns: lab time of its end; None when it did not get there.

        Returns:
            Seconds of host time and of processor time that it took.
        """
        wall_host_s = monotonic_host_s() - self._began_host_s
        cpu_s = cpu_host_s() - self._began_cpu_s
        self._writer.finish(
            state,
            summary={
                "verdict": state,
                "finding": finding,
                "repeat": self.repeat,
                "end_ns": end_ns,
                "host": {
                    **_host_facts(self.options),
                    "wall_host_s": round(wall_host_s, 3),
                    "cpu_host_s": round(cpu_s, 3),
                },
            },
        )
        return wall_host_s, cpu_s

    def note_error(self, error: GuestError) -> None:
        """Record what a guest's failure is, as an event."""
        self.recorder.event(
            error.time_ns or 0, "finding", error.node or "", message=error.message.split("\n")[0]
        )


def run_session(
    request: SessionRequest,
    *,
    progress: Callable[[str], None] = lambda _doing: None,
    begun: Callable[[Path], None] = lambda _path: None,
) -> Session:
    """Run a lab and record it.

    Args:
        request: what to run.
        progress: called with what the lab is doing now.
        begun: called with the run's folder as soon as it is there.

    Raises:
        UsageError: the output folder is not empty, or in use.
        HostError: the folder cannot be made, or a node's kernel is not there.

    What goes wrong after that is in the session's `error`. A KeyboardInterrupt
    is recorded and passed on.
    """
    with RunRecord(request, begun=begun) as record:
        outcomes, error = _run_recorded(request.spec, record, progress)
        state = _state(outcomes, error)
        wall_host_s, cpu_s = record.finish(
            state,
            finding=None if error is None else str(error),
            end_ns=None if outcomes is None else outcomes.end_ns,
        )
    return Session(record.path, state, outcomes, error, wall_host_s, cpu_s, record.repeat)


def _run_recorded(
    spec: LabSpec, record: RunRecord, progress: Callable[[str], None]
) -> tuple[Outcomes | None, WindtunnelError | None]:
    recorder = record.recorder
    try:
        outcomes = run_lab(
            spec,
            record.options,
            recorder,
            captures=recorder.capture,
            progress=progress,
            trace=recorder.trace,
            coverage=recorder.coverage,
        )
    except GuestError as error:
        record.note_error(error)
        return None, error
    except WindtunnelError as error:
        return None, error
    return outcomes, None


def _state(outcomes: Outcomes | None, error: WindtunnelError | None) -> str:
    if isinstance(error, OverdueError):
        return "timeout"
    if error is not None or outcomes is None:
        return "error"
    return "passed" if outcomes.passed else "failed"


def _manifest(request: SessionRequest) -> dict[str, Any]:
    kernel = request.options.kernel
    return {
        "windtunnel": VERSION,
        "seed": request.spec.seed,
        "kernel": kernel_facts(kernel),
        "node_kernels": {
            node: kernel_facts(own) for node, own in request.options.node_kernels.items()
        }
        or None,
        "stop_ns": request.spec.stop_ns,
        "repeat": request.repeat,
        "driver": request.driver,
        "options": _options(request.options),
        "host": kernel_paths(request.options),
    }


def _options(options: WorldOptions) -> dict[str, Any]:
    """What a replay has to do in the same way."""
    return {
        # What guests may read begins with the current directory.
        "directory": str(Path.cwd()),
        "read": [str(path.resolve()) for path in options.read],
        "write": [str(path.resolve()) for path in options.write],
        "kernel_words": list(options.kernel_words),
    }


def kernel_paths(options: WorldOptions) -> dict[str, Any]:
    """Say where the kernels of a run are on this machine, as its manifest has it."""
    return {
        "kernel_path": str(options.kernel.path),
        "node_kernel_paths": {
            node: str(kernel.path) for node, kernel in options.node_kernels.items()
        },
    }


def _host_facts(options: WorldOptions) -> dict[str, Any]:
    """What of this machine could matter to whoever compares two of them."""
    return {
        "cpu_model": _cpu_model(),
        "system": platform.platform(),
        **kernel_paths(options),
    }


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def repeat_command(path: Path, repeat: str = REPEAT) -> str:
    """Give the command that repeats the run in a folder."""
    return repeat.replace("{run}", shlex.quote(_short(path)))


def _short(path: Path) -> str:
    """The path as a user in the current directory would write it."""
    relative = os.path.relpath(path)
    return relative if not relative.startswith("..") else str(path)
