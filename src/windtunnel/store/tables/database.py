# SPDX-License-Identifier: Apache-2.0
"""SQL over all runs of a folder.

DuckDB does the work, in memory and with one thread: with two, a sum of floating-point
numbers and the order of rows would differ from one time to the next. What a query
needs of the run folders is brought up to date before it begins, and nothing else.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from windtunnel.errors import HostError, ProtocolError, StateError, UsageError, WindtunnelError
from windtunnel.store import layout
from windtunnel.store.kernel_log import kernel_logs, lab_zero_ns
from windtunnel.store.layout import host_errors
from windtunnel.store.run_reader import RunReader, is_run
from windtunnel.store.tables import make, parts, rows, schema
from windtunnel.store.tables.make import Maker, quoted
from windtunnel.store.tables.schema import Table
from windtunnel.store.tables.sqlerror import SqlError, explain
from windtunnel.store.tracefile import has_trace, trace_file

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    import polars as pl
    import pyarrow as pa

MEMORY_BYTES = 1 << 30
"""What a query may hold in memory before it goes on in a temporary file."""
FETCH_ROWS = 10_000
"""So many rows are in our hands at a time."""

FORMATS = {".parquet": "parquet", ".csv": "csv", ".json": "json", ".jsonl": "json"}
"""What a result can be written as, by the ending of its file."""

_SETTINGS = {
    # Nothing is downloaded: what the wheel brings along is all there is.
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "threads": "1",
}

Warn = Callable[[str], None]
T = TypeVar("T")
_WORD = re.compile(r"\w+")


def open_runs(
    base: Path | str = "runs",
    *,
    warn: Warn = lambda _text: None,
    memory_bytes: int = MEMORY_BYTES,
) -> Runs:
    """Open all runs of a folder, to ask them by SQL.

    Args:
        base: the folder of all runs, or that of a single run.
        warn: told in a line of files that cannot be read whole.
        memory_bytes: what a query may hold in memory; more goes to a temporary file.

    Returns:
        A handle, and a context manager; close it.

    Raises:
        UsageError: there is no such folder.
    """
    return Runs(Path(base), warn=warn, memory_bytes=memory_bytes)


class Rows:
    """The result of a query. Its rows are read once, in one of the ways.

    Reading raises `StateError` when they have been read, or their handle is closed.

    Attributes:
        columns: their names.
        types: DuckDB's words for what they hold.
    """

    def __init__(
        self, cursor: duckdb.DuckDBPyConnection, explained: Callable[[Exception], WindtunnelError]
    ) -> None:
        self._cursor = cursor
        self._explained = explained
        self._all_read = False
        description = cursor.description or []
        self.columns = tuple(str(column[0]) for column in description)
        self.types = tuple(str(column[1]) for column in description)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        """Give the rows one after the other, in little memory."""
        while some := self.fetchmany(FETCH_ROWS):
            yield from some

    def fetchmany(self, count: int) -> list[tuple[Any, ...]]:
        """Give the next rows; none when there are no more."""
        return self._taken(lambda: self._cursor.fetchmany(count), are_all=False)

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Give all rows."""
        return self._taken(self._cursor.fetchall)

    def arrow(self) -> pa.Table:
        """Give all as a table of Arrow.

        Raises:
            HostError: pyarrow is not installed.
        """
        _need("arrow", "pyarrow")
        with warnings.catch_warnings():
            # DuckDB would rather be asked in another way, which tells no place of an error.
            warnings.simplefilter("ignore", UserWarning)
            return self._taken(self._cursor.to_arrow_table)

    def df(self) -> pd.DataFrame:
        """Give all as a data frame of pandas.

        Raises:
            HostError: pandas is not installed.
        """
        _need("df", "pandas")
        return self._taken(self._cursor.df)

    def pl(self) -> pl.DataFrame:
        """Give all as a data frame of polars.

        Raises:
            HostError: polars or pyarrow is not installed.
        """
        _need("pl", "polars", "pyarrow")
        import polars as pl  # noqa: PLC0415 - an optional package

        frame = pl.from_arrow(self.arrow())
        assert isinstance(frame, pl.DataFrame)  # a table has columns
        return frame

    def _taken(self, take: Callable[[], T], *, are_all: bool = True) -> T:
        import duckdb  # noqa: PLC0415 - as in `Runs`

        if self._all_read:
            raise StateError(
                "the rows of this result have been read",
                state="read",
                required="not read",
                hint="keep what you were given, or ask again",
            )
        self._all_read = are_all
        try:
            return take()
        except duckdb.Error as error:
            raise self._explained(error) from error


