# SPDX-License-Identifier: Apache-2.0
"""Records of watched interfaces. Bytes as machines/guest/capture.c lays them out."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies import parse_in_pieces, pieces_of, u32, u64
from windtunnel.errors import ProtocolError
from windtunnel.wire.pcapng import Direction
from windtunnel.wire.watch import Seen, parse_records

RECORD = (
    "0098d55333e8461a 07000000 05000000 03000000 10000000 04000000"
    "00000000 00000000 00000000 02000000 00000000 61626364"
)


def encode(seen):
    point = 2 * seen.end + (seen.direction is Direction.OUT)
    head = (seen.time_ns, 7, seen.number, point, seen.size_bytes, len(seen.frame))
    return struct.pack("<Q10I", *head, 0, 0, 0, seen.lost, 0) + seen.frame


records = st.builds(
    Seen,
    u64,
    st.integers(0, 9),
    st.sampled_from([Direction.IN, Direction.OUT]),
    u32,
    st.binary(max_size=70),
    u32,
    u32,
)


def parse(buffer):
    return parse_records(buffer, magic=7)


def test_a_record_tells_where_when_and_which():
    assert parse(bytes.fromhex(RECORD)) == (
        [Seen(1_893_456_000_503_355_392, 1, Direction.OUT, 5, b"abcd", 16, 2)],
        b"",
    )


def test_another_captures_number_is_none():
    (seen,), _ = parse_records(bytes.fromhex(RECORD), magic=8)
    assert seen.number == 0


def test_a_tag_beside_the_packet_belongs_into_the_frame():
    head = struct.pack("<Q10I", 1, 7, 1, 0, 14, 14, 1, 0x2005, 0x0081, 0, 0)
    (seen,), _ = parse(head + b"ddddddssssss\x08\x00")
    assert seen.frame == b"ddddddssssss\x81\x00\x20\x05\x08\x00"
    assert seen.size_bytes == 18


@given(written=st.lists(records, max_size=5), data=st.data())
def test_any_split_of_the_stream_gives_the_same_records(written, data):
    stream = b"".join(encode(seen) for seen in written)
    assert parse_in_pieces(parse, data.draw(pieces_of(stream))) == (written, b"")


@given(seen=records, tail=st.binary(max_size=47))
def test_bytes_of_a_record_that_is_not_whole_are_left_alone(seen, tail):
    assert parse(encode(seen) + tail) == ([seen], tail)


@given(garbage=st.binary(max_size=120))
def test_garbage_raises_nothing_but_a_protocol_error(garbage):
    try:
        found, rest = parse(garbage)
    except ProtocolError:
        return
    assert found or rest == garbage


def test_a_record_longer_than_any_frame_is_refused():
    with pytest.raises(ProtocolError, match="a record of 65601 bytes at point 1"):
        parse(struct.pack("<Q10I", 0, 7, 1, 1, 70000, 65601, 0, 0, 0, 0, 0))
