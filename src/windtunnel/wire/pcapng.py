# SPDX-License-Identifier: Apache-2.0
"""Capture files in the pcapng format, with nanoseconds, directions and comments.

A file is a section header, then interfaces, then packets that name an interface
by its place among them. A block is u32 kind, u32 size, its body, its options, and
the size again; everything is padded to 4 bytes and little endian here. No option
names the program, the machine or its system: equal captures are equal bytes.

Source: draft-ietf-opsawg-pcapng-01, sections 3 (blocks, options) and 4.1 to 4.3.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from windtunnel.errors import ProtocolError, UsageError

LINK_TYPE_ETHERNET = 1
"""LINKTYPE_ETHERNET: frames from the destination's address on, without checksum."""
TEXT_MAX_BYTES = 0xFFFF
"""Longest name or comment: an option's size has 16 bits."""
FRAME_MAX_BYTES = 0x40000
"""Longest frame; Wireshark's own limit (WTAP_MAX_PACKET_SIZE_STANDARD)."""
BLOCK_MAX_BYTES = 1 << 20
"""Largest block that is read; the largest that is written has a frame and a comment."""

_SECTION_HEADER = 0x0A0D0D0A
_INTERFACE = 1
_ENHANCED_PACKET = 6
_BYTE_ORDER = 0x1A2B3C4D
_SIZE_UNKNOWN = -1

_OPTION_END = 0
_OPTION_COMMENT = 1
_IF_NAME = 2
_IF_DESCRIPTION = 3
_IF_TIME_RESOLUTION = 9
_EPB_FLAGS = 2
_EPB_DROP_COUNT = 4

_NANOSECONDS = b"\x09"  # if_tsresol: units of 10**-9 s
_DIRECTION_MASK = 3

_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")
_BLOCK = struct.Struct("<II")  # kind, size of the whole block
_OPTION = struct.Struct("<HH")  # code, size of the value
_SECTION_BODY = struct.Struct("<IHHq")  # byte order, major, minor, size of the section
_INTERFACE_BODY = struct.Struct("<HHI")  # link type, reserved, snapshot length
_PACKET_BODY = struct.Struct("<IIIII")  # interface, time high, low, captured, original size

BLOCK_MIN_BYTES = 12


class Direction(IntEnum):
    """Which way a frame passed its interface, as the interface's owner sees it."""

    UNKNOWN = 0
    IN = 1
    OUT = 2


@dataclass(frozen=True, slots=True)
class Section:
    """The head of a file. What follows belongs to it, up to the next one."""


@dataclass(frozen=True, slots=True)
class Interface:
    """An interface; its number is its place among those of its section, from 0.

    Attributes:
        name: as its node calls it; empty when it has none.
        description: for people; empty when it has none.
        snap_bytes: most bytes of a frame that are kept; 0 is no limit.
        link_type: what a frame begins with (LINKTYPE_…).
    """

    name: str
    description: str = ""
    snap_bytes: int = 0
    link_type: int = LINK_TYPE_ETHERNET


@dataclass(frozen=True, slots=True)
class Packet:
    """A frame that passed an interface.

    Attributes:
        interface: its number.
        time_ns: nanoseconds since 1970 UTC, on the lab's clock; 0 to 2**64 - 1.
        frame: what was kept of it, from its link layer header on.
        size_bytes: its whole size on the link.
        direction: which way it passed.
        comment: what became of it, for people; empty when there is nothing to say.
        dropped: frames that were lost between the one before and this one; None
            when nobody counted.
    """

    interface: int
    time_ns: int
    frame: bytes
    size_bytes: int
    direction: Direction = Direction.UNKNOWN
    comment: str = ""
    dropped: int | None = None


@dataclass(frozen=True, slots=True)
class OtherBlock:
    """A block of a kind that we never write."""

    kind: int
    body: bytes


Block = Section | Interface | Packet | OtherBlock


