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
    """List all runs, and how each ended."""
    # Imported here, so that other commands do not wait for it.
    from windtunnel.store.run_reader import list_runs  # noqa: PLC0415
    from windtunnel.ui import screen  # noqa: PLC0415
    from windtunnel.ui.report import read_report, state_text  # noqa: PLC0415

    reports = [read_report(path) for path in list_runs(runs)]
    if json:
        screen.print_json([report.to_json() for report in reports])
        return
    if not reports:
        screen.out().print(f"no runs in {runs}")
        return
    screen.print_table(
        ("run", "state", "failed", "seed", "virtual", "host"),
        [
            screen.Row(
                (
                    f"{report.path.parent.name}/{report.path.name}",
                    state_text(report.state),
                    str(len(report.failures) or ""),
                    "" if report.seed is None else str(report.seed),
                    screen.time_text(report.end_ns),
                    "" if report.wall_host_s is None else f"{report.wall_host_s:.1f} s",
                )
            )
            for report in reports
        ],
        right=(2, 3, 4, 5),
    )


def show(run: RunArgument, *, runs: RunsOption = RUNS, json: JsonOption = False) -> None:
    """Show what a run found.

    Also while it goes on, and when it was interrupted or killed.
    """
    from windtunnel.store.run_reader import find_run  # noqa: PLC0415 - as above
    from windtunnel.ui import screen  # noqa: PLC0415
    from windtunnel.ui.report import print_report, read_report  # noqa: PLC0415

    report = read_report(find_run(run, runs))
    if json:
        screen.print_json(report.to_json())
    else:
        print_report(report)
