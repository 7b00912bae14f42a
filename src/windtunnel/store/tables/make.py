# SPDX-License-Identifier: Apache-2.0
"""From a run's folder to its Parquet files, by DuckDB.

Events are read by DuckDB itself, line by line and in constant memory. A log that
it does not take, with a cut or a spoilt line, is read by us, and every whole event
in it is kept. What needs a reader of ours is handed over as lines of JSON.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from windtunnel.errors import ProtocolError
from windtunnel.model.event import Event
from windtunnel.store import layout
from windtunnel.store.run_reader import parse_event
from windtunnel.store.tables import parts
from windtunnel.store.tables.schema import MADE_TABLES, SCHEMA, Table

if TYPE_CHECKING:
    import duckdb

LINE_MAX_BYTES = 8 << 20
"""Longest line that is read; DuckDB holds twice as much in memory whatever there is."""
TEXT_MAX = 1 << 20
"""Longest text in a row of ours, in characters: escaped, it fits in a line."""

_COPY_BYTES = 1 << 20
# Parquet's pages are packed by zstd; a row group is DuckDB's own default.
_FORMAT = f"FORMAT parquet, COMPRESSION zstd, KV_METADATA {{windtunnel_schema: '{SCHEMA}'}}"
_EVENT_COLUMNS = {
    "time_ns": "BIGINT",
    "node": "VARCHAR",
    "kernel": "VARCHAR",
    "stream": "VARCHAR",
    "sequence": "BIGINT",
    "kind": "VARCHAR",
    "fields": "JSON",
}
# Runs of earlier versions name neither a kernel nor a stream.
_EVENT_QUERY = """
    SELECT CASE WHEN time_ns IS NULL OR node IS NULL OR sequence IS NULL OR kind IS NULL
                     OR fields IS NULL
                THEN error('not an event') ELSE time_ns END AS time_ns,
           node, coalesce(kernel, '') AS kernel, coalesce(stream, '') AS stream,
           sequence, kind, fields
    FROM """

Rows = Iterable[dict[str, Any]]
MakeRows = Callable[[Path], Rows]


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes one run's files.

    Attributes:
        connection: to DuckDB, with one thread.
        warn: told in a line what could not be read.
    """

    connection: duckdb.DuckDBPyConnection
    warn: Callable[[str], None]

    def events(self, table: Table, source: Path, folder: Path) -> list[Path]:
        """Give the files with all events of a log, as far as whole lines go.

        Only what has come since the last time is read.

        Args:
            table: whose rows they are.
            source: the log, an event a line.
            folder: of the Parquet files.

        Raises:
            OSError: they cannot be written.
        """
        end = _whole_bytes(source)
        found = parts.chain(folder, table.name, end)
        begin = found[-1].end if found else 0
        paths = [part.path for part in found]
        if begin < end:
            target = folder / parts.part_name(table.name, f"{begin}-{end}")
            with parts.publish(target) as new:
                self._convert_events(source, begin, end, new)
            paths.append(target)
            if begin == 0:
                parts.drop_others(folder, table.name, paths)
        return paths

    def table(
        self, table: Table, run: Path, folder: Path, sources: list[Path], rows: MakeRows
    ) -> list[Path]:
        """Give the file of a table that is read from some of a run's files.

        Args:
            table: which.
            run: its folder.
            folder: of the Parquet files.
            sources: what the rows are read from; files that only grow.
            rows: reads them.

        Raises:
            OSError: it cannot be written.
        """
        if not sources:
            return []
        target = folder / parts.part_name(table.name, parts.digest_of(sources))
        if not parts.is_whole(target):
            with parts.publish(target) as new:
                self.write_rows(table, rows(run), new)
            parts.drop_others(folder, table.name, [target])
        return [target]

    def write_rows(self, table: Table, rows: Rows, target: Path) -> None:
        """Write rows as a Parquet file; `run` is not in it, for a run may be moved."""
        columns = {column.name: column.type for column in table.columns if column.name != "run"}
        lines = target.with_suffix(".jsonl")
        try:
            write_lines(lines, rows)
            names = ", ".join(f'"{name}"' for name in columns)
            self._copy(f"SELECT {names} FROM {lines_of(lines, columns)}", target)
        finally:
            lines.unlink(missing_ok=True)

    def _convert_events(self, source: Path, begin: int, end: int, target: Path) -> None:
        import duckdb  # noqa: PLC0415 - 60 MB that only tables need

        if begin == 0 and end == source.stat().st_size:
            # Only a spoilt line is a reason to read all lines ourselves.
            with suppress(duckdb.DataError, duckdb.ProgrammingError):
                self._copy(_EVENT_QUERY + lines_of(source, _EVENT_COLUMNS), target)
                if end == source.stat().st_size:  # it has not grown meanwhile
                    return
        piece, good = target.with_suffix(".jsonl"), target.with_suffix(".good.jsonl")
        try:
            _copy_bytes(source, begin, end, piece)
            try:
                self._copy_anew(_EVENT_QUERY + lines_of(piece, _EVENT_COLUMNS), target, "piece")
            except (duckdb.DataError, duckdb.ProgrammingError):
                self._keep_good(source, piece, good, first_line=1 + _lines_before(source, begin))
                self._copy_anew(_EVENT_QUERY + lines_of(good, _EVENT_COLUMNS), target, "good")
        finally:
            piece.unlink(missing_ok=True)
            good.unlink(missing_ok=True)

    def _keep_good(self, source: Path, piece: Path, good: Path, *, first_line: int) -> None:
        """Keep the lines that are events, and say how many are not."""
        bad, first = 0, ""
        with piece.open("rb") as lines, good.open("w", encoding="utf-8") as file:
            for number, line in enumerate(lines, start=first_line):
                try:
                    event = _parse_line(line)
                except ProtocolError as error:
                    bad += 1
                    first = first or f"line {number}: {error.message}"
                    continue
                # Names of files need not be UTF-8; SQL's text is.
                file.write(event.to_line().encode("utf-8", "replace").decode() + "\n")
        if bad:
            self.warn(f"{source}: {bad} lines are no events and are left out; {first}")

    def _copy_anew(self, query: str, target: Path, name: str) -> None:
        """Copy after a copy that failed, of which DuckDB may still remove what it had written."""
        made = target.with_suffix(f".{name}.parquet")
        try:
            self._copy(query, made)
            made.replace(target)
        finally:
            made.unlink(missing_ok=True)

    def _copy(self, query: str, target: Path) -> None:
        self.connection.execute(f"COPY ({query}) TO {quoted(str(target))} ({_FORMAT})")


