# SPDX-License-Identifier: Apache-2.0
"""`windtunnel export`: a run for other programs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from windtunnel.errors import UsageError
from windtunnel.ui.options import RUNS, QuietOption, RunArgument, RunsOption, examples

EPILOG = examples(
    "windtunnel export latest --to otlp -o run.jsonl",
    "windtunnel export ospf-ring/3 -o run.xlsx",
    "windtunnel export latest -o all.pcapng",
    "windtunnel export latest -o run.perfetto-trace",
)


class To(StrEnum):
    """The words of --to."""

    OTLP = "otlp"
    XLSX = "xlsx"
    PCAPNG = "pcapng"
    PERFETTO = "perfetto"


def export(
    run: RunArgument,
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Write this file.")
    ],
    to: Annotated[
        To | None,
        typer.Option(help="The format; without it the ending of FILE says so."),
    ] = None,
    runs: RunsOption = RUNS,
    quiet: QuietOption = False,
) -> None:
    """Write a run for other programs.

    otlp: events and kernel logs as log records of OpenTelemetry, a JSON object a line.
    xlsx: a workbook with a sheet for each table. pcapng: all captures in one, by time.
    perfetto: tasks, processes, faults and counters over virtual time, for ui.perfetto.dev.
    """
    # Imported here, so that other commands do not wait for it.
    from windtunnel.store.export import Format, export_run  # noqa: PLC0415
    from windtunnel.store.run_reader import find_run  # noqa: PLC0415
    from windtunnel.ui import screen  # noqa: PLC0415

    endings = {
        ".jsonl": To.OTLP,
        ".xlsx": To.XLSX,
        ".pcapng": To.PCAPNG,
        ".perfetto-trace": To.PERFETTO,
        ".pftrace": To.PERFETTO,
    }
    kind = to or endings.get(output.suffix)
    if kind is None:
        raise UsageError(
            f"the ending of {str(output)!r} says no format",
            hint="give --to otlp, xlsx, pcapng or perfetto",
        )
    warnings = screen.err()
    export_run(
        find_run(run, runs),
        output,
        Format(kind.value),
        warn=lambda text: warnings.print(f"windtunnel: {text}"),
    )
    if not quiet:
        screen.out().print(f"written to {output}")
