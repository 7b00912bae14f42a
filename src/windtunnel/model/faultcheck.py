# SPDX-License-Identifier: Apache-2.0
"""What can be wrong with the faults of a lab."""

from __future__ import annotations

from collections.abc import Iterator

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
)
from windtunnel.model.faultclaims import Claims
from windtunnel.model.lab import LabSpec, LinkSpec, NodeSpec
from windtunnel.model.nearmiss import hint_for, link_hint
from windtunnel.model.problem import Path, Problem
from windtunnel.model.units import duration_text

FAULTS_MAX = 10_000
"""A lab with more is a slip of a unit; each is an event, and costs host time."""
# As far as adjtimex(2) goes: a tick of 10,000 us may be 9,000 to 11,000.
DRIFT_PPM_MAX = 100_000
# A kernel's wall clock goes from 1970 to 30 years before 64 bits end (ktime.h), and no
# kernel may have been booted before 1970: that was 10 s before lab time 0.
CLOCK_NS_MIN = 10_000_000_000
CLOCK_NS_MAX = ((1 << 63) // 1_000_000_000 - 30 * 365 * 86400) * 1_000_000_000
# No process does anything with less.
MEMORY_LIMIT_BYTES_MIN = 1 << 20

OfLink = LinkCut | LinkFlap | LinkDegrade | OneWayLoss


def fault_problems(spec: LabSpec) -> Iterator[Problem]:
    """Find everything that is wrong with a lab's faults."""
    if len(spec.faults) > FAULTS_MAX:
        message = f"the lab has {len(spec.faults)} faults, more than {FAULTS_MAX}"
        yield Problem(("faults",), message)
        return
    check = _Check(spec)
    for index, fault in enumerate(spec.faults):
        path: Path = ("faults", index)
        yield from _times(fault, spec, path)
        yield from check.action(fault, path)
    yield from _names(spec)
    yield from _clashes(spec)


def _times(fault: Fault, spec: LabSpec, path: Path) -> Iterator[Problem]:
    if fault.at_ns < 0:
        yield Problem(
            (*path, "at_ns"), f"the fault is at {fault.at_ns} ns", "the lab begins at 0 s"
        )
    elif spec.stop_ns is not None and fault.at_ns > spec.stop_ns:
        yield Problem(
            (*path, "at_ns"),
            f"the fault is at {duration_text(fault.at_ns)}, and the lab stops at "
            f"{duration_text(spec.stop_ns)}",
            "make it earlier, or stop the lab later",
        )
    if fault.for_ns is not None and fault.for_ns <= 0:
        yield Problem((*path, "for_ns"), "the fault lasts no time", "give it some, or none at all")


class _Check:
    """What is said of one fault at a time."""

    def __init__(self, spec: LabSpec) -> None:
        self._spec = spec
        self._nodes = {node.name: node for node in spec.nodes}
        self._links = {link.name: link for link in spec.links}
        self._starts: dict[str, dict[str, int]] = {}
        for process in spec.processes:
            self._starts.setdefault(process.node, {})[process.name] = process.start_ns

    def action(self, fault: Fault, path: Path) -> Iterator[Problem]:
        """Find what is wrong with what a fault does."""
        match fault.action:
            case LinkCut() | LinkFlap() | LinkDegrade() | OneWayLoss():
                yield from self._of_link(fault, fault.action, path)
            case Partition(groups=groups):
                yield from self._partition(groups, (*path, "partition"))
            case NodePause(node=name) | NodeOff(node=name):
                yield from self._unknown(name, (*path, "node"))
            case MemoryLimit(node=name, limit_bytes=limit):
                yield from self._unknown(name, (*path, "node"))
                if limit < MEMORY_LIMIT_BYTES_MIN:
                    message = f"nothing runs in {limit} bytes of memory"
                    yield Problem((*path, "memory"), message, "give at least 1 MiB")
            case ProcessFault():
                yield from self._process(fault, fault.action, path)
            case VolumeFault(node=name, volume=volume, mode=mode):
                yield from self._unknown(name, (*path, "node"))
                known = [one.name for one in self._nodes[name].volumes] if self._is(name) else ()
                if self._is(name) and volume not in known:
                    yield Problem(
                        (*path, mode.value),
                        f"the node {name!r} has no volume {volume!r}",
                        hint_for(volume, known, what="volumes of that node"),
                    )
            case ClockStep(node=name) | ClockDrift(node=name):
                yield from self._unknown(name, (*path, "node"))
                if self._is(name):
                    yield from self._clock(fault, self._nodes[name], path)

    def _is(self, name: str) -> bool:
        return name in self._nodes

    def _unknown(self, name: str, path: Path) -> Iterator[Problem]:
        if name not in self._nodes:
            hint = hint_for(name, sorted(self._nodes), what="nodes")
            yield Problem(path, f"no node {name!r}", hint)

    def _of_link(self, fault: Fault, action: OfLink, path: Path) -> Iterator[Problem]:
        link = self._links.get(action.link)
        if link is None:
            hint = link_hint(action.link, list(self._links))
            yield Problem((*path, "link"), f"no link {action.link!r}", hint)
        elif isinstance(action, OneWayLoss):
            yield from _sender(action, link, (*path, "one_way"))
        if isinstance(action, LinkFlap):
            yield from _flap(action, fault, (*path, "flap"))

    def _partition(self, groups: tuple[tuple[str, ...], ...], path: Path) -> Iterator[Problem]:
        seen: dict[str, Path] = {}
        for number, group in enumerate(groups):
            if not group:
                yield Problem((*path, number), "the group is empty", "name its nodes, or remove it")
            for index, name in enumerate(group):
                where: Path = (*path, number, index)
                yield from self._unknown(name, where)
                if name in seen:
                    yield Problem(
                        where,
                        f"the node {name!r} is in the partition twice",
                        "keep one of them",
                        first=seen[name],
                    )
                seen.setdefault(name, where)
        is_all = set(self._nodes) <= set(seen)
        if len(groups) + (not is_all) < 2:
            yield Problem(
                path,
                "the partition keeps no node from another one",
                "name two groups, or leave some nodes out",
            )

    def _process(self, fault: Fault, action: ProcessFault, path: Path) -> Iterator[Problem]:
        yield from self._unknown(action.node, (*path, "node"))
        if not self._is(action.node):
            return
        known = self._starts.get(action.node, {})
        where: Path = (*path, action.action.value)
        if action.process not in known:
            yield Problem(
                where,
                f"the node {action.node!r} runs no process {action.process!r}",
                hint_for(action.process, known, what="processes of that node"),
            )
        elif fault.at_ns < known[action.process]:
            yield Problem(
                where,
                f"the process {action.process!r} starts at "
                f"{duration_text(known[action.process])}, after the fault",
                "make the fault later",
            )
        if action.action is ProcessAction.RESTART and fault.for_ns is not None:
            yield Problem((*path, "for_ns"), "a restart takes no time", "leave the time out")

    def _clock(self, fault: Fault, node: NodeSpec, path: Path) -> Iterator[Problem]:
        action = fault.action
        key = "clock" if isinstance(action, ClockStep) else "drift"
        if node.kernel is None:
            yield Problem(
                (*path, key),
                f"the node {node.name!r} shares its kernel, and a kernel has one wall clock",
                "give the node 'kernel: own'",
            )
        if isinstance(action, ClockStep):
            if action.step_ns == 0:
                yield Problem((*path, key), "the clock is set by no time", "write '+5 s'")
            then_ns = self._spec.clock_ns + action.step_ns
            if then_ns < CLOCK_NS_MIN:
                message = "the clock would be before 1970, or the node booted before"
                yield Problem((*path, key), message, "set it back less far")
            elif then_ns + fault.at_ns >= CLOCK_NS_MAX:
                message = "the clock would be behind 2232, where a kernel's clock ends"
                yield Problem((*path, key), message, "set it forward less far")
        elif isinstance(action, ClockDrift) and not 1 <= abs(action.drift_ppm) <= DRIFT_PPM_MAX:
            message = f"the drift {action.drift_ppm} ppm is out of range"
            hint = f"it is 1 to {DRIFT_PPM_MAX} ppm, or as much with a minus"
            yield Problem((*path, key), message, hint)


def _sender(action: OneWayLoss, link: LinkSpec, path: Path) -> Iterator[Problem]:
    ends = [end.node for end in link.ends]
    if action.sender not in ends:
        yield Problem(
            path,
            f"the link {link.name!r} has no end at {action.sender!r}",
            hint_for(action.sender, ends, what="ends"),
        )
    elif ends[0] == ends[1]:
        yield Problem(
            path,
            f"both ends of the link {link.name!r} are at {action.sender!r}",
            "write 'degrade: {forward: {loss: 100%}}'",
        )


def _flap(action: LinkFlap, fault: Fault, path: Path) -> Iterator[Problem]:
    if action.down_ns <= 0 or action.up_ns <= 0:
        message = "the cable is out or in for no time"
        yield Problem(path, message, "give both more; a link that stays out is 'down: 5 s'")
    elif fault.for_ns is not None and action.down_ns + action.up_ns > fault.for_ns:
        turn = duration_text(action.down_ns + action.up_ns)
        yield Problem(
            path,
            f"to go out and in takes {turn}, and the fault lasts {duration_text(fault.for_ns)}",
            "let it last longer, or write 'down'",
        )


def _names(spec: LabSpec) -> Iterator[Problem]:
    seen: dict[str, Path] = {}
    for index, fault in enumerate(spec.faults):
        path: Path = ("faults", index, "name")
        if not fault.name.strip():
            yield Problem(path, "the name is empty")
        elif fault.name in seen:
            message = f"there are two of the fault {fault.name!r}"
            yield Problem(path, message, "rename one", first=seen[fault.name])
        seen.setdefault(fault.name, path)


# Of each thing that two faults want, the first two.
def _clashes(spec: LabSpec) -> Iterator[Problem]:
    claims = Claims(spec)
    places = {id(fault): index for index, fault in enumerate(spec.faults)}
    said = set()
    before_ns = min((fault.at_ns for fault in spec.faults), default=0)
    for index, fault in enumerate(spec.faults):
        if fault.at_ns < before_ns:
            yield Problem(("faults", index), "the faults are not in the order of time")
            return
        before_ns = fault.at_ns
        clash = claims.clash(fault)
        claims.add(fault)
        if clash is None or clash[1] in said:
            continue
        other, thing = clash
        said.add(thing)
        yield Problem(
            ("faults", index),
            f"{fault.name!r} begins while {other.name!r} holds {' '.join(thing)}",
            "let one end before the other begins",
            first=("faults", places[id(other)]),
        )