def section_header() -> bytes:
    """Begin a file."""
    body = _SECTION_BODY.pack(_BYTE_ORDER, 1, 0, _SIZE_UNKNOWN)
    return _block(_SECTION_HEADER, body, b"")


def interface(
    name: str,
    description: str = "",
    *,
    snap_bytes: int = 0,
    link_type: int = LINK_TYPE_ETHERNET,
) -> bytes:
    """Describe an interface, whose packets follow; the first of a file is number 0.

    Args:
        name: as its node calls it.
        description: for people.
        snap_bytes: most bytes of a frame that are kept; 0 is no limit.
        link_type: what a frame begins with (LINKTYPE_…).

    Raises:
        UsageError: a text is longer than `TEXT_MAX_BYTES`.
    """
    options = _text(_IF_NAME, name) + _text(_IF_DESCRIPTION, description)
    options += _option(_IF_TIME_RESOLUTION, _NANOSECONDS)
    return _block(_INTERFACE, _INTERFACE_BODY.pack(link_type, 0, snap_bytes), options)


def packet(
    interface: int,
    time_ns: int,
    frame: bytes,
    *,
    direction: Direction = Direction.UNKNOWN,
    comment: str = "",
    size_bytes: int | None = None,
    dropped: int | None = None,
) -> bytes:
    """Describe a frame that passed an interface.

    Args:
        interface: its number: its place among those of the file, from 0.
        time_ns: nanoseconds since 1970 UTC, on the lab's clock; 0 to 2**64 - 1.
        frame: from its link layer header on.
        direction: which way it passed.
        comment: for people, such as why it was dropped.
        size_bytes: its size on the link; None is that of `frame`.
        dropped: frames lost between the one before and this one; None when
            nobody counted.

    Raises:
        UsageError: the frame is longer than `FRAME_MAX_BYTES`, or the comment
            than `TEXT_MAX_BYTES`.
    """
    kept_bytes = len(frame)
    if kept_bytes > FRAME_MAX_BYTES:
        raise UsageError(f"a frame of {kept_bytes} bytes, limit {FRAME_MAX_BYTES}")
    body = _PACKET_BODY.pack(
        interface,
        time_ns >> 32,
        time_ns & 0xFFFFFFFF,
        kept_bytes,
        kept_bytes if size_bytes is None else size_bytes,
    )
    options = _text(_OPTION_COMMENT, comment)
    if direction:
        options += _option(_EPB_FLAGS, _U32.pack(direction))
    if dropped is not None:
        options += _option(_EPB_DROP_COUNT, _U64.pack(dropped))
    return _block(_ENHANCED_PACKET, body + _padded(frame), options)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _block(kind: int, body: bytes, options: bytes) -> bytes:
    if options:
        options += _OPTION.pack(_OPTION_END, 0)
    size = BLOCK_MIN_BYTES + len(body) + len(options)
    return _BLOCK.pack(kind, size) + body + options + _U32.pack(size)


def _option(code: int, value: bytes) -> bytes:
    return _OPTION.pack(code, len(value)) + _padded(value)


def _text(code: int, text: str) -> bytes:
    """An option with a text; nothing when it is empty."""
    value = text.encode(errors="replace")
    if len(value) > TEXT_MAX_BYTES:
        raise UsageError(f"a text of {len(value)} bytes in a capture, limit {TEXT_MAX_BYTES}")
    return _option(code, value) if value else b""


