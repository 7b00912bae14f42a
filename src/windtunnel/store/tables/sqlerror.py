# SPDX-License-Identifier: Apache-2.0
"""What DuckDB says of a wrong query, in our words: the place, the word, the near miss."""

from __future__ import annotations

import re

from windtunnel.errors import UsageError
from windtunnel.model.nearmiss import near_miss
from windtunnel.store.tables.schema import TABLES

# "Binder Error: what happened\nmore of it\n\nLINE 2: the line\n        ^^^"
_PLACE = re.compile(r"\n+LINE (?P<line>\d+): (?P<text>[^\n]*)\n(?P<below>[ \t]*\^+)\s*\Z")
_CUT = "..."
_KIND = re.compile(r"\A[A-Z][A-Za-z -]* Error: ")
_MEANT = re.compile(r'(?:Did you mean|Candidate bindings:|Candidate Entries:) "([^"]+)"')
_COLUMN = re.compile(r'(?:column named|[Cc]olumn) "([^"]+)"')
_EXTENSION = re.compile(r"(?:in the |required extension ')(\w+)(?: extension|')")
_WRONG_WORD = re.compile(r'syntax error at or near "(\w+)"')
_WORDS = (
    *("select", "from", "where", "group", "having", "order", "limit", "offset", "join", "using"),
    *("with", "union", "distinct", "describe", "summarize", "explain", "values", "between"),
)


class SqlError(UsageError):
    """A query is wrong.

    Attributes:
        line: of the query, from 1; 0 when the place is not known.
        column: of that line, from 1; 0 when it is not known.
    """

    def __init__(self, message: str, *, line: int = 0, column: int = 0, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.line = line
        self.column = column


def explain(text: str, query: str = "") -> SqlError:
    """Turn a message of DuckDB about a query into an error that points at the word.

    Args:
        text: the message.
        query: as it was asked, for the column: of a long line DuckDB shows a part.
    """
    place = _PLACE.search(text)
    said = _KIND.sub("", text[: place.start()] if place else text).strip()
    what = said.split("\n", 1)[0].rstrip("!. ")
    hint = _hint(said)
    if place is None:
        return SqlError(what, hint=hint)
    line = int(place["line"])
    margin = f"{line:5} | "
    # The carets stand below "LINE 2: " and the text, and now below our margin and the text.
    below, shown = place["below"], place["text"]
    before = max(len(below) - below.count("^") - len(f"LINE {line}: "), 0)
    carets = f"{' ' * (len(margin) - 2)}| {' ' * before}{'^' * below.count('^')}"
    column = before + 1
    if shown.startswith(_CUT):
        asked = query.splitlines()[line - 1 : line]
        at = asked[0].find(shown.removeprefix(_CUT).removesuffix(_CUT)) if asked else -1
        column = at + before - len(_CUT) + 1 if at >= 0 else 0
    return SqlError(f"{what}\n{margin}{shown}\n{carets}", line=line, column=column, hint=hint)


def _hint(said: str) -> str:
    if (found := _EXTENSION.search(said)) is not None:
        return f"DuckDB's extension {found[1]!r} is not used here: it would have to be downloaded"
    if (found := _MEANT.search(said)) is not None:
        return f"did you mean {found[1]!r}?"
    if (found := _COLUMN.search(said)) is not None and "must appear" not in said:
        columns = {column.name for table in TABLES for column in table.columns}
        nearest = near_miss(found[1], sorted(columns))
        return f"did you mean {nearest!r}?" if nearest else ""
    if (found := _WRONG_WORD.search(said)) is not None:
        nearest = near_miss(found[1], _WORDS)
        if nearest and nearest != found[1].lower():
            return f"did you mean {nearest!r}?"
    if "does not exist" in said or "syntax error" in said:
        return "the tables are " + ", ".join(table.name for table in TABLES)
    return ""
