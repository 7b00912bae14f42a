# SPDX-License-Identifier: Apache-2.0
"""The time-travel protocol. Bytes from include/uapi/linux/um_timetravel.h, Linux 7.3."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies import parse_in_pieces, pieces_of, u32, u64
from windtunnel.errors import ProtocolError
from windtunnel.wire.timetravel import (
    Message,
    Operation,
    RunningTask,
    SharedSchedule,
    parse_messages,
)

messages = st.builds(Message, st.sampled_from(Operation), u32, u64)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (Message(Operation.ACK, 7, 3), "00000000 07000000 0300000000000000"),
        (Message(Operation.START, 1, 2), "01000000 01000000 0200000000000000"),
        (Message(Operation.REQUEST, 2, 10**9), "02000000 02000000 00ca9a3b00000000"),
        (Message(Operation.WAIT, 3, 2**64 - 1), "03000000 03000000 ffffffffffffffff"),
        (Message(Operation.GET, 4, 0), "04000000 04000000 0000000000000000"),
        (Message(Operation.UPDATE, 5, 1), "05000000 05000000 0100000000000000"),
        (Message(Operation.RUN, 0, 2**63 - 1), "06000000 00000000 ffffffffffffff7f"),
        (Message(Operation.FREE_UNTIL, 0, 2**63), "07000000 00000000 0000000000000080"),
        (Message(Operation.GET_TOD, 6, 0), "08000000 06000000 0000000000000000"),
        (Message(Operation.BROADCAST, 2**32 - 1, 0), "09000000 ffffffff 0000000000000000"),
    ],
)
def test_a_message_has_the_bytes_of_the_kernels_header(message, expected):
    assert message.to_bytes() == bytes.fromhex(expected)


@given(message=messages)
def test_a_message_survives_the_way_there_and_back(message):
    assert parse_messages(message.to_bytes()) == ([message], b"")


@given(data=st.data(), sent=st.lists(messages, max_size=5))
def test_any_split_of_the_stream_gives_the_same_messages(data, sent):
    stream = b"".join(message.to_bytes() for message in sent)
    assert parse_in_pieces(parse_messages, data.draw(pieces_of(stream))) == (sent, b"")


@given(message=messages, tail=st.binary(max_size=15))
def test_trailing_bytes_are_left_alone(message, tail):
    assert parse_messages(message.to_bytes() + tail) == ([message], tail)


@given(garbage=st.binary(max_size=64))
def test_garbage_raises_nothing_but_a_protocol_error(garbage):
    try:
        found, rest = parse_messages(garbage)
    except ProtocolError:
        return
    assert b"".join(message.to_bytes() for message in found) + rest == garbage


def test_an_unknown_operation_is_named():
    with pytest.raises(ProtocolError, match="unknown operation 10"):
        parse_messages(bytes.fromhex("0a000000 00000000 0000000000000000"))


def schedule(clients=3):
    memory = bytearray(4096 + 128 * clients)
    return memory, SharedSchedule(memoryview(memory), clients=clients)


def test_fresh_memory_has_the_header_and_the_calendars_capability():
    memory, _ = schedule()
    assert memory[:28] == bytes.fromhex(
        "02000000"  # version
        "80110000"  # len: 4096 + 3 * 128
        "ffffffffffffff7f"  # free_until: S64_MAX, which an idle guest may not reach
        "0000000000000000"  # current_time
        "0000"  # running_id
        "0300"  # max_clients
    )
    assert memory[4096:4100] == bytes.fromhex("01000000")
    assert not any(memory[28:4096])
    assert not any(memory[4100:])


def test_each_field_lies_where_the_kernel_looks_for_it():
    memory, shared = schedule()
    shared.free_until_ns = 0x0102030405060708
    shared.current_time_ns = 0x1112131415161718
    shared.set_running(0x0201)
    shared.request(2, 0x2122232425262728)
    assert memory[8:16] == bytes.fromhex("0807060504030201")
    assert memory[16:24] == bytes.fromhex("1817161514131211")
    assert memory[24:26] == bytes.fromhex("0102")
    assert memory[26:28] == bytes.fromhex("0300")
    assert memory[4352:4368] == bytes.fromhex("00000000 01000000 2827262524232221")


def test_times_are_read_back_as_they_were_written():
    _, shared = schedule()
    assert (shared.free_until_ns, shared.current_time_ns) == (2**63 - 1, 0)
    shared.free_until_ns = 5
    shared.current_time_ns = 4
    assert (shared.free_until_ns, shared.current_time_ns) == (5, 4)


def test_a_request_is_seen_until_it_is_cleared_and_only_at_its_own_client():
    _, shared = schedule()
    shared.request(1, 42)
    assert [shared.request_ns(client) for client in range(3)] == [None, 42, None]
    shared.clear_request(1)
    assert shared.request_ns(1) is None


def test_a_client_shares_time_once_it_says_so():
    memory, shared = schedule()
    assert [shared.shares_time(client) for client in range(3)] == [True, False, False]
    memory[4096 + 128] = 1
    assert shared.shares_time(1)


def test_memory_of_the_wrong_size_is_refused():
    with pytest.raises(ProtocolError, match="schedule of 4096 bytes for 3 clients"):
        SharedSchedule(memoryview(bytearray(4096)), clients=3)


@pytest.mark.parametrize(
    ("published", "expected"),
    [
        ("00000000 00000000 00000000 00000000", None),
        (
            "07000000 ffffffef ffffffff 00000000 73682d6300",
            RunningTask(7, 0xEFFFFFFF, None, False, "sh-c"),
        ),
        (
            "00000000 01000000 e7000000 01000000 73776170706572",
            RunningTask(0, 1, 231, True, "swapper"),
        ),
        (
            "01000000 01000000 00000000 00000000 ff0061626300",
            RunningTask(1, 1, 0, False, "\N{REPLACEMENT CHARACTER}"),
        ),
        (
            "01000000 01000000 00000000 00000000" + "61" * 16,
            RunningTask(1, 1, 0, False, "a" * 16),
        ),
    ],
)
def test_the_running_task_is_read_behind_the_clients_name(published, expected):
    memory, shared = schedule()
    task = bytes.fromhex(published)
    memory[4096 + 128 + 24 : 4096 + 128 + 24 + len(task)] = task
    assert shared.running_task(1) == expected


@given(published=st.binary(min_size=32, max_size=32))
def test_whatever_a_guest_publishes_can_be_read(published):
    memory, shared = schedule()
    memory[4096 + 128 + 24 : 4096 + 128 + 56] = published
    task = shared.running_task(1)
    assert task is None or task.syscall is None or task.syscall >= 0
