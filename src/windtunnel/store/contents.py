# SPDX-License-Identifier: Apache-2.0
"""The names and bytes of files in folders that a guest may have written.

A symlink is never followed: its target's name counts as its content. Files are
read in pieces, so their size does not matter.
"""

from __future__ import annotations

import io
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Place:
    """Where two files part.

    Attributes:
        offset_bytes: from 0; the first byte that differs, or the size of the shorter file.
        line: from 1; the line that holds it.
        line_start_bytes: where that line begins.
    """

    offset_bytes: int
    line: int
    line_start_bytes: int


def walk(folder: Path, prefix: str) -> list[str]:
    """Name all files and symlinks below a folder, each with `prefix/` in front.

    Other things (sockets, devices) and empty folders are passed over. A prefix
    that is itself a file or symlink is named alone; one that is missing, not at all.
    """
    try:
        mode = folder.lstat().st_mode
    except FileNotFoundError:
        return []
    if not stat.S_ISDIR(mode):
        return [prefix] if stat.S_ISREG(mode) or stat.S_ISLNK(mode) else []
    found = []
    for entry in sorted(os.listdir(folder)):  # noqa: PTH208 names are what is wanted
        found += walk(folder / entry, f"{prefix}/{entry}")
    return found


def open_content(path: Path) -> BinaryIO:
    """Open a file, or the target's name of a symlink, for reading."""
    if path.is_symlink():
        return io.BytesIO(os.fsencode(path.readlink()))
    return path.open("rb")


def first_difference(a: Path, b: Path) -> Place | None:
    """Find the first byte in which two files differ; None when they are equal."""
    offset = 0
    line = 1
    line_start = 0
    with open_content(a) as file_a, open_content(b) as file_b:
        while True:
            chunk_a = file_a.read(CHUNK_BYTES)
            chunk_b = file_b.read(CHUNK_BYTES)
            equal = chunk_a == chunk_b
            if equal and not chunk_a:
                return None
            same = len(chunk_a) if equal else common_prefix_bytes(chunk_a, chunk_b)
            line += chunk_a.count(b"\n", 0, same)
            newline = chunk_a.rfind(b"\n", 0, same)
            if newline >= 0:
                line_start = offset + newline + 1
            offset += same
            if not equal:
                return Place(offset, line, line_start)


def common_prefix_bytes(a: bytes, b: bytes) -> int:
    """Say how many bytes at the front are equal."""
    low, high = 0, min(len(a), len(b))
    while low < high:  # the first `low` bytes are equal
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def line_near(path: Path, place: Place, *, radius_bytes: int) -> bytes | None:
    """Read what of a line is near a byte, with its newline.

    Args:
        path: the file.
        place: the line and the byte in it.
        radius_bytes: at most so much before the byte and after it.

    Returns:
        None when the file is missing; nothing when it ends before the line.
    """
    if not os.path.lexists(path):
        return None
    begin = max(place.line_start_bytes, place.offset_bytes - radius_bytes)
    with open_content(path) as file:
        file.seek(begin)
        piece = file.read(place.offset_bytes + radius_bytes - begin)
    head, newline, _ = piece.partition(b"\n")
    return head + newline
