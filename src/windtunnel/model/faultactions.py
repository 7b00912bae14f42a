# SPDX-License-Identifier: Apache-2.0
"""What a fault of the lab file does, as the engine sees it."""

from __future__ import annotations

from collections.abc import Mapping

from windtunnel.model.fault import (
    ClockDrift,
    ClockStep,
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
    VolumeMode,
)
from windtunnel.model.impairment import Impairment
from windtunnel.model.lab import LabSpec, LinkChange
from windtunnel.model.schema import FaultPart, FlapPart, LinkSet
from windtunnel.model.wiring import merge_impairment

PROCESS_ACTIONS: Mapping[str, ProcessAction] = {one.value: one for one in ProcessAction}
VOLUME_MODES: Mapping[str, VolumeMode] = {one.value: one for one in VolumeMode}


def fault_action(part: FaultPart, spec: LabSpec, at_ns: int) -> FaultAction:
    """Make the action of a fault that begins at `at_ns`."""
    value = getattr(part, part.word)
    if part.partition is not None:
        return Partition(tuple(tuple(group) for group in part.partition))
    if part.link is not None:
        if part.one_way is not None:
            return OneWayLoss(part.link, part.one_way)
        return link_action(part.link, part.flap or part.degrade, spec, at_ns)
    assert part.node is not None, "the schema demands it"
    if part.word in PROCESS_ACTIONS:
        return ProcessFault(part.node, value, PROCESS_ACTIONS[part.word])
    if part.word in VOLUME_MODES:
        return VolumeFault(part.node, value, VOLUME_MODES[part.word])
    return node_action(part.node, part.word, value, wipe=part.wipe)


def link_action(
    link: str, how: FlapPart | LinkSet | None, spec: LabSpec, at_ns: int
) -> LinkCut | LinkFlap | LinkDegrade:
    """Cut a link; or let it flap, or degrade it, as `how` says."""
    if how is None:
        return LinkCut(link)
    if isinstance(how, FlapPart):
        return LinkFlap(link, down_ns=how.down, up_ns=how.up)
    before = _impairments(spec, link, at_ns)
    forward = merge_impairment((how, how.forward), before[0])
    backward = merge_impairment((how, how.backward), before[1])
    return LinkDegrade(link, forward, None if backward == forward else backward)


def node_action(
    node: str, word: str, value: int, *, wipe: bool = False
) -> NodePause | NodeOff | MemoryLimit | ClockStep | ClockDrift:
    """Do to a whole node what the lab file calls `word`."""
    match word:
        case "pause":
            return NodePause(node)
        case "off":
            return NodeOff(node, wipe=wipe)
        case "memory":
            return MemoryLimit(node, value)
        case "clock":
            return ClockStep(node, value)
        case _:
            return ClockDrift(node, value)


# What a link does to packets at a time, by what it began with and its steps.
def _impairments(spec: LabSpec, name: str, at_ns: int) -> tuple[Impairment, Impairment]:
    state = (Impairment(), Impairment())
    for link in spec.links:
        if link.name == name:
            state = (link.ends[0].impairment, link.ends[1].impairment)
    for step in spec.steps:
        change = step.action
        if step.at_ns > at_ns or not isinstance(change, LinkChange) or change.link != name:
            continue
        if change.impairment is not None:
            state = (change.impairment, change.backward or change.impairment)
    return state
