# SPDX-License-Identifier: Apache-2.0
"""`windtunnel run`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from windtunnel.errors import ExitStatus, GuestError, LabFileError, UsageError
from windtunnel.model.lab import LabSpec
from windtunnel.report.formats import ResultsFormat
from windtunnel.ui import failures
from windtunnel.ui.options import (
    RUNS,
    CoverageOption,
    JsonOption,
    KernelOption,
    LabArgument,
    NoOption,
    OnlyOption,
    ParallelOption,
    QuietOption,
    ReadOption,
    RunsOption,
    SanitizeOption,
    SeedOption,
    ShardOption,
    StopOption,
    TrustOption,
    WatchdogOption,
    WritableOption,
    examples,
    parse_shard,
)

if TYPE_CHECKING:
    from windtunnel.engine.world import WorldOptions

EPILOG = examples(
    "windtunnel run lab.yaml",
    "windtunnel run lab.yaml --seed 7 --output /tmp/seven",
    "windtunnel run lab.yaml --json | jq .state",
    "# a lab with parameters: four cells at a time, each twice if it must be",
    "windtunnel run matrix.yaml --jobs 4 --retries 1 --only cc=bbr",
    "windtunnel run matrix.yaml --resume",
    "windtunnel run matrix.yaml --report junit=out.xml --report html=page.html",
)

OutputOption = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Record in this new folder instead of RUNS/LAB/NUMBER."),
]
JobsOption = Annotated[
    int | None,
    typer.Option(
        "--jobs", "-j", min=1, metavar="N",
        help="How many cells at the same time. Default: one for each processor.",
    ),
]  # fmt: skip
CoverOption = Annotated[
    int | None,
    typer.Option(
        min=1, max=6, metavar="T",
        help="Only so many cells that every combination of T parameters is in one.",
    ),
]  # fmt: skip
SampleOption = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Only N cells, drawn by --seed.")
]
RerunOption = Annotated[
    bool, typer.Option("--rerun-failed", help="Only cells that have not passed last time.")
]
ResumeOption = Annotated[
    bool,
    typer.Option("--resume", help="Go on with results that were cut short; nothing is repeated."),
]
ResultsOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="Which results these two are about. Default: the lab's latest."
    ),
]
FailFastOption = Annotated[
    bool, typer.Option("--fail-fast", help="Begin no more cells when one has not passed.")
]
RetriesOption = Annotated[
    int,
    typer.Option(
        min=0, metavar="N",
        help="Try a cell that has not passed so often again. Every try is kept and shown. The "
        "same seed gives the same result: this helps against the host alone.",
    ),
]  # fmt: skip
TimeoutOption = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Virtual time that a cell may take, such as '10 min'."),
]
HostTimeoutOption = Annotated[
    float | None,
    typer.Option(min=0.1, metavar="SECONDS", help="Host time that a cell may take."),
]
HooksOption = Annotated[
    bool | None,
    typer.Option(
        "--hooks/--no-hooks",
        help="Run the lab's hooks on this machine, as you and not confined; or leave them out.",
    ),
]


ReportOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FORMAT=FILE",
        help="Write the results there as well, whatever they are: junit, html, json, ktap, tap "
        "or tap13. May be given again.",
    ),
]


EngineOption = Annotated[
    str,
    typer.Option(
        "--engine", metavar="WHERE",
        help='Where cells are run: "local", "ray" (a Ray cluster of this machine\'s own) or '
        '"ray:HOST:PORT" (a cluster that there is).',
    ),
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the command line says that is about cells."""

    only: tuple[str, ...] = ()
    no: tuple[str, ...] = ()
    shard: str | None = None
    cover: int | None = None
    sample: int | None = None
    rerun_failed: bool = False
    resume: bool = False
    results: str | None = None
    fail_fast: bool = False
    retries: int = 0
    cell_timeout: str | None = None
    cell_timeout_host: float | None = None
    hooks: bool | None = None
    reports: tuple[tuple[ResultsFormat, Path], ...] = ()
    engine: str = "local"

    @property
    def anything(self) -> bool:
        """Whether it can only be meant for cells."""
        return self != _Asked()


