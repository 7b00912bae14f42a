# SPDX-License-Identifier: Apache-2.0
"""A run in the formats of other programs: OTLP, XLSX, pcapng, Perfetto."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

from windtunnel.store.layout import host_errors
from windtunnel.store.tables import parts


class Format(StrEnum):
    """What a run can be exported to."""

    OTLP = "otlp"
    """Log records of OpenTelemetry, one JSON object a line."""
    XLSX = "xlsx"
    """A workbook with a sheet for each table."""
    PCAPNG = "pcapng"
    """All captures of the run in one, by time."""
    PERFETTO = "perfetto"
    """What ran when, for ui.perfetto.dev."""


def export_run(
    run: Path, target: Path, kind: Format, *, warn: Callable[[str], None] = lambda _text: None
) -> None:
    """Export a run.

    Args:
        run: its folder.
        target: the file to write; one that is there is replaced when all is well.
        kind: the format.
        warn: told in a line of what could not be read, or does not fit.

    Raises:
        UsageError: the run has nothing of this kind.
        HostError: the file cannot be written, or a package is missing.
    """
    # Imported here, because each format needs other packages.
    if kind is Format.OTLP:
        from windtunnel.store.export.otlp import write  # noqa: PLC0415
    elif kind is Format.XLSX:
        from windtunnel.store.export.xlsx import write  # noqa: PLC0415
    elif kind is Format.PERFETTO:
        from windtunnel.store.export.perfetto import write  # noqa: PLC0415
    else:
        from windtunnel.store.export.merged import write  # noqa: PLC0415
    with host_errors(target.parent, f"write {target.name}"), parts.publish(target) as new:
        write(run, new, warn)
