# SPDX-License-Identifier: Apache-2.0
"""The vhost-user protocol, as far as User Mode Linux speaks it.

The guest is the front end and we are the back end. A message is a header of
12 bytes (u32 request, u32 flags, u32 size) and `size` bytes of payload, all
little endian. File descriptors travel beside the bytes and are not our matter
here.

Source: QEMU docs/interop/vhost-user.rst; arch/um/drivers/vhost_user.h.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum, IntFlag

from windtunnel.errors import ProtocolError

HEADER_SIZE_BYTES = 12
PAYLOAD_MAX_BYTES = 4096
"""Largest payload we accept; UML's longest message has under 600 bytes."""

_HEADER = struct.Struct("<III")
_U64 = struct.Struct("<Q")
_VRING_STATE = struct.Struct("<II")
_VRING_ADDRESS = struct.Struct("<IIQQQQ")  # index, flags, desc, used, avail, log
_REGION = struct.Struct("<QQQQ")  # guest address, size, user address, offset in the file
_CONFIG = struct.Struct("<III")  # offset, size, flags

_VERSION = 1
_FLAG_VERSION_MASK = 3
_FLAG_REPLY = 4
_FLAG_NEED_REPLY = 8


class Request(IntEnum):
    """Requests of the front end that UML sends."""

    GET_FEATURES = 1
    SET_FEATURES = 2
    SET_OWNER = 3
    RESET_OWNER = 4
    SET_MEM_TABLE = 5
    SET_VRING_NUM = 8
    SET_VRING_ADDR = 9
    SET_VRING_BASE = 10
    GET_VRING_BASE = 11
    SET_VRING_KICK = 12
    SET_VRING_CALL = 13
    SET_VRING_ERR = 14
    GET_PROTOCOL_FEATURES = 15
    SET_PROTOCOL_FEATURES = 16
    GET_QUEUE_NUM = 17
    SET_VRING_ENABLE = 18
    SET_BACKEND_REQ_FD = 21
    GET_CONFIG = 24
    SET_CONFIG = 25
    VRING_KICK = 35


BACKEND_CONFIG_CHANGE = 2
"""Request of the back end: the device's configuration has changed."""

BACKEND_VRING_CALL = 4
"""Request of the back end: interrupt the guest for a queue (VHOST_USER_BACKEND_VRING_CALL)."""


class ProtocolFeature(IntFlag):
    """Protocol features that we offer."""

    REPLY_ACK = 1 << 3
    BACKEND_REQ = 1 << 5
    CONFIG = 1 << 9
    INBAND_NOTIFICATIONS = 1 << 14


PROTOCOL_FEATURES = (
    ProtocolFeature.REPLY_ACK
    | ProtocolFeature.BACKEND_REQ
    | ProtocolFeature.CONFIG
    | ProtocolFeature.INBAND_NOTIFICATIONS
)

FEATURE_PROTOCOL_FEATURES = 1 << 30
"""VHOST_USER_F_PROTOCOL_FEATURES, a bit among the device's features."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of either side.

    Attributes:
        request: a `Request`, or a number that we do not know.
        need_reply: the sender waits for an acknowledgement.
        reply: it answers a message of the other side.
        payload: at most `PAYLOAD_MAX_BYTES`.
    """

    request: int
    payload: bytes = b""
    need_reply: bool = False
    reply: bool = False

    def to_bytes(self) -> bytes:
        """Encode header and payload."""
        flags = _VERSION
        flags |= _FLAG_REPLY if self.reply else 0
        flags |= _FLAG_NEED_REPLY if self.need_reply else 0
        return _HEADER.pack(self.request, flags, len(self.payload)) + self.payload


