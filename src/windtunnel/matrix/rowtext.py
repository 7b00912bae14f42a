# SPDX-License-Identifier: Apache-2.0
"""Rows as text: CSV, tab-separated as PICT writes them, or JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence

from windtunnel.errors import LabFileError, Where
from windtunnel.matrix.cells import ABSENT, ANY, Cell, CellSpace
from windtunnel.matrix.covermodel import Parameter, Value
from windtunnel.model.nearmiss import hint_for

NEGATIVE = "~"


def row_texts(parameters: Sequence[Parameter], rows: Sequence[Cell]) -> list[list[str]]:
    """Write the values of rows for people: negative ones with "~".

    A value with several names takes turns; what is absent is "".
    """
    turns: dict[tuple[int, int], int] = {}
    found = []
    for row in rows:
        texts = []
        for column, index in enumerate(row):
            if index < 0:
                texts.append("")
                continue
            value = parameters[column].values[index]
            names = (value.text, *value.aliases)
            turn = turns.get((column, index), 0)
            turns[column, index] = turn + 1
            texts.append(NEGATIVE * value.negative + names[turn % len(names)])
        found.append(texts)
    return found


def rows_to_csv(parameters: Sequence[Parameter], rows: Sequence[Cell]) -> str:
    """Write rows as CSV, with a line of names first."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([parameter.name for parameter in parameters])
    writer.writerows(row_texts(parameters, rows))
    return text.getvalue()


def rows_to_json(parameters: Sequence[Parameter], rows: Sequence[Cell]) -> list[dict[str, str]]:
    """Make a document of rows: an object for each, without what is absent."""
    names = [parameter.name for parameter in parameters]
    return [
        {name: text for name, text in zip(names, texts, strict=True) if text}
        for texts in row_texts(parameters, rows)
    ]


def read_rows(text: str, *, file: str, parameters: Sequence[Parameter]) -> list[Cell]:
    """Read rows.

    Args:
        text: of the file: CSV with a line of names, tabs in place of commas, or a
            JSON list of objects. An empty cell, or a parameter that is not there, is `ANY`.
        file: its name, for messages.
        parameters: of the model.

    Raises:
        LabFileError: a name or value is unknown, with its place.
    """
    find = _Finder(parameters)
    if text.lstrip().startswith("["):
        return _read_json(text, file, find)
    lines = _lines(text, file)
    head = next(lines, None)
    if head is None:
        raise LabFileError(
            "there are no rows", where=Where(file), hint="the first line has the parameters' names"
        )
    columns: list[int] = []
    for name, where in head:
        column = find.column(name, where)
        if column in columns:
            raise LabFileError(
                f"parameter {name!r} is there twice", where=where, hint="remove one of them"
            )
        columns.append(column)
    rows = []
    for cells in lines:
        if len(cells) > len(columns):
            raise LabFileError(
                f"the row has {len(cells)} values, but there are {len(columns)} names",
                where=cells[len(columns)][1],
                hint="put quotes around a value that has a comma",
            )
        row = [ANY] * len(parameters)
        for column, (value, where) in zip(columns, cells, strict=False):
            row[column] = find.value(column, value, where)
        rows.append(tuple(row))
    return rows


def whole_rows(rows: Sequence[Cell], *, file: str, parameters: Sequence[Parameter]) -> list[Cell]:
    """Check that nothing is open.

    Returns:
        The rows.

    Raises:
        LabFileError: a row lacks a value.
    """
    for number, row in enumerate(rows, start=1):
        if ANY in row:
            raise _open_row(number, parameters[row.index(ANY)].name, file)
    return list(rows)


def whole_cells(rows: Sequence[Cell], *, file: str, space: CellSpace) -> list[Cell]:
    """Take what is not said for absent, which axes inside other values may be.

    Returns:
        The cells.

    Raises:
        LabFileError: an axis that has to be there is not said.
    """
    cells = []
    for number, row in enumerate(rows, start=1):
        cell = tuple(ABSENT if value == ANY else value for value in row)
        found = space.complete(row) if cell not in space else None
        if found is not None:
            missing = next(at for at, value in enumerate(found) if value != cell[at])
            raise _open_row(number, space.axes[missing].name, file)
        cells.append(cell)
    return cells


def _open_row(number: int, name: str, file: str) -> LabFileError:
    return LabFileError(
        f"row {number} has no value of {name!r}",
        where=Where(file),
        hint="only whole rows can be checked",
    )


def _lines(text: str, file: str) -> Iterator[list[tuple[str, Where]]]:
    tabs = "\t" in text.partition("\n")[0]
    separator = "\t" if tabs else ","
    reader = csv.reader(
        io.StringIO(text),
        delimiter=separator,
        quoting=csv.QUOTE_NONE if tabs else csv.QUOTE_MINIMAL,
    )
    source = text.splitlines()
    while True:
        number = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise LabFileError(
                f"this is no CSV: {error}", where=Where(file, number), hint="look at the quotes"
            ) from error
        if not any(cell.strip() for cell in cells):
            continue
        # Where quotes are, the columns of a line are not those of its text.
        plain = separator.join(cells) == source[number - 1]
        column = 1
        found = []
        for cell in cells:
            start = column + len(cell) - len(cell.lstrip())
            found.append((cell.strip(), Where(file, number, start if plain else 0)))
            column += len(cell) + 1
        yield found


def _read_json(text: str, file: str, find: _Finder) -> list[Cell]:
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise LabFileError(
            f"this is no JSON: {error.msg}",
            where=Where(file, error.lineno, error.colno),
            hint="a list of objects: name and value",
        ) from error
    rows = []
    for number, entry in enumerate(document, start=1):
        where = Where(f"{file}, row {number}")
        if not isinstance(entry, dict):
            raise LabFileError(
                f"a row is an object of names and values, not {json.dumps(entry)[:40]}",
                where=where,
                hint='such as {"os": "linux"}',
            )
        row = [ANY] * find.count
        for name, value in entry.items():
            column = find.column(name, where)
            row[column] = find.value(column, str(value), where)
        rows.append(tuple(row))
    return rows


class _Finder:
    def __init__(self, parameters: Sequence[Parameter]) -> None:
        self.count = len(parameters)
        self._parameters = parameters
        self._columns = {parameter.name: n for n, parameter in enumerate(parameters)}
        self._values = [
            {name: index for index, value in enumerate(one.values) for name in _names(value)}
            for one in parameters
        ]

    def column(self, name: str, where: Where) -> int:
        """The number of a parameter."""
        if name not in self._columns:
            raise LabFileError(
                f"there is no parameter {name!r}",
                where=where,
                hint=hint_for(name, self._columns, what="parameters"),
            )
        return self._columns[name]

    def value(self, column: int, text: str, where: Where) -> int:
        """The number of a value; `ANY` for an empty one."""
        if not text:
            return ANY
        values = self._values[column]
        if text not in values:
            raise LabFileError(
                f"parameter {self._parameters[column].name!r} has no value {text!r}",
                where=where,
                hint=hint_for(text, values, what="values"),
            )
        return values[text]


def _names(value: Value) -> list[str]:
    names = [value.text, *value.aliases]
    return names + [NEGATIVE + name for name in names] if value.negative else names
