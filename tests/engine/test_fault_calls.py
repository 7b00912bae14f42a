# SPDX-License-Identifier: Apache-2.0
"""Faults given by calls: of a schedule, of the present, and undone by hand."""

from __future__ import annotations

import json
from dataclasses import fields

import pytest

from small_labs import SECOND_NS, options
from windtunnel.engine.lab import Lab
from windtunnel.errors import GuestError, LabFileErrors, StateError, UsageError
from windtunnel.model import fault
from windtunnel.model.fault import (
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
)
from windtunnel.model.impairment import Impairment

MS = 1_000_000


class Told:
    def __init__(self):
        self.events = []

    def event(self, time_ns, kind, node="", **values):
        self.events.append((time_ns, kind, node, values))

    def output(self, *_args, **_more):
        pass

    def faults(self):
        return [
            (time_ns, values["name"], values["phase"])
            for time_ns, kind, _, values in self.events
            if kind == "fault"
        ]


def pair():
    lab = Lab("broken", seed=1, memory="256 MiB")
    a, b = lab.node("a"), lab.node("b")
    lab.link(a, b, delay="1 ms", ip=("10.0.0.1/24", "10.0.0.2/24"))
    return lab


@pytest.fixture
def start(kernel_path):
    worlds = []

    def start(lab=None):
        told = Told()
        world = (lab or pair()).start(options=options(kernel_path), recorder=told)
        worlds.append(world)
        return world, told

    yield start
    for world in worlds:
        world.close()


def reaches(world, source="a", address="10.0.0.2"):
    return world.node(source).run(f"ping -q -n -c 1 -W 0.2 {address}").ok


# ---- of a schedule ----


def test_a_planned_fault_happens_at_its_time_whichever_call_lets_time_pass(start):
    lab = pair()
    lab.fault(LinkCut("a-b"), at="1 s", lasting="500 ms", every="2 s", until="3 s", name="cut")
    world, told = start(lab)
    world.node("a").run("sleep 1.2")
    assert not world.link("a-b").is_up
    world.step("500 ms")
    assert world.link("a-b").is_up
    assert world.run_until(lambda world: not world.link("a-b").is_up, "5 s")
    world.step(1)
    assert told.faults()[:2] == [(SECOND_NS, "cut", "begin"), (3 * SECOND_NS // 2, "cut", "end")]
    assert told.faults()[2] == (3 * SECOND_NS, "cut, 2", "begin")


@pytest.mark.parametrize(
    ("times", "said"),
    [
        ({"every": "1 s"}, "without `until`"),
        ({"every": "0 s", "until": "2 s"}, "never"),
        ({"every": 1, "until": "1 h"}, "more than 10000 times"),
    ],
)
def test_times_that_make_no_sense_are_refused(times, said):
    with pytest.raises(UsageError, match=said):
        pair().fault(LinkCut("a-b"), at="1 s", **times)


def test_a_fault_on_what_does_not_exist_is_found_before_anything_boots():
    lab = pair()
    lab.fault(LinkCut("a-c"), at="1 s")
    with pytest.raises(LabFileErrors, match="no link 'a-c'"):
        lab.spec()


def test_a_planned_fault_that_cannot_be_done_is_an_event(start):
    lab = pair()
    lab.fault(ProcessFault("a", "nobody", ProcessAction.KILL), at="1 s", name="gone")
    world, told = start(lab)
    world.step("2 s")
    assert told.faults() == [(SECOND_NS, "gone", "begin"), (SECOND_NS, "gone", "failed")]


# ---- of the present ----


@pytest.mark.parametrize(
    "action",
    [
        LinkCut("a-b"),
        LinkFlap("a-b", down_ns=300 * MS, up_ns=1),
        LinkDegrade("a-b", Impairment(loss=1.0)),
        OneWayLoss("a-b", "b"),
        Partition((("a",), ("b",))),
        NodePause("b"),
        NodeOff("b"),
    ],
    ids=lambda action: type(action).__name__,
)
def test_a_fault_breaks_the_network_until_it_is_undone(start, action):
    world, told = start()
    assert reaches(world)
    with world.fault(action, name="by hand"):
        assert not reaches(world)
        world.step("1 s")
        assert not reaches(world)
    world.step("2 s")  # a kernel believes in a carrier after a second
    assert reaches(world)
    assert [phase for _, _, phase in told.faults()] == ["begin", "end"]


def test_a_fault_may_end_by_itself_or_before_its_time(start):
    world, told = start()
    first = world.fault(LinkCut("a-b"), lasting="1 s", name="first")
    world.step("1 s")
    assert world.link("a-b").is_up
    first.undo()
    second = world.fault(LinkCut("a-b"), at="3 s", lasting="10 s", name="second")
    world.step("2 s")
    assert not world.link("a-b").is_up
    second.undo()
    assert world.link("a-b").is_up
    never = world.fault(LinkCut("a-b"), at="60 s", name="never")
    never.undo()
    world.step("60 s")
    assert [(name, phase) for _, name, phase in told.faults()] == [
        ("first", "begin"), ("first", "end"), ("second", "begin"), ("second", "end"),
    ]  # fmt: skip


def test_memory_and_processes(start):
    world, _ = start()
    node = world.node("a")
    hungry = "python3 -c 'bytearray(60 << 20)'"
    with world.fault(MemoryLimit("a", 30 << 20)):
        assert not node.run(hungry).ok
    assert node.run(hungry).ok
    server = node.popen("sleep 1000", name="server")
    killed = world.fault(ProcessFault("a", "server", ProcessAction.KILL))
    world.step(1000)
    assert server.wait().signal == 9
    killed.undo()
    world.step("10 ms")
    assert node.processes[-1].name == "server.2"
    assert node.processes[-1].running
    with world.fault(ProcessFault("a", "server.2", ProcessAction.STOP)):
        world.step("10 ms")
        state = world.base_of("a").read_file(f"/proc/{node.processes[-1].pid}/status").decode()
        assert "T (stopped)" in state
    world.fault(ProcessFault("a", "server.2", ProcessAction.RESTART))
    world.step("10 ms")
    assert node.processes[-1].name.startswith("server.2.") or node.processes[-1].running


def test_what_cannot_be_done_now_says_so(start):
    world, _ = start()
    with pytest.raises(StateError, match="no process 'nobody'"):
        world.fault(ProcessFault("a", "nobody", ProcessAction.STOP))
    with pytest.raises(StateError, match="no node 'c'"):
        world.fault(NodePause("c"))
    with pytest.raises(GuestError, match="kernel: own"):
        world.fault(fault.ClockStep("a", SECOND_NS))
    world.step("1 s")
    with pytest.raises(UsageError, match="in the past"):
        world.fault(LinkCut("a-b"), at="1 ms")
    assert reaches(world)


def test_every_kind_of_fault_is_data_that_a_call_takes():
    kinds = [kind for kind in vars(fault).values() if kind in fault.FaultAction.__args__]
    assert len(kinds) == 12
    assert all(fields(kind) for kind in kinds)


def test_the_same_calls_give_the_same_bytes(start):
    def story():
        lab = pair()
        lab.fault(LinkFlap("a-b", down_ns=10 * MS, up_ns=20 * MS), at="100 ms", lasting="1 s")
        world, told = start(lab)
        world.node("a").begin("ping -n -c 9 -i 0.1 10.0.0.2")
        world.fault(NodePause("b"), at="500 ms", lasting="100 ms")
        world.step("2 s")
        world.close()
        return json.dumps(told.events)

    assert story() == story()
