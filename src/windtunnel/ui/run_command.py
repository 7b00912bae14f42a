# SPDX-License-Identifier: Apache-2.0
"""`windtunnel run`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from windtunnel.errors import ExitStatus
from windtunnel.model.lab import LabSpec
from windtunnel.ui import failures
from windtunnel.ui.options import (
    RUNS,
    JsonOption,
    KernelOption,
    LabArgument,
    ParallelOption,
    QuietOption,
    ReadOption,
    RunsOption,
    SeedOption,
    StopOption,
    TrustOption,
    WatchdogOption,
    WritableOption,
    examples,
)

EPILOG = examples(
    "windtunnel run lab.yaml",
    "windtunnel run lab.yaml --seed 7 --output /tmp/seven",
    "windtunnel run lab.yaml --json | jq .state",
)


def run(
    lab: LabArgument,
    *,
    kernel: KernelOption = None,
    seed: SeedOption = None,
    stop: StopOption = None,
    output: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Record in this new folder instead of RUNS/LAB/NUMBER."),
    ] = None,
    runs: RunsOption = RUNS,
    read: ReadOption = None,
    writable: WritableOption = None,
    trust_guest: TrustOption = False,
    watchdog: WatchdogOption = None,
    parallel: ParallelOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Run a lab in virtual time, and say what it found.

    The exit status is 0 when all steps, checks and processes are as the lab
    expects; 1 when one is not; 2 for a wrong lab file or command; 3 when this
    machine lacks something; 4 when a guest was lost or stuck; 130 after Ctrl-C.
    """
    # Imported here, so that other commands do not wait for it.
    from windtunnel.engine.session import SessionRequest, run_session  # noqa: PLC0415
    from windtunnel.engine.world import WorldOptions  # noqa: PLC0415
    from windtunnel.ui import screen  # noqa: PLC0415
    from windtunnel.ui.build_progress import kernel_to_boot  # noqa: PLC0415
    from windtunnel.ui.progress import RunProgress  # noqa: PLC0415
    from windtunnel.ui.report import print_report, read_report  # noqa: PLC0415

    spec = read_lab(lab, seed=seed, stop=stop)
    options = WorldOptions(
        kernel=kernel_to_boot(kernel, quiet=quiet),
        read=tuple(read or ()),
        write=tuple(writable or ()),
        trust_guest=trust_guest,
        parallel=parallel,
    )
    if watchdog is not None:
        options = replace(options, watchdog_host_s=watchdog)
    console = screen.err()
    console.quiet = quiet
    with RunProgress(console, lab=spec.name, stop_ns=spec.stop_ns) as progress:
        session = run_session(
            SessionRequest(
                spec=spec,
                options=replace(options, heartbeat=progress.beat),
                source_text=spec.source or None,
                base=runs,
                output=output,
            ),
            progress=progress.step,
            begun=failures.remember_run,
        )
    report = read_report(session.path)
    if json:
        screen.print_json(report.to_json())
    elif not quiet or report.state != "passed":
        print_report(report, finding=False)  # it follows, with its remedy
    if session.error is not None:
        failures.print_error(session.error)
        return session.error.exit_status
    return ExitStatus.PASSED if session.state == "passed" else ExitStatus.FAILED


def read_lab(path: Path, *, seed: int | None = None, stop: str | None = None) -> LabSpec:
    """Read a lab file; what the command line says comes before what the file says.

    Raises:
        LabFileErrors: it is wrong, or does not fit to the options.
        UsageError: `stop` is no time.
    """
    from windtunnel.engine.labfile import read_spec  # noqa: PLC0415
    from windtunnel.errors import UsageError  # noqa: PLC0415

    failures.remember_lab(path)
    if seed is not None and not 0 <= seed < 1 << 64:
        raise UsageError(f"--seed {seed} is out of range", hint="a seed is 0 to 2^64 - 1")
    return read_spec(path, seed=seed, stop_ns=stop_time(stop))


def stop_time(text: str | None) -> int | None:
    """Read what `--stop` says, in nanoseconds.

    Raises:
        UsageError: it is no time.
    """
    from windtunnel.errors import LabFileError, UsageError  # noqa: PLC0415
    from windtunnel.model.units import parse_duration  # noqa: PLC0415

    try:
        return None if text is None else parse_duration(text)
    except LabFileError as error:
        raise UsageError(f"--stop: {error.message}", hint=error.hint) from error
