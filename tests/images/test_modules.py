# SPDX-License-Identifier: Apache-2.0
"""The index of what is built in, read by hand and by kmod's own modprobe."""

from __future__ import annotations

import string
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windtunnel.images.modules import builtin_index, builtin_names, write_module_lists

LISTING = "kernel/drivers/net/veth.ko\nkernel/net/mpls/mpls-router.ko\n"


def search(index: bytes, name: str) -> bool:
    """Follow a name through the trie, as libkmod's index_search does."""
    node = index[8:12]
    for byte in name.encode():
        place = int.from_bytes(node) & 0x0FFFFFFF
        if not node[0] & 0x20 or not index[place] <= byte <= index[place + 1]:
            return False
        at = place + 2 + 4 * (byte - index[place])
        node = index[at : at + 4]
        if node == bytes(4):
            return False
    return bool(node[0] & 0x40)


def test_the_names_of_a_listing_have_no_folder_and_no_dash():
    assert builtin_names(LISTING) == ["mpls_router", "veth"]


def test_the_index_of_one_name_is_these_bytes():
    assert builtin_index(["ab"]) == bytes.fromhex(
        "b007f457 00020001 2000001b"
        "00000001 00000000 00"  # 12: after "ab": one value, priority 0, empty
        "62 62 4000000c"  # 21: after "a"
        "61 61 20000015"  # 27: the root
    )


def test_the_index_of_nothing_is_a_root_without_anything():
    assert builtin_index([]) == bytes.fromhex("b007f457 00020001 0000000c")


@given(
    st.sets(st.text(string.ascii_lowercase + string.digits + "_", min_size=1), max_size=20),
    st.text(string.ascii_lowercase + string.digits + "_", min_size=1),
)
def test_exactly_the_names_of_the_index_are_found(names, other):
    index = builtin_index(names)
    assert all(search(index, name) for name in names)
    assert search(index, other) == (other in names)


@pytest.mark.parametrize(
    ("name", "status"), [("veth", 0), ("mpls-router", 0), ("vet", 1), ("vethe", 1)]
)
def test_kmods_own_modprobe_reads_the_index(need_program, tmp_path, name, status):
    write_module_lists(LISTING, "7.9.1", tmp_path)
    modprobe = [need_program("modprobe"), "-d", tmp_path / "guest-root/usr", "-S", "7.9.1"]
    done = subprocess.run([*modprobe, "-n", "-q", name], check=False, capture_output=True)
    assert done.returncode == status
