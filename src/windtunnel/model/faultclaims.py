# SPDX-License-Identifier: Apache-2.0
"""What a fault holds while it lasts, and which two faults get in each other's way.

Two faults clash if they overlap in time and one of them wants for itself what
the other one uses, too: what the first undoes would undo the second.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from windtunnel.model.fault import (
    ClockDrift,
    ClockStep,
    Fault,
    FaultAction,
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
from windtunnel.model.lab import LabSpec

# Later than any lab ends.
FOREVER_NS = 1 << 63

Thing = tuple[str, ...]


def fault_claims(action: FaultAction, ends: Mapping[str, tuple[str, str]]) -> Iterator[Thing]:
    """Name each thing that the fault wants for itself.

    Args:
        action: what the fault does.
        ends: the nodes of each link.
    """
    match action:
        case LinkCut(link=link) | LinkFlap(link=link):
            yield ("the cable of", link)
        case LinkDegrade(link=link):
            for node in ends.get(link, ()):
                yield ("the impairments of", link, "from", node)
        case OneWayLoss(link=link, sender=sender):
            yield ("the impairments of", link, "from", sender)
        case Partition():
            yield ("the partition of the lab",)
        case NodePause(node=node):
            yield ("what runs in", node)
        case NodeOff(node=node):
            yield ("what runs in", node)
            yield ("the power of", node)
        case ProcessFault(node=node, process=process):
            yield ("the process", process, "of", node)
        case MemoryLimit(node=node):
            yield ("the memory of", node)
        case VolumeFault(node=node, volume=volume):
            yield ("the volume", volume, "of", node)
        case ClockDrift(node=node):
            yield ("the clock of", node)
        case ClockStep():  # steps add up, and a drift goes on through them
            return


# Each fault of a node needs it to have power; what cuts the power, to do so alone.
def _needs(action: FaultAction) -> Iterator[Thing]:
    match action:
        case NodePause(node=node) | ProcessFault(node=node) | MemoryLimit(node=node):
            yield ("the power of", node)
        case VolumeFault(node=node) | ClockStep(node=node) | ClockDrift(node=node):
            yield ("the power of", node)
        case _:
            return


def fault_end_ns(fault: Fault) -> int:
    """When nothing of it is left to be undone; what is done at once ends as it begins."""
    if fault.for_ns is not None:
        return fault.at_ns + fault.for_ns
    match fault.action:
        case ClockStep() | ProcessFault(action=ProcessAction.KILL | ProcessAction.RESTART):
            return fault.at_ns
        case _:
            return FOREVER_NS


class Claims:
    """Which thing is held by which fault, and for how long.

    Asked and told in the order of time: what is over by the time asked for is
    forgotten.
    """

    def __init__(self, spec: LabSpec) -> None:
        self._ends = {link.name: (link.ends[0].node, link.ends[1].node) for link in spec.links}
        # Of each thing: the fault, its end, and whether it wants the thing for itself.
        self._held: dict[Thing, list[tuple[Fault, int, bool]]] = {}

    def add(self, fault: Fault) -> None:
        """Let a fault hold what it holds."""
        for thing, is_alone in self._things(fault):
            entry = (fault, fault_end_ns(fault), is_alone)
            self._held.setdefault(thing, []).append(entry)

    def clash(self, fault: Fault) -> tuple[Fault, Thing] | None:
        """Find a fault that is in the way of `fault`, and the thing that it holds."""
        for thing, is_alone in self._things(fault):
            held = self._held.get(thing)
            if held is None:
                continue
            held[:] = [one for one in held if max(one[1], one[0].at_ns + 1) > fault.at_ns]
            for other, end_ns, other_alone in held:
                if (is_alone or other_alone) and _overlap(fault, other, end_ns):
                    return other, thing
        return None

    def _things(self, fault: Fault) -> Iterator[tuple[Thing, bool]]:
        for thing in fault_claims(fault.action, self._ends):
            yield thing, True
        for thing in _needs(fault.action):
            yield thing, False


def _overlap(one: Fault, other: Fault, other_end_ns: int) -> bool:
    if one.at_ns == other.at_ns:
        return True
    return one.at_ns < other_end_ns and other.at_ns < fault_end_ns(one)