def parse_blocks(buffer: bytes) -> tuple[list[Block], bytes]:
    """Take whole blocks from the front of a file.

    Reads what this module writes, and other programs' files as far as they are
    little endian and count nanoseconds; options and blocks that we do not write
    are passed over.

    Returns:
        The blocks, and the bytes of one that is not yet whole.

    Raises:
        ProtocolError: no block, big endian, or another unit of time.
    """
    blocks: list[Block] = []
    at = 0
    while len(buffer) - at >= BLOCK_MIN_BYTES:
        kind, size = _BLOCK.unpack_from(buffer, at)
        if size % 4 or not BLOCK_MIN_BYTES <= size <= BLOCK_MAX_BYTES:
            raise ProtocolError(f"pcapng: block {kind:#x} of {size} bytes")
        end = at + size
        if len(buffer) < end:
            break
        (again,) = _U32.unpack_from(buffer, end - 4)
        if again != size:
            raise ProtocolError(f"pcapng: block {kind:#x} of {size} bytes ends as one of {again}")
        blocks.append(_parse_block(kind, bytes(buffer[at + 8 : end - 4])))
        at = end
    return blocks, buffer[at:]


def _parse_block(kind: int, body: bytes) -> Block:
    if kind == _SECTION_HEADER:
        return _parse_section(body)
    if kind == _INTERFACE:
        return _parse_interface(body)
    if kind == _ENHANCED_PACKET:
        return _parse_packet(body)
    return OtherBlock(kind, body)


def _parse_section(body: bytes) -> Section:
    byte_order, major, _, _ = _SECTION_BODY.unpack(_front(body, _SECTION_BODY.size))
    if byte_order != _BYTE_ORDER:
        raise ProtocolError(f"pcapng: byte order {byte_order:#010x}; only little endian is read")
    if major != 1:
        raise ProtocolError(f"pcapng: version {major}")
    return Section()


def _parse_interface(body: bytes) -> Interface:
    link_type, _, snap_bytes = _INTERFACE_BODY.unpack(_front(body, _INTERFACE_BODY.size))
    name = description = ""
    resolution = b""
    for code, value in _options(body[_INTERFACE_BODY.size :]):
        if code == _IF_NAME:
            name = _decoded(value)
        elif code == _IF_DESCRIPTION:
            description = _decoded(value)
        elif code == _IF_TIME_RESOLUTION:
            resolution = value
    if resolution != _NANOSECONDS:
        raise ProtocolError(f"pcapng: interface {name!r} does not count nanoseconds")
    return Interface(name, description, snap_bytes, link_type)


def _parse_packet(body: bytes) -> Packet:
    number, high, low, kept_bytes, size_bytes = _PACKET_BODY.unpack(_front(body, _PACKET_BODY.size))
    frame_end = _PACKET_BODY.size + kept_bytes
    frame = _front(body, frame_end)[_PACKET_BODY.size :]
    direction, comment = Direction.UNKNOWN, ""
    dropped: int | None = None
    for code, value in _options(body[frame_end + -kept_bytes % 4 :]):
        if code == _OPTION_COMMENT:
            comment = _decoded(value)
        elif code == _EPB_FLAGS:
            direction = _direction(_U32.unpack(_exactly(value, _U32.size))[0])
        elif code == _EPB_DROP_COUNT:
            (dropped,) = _U64.unpack(_exactly(value, _U64.size))
    return Packet(number, high << 32 | low, frame, size_bytes, direction, comment, dropped)


def _direction(flags: int) -> Direction:
    bits = flags & _DIRECTION_MASK
    if bits > Direction.OUT:
        raise ProtocolError(f"pcapng: direction {bits}")
    return Direction(bits)


def _options(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        code, size = _OPTION.unpack(_front(data[at:], _OPTION.size))
        if code == _OPTION_END:
            return
        at += _OPTION.size
        yield code, _front(data[at:], size)
        at += size + -size % 4


def _front(data: bytes, size: int) -> bytes:
    if len(data) < size:
        raise ProtocolError(f"pcapng: {len(data)} bytes where {size} belong")
    return data[:size]


def _exactly(value: bytes, size: int) -> bytes:
    if len(value) != size:
        raise ProtocolError(f"pcapng: an option of {len(value)} bytes where {size} belong")
    return value


def _decoded(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise ProtocolError(f"pcapng: a text that is no UTF-8: {value[:40]!r}") from None
