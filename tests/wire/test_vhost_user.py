# SPDX-License-Identifier: Apache-2.0
"""vhost-user. Bytes from QEMU's docs/interop/vhost-user.rst and arch/um/drivers/vhost_user.h."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies import parse_in_pieces, pieces_of, u32, u64
from windtunnel.errors import ProtocolError
from windtunnel.wire import vhost_user
from windtunnel.wire.vhost_user import (
    MemoryRegion,
    Message,
    Request,
    VringAddress,
    config_reply,
    configuration_change,
    parse_memory_table,
    parse_messages,
    parse_u64,
    parse_vring_address,
    parse_vring_state,
    reply_u64,
    vring_call,
)

messages = st.builds(Message, u32, st.binary(max_size=64), st.booleans(), st.booleans())


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (Message(Request.GET_FEATURES), "01000000 01000000 00000000"),
        (
            Message(Request.VRING_KICK, bytes.fromhex("0100000000000000"), need_reply=True),
            "23000000 09000000 08000000 0100000000000000",
        ),
        (reply_u64(Request.GET_FEATURES, 1 << 32), "01000000 05000000 08000000 0000000001000000"),
        (reply_u64(Request.SET_OWNER, 0), "03000000 05000000 08000000 0000000000000000"),
        (vring_call(2), "04000000 01000000 08000000 02000000 00000000"),
        (configuration_change(), "02000000 01000000 00000000"),
    ],
)
def test_a_message_has_the_bytes_of_the_specification(message, expected):
    assert message.to_bytes() == bytes.fromhex(expected)


def test_requests_have_the_numbers_of_the_kernels_header():
    assert [(request.name, request.value) for request in Request] == [
        ("GET_FEATURES", 1),
        ("SET_FEATURES", 2),
        ("SET_OWNER", 3),
        ("RESET_OWNER", 4),
        ("SET_MEM_TABLE", 5),
        ("SET_VRING_NUM", 8),
        ("SET_VRING_ADDR", 9),
        ("SET_VRING_BASE", 10),
        ("GET_VRING_BASE", 11),
        ("SET_VRING_KICK", 12),
        ("SET_VRING_CALL", 13),
        ("SET_VRING_ERR", 14),
        ("GET_PROTOCOL_FEATURES", 15),
        ("SET_PROTOCOL_FEATURES", 16),
        ("GET_QUEUE_NUM", 17),
        ("SET_VRING_ENABLE", 18),
        ("SET_BACKEND_REQ_FD", 21),
        ("GET_CONFIG", 24),
        ("SET_CONFIG", 25),
        ("VRING_KICK", 35),
    ]
    assert vhost_user.FEATURE_PROTOCOL_FEATURES == 0x40000000
    assert vhost_user.PROTOCOL_FEATURES == 0x4228


@given(message=messages)
def test_a_message_survives_the_way_there_and_back(message):
    assert parse_messages(message.to_bytes()) == ([message], b"")


@given(data=st.data(), sent=st.lists(messages, max_size=5))
def test_any_split_of_the_stream_gives_the_same_messages(data, sent):
    stream = b"".join(message.to_bytes() for message in sent)
    assert parse_in_pieces(parse_messages, data.draw(pieces_of(stream))) == (sent, b"")


@given(message=messages, following=messages, data=st.data())
def test_trailing_bytes_are_left_alone(message, following, data):
    tail = following.to_bytes()
    tail = tail[: data.draw(st.integers(0, len(tail) - 1))]
    assert parse_messages(message.to_bytes() + tail) == ([message], tail)


@given(garbage=st.binary(max_size=64))
def test_garbage_raises_nothing_but_a_protocol_error(garbage):
    for parse in (
        parse_messages,
        parse_u64,
        parse_vring_state,
        parse_vring_address,
        parse_memory_table,
        lambda payload: config_reply(payload, b"12"),
    ):
        try:
            parse(garbage)
        except ProtocolError as error:
            assert str(error).startswith("vhost-user: ")


def test_a_version_that_is_not_ours_is_refused():
    with pytest.raises(ProtocolError, match="version 2, not 1"):
        parse_messages(bytes.fromhex("01000000 02000000 00000000"))


def test_a_payload_is_at_most_4096_bytes():
    longest = Message(5, bytes(4096))
    assert parse_messages(longest.to_bytes()) == ([longest], b"")
    with pytest.raises(ProtocolError, match="payload of 4097 bytes, limit 4096"):
        parse_messages(Message(5, bytes(4097)).to_bytes())


def test_payloads_are_read_as_the_kernel_lays_them_out():
    assert parse_u64(bytes.fromhex("0100000000000080")) == 2**63 + 1
    assert parse_vring_state(bytes.fromhex("03000000 00010000")) == (3, 256)
    assert parse_vring_address(
        bytes.fromhex(
            "01000000 00000000 0010000000000000 0020000000000000 0030000000000000 0000000000000000"
        )
    ) == VringAddress(index=1, desc=0x1000, used=0x2000, avail=0x3000)
    assert parse_memory_table(
        bytes.fromhex(
            "02000000 00000000"
            "0000006000000000 0000000200000000 0000006000000000 0000000000000000"
            "0000008000000000 0000100000000000 0000009000000000 0040000000000000"
        )
    ) == (
        MemoryRegion(0x60000000, 0x02000000, 0x60000000, 0),
        MemoryRegion(0x80000000, 0x00100000, 0x90000000, 0x4000),
    )


@given(regions=st.lists(st.tuples(u64, u64, u64, u64), max_size=4), tail=st.binary(max_size=8))
def test_a_memory_table_of_any_length_is_read_whole(regions, tail):
    payload = struct.pack("<II", len(regions), 0)
    payload += b"".join(struct.pack("<QQQQ", *region) for region in regions)
    expected = tuple(MemoryRegion(*region) for region in regions)
    assert parse_memory_table(payload + tail) == expected


def test_a_memory_table_that_is_cut_short_says_so():
    with pytest.raises(ProtocolError, match="memory table of 2 regions in 40 bytes"):
        parse_memory_table(bytes.fromhex("02000000 00000000") + bytes(32))


def test_a_number_that_is_cut_short_says_so():
    with pytest.raises(ProtocolError, match="number of 7 bytes, needs 8"):
        parse_u64(bytes(7))


def test_a_configuration_is_answered_as_long_as_it_was_asked():
    request = bytes.fromhex("00000000 06000000 00000000") + bytes(6)
    assert config_reply(request, b"abcd").to_bytes() == bytes.fromhex(
        "18000000 05000000 12000000 00000000 06000000 00000000 616263640000"
    )


def test_a_configuration_is_read_from_its_offset():
    request = bytes.fromhex("02000000 01000000 00000000")
    assert config_reply(request, b"abcd").payload == request + b"c"


def test_an_absurd_configuration_request_is_refused():
    with pytest.raises(ProtocolError, match="configuration request of 4085 bytes"):
        config_reply(bytes.fromhex("00000000 f50f0000 00000000"), b"")
