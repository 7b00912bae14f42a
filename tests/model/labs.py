# SPDX-License-Identifier: Apache-2.0
"""Any lab that is right, for property tests."""

from __future__ import annotations

from hypothesis import strategies as st

from windtunnel.model.addressing import Addressing, Draft, DraftEnd, wire
from windtunnel.model.cpu import COST_NS_MAX, SPEED_MAX, SPEED_MIN, CpuSpec
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
from windtunnel.model.impairment import DelayTable, Distribution, GilbertElliott, Impairment
from windtunnel.model.lab import (
    CaptureSpec,
    Command,
    Expectation,
    FileSpec,
    LabSpec,
    LinkChange,
    LinkSpec,
    NodeSpec,
    Outcome,
    ProcessSpec,
    Step,
    TextMatch,
    VolumeSpec,
)

HOUR_NS = 3_600_000_000_000
durations = st.integers(0, HOUR_NS)
shares = st.sampled_from([0.0, 1.0]) | st.floats(1e-9, 1.0)
names = st.from_regex(r"[a-z][a-z0-9]{0,5}", fullmatch=True)
words = st.text(st.characters(exclude_characters="\0\r", exclude_categories=["Cs"]), max_size=30)
# Braces and percent signs are what templates would see in a command.
commands = st.text(st.sampled_from("ab {}%#'\"\\\n:|-é"), max_size=20).map(lambda t: f"x{t}")
json_values = st.recursive(
    st.integers() | st.booleans() | words | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=5,
)
matches = st.builds(
    TextMatch, text=words, regex=st.none() | st.just(r"a\.b"), json=st.none() | json_values
) | st.builds(TextMatch, json=json_values, path=st.sampled_from(["", "a.b[0].c", "[1]"]))


bursts = st.builds(GilbertElliott, p=shares, r=shares, bad=shares, good=shares)
tables = st.builds(
    DelayTable, st.lists(st.integers(-32768, 32767), min_size=1, max_size=5).map(tuple)
)


@st.composite
def impairments(draw):
    delay_ns = draw(st.just(0) | durations)
    return Impairment(
        delay_ns=delay_ns,
        jitter_ns=draw(st.integers(0, min(delay_ns, 2**31 - 1))),
        distribution=draw(st.sampled_from(Distribution) | tables),
        loss=draw(shares | bursts),
        duplicate=draw(shares),
        reorder=draw(shares) if delay_ns else 0.0,
        corrupt=draw(shares),
        rate_bps=draw(st.none() | st.integers(8, 10**13)),
        queue_packets=draw(st.none() | st.integers(1, 2**32 - 1)),
    )


@st.composite
def drafts(draw, nodes, *, ends=2, name=None):
    return Draft(
        ends=tuple(
            DraftEnd(draw(st.sampled_from(nodes)), impairment=draw(impairments()))
            for _ in range(ends)
        ),
        name=name,
        addressing=draw(st.sampled_from(Addressing)),
        mtu_bytes=draw(st.sampled_from([68, 1280, 1500, 65535])),
        up=draw(st.booleans()) if name is None else True,
    )


@st.composite
def file_specs(draw):
    return FileSpec(
        path="/" + draw(st.from_regex(r"[a-z]{1,4}(/[a-z]{1,4})?", fullmatch=True)),
        content=draw(st.binary(max_size=20) | words.map(str.encode)),
        mode=draw(st.integers(0, 0o7777)),
        owner=draw(st.sampled_from(["root", "frr:frr"])),
    )


def pairs(keys):
    return st.dictionaries(keys, words.filter(lambda w: "\n" not in w), max_size=2).map(
        lambda mapping: tuple(mapping.items())
    )


costs = st.none() | st.integers(0, COST_NS_MAX)
cpus = st.builds(
    CpuSpec,
    syscall_cost_ns=costs,
    packet_cost_ns=costs,
    speed=st.none() | st.floats(SPEED_MIN, SPEED_MAX),
)


@st.composite
def node_specs(draw, name, number):
    files = draw(st.lists(file_specs(), max_size=2, unique_by=lambda file: file.path))
    kernel = draw(st.none() | st.sampled_from(["own", "6.12", "7", "./linux/linux"]))
    return NodeSpec(
        name=name,
        sysctls=draw(pairs(st.sampled_from(["net.ipv4.ip_forward", "kernel.x"]))),
        env=draw(pairs(st.sampled_from(["A", "PATH"]))),
        exec=tuple(draw(st.lists(commands, max_size=2))),
        files=tuple(files),
        cpu=draw(cpus),
        addresses=(f"192.0.2.{number + 1}/32",) if draw(st.booleans()) else (),
        kernel=kernel,
        memory_bytes=draw(st.none() | st.integers(32 << 20, 1 << 40)) if kernel else None,
        kernel_words=("a=b", "1") if kernel and draw(st.booleans()) else (),
        volumes=(
            VolumeSpec(
                "data",
                "/data",
                draw(st.integers(1 << 20, 1 << 40)),
                latency_ns=draw(st.sampled_from([0, 1, 100_000, 5_000_000])),
            ),
        )
        if kernel and draw(st.booleans())
        else (),
    )


