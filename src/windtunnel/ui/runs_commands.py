# SPDX-License-Identifier: Apache-2.0
"""`windtunnel runs …`: what is recorded."""

from __future__ import annotations

import typer

from windtunnel.ui.options import RUNS, JsonOption, RunArgument, RunsOption, examples


def commands() -> typer.Typer:
    """Put the group together."""
    group = typer.Typer(
        help="Look at what runs have left.", no_args_is_help=True, rich_markup_mode=None
    )
    group.command("list", epilog=examples("windtunnel runs list"))(list_)
    group.command(
        "show", epilog=examples("windtunnel runs show latest", "windtunnel runs show ospf-ring/3")
    )(show)
    return group


def list_(*, runs: RunsOption = RUNS, json: JsonOption = False) -> None:
    """List all runs, and how each ended.

    The results of a lab with parameters are one of them; its cells are counted.
    """
    # Imported here, so that other commands do not wait for it.
    from windtunnel.store.run_reader import is_results, list_records  # noqa: PLC0415
    from windtunnel.ui import screen  # noqa: PLC0415
    from windtunnel.ui.cells_report import listed_results  # noqa: PLC0415
    from windtunnel.ui.report import listed_run, read_report  # noqa: PLC0415

    records = list_records(runs)
    if json:
        screen.print_json(
            [
                listed_results(path)[0] if is_results(path) else read_report(path).to_json()
                for path in records
            ]
        )
        return
    if not records:
        screen.out().print(f"no runs in {runs}")
        return
    rows = [
        listed_results(path)[1] if is_results(path) else listed_run(read_report(path))
        for path in records
    ]
    screen.print_table(
        ("run", "state", "failed", "cells", "seed", "virtual", "host"), rows, right=(2, 3, 4, 5, 6)
    )


def show(run: RunArgument, *, runs: RunsOption = RUNS, json: JsonOption = False) -> None:
    """Show what a run found.

    Also while it goes on, and when it was interrupted or killed.
    """
    from windtunnel.store.run_reader import find_record, is_results  # noqa: PLC0415 - as above
    from windtunnel.ui import screen  # noqa: PLC0415
    from windtunnel.ui.cells_report import print_results, results_json  # noqa: PLC0415
    from windtunnel.ui.report import print_report, read_report  # noqa: PLC0415

    path = find_record(run, runs)
    if is_results(path):
        screen.print_json(results_json(path)) if json else print_results(path)
        return
    report = read_report(path)
    if json:
        screen.print_json(report.to_json())
    else:
        print_report(report)