def _parse_line(line: bytes) -> Event:
    if len(line) > LINE_MAX_BYTES:
        raise ProtocolError(f"a line of {len(line)} bytes, limit {LINE_MAX_BYTES}")
    return parse_event(line)


def quoted(text: str) -> str:
    """Write a text as SQL does."""
    return "'" + text.replace("'", "''") + "'"


def empty_query(table: Table) -> str:
    """A query that gives a table's columns and no rows."""
    columns = ", ".join(f'NULL::{column.type} AS "{column.name}"' for column in table.columns)
    return f"SELECT {columns} WHERE false"


def made_query(table: Table, base: Path, files: list[tuple[str, Path]]) -> str:
    """A query for a table whose rows lie in Parquet files.

    Args:
        table: which.
        base: the folder of all runs.
        files: each with the name of its run.
    """
    assert table in MADE_TABLES
    if not files:
        return empty_query(table)
    names = ", ".join(f'"{column.name}"' for column in table.columns if column.name != "run")
    # What a run is called follows from the file, which is the same for all its rows: the
    # expression is worked out once for thousands of them, and a filter on it skips files.
    inside = [(run, path) for run, path in files if path.is_relative_to(base)]
    outside = [(run, path) for run, path in files if not path.is_relative_to(base)]
    start = len(str(base)) + 2
    queries = []
    if inside:
        run = f"split_part(substr(filename, {start}), '/{parts.FOLDER}/', 1)"
        queries.append(_scan(run, names, [path for _, path in inside]))
    queries += [_scan(quoted(run), names, [path]) for run, path in outside]
    return " UNION ALL ".join(queries)


def _scan(run: str, names: str, paths: list[Path]) -> str:
    listed = ", ".join(quoted(str(path)) for path in paths)
    return f"SELECT {run} AS run, {names} FROM read_parquet([{listed}], filename = true)"


def write_lines(path: Path, rows: Rows) -> None:
    """Write rows as lines of JSON."""
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(_clean(row), ensure_ascii=False) + "\n")


def lines_of(path: Path, columns: dict[str, str]) -> str:
    """Name a file of lines of JSON as SQL reads it."""
    struct = ", ".join(f"{quoted(name)}: {quoted(kind)}" for name, kind in columns.items())
    return (
        f"read_json({quoted(str(path))}, format = 'newline_delimited', columns = {{{struct}}},"
        f" maximum_object_size = {LINE_MAX_BYTES})"
    )


def _whole_bytes(source: Path) -> int:
    """How many bytes of a growing file are whole lines."""
    with source.open("rb") as file:
        at = file.seek(0, 2)
        while at > 0:
            begin = max(0, at - _COPY_BYTES)
            file.seek(begin)
            newline = file.read(at - begin).rfind(b"\n")
            if newline >= 0:
                return begin + newline + 1
            at = begin
    return 0


def _copy_bytes(source: Path, begin: int, end: int, target: Path) -> None:
    with source.open("rb") as file, target.open("wb") as copy:
        file.seek(begin)
        left = end - begin
        while left and (piece := file.read(min(left, _COPY_BYTES))):
            copy.write(piece)
            left -= len(piece)


def _lines_before(source: Path, end: int) -> int:
    count = 0
    with source.open("rb") as file:
        while end and (piece := file.read(min(end, _COPY_BYTES))):
            count += piece.count(b"\n")
            end -= len(piece)
    return count


def _clean(row: dict[str, Any]) -> dict[str, Any]:
    # A lone surrogate stands for a byte that is no UTF-8.
    return {
        key: value[:TEXT_MAX].encode("utf-8", "replace").decode()
        if isinstance(value, str)
        else value
        for key, value in row.items()
    }


def capture_files(run: Path) -> Iterator[Path]:
    """Name a run's captures, in the order of their names."""
    folder = run / layout.FILES
    with suppress(OSError):
        for path in sorted(folder.glob("*.pcapng")):
            if path.is_file() and not path.is_symlink():
                yield path