# What can be done to a lab, whatever it is.
def fault_actions(
    nodes: tuple[NodeSpec, ...], links: tuple[LinkSpec, ...], processes: list[ProcessSpec]
):
    node = st.sampled_from([node.name for node in nodes])
    limits = st.integers(1 << 20, 1 << 50)
    kinds = [st.builds(NodePause, node), st.builds(NodeOff, node, st.booleans())]
    kinds.append(st.builds(MemoryLimit, node, limits))
    if len(nodes) > 1:
        kinds.append(st.just(Partition(((nodes[0].name,),))))
        kinds.append(st.just(Partition(tuple((node.name,) for node in nodes))))
    for link in links:
        kinds.append(st.just(LinkCut(link.name)))
        kinds.append(st.just(LinkFlap(link.name, 5, 10**9)))
        kinds.append(st.builds(LinkDegrade, st.just(link.name), impairments()))
        kinds.append(
            st.tuples(impairments(), impairments())
            .filter(lambda both: both[0] != both[1])
            .map(lambda both, name=link.name: LinkDegrade(name, *both))
        )
        if link.ends[0].node != link.ends[1].node:
            kinds.append(st.just(OneWayLoss(link.name, link.ends[0].node)))
    for one in nodes:
        for volume in one.volumes:
            modes = st.sampled_from(VolumeMode)
            kinds.append(st.builds(VolumeFault, st.just(one.name), st.just(volume.name), modes))
        if one.kernel is not None:
            shifts = st.integers(-HOUR_NS, HOUR_NS).filter(bool)
            kinds.append(st.builds(ClockStep, st.just(one.name), shifts))
            drifts = st.integers(1, 100_000) | st.integers(-100_000, -1)
            kinds.append(st.builds(ClockDrift, st.just(one.name), drifts))
    for process in processes:
        if process.start_ns == 0:
            what = st.sampled_from(ProcessAction)
            kinds.append(
                st.builds(ProcessFault, st.just(process.node), st.just(process.name), what)
            )
    return st.one_of(kinds)


# One after the other: each is over before the next one begins.
@st.composite
def fault_lists(draw, actions):
    faults = []
    for number in range(draw(st.integers(0, 3))):
        action = draw(actions)
        is_restart = isinstance(action, ProcessFault) and action.action is ProcessAction.RESTART
        for_ns = None if is_restart else draw(st.integers(2 * 10**9, 10**11))
        at_ns = number * 2 * 10**11 + draw(st.integers(0, 10**9))
        faults.append(Fault(at_ns, f"fault {number}", action, for_ns))
    return tuple(faults)


@st.composite
def command_actions(draw, nodes, *, waits):
    within_ns = draw(st.none() | durations) if waits else None
    return Command(
        node=draw(st.sampled_from(nodes)),
        command=draw(commands),
        match=draw(st.none() | matches),
        status=draw(st.none() | st.integers(0, 255)),
        within_ns=within_ns,
        every_ns=draw(st.integers(1, HOUR_NS)),
        junit=draw(st.sampled_from(["", "/tmp/a b.xml"])) if within_ns is None else "",
    )


@st.composite
def labs(draw):
    node_names = draw(st.lists(names, min_size=1, max_size=3, unique=True))
    links, networks = wire(
        draw(st.lists(drafts(node_names), max_size=3)),
        [draw(drafts(node_names, ends=3, name="lan"))] if draw(st.booleans()) else [],
    )
    steps = []
    for number, at_ns in enumerate(sorted(draw(st.lists(durations, max_size=3)))):
        actions = command_actions(node_names, waits=True)
        if links:
            link = draw(st.sampled_from(links)).name
            actions |= st.builds(LinkChange, link=st.just(link), up=st.booleans())
            actions |= st.builds(
                LinkChange, link=st.just(link), up=st.none(), impairment=impairments()
            )
        steps.append(Step(at_ns, f"step {number}", draw(actions), draw(st.booleans())))
    processes = [
        ProcessSpec(
            name=f"p{number}",
            node=draw(st.sampled_from(node_names)),
            command=draw(commands),
            start_ns=draw(durations),
            env=draw(pairs(st.just("X"))),
            timeout_ns=draw(st.none() | st.integers(1, HOUR_NS)),
            expect=draw(
                st.builds(
                    Expectation,
                    st.just(Outcome.EXITED),
                    st.integers(0, 255),
                    st.none() | matches,
                )
                | st.builds(Expectation, st.none() | st.just(Outcome.KILLED), st.just(0), matches)
            ),
        )
        for number in range(draw(st.integers(0, 2)))
    ]
    nodes = tuple(draw(node_specs(name, i)) for i, name in enumerate(node_names))
    validations = draw(st.lists(command_actions(node_names, waits=True), max_size=2))
    ends = [end for link in links for end in link.ends]
    return LabSpec(
        name=draw(names),
        seed=draw(st.integers(0, 2**64 - 1)),
        stop_ns=draw(st.none() | st.integers(2 * HOUR_NS, 3 * HOUR_NS)),
        memory_bytes=draw(st.integers(1 << 26, 1 << 40)),
        counters_ns=draw(st.sampled_from([None, 0, 1_000_000, 120_000_000_000])),
        clock_ns=draw(st.integers(HOUR_NS, 6_000_000_000 * 10**9)),
        nodes=nodes,
        links=links,
        networks=networks,
        processes=tuple(processes),
        steps=tuple(steps),
        faults=draw(fault_lists(fault_actions(nodes, links, processes))),
        validations=tuple(Step(0, f"v {i}", action) for i, action in enumerate(validations)),
        captures=tuple(CaptureSpec(end.node, end.interface, draw(words)) for end in ends[:1]),
        root=draw(st.sampled_from(["/", "/srv/root"])),
    )