class Runs:
    """All runs of a folder. Made by `open_runs`."""

    def __init__(self, base: Path, *, warn: Warn, memory_bytes: int) -> None:
        import duckdb  # noqa: PLC0415 - 60 MB that only tables need

        if not base.is_dir():
            raise UsageError(
                f"there is no folder {str(base)!r} with runs",
                hint="windtunnel run LAB makes one; --runs names another",
            )
        base = base.resolve()
        self._only = base if is_run(base) else None
        self._base = base.parent.parent if self._only else base
        self._warn = _once(warn)
        self._closed = False
        self._scratch = Path(tempfile.mkdtemp(prefix="windtunnel-sql-"))
        settings = {
            **_SETTINGS,
            "memory_limit": f"{memory_bytes}B",
            "temp_directory": str(self._scratch / "spill"),
        }
        self._database = duckdb.connect(config=dict(settings))
        self._maker = Maker(self._database.cursor(), self._warn)
        self._files: list[Path] = []
        for table in sorted(schema.TABLES, key=lambda table: bool(table.query)):
            query = table.query or make.empty_query(table)
            self._database.execute(f"CREATE VIEW {table.name} AS {query}")

    def sql(self, text: str) -> Rows:
        """Ask.

        Args:
            text: one statement of DuckDB's SQL. Rows come in a definite order only
                with ORDER BY.

        Raises:
            SqlError: it is wrong; the message points at the word.
            StateError: the handle is closed.
            HostError: a run's files cannot be read, or the disk is full.
        """
        self._check_open()
        cursor = self._ask(_one_statement(self._database, text))
        return Rows(cursor, lambda error: self._explain(error, text))

    def write(self, text: str, target: Path) -> None:
        """Ask, and write the result to a file; its ending says how.

        Args:
            text: as for `sql`.
            target: ends in .parquet, .csv, .json (an array) or .jsonl (one row a line).

        Raises:
            UsageError: it ends in something else.
            SqlError: the query is wrong.
            HostError: the file cannot be written.
        """
        self._check_open()
        kind = FORMATS.get(target.suffix)
        if kind is None:
            raise UsageError(
                f"{str(target)!r}: a result is not written as {target.suffix or 'a plain file'!r}",
                hint=f"end its name in {', '.join(FORMATS)}",
            )
        text = _one_statement(self._database, text)
        self._ask(text)  # a wrong query is told by its own words
        array = ", ARRAY true" if target.suffix == ".json" else ""
        with host_errors(target.parent, f"write {target.name}"), parts.publish(target) as new:
            self._ask(f"COPY ({text}\n) TO {quoted(str(new))} (FORMAT {kind}{array})")

    def tables(self) -> tuple[Table, ...]:
        """Give all tables, with what is in their columns."""
        return schema.TABLES

    def close(self) -> None:
        """Close it, and remove temporary files; results are not readable any more."""
        self._closed = True
        self._database.close()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _check_open(self) -> None:
        if self._closed:
            raise _closed()

    # ---- asking ----

    def _ask(self, text: str) -> duckdb.DuckDBPyConnection:
        import duckdb  # noqa: PLC0415 - as above

        needed = self._needed(text)
        try:
            self._bring_up_to_date(needed)
            return self._database.cursor().execute(text)
        except duckdb.Error as error:
            if not self._drop_spoilt(error):
                raise _failure(error, text) from error
        try:
            self._bring_up_to_date(needed)
            return self._database.cursor().execute(text)
        except duckdb.Error as error:
            raise _failure(error, text) from error

    def _explain(self, error: Exception, query: str) -> WindtunnelError:
        """What to say of an error that came while rows were read."""
        if self._closed:
            return _closed()
        if self._drop_spoilt(error):
            return HostError(
                f"a table's file was spoilt, and is removed: {str(error).splitlines()[0]}",
                hint="ask again: it is made anew from the run's folder",
            )
        return _failure(error, query)

    def _drop_spoilt(self, error: Exception) -> bool:
        """Remove the files that cannot be read; they hold nothing that the runs have not."""
        import duckdb  # noqa: PLC0415 - as above

        of_the_query = (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException)
        if isinstance(error, (*of_the_query, duckdb.OutOfMemoryException)):
            return False
        spoilt = []
        for path in self._files:
            try:
                self._maker.connection.execute(
                    f"SELECT count(COLUMNS(*)) FROM read_parquet({quoted(str(path))})"
                ).fetchall()
            except duckdb.Error:
                spoilt.append(path)
        for path in spoilt:
            path.unlink(missing_ok=True)
        return bool(spoilt)

    def _needed(self, text: str) -> set[str]:
        """Name the tables that a query may need: all whose names stand in it."""
        found, new = set(), {word.lower() for word in _WORD.findall(text)}
        while new:
            found |= new
            queries = [table.query for table in schema.TABLES if table.name in new]
            new = {word for query in queries for word in _WORD.findall(query)} - found
        return found & {table.name for table in schema.TABLES}

    def _bring_up_to_date(self, needed: set[str]) -> None:
        runs = self._runs() if needed else []
        if needed & {schema.RUNS.name, schema.CELLS.name}:
            self._load_runs(runs)
        wanted = [table for table in schema.MADE_TABLES if table.name in needed]
        if wanted:
            readable = [run for run in runs if self._is_readable(run)]
            self._files = []
        for table in wanted:
            made = [(self._name(run), path) for run in readable for path in self._make(table, run)]
            self._files += [path for _, path in made]
            query = make.made_query(table, self._base, made)
            self._maker.connection.execute(f"CREATE OR REPLACE VIEW {table.name} AS {query}")

    def _runs(self) -> list[Path]:
        return rows.all_runs(self._base) if self._only is None else [self._only]

    def _name(self, run: Path) -> str:
        return run.relative_to(self._base).as_posix()

    def _is_readable(self, run: Path) -> bool:
        try:
            version = RunReader(run).manifest.get("schema", 1)
        except (ProtocolError, HostError):
            return True  # its events may be good
        if isinstance(version, int) and version <= layout.SCHEMA_VERSION:
            return True
        self._warn(
            f"{run}: recorded by a newer windtunnel (schema {version}, this one reads "
            f"{layout.SCHEMA_VERSION}); left out"
        )
        return False

    def _make(self, table: Table, run: Path) -> list[Path]:
        with host_errors(run, f"make the table {table.name}"):
            folder = parts.store_folder(run, self._instead)
            if table is schema.EVENTS:
                return self._maker.events(table, run / layout.EVENTS, folder)
            if table is schema.TRACE_EVENTS:
                return self._maker.events(table, trace_file(run), folder) if has_trace(run) else []
            if table is schema.PACKETS:
                captures = list(make.capture_files(run))
                return self._maker.table(
                    table,
                    run,
                    folder,
                    captures,
                    lambda at: rows.packet_rows(at, captures, self._warn),
                )
            return self._make_of_logs(run, folder)[table]

    def _make_of_logs(self, run: Path, folder: Path) -> dict[Table, list[Path]]:
        """Make both tables of what kernels printed: to read it is what costs, not to write them."""
        sources = rows.log_sources(run)
        logs = cache(lambda: list(kernel_logs(run)))

        def made(table: Table, read: Callable[..., make.Rows]) -> list[Path]:
            return self._maker.table(
                table, run, folder, sources, lambda at: read(logs(), lab_zero_ns(at))
            )

        return {
            schema.LOG_LINES: made(schema.LOG_LINES, rows.log_rows),
            schema.CRASHES: made(schema.CRASHES, rows.crash_rows),
        }

    def _instead(self) -> Path:
        folder = self._scratch / "store"
        folder.mkdir(exist_ok=True)
        return folder

    def _load_runs(self, runs: list[Path]) -> None:
        run_rows = [rows.run_row(run, self._name(run), self._warn) for run in runs]
        results = [] if self._only else rows.all_results(self._base)
        cells: list[rows.Row] = []
        for folder in results:
            cells += rows.cell_rows(folder, self._name(folder), self._warn)
        inside = tuple(f"{self._name(folder)}/" for folder in results)
        cells += [rows.own_cell(row) for row in run_rows if not row["run"].startswith(inside)]
        for table, found in ((schema.RUNS, run_rows), (schema.CELLS, cells)):
            self._load(table, found)

    def _load(self, table: Table, found: list[rows.Row]) -> None:
        # All of them are small: a file of lines is the quickest way in without numpy.
        columns = ", ".join(f'"{column.name}"' for column in table.columns)
        path = self._scratch / f"{table.name}.jsonl"
        make.write_lines(path, found)
        kinds = {column.name: column.type for column in table.columns}
        self._maker.connection.execute(
            f"CREATE OR REPLACE TABLE {table.name}_now AS"
            f" SELECT {columns} FROM {make.lines_of(path, kinds)}"
        )
        self._maker.connection.execute(
            f"CREATE OR REPLACE VIEW {table.name} AS SELECT * FROM {table.name}_now"
        )


