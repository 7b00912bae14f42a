# SPDX-License-Identifier: Apache-2.0
"""Run a lab's cells into a folder of results: begun anew, gone on with, or those that failed.

What has to be the same when somebody goes on is in the folder: the choice of
cells, the seed, the kernel, what guests may see, and what the lab file was.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from windtunnel.engine.cellpool import CellPool, LocalPool, MakePool
from windtunnel.engine.cells import LabCell, LabCells, read_cells
from windtunnel.engine.child import wait_for
from windtunnel.engine.hooks import check_hooks, host_hooks
from windtunnel.engine.hostclock import cpu_host_s, monotonic_host_s
from windtunnel.engine.kernelrecord import kernel_facts, lab_kernel
from windtunnel.engine.labfile import read_text
from windtunnel.engine.runner import CLEAN_HOST_S, RunnerRequest, Watcher, run_cells
from windtunnel.engine.selection import Selection, choose
from windtunnel.engine.world import WorldOptions
from windtunnel.errors import HostError, UsageError, WindtunnelError
from windtunnel.model.hook import Limits
from windtunnel.model.lab import LabSpec
from windtunnel.model.result import CellState
from windtunnel.model.units import duration_text
from windtunnel.store.results import Summary, cell_results, read_header, summarize
from windtunnel.store.results_writer import ResultsInUseError, ResultsWriter

LOCAL, RAY = "local", "ray"
"""Where cells are executed: in forks of this process, or on a Ray cluster."""

_POLL_HOST_S = 0.2
_LOST_RETRIES = 3  # of a try whose machine was lost
_NOT_TRIED = (CellState.INTERRUPTED, CellState.LOST)


@dataclass(frozen=True, slots=True)
class LabRequest:
    """A lab of which cells are to be run.

    Attributes:
        path: of the lab file.
        options: how to run each cell.
        selection: which of them.
        seed, stop_ns: in place of the lab's.
        limits: in place of the lab's, where given.
        base: the folder of all runs.
        output: a folder of the user's choice for the results; None numbers them.
        jobs, retries, fail_fast: see `RunnerRequest`.
        engine: where cells are executed: "local", "ray" or "ray:HOST:PORT".
        hooks: whether hooks on the host are run; None asks for a decision where
            there are some.
        command: how the user would run this lab again, "windtunnel run lab.yaml".
    """

    path: Path
    options: WorldOptions
    selection: Selection = field(default_factory=Selection)
    seed: int | None = None
    stop_ns: int | None = None
    limits: Limits = field(default_factory=Limits)
    base: Path = Path("runs")
    output: Path | None = None
    jobs: int = 1
    retries: int = 0
    fail_fast: bool = False
    engine: str = LOCAL
    hooks: bool | None = None
    command: str = ""


@dataclass(frozen=True, slots=True)
class LabResult:
    """What running a lab's cells came to.

    Attributes:
        path: the folder of results.
        state: "passed", "failed" …, as in `results.json`.
        planned: how many cells there are to run in all.
        summary: of all that is recorded there.
        error: what ended it before its time.
        wall_host_s: of this process; what went before it went on is not in it.
    """

    path: Path
    state: str
    planned: int
    summary: Summary
    error: KeyboardInterrupt | WindtunnelError | None
    wall_host_s: float


@dataclass(frozen=True, slots=True)
class Prepared:
    """Cells that can be run.

    Attributes:
        request: by which.
        writer: of the folder of results, locked.
        cells: those that are left to run, in order.
        planned: how many there are to run in all.
        left: how many of them are left.
        first: the lab of the first.
        lab: the lab's cells.
        attempts: see `RunnerRequest`.
    """

    request: LabRequest
    writer: ResultsWriter
    cells: Iterable[LabCell]
    planned: int
    left: int
    first: LabSpec
    lab: LabCells
    attempts: Mapping[int, int] = field(default_factory=dict)


def begin(request: LabRequest) -> Prepared:
    """Make a folder for the results of a lab's cells.

    Raises:
        LabFileErrors: the lab is wrong.
        UsageError: no cell is left, hooks wait for a decision, the folder is in use.
        HostError: the folder cannot be made.
    """
    lab = _read(request)
    chosen = choose(lab, request.selection)
    first = _first(request, lab, chosen.cells)
    header = {
        "seed": first.seed,
        "kernel": kernel_facts(request.options.kernel),
        "source": _digests(lab),
        "selection": request.selection.to_json(),
        "given": _given(request),
        "planned": chosen.count,
        "host": {"kernel_path": str(request.options.kernel.path), "jobs": request.jobs},
    }
    text = read_text(request.path)
    if request.output is None:
        writer = ResultsWriter.create(request.base, lab=lab.lab, header=header, source_text=text)
    else:
        writer = ResultsWriter.create_at(
            request.output, lab=lab.lab, header=header, source_text=text
        )
    return Prepared(request, writer, chosen.cells, chosen.count, chosen.count, first, lab)


def resumed(request: LabRequest, path: Path) -> LabRequest:
    """Give the request by which results can be gone on with: what was said when they began.

    Args:
        request: now; what it says of cells, seed and stop must not be otherwise.
        path: the folder of results.

    Raises:
        UsageError: it is otherwise, or there are no such results.
        HostError: the kernel of then is not here, or is another now.
    """
    header = read_header(path)
    given = header.get("given") or {}
    before = replace(
        request,
        selection=Selection.from_json(header.get("selection") or {}),
        seed=given.get("seed"),
        stop_ns=given.get("stop_ns"),
        limits=_limits(given),
        retries=given.get("retries") or 0,
    )
    for what, now, then, unsaid in (
        ("seed", request.seed, before.seed, None),
        ("cells", request.selection, before.selection, Selection()),
        ("stop", request.stop_ns, before.stop_ns, None),
        ("limits", request.limits, before.limits, Limits()),
        ("retries", request.retries, before.retries, 0),
    ):
        if now not in (then, unsaid):
            raise UsageError(
                f"--resume goes on with the {what} of {path}, and other {what} are asked for now",
                hint="leave these options out: what was said when it began holds",
            )
    options = replace(
        request.options,
        kernel=lab_kernel(header),
        read=request.options.read or tuple(map(Path, given.get("read") or ())),
        write=request.options.write or tuple(map(Path, given.get("write") or ())),
    )
    return replace(before, options=options)


def as_before(request: LabRequest, path: Path) -> LabRequest:
    """Give a request that says of seed and limits what results were made with, unless it does.

    Raises:
        UsageError: there are no such results.
    """
    given = read_header(path).get("given") or {}
    then = _limits(given)
    now = request.limits
    return replace(
        request,
        seed=given.get("seed") if request.seed is None else request.seed,
        stop_ns=given.get("stop_ns") if request.stop_ns is None else request.stop_ns,
        limits=Limits(
            then.virtual_ns if now.virtual_ns is None else now.virtual_ns,
            then.host_s if now.host_s is None else now.host_s,
        ),
    )


def _limits(given: Mapping[str, Any]) -> Limits:
    values = given.get("limits") or {}
    return Limits(values.get("virtual_ns"), values.get("host_s"))


def go_on(request: LabRequest, path: Path) -> Prepared:
    """Open a folder of results, for the cells in it that have none.

    Args:
        request: as `resumed` gives it.
        path: the folder.

    Raises:
        UsageError: another runner is there, or the lab is another now.
    """
    lab = _read(request)
    before = (read_header(path).get("source") or {}).items()
    changed = sorted(name for name, digest in before if _digests(lab).get(name) != digest)
    if changed:
        raise UsageError(
            f"{changed[0]} has changed since {path} was begun",
            hint="results of two labs do not belong together: leave --resume out to begin anew",
        )
    chosen = choose(lab, request.selection)
    first = _first(request, lab, chosen.cells)
    writer = _writer(path)
    done, attempts = _done(writer.path, request.retries)
    return Prepared(
        request,
        writer,
        _without(chosen.cells, done),
        chosen.count,
        chosen.count - len(done),
        first,
        lab,
        attempts,
    )


def _writer(path: Path) -> ResultsWriter:
    """Open the results; cells of a runner that was killed may still be ending."""
    limit_host_s = monotonic_host_s() + CLEAN_HOST_S
    while True:
        try:
            return ResultsWriter.resume(path)
        except ResultsInUseError as error:
            if not error.ending or monotonic_host_s() > limit_host_s:
                raise
        wait_for([], _POLL_HOST_S)


def run(prepared: Prepared, watcher: Watcher) -> LabResult:
    """Run cells, record what came of them, and sum it up.

    Whatever ends it before its time, Ctrl-C too, is in the result's `error`.
    """
    request, writer = prepared.request, prepared.writer
    began_host_s, began_cpu_s = monotonic_host_s(), cpu_host_s()
    error: KeyboardInterrupt | WindtunnelError | None = None
    with writer:
        try:
            run_cells(_runner_request(prepared), writer, watcher)
        except (KeyboardInterrupt, WindtunnelError) as caught:
            error = caught
        wall_host_s = monotonic_host_s() - began_host_s
        summary = summarize(cell_results(writer.path))
        state = _state(summary, error)
        said = {} if error is None else {"error": str(error) or "interrupted"}
        host = {
            **writer.header.get("host", {}),
            "jobs": request.jobs,
            "wall_host_s": round(wall_host_s, 3),
            "cpu_host_s": round(cpu_host_s() - began_cpu_s, 3),
        }
        writer.finish(state, summary={"counts": dict(summary.counts), "host": host, **said})
    return LabResult(writer.path, state, prepared.planned, summary, error, wall_host_s)


def _read(request: LabRequest) -> LabCells:
    return read_cells(
        request.path,
        only=request.selection.only,
        no=request.selection.no,
        seed=request.seed,
        stop_ns=request.stop_ns,
    )


def _first(request: LabRequest, lab: LabCells, cells: Iterable[LabCell]) -> LabSpec:
    """The lab of the first cell, so that a lab that is wrong says so before anything begins."""
    spec = _limited(request, lab.spec(next(iter(cells))))
    hooks = host_hooks(spec)
    if hooks and request.hooks is None:
        shown = "".join(f"\n  {hook.host or hook.python}" for hook in hooks)
        raise UsageError(
            f"the lab wants to run on this machine, as you and not confined:{shown}",
            hint="let it with --hooks, or leave it out with --no-hooks",
        )
    if request.hooks and request.engine != LOCAL:
        raise UsageError(
            "hooks run on this machine, and with --engine ray the cells run on others",
            hint="leave them out with --no-hooks",
        )
    if request.hooks:
        check_hooks(spec, request.path.parent)
    return spec


def _limited(request: LabRequest, spec: LabSpec) -> LabSpec:
    now, own = request.limits, spec.limits
    virtual_ns = own.virtual_ns if now.virtual_ns is None else now.virtual_ns
    host_s = own.host_s if now.host_s is None else now.host_s
    return replace(spec, limits=Limits(virtual_ns, host_s))


def _runner_request(prepared: Prepared) -> RunnerRequest:
    request, lab = prepared.request, prepared.lab

    given = "" if request.seed is None else f" --seed {request.seed}"
    if request.stop_ns is not None:
        given += f" --stop {shlex.quote(duration_text(request.stop_ns))}"

    def repeat(cell: LabCell) -> str:
        return f"{request.command}{given} --only {shlex.quote(cell.name)}"

    return RunnerRequest(
        cells=prepared.cells,
        first=prepared.first,
        spec=lambda cell: _limited(request, lab.spec(cell)),
        directory=request.path.parent.absolute(),
        options=request.options,
        jobs=request.jobs,
        repeat=repeat,
        retries=request.retries,
        fail_fast=request.fail_fast,
        hooks=bool(request.hooks),
        attempts=prepared.attempts,
        pool=_pool(request),
        lost_retries=0 if request.engine == LOCAL else _LOST_RETRIES,
    )


def _pool(request: LabRequest) -> MakePool:
    if request.engine == LOCAL:
        return LocalPool
    from windtunnel.engine.raypool import RayPool  # noqa: PLC0415 - optional

    def on_cluster(jobs: int, *, end_host_s: float) -> CellPool:
        del end_host_s  # whoever runs a try there ends it
        return RayPool(request.engine.partition(":")[2], jobs)

    return on_cluster


def _state(summary: Summary, error: KeyboardInterrupt | WindtunnelError | None) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if error is not None:
        return "error"
    return "passed" if summary.passed else "failed"


def _given(request: LabRequest) -> dict[str, Any]:
    return {
        "seed": request.seed,
        "stop_ns": request.stop_ns,
        "limits": {"virtual_ns": request.limits.virtual_ns, "host_s": request.limits.host_s},
        "retries": request.retries,
        "read": [str(path.resolve()) for path in request.options.read],
        "write": [str(path.resolve()) for path in request.options.write],
    }


def _digests(lab: LabCells) -> dict[str, str]:
    """SHA-256 of what says which cells there are; the rest is recorded with each run."""
    try:
        return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in lab.files}
    except OSError as error:
        raise HostError(f"cannot read {error.filename}: {error.strerror}") from error


def _done(path: Path, retries: int) -> tuple[set[int], dict[int, int]]:
    """Which cells have a result, and the number of the next try of those that do not."""
    done: set[int] = set()
    attempts: dict[int, int] = {}
    for result in cell_results(path):
        if result.state in _NOT_TRIED:
            done.discard(result.index)
            # An interrupted try counts as none; a lost one was one.
            lost = result.state is CellState.LOST
            attempts[result.index] = result.attempt + lost
        elif not result.passed and result.attempt <= retries:
            done.discard(result.index)
            attempts[result.index] = result.attempt + 1
        else:
            done.add(result.index)
            attempts.pop(result.index, None)
    return done, attempts


def _without(cells: Iterable[LabCell], done: set[int]) -> Iterator[LabCell]:
    return (cell for cell in cells if cell.index not in done)
