# SPDX-License-Identifier: Apache-2.0
"""A vhost-user back end: the part that all devices share.

A device listens on a socket in the guest's scratch directory; the guest
connects while it boots, tells where its memory and queues are, and then kicks
queues by messages that we acknowledge. So a kick happens at a definite virtual
instant, while its guest waits for us. Interrupts go the other way, only while the
guest waits, and are not acknowledged: a signal has the guest take them before it
reads that it may run (kernel/patches/0007).
"""

from __future__ import annotations

import mmap
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from windtunnel.errors import ProtocolError, StateError
from windtunnel.wire import vhost_user
from windtunnel.wire.vhost_user import Request
from windtunnel.wire.virtqueue import GuestMemory, Piece, Virtqueue

FEATURE_VERSION_1 = 1 << 32
_RECEIVE_BYTES = 8192
_FILES_BYTES = socket.CMSG_SPACE(8 * 4)  # UML sends at most 2 with a message
_INT_BYTES = 4
_KICK_TAKEN = vhost_user.reply_u64(Request.VRING_KICK, 0).to_bytes()


class Model(Protocol):
    """What makes a device that device."""

    features: int
    """virtio feature bits beside VERSION_1."""

    def configuration(self) -> bytes:
        """The device's configuration space."""

    def kicked(self, index: int, queue: Virtqueue) -> None:
        """The driver has put requests into queue `index`."""


class _QueueSettings:
    """What the guest has told of one queue so far."""

    def __init__(self) -> None:
        self.size = 0
        self.base = 0
        self.queue: Virtqueue | None = None