def _closed() -> StateError:
    return StateError(
        "the handle of these runs is closed",
        state="closed",
        required="open",
        hint="read a result before the end of `with open_runs(…)`",
    )


def _failure(error: Exception, query: str) -> HostError | SqlError:
    """What to say when it was not the query's fault, or only in what it asks for."""
    text = str(error)
    if "Out of Memory" in text:
        return HostError(
            f"the query needs more memory than it may have: {text.splitlines()[0]}",
            hint="ask for less at once, or give it more: open_runs(…, memory_bytes=…)",
        )
    return explain(text, query)


def _one_statement(connection: duckdb.DuckDBPyConnection, text: str) -> str:
    import duckdb  # noqa: PLC0415 - as above

    try:
        statements = connection.extract_statements(text)
    except duckdb.Error as error:
        raise explain(str(error), text) from error
    if len(statements) != 1:
        raise SqlError(
            f"one statement is asked for, not {len(statements)}",
            hint='for example: "select * from runs"',
        )
    return text.rstrip().rstrip(";")


def _once(warn: Warn) -> Warn:
    said: set[str] = set()

    def maybe(text: str) -> None:
        if text not in said:
            said.add(text)
            warn(text)

    return maybe


def _need(method: str, *modules: str) -> None:
    for module in modules:
        with suppress(ValueError):
            if find_spec(module) is None:
                raise HostError(
                    f"{method}() needs {module}, which is not installed",
                    hint="pip install 'windtunnel[frames]', or use fetchall()",
                )
