# SPDX-License-Identifier: Apache-2.0
"""`windtunnel report`: a run, or the results of many cells, as pages for a browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from windtunnel.errors import UsageError
from windtunnel.ui import complete
from windtunnel.ui.options import (
    RUNS,
    JsonOption,
    QuietOption,
    RecordArgument,
    RunsOption,
    examples,
)

if TYPE_CHECKING:
    from windtunnel.store.results import Results

EPILOG = examples(
    "windtunnel report ospf-ring/latest",
    "windtunnel report ospf-ring/2 --against ospf-ring/1 -o difference.html",
    "windtunnel report tcp-matrix/latest --all",
)


def report(
    record: RecordArgument,
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Write here. Default: report.html in its folder."
        ),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="RUN",
            help="Compare it with this run. Default, if it did not pass: the nearest that did.",
            autocompletion=complete.runs,
        ),
    ] = None,
    all_: Annotated[
        bool,
        typer.Option("--all", "-a", help="Of results: pages of the runs that passed, too."),
    ] = False,
    runs: RunsOption = RUNS,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Write a page for a browser: what failed, and all else.

    Topology and links over virtual time, processes, faults and checks, throughput and
    round trips, packets, logs. The page is one file that needs no network. Of results it is
    a map of all cells, and each run that failed has a page in its own folder.
    """
    # Imported here, so that other commands do not wait for it.
    from windtunnel.store import layout  # noqa: PLC0415
    from windtunnel.store.results import read_results  # noqa: PLC0415
    from windtunnel.store.run_reader import find_record, find_run, is_results  # noqa: PLC0415
    from windtunnel.ui import screen  # noqa: PLC0415

    path = find_record(record, runs)
    file = output or path / layout.REPORT
    pages: list[Path] = []
    doubts = 0
    if is_results(path):
        if against is not None:
            raise UsageError(
                f"{record!r} has the results of many cells, and --against takes a single run",
                hint=f"compare results with `windtunnel results diff {against} {record}`",
            )
        pages = list(_write_results(read_results(path), file, every_run=all_))
    else:
        other = None if against is None else find_run(against, runs)
        doubts = _write_run(path, file, other)
    if json:
        screen.print_json(
            {"page": str(file), "runs": [str(page) for page in pages], "unreadable": doubts}
        )
        return
    if doubts:
        things = "1 thing" if doubts == 1 else f"{doubts} things"
        screen.err().print(f"windtunnel: {things} of {path} cannot be read; the page names them")
    if not quiet:
        more = f", and the pages of {len(pages)} runs" if pages else ""
        screen.out().print(f"written to {file}{more}")


def _write_run(run: Path, file: Path, against: Path | None) -> int:
    """Write the page of a run; give how much of the run could not be read."""
    from windtunnel.report.run.page import run_page  # noqa: PLC0415 - as above
    from windtunnel.report.write import write_text  # noqa: PLC0415

    page = run_page(run, against=against)
    write_text(page.text, file)
    return len(page.warnings)


def _write_results(results: Results, file: Path, *, every_run: bool) -> Iterator[Path]:
    """Write the page of results, and those of their runs before it; give these."""
    from windtunnel.report.formats import ResultsFormat  # noqa: PLC0415 - as above
    from windtunnel.report.write import write_results  # noqa: PLC0415
    from windtunnel.store import layout  # noqa: PLC0415
    from windtunnel.store.run_reader import is_run  # noqa: PLC0415
    from windtunnel.ui import screen  # noqa: PLC0415

    wanted = [
        one.run
        for one in results.results
        if one.run and (every_run or not one.passed) and is_run(results.path / one.run)
    ]
    with screen.err().status("") as status:
        for number, run in enumerate(wanted, start=1):
            status.update(f"page {number} of {len(wanted)}: {run}")
            page = results.path / run / layout.REPORT
            _write_run(results.path / run, page, None)
            yield page
    write_results(results, ResultsFormat.HTML, file, with_page=frozenset(wanted))
