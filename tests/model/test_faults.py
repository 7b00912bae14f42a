# SPDX-License-Identifier: Apache-2.0
"""From the faults of a lab file to a list of faults, one by one."""

from dataclasses import replace

import pytest

from windtunnel.errors import LabFileErrors
from windtunnel.model.check import check_spec
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
from windtunnel.model.flatten import lab_to_yaml
from windtunnel.model.impairment import Impairment
from windtunnel.model.lab import Endpoint, LabSpec, LinkSpec, NodeSpec, ProcessSpec, VolumeSpec

S = 10**9
HEAD = """\
name: x
stop: 60 s
nodes: {r1: {kernel: own}, r2: {kernel: own, volumes: {data: {size: 8 MB, path: /d}}}, r3: }
links: [[r1, r2], {endpoints: [r2, r3], delay: 10 ms}]
run: [{node: r2, name: ospfd, cmd: ospfd}]
steps: [{at: 20 s, link: r2-r3, set: {loss: 1%}}]
"""


@pytest.mark.parametrize(
    ("text", "name", "action", "for_ns"),
    [
        ("link: r1-r2, down: 5 s", "r1-r2 down at 30 s", LinkCut("r1-r2"), 5 * S),
        ("link: r1-r2, down: true, for: 5 s", "r1-r2 down at 30 s", LinkCut("r1-r2"), 5 * S),
        ("link: r1-r2, down: true", "r1-r2 down at 30 s", LinkCut("r1-r2"), None),
        (
            "link: r1-r2, flap: {down: 100 ms, up: 1 s}",
            "r1-r2 flap at 30 s",
            LinkFlap("r1-r2", 100_000_000, S),
            None,
        ),
        (
            "link: r1-r2, one_way: r2, for: 1 s",
            "r1-r2 one_way r2 at 30 s",
            OneWayLoss("r1-r2", "r2"),
            S,
        ),
        (
            "partition: [[r1, r2], [r3]], for: 1 s",
            "partition r1 r2 | r3 at 30 s",
            Partition((("r1", "r2"), ("r3",))),
            S,
        ),
        ("node: r3, pause: 1 s", "r3 pause at 30 s", NodePause("r3"), S),
        ("node: r3, off: 1 s", "r3 off at 30 s", NodeOff("r3"), S),
        (
            "node: r3, off: 1 s, wipe: true",
            "r3 off and wipe at 30 s",
            NodeOff("r3", wipe=True),
            S,
        ),
        (
            "node: r2, kill: ospfd",
            "r2 kill ospfd at 30 s",
            ProcessFault("r2", "ospfd", ProcessAction.KILL),
            None,
        ),
        (
            "node: r2, stop: ospfd, for: 1 s",
            "r2 stop ospfd at 30 s",
            ProcessFault("r2", "ospfd", ProcessAction.STOP),
            S,
        ),
        (
            "node: r2, restart: ospfd",
            "r2 restart ospfd at 30 s",
            ProcessFault("r2", "ospfd", ProcessAction.RESTART),
            None,
        ),
        (
            "node: r2, memory: 64 MiB, for: 1 s",
            "r2 memory 64 MiB at 30 s",
            MemoryLimit("r2", 64 << 20),
            S,
        ),
        (
            "node: r2, full: data, for: 1 s",
            "r2 full data at 30 s",
            VolumeFault("r2", "data", VolumeMode.FULL),
            S,
        ),
        (
            "node: r2, errors: data, for: 1 s",
            "r2 errors data at 30 s",
            VolumeFault("r2", "data", VolumeMode.ERRORS),
            S,
        ),
        ("node: r1, clock: -1 h", "r1 clock -1 h at 30 s", ClockStep("r1", -3600 * S), None),
        (
            "node: r1, drift: -200 ppm, for: 1 min",
            "r1 drift -200 ppm at 30 s",
            ClockDrift("r1", -200),
            60 * S,
        ),
    ],
)
def test_each_fault_of_the_file_is_read_named_and_written_again(load, text, name, action, for_ns):
    lab = load(f"{HEAD}faults: [{{at: 30 s, {text}}}]")
    assert lab.faults == (Fault(30 * S, name, action, for_ns),)
    assert load(lab_to_yaml(lab)) == lab


def test_degrade_adds_to_what_the_steps_before_it_left(load):
    degrade = "link: r2-r3, degrade: {duplicate: 2%, backward: {rate: 1 Mbit}}, for: 1 s"
    lab = load(f"{HEAD}faults: [{{at: 19 s, {degrade}}}, {{at: 20 s, {degrade}}}]")
    before, after = (
        Impairment(delay_ns=10_000_000, loss=loss, duplicate=0.02) for loss in (0.0, 0.01)
    )
    assert [fault.action for fault in lab.faults] == [
        LinkDegrade("r2-r3", before, replace(before, rate_bps=1_000_000)),
        LinkDegrade("r2-r3", after, replace(after, rate_bps=1_000_000)),
    ]
    assert load(lab_to_yaml(lab)) == lab


