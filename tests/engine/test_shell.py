# SPDX-License-Identifier: Apache-2.0
"""A terminal in a node: what passes, what stands still, what is shown."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

import small_labs
from windtunnel.engine.shell import INTERRUPT, LabShell, MarkFilter
from windtunnel.errors import UsageError
from windtunnel.model.lab import Command, ProcessSpec, Step

PROMPT = b"\x1b]7770;p3\x07"
MORE = b"\x1b]7770;m\x07"
SECOND_NS = small_labs.SECOND_NS


def cut(data, places):
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[begin:end] for begin, end in itertools.pairwise(edges)]


@given(places=st.lists(st.integers(0, 100), max_size=6))
def test_marks_are_taken_out_however_the_stream_is_split(places):
    marks = MarkFilter()
    shown = b"".join(marks.feed(part) for part in cut(b"one\x1b[1m\r\n" + PROMPT + b"two", places))
    assert shown == b"one\x1b[1m\r\ntwo"
    assert marks.at_prompt
    assert marks.status == 3


@given(data=st.binary(max_size=60), places=st.lists(st.integers(0, 100), max_size=6))
def test_what_is_no_mark_comes_through_but_for_what_may_still_become_one(data, places):
    marks = MarkFilter()
    shown = b"".join(marks.feed(part) for part in cut(data, places))
    assert data.startswith(shown)
    assert shown + marks._held == data
    assert not marks.at_prompt


def test_a_mark_without_an_end_is_not_held_for_ever():
    marks = MarkFilter()
    text = b"\x1b]7770;" + b"x" * 100
    assert marks.feed(text) == text


def test_a_prompt_for_more_is_known_and_a_command_clears_it():
    marks = MarkFilter()
    marks.feed(MORE)
    assert (marks.at_prompt, marks.wants_more) == (True, True)
    marks.begin_command()
    assert (marks.at_prompt, marks.wants_more) == (False, False)


@pytest.mark.parametrize("sequence", [b"\x1b[?1049h", b"\x1b[?47h", b"\x1b[?1h"])
def test_a_program_that_takes_the_screen_is_noticed(sequence):
    marks = MarkFilter()
    marks.feed(b"x" + sequence)
    assert marks.owns_screen


@pytest.fixture
def open_shell(kernel_path, need_program):
    need_program("bash")
    need_program("stty")
    sessions = []

    def open_shell(spec=None, **kwargs):
        session = LabShell(spec or small_labs.pair(), small_labs.options(kernel_path), **kwargs)
        sessions.append(session)
        return session

    yield open_shell
    for session in sessions:
        session.close()


def do(session, line):
    """Enter a line, let time pass to its end; returns what the terminal shows."""
    outcome = session.enter(line)
    assert session.finish()
    return outcome.text + session.take_output().replace(b"\r\n", b"\n").decode()


def test_time_stands_still_at_the_prompt_and_passes_while_a_command_runs(open_shell):
    session = open_shell()
    begin_ns = session.world.now_ns
    assert do(session, "echo hello") == "hello\n"
    assert session.world.now_ns - begin_ns < SECOND_NS // 10
    do(session, "sleep 3")
    assert 3 * SECOND_NS <= session.world.now_ns - begin_ns < 3 * SECOND_NS + SECOND_NS // 10
    assert session.prompt.startswith("a 3.")


def test_lines_of_ours_let_time_pass_and_change_the_node(open_shell):
    session = open_shell()
    do(session, ":at 5 s")
    assert do(session, ":at") == "5.000000000 s"
    do(session, ":sleep 250 ms")
    assert session.world.now_ns == 5_250_000_000
    assert do(session, ":nodes") == "a\nb"
    do(session, "X=kept")
    do(session, ":node b")
    assert do(session, "hostname; echo [$X]") == "b\n[]\n"
    do(session, ":node a")
    assert do(session, "hostname; echo [$X]") == "a\n[kept]\n"
    assert ":sleep" in do(session, ":help")
    assert session.enter(":quit").leave


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (":slep 1 s", "did you mean ':sleep'"),
        (":node c", "the nodes are a, b"),
        (":sleep 5", "unit"),
        (":at soon", ":at soon"),
    ],
)
def test_a_wrong_line_says_what_would_be_right(open_shell, line, said):
    with pytest.raises(UsageError) as caught:
        open_shell().enter(line)
    assert said in str(caught.value)


def test_a_wrong_node_is_refused_before_anything_boots(kernel_path):
    with pytest.raises(UsageError, match="no node 'aa'"):
        LabShell(small_labs.pair(), small_labs.options(kernel_path), node="aa")


def test_the_lab_goes_on_at_its_times(open_shell):
    session = open_shell(
        small_labs.pair(
            processes=(ProcessSpec("mark", "a", "date +%s.%N > /tmp/mark", start_ns=SECOND_NS),),
            steps=(Step(2 * SECOND_NS, "a step", Command("a", "test -e /tmp/mark")),),
        )
    )
    assert do(session, "ls /tmp/mark").startswith("ls: cannot access")
    assert session.status == 2
    do(session, "sleep 1.5")
    assert do(session, "cat /tmp/mark").startswith("1893456001.00")
    do(session, ":sleep 1 s")
    assert [line.split("] ")[1] for line in session.take_news()] == [
        "a: mark exited (0)",
        "a: a step exited (0)",
        "a: a step passed",
    ]


def test_a_command_of_many_lines_and_its_status(open_shell):
    session = open_shell()
    assert do(session, "for i in 1 2; do") == ""
    assert session.prompt == "> "
    do(session, "echo $i")
    assert do(session, "done; false") == "1\n2\n"
    assert session.status == 1


def test_ctrl_c_ends_the_command_and_not_the_shell(open_shell):
    session = open_shell()
    session.enter("sleep 1000")
    session.advance(SECOND_NS)
    assert session.busy
    session.type(INTERRUPT)
    assert session.finish(SECOND_NS)
    assert session.status == 130
    assert do(session, "echo alive").endswith("alive\n")


def test_what_is_typed_reaches_the_command_and_is_echoed_once(open_shell):
    session = open_shell()
    session.enter("read line; echo got $line")
    session.advance(SECOND_NS // 100)
    session.type(b"some words\n")
    assert session.finish(SECOND_NS)
    assert session.take_output() == b"some words\r\ngot some words\r\n"


def test_the_size_of_the_terminal_is_the_users_and_follows_it(open_shell):
    session = open_shell(size=(33, 77), terminal="vt100")
    assert do(session, "stty size; echo $TERM") == "33 77\nvt100\n"
    session.resize(rows=20, columns=50)
    assert do(session, "stty size") == "20 50\n"


def test_exit_ends_the_session_with_its_status(open_shell):
    session = open_shell()
    do(session, "exit 7")
    assert session.ended
    assert session.status == 7


def test_a_command_without_an_end_is_given_up_after_its_limit(open_shell):
    session = open_shell()
    session.enter("cat")
    assert not session.finish(2 * SECOND_NS)
    assert session.busy


def test_a_session_from_a_script_is_the_same_each_time(open_shell):
    script = [
        "ip -br address",
        "ping -n -c 2 -i 0.2 10.0.0.2 | tail -2",
        ":sleep 5 s",
        "head -c 8 /dev/urandom | od; date +%N",
        ":node b",
        "ip -s link; echo $$; tty",
    ]

    def story():
        session = open_shell()
        shown = [do(session, line) for line in script]
        session.close()
        return shown, session.world.grants

    first = story()
    assert "10.0.0.1/24" in first[0][0]
    assert first == story()


# ---- breakpoints ----


def faulty_pair():
    return small_labs.pair(
        processes=(ProcessSpec("mark", "b", "echo here", start_ns=3 * SECOND_NS),),
        steps=(Step(4 * SECOND_NS, "a step", Command("a", "true")),),
    )


def stops(session, line):
    """Enter a line, let time pass; gives the breakpoints that were told."""
    if session.enter(line).runs:
        session.finish()
    return [news for news in session.take_news() if "breakpoint" in news]


def test_a_breakpoint_on_a_time_stops_a_command_at_that_very_instant(open_shell):
    session = open_shell()
    assert session.enter(":break 1.234567891 s").text == "1: 1.234 s"
    assert stops(session, "sleep 5; echo woken") == ["[1.234 s] breakpoint 1: 1.234 s"]
    assert session.world.now_ns == 1_234_567_891
    assert session.prompt == "a 1.234 s, a command runs # "
    with pytest.raises(UsageError, match="a command still runs on a"):
        session.enter("echo too early")
    assert stops(session, ":step 1 ns") == []
    assert (session.world.now_ns, session.busy) == (1_234_567_892, True)
    assert stops(session, ":continue") == []
    assert session.take_output() == b"woken\r\n"
    assert session.world.now_ns > 5 * SECOND_NS


def test_a_breakpoint_on_an_event_stops_at_its_instant_each_time(open_shell):
    session = open_shell(faulty_pair())
    do(session, ":break event process node=b")
    do(session, ":break event step")
    do(session, ":break 3.5 s")
    (hit,) = stops(session, ":sleep 10 s")
    assert "] breakpoint 1: event process-start node=b process=mark command=echo here pid=" in hit
    assert 3 * SECOND_NS <= session.world.now_ns < 3 * SECOND_NS + SECOND_NS // 100
    (hit,) = stops(session, ":continue")
    assert "event process-exit node=b process=mark outcome=exited status=0" in hit
    assert stops(session, ":continue") == ["[3.500 s] breakpoint 3: 3.500 s"]
    assert session.enter(":breaks").text == "1: event process node=b\n2: event step"
    do(session, ":delete 1")
    do(session, ":delete all")
    assert session.enter(":breaks").text == "no breakpoints"
    assert stops(session, ":sleep 2 s") == []


def test_breakpoints_change_nothing_in_the_lab(open_shell):
    def story(*lines):
        session = open_shell(small_labs.busy_pair())
        for line in lines:
            stops(session, line)
        while session.world.now_ns < 3 * SECOND_NS:
            stops(session, f":at {3 * SECOND_NS} ns")
        shown = do(session, "head -c 8 /dev/urandom | od; date +%N; cat /proc/stat; echo $$")
        session.close()
        return shown

    plain = story()
    assert story(":break 1.1 s", ":break event process", ":break 20 ms") == plain


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (":break", "needs a time, or an event"),
        (":break 5", "unit"),
        (":break 0 s", "0 s is past"),
        (":break event falt", "did you mean 'fault'"),
        (":break event fault now", "'now' is no field"),
        (":delete 7", "there is no breakpoint '7'"),
        (":continue", "nothing would stop it"),
    ],
)
def test_a_wrong_breakpoint_is_refused_in_words(open_shell, line, said):
    with pytest.raises(UsageError) as caught:
        open_shell().enter(line)
    assert said in str(caught.value)