def run(
    lab: LabArgument,
    *,
    kernel: KernelOption = None,
    coverage: CoverageOption = None,
    sanitize: SanitizeOption = None,
    seed: SeedOption = None,
    stop: StopOption = None,
    output: OutputOption = None,
    runs: RunsOption = RUNS,
    only: OnlyOption = None,
    no: NoOption = None,
    shard: ShardOption = None,
    cover: CoverOption = None,
    sample: SampleOption = None,
    jobs: JobsOption = None,
    rerun_failed: RerunOption = False,
    resume: ResumeOption = False,
    results: ResultsOption = None,
    fail_fast: FailFastOption = False,
    retries: RetriesOption = 0,
    cell_timeout: TimeoutOption = None,
    cell_timeout_host: HostTimeoutOption = None,
    hooks: HooksOption = None,
    report: ReportOption = None,
    engine: EngineOption = "local",
    read: ReadOption = None,
    writable: WritableOption = None,
    trust_guest: TrustOption = False,
    watchdog: WatchdogOption = None,
    parallel: ParallelOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Run a lab in virtual time, and say what it found.

    A lab with parameters is run once for each of its cells, several at a time.

    The exit status is 0 when all steps, checks and processes are as the lab
    expects; 1 when one is not; 2 for a wrong lab file or command; 3 when this
    machine lacks something; 4 when a guest was lost or stuck; 130 after Ctrl-C.
    With cells: 1 when a check failed in any, 4 when none did but one was not
    run to its end (an error, a timeout, a lost process).
    """
    # Imported here, so that other commands do not wait for it.
    from windtunnel.engine.world import WorldOptions  # noqa: PLC0415
    from windtunnel.ui.build_progress import kernel_to_boot  # noqa: PLC0415

    asked = _Asked(
        tuple(only or ()), tuple(no or ()), shard, cover, sample, rerun_failed, resume, results,
        fail_fast, retries, cell_timeout, cell_timeout_host, hooks, _reports(report or []),
        _engine(engine),
    )  # fmt: skip
    spec = None if asked.anything else _single(lab, seed=seed, stop=stop)
    options = WorldOptions(
        kernel=kernel_to_boot(kernel, coverage=coverage, sanitize=sanitize, quiet=quiet),
        read=tuple(read or ()),
        write=tuple(writable or ()),
        trust_guest=trust_guest,
        parallel=parallel,
    )
    if watchdog is not None:
        options = replace(options, watchdog_host_s=watchdog)
    if spec is not None:
        return _run_once(spec, options, runs, output, json=json, quiet=quiet)
    return _run_cells(
        lab, asked, options, runs, output, seed=seed, stop=stop, jobs=jobs, json=json, quiet=quiet
    )


def _reports(texts: list[str]) -> tuple[tuple[ResultsFormat, Path], ...]:
    """Read what `--report` says: "junit=out.xml"."""
    found = []
    for text in texts:
        name, _, file = text.partition("=")
        if name not in list(ResultsFormat) or not file:
            raise UsageError(
                f"--report {text!r} is no format and file",
                hint=f"FORMAT=FILE, with one of {', '.join(ResultsFormat)}",
            )
        found.append((ResultsFormat(name), Path(file)))
    return tuple(found)


def _engine(text: str) -> str:
    name, colon, address = text.partition(":")
    if text == "local" or (name == "ray" and bool(colon) == bool(address)):
        return text
    raise UsageError(
        f"--engine {text!r} is no place to run cells", hint="local, ray or ray:HOST:PORT"
    )


def _single(lab: Path, *, seed: int | None, stop: str | None) -> LabSpec | None:
    """The lab, if it is one run and no more; None if it has cells, or hooks on the host."""
    from windtunnel.engine.cells import read_cells  # noqa: PLC0415 - as above
    from windtunnel.engine.hooks import host_hooks  # noqa: PLC0415

    failures.remember_lab(lab)
    if read_cells(lab).has_params:
        return None
    spec = read_lab(lab, seed=seed, stop=stop)
    return None if host_hooks(spec) or spec.limits.host_s is not None else spec


def _run_once(
    spec: LabSpec,
    options: WorldOptions,
    runs: Path,
    output: Path | None,
    *,
    json: bool,
    quiet: bool,
) -> int:
    from windtunnel.engine.session import SessionRequest, run_session  # noqa: PLC0415 - as above
    from windtunnel.ui import screen  # noqa: PLC0415
    from windtunnel.ui.diff_command import print_against_good  # noqa: PLC0415
    from windtunnel.ui.progress import RunProgress  # noqa: PLC0415
    from windtunnel.ui.report import print_report, read_report  # noqa: PLC0415

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
        if report.state == "failed" or isinstance(session.error, GuestError):
            print_against_good(session.path)
    if session.error is not None:
        failures.print_error(session.error)
        return session.error.exit_status
    return ExitStatus.PASSED if session.state == "passed" else ExitStatus.FAILED


def _run_cells(
    lab: Path,
    asked: _Asked,
    options: WorldOptions,
    runs: Path,
    output: Path | None,
    *,
    seed: int | None,
    stop: str | None,
    jobs: int | None,
    json: bool,
    quiet: bool,
) -> int:
    import os  # noqa: PLC0415 - as above

    from windtunnel.engine.cells import read_cells  # noqa: PLC0415
    from windtunnel.engine.labresults import LabRequest  # noqa: PLC0415
    from windtunnel.engine.selection import Selection  # noqa: PLC0415
    from windtunnel.model.hook import Limits  # noqa: PLC0415
    from windtunnel.ui.cells_command import (  # noqa: PLC0415
        CellsRequest,
        again_command,
        run_cells,
    )
    from windtunnel.ui.matrix_lab import print_doubts  # noqa: PLC0415

    failures.remember_lab(lab)
    check_seed(seed)
    cells = read_cells(lab)
    print_doubts(cells.doubts())
    selection = Selection(
        only=asked.only,
        no=asked.no,
        shard=None if asked.shard is None else parse_shard(asked.shard),
        cover=asked.cover,
        sample=asked.sample,
        seed=seed or 0,
    )
    timeout_ns = duration_option(asked.cell_timeout, "--cell-timeout")
    request = LabRequest(
        path=lab,
        options=options,
        selection=selection,
        seed=seed,
        stop_ns=stop_time(stop),
        limits=Limits(timeout_ns, asked.cell_timeout_host),
        base=runs,
        output=output,
        # a cluster has as many processors as it has
        jobs=jobs or (len(os.sched_getaffinity(0)) if asked.engine == "local" else 0),
        engine=asked.engine,
        retries=asked.retries,
        fail_fast=asked.fail_fast,
        hooks=asked.hooks,
        command=again_command(lab, runs, trust_guest=options.trust_guest, hooks=asked.hooks),
    )
    return run_cells(
        CellsRequest(
            lab=request,
            name=cells.lab,
            resume=asked.resume,
            rerun_failed=asked.rerun_failed,
            results=asked.results,
            reports=asked.reports,
            json=json,
            quiet=quiet,
        )
    )


def read_lab(
    path: Path, *, seed: int | None = None, stop: str | None = None, cell: str | None = None
) -> LabSpec:
    """Read a lab file; what the command line says comes before what the file says.

    Args:
        path: of the lab file.
        seed: in place of the file's.
        stop: in place of the file's.
        cell: name or number of one, for a lab with parameters.

    Raises:
        LabFileErrors: it is wrong, or does not fit to the options.
        UsageError: `stop` is no time, or there is no such cell.
    """
    from windtunnel.engine.cells import read_cells  # noqa: PLC0415 - as above
    from windtunnel.engine.labfile import read_spec  # noqa: PLC0415

    failures.remember_lab(path)
    check_seed(seed)
    if cell is None:
        return read_spec(path, seed=seed, stop_ns=stop_time(stop))
    cells = read_cells(path, seed=seed, stop_ns=stop_time(stop))
    return cells.spec(cells.find(cell))


def check_seed(seed: int | None) -> None:
    """See that `--seed` is one.

    Raises:
        UsageError: it is too large, or less than 0.
    """
    if seed is not None and not 0 <= seed < 1 << 64:
        raise UsageError(f"--seed {seed} is out of range", hint="a seed is 0 to 2^64 - 1")


def stop_time(text: str | None) -> int | None:
    """Read what `--stop` says, in nanoseconds.

    Raises:
        UsageError: it is no time.
    """
    return duration_option(text, "--stop")


def duration_option(text: str | None, option: str) -> int | None:
    """Read an option that is a duration, in nanoseconds.

    Raises:
        UsageError: it is none.
    """
    from windtunnel.model.units import parse_duration  # noqa: PLC0415 - as above

    try:
        return None if text is None else parse_duration(text)
    except LabFileError as error:
        raise UsageError(f"{option}: {error.message}", hint=error.hint) from error
