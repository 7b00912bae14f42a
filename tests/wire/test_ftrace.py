# SPDX-License-Identifier: Apache-2.0
"""Pages of the kernel's trace: written by hand here, and by a real kernel elsewhere."""

from __future__ import annotations

from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windtunnel.errors import ProtocolError
from windtunnel.wire.ftrace import EventField, parse_format, parse_formats, parse_trace

FORMAT = """\
name: net_dev_queue
ID: 1044
format:
\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;
\tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;
\tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;
\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;

\tfield:void * skbaddr;\toffset:8;\tsize:8;\tsigned:0;
\tfield:int rc;\toffset:16;\tsize:4;\tsigned:1;
\tfield:__data_loc char[] name;\toffset:20;\tsize:4;\tsigned:0;
\tfield:char comm[4];\toffset:24;\tsize:4;\tsigned:0;
\tfield:__u8 saddr[4];\toffset:28;\tsize:4;\tsigned:0;

print fmt: "dev=%s skbaddr=%p rc=%d", __get_str(name), REC->skbaddr, REC->rc
"""
FORMATS = parse_formats(FORMAT + FORMAT.replace("1044", "7").replace("net_dev_queue", "other"))
COMMIT_LOST, LOST_STORED = 1 << 31, 1 << 30


def body(pid=1, rc=-5, name=b"eth0\0", number=1044):
    fixed = pack("<HBBiQi", number, 0, 0, pid, 0xFFFF_8880_0000_1234, rc)
    return fixed + pack("<HH", 32, len(name)) + b"ab\0c" + bytes([10, 0, 0, 1]) + name


def record(data, delta=0):
    padded = data + bytes(-len(data) % 4)
    if len(padded) <= 28 * 4:
        return pack("<I", len(padded) // 4 | delta << 5) + padded
    return pack("<II", delta << 5, len(padded) + 4) + padded


def page(records, time_ns=1000, flags=0, tail=b""):
    return pack("<QQ", time_ns, len(records) | flags) + records + tail


def read(data):
    return list(parse_trace(data, FORMATS))


def test_a_format_says_where_fields_are():
    found = parse_format(FORMAT)
    assert (found.number, found.name) == (1044, "net_dev_queue")
    assert [one.name for one in found.common][-1] == "common_pid"
    assert found.fields[0] == EventField("skbaddr", "void *", 8, 8, signed=False)
    assert found.fields[2] == EventField("name", "__data_loc char[]", 20, 4, signed=False)
    assert found.print_format.startswith('"dev=%s')
    with pytest.raises(ProtocolError, match="no format of a trace event"):
        parse_format("rubbish")
    with pytest.raises(ProtocolError, match="no field of a trace event"):
        parse_format("name: x\nID: 1\n\tfield:(*)();\toffset:0;\tsize:8;\tsigned:0;\n")


SYSCALL = """\
name: sys_enter
ID: 25
format:
\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;
\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;

\tfield:long id;\toffset:8;\tsize:8;\tsigned:1;
\tfield:unsigned long args[6];\toffset:16;\tsize:48;\tsigned:0;
\tfield:short list[2];\toffset:64;\tsize:4;\tsigned:1;
\tfield:char comm[TASK_COMM_LEN];\toffset:68;\tsize:4;\tsigned:0;
"""


def test_an_array_of_numbers_has_its_numbers():
    data = pack("<HHiq6Qhh4s", 25, 0, 9, 257, 2**64 - 100, 2, 3, 4, 5, 6, -1, 7, b"cat")
    (event,) = parse_trace(page(record(data)), parse_formats(SYSCALL))
    assert event.fields == {
        "id": 257,
        "args": (2**64 - 100, 2, 3, 4, 5, 6),
        "list": (-1, 7),
        "comm": "cat",
    }


def test_an_event_has_its_time_task_and_fields():
    (event,) = read(page(record(body(), delta=24)))
    assert (event.time_ns, event.name, event.pid) == (1024, "net_dev_queue", 1)
    assert event.fields == {
        "skbaddr": 0xFFFF_8880_0000_1234,
        "rc": -5,
        "name": "eth0",
        "comm": "ab",
        "saddr": (10, 0, 0, 1),
    }


@given(st.lists(st.tuples(st.integers(0, 2**27 - 1), st.integers(0, 200)), max_size=12))
def test_times_add_up_and_long_events_have_their_length_elsewhere(made):
    records = b"".join(
        record(body(pid=number, name=b"x" * size + b"\0"), delta)
        for number, (delta, size) in enumerate(made)
    )
    found = list(parse_trace(page(records), FORMATS, page_bytes=1 << 16))
    time_ns = 1000
    for number, ((delta, size), event) in enumerate(zip(made, found, strict=True)):
        time_ns += delta
        assert (event.time_ns, event.pid, len(event.fields["name"])) == (time_ns, number, size)


def test_time_extends_stamps_padding_and_what_was_taken_back():
    records = pack("<II", 30 | 5 << 5, 2) + record(body(pid=1))  # 2 * 2^27 + 5 later
    records += pack("<II", 31 | 7 << 5, 100) + record(body(pid=2))  # at 100 * 2^27 + 7
    records += pack("<II", 29 | 3 << 5, 12) + bytes(8) + record(body(pid=3))
    records += pack("<I", 29) + b"what follows is nothing"
    times = [(event.time_ns, event.pid) for event in read(page(records))]
    stamp = 100 * 2**27 + 7
    assert times == [(1000 + 2 * 2**27 + 5, 1), (stamp, 2), (stamp + 3, 3)]


def test_lost_events_are_told_with_their_number_if_it_is_known():
    full = page(record(body()), flags=COMMIT_LOST)
    counted = page(record(body()), flags=COMMIT_LOST | LOST_STORED, tail=pack("<Q", 77))
    first = page(record(body()) + record(body()))
    lost = [event.lost_before for event in read(first.ljust(4096, b"\0"))]
    assert lost == [0, 0]
    assert [event.lost_before for event in read(full)] == [-1]
    assert [event.lost_before for event in read(counted)] == [77]


def test_pages_follow_each_other_and_the_last_may_end_early():
    data = page(record(body(pid=1))).ljust(4096, b"\0") + page(record(body(pid=2)), 2000)
    assert [(event.pid, event.time_ns) for event in read(data)] == [(1, 1000), (2, 2000)]
    assert read(b"") == read(page(b"")) == []


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (bytes(15), "15 bytes at 0x0"),
        (page(record(body()))[:-8], "says"),
        (page(pack("<I", 20)), "longer than the page"),
        (page(pack("<I", 0)), "cut at"),
        (page(pack("<II", 0, 2) + bytes(8)), "longer than the page"),
        (page(record(bytes(4))), "an event of 4 bytes"),
        (page(record(body(number=9))), "event number 9"),
        (page(record(body()[:20])), "the field 'saddr' ends at 32, its event at 20"),
    ],
)
def test_bytes_that_are_no_trace_are_told(data, message):
    with pytest.raises(ProtocolError, match=message):
        read(data)


@given(st.binary(max_size=200))
def test_no_bytes_are_more_than_an_error(data):
    try:
        read(page(data))
        read(data)
    except ProtocolError:
        pass
