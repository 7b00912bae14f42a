# SPDX-License-Identifier: Apache-2.0
"""Split virtqueues, seen from the device.

A queue lies in guest memory: a table of descriptors (16 bytes each), the
available ring that the driver fills and the used ring that we fill. All
numbers are little endian (virtio 1), as they are on every machine that User Mode
Linux runs on. Nothing here waits or notifies.

Source: Virtual I/O Device (VIRTIO) 1.2, section 2.7.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from windtunnel.errors import ProtocolError

DESCRIPTOR_NEXT = 1
DESCRIPTOR_WRITE = 2
DESCRIPTOR_INDIRECT = 4
AVAIL_NO_INTERRUPT = 1

QUEUE_SIZE_MAX = 32768
"""The standard's limit; also bounds the chain that we follow."""

_DESCRIPTOR = struct.Struct("<QIHH")  # addr, len, flags, next
_FLAGS, _INDEX, _RING = 0, 1, 2
"""Where the parts of the available ring are, in numbers of 16 bits; the used ring's first two."""

_INDEX_MASK = 0xFFFF


@dataclass(frozen=True, slots=True)
class Piece:
    """Guest memory that we have mapped.

    Attributes:
        start: its first address, as the guest says it.
        memory: its bytes.
    """

    start: int
    memory: memoryview


class GuestMemory:
    """Guest memory by address."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self._pieces = tuple(pieces)

    def view(self, address: int, size_bytes: int) -> memoryview:
        """The `size_bytes` bytes at `address`, writable.

        Raises:
            ProtocolError: when they do not lie in one piece; drop the device.
        """
        for piece in self._pieces:
            offset = address - piece.start
            if 0 <= offset <= len(piece.memory) - size_bytes:
                return piece.memory[offset : offset + size_bytes]
        raise ProtocolError(f"virtqueue: {size_bytes} bytes at {address:#x} are not guest memory")


@dataclass(frozen=True, slots=True)
class Chain:
    """One request of the driver.

    Attributes:
        head: names it in the used ring.
        readable: what the driver tells us, in order.
        writable: what we may fill, in order.
    """

    head: int
    readable: tuple[memoryview, ...]
    writable: tuple[memoryview, ...]

    def read(self) -> bytes:
        """All that the driver tells us."""
        return b"".join(self.readable)

    def write(self, data: bytes) -> int:
        """Fill the writable part from the front; returns how many bytes fitted."""
        done = 0
        for part in self.writable:
            count = min(len(part), len(data) - done)
            part[:count] = data[done : done + count]
            done += count
        return done

    @property
    def writable_bytes(self) -> int:
        """How much we may fill."""
        return sum(len(part) for part in self.writable)


class Virtqueue:
    """The device's side of one queue."""

    def __init__(
        self,
        memory: GuestMemory,
        *,
        size: int,
        desc: int,
        avail: int,
        used: int,
        base: int = 0,
    ) -> None:
        """Open a queue of `size` descriptors at three guest addresses.

        Args:
            memory: for the addresses in descriptors.
            size: a power of two, at most 32768.
            desc: address of the table, `16 * size` bytes.
            avail: address of the available ring, `6 + 2 * size` bytes.
            used: address of the used ring, `6 + 8 * size` bytes.
            base: index of the first request to take.

        Raises:
            ProtocolError: for a size that is none, or addresses outside guest memory.
        """
        if not 0 < size <= QUEUE_SIZE_MAX or size & (size - 1):
            raise ProtocolError(f"virtqueue: size {size} is not a power of two up to 32768")
        self._memory = memory
        self._size = size
        self._desc = memory.view(desc, 16 * size)
        self._avail = memory.view(avail, 6 + 2 * size).cast("H")
        self._used = memory.view(used, 4).cast("H")
        # pairs of 32 bits: the head of a chain, and how much of it we have filled
        self._used_ring = memory.view(used + 4, 8 * size).cast("I")
        self._next_avail = base
        self._next_used = base

    @property
    def wants_interrupt(self) -> bool:
        """Whether the driver wants to hear of used requests (VIRTQ_AVAIL_F_NO_INTERRUPT)."""
        return not self._avail[_FLAGS] & AVAIL_NO_INTERRUPT

    def pop(self) -> Chain | None:
        """Take the next request; None when there is none.

        Raises:
            ProtocolError: for a ring that makes no sense; drop the device.
        """
        waiting = (self._avail[_INDEX] - self._next_avail) & _INDEX_MASK
        if not waiting:
            return None
        if waiting > self._size:
            raise ProtocolError(f"virtqueue: {waiting} requests in a queue of {self._size}")
        head = self._avail[_RING + self._next_avail % self._size]
        self._next_avail = (self._next_avail + 1) & _INDEX_MASK
        readable: list[memoryview] = []
        writable: list[memoryview] = []
        self._follow(self._desc, self._size, head, readable, writable)
        return Chain(head, tuple(readable), tuple(writable))

    def _follow(
        self,
        table: memoryview,
        size: int,
        index: int,
        readable: list[memoryview],
        writable: list[memoryview],
    ) -> None:
        for _ in range(size):
            if index >= size:
                raise ProtocolError(f"virtqueue: descriptor {index} of a table of {size}")
            address, length, flags, following = _DESCRIPTOR.unpack_from(table, 16 * index)
            if flags & DESCRIPTOR_INDIRECT:
                count, rest = divmod(length, 16)
                if table is not self._desc or rest or not 0 < count <= QUEUE_SIZE_MAX:
                    raise ProtocolError(f"virtqueue: bad indirect table of {length} bytes")
                inner = self._memory.view(address, length)
                self._follow(inner, count, 0, readable, writable)
            else:
                view = self._memory.view(address, length)
                (writable if flags & DESCRIPTOR_WRITE else readable).append(view)
            if not flags & DESCRIPTOR_NEXT:
                return
            index = following
        raise ProtocolError("virtqueue: a chain of descriptors without an end")

    def push(self, chain: Chain, written_bytes: int = 0) -> None:
        """Give a request back, saying how much of its writable part we filled."""
        at = 2 * (self._next_used % self._size)
        self._used_ring[at] = chain.head
        self._used_ring[at + 1] = written_bytes
        self._next_used = (self._next_used + 1) & _INDEX_MASK
        # The index last: the driver may look as soon as it changes.
        self._used[_INDEX] = self._next_used
