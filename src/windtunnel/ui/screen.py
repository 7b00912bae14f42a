# SPDX-License-Identifier: Apache-2.0
"""What commands write: plain lines, tables and JSON on stdout; colours on terminals only.

In a pipe nothing is wrapped or cut, so that `grep` and `awk` find whole lines.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.text import Text

from windtunnel.model.units import format_duration
from windtunnel.ui.failures import close_stdout

NOTE_INDENT = "      "
_GAP = 2
_CELL_COLUMNS_MIN = 8


class _PatientConsole(Console):
    """A console that goes on when its reader has gone: the verdict is still to come."""

    def on_broken_pipe(self) -> None:
        close_stdout()


def out() -> Console:
    """Give the console for results."""
    return _PatientConsole(highlight=False, markup=False, emoji=False, soft_wrap=True)


def err() -> Console:
    """Give the console for what is not a result: progress, warnings."""
    return Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)


def print_json(document: Any) -> None:
    """Write one JSON document, all that a command with `--json` prints."""
    out().print(json.dumps(document, indent=2, ensure_ascii=False))


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table.

    Attributes:
        cells: one for each heading; text or styled text.
        note: what is to be said about it, shown below it; may have many lines.
    """

    cells: tuple[str | Text, ...]
    note: str = ""


def print_table(headings: Sequence[str], rows: Sequence[Row], *, right: Sequence[int] = ()) -> None:
    """Write a table.

    Args:
        headings: of the columns.
        rows: with as many cells each.
        right: the columns whose cells stand at the right, such as numbers.
    """
    console = out()
    lines = [[Text(heading, "bold") for heading in headings]]
    lines += [[_text(cell) for cell in row.cells] for row in rows]
    widths = [max(line[at].cell_len for line in lines) for at in range(len(headings))]
    if console.is_terminal:
        _narrow(widths, console.width - _GAP * (len(widths) - 1))
    notes = ["", *(row.note for row in rows)]
    for cells, note in zip(lines, notes, strict=True):
        line = Text()
        for at, cell in enumerate(cells):
            cell.truncate(widths[at], overflow="ellipsis")
            space = " " * (widths[at] - cell.cell_len)
            if at in right:
                line.append(space).append_text(cell)
            else:
                line.append_text(cell).append(space)
            line.append(" " * _GAP)
        line.rstrip()
        console.print(line)
        for text in note.splitlines():
            _print_note(console, text)


def _text(cell: str | Text) -> Text:
    return cell.copy() if isinstance(cell, Text) else Text(cell)


def _narrow(widths: list[int], room: int) -> None:
    # The widest column gives way, for it holds names rather than numbers.
    while sum(widths) > room and max(widths) > _CELL_COLUMNS_MIN:
        widths[widths.index(max(widths))] -= 1


def _print_note(console: Console, text: str) -> None:
    if not console.is_terminal:
        console.print(NOTE_INDENT + text)
        return
    for line in textwrap.wrap(text, max(console.width - len(NOTE_INDENT), 20)) or [""]:
        console.print(Text(NOTE_INDENT + line, "red"))


def time_text(time_ns: int) -> str:
    """Write virtual time for people: "0 s", "20.000 ms", "1 h 02 min 00 s"."""
    return format_duration(time_ns) if time_ns else "0 s"


def speed_text(virtual_ns: int, host_s: float) -> str:
    """Write how fast virtual time went: "158 x real time"."""
    speed = virtual_ns / 1e9 / host_s if host_s > 0 else 0.0
    return f"{speed:.0f} x real time" if speed >= 10 else f"{speed:.1f} x real time"
