# SPDX-License-Identifier: Apache-2.0
import pytest
from hypothesis import given
from hypothesis import strategies as st

from windtunnel.errors import ProtocolError
from windtunnel.model.event import Event


def test_an_event_is_one_line_with_sorted_keys():
    event = Event(1200, 7, "process-exit", "r1", {"status": 0, "name": "zébra\n"})
    assert event.to_line() == (
        '{"fields":{"name":"zébra\\n","status":0},"kind":"process-exit","node":"r1",'
        '"sequence":7,"time_ns":1200}'
    )


@given(
    st.builds(
        Event,
        st.integers(-(10**9), 10**18),
        st.integers(0, 10**9),
        st.text(),
        st.text(),
        st.dictionaries(st.text(), st.none() | st.integers() | st.text()),
        st.text(),
        st.text(),
    )
)
def test_an_event_written_and_read_is_the_same(event):
    line = event.to_line()
    assert "\n" not in line
    assert Event.from_line(line) == event


def test_kernel_and_stream_are_written_only_where_they_say_something():
    event = Event(1, 2, "sched", "r1", {}, kernel="r1", stream="trace")
    assert event.to_line() == (
        '{"fields":{},"kernel":"r1","kind":"sched","node":"r1","sequence":2,"stream":"trace",'
        '"time_ns":1}'
    )
    old = Event.from_line('{"fields":{},"kind":"link","node":"","sequence":0,"time_ns":1}')
    assert (old.kernel, old.stream) == ("", "")


@given(st.integers(0, 60))
def test_a_line_that_a_killed_run_left_unfinished_is_refused(length):
    line = Event(1200, 7, "process-exit", "r1", {"status": 0}).to_line()
    with pytest.raises(ProtocolError, match="not an event"):
        Event.from_line(line[:length])


@pytest.mark.parametrize("line", ["[]", "3", "{}", '{"time_ns": 1}'])
def test_json_that_is_no_event_is_refused(line):
    with pytest.raises(ProtocolError, match="not an event"):
        Event.from_line(line)
