# SPDX-License-Identifier: Apache-2.0
"""`windtunnel search`."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from windtunnel.errors import ExitStatus, InternalError, UsageError, WindtunnelError
from windtunnel.ui import failures
from windtunnel.ui.options import (
    RUNS,
    CellOption,
    JsonOption,
    KernelOption,
    LabArgument,
    ReadOption,
    RunsOption,
    StopOption,
    TrustOption,
    WatchdogOption,
    WritableOption,
    examples,
)

if TYPE_CHECKING:
    from windtunnel.engine.search import SearchRequest
    from windtunnel.engine.world import WorldOptions
    from windtunnel.ui.search_report import SearchReport

EPILOG = examples(
    "windtunnel search examples/election-bug/lab.yaml --seeds 1..100",
    "windtunnel search lab.yaml --jobs 1 --stop-after 3 --no-shrink",
    "windtunnel search lab.yaml --json | jq .failures[0].shrunk.repeat",
)

SeedsOption = Annotated[
    str, typer.Option(metavar="FIRST..LAST", help="The seeds to try, in this order.")
]
JobsOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="How many runs at the same time; the result is the same. "
        "Default: one for each processor.",
    ),
]
StopAfterOption = Annotated[
    int, typer.Option(min=1, metavar="K", help="So many seeds that fail are enough.")
]
NoShrinkOption = Annotated[
    bool, typer.Option("--no-shrink", help="Leave the failures as they are.")
]
TrialsOption = Annotated[
    int, typer.Option(min=1, metavar="N", help="Try so many smaller labs at most.")
]

_SEEDS = re.compile(r"([0-9]+)(?:\.\.([0-9]+))?")
_SEED_LIMIT = 1 << 64


def search(
    lab: LabArgument,
    *,
    seeds: SeedsOption = "1..1000",
    jobs: JobsOption = None,
    stop_after: StopAfterOption = 1,
    no_shrink: NoShrinkOption = False,
    trials: TrialsOption = 200,
    cell: CellOption = None,
    kernel: KernelOption = None,
    stop: StopOption = None,
    runs: RunsOption = RUNS,
    read: ReadOption = None,
    writable: WritableOption = None,
    trust_guest: TrustOption = False,
    watchdog: WatchdogOption = None,
    json: JsonOption = False,
) -> int:
    """Find a seed with which a lab fails, and shrink the failure.

    A seed decides all that is random in a lab: what random faults do, which
    packets are lost, what programs draw. Runs that fail are kept, and those that
    pass are not. A failure is then shrunk to the fewest faults, the shortest
    ones, and the earliest end with which exactly the same checks fail; that run
    is kept as well, with its lab. Of several seeds that fail in the same way,
    the first is shrunk.

    The exit status is 0 when no seed fails and 1 when one does; 2 for a wrong
    lab file or command; 3 when this machine lacks something; 130 after Ctrl-C.
    """
    # Imported here, so that other commands do not wait for it.
    from windtunnel.engine.cells import read_labs  # noqa: PLC0415
    from windtunnel.engine.search import SearchRequest  # noqa: PLC0415
    from windtunnel.ui import screen  # noqa: PLC0415
    from windtunnel.ui.run_command import stop_time  # noqa: PLC0415
    from windtunnel.ui.search_report import SearchReport, print_end  # noqa: PLC0415

    range_of_seeds = _range(seeds)
    stop_ns = stop_time(stop)
    failures.remember_lab(lab)
    lab_of = read_labs(lab, cell=cell, stop_ns=stop_ns)
    # What is wrong with the lab is said before a kernel is looked for, and its files are read.
    spec = lab_of(range_of_seeds[0])
    processors = len(os.sched_getaffinity(0))
    jobs = processors if jobs is None else jobs
    request = SearchRequest(
        name=spec.name,
        lab=lab_of,
        seeds=range_of_seeds,
        options=_options(
            kernel=kernel,
            quiet=json,
            read=read,
            writable=writable,
            trust_guest=trust_guest,
            watchdog=watchdog,
            parallel=max(1, processors // jobs),
        ),
        base=runs,
        jobs=jobs,
        stop_after=stop_after,
    )
    report = SearchReport(request, show=not json)
    _search(request, report, trials_max=0 if no_shrink else trials)
    if json:
        screen.print_json(report.to_json())
    else:
        print_end(report)
    return _status(report)


def _range(text: str) -> range:
    found = _SEEDS.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"--seeds {text!r} is no range of seeds", hint="write 1..1000")
    first, last = int(found[1]), int(found[2] or found[1])
    if first > last:
        raise UsageError(f"--seeds {text}: there is no seed", hint=f"write {last}..{first}")
    if last >= _SEED_LIMIT:
        raise UsageError(f"--seeds {text} is out of range", hint="a seed is 0 to 2^64 - 1")
    return range(first, last + 1)


def _options(
    *,
    kernel: str | None,
    quiet: bool,
    read: list[Path] | None,
    writable: list[Path] | None,
    trust_guest: bool,
    watchdog: float | None,
    parallel: int,
) -> WorldOptions:
    from windtunnel.engine.loop import WATCHDOG_HOST_S  # noqa: PLC0415 - as above
    from windtunnel.engine.world import WorldOptions  # noqa: PLC0415
    from windtunnel.ui.build_progress import kernel_to_boot  # noqa: PLC0415

    return WorldOptions(
        kernel=kernel_to_boot(kernel, quiet=quiet),
        read=tuple(read or ()),
        write=tuple(writable or ()),
        trust_guest=trust_guest,
        watchdog_host_s=WATCHDOG_HOST_S if watchdog is None else watchdog,
        parallel=parallel,
    )


def _search(request: SearchRequest, report: SearchReport, *, trials_max: int) -> None:
    """Search, then shrink one failure of each kind, and tell the report all of it."""
    from windtunnel.engine.search import search as search_seeds  # noqa: PLC0415 - as above
    from windtunnel.engine.shrink import ShrinkRequest, shrink  # noqa: PLC0415

    with report.progress() as progress:
        report.searched(search_seeds(request, progress=progress.search))
    if not trials_max:
        return
    for found in report.to_shrink():
        try:
            with report.progress() as progress:
                shrunk = shrink(
                    ShrinkRequest(
                        spec=request.lab(found.seed),
                        failure=found.failure,
                        end_ns=found.end_ns,
                        options=request.options,
                        base=request.base,
                        jobs=request.jobs,
                        trials_max=trials_max,
                    ),
                    progress=progress.shrink,
                )
        except InternalError:
            raise
        except (KeyboardInterrupt, WindtunnelError) as error:
            report.cut_short = error
            return
        report.shrunk(found, shrunk)


def _status(report: SearchReport) -> int:
    error = report.cut_short
    if isinstance(error, InternalError):
        raise error
    if isinstance(error, KeyboardInterrupt):
        failures.say_interrupted()
        return ExitStatus.INTERRUPTED
    if error is not None:
        failures.print_error(error)
        return error.exit_status
    return ExitStatus.FAILED if report.found else ExitStatus.PASSED
