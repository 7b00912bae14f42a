# SPDX-License-Identifier: Apache-2.0
"""Read a log from its bytes to its lines and its crash reports."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from windtunnel.logs.printk import (
    Confidence,
    Entry,
    Line,
    Owners,
    parse_log,
    reassemble,
    to_console,
)
from windtunnel.logs.report import Report, find_reports


@dataclass(frozen=True, slots=True)
class Found:
    """A crash report and where it is.

    Attributes:
        report: whose `line` counts the lines of this log as `to_console` gives them.
        headline: the line that it begins with.
    """

    report: Report
    headline: Line

    def to_json(self) -> dict[str, Any]:
        """Give all as JSON values."""
        return self.report.to_json() | {
            "first_us": self.headline.first_micros,
            "owner_name": self.headline.owner_name,
        }


@dataclass(frozen=True, slots=True)
class KernelLog:
    """A log that has been read.

    Attributes:
        entries: its lines, and the gaps between them.
        reports: the crash reports in it, in their order.
    """

    entries: tuple[Entry, ...]
    reports: tuple[Found, ...]


def read_log(
    pieces: Iterable[bytes],
    owners: Owners | None = None,
    *,
    join_from: Confidence = Confidence.LIKELY,
) -> KernelLog:
    """Read a log.

    Args:
        pieces: its bytes, in any pieces and of any form.
        owners: names of tasks, as far as they are known.
        join_from: join nothing that is less sure than this. By default guesses stay
            apart, since a wrong join is worse than a missing one.
    """
    entries = tuple(reassemble(parse_log(pieces), owners, join_from=join_from))
    texts: list[str] = []
    lines: list[Line] = []
    for entry in entries:
        for text in to_console([entry]):
            assert isinstance(entry, Line)  # a gap has no text
            texts.append(text)
            lines.append(entry)
    reports = find_reports("".join(f"{text}\n" for text in texts))
    return KernelLog(entries, tuple(Found(report, lines[report.line - 1]) for report in reports))
