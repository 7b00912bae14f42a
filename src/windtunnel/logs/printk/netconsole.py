# SPDX-License-Identifier: Apache-2.0
"""Datagrams of netconsole as records in their order.

UDP may lose datagrams, send them twice, and change their order. The kernel's
sequence numbers say which record a datagram belongs to and what is missing. So a
record waits until those before it have come, or until so many have come after it
that they will not come any more. /dev/kmsg is the easy case: all in order.

Source: drivers/net/netconsole.c, send_msg_fragmented(), MAX_PRINT_CHUNK.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from windtunnel.logs.printk.framing import show
from windtunnel.logs.printk.kmsg import Datagram, parse_tag, unescape
from windtunnel.logs.printk.record import Item, Lost, Record

# A network that changes the order of datagrams does so within a few of them.
WAITING_RECORDS = 64
# A netconsole that is switched on sends the whole log of the kernel again.
REMEMBERED_RECORDS = 65_536
# No record is longer: 2 KiB of escaped text and as much of tags, with room to grow.
BODY_MAX_BYTES = 65_536


class Sequencer:
    """Puts records of one kernel into their order, once each.

    Feed it datagrams; it gives records, and `Lost` where some are missing. Another
    line stays behind the datagram that it came after.
    """

    def __init__(self) -> None:
        self._next: int | None = None  # the sequence that must come next
        self._first = 0  # the lowest sequence that was given
        self._waiting: dict[int, _Assembly] = {}
        self._newest: _Assembly | None = None
        self._given: dict[int, _Assembly] = {}
        self._again = 0

    def feed(self, datagram: Datagram) -> Iterator[Item]:
        """Take the next datagram; give what is in order now."""
        if datagram.header is None:
            other = Record(show(datagram.body), is_kernel=False)
            if self._newest is None:
                yield other
            else:
                self._newest.followed_by.append(other)
            return
        sequence = datagram.header.sequence
        if self._is_of_another_boot(datagram, sequence):
            yield from self.finish()
            yield Lost(None, "the sequence starts again: another boot")
            self._next = None
            self._given = {}
        if self._next is not None and sequence < self._next:
            self._again += 1
            return
        assembly = self._waiting.get(sequence)
        if assembly is None:
            assembly = self._waiting[sequence] = _Assembly(datagram)
        elif not assembly.add(datagram):
            self._again += 1
        self._newest = assembly
        yield from self._give(WAITING_RECORDS)

    def finish(self) -> Iterator[Item]:
        """Give all that waits, and say what is missing."""
        yield from self._give(0)
        if self._again:
            yield Lost(0, f"{self._again} datagrams came again, or too late, and were left out")
            self._again = 0

    def _is_of_another_boot(self, datagram: Datagram, sequence: int) -> bool:
        known = self._waiting.get(sequence) or self._given.get(sequence)
        if known is not None:
            return not known.is_from(datagram)
        return self._next is not None and sequence + WAITING_RECORDS < self._first

    def _give(self, may_wait: int) -> Iterator[Item]:
        while self._waiting:
            sequence = min(self._waiting)
            in_order = sequence == self._next and self._waiting[sequence].is_whole
            if not in_order and len(self._waiting) <= may_wait:
                return
            assembly = self._waiting.pop(sequence)
            if self._next is None:
                self._first = sequence
            elif sequence > self._next:
                count = sequence - self._next
                yield Lost(count, f"{count} record{'s are' if count > 1 else ' is'} missing")
            self._next = sequence + 1
            self._given[sequence] = assembly
            if len(self._given) > REMEMBERED_RECORDS:
                del self._given[next(iter(self._given))]
            yield assembly.to_record()
            yield from assembly.followed_by
            assembly.followed_by = []
            if assembly is self._newest:
                self._newest = None


class _Assembly:
    """The fragments of one record that have come."""

    def __init__(self, datagram: Datagram) -> None:
        assert datagram.header is not None
        self._header = datagram.header
        self._parts = {datagram.header.offset: _body(datagram)}
        self._tags = datagram.tags
        self.followed_by: list[Record] = []

    @property
    def is_whole(self) -> bool:
        return not self._missing()

    def is_from(self, datagram: Datagram) -> bool:
        """Tell whether a datagram is of this record, rather than of another boot's."""
        assert datagram.header is not None
        record = datagram.header.record
        body = self._parts.get(datagram.header.offset, _body(datagram))
        return record.micros == self._header.record.micros and body == _body(datagram)

    def add(self, datagram: Datagram) -> bool:
        """Take another fragment; False when it is here already."""
        assert datagram.header is not None
        offset = datagram.header.offset
        if offset in self._parts or offset > BODY_MAX_BYTES:
            return False
        self._parts[offset] = _body(datagram)
        return True

    def to_record(self) -> Record:
        """Put the fragments together; say in the text where one is missing."""
        body = b""
        at = 0
        for offset, part in sorted(self._parts.items()):
            if offset > at:
                body += _hole(offset - at)
            body += part[max(at - offset, 0) :]
            at = max(at, offset + len(part))
        missing = self._missing()
        if missing and at + 1 < (self._header.total or 0):
            body += _hole((self._header.total or 0) - at)
        text, *lines = body.split(b"\n")
        tags = dict(self._header.record.tags)
        tags.update(filter(None, map(parse_tag, (*lines, *self._tags))))
        lacks = f"{missing} of {self._header.total} bytes are missing" if missing else ""
        lacks = lacks or self._header.record.lacks
        return replace(self._header.record, text=unescape(text), tags=tags, lacks=lacks)

    def _missing(self) -> int:
        """How many bytes are missing."""
        total = self._header.total
        if total is None:
            return 0
        at = missing = 0
        for offset, part in sorted(self._parts.items()):
            missing += max(offset - at, 0)
            at = max(at, offset + len(part))
        # A file was cut at newlines, so the one that ends the body is not there.
        return missing + (total - at if at + 1 < total else 0)


def _body(datagram: Datagram) -> bytes:
    """Give the bytes of a fragment, whose tags count; or the text of a whole record."""
    assert datagram.header is not None
    if datagram.header.total is None:
        return datagram.body
    return b"\n".join([datagram.body, *datagram.tags])


def _hole(size_bytes: int) -> bytes:
    return f"[... {size_bytes} bytes are missing ...]".encode()
