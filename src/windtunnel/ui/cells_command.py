# SPDX-License-Identifier: Apache-2.0
"""`windtunnel run` of a lab with parameters: its cells, and what they come to."""

from __future__ import annotations

import gc
import shlex
from dataclasses import dataclass, replace
from pathlib import Path

from windtunnel.engine import labresults
from windtunnel.engine.labresults import LabRequest, LabResult, Prepared
from windtunnel.errors import ExitStatus, UsageError
from windtunnel.model.result import CellState
from windtunnel.report.formats import ResultsFormat
from windtunnel.report.write import write_results
from windtunnel.store.results import cell_results, read_results, summarize
from windtunnel.store.run_reader import find_record, is_results
from windtunnel.ui import failures, interrupts, screen
from windtunnel.ui.cells_progress import CellsProgress
from windtunnel.ui.cells_report import exit_status, print_end, print_failures, results_json
from windtunnel.ui.diff_command import print_against_good
from windtunnel.ui.options import RUNS
from windtunnel.ui.report import short

_COMPARED = (CellState.FAILED, CellState.ERROR, CellState.TIMEOUT)
"""Cells whose own run says where it went wrong."""


@dataclass(frozen=True, slots=True)
class CellsRequest:
    """What the command line asks for.

    Attributes:
        lab: what to run.
        name: of the lab.
        resume: whether to go on with results.
        rerun_failed: whether to run only the cells that have not passed there.
        results: which results these two are about; None is the lab's latest.
        reports: files to write the results into, each in a format.
        json, quiet: how to say it.
    """

    lab: LabRequest
    name: str
    resume: bool = False
    rerun_failed: bool = False
    results: str | None = None
    reports: tuple[tuple[ResultsFormat, Path], ...] = ()
    json: bool = False
    quiet: bool = False


def run_cells(request: CellsRequest) -> int:
    """Run the cells of a lab, and say what they came to.

    Returns:
        The exit status.

    Raises:
        WindtunnelError: it could not begin.
    """
    interrupts.install_for_all()
    prepared = _prepared(request)
    failures.remember_run(prepared.writer.path)
    # `main` stops the collector for commands that are short. Forks share what is there now.
    gc.collect()
    gc.freeze()
    gc.enable()
    progress = CellsProgress(
        screen.err(),
        lab=request.name,
        planned=prepared.planned,
        left=prepared.left,
        jobs=prepared.request.jobs,
        show=not request.quiet,
    )
    with progress:
        result = labresults.run(prepared, progress)
    status = _say(request, prepared, result)
    for format_, file in request.reports:
        write_results(read_results(result.path), format_, file)
    return status


def _prepared(request: CellsRequest) -> Prepared:
    lab = request.lab
    if request.resume and request.rerun_failed:
        raise UsageError("--resume and --rerun-failed together", hint="take one of them")
    if request.results is not None and not (request.resume or request.rerun_failed):
        raise UsageError(
            "--results alone", hint="it says which results --resume or --rerun-failed are about"
        )
    if request.resume:
        path = _results(request)
        return labresults.go_on(labresults.resumed(lab, path), path)
    if request.rerun_failed:
        path = _results(request)
        these = tuple((one.index, one.cell) for one in summarize(cell_results(path)).failures)
        if not these:
            raise UsageError(f"every cell in {short(path)} has passed: there is nothing to rerun")
        lab = labresults.as_before(lab, path)
        lab = replace(lab, selection=replace(lab.selection, these=these))
    return labresults.begin(lab)


def _results(request: CellsRequest) -> Path:
    """The results that a user means, of this lab."""
    if request.results is None and request.resume and request.lab.output is not None:
        return request.lab.output
    path = find_record(request.results or request.name, request.lab.base)
    if not is_results(path):
        raise UsageError(
            f"{short(path)} is one run, not the results of cells",
            hint="name results with --results LAB/NUMBER, or their folder",
        )
    return path


def _say(request: CellsRequest, prepared: Prepared, result: LabResult) -> int:
    error = result.error
    if request.json:
        screen.print_json(results_json(result.path))
    elif not request.quiet or result.state != "passed":
        print_failures(result.path, result.summary)
        first = next((one for one in result.summary.failures if one.run), None)
        if first is not None and first.state in _COMPARED:
            print_against_good(result.path / first.run)
        print_end(result.path, result.summary, state=result.state, planned=result.planned)
    left = result.planned - result.summary.cells
    if left and not request.json:
        screen.out().print(f"{'continue with':14}{_continue(prepared.request, result.path)}")
    if isinstance(error, KeyboardInterrupt):
        failures.say_interrupted()
        return ExitStatus.INTERRUPTED
    if error is not None:
        failures.print_error(error)
        return error.exit_status
    return exit_status(result.summary)


def _continue(request: LabRequest, path: Path) -> str:
    words = [request.command, "--resume"]
    if request.output is not None:
        words += ["--output", shlex.quote(short(path))]
    return " ".join(words)


def again_command(lab: Path, base: Path, *, trust_guest: bool, hooks: bool | None) -> str:
    """Write how the user would run this lab again; what the results know is left out."""
    words = ["windtunnel run", shlex.quote(short(lab.absolute()))]
    if base != RUNS:
        words += ["--runs", shlex.quote(str(base))]
    if trust_guest:
        words.append("--trust-guest")
    if hooks is not None:
        words.append("--hooks" if hooks else "--no-hooks")
    return " ".join(words)
