# SPDX-License-Identifier: Apache-2.0
"""A virtio block device over a `Disk`.

What the driver submits together is one batch. Its data moves when it is kicked,
while the guest waits for us; it is given back, with one interrupt, when the disk
has had its time: a batch waits for those before it to be transferred, is
transferred itself, and then takes the disk's latency. A flush takes effect when it
is given back, and counts for what was written before it was submitted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from windtunnel.devices.disk import Disk
from windtunnel.errors import ProtocolError
from windtunnel.wire import virtio_blk
from windtunnel.wire.virtio_blk import (
    HEADER_SIZE_BYTES,
    IDENTITY_BYTES,
    REQUEST_QUEUE,
    SECTOR_BYTES,
    ZEROED_SECTORS_MAX,
    Header,
    RequestType,
    Status,
)
from windtunnel.wire.virtqueue import Chain, Virtqueue

TRANSFER_BYTES_PER_US = 500
"""What passes between a guest and its disk: 500 MB/s of virtual time."""

_KNOWN = frozenset(RequestType)


@dataclass(frozen=True, slots=True)
class _Done:
    """A request that has been carried out, and is not yet given back.

    Attributes:
        chain: the request.
        status: for its driver.
        read_bytes: what it was given.
        flush: the mark up to which it makes writes lasting; 0 for none.
    """

    chain: Chain
    status: Status
    read_bytes: int = 0
    flush: int = 0


class BlockModel:
    """The device's behaviour; see `windtunnel.devices.backend.Model`."""

    features = virtio_blk.FEATURES

    def __init__(
        self,
        disk: Disk,
        *,
        serial: str,
        latency_ns: int,
        now_ns: Callable[[], int],
        complete_at: Callable[[int], None],
    ) -> None:
        """Create.

        Args:
            disk: that it reads and writes.
            serial: its serial number; 20 bytes of it are told.
            latency_ns: of each batch of requests.
            now_ns: the guest's present instant.
            complete_at: called with the instant at which `complete` is to be
                called, while the guest runs.
        """
        self._disk = disk
        self._identity = virtio_blk.identity(serial)
        self._latency_ns = latency_ns
        self._now_ns = now_ns
        self._complete_at = complete_at
        self._transferred_ns = 0
        self._batches: deque[list[_Done]] = deque()

    def configuration(self) -> bytes:
        """Capacity and limits."""
        return virtio_blk.configuration(self._disk.size_bytes)

    def kicked(self, index: int, queue: Virtqueue) -> None:
        """Carry out what the guest has submitted.

        Raises:
            ProtocolError: for a request without its header or a place for its
                status; drop the device.
        """
        if index != REQUEST_QUEUE:
            return
        batch, moved_bytes = [], 0
        while (chain := queue.pop()) is not None:
            done, count = self._serve(chain)
            batch.append(done)
            moved_bytes += count
        if batch:
            start_ns = max(self._now_ns(), self._transferred_ns)
            self._transferred_ns = start_ns + 1000 * moved_bytes // TRANSFER_BYTES_PER_US
            self._batches.append(batch)
            self._complete_at(self._transferred_ns + self._latency_ns)

    def complete(self, queue: Virtqueue | None) -> bool:
        """Give back the oldest batch; whether the guest wants to be interrupted.

        Called once for each call of `complete_at`, at that instant.
        """
        batch = self._batches.popleft()
        if queue is None:  # the guest has died since
            return False
        for done in batch:
            self._disk.flush(done.flush)
            done.chain.writable[-1][-1] = done.status
            queue.push(done.chain, done.read_bytes + 1)
        return queue.wants_interrupt

    def _serve(self, chain: Chain) -> tuple[_Done, int]:
        """Carry out a request; also how many bytes pass between guest and disk."""
        head, readable = _split(chain.readable, HEADER_SIZE_BYTES)
        header = Header.from_bytes(head)
        if not chain.writable or not chain.writable[-1]:
            raise ProtocolError("virtio-blk: a request has no place for its status")
        writable = (*chain.writable[:-1], chain.writable[-1][:-1])
        match header.kind:
            case RequestType.GET_ID:
                count = _fill(writable, self._identity)
                whole = count == IDENTITY_BYTES
                return _Done(chain, Status.OK if whole else Status.IO_ERROR, count), 0
            case kind if kind not in _KNOWN:
                return _Done(chain, Status.UNSUPPORTED), 0
            case _ if self._disk.failing:
                return _Done(chain, Status.IO_ERROR), 0
            case RequestType.IN:
                return self._read(chain, header.sector, writable)
            case RequestType.OUT:
                return self._write(chain, header.sector, readable)
            case RequestType.FLUSH:
                return _Done(chain, Status.OK, flush=self._disk.mark), 0
            case _:
                return _Done(chain, self._zero(b"".join(readable))), 0

    def _read(self, chain: Chain, sector: int, parts: Sequence[memoryview]) -> tuple[_Done, int]:
        parts = [part for part in parts if part]
        length = sum(map(len, parts))
        if not self._holds(sector, length):
            return _Done(chain, Status.IO_ERROR), 0
        self._disk.read(parts, sector * SECTOR_BYTES)
        return _Done(chain, Status.OK, length), length

    def _write(self, chain: Chain, sector: int, parts: Sequence[memoryview]) -> tuple[_Done, int]:
        length = sum(map(len, parts))
        if not self._holds(sector, length):
            return _Done(chain, Status.IO_ERROR), 0
        self._disk.write(parts, sector * SECTOR_BYTES)
        return _Done(chain, Status.OK), length

    def _zero(self, data: bytes) -> Status:
        ranges = list(virtio_blk.parse_ranges(data))
        for one in ranges:
            length = one.sectors * SECTOR_BYTES
            if one.sectors > ZEROED_SECTORS_MAX or not self._holds(one.sector, length):
                return Status.IO_ERROR
        for one in ranges:
            self._disk.zero(one.sector * SECTOR_BYTES, one.sectors * SECTOR_BYTES)
        return Status.OK

    def _holds(self, sector: int, length: int) -> bool:
        """Whether `length` bytes are whole sectors of this disk, and at least one."""
        last_bytes = sector * SECTOR_BYTES + length
        return length > 0 and length % SECTOR_BYTES == 0 and last_bytes <= self._disk.size_bytes


def _split(parts: Sequence[memoryview], count: int) -> tuple[bytes, Sequence[memoryview]]:
    """The first `count` bytes of what parts have together, and the rest."""
    if parts and len(parts[0]) == count:  # as Linux has it
        return bytes(parts[0]), parts[1:]
    head = b""
    rest: list[memoryview] = []
    for part in parts:
        taken = min(count - len(head), len(part))
        head += bytes(part[:taken])
        if taken < len(part):
            rest.append(part[taken:])
    return head, rest


def _fill(parts: Sequence[memoryview], data: bytes) -> int:
    """Fill parts from the front; returns how many bytes fitted."""
    done = 0
    for part in parts:
        count = min(len(part), len(data) - done)
        part[:count] = data[done : done + count]
        done += count
    return done
