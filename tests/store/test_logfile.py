# SPDX-License-Identifier: Apache-2.0
"""Logs that lie compressed, in pipes or devices, and files that are no logs."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import os
import subprocess
import threading

import pytest

from windtunnel.errors import HostError, UsageError
from windtunnel.store.logfile import log_pieces, stream_pieces

TEXT = b"".join(b"[    %d.000000] line %d\n" % (at, at * at) for at in range(9_999))


def read(path):
    said = []
    return b"".join(log_pieces(path, said.append)), said


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, bytes])
def test_what_is_packed_is_unpacked(tmp_path, pack):
    (tmp_path / "log").write_bytes(pack(TEXT))
    assert read(tmp_path / "log") == (TEXT, [])
    (tmp_path / "log").write_bytes(pack(TEXT) + pack(b"more\n"))
    assert read(tmp_path / "log") == (TEXT + b"more\n", [])
    stream = io.BytesIO(pack(TEXT))
    assert b"".join(stream_pieces(stream, "stdin", print)) == TEXT


@pytest.mark.parametrize("name", ["zstd", "lz4"])
def test_programs_unpack_the_rest(tmp_path, need_program, name):
    program = need_program(name)
    packed = subprocess.run([program, "-cq"], input=TEXT, capture_output=True, check=True).stdout
    (tmp_path / "log").write_bytes(packed)
    assert read(tmp_path / "log") == (TEXT, [])
    (tmp_path / "log").write_bytes(packed[:-9])
    _, (said,) = read(tmp_path / "log")
    assert said.startswith(f"log: {name} says that it is cut or damaged")
    reading, writing = os.pipe()
    os.write(writing, packed[:100])
    os.close(writing)
    with os.fdopen(reading, "rb") as stream, pytest.raises(UsageError, match=name):
        list(stream_pieces(stream, "stdin", print))


def test_a_program_that_is_not_there_is_named(tmp_path, monkeypatch):
    (tmp_path / "log").write_bytes(b"\x28\xb5\x2f\xfd")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HostError, match="zstd unpacks it, and is not installed"):
        read(tmp_path / "log")


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_of_a_cut_or_damaged_file_the_beginning_is_read(tmp_path, pack):
    noise = b"".join(hashlib.sha256(b"%d" % at).digest() for at in range(20_000))
    packed = pack(noise)
    for data, words in (
        (packed[: len(packed) // 2], "is cut"),
        (packed[:200_000] + b"\xff" * 99 + packed[200_099:], "is damaged"),
        (pack(TEXT) + b"\x1f\x8bgarbage", "is damaged"),
    ):
        (tmp_path / "log").write_bytes(data)
        text, (said,) = read(tmp_path / "log")
        assert words in said
        if words == "is damaged" and data.endswith(b"garbage"):
            assert text == TEXT


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"LPKSHHRH....", "journalctl --file log"),
        (b"\x7fELF\x02", "an image of memory"),
        (b"KDUMP   ", "--dump-dmesg log"),
        (b"\x0a\x0d\x0d\x0a....", "Wireshark"),
        (b"PK\x03\x04", "unzip -p log"),
    ],
)
def test_what_is_no_log_is_refused_with_what_to_do(tmp_path, data, words):
    (tmp_path / "log").write_bytes(data)
    with pytest.raises(UsageError, match=words):
        read(tmp_path / "log")


def test_pipes_are_read_and_endless_devices_are_not(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(TEXT,))
    writer.start()
    assert read(tmp_path / "pipe") == (TEXT, [])
    writer.join()
    with pytest.raises(UsageError, match="may never end"):
        list(log_pieces(tmp_path.__class__("/dev/zero"), print))
