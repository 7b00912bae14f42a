# SPDX-License-Identifier: Apache-2.0
"""What a disk holds: before and after flushes, power cuts and zeroes."""

from __future__ import annotations

import os
from itertools import repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windtunnel.devices import disk as module
from windtunnel.devices.disk import Disk, Losses
from windtunnel.errors import HostError
from windtunnel.sim.streams import draws

SECTORS = 64
LOSE, KEEP, TEAR = 0, 1, 2
"""What a number drawn for a write of several sectors means, modulo 3."""


@pytest.fixture
def make(tmp_path):
    made = []

    def make(sectors=SECTORS):
        made.append(Disk(tmp_path / f"disk{len(made)}", 512 * sectors))
        return made[-1]

    yield make
    for disk in made:
        disk.close()


def put(disk, sector, text):
    """Write a sector for each letter."""
    data = b"".join(letter.encode() * 512 for letter in text)
    disk.write([memoryview(data)], 512 * sector)


def look(disk, sector=0, count=8):
    """A letter for each sector; "." for zeroes, "?" for a sector of several kinds."""
    data = bytearray(512 * count)
    disk.read([memoryview(data)], 512 * sector)
    found = [set(data[at : at + 512]) for at in range(0, len(data), 512)]
    return "".join(
        "?" if len(kinds) > 1 else chr(kinds.pop()).replace("\0", ".") for kinds in found
    )


def test_a_new_one_is_zero_and_has_no_name(make, tmp_path):
    assert look(make(), count=SECTORS) == "." * SECTORS
    assert list(tmp_path.iterdir()) == []


def test_what_is_written_is_read_in_whatever_pieces(make):
    disk = make()
    data = bytes(range(256)) * 4
    disk.write([memoryview(data)[:700], memoryview(data)[700:]], 1024)
    read = bytearray(1024)
    disk.read([memoryview(read)[:3], memoryview(read)[3:900], memoryview(read)[900:]], 1024)
    assert read == data


def test_more_pieces_than_the_host_takes_at_once_are_read(make):
    disk = make()
    put(disk, 0, "abcdefgh")
    read = bytearray(4096)
    disk.read([memoryview(read)[at : at + 1] for at in range(4096)], 0)
    assert read == b"".join(
        letter * 512 for letter in [b"a", b"b", b"c", b"d", b"e", b"f", b"g", b"h"]
    )


def test_what_was_flushed_survives_and_the_rest_does_as_drawn(make):
    disk = make()
    put(disk, 0, "aa")
    disk.flush(disk.mark)
    put(disk, 2, "bb")
    put(disk, 4, "cc")
    put(disk, 6, "dd")
    assert (disk.unflushed, look(disk)) == (3, "aabbccdd")
    assert disk.power_cut(iter([LOSE, KEEP, TEAR, 0])) == Losses(kept=1, torn=1, lost=1)
    assert (disk.unflushed, look(disk)) == (0, "aa..ccd.")


def test_a_sector_is_lost_or_kept_and_never_torn(make):
    disk = make()
    put(disk, 0, "a")
    put(disk, 1, "b")
    assert disk.power_cut(iter([0, 1])) == Losses(kept=1, lost=1)
    assert look(disk, count=3) == ".b."


def test_what_lies_below_a_lost_write_comes_back(make):
    disk = make()
    put(disk, 0, "aaaa")
    disk.flush(disk.mark)
    put(disk, 0, "bb")
    put(disk, 1, "cc")
    disk.power_cut(iter([LOSE, LOSE]))
    assert look(disk, count=4) == "aaaa"


@pytest.mark.parametrize(
    ("drawn", "found"),
    [([LOSE, KEEP], "acca"), ([KEEP, LOSE], "bbaa"), ([KEEP, KEEP], "bcca")],
)
def test_a_later_write_may_survive_an_earlier_one_and_lies_over_it(make, drawn, found):
    disk = make()
    put(disk, 0, "aaaa")
    disk.flush(disk.mark)
    put(disk, 0, "bb")
    put(disk, 1, "cc")
    disk.power_cut(iter(drawn))
    assert look(disk, count=4) == found


def test_a_flush_counts_up_to_its_mark(make):
    disk = make()
    put(disk, 0, "aa")
    mark = disk.mark
    put(disk, 1, "bb")
    disk.flush(mark)
    disk.power_cut(iter([LOSE]))
    assert look(disk, count=4) == "aa.."