def test_degrade_knows_what_the_backward_direction_was(load):
    lab = load(
        """
name: x
stop: 60 s
nodes: {a: , b: }
links: [{endpoints: [a, b], name: l, backward: {loss: 1%}}]
steps:
  - {at: 5 s, link: l, set: {forward: {corrupt: 1%}}}
  - {at: 6 s, link: l, down: true}
faults: [{at: 9 s, link: l, degrade: {delay: 1 s}}]
"""
    )
    assert lab.faults[0].action == LinkDegrade(
        "l", Impairment(delay_ns=S, corrupt=0.01), Impairment(delay_ns=S, loss=0.01)
    )


def test_faults_are_in_the_order_of_time_and_of_the_file(load):
    lab = load(
        HEAD + "faults: [{at: 2 s, node: r1, pause: 1 s}, {at: 1 s, node: r3, pause: 1 s},"
        " {at: 1 s, node: r2, pause: 1 s}]"
    )
    assert [fault.name for fault in lab.faults] == [
        "r3 pause at 1 s",
        "r2 pause at 1 s",
        "r1 pause at 2 s",
    ]


@pytest.mark.parametrize(
    ("until", "times"),
    [("", [10, 30, 50]), ("until: 50 s,", [10, 30, 50]), ("until: 49 s,", [10, 30])],
)
def test_a_repeated_fault_is_written_out_until_its_end_or_the_labs(load, until, times):
    lab = load(HEAD + f"faults: [{{at: 10 s, every: 20 s, {until} node: r1, pause: 1 s, name: p}}]")
    assert [fault.at_ns for fault in lab.faults] == [at * S for at in times]
    assert [fault.name for fault in lab.faults] == ["p", "p 2", "p 3"][: len(times)]


def test_a_fault_that_is_repeated_to_the_stop_does_not_begin_at_it(load):
    lab = load(HEAD + "faults: [{at: 20 s, every: 20 s, node: r1, pause: 1 s}]")
    assert [fault.name for fault in lab.faults] == ["r1 pause at 20 s", "r1 pause at 40 s"]


def test_repetition_without_any_end_is_an_error(errors_of):
    text = HEAD.replace("stop: 60 s\n", "")
    assert errors_of(text + "faults: [{at: 20 s, every: 20 s, node: r1, pause: 1 s}]") == [
        "lab.yaml:6:28: the fault is repeated without end\n  give until, or the lab a stop"
    ]


def test_more_faults_than_a_lab_may_have_are_an_error(errors_of):
    part = "{at: 1 s, every: 8 ms, node: r%d, pause: 1 ms}"
    text = HEAD + f"faults: [{part % 1}, {part % 2}]"
    assert errors_of(text) == [
        "lab.yaml:7:9: the lab has 14750 faults, more than 10000\n  repeat them less often"
    ]


def test_a_fault_may_begin_when_another_one_ends_and_outlast_the_lab(load):
    lab = load(HEAD + "faults: [{at: 1 s, node: r1, pause: 9 s}, {at: 10 s, node: r1, off: 99 s}]")
    assert len(lab.faults) == 2


@pytest.mark.parametrize(
    "faults",
    [
        "{at: 1 s, node: r2, pause: 9 s}, {at: 2 s, node: r2, kill: ospfd}",
        "{at: 1 s, node: r2, kill: ospfd}, {at: 2 s, node: r2, kill: ospfd, for: 1 s}",
        "{at: 1 s, node: r1, clock: +5 s, for: 9 s}, {at: 2 s, node: r1, clock: +5 s}",
        "{at: 1 s, node: r1, clock: +5 s, for: 9 s}, {at: 2 s, node: r1, drift: 5 ppm}",
        "{at: 1 s, link: r1-r2, one_way: r1}, {at: 2 s, link: r1-r2, one_way: r2}",
        "{at: 1 s, link: r1-r2, down: 5 s}, {at: 2 s, link: r1-r2, degrade: {loss: 1%}}",
    ],
)
def test_faults_that_do_not_get_in_each_others_way_may_overlap(load, faults):
    assert len(load(f"{HEAD}faults: [{faults}]").faults) == 2


def test_two_names_that_are_the_same_at_first_become_different(load):
    lab = load(
        HEAD + "faults: [{at: 1 s, node: r1, clock: +5 s}, {at: 1 s, node: r1, clock: +5 s}]"
    )
    assert [fault.name for fault in lab.faults] == [
        "r1 clock +5 s at 1 s",
        "r1 clock +5 s at 1 s 2",
    ]


