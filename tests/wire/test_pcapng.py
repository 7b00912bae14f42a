# SPDX-License-Identifier: Apache-2.0
"""Capture files. Bytes by hand from draft-ietf-opsawg-pcapng-01, sections 3 and 4."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies import parse_in_pieces, pieces_of, u16, u32, u64, words
from windtunnel.errors import ProtocolError, UsageError
from windtunnel.wire import pcapng
from windtunnel.wire.pcapng import Direction, Interface, OtherBlock, Packet, Section, parse_blocks

texts = st.just("") | words

interfaces = st.builds(Interface, texts, texts, snap_bytes=u32, link_type=u16)
packets = st.builds(
    Packet,
    u32,
    u64,
    st.binary(max_size=70),
    u32,
    st.sampled_from(Direction),
    texts,
    st.none() | u64,
)
blocks = st.just(Section()) | interfaces | packets


def encode(block):
    match block:
        case Section():
            return pcapng.section_header()
        case Interface(name, description, snap_bytes, link_type):
            return pcapng.interface(name, description, snap_bytes=snap_bytes, link_type=link_type)
        case Packet():
            return pcapng.packet(
                block.interface,
                block.time_ns,
                block.frame,
                size_bytes=block.size_bytes,
                direction=block.direction,
                comment=block.comment,
                dropped=block.dropped,
            )


SECTION = "0a0d0d0a 1c000000 4d3c2b1a 0100 0000 ffffffffffffffff 1c000000"
INTERFACE = (
    "01000000 30000000 0100 0000 00000000"
    "0200 0400 65746830"  # if_name "eth0"
    "0300 0200 72310000"  # if_description "r1", padded
    "0900 0100 09000000"  # if_tsresol
    "0000 0000"
    "30000000"
)
PACKET = (
    "06000000 44000000 02000000 a8e94618 002c2665 03000000 05000000 61626300"
    "0100 0400 6c6f7374"  # opt_comment "lost"
    "0200 0400 02000000"  # epb_flags: outbound
    "0400 0800 0700000000000000"  # epb_dropcount
    "0000 0000"
    "44000000"
)


def test_the_head_of_a_file_has_no_word_about_program_or_machine():
    assert pcapng.section_header() == bytes.fromhex(SECTION)


def test_an_interface_has_a_name_and_counts_nanoseconds():
    assert pcapng.interface("eth0", "r1") == bytes.fromhex(INTERFACE)


def test_a_packet_tells_time_direction_comment_and_drops():
    encoded = pcapng.packet(
        2,
        0x1846E9A865262C00,
        b"abc",
        size_bytes=5,
        direction=Direction.OUT,
        comment="lost",
        dropped=7,
    )
    assert encoded == bytes.fromhex(PACKET)


def test_a_packet_with_nothing_to_say_has_no_options():
    assert pcapng.packet(0, 1, b"abcd") == bytes.fromhex(
        "06000000 24000000 00000000 00000000 01000000 04000000 04000000 61626364 24000000"
    )


def test_a_file_is_read_as_it_was_written():
    found, rest = parse_blocks(bytes.fromhex(SECTION + INTERFACE + PACKET))
    assert found == [
        Section(),
        Interface("eth0", "r1"),
        Packet(2, 1_749_342_414_740_794_368, b"abc", 5, Direction.OUT, "lost", 7),
    ]
    assert rest == b""


@given(written=st.lists(blocks, max_size=6), data=st.data())
def test_any_split_of_the_stream_gives_the_same_blocks(written, data):
    stream = b"".join(encode(block) for block in written)
    assert len(stream) % 4 == 0
    assert parse_in_pieces(parse_blocks, data.draw(pieces_of(stream))) == (written, b"")


@given(block=blocks, tail=st.binary(max_size=11))
def test_bytes_of_a_block_that_is_not_whole_are_left_alone(block, tail):
    assert parse_blocks(encode(block) + tail) == ([block], tail)


@given(garbage=st.binary(max_size=80))
def test_garbage_raises_nothing_but_a_protocol_error(garbage):
    try:
        found, rest = parse_blocks(garbage)
    except ProtocolError:
        return
    assert found or rest == garbage


@given(block=blocks, data=st.data())
def test_a_changed_byte_raises_nothing_but_a_protocol_error(block, data):
    stream = bytearray(encode(block))
    stream[data.draw(st.integers(0, len(stream) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        parse_blocks(bytes(stream))
    except ProtocolError:
        return


def test_unknown_blocks_and_options_are_passed_over():
    unknown = "0b000000 10000000 01020304 10000000"
    packet = (
        "06000000 30000000 00000000 00000000 01000000 00000000 00000000"
        "0500 0800 0100000000000000"  # epb_packetid
        "0000 0000"
        "30000000"
    )
    assert parse_blocks(bytes.fromhex(unknown + packet)) == (
        [OtherBlock(11, b"\1\2\3\4"), Packet(0, 1, b"", 0)],
        b"",
    )


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        ("06000000 0d000000 00000000", "block 0x6 of 13 bytes"),
        ("06000000 08000000 00000000", "block 0x6 of 8 bytes"),
        ("06000000 04001000 00000000", "block 0x6 of 1048580 bytes"),
        ("0b000000 0c000000 10000000", "block 0xb of 12 bytes ends as one of 16"),
        ("06000000 0c000000 0c000000", "0 bytes where 20 belong"),
        (SECTION.replace("4d3c2b1a", "1a2b3c4d"), "byte order 0x4d3c2b1a; only little endian"),
        (SECTION.replace("0100 0000", "0200 0000"), "version 2"),
        (INTERFACE.replace("0900 0100 09", "0900 0100 06"), "'eth0' does not count nanoseconds"),
        (INTERFACE.replace("65746830", "657468ff"), "a text that is no UTF-8"),
        (INTERFACE.replace("0900 0100", "0900 ff00"), "8 bytes where 255 belong"),
        (PACKET.replace("0200 0400 02", "0200 0400 03"), "direction 3"),
        (PACKET.replace("0200 0400", "0200 0300"), "an option of 3 bytes where 4 belong"),
        (PACKET.replace("03000000 05", "ff000000 05"), "56 bytes where 275 belong"),
    ],
)
def test_a_broken_block_says_what_is_wrong_with_it(stream, message):
    with pytest.raises(ProtocolError, match=message):
        parse_blocks(bytes.fromhex(stream))


def test_a_text_or_a_frame_that_no_reader_would_take_is_refused():
    pcapng.packet(0, 0, bytes(0x40000), comment="x" * 65535)
    with pytest.raises(UsageError, match="a text of 65536 bytes in a capture, limit 65535"):
        pcapng.packet(0, 0, b"", comment="x" * 65536)
    with pytest.raises(UsageError, match="a frame of 262145 bytes, limit 262144"):
        pcapng.packet(0, 0, bytes(0x40001))
