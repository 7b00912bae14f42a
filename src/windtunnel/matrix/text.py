# SPDX-License-Identifier: Apache-2.0
"""Text of the Cartesian configuration to lines that say something."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

TAB_COLUMNS = 8
_COMMENTS = ("#", "//")


@dataclass(frozen=True, slots=True)
class Line:
    """A line that is neither empty nor a comment.

    Attributes:
        number: from 1.
        indent: columns before the text, tabs being 8 wide.
        column: where the text begins in the file, in characters from 1.
        text: without what surrounds it.
    """

    number: int
    indent: int
    column: int
    text: str


def lines_of(text: str) -> Iterator[Line]:
    """Give the lines that say something."""
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.expandtabs(TAB_COLUMNS).rstrip()
        bare = line.lstrip()
        if bare and not bare.startswith(_COMMENTS):
            column = len(raw) - len(raw.lstrip()) + 1
            yield Line(number, len(line) - len(bare), column, bare)
