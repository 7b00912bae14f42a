# SPDX-License-Identifier: Apache-2.0
"""A run as a workbook: a sheet for each table, with its names, a filter and a fixed head."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from windtunnel.errors import HostError
from windtunnel.model.shorten import shortened
from windtunnel.store.tables import Rows, open_runs

if TYPE_CHECKING:
    from xlsxwriter.worksheet import Worksheet

# ECMA-376 part 1, and "Excel specifications and limits".
ROWS_MAX = 1_048_576
CELL_CHARACTERS_MAX = 32_767
# A number in a cell is a double; larger whole numbers are written as text.
_EXACT_MAX = 1 << 53

_SHEETS = (
    "runs",
    "checks",
    "processes",
    "faults",
    "findings",
    "counters",
    "packets",
    "log_lines",
    "events",
)
_CREATED = datetime(2030, 1, 1)  # noqa: DTZ001 - a fixed one, so that equal runs give equal bytes
_WIDTH = 14


def write(run: Path, target: Path, warn: Callable[[str], None]) -> None:
    """Write a run's tables; a table without rows has no sheet.

    Args:
        run: its folder.
        target: the file to write.
        warn: told of a table with more rows than a sheet takes.

    Raises:
        HostError: xlsxwriter is not installed.
        OSError: the file cannot be written.
    """
    try:
        import xlsxwriter  # noqa: PLC0415 - an optional package
        from xlsxwriter.exceptions import FileCreateError  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise HostError(
            "a workbook needs xlsxwriter, which is not installed",
            hint="pip install 'windtunnel[xlsx]'",
        ) from error
    options = {
        "constant_memory": True,
        "strings_to_formulas": False,  # what a guest printed is text, whatever it looks like
        "strings_to_urls": False,
        "strings_to_numbers": False,
    }
    book = xlsxwriter.Workbook(str(target), options)
    book.set_properties({"title": f"windtunnel {run.parent.name}/{run.name}", "created": _CREATED})
    bold = book.add_format({"bold": True})
    with open_runs(run, warn=warn) as database:
        for table in database.tables():
            if table.name not in _SHEETS:
                continue
            order = ", ".join(f'"{column}"' for column in table.key)
            rows = database.sql(f"SELECT * FROM {table.name} ORDER BY {order}")
            first = rows.fetchmany(1)
            if first:
                sheet = book.add_worksheet(table.name)
                count = _fill(sheet, rows, first, bold)
                if rows.fetchmany(1):
                    warn(f"{table.name} has more rows than a sheet takes; {count} are written")
    try:
        book.close()
    except FileCreateError as error:  # it wraps an OSError and hides what it was
        if isinstance(error.__context__, OSError):
            raise error.__context__ from error
        raise


def _fill(sheet: Worksheet, rows: Rows, first: list[tuple[Any, ...]], bold: Any) -> int:
    """Write the names, then rows as far as there is room; returns how many."""
    sheet.freeze_panes(1, 0)
    sheet.set_column(0, len(rows.columns) - 1, _WIDTH)
    for at, name in enumerate(rows.columns):
        sheet.write_string(0, at, name, bold)
    count, some = 0, first
    while some:
        for row in some:
            count += 1
            for at, value in enumerate(row):
                _write(sheet, count, at, value)
        some = rows.fetchmany(min(1000, ROWS_MAX - 1 - count)) if count < ROWS_MAX - 1 else []
    sheet.autofilter(0, 0, count, len(rows.columns) - 1)
    return count


def _write(sheet: Worksheet, row: int, column: int, value: Any) -> None:
    if value is None:
        return
    if isinstance(value, bool):
        sheet.write_boolean(row, column, value)
    elif isinstance(value, (int, float)) and abs(value) <= _EXACT_MAX:
        sheet.write_number(row, column, value)
    else:
        sheet.write_string(row, column, shortened(str(value), CELL_CHARACTERS_MAX))
