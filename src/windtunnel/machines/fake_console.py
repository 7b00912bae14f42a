# SPDX-License-Identifier: Apache-2.0
"""The driver's side of a vhost-user console with one port, for the fake guest.

Every queue has 8 descriptors, each with its own buffer of a page, never chained.
A kick waits for its acknowledgement, so that what was sent is used when it returns.
"""

from __future__ import annotations

import mmap
import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path

from windtunnel.wire import vhost_user
from windtunnel.wire.vhost_user import Message, Request
from windtunnel.wire.virtio_console import Control, ControlEvent

QUEUE_SIZE = 8
BUFFER_BYTES = 4096
GUEST_BASE = 0x60000000
RECEIVE, TRANSMIT, CONTROL_RECEIVE, CONTROL_TRANSMIT = range(4)

_WRITE = 2  # VIRTQ_DESC_F_WRITE
_RINGS_BYTES = 512  # 128 for descriptors, 22 for the available ring, 70 for the used one
_QUEUE_BYTES = _RINGS_BYTES + QUEUE_SIZE * BUFFER_BYTES
_AVAIL_AT, _USED_AT = 128, 152


class _Ring:
    """One queue in guest memory."""

    def __init__(self, memory: mmap.mmap, at: int) -> None:
        self._memory = memory
        self._at = at
        self._avail = 0
        self._used = 0

    def addresses(self) -> bytes:
        """desc, used, avail, log."""
        at = GUEST_BASE + self._at
        return struct.pack("<QQQQ", at, at + _USED_AT, at + _AVAIL_AT, 0)

    def _buffer(self, head: int) -> int:
        return self._at + _RINGS_BYTES + head * BUFFER_BYTES

    def offer(self, head: int, length: int, flags: int) -> None:
        address = GUEST_BASE + self._buffer(head)
        struct.pack_into("<QIHH", self._memory, self._at + 16 * head, address, length, flags, 0)
        slot = self._at + _AVAIL_AT + 4 + 2 * (self._avail % QUEUE_SIZE)
        struct.pack_into("<H", self._memory, slot, head)
        self._avail = (self._avail + 1) & 0xFFFF
        struct.pack_into("<H", self._memory, self._at + _AVAIL_AT + 2, self._avail)

    def offer_data(self, head: int, data: bytes) -> None:
        start = self._buffer(head)
        self._memory[start : start + len(data)] = data
        self.offer(head, len(data), 0)

    def collect(self) -> list[tuple[int, bytes]]:
        """What the device has used since: heads and their bytes."""
        found = []
        (index,) = struct.unpack_from("<H", self._memory, self._at + _USED_AT + 2)
        while self._used != index:
            slot = self._at + _USED_AT + 4 + 8 * (self._used % QUEUE_SIZE)
            head, length = struct.unpack_from("<II", self._memory, slot)
            self._used = (self._used + 1) & 0xFFFF
            start = self._buffer(head)
            found.append((head, bytes(self._memory[start : start + length])))
        return found


