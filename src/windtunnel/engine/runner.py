# SPDX-License-Identifier: Apache-2.0
"""Run the cells of a lab: so many at a time, each recorded as soon as it has ended.

Cells are begun in their order, and taken one by one as there is room. Nothing
of them is kept here: results go to the disk, and the summary is read from
there. Each try is a fork of this process, so the number of jobs, and who ends
first, change how long it takes and no result.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol

from windtunnel.engine.cellpool import Beat, Begun, CellPool, InFlight, LocalPool, MakePool
from windtunnel.engine.cells import LabCell
from windtunnel.engine.celltry import CellTry
from windtunnel.engine.child import END_HOST_S, ChildLostError
from windtunnel.engine.hooks import Around, HookContext, HostHooks
from windtunnel.engine.hostclock import monotonic_host_s
from windtunnel.engine.labhooks import around_lab
from windtunnel.engine.world import WorldOptions
from windtunnel.errors import ExitStatus, HostError, InternalError
from windtunnel.model.hook import NO_HOOKS
from windtunnel.model.lab import LabSpec
from windtunnel.model.result import CellResult, CellState, CheckResult
from windtunnel.store.layout import cell_folder_name
from windtunnel.store.results_writer import ResultsWriter

CLEAN_HOST_S = 60.0
"""How long a cell with hooks may take to clean up after it was told to end."""


class Watcher(Protocol):
    """Is told how the cells go on."""

    def ended(self, result: CellResult, *, again: bool) -> None:
        """One try has ended, and is recorded; the cell may be tried again."""

    def beat(self, running: Sequence[InFlight]) -> None:
        """A while has passed; these are being run."""

    def hook(self, check: CheckResult) -> None:
        """A hook of the lab has been run."""


@dataclass(frozen=True, slots=True)
class RunnerRequest:
    """What to run, and how.

    Attributes:
        cells: in their order; taken as there is room.
        first: the lab of one of them: its hooks and its limit of host time are the
            whole lab's.
        spec: gives the lab of a cell; called in the process of its try.
        directory: of the lab file.
        options: how to run each.
        jobs: how many at the same time.
        retries: how often one that has not passed is tried again.
        fail_fast: whether to begin no more as soon as one has not passed.
        hooks: whether hooks on the host are run.
        repeat: gives the command that runs a cell again.
        attempts: of cells that have been tried before, the number of their next try.
        pool: makes the place where tries are executed.
        lost_retries: how often a try is repeated because its place was lost; counted
            and shown like any other try.
    """

    cells: Iterable[LabCell]
    first: LabSpec
    spec: Callable[[LabCell], LabSpec]
    directory: Path
    options: WorldOptions
    jobs: int
    repeat: Callable[[LabCell], str]
    retries: int = 0
    fail_fast: bool = False
    hooks: bool = False
    attempts: Mapping[int, int] | None = None
    pool: MakePool = LocalPool
    lost_retries: int = 0


def run_cells(request: RunnerRequest, writer: ResultsWriter, watcher: Watcher) -> None:
    """Run cells, and record each try.

    Args:
        request: which.
        writer: of their results; it is not finished here.
        watcher: is told how it goes on.

    Raises:
        HostError: the disk is full, or there can be no more processes; what has
            ended is recorded.
        HookError: a hook of the lab failed.

    A KeyboardInterrupt is passed on when what was being run is recorded as
    interrupted, and cleaned up.
    """
    runner = _Runner(request, writer, watcher)
    context = HookContext(request.first.name, writer.path, request.directory)
    hooks = request.first.hooks if request.hooks else NO_HOOKS
    with around_lab(hooks, context, writer, told=watcher.hook) as outcome:
        runner.run(context)
        outcome.passed = runner.all_passed


class _Runner:
    def __init__(self, request: RunnerRequest, writer: ResultsWriter, watcher: Watcher) -> None:
        self._request = request
        self._writer = writer
        self._watcher = watcher
        self._cells: Iterator[LabCell] = iter(request.cells)
        self._again: deque[tuple[LabCell, int]] = deque()
        self._stopping = False
        self.all_passed = True

    def run(self, context: HookContext) -> None:
        limit_s = END_HOST_S if not self._request.hooks else CLEAN_HOST_S
        with self._request.pool(self._request.jobs, end_host_s=limit_s) as pool:
            try:
                self._run(pool, context)
            except BaseException:
                self._interrupt(pool)
                raise

    def _run(self, pool: CellPool, context: HookContext) -> None:
        while True:
            while pool.has_room and (following := self._following()) is not None:
                self._begin(pool, context, *following)
            if not pool.running:
                return
            for one in pool.wait():
                self._end(pool, one)
            self._watcher.beat([_in_flight(one) for one in pool.running])

    def _following(self) -> tuple[LabCell, int] | None:
        """What is to be tried next; None when nothing is."""
        if self._stopping:
            return None
        if self._again:
            return self._again.popleft()
        cell = next(self._cells, None)
        if cell is None:
            return None
        return cell, (self._request.attempts or {}).get(cell.index, 1)

    def _begin(self, pool: CellPool, context: HookContext, cell: LabCell, attempt: int) -> None:
        request = self._request
        beat = Beat()
        path = self._writer.run_folder(cell.name, attempt)
        log = self._writer.hook_log(f"cells/{cell_folder_name(cell.name, attempt)}")

        def around(spec: LabSpec) -> list[Around]:
            return [HostHooks(spec, log)] if request.hooks else []

        what = CellTry(
            cell=cell,
            attempt=attempt,
            spec=partial(request.spec, cell),
            options=replace(request.options, heartbeat=beat.tell),
            path=path,
            context=replace(context, cell=cell.name, params=cell.params, run=path),
            around=around,
            repeat=request.repeat(cell),
        )
        limit_s = request.first.limits.host_s
        pool.try_cell(InFlight(what, beat), limit_host_s=limit_s)

    def _end(self, pool: CellPool, one: Begun) -> None:
        what = one.key.what
        full = False
        try:
            told = pool.result(one)
        except ChildLostError as error:
            result = self._lost(one, error)
        except InternalError as error:
            result = _bug(what, error)
        else:
            result, full = CellResult.from_json(told["result"]), told["full"]
        one.key.beat.close()
        if not result.wall_host_s:
            wall_host_s = round(monotonic_host_s() - one.began_host_s, 3)
            result = replace(result, wall_host_s=wall_host_s)
        self._record(what, result)
        if full:
            raise HostError(
                f"the disk is full: {result.finding}",
                hint="free some space, and go on with --resume; what has ended is recorded",
            )

    def _record(self, what: CellTry, result: CellResult) -> None:
        self._writer.append(result)
        wrong = not result.passed and result.state is not CellState.INTERRUPTED
        lost = self._request.lost_retries if result.state is CellState.LOST else 0
        again = wrong and what.attempt <= self._request.retries + lost
        self._watcher.ended(result, again=again)
        if again:
            self._again.append((what.cell, what.attempt + 1))
            return
        if not wrong:
            return
        self.all_passed = False
        self._stopping = self._stopping or self._request.fail_fast

    def _lost(self, one: Begun, error: ChildLostError) -> CellResult:
        what = one.key.what
        if one.overdue:
            limit_s = self._request.first.limits.host_s or 0.0
            finding = f"it took longer than {limit_s:g} s of host time"
            return what.bare_result(CellState.TIMEOUT, finding)
        if error.status == ExitStatus.INTERRUPTED:
            return what.bare_result(CellState.INTERRUPTED, "interrupted")
        return what.bare_result(CellState.LOST, error.message)

    def _interrupt(self, pool: CellPool) -> None:
        """End what is being run, and record that."""
        ending: list[Begun] = list(pool.running)
        pool.stop(ending)
        for one in ending:
            result = one.key.what.bare_result(CellState.INTERRUPTED, "interrupted")
            with suppress(HostError):  # a full disk: it reads as not tried
                self._writer.append(result)
                self._watcher.ended(result, again=False)


def _in_flight(one: Begun) -> InFlight:
    return replace(one.key, began_host_s=one.began_host_s)


def _bug(what: CellTry, error: InternalError) -> CellResult:
    """The result of a try that met a bug of ours; its traceback goes beside the run."""
    notes = getattr(error, "__notes__", [])
    last = (notes[-1].strip().splitlines() or [""])[-1] if notes else ""
    with suppress(OSError):  # no folder, or a full disk: the last line is in the finding
        (what.path / "traceback.txt").write_text("\n".join(notes))
    return what.bare_result(CellState.ERROR, f"this is our bug, not yours: {last}")
