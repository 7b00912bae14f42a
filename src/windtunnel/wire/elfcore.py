# SPDX-License-Identifier: Apache-2.0
"""The head of a core file: what gdb and drgn read of a process that is no more.

A core is an ELF file of type ET_CORE: a header, one PT_NOTE segment with the
registers of each thread and the list of mapped files, one PT_LOAD segment for each
piece of memory, and then the memory itself, each piece at a page boundary. More than
65,534 pieces are refused, for their count would not fit the header.

Source: elf(5), core(5); linux include/uapi/linux/elfcore.h (elf_prstatus,
elf_prpsinfo), fs/binfmt_elf.c (fill_files_note). x86-64, little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

PAGE_BYTES = 4096
PIECES_MAX = 65_534
REGISTERS_BYTES = 216
"""Of `struct user_regs_struct` on x86-64: 27 registers of 8 bytes."""

READ, WRITE, EXECUTE = 4, 2, 1
"""Rights of a piece of memory, as PT_LOAD has them."""

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_NOTE = struct.Struct("<III")
# si_signo, si_code, si_errno; cursig, padding; sigpend, sighold; pid, ppid, pgrp, sid
_STATUS_HEAD = struct.Struct("<iiiH2xQQiiii")
_TIMES_BYTES = 64  # four struct timeval, which we leave empty
_STATUS_TAIL = struct.Struct("<i4x")
# state, sname, zombie, nice; flags; uid, gid, pid, ppid, pgrp, sid; fname, psargs
_PROCESS = struct.Struct("<BcBb4xQIIiiii16s80s")

HEAD_MAX_BYTES = _HEADER.size + PIECES_MAX * _SEGMENT.size
"""Of the header and the table of segments: 3.7 MB."""

_IDENT = b"\x7fELF\x02\x01\x01" + bytes(9)
_ET_CORE, _EM_X86_64, _EV_CURRENT = 4, 62, 1
_PT_LOAD, _PT_NOTE = 1, 4
_NT_PRSTATUS, _NT_PRPSINFO, _NT_AUXV, _NT_FILE = 1, 3, 6, 0x46494C45


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a process's memory.

    Attributes:
        start: its first address, a multiple of PAGE_BYTES.
        size_bytes: a multiple of PAGE_BYTES.
        rights: of READ, WRITE and EXECUTE.
        path: the file that is mapped there; empty for none.
        offset_bytes: where in that file it begins.
    """

    start: int
    size_bytes: int
    rights: int
    path: str = ""
    offset_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Thread:
    """A thread of the process.

    Attributes:
        pid: its number.
        registers: `struct user_regs_struct`, REGISTERS_BYTES long.
    """

    pid: int
    registers: bytes


@dataclass(frozen=True, slots=True)
class CoreProcess:
    """Whose core it is.

    Attributes:
        pid: of the process.
        name: of its program, at most 15 bytes count.
        arguments: its command line, at most 79 bytes count.
        signal: that ended it; 0 for none.
        auxiliary: its auxiliary vector, as /proc/PID/auxv has it.
        threads: the first one is that which crashed.
    """

    pid: int
    name: str
    arguments: str
    signal: int
    auxiliary: bytes
    threads: tuple[Thread, ...]