def test_the_cache_has_a_size_and_its_oldest_writes_become_lasting(make, monkeypatch):
    monkeypatch.setattr(module, "CACHE_BYTES", 1024)
    disk = make()
    for sector, letter in enumerate("abcd"):
        put(disk, sector, letter)
    assert disk.unflushed == 2
    disk.power_cut(repeat(0))
    assert look(disk, count=4) == "ab.."


def test_a_few_zeroes_are_a_write_like_any_other(make):
    disk = make()
    put(disk, 0, "aaaa")
    disk.flush(disk.mark)
    disk.zero(512, 1024)
    assert look(disk, count=4) == "a..a"
    disk.power_cut(iter([LOSE]))
    assert look(disk, count=4) == "aaaa"


@pytest.mark.parametrize("holes", [True, False])
def test_many_zeroes_are_lasting_and_take_no_room(make, holes, monkeypatch):
    if not holes:
        monkeypatch.setattr(module.mmap, "MADV_REMOVE", 12345)
    disk = make(4096 * 8)
    put(disk, 0, "a" * 16384)
    disk.zero(512 * 3, 512 * 16000)
    assert disk.unflushed == 0
    disk.power_cut(iter([]))
    assert look(disk, count=4) == "aaa."
    assert look(disk, 16002, 3) == ".aa"
    assert set(look(disk, 3, 16000)) == {"."}
    assert not holes or os.fstat(disk._file).st_blocks * 512 < 1 << 20


def test_zeroes_where_there_were_none_take_no_room(make, monkeypatch):
    monkeypatch.setattr(module.mmap, "MADV_REMOVE", 12345)
    disk = make(1 << 23)
    disk.zero(0, 1 << 32)
    assert os.fstat(disk._file).st_blocks == 0


def test_a_wiped_one_is_zero_and_has_nothing_to_lose(make):
    disk = make()
    put(disk, 0, "ab")
    disk.wipe()
    assert (disk.unflushed, look(disk)) == (0, "........")
    assert disk.power_cut(iter([])) == Losses()


def test_no_room_on_the_host_is_an_error_that_says_so(make, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    disk = make()
    monkeypatch.setattr(module.os, "pwrite", full)
    with pytest.raises(HostError, match=r"a volume of 32768 bytes in .*: No space left on device"):
        put(disk, 0, "a")


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(HostError, match="No such file or directory"):
        Disk(tmp_path / "nowhere" / "disk", 512)


def test_closing_gives_the_file_back_and_may_be_done_again(make):
    before = set(os.listdir("/proc/self/fd"))
    disk = make()
    put(disk, 0, "a")
    disk.close()
    disk.close()
    assert set(os.listdir("/proc/self/fd")) == before


writes = st.tuples(st.integers(0, 15), st.text("abcxyz", min_size=1, max_size=16))
steps = st.lists(writes | st.just("flush") | st.just("cut"), max_size=20)


@given(steps=steps, seed=st.integers(0, 2**64 - 1))
def test_every_sector_is_what_some_write_that_may_have_survived_made_it(
    tmp_path_factory, steps, seed
):
    disk = Disk(tmp_path_factory.mktemp("disk") / "disk", 512 * 32)
    stream = draws(seed, "test")
    # For each sector: what it may hold after a power cut, and what is read now.
    lasting = [{"."} for _ in range(32)]
    now = ["."] * 32
    try:
        for step in steps:
            if step == "flush":
                disk.flush(disk.mark)
                lasting = [{letter} for letter in now]
            elif step == "cut":
                disk.power_cut(stream)
                now = list(look(disk, count=32))
                assert all(letter in may for letter, may in zip(now, lasting, strict=True))
                lasting = [{letter} for letter in now]
            else:
                sector, text = step
                put(disk, sector, text)
                for at, letter in enumerate(text, sector):
                    now[at] = letter
                    lasting[at].add(letter)
            assert look(disk, count=32) == "".join(now)
    finally:
        disk.close()


def test_the_same_stream_gives_the_same_survivors(make):
    def cut(name):
        disk = make()
        for at in range(0, 60, 4):
            put(disk, at, "abcd")
        return disk.power_cut(draws(7, name)), look(disk, count=64)

    assert cut("one") == cut("one")
    assert cut("one") != cut("two")


def test_each_fate_is_as_likely_as_the_others(make):
    disk, stream = make(), draws(1, "fates")
    kept = torn = lost = 0
    for _ in range(1000):
        for at in range(0, 12, 4):
            put(disk, at, "abcd")
        losses = disk.power_cut(stream)
        kept, torn, lost = kept + losses.kept, torn + losses.torn, lost + losses.lost
    assert kept + torn + lost == 3000
    # 1000 each; the standard deviation is 26.
    assert all(850 < count < 1150 for count in (kept, torn, lost))
