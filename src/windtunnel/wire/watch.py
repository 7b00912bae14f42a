# SPDX-License-Identifier: Apache-2.0
"""What the agent's `capture` says of frames that passed the interfaces it watches.

A record is a head of 48 bytes and what was kept of the frame. The head: u64 time
in nanoseconds since 1970, u32 magic and u32 number that the packet carries (both
put there when a watched interface sent it), u32 point (two for each interface: 0
arrives, 1 is sent), u32 size, u32 kept size, u32 whether a VLAN tag lies beside
the frame, u32 its control information, u32 its protocol in network byte order, u32
records that did not fit so far, u32 zero; little endian.

Source: src/windtunnel/machines/guest/capture.c is the other side.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from windtunnel.errors import ProtocolError
from windtunnel.wire.pcapng import Direction

HEAD_BYTES = 48
FRAME_MAX_BYTES = 65_600
"""Longest frame that is kept: FRAME_MAX of capture.c."""

_HEAD = struct.Struct("<Q10I")
_MACS_BYTES = 12
_TAG = struct.Struct(">H")
_TAG_BYTES = 4


@dataclass(frozen=True, slots=True)
class Seen:
    """A frame that passed a watched interface.

    Attributes:
        time_ns: nanoseconds since 1970 UTC, on the guest's wall clock.
        end: the place of the interface among those that are watched, from 0.
        direction: whether the interface sent it or it arrived there.
        number: of the packet, counted in the order in which they were sent; 0 for
            one that no watched interface has sent.
        frame: what was kept of it, with its VLAN tag.
        size_bytes: its whole size, with its VLAN tag.
        lost: records that did not fit into the buffer so far.
    """

    time_ns: int
    end: int
    direction: Direction
    number: int
    frame: bytes
    size_bytes: int
    lost: int


def parse_records(buffer: bytes, *, magic: int) -> tuple[list[Seen], bytes]:
    """Take whole records from the front of a stream.

    Args:
        buffer: of the stream.
        magic: that was given to `capture`.

    Returns:
        The records, and the bytes of one that is not yet whole.

    Raises:
        ProtocolError: no record.
    """
    found = []
    at = 0
    while len(buffer) - at >= HEAD_BYTES:
        head = _HEAD.unpack_from(buffer, at)
        time_ns, mark, number, point, size, kept, tagged, control, protocol, lost, zero = head
        if kept > FRAME_MAX_BYTES or zero:
            raise ProtocolError(f"capture: a record of {kept} bytes at point {point}")
        end = at + HEAD_BYTES + kept
        if len(buffer) < end:
            break
        frame = bytes(buffer[at + HEAD_BYTES : end])
        if tagged:
            # Linux keeps a tag beside the packet, with its protocol as it is on the wire.
            tag = struct.pack("<H", protocol & 0xFFFF) + _TAG.pack(control & 0xFFFF)
            frame = frame[:_MACS_BYTES] + tag + frame[_MACS_BYTES:]
            size += _TAG_BYTES
        direction = Direction.OUT if point % 2 else Direction.IN
        known = number if mark == magic else 0
        found.append(Seen(time_ns, point // 2, direction, known, frame, size, lost))
        at = end
    return found, buffer[at:]
