# SPDX-License-Identifier: Apache-2.0
"""A block device's bytes, from include/uapi/linux/virtio_blk.h, Linux 7.3."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies import u32
from windtunnel.errors import ProtocolError
from windtunnel.wire import virtio_blk
from windtunnel.wire.virtio_blk import (
    Header,
    Range,
    RequestType,
    Status,
    configuration,
    identity,
    parse_ranges,
)

u64 = st.integers(0, 2**64 - 1)
headers = st.builds(Header, u32, u64)
ranges = st.builds(Range, u64, u32)


def test_the_numbers_are_those_of_the_kernels_header():
    assert virtio_blk.DEVICE_ID == 2  # VIRTIO_ID_BLOCK
    assert virtio_blk.FEATURE_SEG_MAX == 1 << 2
    assert virtio_blk.FEATURE_BLK_SIZE == 1 << 6
    assert virtio_blk.FEATURE_FLUSH == 1 << 9
    assert virtio_blk.FEATURE_DISCARD == 1 << 13
    assert virtio_blk.FEATURE_WRITE_ZEROES == 1 << 14
    assert virtio_blk.FEATURE_INDIRECT == 1 << 28  # VIRTIO_RING_F_INDIRECT_DESC
    assert virtio_blk.FEATURES == 0x10006244
    assert [(kind.name, kind.value) for kind in RequestType] == [
        ("IN", 0),
        ("OUT", 1),
        ("FLUSH", 4),
        ("GET_ID", 8),
        ("DISCARD", 11),
        ("WRITE_ZEROES", 13),
    ]
    assert [status.value for status in Status] == [0, 1, 2]  # OK, IOERR, UNSUPP


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (Header(RequestType.IN, 5), "00000000 00000000 0500000000000000"),
        (Header(RequestType.WRITE_ZEROES, 2**63), "0d000000 00000000 0000000000000080"),
    ],
)
def test_a_request_begins_with_the_bytes_of_the_kernels_header(header, expected):
    assert header.to_bytes() == bytes.fromhex(expected)


@given(header=headers, tail=st.binary(max_size=8))
def test_a_header_survives_and_what_follows_is_left_alone(header, tail):
    assert Header.from_bytes(header.to_bytes() + tail) == header
    assert Header.from_bytes(memoryview(header.to_bytes() + tail)) == header


@given(garbage=st.binary(max_size=40))
def test_garbage_raises_nothing_but_a_protocol_error(garbage):
    try:
        header = Header.from_bytes(garbage)
    except ProtocolError:
        assert len(garbage) < 16
    else:
        # The second word is reserved: whatever it says is left alone.
        assert header.to_bytes()[:4] + header.to_bytes()[8:] == garbage[:4] + garbage[8:16]
    try:
        found = list(parse_ranges(garbage))
    except ProtocolError:
        assert len(garbage) % 16
    else:
        assert [one.to_bytes()[:12] for one in found] == [
            garbage[at : at + 12] for at in range(0, len(garbage), 16)
        ]


def test_a_header_that_is_cut_short_says_so():
    with pytest.raises(ProtocolError, match="request of 15 bytes"):
        Header.from_bytes(bytes(15))


def test_ranges_that_are_cut_short_say_so():
    with pytest.raises(ProtocolError, match="ranges of 17 bytes"):
        list(parse_ranges(bytes(17)))


@given(some=st.lists(ranges, max_size=4))
def test_ranges_survive(some):
    assert list(parse_ranges(b"".join(one.to_bytes() for one in some))) == some


def test_a_range_has_the_bytes_of_the_kernels_header():
    assert Range(8, 16).to_bytes() == bytes.fromhex("0800000000000000 10000000 00000000")


def test_the_configuration_has_the_bytes_of_the_header():
    # capacity 0, seg_max 12, blk_size 20, wce 32, num_queues 34, discard 36, zeroes 48
    assert configuration(8_000_000) == bytes.fromhex(
        "093d000000000000 00000000 fe000000 00000000 00020000"
        "0000000000000000 01 00 0100"
        "00004000 10000000 08000000 00004000 01000000 01 000000"
    )


def test_what_is_no_whole_sector_does_not_count():
    assert configuration(1023)[:8] == (1).to_bytes(8, "little")


@pytest.mark.parametrize(
    ("name", "expected"),
    [("data", b"data" + bytes(16)), ("a" * 20, b"a" * 20), ("b" * 32, b"b" * 20)],
)
def test_a_serial_number_has_20_bytes(name, expected):
    assert identity(name) == expected
