# SPDX-License-Identifier: Apache-2.0
"""What a block device stores: sectors in a sparse file, behind a volatile write cache.

The file has what reads see. Beside it, for each write that has not been flushed,
lie what it wrote and what was there before: so a flush only forgets, and a power
cut takes all of them back and then writes those again that have survived.
"""

from __future__ import annotations

import mmap
import os
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from windtunnel.errors import HostError

SECTOR_BYTES = 512

CACHE_BYTES = 32 << 20
"""Room for what is written and not yet flushed; beyond it the oldest becomes lasting."""

ZEROES_CACHED_BYTES = 1 << 20
"""Zeroes up to so many at once are a write like any other; more go to the disk at once."""

_PIECE_BYTES = 1 << 20
_PARTS_MAX = 1024  # IOV_MAX


@dataclass(frozen=True, slots=True)
class Losses:
    """What became of the writes that were not flushed when the power was cut.

    Attributes:
        kept: survived whole.
        torn: of these only the first sectors survived.
        lost: nothing of them survived.
    """

    kept: int = 0
    torn: int = 0
    lost: int = 0


@dataclass(frozen=True, slots=True)
class _Write:
    """A write that has not been flushed.

    Attributes:
        number: of all writes, from 1.
        offset: in the file, bytes.
        new: what it wrote.
        old: what was there before.
    """

    number: int
    offset: int
    new: bytes
    old: bytes


class Disk:
    """Sectors that are zero until they are written.

    Offsets and lengths are multiples of `SECTOR_BYTES` inside `size_bytes`; the
    caller has looked.

    Attributes:
        size_bytes: a multiple of `SECTOR_BYTES`.
        failing: whether its device is to answer every request with an error.
    """

    def __init__(self, path: Path, size_bytes: int) -> None:
        """Make an empty one.

        Args:
            path: of its file, where nothing may be yet; it loses its name at once,
                so it is gone when we are.
            size_bytes: what is beyond the last whole sector is left out.

        Raises:
            HostError: there can be no such file.
        """
        self.size_bytes = size_bytes // SECTOR_BYTES * SECTOR_BYTES
        self.failing = False
        self._waiting: deque[_Write] = deque()
        self._waiting_bytes = 0
        self._count = 0
        self._path = path
        self._file = -1
        try:
            self._file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
            path.unlink()
            os.ftruncate(self._file, self.size_bytes)
        except OSError as error:
            self.close()
            raise self._refused(error) from error

    @property
    def mark(self) -> int:
        """The number of the last write: what `flush` takes."""
        return self._count

    @property
    def unflushed(self) -> int:
        """How many writes a power cut could take."""
        return len(self._waiting)

    def read(self, parts: Sequence[memoryview], offset: int) -> None:
        """Fill parts, one behind the other, from `offset` on."""
        for first in range(0, len(parts), _PARTS_MAX):
            some = parts[first : first + _PARTS_MAX]
            try:
                offset += os.preadv(self._file, some, offset)
            except OSError as error:
                raise self._refused(error) from error

    def write(self, parts: Sequence[memoryview], offset: int) -> None:
        """Write parts, one behind the other, from `offset` on.

        Raises:
            HostError: the host has no room for it.
        """
        self._write(b"".join(parts), offset)

    def zero(self, offset: int, length: int) -> None:
        """Make `length` bytes zero; they need no room then."""
        if length <= ZEROES_CACHED_BYTES:
            self._write(bytes(length), offset)
            return
        # What a write took back later would bring to life what was zeroed since.
        self.flush(self.mark)
        start = -(-offset // mmap.ALLOCATIONGRANULARITY) * mmap.ALLOCATIONGRANULARITY
        end = (offset + length) // mmap.ALLOCATIONGRANULARITY * mmap.ALLOCATIONGRANULARITY
        self._put(bytes(start - offset), offset)
        self._put(bytes(offset + length - end), end)
        try:
            with mmap.mmap(self._file, end - start, offset=start) as mapping:
                mapping.madvise(mmap.MADV_REMOVE)
        except OSError:  # a file system without holes
            for at, size in _pieces(self._file, start, end):
                self._put(bytes(size), at)

    def flush(self, mark: int) -> None:
        """Make the writes up to number `mark` lasting."""
        while self._waiting and self._waiting[0].number <= mark:
            self._waiting_bytes -= len(self._waiting.popleft().new)

    def power_cut(self, draws: Iterator[int]) -> Losses:
        """Lose the cache: of each write in it all, nothing or the first sectors survive.

        Each of these is as likely as the others, whatever becomes of other writes:
        a disk writes its cache back in an order of its own, and a sector is the
        least that it writes.

        Args:
            draws: numbers of 32 bits; one for each write, two for one that is torn.
        """
        for write in reversed(self._waiting):
            self._put(write.old, write.offset)
        kept = torn = 0
        for write in self._waiting:
            sectors = len(write.new) // SECTOR_BYTES
            survived = _survived(sectors, draws)
            self._put(memoryview(write.new)[: survived * SECTOR_BYTES], write.offset)
            kept += survived == sectors
            torn += 0 < survived < sectors
        lost = len(self._waiting) - kept - torn
        self._forget()
        return Losses(kept, torn, lost)

    def wipe(self) -> None:
        """Make all of it zero, as a new one is."""
        self._forget()
        os.ftruncate(self._file, 0)
        os.ftruncate(self._file, self.size_bytes)

    def close(self) -> None:
        """Give its room back; may be called again."""
        self._forget()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _forget(self) -> None:
        self._waiting.clear()
        self._waiting_bytes = 0

    def _write(self, data: bytes, offset: int) -> None:
        self._count += 1
        old = os.pread(self._file, len(data), offset)
        self._put(data, offset)
        self._waiting.append(_Write(self._count, offset, data, old))
        self._waiting_bytes += len(data)
        while self._waiting_bytes > CACHE_BYTES:
            self._waiting_bytes -= len(self._waiting.popleft().new)

    def _put(self, data: bytes | memoryview, offset: int) -> None:
        try:
            while len(data):
                done = os.pwrite(self._file, data, offset)
                data, offset = data[done:], offset + done
        except OSError as error:
            raise self._refused(error) from error

    def _refused(self, error: OSError) -> HostError:
        return HostError(
            f"a volume of {self.size_bytes} bytes in {self._path.parent}: {error.strerror}",
            hint="what nodes write to their volumes needs as much room there",
        )


def _survived(sectors: int, draws: Iterator[int]) -> int:
    """How many sectors of a write survive a power cut, from the first on."""
    if sectors == 1:
        return next(draws) & 1
    fate = next(draws) % 3
    return (0, sectors)[fate] if fate < 2 else 1 + next(draws) % (sectors - 1)


def _pieces(file: int, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Where between two offsets a file has data: (offset, length), in small pieces."""
    at = start
    while at < end:
        try:
            at = os.lseek(file, at, os.SEEK_DATA)
        except OSError:  # ENXIO: only a hole is left
            return
        hole = min(os.lseek(file, at, os.SEEK_HOLE), end)
        while at < hole:
            size = min(_PIECE_BYTES, hole - at)
            yield at, size
            at += size
