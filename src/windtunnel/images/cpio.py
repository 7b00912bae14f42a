# SPDX-License-Identifier: Apache-2.0
"""Encode a cpio archive as the kernel unpacks it at boot. Pure: entries to bytes.

Owner, group and times are zero and inodes are counted, so equal entries give
equal bytes.

Source: Documentation/driver-api/early-userspace/buffer-format.rst ("newc")
"""

from __future__ import annotations

import stat
from collections.abc import Iterable
from dataclasses import dataclass

_HEADER_BYTES = 110
_BLOCK_BYTES = 512
_TRAILER = "TRAILER!!!"


@dataclass(frozen=True, slots=True)
class CpioEntry:
    """One file of an archive.

    Attributes:
        name: its path, without a leading slash.
        mode: type and permissions, as in `st_mode`.
        data: a regular file's content, or a symbolic link's target.
        device: (major, minor) of a device node.
    """

    name: str
    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)


def newc_archive(entries: Iterable[CpioEntry]) -> bytes:
    """Encode entries in their order; a folder must come before what is in it.

    Returns:
        The archive, a multiple of 512 bytes.

    Raises:
        ValueError: a file is larger than 4 GiB - 1, the format's limit.
    """
    archive = bytearray()
    for inode, entry in enumerate(entries, start=1):
        archive += _encode(entry, inode)
    archive += _encode(CpioEntry(_TRAILER, 0), 0)
    return bytes(archive + b"\0" * (-len(archive) % _BLOCK_BYTES))


def _encode(entry: CpioEntry, inode: int) -> bytes:
    if len(entry.data) > 0xFFFFFFFF:
        raise ValueError(f"{entry.name} has {len(entry.data)} bytes; a newc archive holds 4 GiB")
    name = entry.name.encode() + b"\0"
    fields = (
        inode,
        entry.mode,
        0,  # uid
        0,  # gid
        2 if stat.S_ISDIR(entry.mode) else 1,  # links
        0,  # mtime
        len(entry.data),
        0,  # major and minor of the device that holds the file
        0,
        *entry.device,
        len(name),
        0,  # checksum: only the "crc" variant has one
    )
    header = "070701" + "".join(f"{field:08X}" for field in fields)
    assert len(header) == _HEADER_BYTES, "thirteen fields of eight digits"
    return _aligned(header.encode() + name) + _aligned(entry.data)


def _aligned(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
