# SPDX-License-Identifier: Apache-2.0
"""Control messages of a virtio console with ports.

A message is 8 bytes: u32 port, u16 event, u16 value; little endian. We use one
port, a plain byte stream (/dev/vport0p0 in the guest), never a terminal: no
line discipline, no echo, no 16-byte chunks.

Source: VIRTIO 1.2, section 5.3.6; include/uapi/linux/virtio_console.h.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from windtunnel.errors import ProtocolError

DEVICE_ID = 3
FEATURE_MULTIPORT = 1 << 1

_CONTROL = struct.Struct("<IHH")
_CONFIG = struct.Struct("<HHII")  # cols, rows, max_nr_ports, emerg_wr


class ControlEvent(IntEnum):
    """What a control message says."""

    DEVICE_READY = 0
    PORT_ADD = 1
    PORT_REMOVE = 2
    PORT_READY = 3
    CONSOLE_PORT = 4
    RESIZE = 5
    PORT_OPEN = 6
    PORT_NAME = 7


@dataclass(frozen=True, slots=True)
class Control:
    """One control message.

    Attributes:
        port: its number, from 0.
        event: what happened.
        value: 1 for yes or success, 0 for no.
    """

    port: int
    event: ControlEvent
    value: int

    def to_bytes(self) -> bytes:
        """Encode in 8 bytes."""
        return _CONTROL.pack(self.port, self.event, self.value)

    @classmethod
    def from_bytes(cls, data: bytes) -> Control:
        """Decode; bytes behind the eighth (a port's name) are left alone.

        Raises:
            ProtocolError: when it is too short or its event does not exist.
        """
        if len(data) < _CONTROL.size:
            raise ProtocolError(f"virtio-console: control message of {len(data)} bytes")
        port, event, value = _CONTROL.unpack_from(data)
        try:
            return cls(port, ControlEvent(event), value)
        except ValueError:
            raise ProtocolError(f"virtio-console: unknown control event {event}") from None


def configuration(ports: int) -> bytes:
    """The device's configuration space for `ports` ports, 12 bytes."""
    return _CONFIG.pack(0, 0, ports, 0)
