# SPDX-License-Identifier: Apache-2.0
"""Our end of the conversation with an agent: the test plays the agent, in bytes."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies import pieces_of
from windtunnel.errors import ProtocolError
from windtunnel.machines.agent import FILE_CHUNK_BYTES, AgentChannel, ProcessHooks
from windtunnel.wire.agent import Failure, Frame, Kind, Namespaces, parse_frames


class Conversation:
    """A channel, what it has sent, and a clock that the test sets."""

    def __init__(self):
        self.sent = b""
        self.now_ns = 0
        self.channel = AgentChannel(send=self.take, now_ns=lambda: self.now_ns)

    def take(self, data):
        self.sent += data

    def frames(self):
        """What was sent since the last call."""
        frames, rest = parse_frames(self.sent)
        assert rest == b""
        self.sent = b""
        return frames

    def say(self, *frames):
        self.channel.receive(b"".join(frame.to_bytes() for frame in frames))

    def spawn(self, output=lambda data, error: None):
        process = self.channel.spawn(1, ["prog"], env={}, output=output)
        self.frames()
        return process


def ok(number, payload=b"", node=1):
    return Frame(Kind.OK, node, number, payload)


def error(number, code, text, node=1):
    return Frame(Kind.ERROR, node, number, struct.pack("<I", code) + text)


def ended(number, wait_status):
    return Frame(Kind.EXIT, 1, number, struct.pack("<I5Q", wait_status, 5, 6, 7, 8, 9))


@pytest.fixture
def talk():
    return Conversation()


def test_the_release_is_known_once_the_agent_is_ready(talk):
    assert talk.channel.release is None
    talk.say(Frame(Kind.READY, payload=b"7.3.1"))
    assert talk.channel.release == "7.3.1"


def test_a_request_is_answered_by_its_number(talk):
    one, two = talk.channel.read_file(1, "/a"), talk.channel.sysctl(1, [("a", "1")])
    assert [(frame.kind, frame.number) for frame in talk.frames()] == [
        (Kind.READ_FILE, 1),
        (Kind.SYSCTL, 2),
    ]
    talk.say(error(2, 2, b"a"))
    assert (one.done, two.done, two.failure.errno, two.failure.text) == (False, True, 2, "a")
    talk.say(Frame(Kind.OUTPUT, 1, 1, b"con"), Frame(Kind.OUTPUT, 1, 1, b"tent"), ok(1))
    assert (one.done, one.failure, bytes(one.data)) == (True, None, b"content")


def test_a_node_is_answered_by_the_nodes_number(talk):
    two = talk.channel.add_node(2, name="two", namespaces=Namespaces.MOUNT)
    three = talk.channel.add_node(3, name="three", namespaces=Namespaces.MOUNT)
    talk.say(ok(0, b"\x07\0\0\0\x08\0\0\0", node=3), error(0, 22, b"no", node=2))
    assert (three.payload, three.failure) == (b"\x07\0\0\0\x08\0\0\0", None)
    assert two.failure.text == "no"


def test_a_process_starts_prints_and_ends_at_its_times(talk):
    said = []
    talk.now_ns = 10
    process = talk.spawn(lambda data, error: said.append((data, error)))
    talk.now_ns = 20
    talk.say(ok(1, b"\x64\0\0\0"), Frame(Kind.OUTPUT, 1, 1, b"out"))
    talk.say(Frame(Kind.ERROR_OUTPUT, 1, 1, b"err"))
    assert not process.ended
    talk.now_ns = 30
    talk.say(ended(1, 256), Frame(Kind.OUTPUT, 1, 1, b"of a child"))
    assert said == [(b"out", False), (b"err", True), (b"of a child", False)]
    assert (process.ended, process.start_ns, process.end_ns) == (True, 10, 30)
    assert (process.exit.status, process.exit.user_ns, process.exit.system_ns) == (1, 5, 6)


def test_a_process_that_could_not_start_has_ended(talk):
    talk.now_ns = 10
    process = talk.spawn()
    talk.now_ns = 11
    talk.say(error(1, 2, b"prog"))
    assert (process.ended, process.exit, process.end_ns) == (True, None, 11)
    assert process.started.failure.text == "prog"


def test_who_asked_is_told_once_of_the_beginning_and_once_of_the_end(talk):
    told = []
    hooks = ProcessHooks(
        began=lambda process: told.append(("began", process.number, process.pid)),
        ended=lambda process: told.append(("ended", process.number, process.pid)),
    )
    for _ in range(2):
        talk.channel.spawn(1, ["prog"], env={}, output=lambda data, error: None, hooks=hooks)
    talk.say(ok(1, b"\x64\0\0\0"), error(2, 2, b"prog"), ended(1, 0))
    assert told == [("began", 1, 100), ("ended", 2, None), ("ended", 1, 100)]


def test_what_is_done_to_a_process_names_it(talk):
    talk.spawn()
    process = talk.spawn()
    talk.channel.feed(process, b"in")
    talk.channel.end_input(process)
    talk.channel.signal(process, 9)
    talk.channel.resize(process, rows=1, columns=2)
    talk.channel.power_off()
    assert talk.frames() == [
        Frame(Kind.INPUT, 1, 2, b"in"),
        Frame(Kind.INPUT_END, 1, 2),
        Frame(Kind.SIGNAL, 0, 2, b"\x09\0\0\0"),
        Frame(Kind.RESIZE, 0, 2, b"\1\0\0\0\2\0\0\0"),
        Frame(Kind.POWER_OFF),
    ]


def test_long_input_goes_in_several_frames(talk):
    process = talk.spawn()
    data = bytes(range(256)) * (FILE_CHUNK_BYTES // 256) + b"x"
    talk.channel.feed(process, data)
    frames = talk.frames()
    assert [len(frame.payload) for frame in frames] == [262144, 1]
    assert b"".join(frame.payload for frame in frames) == data


def pieces_written(frames):
    """(number, append, content) of each piece of a file."""
    found = []
    for frame in frames:
        _, append = struct.unpack_from("<II", frame.payload)
        path, owner, content = frame.payload[8:].split(b"\0", 2)
        assert (path, owner) == (b"/f", b"")
        found.append((frame.number, append, content))
    return found


def test_an_empty_file_is_written_too(talk):
    reply = talk.channel.write_file(1, "/f", b"")
    assert pieces_written(talk.frames()) == [(1, 0, b"")]
    talk.say(ok(1))
    assert (reply.done, reply.failure) == (True, None)


def test_a_long_file_goes_in_pieces_and_is_done_with_its_last(talk):
    content = b"a" * FILE_CHUNK_BYTES + b"b" * FILE_CHUNK_BYTES + b"c"
    reply = talk.channel.write_file(1, "/f", content)
    assert pieces_written(talk.frames()) == [
        (1, 0, b"a" * 262144),
        (2, 1, b"b" * 262144),
        (3, 1, b"c"),
    ]
    talk.say(ok(1), ok(2))
    assert not reply.done
    talk.say(ok(3))
    assert (reply.done, reply.failure) == (True, None)


@pytest.mark.parametrize("failing", [1, 2, 3])
def test_a_failure_of_any_piece_is_the_failure_of_the_file(talk, failing):
    reply = talk.channel.write_file(1, "/f", bytes(2 * FILE_CHUNK_BYTES + 1))
    talk.say(
        *(error(n, 28, b"writing /f") if n == failing else ok(n) for n in (1, 2, 3)),
    )
    assert (reply.done, reply.failure.errno) == (True, 28)


@given(data=st.data())
def test_reports_may_arrive_in_any_pieces(data):
    talk = Conversation()
    said = []
    process = talk.spawn(lambda data, error: said.append(data))
    frames = [ok(1), Frame(Kind.OUTPUT, 1, 1, b"one"), Frame(Kind.OUTPUT, 1, 1, b"two")]
    stream = b"".join(frame.to_bytes() for frame in [*frames, ended(1, 0)])
    for piece in data.draw(pieces_of(stream)):
        talk.channel.receive(piece)
    assert (said, process.ended) == ([b"one", b"two"], True)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (ok(7), "answer to request 7, which nobody made"),
        (ok(0, node=4), "answer to request 0, which nobody made"),
        (ended(7, 0), "end of process 7, which never began"),
        (Frame(Kind.SPAWN, 1, 1), "SPAWN is not for us"),
    ],
)
def test_what_makes_no_sense_is_a_broken_protocol(talk, frame, message):
    with pytest.raises(ProtocolError, match=message):
        talk.say(frame)


def test_output_of_nobody_is_dropped(talk):
    said = []
    process = talk.spawn(lambda data, error: said.append(data))
    talk.say(Frame(Kind.OUTPUT, 1, 7, b"late"), Frame(Kind.OUTPUT, 1, process.number, b"mine"))
    assert (said, talk.frames()) == ([b"mine"], [])


def test_numbers_are_never_used_again(talk):
    numbers = []
    for _ in range(3):
        process = talk.spawn()
        numbers.append(process.number)
        talk.say(ok(process.number), ended(process.number, 0))
    talk.channel.read_file(1, "/a")
    numbers.append(talk.frames()[0].number)
    assert numbers == [1, 2, 3, 4]


def test_a_lost_guest_kills_what_ran_and_refuses_what_was_asked(talk):
    ends = []
    running, coming, over = (
        talk.channel.spawn(
            1,
            [name],
            env={},
            output=lambda data, error: None,
            hooks=ProcessHooks(ended=lambda _process, name=name: ends.append(name)),
        )
        for name in ("running", "coming", "over")
    )
    asked = talk.channel.read_file(1, "/a")
    node = talk.channel.add_node(2, name="two", namespaces=Namespaces.MOUNT)
    half = ok(4).to_bytes()[:5]
    talk.say(
        Frame(Kind.READY, payload=b"7"), ok(1, b"\x64\0\0\0"), ok(3, b"\x65\0\0\0"), ended(3, 0)
    )
    talk.channel.receive(half)
    talk.now_ns = 50
    talk.channel.lost(Failure(112, "it is off"))
    assert talk.channel.release is None
    assert ends == ["over", "running", "coming"]
    assert (running.exit.signal, running.end_ns, over.exit.signal) == (9, 50, None)
    assert (coming.exit, coming.started.failure.text, coming.ended) == (None, "it is off", True)
    assert [(one.done, one.failure.errno) for one in (asked, node)] == [(True, 112)] * 2
    # the next guest's agent begins with a whole frame
    again = talk.channel.read_file(1, "/b")
    talk.say(Frame(Kind.READY, payload=b"8"), ok(5))
    assert (talk.channel.release, again.done, again.failure) == ("8", True, None)
