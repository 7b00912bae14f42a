# SPDX-License-Identifier: Apache-2.0
"""The time-travel protocol between a UML guest and its calendar.

Two parts: messages of 16 bytes on a stream socket, and a block of shared
memory that replaces most of them. This module knows their bytes, nothing else.
`um_timetravel.h` calls UML the host and us the calendar; we say guest and
calendar. Numbers are those of the machine, which both run on.

Source: include/uapi/linux/um_timetravel.h, Linux 6.11 and later; the fields
behind `name` come from kernel/patches/0002 of this project.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from windtunnel.errors import ProtocolError

MESSAGE_SIZE_BYTES = 16
NEVER_NS = 2**63 - 1
"""What a guest asks for that has nothing to do (S64_MAX). Never to be granted."""

FREE_FOREVER_NS = NEVER_NS
"""`free_until` when nobody else wants to run.

Not one more: a guest that may run past NEVER_NS does so when it has nothing to
do, and panics there ("going to sleep forever").
"""

SHARED_VERSION = 2
SHARED_HEADER_BYTES = 4096
SHARED_CLIENT_BYTES = 128
CAPABILITY_TIME_SHARE = 1
FLAG_REQUEST_RUN = 1

_MESSAGE = struct.Struct("<IIQ")  # op, seq, time
_HEADER = struct.Struct("<IIQQHH")  # version, len, free_until, current_time, running_id, max
_CLIENT = struct.Struct("<IIQQ")  # capa, flags, req_time, name
_RUNNING_TASK = struct.Struct("<IIiI16s")  # pid, pidns, syscall, in_syscall, comm

# Where fields are, in numbers of their own width.
_FREE_UNTIL_U64 = 1
_CURRENT_TIME_U64 = 2
_RUNNING_ID_U16 = 12
_FLAGS_U32 = 1
_REQUEST_TIME_U64 = 1
_TASK_AT = 24


class Operation(IntEnum):
    """`enum um_timetravel_ops`."""

    ACK = 0
    START = 1
    REQUEST = 2
    WAIT = 3
    GET = 4
    UPDATE = 5
    RUN = 6
    FREE_UNTIL = 7
    GET_TOD = 8
    BROADCAST = 9


@dataclass(frozen=True, slots=True)
class Message:
    """One message.

    Attributes:
        operation: what it says.
        sequence: repeated in the ACK; 32 bits.
        time_ns: its meaning depends on the operation; 64 bits.
    """

    operation: Operation
    sequence: int
    time_ns: int

    def to_bytes(self) -> bytes:
        """Encode: u32 op, u32 seq, u64 time; little endian."""
        return _MESSAGE.pack(self.operation, self.sequence, self.time_ns)


def parse_messages(buffer: bytes) -> tuple[list[Message], bytes]:
    """Take whole messages from the front of a stream.

    Args:
        buffer: what has arrived and was not yet taken.

    Returns:
        The messages, and the bytes of a message that is not yet whole.

    Raises:
        ProtocolError: at an operation that does not exist; drop the guest.
    """
    messages = []
    whole = len(buffer) - len(buffer) % MESSAGE_SIZE_BYTES
    for at in range(0, whole, MESSAGE_SIZE_BYTES):
        operation, sequence, time_ns = _MESSAGE.unpack_from(buffer, at)
        try:
            messages.append(Message(Operation(operation), sequence, time_ns))
        except ValueError:
            raise ProtocolError(f"time-travel: unknown operation {operation}") from None
    return messages, buffer[whole:]


@dataclass(frozen=True, slots=True)
class RunningTask:
    """The task that a guest runs, as its kernel last published it.

    Attributes:
        pid: in the guest's initial pid namespace.
        pid_namespace: inode number of the task's own pid namespace.
        syscall: number of the last one entered; None when none was yet.
        in_syscall: False when the task has been in user code since.
        name: the task's `comm`.
    """

    pid: int
    pid_namespace: int
    syscall: int | None
    in_syscall: bool
    name: str


class SharedSchedule:
    """The shared memory: current time, who runs, until when, and each guest's wish.

    Layout: a header page, then 128 bytes for each client; client 0 is the
    calendar itself.
    """

    def __init__(self, memory: memoryview, *, clients: int) -> None:
        """Lay out fresh memory of `size_bytes(clients)` bytes, all zero."""
        if len(memory) != self.size_bytes(clients):
            raise ProtocolError(f"schedule of {len(memory)} bytes for {clients} clients")
        self._memory = memory
        self._u16: memoryview[int] = memory.cast("H")
        self._u32: memoryview[int] = memory.cast("I")
        self._u64: memoryview[int] = memory.cast("Q")
        _HEADER.pack_into(memory, 0, SHARED_VERSION, len(memory), FREE_FOREVER_NS, 0, 0, clients)
        _CLIENT.pack_into(memory, self._client_at(0), CAPABILITY_TIME_SHARE, 0, 0, 0)

    def close(self) -> None:
        """Let go of the memory, so that its mapping can be closed."""
        for view in (self._u16, self._u32, self._u64):
            view.release()

    @staticmethod
    def size_bytes(clients: int) -> int:
        """How much memory `clients` need, the calendar counted."""
        return SHARED_HEADER_BYTES + SHARED_CLIENT_BYTES * clients

    @staticmethod
    def _client_at(index: int) -> int:
        return SHARED_HEADER_BYTES + SHARED_CLIENT_BYTES * index

    @property
    def current_time_ns(self) -> int:
        """The time that the running client last wrote."""
        return self._u64[_CURRENT_TIME_U64]

    @current_time_ns.setter
    def current_time_ns(self, time_ns: int) -> None:
        self._u64[_CURRENT_TIME_U64] = time_ns

    @property
    def free_until_ns(self) -> int:
        """The running client must stop before this time."""
        return self._u64[_FREE_UNTIL_U64]

    @free_until_ns.setter
    def free_until_ns(self, time_ns: int) -> None:
        self._u64[_FREE_UNTIL_U64] = time_ns

    def set_running(self, index: int) -> None:
        """Say which client runs; 0 is the calendar."""
        self._u16[_RUNNING_ID_U16] = index

    def request_ns(self, index: int) -> int | None:
        """When the client wants to run next; None when it has no request."""
        at = self._client_at(index)
        if not self._u32[at // 4 + _FLAGS_U32] & FLAG_REQUEST_RUN:
            return None
        return self._u64[at // 8 + _REQUEST_TIME_U64]

    def clear_request(self, index: int) -> None:
        """Take the client's request away; done when it is granted, or gone."""
        self._u32[self._client_at(index) // 4 + _FLAGS_U32] = 0

    def request(self, index: int, time_ns: int) -> None:
        """Write a request for a client that sent it as a message."""
        at = self._client_at(index)
        self._u32[at // 4 + _FLAGS_U32] = FLAG_REQUEST_RUN
        self._u64[at // 8 + _REQUEST_TIME_U64] = time_ns

    def shares_time(self, index: int) -> bool:
        """Whether the client uses the shared memory."""
        capabilities = _CLIENT.unpack_from(self._memory, self._client_at(index))[0]
        return bool(capabilities & CAPABILITY_TIME_SHARE)

    def running_task(self, index: int) -> RunningTask | None:
        """The task that the client runs; None when its kernel has told nothing."""
        at = self._client_at(index) + _TASK_AT
        pid, namespace, syscall, inside, name = _RUNNING_TASK.unpack_from(self._memory, at)
        if not pid and not name.strip(b"\0"):
            return None
        return RunningTask(
            pid=pid,
            pid_namespace=namespace,
            syscall=None if syscall < 0 else syscall,
            in_syscall=bool(inside),
            name=name.split(b"\0")[0].decode(errors="replace"),
        )
