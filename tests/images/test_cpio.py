# SPDX-License-Identifier: Apache-2.0
"""The archive that the kernel unpacks at boot; GNU cpio is the second opinion."""

import stat
import subprocess

from hypothesis import given
from hypothesis import strategies as st

from windtunnel.images.cpio import CpioEntry, newc_archive

NAMES = st.text("abcxyz.-_", min_size=1, max_size=20).filter(lambda name: name not in (".", ".."))
CONTENTS = st.binary(max_size=40)


def read_archive(archive):
    """Read back what newc_archive wrote, by the format's own words."""
    at, found = 0, []
    while True:
        assert archive[at : at + 6] == b"070701"
        fields = [int(archive[at + 6 + 8 * i : at + 14 + 8 * i], 16) for i in range(13)]
        size, name_size = fields[6], fields[11]
        name = archive[at + 110 : at + 110 + name_size - 1].decode()
        at = (at + 110 + name_size + 3) // 4 * 4
        if name == "TRAILER!!!":
            return found
        device = (fields[9], fields[10])
        found.append(CpioEntry(name, fields[1], archive[at : at + size], device))
        at = (at + size + 3) // 4 * 4


def test_gnu_cpio_lists_names_types_sizes_and_devices(need_program):
    archive = newc_archive(
        [
            CpioEntry("dev", stat.S_IFDIR | 0o755),
            CpioEntry("dev/console", stat.S_IFCHR | 0o600, device=(5, 1)),
            CpioEntry("init", stat.S_IFREG | 0o755, data=b"#!/bin/true"),
            CpioEntry("sbin", stat.S_IFLNK | 0o777, data=b"bin"),
        ]
    )
    cpio = [need_program("cpio"), "--quiet", "-tv", "--numeric-uid-gid"]
    listing = subprocess.run(cpio, input=archive, capture_output=True, check=True)
    assert listing.stderr == b""
    rows = [line.split() for line in listing.stdout.decode().splitlines()]
    assert [(row[0], row[2], row[3], row[-1]) for row in rows] == [
        ("drwxr-xr-x", "0", "0", "dev"),
        ("crw-------", "0", "0", "dev/console"),
        ("-rwxr-xr-x", "0", "0", "init"),
        ("lrwxrwxrwx", "0", "0", "bin"),
    ]
    assert [row[4] for row in rows] == ["0", "5,", "11", "3"]


def test_gnu_cpio_unpacks_the_same_content(need_program, tmp_path):
    content = bytes(range(256)) * 5 + b"tail"
    archive = newc_archive([CpioEntry("agent", stat.S_IFREG | 0o755, data=content)])
    cpio = [need_program("cpio"), "--quiet", "-i"]
    subprocess.run(cpio, input=archive, cwd=tmp_path, check=True)
    assert (tmp_path / "agent").read_bytes() == content


def test_an_empty_archive_is_one_block_with_the_trailer():
    archive = newc_archive([])
    assert len(archive) == 512
    assert archive[:6] == b"070701"
    assert archive[110:121] == b"TRAILER!!!\0"


@given(st.lists(st.tuples(NAMES, CONTENTS), max_size=8))
def test_every_entry_comes_back_in_order(files):
    entries = [CpioEntry(name, stat.S_IFREG | 0o644, content) for name, content in files]
    archive = newc_archive(entries)
    assert len(archive) % 512 == 0
    assert read_archive(archive) == entries