def test_a_long_name_is_cut(load):
    nodes = ", ".join(f"node-number-{i}" for i in range(9))
    all_nodes = nodes.replace(",", ": ,")
    lab = load(
        f"name: x\nnodes: {{{all_nodes}: , z: }}\nfaults: [{{at: 1500 ms, partition: [[{nodes}]]}}]"
    )
    assert lab.faults[0].name == "partition node-number-0 node-number-1 node-number… at 1.5 s"


def test_a_schedule_that_is_cut_down_is_a_lab_again(load):
    lab = load(
        HEAD.replace("steps", "x-steps")
        + "faults: [{at: 1 s, every: 10 s, link: r1-r2, down: 5 s},"
        " {random: {kinds: [pause, partition], rate: 10/min, for: [1 s, 5 s]}}]"
    )
    assert len(lab.faults) > 9
    for count in range(len(lab.faults)):
        kept = lab.faults[:count][::2]
        stop_ns = max((fault.at_ns for fault in kept), default=0) + S
        shorter = replace(lab, faults=kept, stop_ns=stop_ns)
        assert load(lab_to_yaml(shorter)) == shorter


AB = LabSpec(
    "x",
    nodes=(NodeSpec("a"), NodeSpec("b")),
    links=(LinkSpec("l", (Endpoint("a", "eth0"), Endpoint("a", "eth1"))),),
)


@pytest.mark.parametrize(
    ("lab", "message"),
    [
        (
            replace(AB, faults=(Fault(-1, "f", NodePause("a")),)),
            "the fault is at -1 ns\n  the lab begins at 0 s",
        ),
        (
            replace(AB, faults=(Fault(2, "f", NodePause("a")), Fault(1, "g", NodePause("b")))),
            "the faults are not in the order of time",
        ),
        (
            replace(AB, faults=(Fault(1, "f", MemoryLimit("c", 1 << 30)),)),
            "no node 'c'\n  the nodes are a, b",
        ),
        (
            replace(AB, faults=(Fault(1, "f", VolumeFault("c", "v", VolumeMode.FULL)),)),
            "no node 'c'\n  the nodes are a, b",
        ),
        (
            replace(AB, faults=(Fault(1, "f", ProcessFault("c", "p", ProcessAction.STOP)),)),
            "no node 'c'\n  the nodes are a, b",
        ),
        (
            replace(AB, faults=(Fault(1, "f", ClockDrift("c", 1)),)),
            "no node 'c'\n  the nodes are a, b",
        ),
        (
            replace(AB, faults=(Fault(1, "f", OneWayLoss("l", "a")),)),
            "both ends of the link 'l' are at 'a'\n  write 'degrade: {forward: {loss: 100%}}'",
        ),
        (
            replace(AB, faults=(Fault(1, "f", LinkFlap("m", 1, 1)),)),
            "no link 'm'\n  the links are l",
        ),
        (
            replace(AB, faults=(Fault(1, "f", NodePause("a"), 1),) * 10_001),
            "the lab has 10001 faults, more than 10000",
        ),
        (
            replace(
                AB,
                processes=(ProcessSpec("p", "a", "true"),),
                faults=(Fault(1, "f", ProcessFault("a", "p", ProcessAction.RESTART), 1),),
            ),
            "a restart takes no time\n  leave the time out",
        ),
        (
            replace(AB, nodes=(NodeSpec("a", kernel="shared"),)),
            "'shared' cannot name a kernel\n  write own, a version in quotes, or a path",
        ),
    ],
)
def test_a_wrong_lab_made_by_calls_is_an_error_without_place(lab, message):
    with pytest.raises(LabFileErrors) as caught:
        check_spec(lab)
    (error,) = caught.value.errors
    assert str(error) == message


def test_a_node_can_have_a_kernel_of_its_own_and_volumes(load):
    lab = load(
        """
name: x
defaults: {kernel: own, memory: 64 MB, kernel-words: [quiet]}
kinds: {old: {kernel: '6.12', kernel-words: [a=b]}}
groups: {small: {memory: 32 MiB, volumes: {data: {size: 8 MB, path: /data}}}}
nodes: {r1: , r2: {kind: old, groups: [small]}, r3: {kernel: shared}}
"""
    )
    assert lab.nodes == (
        NodeSpec("r1", kernel="own", memory_bytes=64_000_000, kernel_words=("quiet",)),
        NodeSpec(
            "r2",
            kernel="6.12",
            memory_bytes=32 << 20,
            kernel_words=("quiet", "a=b"),
            volumes=(VolumeSpec("data", "/data", 8_000_000),),
        ),
        NodeSpec("r3"),
    )
    assert load(lab_to_yaml(lab)) == lab
