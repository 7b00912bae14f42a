# SPDX-License-Identifier: Apache-2.0
"""What carries a link's packets, and how it is told what to do to them.

`Cable` is all that a link knows of it. `VethCable` is a veth pair inside one
kernel: netem on the sending side, and a carrier that both ends lose together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from windtunnel.engine import plan
from windtunnel.engine.linkstate import LinkRecord, LinkState
from windtunnel.engine.plan import Setting
from windtunnel.engine.wiring import Wiring
from windtunnel.model.impairment import Impairment
from windtunnel.model.lab import Endpoint, LabSpec
from windtunnel.sim.seeds import derive


class Cable(Protocol):
    """Between two interfaces."""

    def send(self, state: LinkState) -> None:
        """Ask for a state; it holds once the fabric has waited."""

    def settle(self) -> None:
        """Take note that what was asked for last has been done."""

    def power(self, node: str, *, on: bool) -> None:
        """Take note that a node at one of its ends, or both, has lost or got its power."""

    def boot(self, node: str, state: LinkState) -> list[Setting]:
        """What a node that is powered on has to tell its network about its ends of it."""


@dataclass(slots=True)
class VethEnd:
    """One end of a veth pair.

    Attributes:
        node: its name; empty for a network's side.
        number: of the node for the agent.
        interface: its name there.
        index: its index there.
        addresses: that it gets when its node boots.
        seed: gives the seed of its next netem queue, by how many it has had.
        impairment: that its queue has now.
        queues: how many it has had.
        powered: whether its node has power; without, it has no queue.
    """

    node: str
    number: int
    interface: str
    index: int
    addresses: tuple[str, ...]
    seed: Callable[[int], int]
    impairment: Impairment
    queues: int = 0
    powered: bool = True

    def settings(self, wanted: Impairment) -> list[Setting]:
        """What makes its impairment into another."""
        name, index, none = self.interface, self.index, Impairment()
        if wanted == self.impairment:
            return []
        if wanted == none:
            return [plan.no_queue(name, index)]
        if self.impairment != none:
            return [plan.change_queue(name, index, wanted)]
        return [plan.new_queue(name, index, wanted, self.seed(self.queues))]

    def take(self, impairment: Impairment) -> None:
        """Take note of what it has now."""
        self.queues += self.impairment == Impairment() != impairment
        self.impairment = impairment


class VethCable:
    """A veth pair in a kernel that all its nodes share."""

    def __init__(self, wiring: Wiring, ends: tuple[VethEnd, VethEnd], *, up: bool) -> None:
        self._wiring = wiring
        self._ends = ends
        self._up = up
        self._sent: LinkState | None = None

    def send(self, state: LinkState) -> None:
        """Ask for a state.

        A carrier changes at both ends, and whether or not their nodes have
        power; a queue is made only where there is power to send anything.
        """
        first = self._ends[0]
        if state.up != self._up:
            setting = plan.carrier(first.interface, first.index, on=state.up)
            self._wiring.send({first.number: [setting]})
        for end, wanted in zip(self._ends, state.impairments, strict=True):
            settings = end.settings(wanted) if end.powered else []
            if settings:
                self._wiring.send({end.number: settings})
        self._sent = state

    def settle(self) -> None:
        """Take note that what was asked for last has been done."""
        assert self._sent is not None, "nothing was asked for"
        self._up = self._sent.up
        for end, wanted in zip(self._ends, self._sent.impairments, strict=True):
            if end.powered:
                end.take(wanted)

    def power(self, node: str, *, on: bool) -> None:
        """Take note that a node has lost its power, and with it its queues, or has it again."""
        for end in self._ends:
            if end.node == node:
                end.powered = on
                end.take(Impairment())

    def boot(self, node: str, state: LinkState) -> list[Setting]:
        """Addresses and queues of a node's ends, then the interfaces up."""
        told = []
        for end, wanted in zip(self._ends, state.impairments, strict=True):
            if end.node == node:
                told += [plan.address(end.interface, end.index, one) for one in end.addresses]
                told += end.settings(wanted)
                end.take(wanted)
                told.append(plan.up(end.interface, end.index))
        return told


@dataclass(eq=False, slots=True)
class Line:
    """A cable and all that is done to it.

    Attributes:
        name: of the link; empty for a cable from a node to a network.
        nodes: at its two ends; empty for a network's side.
        cable: carries it out.
        record: all that is done to it.
        history: what it has done, each with the lab time since when; the oldest first.
    """

    name: str
    nodes: tuple[str, str]
    cable: Cable
    record: LinkRecord
    history: list[tuple[int, LinkState]] = field(default_factory=list)


def veth_lines(spec: LabSpec, wiring: Wiring) -> list[Line]:
    """The links of a lab as veth pairs, then the cables to its networks, as they were made."""
    numbers = plan.node_numbers(spec)
    indexes = plan.interface_indexes(spec)

    def end_of(end: Endpoint) -> VethEnd:
        return VethEnd(
            end.node,
            numbers[end.node],
            end.interface,
            indexes[end.node, end.interface],
            end.addresses,
            partial(plan.netem_seed, spec.seed, end),
            end.impairment,
            int(end.impairment != Impairment()),
        )

    lines = []
    for link in spec.links:
        a, b = link.ends
        base = LinkState(link.up, (a.impairment, b.impairment))
        cable = VethCable(wiring, (end_of(a), end_of(b)), up=link.up)
        lines.append(Line(link.name, (a.node, b.node), cable, LinkRecord(base)))
    for bridge in plan.bridges(spec):
        for port in bridge.ports:
            member = port.endpoint
            base = LinkState(True, (member.impairment, member.impairment))
            cable = VethCable(wiring, (end_of(member), _port_end(spec, port)), up=True)
            lines.append(Line("", (member.node, ""), cable, LinkRecord(base)))
    return lines


def _port_end(spec: LabSpec, port: plan.Port) -> VethEnd:
    """A network's side of a cable: a port of its bridge."""
    member = port.endpoint
    return VethEnd(
        "",
        plan.BASE,
        port.name,
        port.index,
        (),
        partial(port_seed, spec.seed, member),
        member.impairment,
        int(member.impairment != Impairment()),
    )


def port_seed(seed: int, member: Endpoint, count: int = 0) -> int:
    """What a network's losses on the way to a member are drawn from; see `plan.netem_seed`."""
    more = [str(count)] if count else []
    return derive(seed, "netem to", member.node, member.interface, *more)
