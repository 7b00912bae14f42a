# SPDX-License-Identifier: Apache-2.0
"""The agent's frames. Bytes by hand from `struct header` and the readers in guest/agent.c."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies import parse_in_pieces, pieces_of, u16, u32
from windtunnel.errors import ProtocolError, UsageError
from windtunnel.wire import agent
from windtunnel.wire.agent import (
    ExitReport,
    Failure,
    Frame,
    Kind,
    Namespaces,
    SpawnFlag,
    TaskCosts,
)

frames = st.builds(Frame, st.sampled_from(Kind), u16, u32, st.binary(max_size=64))


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (Frame(Kind.POWER_OFF), "00000000 0a00 0000 00000000"),
        (Frame(Kind.INPUT, 2, 5, b"hi"), "02000000 0300 0200 05000000 6869"),
        (
            agent.node_add(3, name="r1", namespaces=agent.ALL_NAMESPACES, fails=True, root="/"),
            "11000000 0100 0300 00000000 0000026c 01000000 00000000 723100 2f00",
        ),
        (
            agent.node_add(1, name="b", namespaces=Namespaces.NETWORK, fails=False, root="/x"),
            "11000000 0100 0100 00000000 00000040 00000000 00000000 6200 2f7800",
        ),
        (
            agent.node_add(
                1,
                name="b",
                namespaces=Namespaces.MOUNT,
                fails=False,
                root="/",
                layers=["/u"],
                shown=["/s"],
                writable=["/w", "/x"],
            ),
            (
                "20000000 0100 0100 00000000 00000200 00000000 04000000 6200 2f00"
                "6c2f7500 722f7300 772f7700 772f7800"
            ),
        ),
        (agent.netlink(2, 3, b"abcd"), "04000000 0b00 0200 03000000 61626364"),
        (
            agent.spawn(1, 9, ["ls", "-l"], env={"A": "b"}),
            (
                "24000000 0200 0100 09000000 00000000 00000000 00000000 00000000"
                "02000000 01000000"
                "2f00 6c7300 2d6c00 413d6200"
            ),
        ),
        (
            agent.spawn(
                1,
                9,
                ["x"],
                env={},
                directory="/d",
                flags=SpawnFlag.INPUT | SpawnFlag.TERMINAL,
                costs=TaskCosts(syscall_ns=1000, fault_ns=2, switch_ns=3),
            ),
            (
                "1d000000 0200 0100 09000000 03000000 e8030000 02000000 03000000"
                "01000000 00000000 2f6400 7800"
            ),
        ),
        (agent.signal(4, 15), "04000000 0500 0000 04000000 0f000000"),
        (
            agent.write_file(1, 2, "/a", b"\0z", mode=0o644, owner="u:g", append=True),
            "11000000 0600 0100 02000000 a4010000 01000000 2f6100 753a6700 007a",
        ),
        (agent.read_file(1, 2, "/a"), "03000000 0700 0100 02000000 2f6100"),
        (agent.netlink(3, 7, b"\x01\x02\x03\x04"), "04000000 0b00 0300 07000000 01020304"),
        (
            agent.sysctl(1, 2, [("net/a", "1"), ("b", "2 3")]),
            "0e000000 0800 0100 02000000 6e65742f6100 3100 6200 32203300",
        ),
        (agent.freeze(2, 3, on=True), "04000000 0c00 0200 03000000 01000000"),
        (agent.memory(2, 3, 4096), "05000000 0d00 0200 03000000 3430393600"),
        (agent.memory(2, 3, None), "04000000 0d00 0200 03000000 6d617800"),
        (agent.counters(3), "00000000 1600 0000 03000000"),
        (agent.kill_all(2, 3), "00000000 0e00 0200 03000000"),
        (agent.node_off(2, 3, wipe=True), "04000000 0f00 0200 03000000 01000000"),
        (agent.device(1, 2, "vda"), "04000000 1300 0100 02000000 76646100"),
        (
            agent.mount(1, 2, source="/a", path="/b", filesystem="c"),
            "08000000 1400 0100 02000000 2f6100 2f6200 6300",
        ),
        (agent.fill(1, 2, "/b", on=True), "07000000 1500 0100 02000000 01000000 2f6200"),
        (agent.fill(1, 2, "/b", on=False), "07000000 1500 0100 02000000 00000000 2f6200"),
        (agent.hand_over(2, 3, b"abcd"), "04000000 1000 0200 03000000 61626364"),
        (agent.step_clock(1, 3, -2), "08000000 1100 0100 03000000 feffffffffffffff"),
        (agent.drift_clock(1, 3, 200), "08000000 1200 0100 03000000 c800000000000000"),
        (
            agent.resize(4, rows=24, columns=80),
            "08000000 0900 0000 04000000 18000000 50000000",
        ),
    ],
)
def test_a_request_has_the_bytes_that_the_agent_reads(frame, expected):
    assert frame.to_bytes() == bytes.fromhex(expected)


def test_what_the_agent_says_has_the_numbers_of_its_source():
    assert [(kind.name, kind.value) for kind in Kind if kind >= 64] == [
        ("READY", 64),
        ("OK", 65),
        ("ERROR", 66),
        ("OUTPUT", 67),
        ("ERROR_OUTPUT", 68),
        ("EXIT", 69),
    ]


def test_an_agent_that_is_not_there_refuses_what_wants_an_answer():
    request = agent.read_file(3, 7, "/a").to_bytes()
    answer = agent.refusal(request, agent.Failure(112, "it is off"))
    assert agent.parse_frames(answer) == (
        [Frame(Kind.ERROR, 3, 7, b"\x70\0\0\0it is off")],
        b"",
    )
    assert agent.refusal(agent.signal(7, 9).to_bytes(), agent.Failure(112, "it is off")) == b""


@given(frame=frames)
def test_a_frame_survives_the_way_there_and_back(frame):
    assert agent.parse_frames(frame.to_bytes()) == ([frame], b"")


@given(data=st.data(), sent=st.lists(frames, max_size=5))
def test_any_split_of_the_stream_gives_the_same_frames(data, sent):
    stream = b"".join(frame.to_bytes() for frame in sent)
    assert parse_in_pieces(agent.parse_frames, data.draw(pieces_of(stream))) == (sent, b"")


@given(frame=frames, following=frames, data=st.data())
def test_trailing_bytes_are_left_alone(frame, following, data):
    tail = following.to_bytes()
    tail = tail[: data.draw(st.integers(0, len(tail) - 1))]
    assert agent.parse_frames(frame.to_bytes() + tail) == ([frame], tail)


@given(garbage=st.binary(max_size=64))
def test_garbage_raises_nothing_but_a_protocol_error(garbage):
    for parse in (agent.parse_frames, agent.parse_failure, agent.parse_exit, agent.parse_node):
        try:
            parse(garbage)
        except ProtocolError as error:
            assert str(error).startswith("agent: ")


def test_an_unknown_frame_is_named_once_it_is_whole():
    unknown = bytes.fromhex("02000000 4600 0000 00000000 0000")
    assert agent.parse_frames(unknown[:-1]) == ([], unknown[:-1])
    with pytest.raises(ProtocolError, match="unknown frame 70"):
        agent.parse_frames(unknown)


def test_a_payload_has_at_most_a_mebibyte():
    longest = Frame(Kind.OUTPUT, 0, 1, bytes(1048576))
    assert agent.parse_frames(longest.to_bytes()) == ([longest], b"")
    with pytest.raises(ProtocolError, match="payload of 1048577 bytes, limit 1048576"):
        agent.parse_frames(bytes.fromhex("01001000 4300 0000 01000000"))


def test_a_request_that_no_frame_holds_is_the_callers_mistake():
    with pytest.raises(UsageError, match="1048602 bytes"):
        agent.spawn(1, 1, ["x" * 1048575], env={}).to_bytes()


def test_a_zero_byte_inside_a_string_is_the_callers_mistake():
    with pytest.raises(UsageError, match=r"zero byte inside 'a\\x00b'"):
        agent.read_file(1, 1, "a\0b")


def test_text_that_is_no_text_is_the_callers_mistake():
    with pytest.raises(UsageError, match="cannot be encoded"):
        agent.read_file(1, 1, "\ud800")


def test_a_path_that_is_not_utf8_reaches_the_guest_as_the_bytes_that_it_is():
    name = b"/\xff".decode(errors="surrogateescape")
    assert agent.read_file(1, 1, name).payload == b"/\xff\0"


def test_reports_are_read_as_the_agent_lays_them_out():
    assert agent.parse_failure(b"\x02\0\0\0execve /bin/\xff") == Failure(
        2, "execve /bin/\N{REPLACEMENT CHARACTER}"
    )
    assert agent.parse_exit(
        bytes.fromhex(
            "00010000 0200000000000000 0300000000000000"
            "0400000000000000 0500000000000000 0600000000000000"
        )
    ) == ExitReport(256, 2, 3, rss_max_bytes=4, waits=5, preemptions=6)
    assert agent.parse_node(bytes.fromhex("07000000 fcffffef")) == (7, 0xEFFFFFFC)


@pytest.mark.parametrize(
    ("parse", "size_bytes", "message"),
    [
        (agent.parse_failure, 3, "error of 3 bytes, needs 4"),
        (agent.parse_exit, 43, "exit report of 43 bytes, needs 44"),
        (agent.parse_node, 7, "node report of 7 bytes, needs 8"),
    ],
)
def test_a_report_that_is_cut_short_says_so(parse, size_bytes, message):
    with pytest.raises(ProtocolError, match=message):
        parse(bytes(size_bytes))


@pytest.mark.parametrize(
    ("wait_status", "signal", "status"),
    [
        (0, None, 0),
        (256, None, 1),
        (65280, None, 255),
        (9, 9, 137),
        (139, 11, 139),  # SIGSEGV with a core: the bit for the core is no signal
        (15, 15, 143),
    ],
)
def test_an_exit_is_told_as_a_shell_tells_it(wait_status, signal, status):
    report = ExitReport(wait_status, 0, 0)
    assert (report.signal, report.status) == (signal, status)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("message 3: Address already assigned", (3, "Address already assigned")),
        ("message 0: line one\nline two", (0, "line one\nline two")),
        ("entering the network of node 4", (None, "entering the network of node 4")),
        ("message x: y", (None, "message x: y")),
    ],
)
def test_a_refusal_names_the_message_that_it_is_about(text, expected):
    assert agent.parse_refusal(Failure(17, text)) == expected
