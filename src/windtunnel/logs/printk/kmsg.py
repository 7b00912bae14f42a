# SPDX-License-Identifier: Apache-2.0
r"""Records as /dev/kmsg gives them, and netconsole in its extended form.

    PRIORITY,SEQUENCE,MICROSECONDS,FLAG[,caller=T123][,more…];TEXT
     KEY=VALUE

FLAG is "-", or "c" for the rest of an earlier record; until Linux 4.11 "+" too.
Bytes that cannot be printed, and the backslash, are \xNN. Netconsole may put
"RELEASE," first, and adds "ncfrag=OFFSET/TOTAL" when a record needs several datagrams.

Source: Documentation/ABI/testing/dev-kmsg; kernel/printk/printk.c,
info_print_ext_header(), msg_add_ext_text(), msg_add_dict_text(); drivers/net/netconsole.c.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from windtunnel.logs.printk.framing import ENDS_WITHIN, Lines, show
from windtunnel.logs.printk.record import Record

# A few more digits than a 64-bit number needs would be no number of the kernel's.
_HEADER = re.compile(
    rb"(?:(?P<release>\d[^,;\n]{0,63}),)?"
    rb"(?P<priority>\d{1,4}),(?P<sequence>\d{1,20}),(?P<micros>\d{1,20}),(?P<flag>[-c+])"
    rb"(?P<more>(?:,[^,;\n]*)*);"
)
_ESCAPE = re.compile(rb"\\x([0-9a-fA-F]{2})")
_FRAGMENT = re.compile(rb"(\d{1,9})/(\d{1,9})")
_CALLER = re.compile(r"[CT]\d{1,10}")
_MARK = b"ncfrag="
# The beginning of another record's datagram, behind a fragment in the same line.
_INNER = re.compile(rb"\d{1,3},(\d{1,20}),\d{1,20},[-c+][,;]")
# A network does not change the order of datagrams farther than this.
_NEAR_RECORDS = 64


@dataclass(frozen=True, slots=True)
class Header:
    """What stands before the first ";".

    Attributes:
        record: the record, its text still empty.
        sequence: the record's.
        offset: of a fragment in the body; 0 when there is one datagram.
        total: bytes of the whole body; None when there is one datagram.
    """

    record: Record
    sequence: int
    offset: int
    total: int | None


def parse_header(line: bytes) -> tuple[Header, bytes] | None:
    """Read the beginning of a record.

    Returns:
        The header and what follows it; None when the line does not begin so.
    """
    match = _HEADER.match(line)
    if match is None:
        return None
    fields = [part.partition(b"=") for part in match["more"].split(b",")]
    more = {show(key): show(value) for key, _, value in fields}
    caller = more.get("caller", "")
    fragment = _FRAGMENT.fullmatch(more.get("ncfrag", "").encode())
    record = Record(
        text="",
        sequence=int(match["sequence"]),
        micros=int(match["micros"]),
        priority=int(match["priority"]),
        caller=caller if _CALLER.fullmatch(caller) else "",
        is_rest=match["flag"] != b"-",
        tags={"release": show(match["release"])} if match["release"] else {},
    )
    offset, total = (0, None) if fragment is None else (int(fragment[1]), int(fragment[2]))
    return Header(record, int(match["sequence"]), offset, total), line[match.end() :]


def unescape(text: bytes) -> str:
    r"""Undo the kernel's escapes and decode; what cannot be shown is escaped again.

    Only newlines within a record stay as they are.
    """
    raw = _ESCAPE.sub(lambda match: bytes.fromhex(match[1].decode()), text)
    return "\n".join(show(part) for part in raw.split(b"\n"))


def parse_tag(line: bytes) -> tuple[str, str] | None:
    """Read a line " KEY=VALUE"; None when it is none."""
    if not line.startswith(b" "):
        return None
    key, equals, value = line[1:].partition(b"=")
    return (unescape(key), unescape(value)) if equals else None


def split_datagrams(line: bytes) -> list[bytes]:
    """Cut a line of a file at the datagrams that were written to it one after the other.

    Only a fragment ends without a newline, so only it can be followed by another
    datagram: by one with the same header, or by one of a record nearby.
    """
    header = _HEADER.match(line)
    own = line.partition(_MARK)[0] + _MARK
    if header is None or _MARK not in header["more"]:
        return [line]
    first, *others = line[len(own) :].split(own)
    found = []
    for fragment in (own + first, *(own + other for other in others)):
        at = _other_datagram(fragment, int(header["sequence"]))
        found += [fragment[:at], *split_datagrams(fragment[at:])] if at else [fragment]
    return found


def _other_datagram(fragment: bytes, sequence: int) -> int:
    """Say where in a fragment another record's datagram begins; 0 when nowhere."""
    for match in _INNER.finditer(fragment, fragment.find(b";")):
        if 0 < abs(int(match[1]) - sequence) <= _NEAR_RECORDS:
            return match.start()
    return 0


@dataclass(frozen=True, slots=True)
class Datagram:
    """A record or a fragment of one, or another line.

    Attributes:
        header: None for a line that is neither.
        body: what follows the header; or the whole line.
        tags: the lines that follow, each as it is.
    """

    header: Header | None
    body: bytes
    tags: tuple[bytes, ...] = ()


class KmsgParser:
    """Reads a stream of records, such as a copy of /dev/kmsg.

    A record ends where another line begins, so the last one comes with `finish`.
    """

    def __init__(self) -> None:
        self._lines = Lines()
        self._open: Datagram | None = None

    def feed(self, data: bytes) -> list[Datagram]:
        """Take the next piece of the stream; return what is complete."""
        return list(self._take(self._lines.feed(data)))

    def finish(self) -> list[Datagram]:
        """End the stream; return what was still open."""
        rest = self._lines.finish()
        found = list(self._take(rest))
        if self._open is not None:
            if rest and self._open.header is not None and self._open.header.total is None:
                header = self._open.header
                header = replace(header, record=replace(header.record, lacks=ENDS_WITHIN))
                self._open = replace(self._open, header=header)
            found.append(self._open)
            self._open = None
        return found

    def _take(self, lines: list[bytes]) -> Iterator[Datagram]:
        for line in lines:
            if self._open is not None and line.startswith(b" "):
                self._open = Datagram(self._open.header, self._open.body, (*self._open.tags, line))
                continue
            if self._open is not None:
                yield self._open
                self._open = None
            for part in split_datagrams(line):
                parsed = parse_header(part)
                if self._open is not None:
                    yield self._open
                    self._open = None
                if parsed is not None:
                    self._open = Datagram(*parsed)
                elif part:
                    yield Datagram(None, part)
