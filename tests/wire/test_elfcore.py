# SPDX-License-Identifier: Apache-2.0
"""Heads of core files, read again by binutils, which knows nothing of us."""

import re
import struct
import subprocess

import pytest

from windtunnel.wire.elfcore import (
    EXECUTE,
    PAGE_BYTES,
    PIECES_MAX,
    READ,
    REGISTERS_BYTES,
    WRITE,
    CoreProcess,
    Piece,
    Thread,
    core_head,
    whole_bytes,
)

PIECES = [
    Piece(0x60000000, 2 * PAGE_BYTES, READ | EXECUTE, "/opt/linux", PAGE_BYTES),
    Piece(0x61800000, 16 * PAGE_BYTES, READ | WRITE),
    Piece(0x7FFFF7FF0000, PAGE_BYTES, READ | WRITE, "/memfd:x (deleted)", 0),
]


def process(*threads: int) -> CoreProcess:
    return CoreProcess(
        pid=4711,
        name="linux-with-a-long-name",
        arguments="./linux mem=64M",
        signal=6,
        auxiliary=bytes(16),
        threads=tuple(Thread(pid, bytes([pid % 256]) * REGISTERS_BYTES) for pid in threads),
    )


@pytest.fixture
def readelf(need_program, tmp_path):
    program = need_program("readelf")

    def read(head: bytes, *words: str) -> str:
        file = tmp_path / "core"
        file.write_bytes(head + bytes(19 * PAGE_BYTES))
        done = subprocess.run(
            [program, "--wide", *words, file], capture_output=True, text=True, check=True
        )
        assert "Warning" not in done.stderr, done.stderr
        return done.stdout

    return read


def test_binutils_read_the_pieces_where_their_bytes_belong(readelf):
    head, offsets = core_head(process(4711), PIECES)
    assert len(head) <= offsets[0] < len(head) + PAGE_BYTES
    assert [offset % PAGE_BYTES for offset in offsets] == [0, 0, 0]
    text = readelf(head, "--file-header", "--segments")
    assert "CORE (Core file)" in text
    assert "X86-64" in text
    loads = re.findall(r"LOAD +(\S+) (\S+) \S+ (\S+) (\S+) (.{3})", text)
    assert [tuple(int(word, 16) for word in load[:4]) for load in loads] == [
        (offset, piece.start, piece.size_bytes, piece.size_bytes)
        for offset, piece in zip(offsets, PIECES, strict=True)
    ]
    assert [load[4] for load in loads] == ["R E", "RW ", "RW "]


def test_binutils_read_the_notes(readelf):
    text = readelf(core_head(process(4711, 4712, 4713), PIECES)[0], "--notes")
    kinds = re.findall(r"CORE +0x\S+\s+(NT_\w+)", text)
    # The threads beside the one that crashed stand behind all else, as the kernel has it.
    assert kinds == [
        *("NT_PRSTATUS", "NT_PRPSINFO", "NT_AUXV", "NT_FILE"),
        *("NT_PRSTATUS", "NT_PRSTATUS"),
    ]


def test_mapped_files_are_named_as_the_kernel_names_them():
    # Debian's readelf does not decode this note: "Cannot decode 64-bit note in 32-bit build".
    head, _ = core_head(process(4711), PIECES)
    rows = struct.pack(
        "<8Q", 2, PAGE_BYTES, 0x60000000, 0x60002000, 1, 0x7FFFF7FF0000, 0x7FFFF7FF1000, 0
    )
    assert rows + b"/opt/linux\0/memfd:x (deleted)\0" in head


def test_a_process_without_memory_has_a_head(readelf):
    head, offsets = core_head(process(1), [])
    assert offsets == []
    assert "LOAD" not in readelf(head, "--segments")


def test_a_head_says_how_large_the_whole_is():
    head, offsets = core_head(process(4711), PIECES)
    assert whole_bytes(head) == offsets[-1] + PAGE_BYTES
    assert whole_bytes(head[:100]) == 64 + 56 * (len(PIECES) + 1)  # the table is cut
    assert whole_bytes(core_head(process(1), [])[0]) == len(core_head(process(1), [])[0])
    for no_core in (b"", head[:63], b"\x7fELF" + bytes(100)):
        assert whole_bytes(no_core) == 0


def test_too_many_pieces_are_refused():
    piece = Piece(0, PAGE_BYTES, READ)
    with pytest.raises(ValueError, match="65535 pieces of memory; a core has at most 65534"):
        core_head(process(1), [piece] * (PIECES_MAX + 1))


def test_registers_of_another_machine_are_refused():
    crooked = CoreProcess(1, "x", "x", 0, b"", (Thread(1, bytes(72)),))
    with pytest.raises(ValueError, match="72 bytes of registers, not 216"):
        core_head(crooked, [])
