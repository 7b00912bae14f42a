# SPDX-License-Identifier: Apache-2.0
"""`windtunnel coverage`: which lines of the kernel a run, or the cells of a lab, have run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from windtunnel.ui.options import RUNS, JsonOption, RecordArgument, RunsOption, examples

if TYPE_CHECKING:
    from windtunnel.model.coverage import FileCoverage
    from windtunnel.report.coverage.gather import Gathered

EPILOG = examples(
    "windtunnel run lab.yaml --coverage net/ipv4 && windtunnel coverage latest",
    "windtunnel coverage tcp-matrix/latest --html coverage --lcov coverage.info",
    "windtunnel coverage latest --json | jq '.files[].path'",
)


def coverage(
    record: RecordArgument,
    *,
    html: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write pages there: index.html, and one for each file."),
    ] = None,
    lcov: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write an .info file, for genhtml and other programs."),
    ] = None,
    headers: Annotated[
        bool,
        typer.Option("--headers", help="Also headers, as far as covered files have code of them."),
    ] = False,
    runs: RunsOption = RUNS,
    json: JsonOption = False,
) -> None:
    """Say which lines of the kernel ran, of a run with --coverage.

    Counts are from lab time zero to the lab's end. Those of all kernels of a run, and of
    all cells of results, are added up; of each cell its last try. A run whose kernel was
    lost has none, and is named.
    """
    # Imported here, so that other commands do not wait for it.
    from windtunnel.report.coverage.gather import gather  # noqa: PLC0415
    from windtunnel.report.coverage.page import INDEX, write_pages  # noqa: PLC0415
    from windtunnel.report.write import write_text  # noqa: PLC0415
    from windtunnel.store.run_reader import find_record  # noqa: PLC0415
    from windtunnel.ui import screen  # noqa: PLC0415
    from windtunnel.wire.lcov import lcov_text  # noqa: PLC0415

    path = find_record(record, runs)
    with screen.err().status("") as status:
        gathered = gather(
            path, progress=lambda at, of: status.update(f"reading the counts of run {at} of {of}")
        )
    files = gathered.files if headers else gathered.covered_files()
    if lcov is not None:
        write_text(lcov_text(files, test=gathered.lab), lcov)
    if html is not None:
        write_pages(gathered, files, html)
    if json:
        screen.print_json(_document(gathered, files))
        return
    _print(gathered, files)
    if html is not None:
        screen.out().print(f"{'pages':10}{html / INDEX}")
    if lcov is not None:
        screen.out().print(f"{'lcov':10}{lcov}")


def _print(gathered: Gathered, files: tuple[FileCoverage, ...]) -> None:
    from windtunnel.model.coverage import functions_of, lines_of, percent  # noqa: PLC0415 - as above
    from windtunnel.ui import screen  # noqa: PLC0415

    rows = []
    for name, some in [*((one.path, (one,)) for one in files), ("all", files)]:
        hit, found = lines_of(some)
        called, functions = functions_of(some)
        rows.append(
            screen.Row(
                (name, str(found), str(hit), percent(hit, found), str(functions), str(called))
            )
        )
    headings = ("file", "lines", "hit", "share", "functions", "called")
    screen.print_table(headings, rows, right=(1, 2, 3, 4, 5))
    console = screen.out()
    for text in gathered.without:
        console.print(f"no counts of {text}")
    if gathered.runs > 1:
        console.print(f"{'added up':10}{gathered.runs} runs")


def _document(gathered: Gathered, files: tuple[FileCoverage, ...]) -> dict[str, Any]:
    from windtunnel.model.coverage import functions_of, lines_of  # noqa: PLC0415 - as above

    hit, found = lines_of(files)
    called, functions = functions_of(files)
    return {
        "lab": gathered.lab,
        "runs": gathered.runs,
        "without": list(gathered.without),
        "asked": list(gathered.asked),
        "kernels": sorted(one.kernel.name for one in gathered.notes),
        "lines": found,
        "lines_hit": hit,
        "functions": functions,
        "functions_hit": called,
        "files": [
            {
                "path": one.path,
                "lines": len(one.lines),
                "lines_hit": one.lines_hit,
                "functions": len(one.functions),
                "functions_hit": one.functions_hit,
                "counts": {str(line): count for line, count in one.lines.items()},
            }
            for one in files
        ],
    }
