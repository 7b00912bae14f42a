# SPDX-License-Identifier: Apache-2.0
"""The bytes of a log that lies somewhere: in a file, compressed or not, a pipe, /dev/kmsg."""

from __future__ import annotations

import bz2
import lzma
import os
import shutil
import stat
import subprocess
import zlib
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

from windtunnel.errors import HostError, UsageError
from windtunnel.store.layout import host_errors

_PIECE_BYTES = 1 << 18
_KMSG = Path("/dev/kmsg")
# /dev/kmsg gives one record for each read, and refuses to cut one.
_RECORD_BYTES = 8192
_GZIP_WINDOW = 31  # zlib.h, inflateInit2(): the largest window, and gzip's header

Warn = Callable[[str], None]

_INSIDE: dict[bytes, Callable[[], Any]] = {
    b"\x1f\x8b": lambda: zlib.decompressobj(_GZIP_WINDOW),
    b"BZh": bz2.BZ2Decompressor,
    b"\xfd7zXZ\x00": lzma.LZMADecompressor,
}
_BY_PROGRAM = {b"\x28\xb5\x2f\xfd": "zstd", b"\x04\x22\x4d\x18": "lz4"}
_NO_LOGS = {
    b"LPKSHHRH": (
        "a file of the journal, which is no text",
        "journalctl --file {name} -k -o json | windtunnel logs -",
    ),
    b"\x7fELF": (
        "an ELF file, perhaps an image of memory, and no log",
        "drgn or crash read images of memory: dmesg there, and windtunnel logs of what it prints",
    ),
    b"KDUMP   ": (
        "a dump of makedumpfile, and no log",
        "makedumpfile --dump-dmesg {name} log, and windtunnel logs log",
    ),
    b"\x0a\x0d\x0d\x0a": ("a capture of packets, and no log", "tshark or Wireshark read it"),
    b"PK\x03\x04": ("a zip archive", "unzip -p {name} | windtunnel logs -"),
}


def log_pieces(path: Path, warn: Warn) -> Iterator[bytes]:
    """Read a log, whatever it is packed in.

    Args:
        path: of a file, a pipe or /dev/kmsg, which is read to its present end.
        warn: told in a sentence of compressed data that is cut or damaged.

    Raises:
        UsageError: it is no log; says what to do with it.
        HostError: it cannot be read, or what unpacks it is not installed.
    """
    with host_errors(path.parent, f"read {path.name}", hint=""):
        if stat.S_ISCHR(path.stat().st_mode):
            if path.resolve() != _KMSG:
                raise UsageError(
                    f"{path} is a device, and may never end",
                    hint=f"read a part of it: head -n 1000 {path} | windtunnel logs -",
                )
            yield from _kmsg(path)
            return
        with path.open("rb") as file:
            yield from stream_pieces(file, path.name, warn)


def stream_pieces(file: BinaryIO, name: str, warn: Warn) -> Iterator[bytes]:
    """Read a log from a stream, as `log_pieces` does."""
    begin = file.read(_PIECE_BYTES)
    for magic, (what, hint) in _NO_LOGS.items():
        if begin.startswith(magic):
            raise UsageError(f"{name}: {what}", hint=hint.format(name=name))
    pieces = chain([begin], iter(lambda: file.read(_PIECE_BYTES), b""))
    for magic, program in _BY_PROGRAM.items():
        if begin.startswith(magic):
            yield from _by_program(program, file, name, warn)
            return
    for magic, make in _INSIDE.items():
        if begin.startswith(magic):
            yield from _unpacked(pieces, make, name, warn)
            return
    yield from pieces


def _unpacked(
    pieces: Iterator[bytes], make: Callable[[], Any], name: str, warn: Warn
) -> Iterator[bytes]:
    """Unpack one stream, or several one behind the other, as far as it goes."""
    inside = make()
    try:
        for packed in pieces:
            piece = packed
            while piece:
                if inside.eof:
                    inside = make()
                yield inside.decompress(piece)
                piece = inside.unused_data if inside.eof else b""
    except (zlib.error, OSError, lzma.LZMAError) as error:
        warn(f"{name}: its compressed data is damaged ({error}); what is behind that is missing")
        return
    if not inside.eof:
        warn(f"{name}: its compressed data is cut; what is behind that is missing")


def _by_program(program: str, file: BinaryIO, name: str, warn: Warn) -> Iterator[bytes]:
    hint = f"{program} -dc FILE | windtunnel logs -"
    if shutil.which(program) is None:
        raise HostError(
            f"{name}: {program} unpacks it, and is not installed",
            hint=f"install it (Debian: apt-get install {program}), or unpack it elsewhere",
        )
    if not file.seekable():
        raise UsageError(f"{name}: packed by {program}, and can only be read as a file", hint=hint)
    file.seek(0)
    command = [program, "-dcq"]
    with subprocess.Popen(
        command, stdin=file, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as unpacking:
        output = unpacking.stdout
        assert output is not None
        yield from iter(lambda: output.read(_PIECE_BYTES), b"")
    if unpacking.returncode != 0:
        warn(f"{name}: {program} says that it is cut or damaged; what is behind that is missing")


def _kmsg(path: Path) -> Iterator[bytes]:
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        while True:
            try:
                record = os.read(fd, _RECORD_BYTES)
            except BrokenPipeError:
                continue  # the kernel has written over it; the hole in the sequence tells
            except BlockingIOError:
                return
            if not record:
                return
            yield record
    finally:
        os.close(fd)
