# SPDX-License-Identifier: Apache-2.0
"""`windtunnel replay`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from windtunnel.errors import ExitStatus
from windtunnel.ui import failures
from windtunnel.ui.options import (
    RUNS,
    JsonOption,
    KernelOption,
    QuietOption,
    RunArgument,
    RunsOption,
    TrustOption,
    WatchdogOption,
    examples,
)

EPILOG = examples(
    "windtunnel replay latest",
    "windtunnel replay ospf-ring/3 --output /tmp/again",
    "windtunnel replay runs/ospf-ring/0003 --json | jq .equal",
)


def replay(
    run: RunArgument,
    *,
    kernel: KernelOption = None,
    output: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Record in this new folder instead of RUNS/LAB/NUMBER."),
    ] = None,
    runs: RunsOption = RUNS,
    trust_guest: TrustOption = False,
    watchdog: WatchdogOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Repeat a run from its folder alone, and compare the two.

    A failed run fails again in the same way; a run that was killed is compared
    as far as it was recorded.

    The exit status is 0 when the two are equal, whatever their verdict is, and
    1 when they differ; then the first difference in virtual time is shown.
    """
    # Imported here, so that other commands do not wait for it.
    from windtunnel.engine.replay import ReplayRequest  # noqa: PLC0415
    from windtunnel.engine.replay import replay as replay_run  # noqa: PLC0415
    from windtunnel.store.run_reader import RunReader, find_run  # noqa: PLC0415
    from windtunnel.ui import screen  # noqa: PLC0415
    from windtunnel.ui.progress import RunProgress  # noqa: PLC0415
    from windtunnel.ui.verify_command import difference_json  # noqa: PLC0415

    original = find_run(run, runs)
    manifest = RunReader(original).manifest
    console = screen.err()
    console.quiet = quiet or json
    with RunProgress(
        console, lab=str(manifest.get("lab", "")), stop_ns=manifest.get("stop_ns")
    ) as progress:
        found = replay_run(
            ReplayRequest(
                original,
                base=runs,
                output=output,
                kernel=kernel,
                trust_guest=trust_guest,
                watchdog_host_s=watchdog,
                heartbeat=progress.beat,
            ),
            progress=progress.step,
            begun=failures.remember_run,
        )
    difference, session = found.difference, found.session
    if json:
        screen.print_json(
            {
                "original": str(original),
                "replay": str(session.path),
                "state": session.state,
                "equal": difference is None,
                "compared_until_ns": found.until_ns,
                "difference": None if difference is None else difference_json(difference),
            }
        )
    elif difference is not None:
        screen.out().print(f"{session.path} (b) differs from {original} (a):")
        screen.out().print(difference.describe())
    elif not quiet:
        until = ""
        if found.until_ns is not None:
            until = f", as far as that was recorded: until {found.until_ns / 1e9:.9f} s"
        screen.out().print(f"equal in every byte to {original}{until}")
        screen.out().print(f"{session.state}; recorded in {session.path}")
    return ExitStatus.PASSED if difference is None else ExitStatus.FAILED
