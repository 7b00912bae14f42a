# SPDX-License-Identifier: Apache-2.0
"""Faults of a lab, at their times: what they record, how they overlap, how processes are judged."""

from __future__ import annotations

import pytest

from small_labs import options, pair
from windtunnel.engine.run import run_lab
from windtunnel.errors import GuestError, ImpossibleFaultError
from windtunnel.model.fault import (
    ClockDrift,
    ClockStep,
    Fault,
    LinkCut,
    LinkDegrade,
    LinkFlap,
    MemoryLimit,
    NodeOff,
    NodePause,
    OneWayLoss,
    Partition,
    ProcessAction,
    ProcessFault,
    VolumeFault,
    VolumeMode,
)
from windtunnel.model.impairment import Impairment
from windtunnel.model.lab import Command, Expectation, Outcome, ProcessSpec, Step

SECOND_NS = 1_000_000_000
RUNNING = Expectation(Outcome.RUNNING)
# One line in each tenth of a second, with the number of the life in front.
TICK = "echo life >> /var/tmp/lives; n=$(wc -l < /var/tmp/lives); while sleep 0.1; do echo $n; done"


class Listener:
    """A recorder that keeps everything."""

    def __init__(self):
        self.events = []
        self.outputs = {}

    def event(self, time_ns, kind, node="", **fields):
        self.events.append((time_ns, kind, node, fields))

    def output(self, node, process, data, *, stderr):
        self.outputs.setdefault((node, process, stderr), b"")
        self.outputs[node, process, stderr] += data

    def faults(self):
        """Each fault's name and phase, at whole milliseconds."""
        return [
            (time_ns // 1_000_000, fields["name"], fields["phase"])
            for time_ns, kind, _, fields in self.events
            if kind == "fault"
        ]


@pytest.fixture(scope="module")
def run(kernel_path):
    """A function that runs the pair with faults: outcomes and listener."""

    def do(*faults, seconds=8, **changes):
        spec = pair(stop_ns=seconds * SECOND_NS, **changes)
        spec = type(spec)(**{**{k: getattr(spec, k) for k in spec.__slots__}, "faults": faults})
        listener = Listener()
        outcomes = run_lab(spec, options(kernel_path), listener, captures=lambda _name: print)
        return outcomes, listener

    return do


def at(seconds, action, name, *, lasts=None):
    return Fault(
        round(seconds * SECOND_NS), name, action, None if lasts is None else lasts * SECOND_NS
    )


def ping(name, seconds, expected):
    """A step: b is pinged from a at a time, and answers or does not."""
    command = "ping -n -q -c 4 -i 0.1 -W 0.3 10.0.0.2 >/dev/null; echo $((! $?))"
    return Step(
        round(seconds * SECOND_NS), name, Command("a", f"{command} | grep -x {int(expected)}")
    )


def checks(outcomes):
    return {check.name: check.passed for check in outcomes.checks}


def ticks(listener, process="tick", node="a"):
    return listener.outputs.get((node, process, False), b"").split()


@pytest.mark.parametrize(
    "action",
    [
        LinkCut("a-b"),
        LinkDegrade("a-b", Impairment(loss=1.0)),
        OneWayLoss("a-b", "a"),
        OneWayLoss("a-b", "b"),
        Partition((("a",), ("b",))),
        Partition((("b",),)),
        NodePause("b"),
        NodeOff("b"),
        LinkFlap("a-b", 2 * SECOND_NS, SECOND_NS // 10),
    ],
    ids=lambda action: type(action).__name__,
)
def test_a_fault_begins_at_its_time_and_is_undone(run, action):
    outcomes, listener = run(
        at(2, action, "it", lasts=2),
        steps=(ping("before", 1, True), ping("during", 2.5, False), ping("after", 5.5, True)),
    )
    assert checks(outcomes) == {"before": True, "during": True, "after": True}
    assert listener.faults() == [(2000, "it", "begin"), (4000, "it", "end")]


def test_an_event_of_a_fault_says_what_and_where(run):
    _, listener = run(
        at(1, ProcessFault("a", "tick", ProcessAction.KILL), "killed", lasts=1),
        at(1, OneWayLoss("a-b", "b"), "deaf"),
        processes=(ProcessSpec("tick", "a", TICK),),
        seconds=3,
    )
    told = [(node, fields) for _, kind, node, fields in listener.events if kind == "fault"]
    killed = {"name": "killed", "of": "process-kill", "target": "a/tick"}
    deaf = {"name": "deaf", "of": "one-way-loss", "target": "a-b from b", "phase": "begin"}
    assert told == [
        ("a", {**killed, "phase": "begin"}),
        ("", deaf),
        ("a", {**killed, "phase": "end"}),
    ]


def test_overlapping_faults_of_a_link_leave_it_right(run):
    slow = Impairment(delay_ns=50_000_000)
    outcomes, listener = run(
        at(1, LinkDegrade("a-b", slow), "slow", lasts=3),
        at(2, Partition((("a",), ("b",))), "apart", lasts=4),
        at(3, LinkCut("a-b"), "cut", lasts=2),
        steps=(
            ping("slow only", 1.2, True),
            ping("apart", 2.5, False),
            ping("still apart", 5.2, False),
            ping("well", 6.2, True),
            Step(
                7 * SECOND_NS,
                "as it was",
                Command("a", "tc qdisc show dev eth0 | grep 'delay 3ms  1ms loss 2%'"),
            ),
        ),
    )
    assert all(checks(outcomes).values())
    assert len(listener.faults()) == 6


def test_a_flap_goes_up_and_down_until_it_is_over(run):
    _, listener = run(at(1, LinkFlap("a-b", 300_000_000, 700_000_000), "flap", lasts=2), seconds=4)
    changes = [
        (time_ns // 1_000_000, fields["change"])
        for time_ns, kind, _, fields in listener.events
        if kind == "link"
    ]
    assert changes == [(1000, "down"), (1300, "up"), (2000, "down"), (2300, "up")]


def test_a_paused_process_prints_nothing_meanwhile(run):
    _, listener = run(
        at(2, NodePause("a"), "pause", lasts=3), processes=(ProcessSpec("tick", "a", TICK),)
    )
    times = [time_ns for time_ns, kind, _, _ in listener.events if kind == "output"]
    assert len(ticks(listener)) >= 45
    assert not [time_ns for time_ns in times if 2_010_000_000 < time_ns < 5_000_000_000]


def test_two_pauses_of_a_node_end_with_the_later(run):
    _, listener = run(
        at(1, NodePause("a"), "long", lasts=4),
        at(2, NodePause("a"), "short", lasts=1),
        processes=(ProcessSpec("tick", "a", TICK),),
        seconds=6,
    )
    times = [time_ns for time_ns, kind, _, _ in listener.events if kind == "output"]
    assert not [time_ns for time_ns in times if 1_010_000_000 < time_ns < 5_000_000_000]


# ---- processes ----


@pytest.mark.parametrize(
    ("fault", "lives"),
    [
        (at(2, ProcessFault("a", "tick", ProcessAction.KILL), "it", lasts=2), [b"1", b"2"]),
        (at(2, ProcessFault("a", "tick", ProcessAction.RESTART), "it"), [b"1", b"2"]),
        (at(2, ProcessFault("a", "tick", ProcessAction.STOP), "it", lasts=2), [b"1", b"1"]),
        (at(2, NodeOff("a"), "it", lasts=2), [b"1", b"2"]),
        (at(2, NodeOff("a", wipe=True), "it", lasts=2), [b"1", b"1"]),
    ],
    ids=["kill", "restart", "stop", "off", "wiped"],
)
def test_a_process_lives_again_when_the_fault_is_undone(run, fault, lives):
    outcomes, listener = run(fault, processes=(ProcessSpec("tick", "a", TICK, expect=RUNNING),))
    assert checks(outcomes) == {"tick": True}
    said = ticks(listener) + ticks(listener, "tick.2")
    assert [said[0], said[-1]] == lives
    alive_s = 8 if fault.for_ns is None else 6
    assert alive_s * 10 - 4 <= len(said) <= alive_s * 10


@pytest.mark.parametrize(
    ("expect", "why"),
    [
        (Expectation(Outcome.RUNNING), ""),
        (Expectation(Outcome.KILLED), ""),
        (
            Expectation(Outcome.EXITED),
            "expected it to exit with 0, but it has ended: the fault 'it' keeps it down",
        ),
    ],
    ids=["running", "killed", "exited"],
)
@pytest.mark.parametrize(
    "action",
    [ProcessFault("a", "tick", ProcessAction.KILL), NodeOff("a")],
    ids=["kill", "off"],
)
def test_a_process_that_a_fault_keeps_down_is_killed_and_no_failure(run, action, expect, why):
    outcomes, _ = run(
        at(1, action, "it"),
        processes=(ProcessSpec("tick", "a", TICK, expect=expect),),
        seconds=3,
    )
    (check,) = outcomes.checks
    assert (check.passed, check.message) == (not why, why)


def test_a_process_that_a_memory_limit_kills_has_failed(run):
    program = "import time\ntime.sleep(2)\nx = b'x' * (60 << 20)\ntime.sleep(100)"
    outcomes, listener = run(
        at(1, MemoryLimit("a", 32 << 20), "tight", lasts=2),
        processes=(
            ProcessSpec("eater", "a", f'exec python3 -c "{program}"', expect=RUNNING),
            ProcessSpec("tick", "a", TICK, expect=RUNNING),
        ),
        seconds=4,
    )
    assert checks(outcomes) == {"eater": False, "tick": True}
    assert outcomes.checks[0].message == (
        "expected it to be running, but it was killed by signal 9"
    )
    assert listener.faults() == [(1000, "tight", "begin"), (3000, "tight", "end")]


def test_a_process_whose_time_comes_while_its_node_is_off_begins_when_it_is_on(run):
    outcomes, listener = run(
        at(1, NodeOff("a"), "off", lasts=3),
        processes=(
            ProcessSpec("late", "a", TICK, start_ns=2 * SECOND_NS, expect=RUNNING),
            ProcessSpec("done", "a", "echo once"),
        ),
        seconds=6,
    )
    assert checks(outcomes) == {"late": True}
    starts = [
        (time_ns // 1_000_000, fields["process"])
        for time_ns, kind, _, fields in listener.events
        if kind == "process-start"
    ]
    # what had ended by itself is not run again
    assert starts == [(0, "done"), (4000, "late")]


@pytest.mark.parametrize(
    "restart",
    [
        at(2, ProcessFault("a", "tick", ProcessAction.RESTART), "again"),
        at(2, ProcessFault("a", "tick", ProcessAction.KILL), "again", lasts=1),
        at(0.5, ProcessFault("a", "tick", ProcessAction.KILL), "again", lasts=2),
    ],
    ids=["restart", "kill", "killed before"],
)
def test_a_life_that_is_due_while_its_node_is_paused_begins_when_it_goes_on(run, restart):
    outcomes, listener = run(
        at(1, NodePause("a"), "pause", lasts=3),
        restart,
        processes=(
            ProcessSpec("tick", "a", TICK, expect=RUNNING),
            ProcessSpec("late", "a", TICK, start_ns=3 * SECOND_NS, expect=RUNNING),
        ),
        seconds=6,
    )
    assert checks(outcomes) == {"tick": True, "late": True}
    starts = [
        (time_ns // 1_000_000, fields["process"])
        for time_ns, kind, _, fields in listener.events
        if kind == "process-start"
    ]
    assert sorted(starts) == [(0, "tick"), (4000, "late"), (4000, "tick.2")]


@pytest.mark.parametrize(
    ("action", "lasts", "start_ms"),
    [(NodePause("a"), None, []), (NodeOff("a"), 1, [3000])],
    ids=["paused for good", "booted unpaused"],
)
def test_a_life_that_is_due_in_a_pause_waits_for_its_end_or_for_a_boot(
    run, action, lasts, start_ms
):
    outcomes, listener = run(
        at(0, NodePause("a"), "pause"),
        at(2, action, "more", lasts=lasts),
        processes=(ProcessSpec("late", "a", TICK, start_ns=SECOND_NS, expect=RUNNING),),
        seconds=5,
    )
    assert checks(outcomes) == {"late": True}
    starts = [time_ns for time_ns, kind, _, _ in listener.events if kind == "process-start"]
    assert [time_ns // 1_000_000 for time_ns in starts] == start_ms


def test_a_process_that_is_killed_while_its_node_is_off_comes_back_with_the_later(run):
    outcomes, listener = run(
        at(1, NodeOff("a"), "off", lasts=2),
        at(2, ProcessFault("a", "tick", ProcessAction.KILL), "kill", lasts=4),
        processes=(ProcessSpec("tick", "a", TICK, expect=RUNNING),),
    )
    assert checks(outcomes) == {"tick": True}
    starts = [time_ns for time_ns, kind, _, _ in listener.events if kind == "process-start"]
    assert [time_ns // 1_000_000 for time_ns in starts] == [0, 6000]


def test_a_fault_that_cannot_be_done_as_things_are_is_recorded(run):
    outcomes, listener = run(
        at(1, ProcessFault("a", "once", ProcessAction.KILL), "dead already", lasts=1),
        at(2, NodeOff("a"), "off", lasts=2),
        at(3, NodePause("a"), "no pause", lasts=1),
        processes=(ProcessSpec("once", "a", "true"),),
        seconds=5,
    )
    assert outcomes.passed
    assert listener.faults() == [
        (1000, "dead already", "begin"),
        (1000, "dead already", "failed"),
        (2000, "off", "begin"),
        (3000, "no pause", "begin"),
        (3000, "no pause", "failed"),
        (4000, "off", "end"),
    ]
    messages = [
        fields["message"]
        for _, _, _, fields in listener.events
        if "phase" in fields and fields["phase"] == "failed"
    ]
    assert messages == ["the process once does not run", "it is off, and cannot be paused"]


@pytest.mark.parametrize(
    ("action", "what"),
    [
        (VolumeFault("a", "data", VolumeMode.FULL), "a volume"),
        (ClockStep("a", SECOND_NS), "a clock of its own"),
        (ClockDrift("a", 100), "a clock of its own"),
    ],
    ids=["volume", "step", "drift"],
)
def test_what_a_shared_kernel_cannot_have_names_node_time_and_remedy(run, action, what):
    with pytest.raises(ImpossibleFaultError) as caught:
        run(at(1, action, "it", lasts=1), seconds=3)
    assert str(caught.value) == (
        f"node a, at 1.000000000 s: it shares its kernel, and so has not {what} that could fail\n"
        "  give the node `kernel: own`"
    )
    assert isinstance(caught.value, GuestError)


def test_two_runs_with_every_kind_of_fault_give_the_same_bytes(run):
    faults = (
        at(0.5, LinkDegrade("a-b", Impairment(loss=0.3)), "lossy", lasts=5),
        at(1, NodePause("b"), "pause", lasts=1),
        at(1.5, OneWayLoss("a-b", "a"), "deaf", lasts=1),
        at(2, MemoryLimit("a", 64 << 20), "tight", lasts=1),
        at(2.5, ProcessFault("b", "tick", ProcessAction.STOP), "stop", lasts=1),
        at(3, NodeOff("b", wipe=True), "off", lasts=1),
        at(4.5, Partition((("a",),)), "apart", lasts=1),
        at(5, LinkFlap("a-b", 100_000_000, 100_000_000), "flap", lasts=1),
        at(6, ProcessFault("a", "ping", ProcessAction.RESTART), "restart"),
    )
    processes = (
        ProcessSpec("tick", "b", TICK),
        ProcessSpec("ping", "a", "ping -n -i 0.05 10.0.0.2"),
        ProcessSpec("random", "b", "while sleep 1; do head -c 8 /dev/urandom | od -x; done"),
        ProcessSpec("links", "a", "ip -s link; ip neigh; cat /proc/stat", start_ns=7 * SECOND_NS),
    )
    first, second = (run(*faults, processes=processes)[1] for _ in range(2))
    assert first.events == second.events
    assert first.outputs == second.outputs
    assert len(first.faults()) == 17
    assert b"64 bytes from" in first.outputs["a", "ping.2", False]
