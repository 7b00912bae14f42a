# SPDX-License-Identifier: Apache-2.0
"""The kernel's trace as it is in memory: `per_cpu/cpuN/trace_pipe_raw`, and what reads it.

A page is a ring buffer's sub-buffer (kernel, include/linux/ring_buffer.h and
kernel/trace/ring_buffer.c; the layout of its header is `events/header_page`):

    u64 time        of the page, ns
    u64 commit      bits 0 to 19: bytes of data that follow; bit 31: events were lost before
                    this page; bit 30: how many stands as an u64 behind the data
    data            records, each a u32 (bits 0 to 4 type and length, 5 to 31 ns since the
                    record before) and what follows by its type

An event's data begin with its number; `events/*/*/format` says what the numbers mean and
where the fields are. All of it is little-endian, for we trace our own guests.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from mmap import mmap
from struct import Struct, unpack_from

from windtunnel.errors import ProtocolError

HEADER_BYTES = 16

_COMMIT_MASK = (1 << 20) - 1
_LOST = 1 << 31
_LOST_STORED = 1 << 30
_LENGTH_ELSEWHERE = 0
_LENGTH_MAX = 28
_PADDING = 29
_TIME_EXTEND = 30
_TIME_STAMP = 31
_DELTA_BITS = 27
_EVENT_HEAD = Struct("<H2xi")  # its number, and the task's
_PLACE = Struct("<HH")  # of data that are elsewhere in the event, and their size
_LETTERS = {1: "B", 2: "H", 4: "I", 8: "Q"}  # of numbers without a sign, in struct

_NAME = re.compile(r"^name: (\S+)$", re.MULTILINE)
_ID = re.compile(r"^ID: (\d+)$", re.MULTILINE)
_PRINT = re.compile(r"^print fmt: (.*)$", re.MULTILINE)
_FIELD = re.compile(
    r"^\tfield:(?P<what>[^;]+);\toffset:(?P<offset>\d+);\tsize:(?P<size>\d+);\tsigned:(?P<signed>[01]);",
    re.MULTILINE,
)
_DECLARED = re.compile(r"(?P<type>.*?)\s*(?P<name>[A-Za-z_]\w*)(?P<array>\[[^\]]*\])?$")


@dataclass(frozen=True, slots=True)
class EventField:
    """One field of an event.

    Attributes:
        name: of it.
        type: as in C: "pid_t", "char", "__data_loc char[]".
        offset: in bytes, from the start of the event's data.
        size: in bytes.
        signed: whether a number is.
        array: whether it is an array of `type`.
        item_bytes: size of one of its items, if it is an array of numbers.
    """

    name: str
    type: str
    offset: int
    size: int
    signed: bool
    array: bool = False
    item_bytes: int = 1


@dataclass(frozen=True, slots=True)
class EventFormat:
    """What `events/SYSTEM/NAME/format` says.

    Attributes:
        number: in the data of such events.
        name: "sched_switch".
        fields: its own, without those that all events have, in the order of the text.
        common: those that all events have.
        print_format: how the kernel would write it, as it stands there.
    """

    number: int
    name: str
    fields: tuple[EventField, ...]
    common: tuple[EventField, ...]
    print_format: str = ""


Value = int | str | tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TraceEvent:
    """One event of a trace.

    Attributes:
        time_ns: of the trace's clock.
        name: "sched_switch".
        pid: of the task that was current; 0 is the idle task.
        fields: its own.
        lost_before: how many events were lost before it; -1: some, nobody counted.
    """

    time_ns: int
    name: str
    pid: int
    fields: Mapping[str, Value] = field(default_factory=dict)
    lost_before: int = 0


def parse_format(text: str) -> EventFormat:
    """Read one `format` file.

    Raises:
        ProtocolError: it is none.
    """
    name, number = _NAME.search(text), _ID.search(text)
    if name is None or number is None:
        raise ProtocolError(f"no format of a trace event: {text[:80]!r}")
    fields = [_field(found) for found in _FIELD.finditer(text)]
    printed = _PRINT.search(text)
    return EventFormat(
        number=int(number[1]),
        name=name[1],
        fields=tuple(one for one in fields if not one.name.startswith("common_")),
        common=tuple(one for one in fields if one.name.startswith("common_")),
        print_format=printed[1] if printed else "",
    )


def parse_formats(text: str) -> dict[int, EventFormat]:
    """Read many `format` files, one behind the other, by the events' numbers.

    Raises:
        ProtocolError: one of them is none.
    """
    pieces = re.split(r"(?m)^(?=name: )", text)
    formats = [parse_format(piece) for piece in pieces if piece.strip()]
    return {one.number: one for one in formats}


def _field(found: re.Match[str]) -> EventField:
    what = found["what"].strip()
    declared = _DECLARED.fullmatch(what)
    if declared is None:
        raise ProtocolError(f"no field of a trace event: {what!r}")
    size, array = int(found["size"]), declared["array"]
    items = int(array[1:-1]) if array is not None and array[1:-1].isdecimal() else size
    return EventField(
        name=declared["name"],
        type=declared["type"].strip(),
        offset=int(found["offset"]),
        size=size,
        signed=found["signed"] == "1",
        array=array is not None,
        item_bytes=size // items if items else 1,
    )


def parse_trace(
    data: bytes | mmap, formats: Mapping[int, EventFormat], *, page_bytes: int = 4096
) -> Iterator[TraceEvent]:
    """Read pages of one processor, in the order in which they were read from the kernel.

    Args:
        data: whole pages; what follows the last whole one must be one that ends early.
        formats: of all events that may occur.
        page_bytes: size of a page.

    Yields:
        Events in the order of the buffer, which is that of happening.

    Raises:
        ProtocolError: the bytes are none; names the offset.
    """
    decoders = {number: _decoder(known) for number, known in formats.items()}
    for start in range(0, len(data), page_bytes):
        page = data[start : start + page_bytes]
        if len(page) < HEADER_BYTES:
            raise ProtocolError(f"a page of {len(page)} bytes at {start:#x}, less than a header")
        time_ns, commit = unpack_from("<QQ", page)
        size = commit & _COMMIT_MASK
        if HEADER_BYTES + size > len(page):
            raise ProtocolError(f"a page at {start:#x} says {size} bytes, and has {len(page)}")
        lost = 0
        if commit & _LOST:
            at = HEADER_BYTES + size
            stored = commit & _LOST_STORED and at + 8 <= len(page)
            lost = unpack_from("<Q", page, at)[0] if stored else -1
        for at_ns, body in _records(page[HEADER_BYTES : HEADER_BYTES + size], time_ns, start):
            yield _event(at_ns, body, decoders, lost, start)
            lost = 0


def _records(data: bytes, time_ns: int, start: int) -> Iterator[tuple[int, bytes]]:
    """The data of a page's events, each with its time."""
    at = 0
    while at + 4 <= len(data):
        (word,) = unpack_from("<I", data, at)
        kind, delta = word & 31, word >> 5
        at += 4
        if kind == _PADDING and delta == 0:
            return
        if kind in (_LENGTH_ELSEWHERE, _PADDING, _TIME_EXTEND, _TIME_STAMP):
            if at + 4 > len(data):
                raise ProtocolError(f"a record of the page at {start:#x} is cut at {at:#x}")
            (more,) = unpack_from("<I", data, at)
        if kind == _TIME_EXTEND:
            time_ns += (more << _DELTA_BITS) + delta
            at += 4
            continue
        if kind == _TIME_STAMP:
            time_ns = (more << _DELTA_BITS) + delta
            at += 4
            continue
        time_ns += delta
        if kind == _PADDING:  # an event that was taken back
            at += more
            continue
        begin, length = (at, kind * 4) if kind else (at + 4, more - 4)
        if length < 0 or begin + length > len(data):
            raise ProtocolError(f"a record of the page at {start:#x} is longer than the page")
        yield time_ns, data[begin : begin + length]
        at = begin + (length + 3) // 4 * 4


