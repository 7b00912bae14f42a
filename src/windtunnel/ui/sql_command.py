# SPDX-License-Identifier: Apache-2.0
"""`windtunnel sql`: ask all runs at once."""

from __future__ import annotations

import csv
import json as json_text
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from windtunnel.errors import UsageError
from windtunnel.ui.options import RUNS, RunsOption, examples

if TYPE_CHECKING:
    from windtunnel.store.tables import Rows

EPILOG = examples(
    'windtunnel sql "select run, name, message from checks where not passed"',
    'windtunnel sql "describe events"',
    'windtunnel sql "select * from packets" -o packets.parquet',
)

TABLE_ROWS_MAX = 10_000
"""A table for people needs all its rows before it knows how wide it is."""

_NUMBERS = ("INT", "DOUBLE", "FLOAT", "DECIMAL", "HUGEINT", "REAL")


def sql(
    query: Annotated[
        str | None,
        typer.Argument(metavar="QUERY", help='One statement; "-" reads it from stdin.'),
    ] = None,
    *,
    runs: RunsOption = RUNS,
    json: Annotated[
        bool, typer.Option("--json", help="One JSON document: a list of rows.")
    ] = False,
    csv: Annotated[bool, typer.Option("--csv", help="CSV with a line of names first.")] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Write the result to FILE.parquet, .csv, .json or .jsonl.",
        ),
    ] = None,
) -> None:
    """Ask all runs at once, in SQL; without a query, list the tables.

    The SQL is DuckDB's. Each run is made into Parquet files once, in its folder; a
    run that goes on is read as far as it is. Rows come in a definite order only
    with ORDER BY.
    """
    # Imported here, so that other commands do not wait for it.
    from windtunnel.store.tables import open_runs  # noqa: PLC0415
    from windtunnel.ui import screen  # noqa: PLC0415

    if sum((json, csv, output is not None)) > 1:
        raise UsageError("--json, --csv and --output are three ways: choose one")
    if query == "-":
        query = sys.stdin.read()
    warnings = screen.err()
    with open_runs(runs, warn=lambda text: warnings.print(f"windtunnel: {text}")) as database:
        if query is None:
            _print_tables(database.tables(), json=json)
        elif output is not None:
            database.write(query, output)
        elif csv:
            _print_csv(database.sql(query))
        elif json:
            _print_json(database.sql(query))
        else:
            _print_table(database.sql(query))


def _print_tables(tables: Iterable[Any], *, json: bool) -> None:
    from windtunnel.ui import screen  # noqa: PLC0415 - as above

    if json:
        screen.print_json(
            [
                {"table": table.name, "meaning": table.meaning}
                | {"columns": {column.name: column.type for column in table.columns}}
                for table in tables
            ]
        )
        return
    rows = [screen.Row((table.name, table.meaning)) for table in tables]
    screen.print_table(("table", "one row is"), rows)
    screen.out().print('\n"describe TABLE" names its columns.')


def _print_csv(rows: Rows) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(rows.columns)
    for row in rows:
        writer.writerow(["" if value is None else _plain(value) for value in row])


def _print_json(rows: Rows) -> None:
    # Row by row: the result may be larger than memory.
    write = sys.stdout.write
    write("[")
    between = "\n"
    for row in rows:
        named = {
            name: json_text.loads(value) if kind == "JSON" and value is not None else _plain(value)
            for name, kind, value in zip(rows.columns, rows.types, row, strict=True)
        }
        write(between + json_text.dumps(named, ensure_ascii=False, default=str))
        between = ",\n"
    write("\n]\n" if between != "\n" else "]\n")


def _print_table(rows: Rows) -> None:
    from windtunnel.ui import screen  # noqa: PLC0415 - as above

    found = rows.fetchmany(TABLE_ROWS_MAX)
    right = [at for at, kind in enumerate(rows.types) if any(word in kind for word in _NUMBERS)]
    if rows.columns:
        screen.print_table(
            rows.columns,
            [screen.Row(tuple(_shown(value) for value in row)) for row in found],
            right=right,
        )
    if len(found) == TABLE_ROWS_MAX and rows.fetchmany(1):
        screen.err().print(
            f"windtunnel: only the first {TABLE_ROWS_MAX} rows are shown; "
            "add LIMIT, or write all with --csv, --json or --output FILE"
        )


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    # A cell of a table is one line; controls would move the cursor.
    text = value if isinstance(value, str) else str(value)
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def _plain(value: Any) -> Any:
    if isinstance(value, bool):
        return value
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
