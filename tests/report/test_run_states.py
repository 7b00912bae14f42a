# SPDX-License-Identifier: Apache-2.0
"""What a run's page concludes from a run: states of links, rows, rates, round trips, flows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import page_runs
from page_runs import MS, PINGS, A, B, S, capture, counters, fault, link, record, tcp
from windtunnel.model.event import Event
from windtunnel.report.run.flows import ROWS_MAX, flows_json, flows_of
from windtunnel.report.run.numbers import thinned
from windtunnel.report.run.packets import read_captures
from windtunnel.report.run.record import read_record
from windtunnel.report.run.roundtrip import round_trips_of
from windtunnel.report.run.states import moments_of
from windtunnel.report.run.throughput import throughput_of
from windtunnel.report.run.timeline import timeline_of


def states(tmp_path, events=page_runs.EVENTS):
    """What changed at each moment, by its second."""
    moments, _ = moments_of(read_record(record(tmp_path, events)))
    return {one.time_ns / S: one.states for one in moments if one.states}


def test_overlapping_faults_end_in_any_order_and_the_rest_holds(tmp_path):
    found = states(tmp_path)
    assert found == {
        2.0: {"link:a-b": "down"},
        3.0: {"node:c": "paused"},
        4.0: {"node:c": "up", "link:a-b": "down"},
        5.0: {"link:b-c": "worse"},
        6.0: {"link:b-c": "up", "link:a-b": "down"},  # the partition still cuts it
        8.0: {"link:a-b": "up"},
    }


def test_a_link_that_a_program_changes_is_changed_down_or_loses(tmp_path):
    lab = "name: pair\nnodes: {a: {}, b: {}}\nlinks: [{name: a-b, endpoints: [a:eth0, b:eth0]}]\n"
    events = (
        link(1 * S, "a-b", "down"),
        link(2 * S, "a-b", "up"),
        link(3 * S, "a-b", {"lose": "a"}),
        link(4 * S, "a-b", {"restore": "a"}),
        link(5 * S, "a-b", "impairment"),
        Event(6 * S, 0, "node", "a", {"change": "off"}),
        Event(7 * S, 0, "node", "a", {"change": "on"}),
        Event(8 * S, 0, "finding", "b", {"message": "gone"}),
    )
    moments, left = moments_of(read_record(record(tmp_path, events, lab_text=lab)))
    assert left == 0
    assert [list(one.states.values()) for one in moments[1:]] == [
        ["down"], ["up"], ["worse"], ["up"], ["changed"], ["off"], ["up"], ["dead"],
    ]  # fmt: skip
    assert moments[-1].is_bad


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("the kernel died: oops; its console says:", "the kernel died: oops"),
        ("it stood still; it last ran:", "it stood still"),
        ("no answer; and none since", "no answer; and none since"),
        ("it said:", "it said:"),
    ],
)
def test_a_moment_does_not_introduce_what_does_not_follow(tmp_path, message, told):
    events = (Event(8 * S, 0, "finding", "b", {"message": message}),)
    moments, _ = moments_of(read_record(record(tmp_path, events)))
    assert moments[-1].texts == [f"the run ends: {told}"]


def test_too_many_moments_lose_those_that_change_nothing(tmp_path):
    passed = [page_runs.check(at, f"check {at}", True) for at in range(1, 2000)]
    cut = [fault(3000, "cut", "begin"), fault(4000, "cut", "end")]
    moments, left = moments_of(read_record(record(tmp_path, [*passed, *cut])))
    assert [one.time_ns for one in moments] == [0, 3000, 4000]
    assert left == 1999


def test_rows_are_faults_then_nodes_and_tries_of_a_step_are_one_row(tmp_path):
    rows, left = timeline_of(read_record(record(tmp_path)))
    assert left == 0
    shown = [(row.group, row.name, [bar.kind for bar in row.bars]) for row in rows]
    assert shown == [
        ("faults", "cut", ["fault"]),
        ("faults", "freeze", ["fault"]),
        ("faults", "split", ["fault"]),
        ("faults", "bad", ["fault"]),
        ("a", "checks", ["passed", "failed"]),
        ("a", "ready", ["died", "ran"]),
        ("b", "server", ["died"]),
    ]
    assert (rows[0].bars[0].start_ns, rows[0].bars[0].end_ns) == (2 * S, 6 * S)


def test_a_fault_that_never_ends_and_one_that_fails_are_told_apart(tmp_path):
    events = (fault(S, "cut", "begin"), fault(2 * S, "bad", "failed", message="no such link"))
    rows, _ = timeline_of(read_record(record(tmp_path, events)))
    assert rows[0].bars[0].end_ns is None
    assert rows[1].bars[0].kind == "failed"
    assert "no such link" in rows[1].bars[0].text


def test_throughput_is_the_mean_between_samples_and_a_counter_may_begin_anew(tmp_path):
    events = (
        *page_runs.EVENTS[-4:-2],
        counters(30 * S, "a", 0, 10),
        counters(40 * S, "a", 125, 10),
    )
    (curve,), left = throughput_of(read_record(record(tmp_path, events)))
    assert (curve["name"], left) == ("a:eth0", 0)
    mbit = 1_000_000
    assert curve["received"] == [
        [0, mbit, mbit],
        [10 * S, mbit, mbit],
        [20 * S, 2 * mbit, 2 * mbit],
        [40 * S, 100, 100],
    ]


times = st.lists(st.tuples(st.integers(0, 10**13), st.integers(0, 10**12)), min_size=1).map(sorted)


@given(values=times, points_max=st.integers(1, 20))
def test_a_thinned_curve_keeps_the_extremes_and_has_few_points(values, points_max):
    points = thinned(values, points_max=points_max)
    assert len(points) <= points_max
    assert max(point[2] for point in points) == max(value for _, value in values)
    assert min(point[1] for point in points) == min(value for _, value in values)
    assert [point[0] for point in points] == sorted(point[0] for point in points)


def test_an_echo_and_its_reply_are_a_round_trip_where_it_was_sent(tmp_path):
    run = record(tmp_path, captures={"a-b": capture(*PINGS)})
    (curve,), left = round_trips_of(read_captures(read_record(run)))
    assert left == 0
    assert curve == {
        "name": "a:eth0, icmp to 10.0.0.2",
        "count": 1,
        "points": [[S + 10 * MS, 10 * MS, 10 * MS]],
    }


def test_what_tcp_sent_twice_gives_no_round_trip(tmp_path):
    end = (1 << 32) - 50  # numbers go round
    seen = [
        (S, 0, tcp(A, B, seq=end, size=100), True),
        (S + 10 * MS, 0, tcp(B, A, seq=1, ack=50), False),
        (2 * S, 0, tcp(A, B, seq=50, size=100), True),
        (3 * S, 0, tcp(A, B, seq=50, size=100), True),
        (3 * S + 1, 0, tcp(B, A, seq=1, ack=150), False),
        (4 * S, 0, tcp(A, B, seq=150, size=10), True),
        (4 * S + 1, 0, tcp(A, B, seq=160, size=10), True),
        (4 * S + 3, 0, tcp(B, A, seq=1, ack=170), False),
        (5 * S, 0, tcp(B, A, seq=1, ack=170), False),
    ]
    run = record(tmp_path, captures={"a-b": capture(*seen)})
    (curve,), _ = round_trips_of(read_captures(read_record(run)))
    assert curve["points"] == [[S + 10 * MS] + [10 * MS] * 2, [4 * S + 3, 2, 2]]


def test_a_frame_that_both_ends_saw_is_one_row_of_a_ladder(tmp_path):
    run = record(tmp_path, captures={"a-b": capture(*PINGS)})
    found = flows_json(flows_of(read_captures(read_record(run))), ("a", "b", "c"))
    (flow,) = found["flows"]
    assert flow["name"] == "icmp 10.0.0.1 ↔ 10.0.0.2"
    assert flow["columns"] == ["a", "b"]
    assert flow["rows"] == [
        [S, S + 5 * MS, 0, 1, "echo request, id 1, seq 1", ""],
        [S + 5 * MS, S + 10 * MS, 1, 0, "echo reply, id 1, seq 1", ""],
        [2 * S, None, 0, 1, "echo request, id 1, seq 2", ""],
    ]


def test_tcp_numbers_are_counted_from_the_first(tmp_path):
    seen = [
        (1, 0, tcp(A, B, seq=1000, flags=2), True),
        (2, 0, tcp(B, A, seq=5000, ack=1001, flags=2), False),
        (3, 0, tcp(A, B, seq=1001, ack=5001, size=7, flags=8), True),
    ]
    run = record(tmp_path, captures={"a-b": capture(*seen)})
    (flow,) = flows_of(read_captures(read_record(run)))
    rows = flows_json([flow], ("a", "b"))["flows"][0]["rows"]
    assert [row[4] for row in rows] == [
        "SYN, seq 0, 0 B",
        "SYN ACK, seq 0, ack 1, 0 B",
        "PSH ACK, seq 1, ack 1, 7 B",
    ]


def test_a_long_ladder_loses_its_middle_and_says_so(tmp_path):
    seen = [(at, 0, tcp(A, B, seq=at, size=1), True) for at in range(1000)]
    run = record(tmp_path, captures={"a-b": capture(*seen, comment="lost")})
    (flow,) = flows_json(flows_of(read_captures(read_record(run))), ("a", "b"))["flows"]
    assert (flow["count"], flow["left"], len(flow["rows"])) == (1000, 800, ROWS_MAX)
    assert flow["rows"][flow["cut"] - 1][0] == 149
    assert flow["rows"][flow["cut"]][0] == 950
    assert flow["rows"][-1][5] == "lost"