_Reader = Callable[[bytes], Value]


@dataclass(frozen=True, slots=True)
class _Decoder:
    """What reads the data of one kind of event: of so many bytes, up to the last field."""

    name: str
    size: int
    last: str
    readers: tuple[tuple[str, _Reader], ...]


def _decoder(known: EventFormat) -> _Decoder:
    size, last = max(((one.offset + one.size, one.name) for one in known.fields), default=(0, ""))
    readers = tuple((one.name, _reader(one)) for one in known.fields)
    return _Decoder(known.name, size, last, readers)


def _event(
    time_ns: int, body: bytes, decoders: Mapping[int, _Decoder], lost: int, start: int
) -> TraceEvent:
    if len(body) < 8:
        raise ProtocolError(f"an event of {len(body)} bytes in the page at {start:#x}")
    number, pid = _EVENT_HEAD.unpack_from(body)
    known = decoders.get(number)
    if known is None:
        raise ProtocolError(f"event number {number} in the page at {start:#x} has no format")
    if known.size > len(body):
        raise ProtocolError(
            f"the field {known.last!r} ends at {known.size}, its event at {len(body)}"
        )
    values = {name: read(body) for name, read in known.readers}
    return TraceEvent(time_ns, known.name, pid, values, lost)


def _reader(one: EventField) -> _Reader:
    """What reads a field: a number, a text, or numbers."""
    end = one.offset + one.size
    if one.type.startswith(("__data_loc", "__rel_loc")):
        return _far_reader(one)
    if one.array and one.type.endswith("char") and "unsigned" not in one.type:
        return lambda body: _text(body[one.offset : end])
    if one.array and one.item_bytes in _LETTERS:
        letter = _letter(one.item_bytes, signed=one.signed and one.item_bytes > 1)
        items = Struct(f"<{one.size // one.item_bytes}{letter}").unpack_from
        return lambda body: items(body, one.offset)
    if one.size not in _LETTERS:
        return lambda body: tuple(body[one.offset : end])
    number = Struct(f"<{_letter(one.size, signed=one.signed)}").unpack_from
    return lambda body: int(number(body, one.offset)[0])


def _far_reader(one: EventField) -> _Reader:
    """What reads a field whose data are elsewhere in the event."""
    base = one.offset + one.size if one.type.startswith("__rel_loc") else 0

    def read(body: bytes) -> Value:
        begin, size = _PLACE.unpack_from(body, one.offset)
        data = body[base + begin : base + begin + size]
        return _text(data) if "char" in one.type else tuple(data)

    return read


def _letter(size: int, *, signed: bool) -> str:
    return _LETTERS[size].lower() if signed else _LETTERS[size]


def _text(data: bytes) -> str:
    return data.partition(b"\0")[0].decode("utf-8", "backslashreplace")
