# SPDX-License-Identifier: Apache-2.0
"""What a virtio block device and its driver say to each other.

A request begins with 16 bytes that the device reads: u32 type, u32 reserved,
u64 sector; little endian. Then comes the data, which the driver or the device
has written, and at last one byte of status from the device. A sector is 512
bytes, whatever the size of the device's blocks.

Source: VIRTIO 1.2, section 5.2; include/uapi/linux/virtio_blk.h.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from windtunnel.errors import ProtocolError

DEVICE_ID = 2
REQUEST_QUEUE = 0
SECTOR_BYTES = 512
HEADER_SIZE_BYTES = 16
IDENTITY_BYTES = 20
"""Length of the answer to GET_ID; a shorter name ends in a zero byte."""

FEATURE_SEG_MAX = 1 << 2
FEATURE_BLK_SIZE = 1 << 6
FEATURE_FLUSH = 1 << 9
FEATURE_DISCARD = 1 << 13
FEATURE_WRITE_ZEROES = 1 << 14
FEATURE_INDIRECT = 1 << 28
"""VIRTIO_RING_F_INDIRECT_DESC: a request of many pieces takes one place in the queue."""

# Without VIRTIO_BLK_F_CONFIG_WCE a driver takes a device that can flush for one
# with a volatile write cache (5.2.5.2), and nobody can switch that off.
FEATURES = (
    FEATURE_SEG_MAX
    | FEATURE_BLK_SIZE
    | FEATURE_FLUSH
    | FEATURE_DISCARD
    | FEATURE_WRITE_ZEROES
    | FEATURE_INDIRECT
)

SEGMENTS_MAX = 254
"""Pieces of memory in one request."""

ZEROED_SECTORS_MAX = 1 << 22
"""Sectors of one range of DISCARD or WRITE_ZEROES: 2 GiB."""

RANGES_MAX = 16
"""Ranges of one DISCARD."""

_HEADER = struct.Struct("<IIQ")  # type, reserved, sector
_RANGE = struct.Struct("<QII")  # sector, number of sectors, flags
# capacity, size_max, seg_max, cylinders, heads, sectors, blk_size, physical_block_exp,
# alignment_offset, min_io_size, opt_io_size, wce, unused, num_queues,
# discard: max_sectors, max_seg, sector_alignment; write zeroes: max_sectors, max_seg, may_unmap
_CONFIGURATION = struct.Struct("<QIIHBBIBBHIBBHIIIIIB3x")


class RequestType(IntEnum):
    """What a request wants."""

    IN = 0
    """Read sectors."""
    OUT = 1
    """Write sectors."""
    FLUSH = 4
    """Make lasting what has been written."""
    GET_ID = 8
    DISCARD = 11
    WRITE_ZEROES = 13


class Status(IntEnum):
    """How a request ended."""

    OK = 0
    IO_ERROR = 1
    UNSUPPORTED = 2


@dataclass(frozen=True, slots=True)
class Header:
    """How a request begins.

    Attributes:
        kind: a `RequestType`, or a number that we do not know.
        sector: where, for IN and OUT; 0 for the others.
    """

    kind: int
    sector: int

    def to_bytes(self) -> bytes:
        """Encode in 16 bytes."""
        return _HEADER.pack(self.kind, 0, self.sector)

    @classmethod
    def from_bytes(cls, data: bytes | memoryview) -> Header:
        """Decode; bytes behind the sixteenth are left alone.

        Raises:
            ProtocolError: when it is too short.
        """
        if len(data) < HEADER_SIZE_BYTES:
            raise ProtocolError(f"virtio-blk: request of {len(data)} bytes")
        kind, _, sector = _HEADER.unpack_from(data)
        return cls(kind, sector)


@dataclass(frozen=True, slots=True)
class Range:
    """Sectors that DISCARD or WRITE_ZEROES is about.

    Attributes:
        sector: the first.
        sectors: how many.
    """

    sector: int
    sectors: int

    def to_bytes(self) -> bytes:
        """Encode in 16 bytes."""
        return _RANGE.pack(self.sector, self.sectors, 0)


def parse_ranges(data: bytes) -> Iterator[Range]:
    """Decode the ranges of a DISCARD or WRITE_ZEROES.

    Raises:
        ProtocolError: when their length is no multiple of 16.
    """
    if len(data) % _RANGE.size:
        raise ProtocolError(f"virtio-blk: ranges of {len(data)} bytes")
    for sector, sectors, _flags in _RANGE.iter_unpack(data):
        yield Range(sector, sectors)


def configuration(capacity_bytes: int) -> bytes:
    """The configuration space of a device with one queue and blocks of 512 bytes, 60 bytes."""
    discard = (ZEROED_SECTORS_MAX, RANGES_MAX, 8)
    zeroes = (ZEROED_SECTORS_MAX, 1, 1)
    size_max, geometry, topology, cache = (0,), (0, 0, 0), (0, 0, 0, 0), (1, 0)
    return _CONFIGURATION.pack(
        capacity_bytes // SECTOR_BYTES,
        *size_max,
        SEGMENTS_MAX,
        *geometry,
        SECTOR_BYTES,
        *topology,
        *cache,
        1,
        *discard,
        *zeroes,
    )


def identity(name: str) -> bytes:
    """The answer to GET_ID: the device's serial number, cut to 20 bytes."""
    return name.encode()[:IDENTITY_BYTES].ljust(IDENTITY_BYTES, b"\0")