def parse_messages(buffer: bytes) -> tuple[list[Message], bytes]:
    """Take whole messages from the front of a stream.

    Returns:
        The messages, and the bytes of one that is not yet whole.

    Raises:
        ProtocolError: at a wrong version or an absurd size; drop the device.
    """
    messages = []
    at = 0
    while len(buffer) - at >= HEADER_SIZE_BYTES:
        request, flags, size = _HEADER.unpack_from(buffer, at)
        if flags & _FLAG_VERSION_MASK != _VERSION:
            raise ProtocolError(f"vhost-user: version {flags & _FLAG_VERSION_MASK}, not 1")
        if size > PAYLOAD_MAX_BYTES:
            raise ProtocolError(f"vhost-user: payload of {size} bytes, limit {PAYLOAD_MAX_BYTES}")
        end = at + HEADER_SIZE_BYTES + size
        if len(buffer) < end:
            break
        messages.append(
            Message(
                request=request,
                payload=bytes(buffer[at + HEADER_SIZE_BYTES : end]),
                need_reply=bool(flags & _FLAG_NEED_REPLY),
                reply=bool(flags & _FLAG_REPLY),
            )
        )
        at = end
    return messages, buffer[at:]


def reply_u64(request: int, value: int) -> Message:
    """Answer `request` with a number; 0 is also the acknowledgement of success."""
    return Message(request, _U64.pack(value), reply=True)


def vring_call(index: int) -> Message:
    """Interrupt the guest for queue `index`; it does not answer."""
    return Message(BACKEND_VRING_CALL, _VRING_STATE.pack(index, 0))


def configuration_change() -> Message:
    """Tell the guest to read the configuration again; it does not answer."""
    return Message(BACKEND_CONFIG_CHANGE)


def vring_kick(index: int) -> Message:
    """What a guest says that has put requests into queue `index`."""
    return Message(Request.VRING_KICK, _VRING_STATE.pack(index, 0), need_reply=True)


def _unpack(layout: struct.Struct, payload: bytes, what: str) -> tuple[int, ...]:
    if len(payload) < layout.size:
        raise ProtocolError(f"vhost-user: {what} of {len(payload)} bytes, needs {layout.size}")
    return layout.unpack_from(payload)


def parse_u64(payload: bytes) -> int:
    """Decode a number of 64 bits."""
    return _unpack(_U64, payload, "number")[0]


def parse_vring_state(payload: bytes) -> tuple[int, int]:
    """Decode (queue index, number): SET_VRING_NUM, _BASE, _ENABLE and VRING_KICK."""
    index, number = _unpack(_VRING_STATE, payload, "queue state")
    return index, number


@dataclass(frozen=True, slots=True)
class VringAddress:
    """Where a queue's parts lie, as addresses of the front end's user space."""

    index: int
    desc: int
    used: int
    avail: int


def parse_vring_address(payload: bytes) -> VringAddress:
    """Decode SET_VRING_ADDR."""
    index, _flags, desc, used, avail, _log = _unpack(_VRING_ADDRESS, payload, "queue address")
    return VringAddress(index=index, desc=desc, used=used, avail=avail)


@dataclass(frozen=True, slots=True)
class MemoryRegion:
    """A piece of guest memory.

    Attributes:
        guest_address: what descriptors use.
        size_bytes: of the piece.
        user_address: what SET_VRING_ADDR uses.
        offset_bytes: in the file that came with the message.
    """

    guest_address: int
    size_bytes: int
    user_address: int
    offset_bytes: int


def parse_memory_table(payload: bytes) -> tuple[MemoryRegion, ...]:
    """Decode SET_MEM_TABLE: u32 count, u32 padding, then 32 bytes a region."""
    count, _ = _unpack(_VRING_STATE, payload, "memory table")
    need = _VRING_STATE.size + count * _REGION.size
    if len(payload) < need:
        raise ProtocolError(f"vhost-user: memory table of {count} regions in {len(payload)} bytes")
    return tuple(
        MemoryRegion(*_REGION.unpack_from(payload, _VRING_STATE.size + at * _REGION.size))
        for at in range(count)
    )


def config_reply(payload: bytes, config: bytes) -> Message:
    """Answer GET_CONFIG from the device's configuration space, zeros behind its end.

    The guest wants the reply as long as its request.
    """
    offset, size, flags = _unpack(_CONFIG, payload, "configuration request")
    if size > PAYLOAD_MAX_BYTES - _CONFIG.size:
        raise ProtocolError(f"vhost-user: configuration request of {size} bytes")
    part = config[offset : offset + size].ljust(size, b"\0")
    body = _CONFIG.pack(offset, size, flags) + part
    return Message(Request.GET_CONFIG, body, reply=True)
