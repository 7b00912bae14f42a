# SPDX-License-Identifier: Apache-2.0
"""`windtunnel verify`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from windtunnel.errors import ExitStatus
from windtunnel.ui.options import (
    RUNS,
    CellOption,
    CoverageOption,
    JsonOption,
    KernelOption,
    LabArgument,
    ReadOption,
    RunsOption,
    SanitizeOption,
    SeedOption,
    StopOption,
    TrustOption,
    WatchdogOption,
    WritableOption,
    examples,
)

if TYPE_CHECKING:
    from windtunnel.engine.verify import VerifiedRun
    from windtunnel.store.compare import Difference

EPILOG = examples(
    "windtunnel verify lab.yaml",
    "windtunnel verify lab.yaml --times 20 --jobs 2",
    "windtunnel verify lab.yaml --json | jq .equal",
)

_DIGEST_CHARACTERS = 12


def verify(
    lab: LabArgument,
    *,
    times: Annotated[
        int, typer.Option(min=2, metavar="N", help="How often to run it; half on a busy host.")
    ] = 4,
    jobs: Annotated[
        int, typer.Option(min=1, metavar="N", help="How many runs at the same time.")
    ] = 1,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the folders of equal runs.")] = False,
    cell: CellOption = None,
    kernel: KernelOption = None,
    coverage: CoverageOption = None,
    sanitize: SanitizeOption = None,
    seed: SeedOption = None,
    stop: StopOption = None,
    runs: RunsOption = RUNS,
    read: ReadOption = None,
    writable: WritableOption = None,
    trust_guest: TrustOption = False,
    watchdog: WatchdogOption = None,
    json: JsonOption = False,
) -> int:
    """Run a lab again and again, and compare every byte.

    Each run is a process of its own with another hash seed, processor,
    environment, current directory and umask; half of them run beside busy
    loops, a page cache being filled, and forks. Where a run differs from the
    first one, the first difference in virtual time is shown.

    The exit status is 0 when all are equal and 1 when one differs, whatever the
    lab's own verdict is.
    """
    # Imported here, so that other commands do not wait for it.
    from windtunnel.engine.loop import WATCHDOG_HOST_S  # noqa: PLC0415
    from windtunnel.engine.verify import VerifyRequest, runs_folder  # noqa: PLC0415
    from windtunnel.engine.verify import verify as verify_lab  # noqa: PLC0415
    from windtunnel.engine.world import WorldOptions  # noqa: PLC0415
    from windtunnel.ui import screen  # noqa: PLC0415
    from windtunnel.ui.build_progress import kernel_to_boot  # noqa: PLC0415
    from windtunnel.ui.run_command import read_lab  # noqa: PLC0415

    spec = read_lab(lab, seed=seed, stop=stop, cell=cell)
    options = WorldOptions(
        kernel=kernel_to_boot(kernel, coverage=coverage, sanitize=sanitize, quiet=json),
        read=tuple(read or ()),
        write=tuple(writable or ()),
        trust_guest=trust_guest,
        watchdog_host_s=WATCHDOG_HOST_S if watchdog is None else watchdog,
    )
    with runs_folder(runs, spec.name) as folder, _Progress(screen.err()) as progress:
        found = verify_lab(
            VerifyRequest(spec, options, folder, times=times, jobs=jobs),
            progress=progress.doing,
            finished=progress.finished,
            keep=keep,
        )
    equal = all(run.equal for run in found)
    if json:
        kept = keep or not equal
        screen.print_json(
            {"lab": spec.name, "equal": equal, "runs": [_to_json(run, kept=kept) for run in found]}
        )
    else:
        _print(found)
    return ExitStatus.PASSED if equal else ExitStatus.FAILED


class _Progress:
    """What goes on: a live line on a terminal, else a line for each run that has ended."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = (
            Live(console=console, auto_refresh=False, transient=True)
            if console.is_terminal
            else None
        )

    def doing(self, text: str) -> None:
        if self._live is not None:
            self._live.update(Text(text, "dim"), refresh=True)

    def finished(self, run: VerifiedRun) -> None:
        if self._live is None:
            number = run.conditions.number
            self._console.print(f"run {number}: {run.wall_host_s:.1f} s, {_verdict(run)}")

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_error: object) -> None:
        if self._live is not None:
            self._live.stop()


def _print(found: Sequence[VerifiedRun]) -> None:
    from windtunnel.ui import screen  # noqa: PLC0415 - as above

    screen.print_table(
        "run load hash-seed processors ended virtual wall CPU digest equal".split(),
        [screen.Row(_cells(run)) for run in found],
        right=(0, 2, 5, 6, 7),
    )
    console = screen.out()
    different = [run for run in found if not run.equal]
    if not different:
        console.print(f"{len(found)} runs, equal in every byte")
        return
    for run in different:
        console.print(f"\nrun {run.conditions.number} (b) differs from run 1 (a):")
        if run.difference is not None:
            console.print(run.difference.describe())
            console.print(f"  all of it: windtunnel diff {found[0].path} {run.path}")
        elif run.grants is not None:
            console.print(
                "every file is equal, and yet the guest was not let run at the same instants: "
                f"the next change of the lab may show it\n{run.grants.describe()}"
            )
    console.print(f"\nthe runs are in {found[0].path.parent}")


def _cells(run: VerifiedRun) -> tuple[str | Text, ...]:
    from windtunnel.ui import screen  # noqa: PLC0415 - as above

    conditions = run.conditions
    return (
        str(conditions.number),
        "busy" if conditions.loaded else "",
        str(conditions.hash_seed),
        ",".join(map(str, conditions.processors)),
        run.report.state,
        "" if run.report.end_ns is None else screen.time_text(run.report.end_ns),
        f"{run.wall_host_s:.1f} s",
        f"{run.cpu_host_s:.1f} s",
        run.digest[:_DIGEST_CHARACTERS],
        Text(_verdict(run), "green" if run.equal else "bold red"),
    )


def _verdict(run: VerifiedRun) -> str:
    if run.conditions.number == 1:
        return "first"
    if run.equal:
        return "equal"
    return "differs" if run.difference is not None else "other grants"


def _to_json(run: VerifiedRun, *, kept: bool) -> dict[str, Any]:
    conditions = run.conditions
    return {
        "run": conditions.number,
        "loaded": conditions.loaded,
        "hash_seed": conditions.hash_seed,
        "processors": list(conditions.processors),
        "state": run.report.state,
        "error": run.report.error,
        "end_ns": run.report.end_ns,
        "wall_host_s": round(run.wall_host_s, 3),
        "cpu_host_s": round(run.cpu_host_s, 3),
        "digest": run.digest,
        "equal": run.equal,
        "path": str(run.path) if kept else None,
        "difference": None if run.difference is None else difference_json(run.difference),
        "grant": None
        if run.grants is None
        else {
            "line": run.grants.line,
            "a": run.grants.a,
            "b": run.grants.b,
            "time_ns": run.grants.time_ns,
        },
    }


def difference_json(difference: Difference) -> dict[str, Any]:
    """Write the first difference of two runs for programs."""
    return {
        "file": difference.file,
        "key": difference.key,
        "line": difference.line,
        "offset_bytes": difference.offset_bytes,
        "a": difference.a,
        "b": difference.b,
        "time_ns": difference.time_ns,
        "exact": difference.exact,
        "node": difference.node,
    }
