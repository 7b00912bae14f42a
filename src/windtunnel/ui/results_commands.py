# SPDX-License-Identifier: Apache-2.0
"""`windtunnel results …`: what the cells of a lab came to, for people and for other programs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from windtunnel.errors import ExitStatus
from windtunnel.report.formats import ResultsFormat
from windtunnel.ui import complete
from windtunnel.ui.options import RUNS, JsonOption, RunArgument, RunsOption, examples

if TYPE_CHECKING:
    from windtunnel.store.results import Results

FormatOption = Annotated[
    ResultsFormat, typer.Option("--format", "-f", help="What the reader understands.")
]
OutputOption = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="Write here. Default: to standard output."),
]
AllOption = Annotated[bool, typer.Option("--all", "-a", help="Cells that passed at once, too.")]
HostRatioOption = Annotated[
    float,
    typer.Option(
        metavar="X", min=1.01, help="Say which cells take X times longer or shorter on the host."
    ),
]
OtherArgument = Annotated[
    str,
    typer.Argument(
        metavar="OTHER",
        help="What to compare with RUN: the newer one.",
        autocompletion=complete.runs,
    ),
]


def commands() -> typer.Typer:
    """Put the group together."""
    group = typer.Typer(
        help="Show, compare and export what cells came to.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    group.command("show", epilog=examples("windtunnel results show latest"))(show)
    group.command(
        "export",
        epilog=examples(
            "windtunnel results export latest --format junit -o junit.xml",
            "windtunnel results export transport/3 --format html -o page/index.html",
        ),
    )(export)
    group.command("diff", epilog=examples("windtunnel results diff transport/3 transport/4"))(diff)
    return group


def show(
    run: RunArgument, *, all_: AllOption = False, runs: RunsOption = RUNS, json: JsonOption = False
) -> None:
    """Show which cells failed, grouped by what went wrong first."""
    # Imported here, as below, so that other commands do not wait for it.
    from windtunnel.ui import results_report  # noqa: PLC0415

    results = _read(run, runs)
    if json:
        _write(results, ResultsFormat.JSON)
    else:
        results_report.print_results(results, every_cell=all_)


def export(
    run: RunArgument,
    *,
    format_: FormatOption,
    output: OutputOption = None,
    runs: RunsOption = RUNS,
) -> None:
    """Write results in a format that other programs read.

    junit: Jenkins, GitLab, GitHub. html: a page for a browser. json: all there is.
    ktap: the kernel's tools. tap: TAP 14. tap13: TAP 13, for older harnesses.
    """
    from windtunnel.report.write import write_results  # noqa: PLC0415

    results = _read(run, runs)
    if output is None:
        _write(results, format_)
    else:
        write_results(results, format_, output)


def diff(
    run: RunArgument,
    other: OtherArgument,
    *,
    host_ratio: HostRatioOption = 2.0,
    runs: RunsOption = RUNS,
    json: JsonOption = False,
) -> int:
    """Compare two results: new failures, fixed cells, changed durations.

    Exits with 1 when a cell fails in OTHER that did not fail in RUN.
    """
    from windtunnel.report.difference import compare_results  # noqa: PLC0415
    from windtunnel.ui import results_report, screen  # noqa: PLC0415

    before, after = _read(run, runs), _read(other, runs)
    difference = compare_results(before.results, after.results, host_ratio=host_ratio)
    conditions = results_report.other_conditions(before, after)
    if json:
        screen.print_json({"conditions": conditions, **difference.to_json()})
    else:
        results_report.print_difference(difference, conditions)
    return ExitStatus.FAILED if difference.new_failures else ExitStatus.PASSED


def _read(name: str, runs: Path) -> Results:
    from windtunnel.store.results import read_results  # noqa: PLC0415
    from windtunnel.store.run_reader import find_record  # noqa: PLC0415

    return read_results(find_record(name, runs))


def _write(results: Results, format_: ResultsFormat) -> None:
    from windtunnel.report.write import results_text  # noqa: PLC0415

    # These formats are UTF-8, whatever the terminal's encoding is.
    sys.stdout.flush()
    sys.stdout.buffer.write(results_text(results, format_, folder=Path()).encode())
    sys.stdout.buffer.flush()