class FakeConsole:
    """A console's driver.

    Attributes:
        open: whether the device has opened the port.
        interrupts: readable when the device calls.
    """

    def __init__(self, path: Path, *, before_kick: Callable[[int], None]) -> None:
        """Connect.

        Args:
            path: the device's socket.
            before_kick: called with the queue's index before each kick.
        """
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.connect(str(path))
        self._before_kick = before_kick
        self.interrupts, self._their_end = socket.socketpair()
        self.open = False
        self._file = os.memfd_create("fake-guest-memory", os.MFD_CLOEXEC)
        os.ftruncate(self._file, 4 * _QUEUE_BYTES)
        memory = mmap.mmap(self._file, 4 * _QUEUE_BYTES)
        self._rings = [_Ring(memory, index * _QUEUE_BYTES) for index in range(4)]

    def _send(self, request: Request, payload: bytes = b"", *files: int) -> None:
        message = Message(request, payload, need_reply=True)
        socket.send_fds(self._socket, [message.to_bytes()], list(files))
        answer = self._read()
        assert answer == vhost_user.reply_u64(request, 0), f"{request.name}: {answer}"

    def _ask(self, request: Request, payload: bytes = b"") -> bytes:
        self._socket.sendall(Message(request, payload).to_bytes())
        answer = self._read()
        assert answer.reply, f"{request.name}: {answer}"
        assert answer.request == request, f"{request.name}: {answer}"
        return answer.payload

    def _read(self) -> Message:
        return _read_message(self._socket)

    def set_up(self) -> None:
        """Say everything that UML says, in its order."""
        self._socket.sendall(Message(Request.SET_OWNER).to_bytes())
        features = self._ask(Request.GET_FEATURES)
        protocol = self._ask(Request.GET_PROTOCOL_FEATURES)
        self._send(Request.SET_PROTOCOL_FEATURES, protocol)
        self._send(Request.SET_BACKEND_REQ_FD, b"", self._their_end.fileno())
        self._their_end.close()
        self._send(Request.SET_FEATURES, features)
        config = struct.pack("<III", 0, 12, 0) + bytes(12)
        (ports,) = struct.unpack_from("<I", self._ask(Request.GET_CONFIG, config), 12 + 4)
        assert ports == 1, f"a console with {ports} ports"
        region = struct.pack("<QQQQ", GUEST_BASE, 4 * _QUEUE_BYTES, GUEST_BASE, 0)
        self._send(Request.SET_MEM_TABLE, struct.pack("<II", 1, 0) + region, self._file)
        for index, ring in enumerate(self._rings):
            self._send(Request.SET_VRING_NUM, struct.pack("<II", index, QUEUE_SIZE))
            self._send(Request.SET_VRING_BASE, struct.pack("<II", index, 0))
            self._send(Request.SET_VRING_ADDR, struct.pack("<II", index, 0) + ring.addresses())
            self._send(Request.SET_VRING_ENABLE, struct.pack("<II", index, 1))
        for index in (RECEIVE, CONTROL_RECEIVE):
            for head in range(QUEUE_SIZE):
                self._rings[index].offer(head, BUFFER_BYTES, _WRITE)
            self._kick(index)
        self._control(0xFFFFFFFF, ControlEvent.DEVICE_READY)

    def _kick(self, index: int) -> None:
        self._before_kick(index)
        self._send(Request.VRING_KICK, struct.pack("<II", index, 0))

    def _transmit(self, index: int, data: bytes) -> None:
        self._rings[index].offer_data(0, data)
        self._kick(index)
        used = self._rings[index].collect()
        assert [head for head, _ in used] == [0], f"queue {index} after a kick: {used}"

    def _control(self, port: int, event: ControlEvent) -> None:
        self._transmit(CONTROL_TRANSMIT, Control(port, event, 1).to_bytes())

    def send(self, data: bytes) -> None:
        """Write to the port."""
        for at in range(0, len(data), BUFFER_BYTES):
            self._transmit(TRANSMIT, data[at : at + BUFFER_BYTES])

    def take_call(self) -> int:
        """Read a call of the device: the queue's index."""
        message = _read_message(self.interrupts)
        assert message.request == vhost_user.BACKEND_VRING_CALL, f"not a call: {message}"
        return vhost_user.parse_vring_state(message.payload)[0]

    def interrupt(self, index: int) -> bytes:
        """Handle an interrupt of a queue: what the port received."""
        received = b""
        used = self._rings[index].collect()
        for head, data in used:
            if index == CONTROL_RECEIVE:
                self._handle(Control.from_bytes(data))
            else:
                received += data
            self._rings[index].offer(head, BUFFER_BYTES, _WRITE)
        if used:
            self._kick(index)
        return received

    def _handle(self, message: Control) -> None:
        match message.event:
            case ControlEvent.PORT_ADD:
                self._control(message.port, ControlEvent.PORT_READY)
            case ControlEvent.PORT_OPEN:
                self.open = bool(message.value)
                self._control(message.port, ControlEvent.PORT_OPEN)


def _read_message(connection: socket.socket) -> Message:
    header = connection.recv(vhost_user.HEADER_SIZE_BYTES, socket.MSG_WAITALL)
    if not header:
        raise ConnectionError("the device has closed its connection")
    (size,) = struct.unpack_from("<I", header, 8)
    payload = connection.recv(size, socket.MSG_WAITALL) if size else b""
    messages, _ = vhost_user.parse_messages(header + payload)
    return messages[0]