class VhostUserBackend:
    """One device's connection to its guest.

    States: listening, then connected, then closed. `close` ends all of them.
    """

    def __init__(self, path: Path, model: Model) -> None:
        """Listen on `path`, where nothing may be yet."""
        self._model = model
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen(1)
        self._connection: socket.socket | None = None
        self._interrupts: socket.socket | None = None
        self._buffer = b""
        self._files: list[int] = []
        self._pieces: list[Piece] = []
        self._user_pieces: list[Piece] = []
        self._maps: list[mmap.mmap] = []
        self._queues: dict[int, _QueueSettings] = {}
        self._kicks: dict[bytes, int] = {}

    @property
    def source(self) -> socket.socket | None:
        """What to watch for reading now, and to call `receive` then; None once it is closed."""
        source = self._listener if self._connection is None else self._connection
        return source if source.fileno() >= 0 else None

    @property
    def ready(self) -> bool:
        """Whether the guest has set up the device."""
        return self._interrupts is not None and bool(self._queues)

    def queue(self, index: int) -> Virtqueue | None:
        """Queue `index`; None until the guest has told where it is."""
        settings = self._queues.get(index)
        return settings.queue if settings else None

    def receive(self) -> None:
        """Take the guest's connection, or what it says; `source` can be read.

        Raises:
            ProtocolError: it speaks another protocol; drop the guest.
        """
        if self._connection is None:
            self._connection, _ = self._listener.accept()
            return
        data = self._read(self._connection)
        kicked = self._kicks.get(data)
        if kicked is not None and not self._buffer:
            # nearly all that is ever said
            self._kick(kicked)
            self._answer_with(_KICK_TAKEN)
        elif data:
            messages, self._buffer = vhost_user.parse_messages(self._buffer + data)
            for message in messages:
                self._handle(message)
        else:
            self.close()

    def _read(self, connection: socket.socket) -> bytes:
        try:
            data, attached, _, _ = connection.recvmsg(
                _RECEIVE_BYTES, _FILES_BYTES, socket.MSG_CMSG_CLOEXEC
            )
        except ConnectionError:  # the guest died before it had read our last answer
            return b""
        for _, kind, numbers in attached:
            if kind == socket.SCM_RIGHTS:
                whole = len(numbers) - len(numbers) % _INT_BYTES
                self._files += memoryview(numbers)[:whole].cast("i")
        return data

    def _kick(self, index: int) -> None:
        queue = self.queue(index)
        if queue is not None:
            self._model.kicked(index, queue)

    def _handle(self, message: vhost_user.Message) -> None:
        answer = self._answer(message)
        if answer is None and message.need_reply:
            answer = vhost_user.reply_u64(message.request, 0)
        if answer is not None:
            self._answer_with(answer.to_bytes())

    def _answer_with(self, answer: bytes) -> None:
        if self._connection is not None:
            with suppress(ConnectionError):  # it has died; the next read says so
                self._connection.sendall(answer)

    def _answer(self, message: vhost_user.Message) -> vhost_user.Message | None:
        payload = message.payload
        match message.request:
            case Request.GET_FEATURES:
                features = (
                    self._model.features | FEATURE_VERSION_1 | vhost_user.FEATURE_PROTOCOL_FEATURES
                )
                return vhost_user.reply_u64(message.request, features)
            case Request.GET_PROTOCOL_FEATURES:
                return vhost_user.reply_u64(message.request, vhost_user.PROTOCOL_FEATURES)
            case Request.GET_CONFIG:
                return vhost_user.config_reply(payload, self._model.configuration())
            case Request.SET_MEM_TABLE:
                self._map_memory(vhost_user.parse_memory_table(payload))
            case Request.SET_VRING_NUM:
                index, number = vhost_user.parse_vring_state(payload)
                self._settings(index).size = number
            case Request.SET_VRING_BASE:
                index, number = vhost_user.parse_vring_state(payload)
                self._settings(index).base = number
            case Request.SET_VRING_ADDR:
                self._open_queue(vhost_user.parse_vring_address(payload))
            case Request.SET_BACKEND_REQ_FD:
                self._interrupts = socket.socket(fileno=self._take_file())
            case Request.VRING_KICK:
                self._kick(vhost_user.parse_vring_state(payload)[0])
            case _:
                pass  # an acknowledgement is all that the rest needs
        return None

    def _settings(self, index: int) -> _QueueSettings:
        return self._queues.setdefault(index, _QueueSettings())

    def _take_file(self) -> int:
        if not self._files:
            raise ProtocolError("vhost-user: a message came without its file descriptor")
        return self._files.pop(0)

    def _map_memory(self, regions: tuple[vhost_user.MemoryRegion, ...]) -> None:
        self._pieces, self._user_pieces = [], []
        for region in regions:
            file = self._take_file()
            try:
                mapping = mmap.mmap(file, region.offset_bytes + region.size_bytes)
            except (ValueError, OverflowError, OSError) as error:
                raise ProtocolError(f"vhost-user: guest memory is no file: {error}") from error
            finally:
                os.close(file)
            self._maps.append(mapping)
            memory = memoryview(mapping)[region.offset_bytes :]
            self._pieces.append(Piece(region.guest_address, memory))
            self._user_pieces.append(Piece(region.user_address, memory))

    def _open_queue(self, address: vhost_user.VringAddress) -> None:
        settings = self._settings(address.index)
        # Rings are told by user address and descriptors by guest address; UML
        # uses the same numbers for both.
        settings.queue = Virtqueue(
            GuestMemory(self._user_pieces),
            size=settings.size,
            desc=address.desc,
            avail=address.avail,
            used=address.used,
            base=settings.base,
        )
        self._kicks[vhost_user.vring_kick(address.index).to_bytes()] = address.index

    def call(self, index: int) -> None:
        """Interrupt the guest for queue `index`; it waits, and is let run at this instant."""
        self._tell(vhost_user.vring_call(index))

    def call_for_configuration(self) -> None:
        """Tell the guest that the device's configuration is another; as for `call`."""
        self._tell(vhost_user.configuration_change())

    def _tell(self, message: vhost_user.Message) -> None:
        if self._interrupts is None:
            raise StateError("interrupt to a guest that has not set up its device")
        with suppress(ConnectionError):  # it has died; reading what it says tells so
            self._interrupts.sendall(message.to_bytes())

    def close(self) -> None:
        """Close everything; may be called again."""
        for file in self._files:
            os.close(file)
        self._files = []
        for connection in (self._connection, self._interrupts, self._listener):
            if connection is not None:
                connection.close()
        self._connection = None
        self._interrupts = None
        self._queues = {}
        self._kicks = {}
        self._pieces, self._user_pieces = [], []
        for mapping in self._maps:
            # A view may still be referred to by a caller's chain; the memory
            # goes with the process then.
            with suppress(BufferError):
                mapping.close()
        self._maps = []
