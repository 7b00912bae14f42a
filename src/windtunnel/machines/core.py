# SPDX-License-Identifier: Apache-2.0
"""Take the core of a guest's kernel: all of its memory and registers, in one file.

Not by the host's own core dumps: where those go, and whether there are any, depends on
the host (`ulimit -c`, kernel.core_pattern, a program of the distribution's behind a
pipe). We hold the process for a moment with ptrace, as `gcore` does, read its memory
through /proc, and let it go on. No code of the guest runs meanwhile, so a dead kernel
cannot deadlock, and a hung one is taken as it hangs.

Pages of zeros are holes in the file: a core takes as much of the disk as the guest has
used of its memory.

Source: ptrace(2), proc(5), core(5).
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from windtunnel.errors import HostError
from windtunnel.machines.syscalls import PTRACE, syscall
from windtunnel.wire.elfcore import (
    EXECUTE,
    PAGE_BYTES,
    READ,
    REGISTERS_BYTES,
    WRITE,
    CoreProcess,
    Piece,
    Thread,
    core_head,
)

_PTRACE_GETREGS = 12
_PTRACE_DETACH = 17
_PTRACE_SEIZE = 0x4206
_PTRACE_INTERRUPT = 0x4207
_WALL = 0x40000000  # __WALL: threads too

_CHUNK_BYTES = 1 << 20
_ZEROS = bytes(PAGE_BYTES)
_MAPPING = re.compile(
    r"(?P<start>[0-9a-f]+)-(?P<end>[0-9a-f]+) (?P<rights>\S{4}) (?P<offset>[0-9a-f]+) "
    r"\S+ (?P<inode>\d+) *(?P<path>.*)\n?"
)
_SHARED = "s"
# The host's own pages for quick calls: reading them says nothing of the guest.
_OF_THE_HOST = frozenset(("[vvar]", "[vvar_vclock]", "[vsyscall]"))


def write_core(pid: int, path: Path, *, signal: int = 0) -> int:
    """Write the core of a running process, which goes on afterwards.

    The calling thread becomes its tracer for as long.

    Args:
        pid: a guest's kernel, started by `launch`.
        path: the file; one that is there is replaced.
        signal: that is ending the process; 0 for none.

    Returns:
        How many bytes of the disk it takes, about.

    Raises:
        HostError: the process is not there, or another debugger holds it, or the file
            cannot be written; no half-written core is left.
    """
    try:
        with _held(pid) as threads:
            process = _describe(pid, threads, signal)
            return _write(pid, process, path)
    except OSError as error:
        with suppress(OSError):
            path.unlink(missing_ok=True)
        raise HostError(
            f"cannot take the core of process {pid} into {path}: {error.strerror}",
            hint="a debugger may hold the process, or the disk be full",
        ) from error


@contextmanager
def _held(pid: int) -> Iterator[list[Thread]]:
    """Stop all threads of a process while the block runs; gives their registers."""
    held: list[int] = []
    try:
        # The first is the process's main thread, which runs the guest's kernel.
        for number in sorted(map(int, os.listdir(f"/proc/{pid}/task")), key=lambda one: one != pid):  # noqa: PTH208
            syscall(PTRACE, _PTRACE_SEIZE, number, 0, 0)
            held.append(number)
            syscall(PTRACE, _PTRACE_INTERRUPT, number, 0, 0)
            os.waitpid(number, _WALL)
        yield [Thread(number, _registers(number)) for number in held]
    finally:
        for number in held:
            with suppress(OSError):  # it was killed meanwhile
                syscall(PTRACE, _PTRACE_DETACH, number, 0, 0)


def _registers(number: int) -> bytes:
    buffer = ctypes.create_string_buffer(REGISTERS_BYTES)
    syscall(PTRACE, _PTRACE_GETREGS, number, 0, ctypes.addressof(buffer))
    return buffer.raw


def _describe(pid: int, threads: list[Thread], signal: int) -> CoreProcess:
    place = Path(f"/proc/{pid}")
    return CoreProcess(
        pid=pid,
        name=(place / "comm").read_text(errors="replace").rstrip("\n"),
        arguments=(place / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"),
        signal=signal,
        auxiliary=(place / "auxv").read_bytes(),
        threads=tuple(threads),
    )


@dataclass(frozen=True, slots=True)
class Mapping:
    """A piece of memory, and whether other processes see it too.

    Attributes:
        piece: what the core has of it.
        shared_inode: of the file that all of them see; 0 for memory of its own.
    """

    piece: Piece
    shared_inode: int


def parse_mappings(text: str) -> list[Mapping]:
    """Read /proc/PID/maps; what cannot be read is left out."""
    found = []
    for match in _MAPPING.finditer(text):
        start, end = int(match["start"], 16), int(match["end"], 16)
        letters = match["rights"]
        rights = sum(
            bit
            for letter, bit in zip(letters, (READ, WRITE, EXECUTE), strict=False)
            if letter != "-"
        )
        name = match["path"]
        if rights & READ and name not in _OF_THE_HOST:
            path = name if name.startswith("/") else ""
            piece = Piece(start, end - start, rights, path, int(match["offset"], 16))
            shared = letters.endswith(_SHARED)
            found.append(Mapping(piece, int(match["inode"]) if shared else 0))
    return found


def _write(pid: int, process: CoreProcess, path: Path) -> int:
    mappings = parse_mappings(Path(f"/proc/{pid}/maps").read_text(errors="surrogateescape"))
    pieces = [one.piece for one in mappings]
    head, offsets = core_head(process, pieces)
    written = len(head)
    with ExitStack() as stack, path.open("wb") as file:
        memory = _open(f"/proc/{pid}/mem", stack)
        shared = _shared_files(pid, {one.shared_inode for one in mappings}, stack)
        file.write(head)
        for mapping, offset in zip(mappings, offsets, strict=True):
            for at, data in _contents(memory, shared.get(mapping.shared_inode), mapping.piece):
                file.seek(offset + at)
                file.write(data)
                written += len(data)
        file.truncate(offsets[-1] + pieces[-1].size_bytes if pieces else len(head))
    return written


def _open(path: str, stack: ExitStack) -> int:
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    stack.callback(os.close, file)
    return file


def _shared_files(pid: int, inodes: set[int], stack: ExitStack) -> dict[int, int]:
    """Open those of a process's files that it shares its memory by, by their inodes.

    They say where they have holes: the guest's memory is one, mostly empty, and to read a
    hole of it through the process would fill it with a page of the host's.
    """
    found = {}
    for name in os.listdir(f"/proc/{pid}/fd"):  # noqa: PTH208 - as the rest of this folder
        path = f"/proc/{pid}/fd/{name}"
        status = os.stat(path)  # noqa: PTH116
        if status.st_ino in inodes and stat.S_ISREG(status.st_mode):
            found[status.st_ino] = _open(path, stack)
    return found


def _contents(memory: int, shared: int | None, piece: Piece) -> Iterator[tuple[int, bytes]]:
    """The runs of pages in a piece that are not zero, and where in it each begins."""
    extents = iter([(0, piece.size_bytes)])
    if shared is not None:
        extents = _extents(shared, piece.offset_bytes, piece.size_bytes)
    for first, end in extents:
        for begin in range(first, end, _CHUNK_BYTES):
            size = min(_CHUNK_BYTES, end - begin)
            try:
                data = os.pread(memory, size, piece.start + begin)
            except OSError:
                continue  # mapped, but behind the end of its file
            yield from _runs(data, begin)


def _extents(file: int, offset: int, size_bytes: int) -> Iterator[tuple[int, int]]:
    """The parts of a file's range that are no holes, from the range's begin."""
    at = offset
    end = offset + size_bytes
    while at < end:
        try:
            at = os.lseek(file, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return  # nothing but a hole up to the end of the file
            raise
        if at >= end:
            return
        hole = min(os.lseek(file, at, os.SEEK_HOLE), end)
        yield at - offset, hole - offset
        at = hole


def _runs(data: bytes, begin: int) -> Iterator[tuple[int, bytes]]:
    first: int | None = None
    for at in range(0, len(data), PAGE_BYTES):
        if data.startswith(_ZEROS, at):
            if first is not None:
                yield begin + first, data[first:at]
                first = None
        elif first is None:
            first = at
    if first is not None:
        yield begin + first, data[first:]