def core_head(process: CoreProcess, pieces: Sequence[Piece]) -> tuple[bytes, list[int]]:
    """Encode what stands before the memory.

    Args:
        process: whose core it is.
        pieces: of its memory, in the order of their addresses.

    Returns:
        The head, and for each piece the offset in the file at which its bytes belong.

    Raises:
        ValueError: there are too many pieces, or registers of the wrong length.
    """
    if len(pieces) > PIECES_MAX:
        raise ValueError(f"{len(pieces)} pieces of memory; a core has at most {PIECES_MAX}")
    notes = b"".join(_notes(process, pieces))
    notes_at = _HEADER.size + _SEGMENT.size * (len(pieces) + 1)
    offsets = []
    at = _aligned(notes_at + len(notes), PAGE_BYTES)
    segments = [_SEGMENT.pack(_PT_NOTE, 0, notes_at, 0, 0, len(notes), 0, 4)]
    for piece in pieces:
        size = piece.size_bytes
        segments.append(
            _SEGMENT.pack(_PT_LOAD, piece.rights, at, piece.start, 0, size, size, PAGE_BYTES)
        )
        offsets.append(at)
        at += size
    header = _HEADER.pack(
        _IDENT,
        _ET_CORE,
        _EM_X86_64,
        _EV_CURRENT,
        0,
        _HEADER.size,
        0,
        0,
        _HEADER.size,
        _SEGMENT.size,
        len(segments),
        0,
        0,
        0,
    )
    return header + b"".join(segments) + notes, offsets


def _notes(process: CoreProcess, pieces: Sequence[Piece]) -> list[bytes]:
    statuses = [_status(process, thread) for thread in process.threads]
    names = _PROCESS.pack(
        *(0, b"R", 0, 0, 0, 0, 0, process.pid, 0, 0, 0),
        process.name.encode()[:15],
        process.arguments.encode()[:79],
    )
    first, *others = [_note(_NT_PRSTATUS, status) for status in statuses] or [b""]
    # In the order of the kernel's own cores: a debugger takes the first thread for the crashed.
    return [
        first,
        _note(_NT_PRPSINFO, names),
        _note(_NT_AUXV, process.auxiliary),
        _note(_NT_FILE, _files(pieces)),
        *others,
    ]


def _status(process: CoreProcess, thread: Thread) -> bytes:
    """Encode `struct elf_prstatus`, 336 bytes."""
    if len(thread.registers) != REGISTERS_BYTES:
        raise ValueError(f"{len(thread.registers)} bytes of registers, not {REGISTERS_BYTES}")
    signal = process.signal
    head = _STATUS_HEAD.pack(signal, 0, 0, signal, 0, 0, thread.pid, 0, process.pid, process.pid)
    return head + bytes(_TIMES_BYTES) + thread.registers + _STATUS_TAIL.pack(0)


def _files(pieces: Sequence[Piece]) -> bytes:
    """Encode NT_FILE: the count, the page size, (start, end, page) for each, then the paths."""
    mapped = [piece for piece in pieces if piece.path]
    rows = b"".join(
        struct.pack(
            "<QQQ",
            piece.start,
            piece.start + piece.size_bytes,
            piece.offset_bytes // PAGE_BYTES,
        )
        for piece in mapped
    )
    paths = b"".join(piece.path.encode("utf-8", "surrogateescape") + b"\0" for piece in mapped)
    return struct.pack("<QQ", len(mapped), PAGE_BYTES) + rows + paths


def _note(kind: int, body: bytes) -> bytes:
    name = b"CORE\0"
    return _NOTE.pack(len(name), len(body), kind) + _padded(name) + _padded(body)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _aligned(number: int, to: int) -> int:
    return -(-number // to) * to


def whole_bytes(head: bytes) -> int:
    """Say how large a core is that begins so: up to the end of its last segment.

    Args:
        head: its first HEAD_MAX_BYTES, or all of it.

    Returns:
        Bytes; 0 for what is no core of ours.
    """
    if len(head) < _HEADER.size or head[: len(_IDENT)] != _IDENT:
        return 0
    _, _, _, _, _, begin, _, _, _, _, count, _, _, _ = _HEADER.unpack_from(head)
    ends = [0]
    for at in range(begin, begin + count * _SEGMENT.size, _SEGMENT.size):
        if at + _SEGMENT.size > len(head):
            return int(begin + count * _SEGMENT.size)  # not even the table is whole
        _, _, offset, _, _, size, _, _ = _SEGMENT.unpack_from(head, at)
        ends.append(offset + size)
    return max(ends)
