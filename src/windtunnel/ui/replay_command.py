# SPDX-License-Identifier: Apache-2.0
"""`windtunnel replay`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from windtunnel.errors import ExitStatus
from windtunnel.ui import failures
from windtunnel.ui.options import (
    RUNS,
    JsonOption,
    KernelOption,
    ParallelOption,
    QuietOption,
    RunArgument,
    RunsOption,
    TrustOption,
    WatchdogOption,
    examples,
)

if TYPE_CHECKING:
    from windtunnel.engine.replay import Replay

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
    parallel: ParallelOption = None,
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
                parallel=parallel,
                heartbeat=progress.beat,
            ),
            progress=progress.step,
            begun=failures.remember_run,
        )
    if json:
        screen.print_json(_as_json(original, found))
    elif not quiet or found.difference is not None:
        _show(original, found)
    return ExitStatus.PASSED if found.difference is None else ExitStatus.FAILED


def _as_json(original: Path, found: Replay) -> dict[str, object]:
    from windtunnel.ui.verify_command import difference_json  # noqa: PLC0415

    difference = found.difference
    return {
        "original": str(original),
        "replay": str(found.session.path),
        "state": found.session.state,
        "equal": difference is None,
        "compared_until_ns": found.until_ns,
        "difference": None if difference is None else difference_json(difference),
    }


def _show(original: Path, found: Replay) -> None:
    from windtunnel.ui import screen  # noqa: PLC0415

    path = found.session.path
    if found.difference is not None:
        screen.out().print(f"{path} (b) differs from {original} (a):")
        screen.out().print(found.difference.describe())
        screen.out().print(f"  all of it: windtunnel diff {original} {path}")
        return
    until = ""
    if found.until_ns is not None:
        until = f", as far as that was recorded: until {found.until_ns / 1e9:.9f} s"
    screen.out().print(f"equal in every byte to {original}{until}")
    screen.out().print(f"{found.session.state}; recorded in {path}")
