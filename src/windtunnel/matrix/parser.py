# SPDX-License-Identifier: Apache-2.0
"""`Parser`: the interface that programs which use Cartesian configuration know.

It gives what they are used to, name by name and key by key, and is the one
place of this room that opens files; all else gets a function that reads.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence

from windtunnel.errors import MatrixFileError, MatrixIncludeError, MatrixWordError
from windtunnel.matrix.expand import Dict, Expansion
from windtunnel.matrix.grammar import Read, parse
from windtunnel.matrix.names import join_names_as_ever
from windtunnel.matrix.plan import make_plan
from windtunnel.matrix.states import States
from windtunnel.matrix.syntax import Statement

STRING = "<string>"

ParserError = MatrixFileError
LexerError = MatrixWordError
MissingIncludeError = MatrixIncludeError


def read_beside(path: str, file: str) -> tuple[str, str]:
    """Read an included file: its path begins at the file that includes it."""
    path = posixpath.expanduser(path)
    if file != STRING:
        path = posixpath.join(posixpath.dirname(file), path)
    with open(path, encoding="utf-8") as stream:  # noqa: PTH123 - the room knows no pathlib
        return path, stream.read()


class Parser:
    """A matrix, read piece by piece.

    Args:
        filename: a file to read at once.
        defaults: of each variants block take the default alone, as long as it comes
            to anything.
        expand_defaults: names of variants blocks that are taken wholly even so.
        debug: is there for programs that give it.
        read: reads files.
    """

    def __init__(
        self,
        filename: str | None = None,
        defaults: bool = False,
        expand_defaults: Sequence[str] = (),
        debug: bool = False,
        *,
        read: Read = read_beside,
    ) -> None:
        self.filename = filename
        self.defaults = defaults
        self.expand_defaults = list(expand_defaults)
        self.debug = debug
        self.only_filters: list[str] = []
        self.no_filters: list[str] = []
        self.assignments: list[str] = []
        self._read = read
        self._statements: list[Statement] = []
        if filename is not None:
            self.parse_file(filename)

    def parse_file(self, filename: str) -> None:
        """Read a file, as if it stood behind what was read before."""
        file, text = self._read(filename, STRING)
        self._statements += parse(text, file=file, read=self._read)

    def parse_string(self, s: str) -> None:
        """Read a text, as if it stood behind what was read before."""
        self._statements += parse(s, file=STRING, read=self._read)

    def only_filter(self, variant: str) -> None:
        """Add "only VARIANT"."""
        text = f"only {variant}"
        self.only_filters.append(text)
        self.parse_string(text)

    def no_filter(self, variant: str) -> None:
        """Add "no VARIANT"."""
        text = f"no {variant}"
        self.no_filters.append(text)
        self.parse_string(text)

    def assign(self, key: str, value: str) -> None:
        """Add "KEY = VALUE"."""
        text = f"{key} = {value}"
        self.assignments.append(text)
        self.parse_string(text)

    def get_dicts(self) -> Iterator[Dict]:
        """Give the variants one by one."""
        plan = make_plan(self._statements, defaults=self.defaults, expand=self.expand_defaults)
        yield from Expansion(plan, States(plan), join_names=join_names_as_ever).all()
