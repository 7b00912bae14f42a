# SPDX-License-Identifier: Apache-2.0
"""A stream of bytes as lines, and bytes as text that can be shown."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator

# The kernel's records end at 1 KiB and its consoles' lines at 2. Longer "lines" are binary
# data, or a file without newlines, and must not fill the memory.
LINE_MAX_BYTES = 65_536
# What is said of a last line without its newline.
ENDS_WITHIN = "the log ends within it"

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")


# What begins a text file of some other system.
_UTF16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_MARK_BYTES = 3


class Lines:
    """Cuts a stream into lines; the same ones however the stream comes in pieces."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next piece of the stream; return the lines that are complete."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        found = [part for line in lines for part in _parts(line.removesuffix(b"\r"))]
        while len(self._rest) > LINE_MAX_BYTES:
            found.append(self._rest[:LINE_MAX_BYTES])
            self._rest = self._rest[LINE_MAX_BYTES:]
        return found

    def finish(self) -> list[bytes]:
        """End the stream; return its last line, when that has no newline."""
        rest, self._rest = self._rest, b""
        return _parts(rest.removesuffix(b"\r")) if rest else []


def show(data: bytes) -> str:
    r"""Decode what a kernel or a program printed.

    What is not UTF-8, and control characters but the tab, become \xNN: a log must
    not be able to steer the terminal that shows it. Carriage returns at the end of
    a line are dropped.
    """
    text = data.decode("utf-8", "backslashreplace").rstrip("\r")
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def as_utf8(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Leave out a mark of the byte order, and decode UTF-16 where the mark says so."""
    pieces = iter(pieces)
    begin = b""
    for piece in pieces:
        begin += piece
        if len(begin) >= _MARK_BYTES:
            break
    coding = _UTF16.get(begin[:2])
    if coding is None:
        yield begin.removeprefix(codecs.BOM_UTF8)
        yield from pieces
        return
    decoder = codecs.getincrementaldecoder(coding)("replace")
    yield decoder.decode(begin[2:]).encode("utf-8", "replace")
    for piece in pieces:
        yield decoder.decode(piece).encode("utf-8", "replace")
    yield decoder.decode(b"", final=True).encode("utf-8", "replace")


def _parts(line: bytes) -> list[bytes]:
    return [line[at : at + LINE_MAX_BYTES] for at in range(0, max(len(line), 1), LINE_MAX_BYTES)]
