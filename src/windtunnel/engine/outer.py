# SPDX-License-Identifier: Apache-2.0
"""Cables and switches between kernels: what is sent arrives later, or never.

Each direction of a cable is touched by its sender only while guests run, so
that several may run at the same time. A switch is a place of its own in time:
frames of all its members come together there in the order of their arrival.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from windtunnel.engine import plan
from windtunnel.engine.cable import Line
from windtunnel.engine.linkstate import LinkRecord, LinkState
from windtunnel.engine.loop import Calendar
from windtunnel.engine.plan import Setting
from windtunnel.engine.port import NetPort
from windtunnel.model.lab import Endpoint, LinkSpec, NetworkSpec
from windtunnel.sim.agenda import Agenda
from windtunnel.sim.discipline import Drop
from windtunnel.sim.link import Direction, Statistics
from windtunnel.sim.lookahead import Lookahead
from windtunnel.sim.switch import Switch

Way = tuple[int, int, int]
"""From a place to another, and how long that takes at the least, in ns."""


class OuterCable:
    """A link whose ends have different kernels; see `windtunnel.engine.cable.Cable`."""

    def __init__(
        self, calendar: Calendar, spec: LinkSpec, ports: tuple[NetPort, NetPort], seed: int
    ) -> None:
        self._calendar = calendar
        self._ports = ports
        self._directions = tuple(_direction(port, seed, "cable") for port in ports)
        self._state = LinkState(spec.up, (ports[0].impairment, ports[1].impairment))
        self._powered = [True, True]
        self._in = spec.up
        self._plugged = 0
        self._under_way = [0, 0]
        for port, direction in zip(ports, self._directions, strict=True):
            port.segment = self
            if not spec.up:
                direction.cut()

    def ways(self) -> Iterator[Way]:
        """How long its frames take at the least, both ways."""
        a, b = (port.seat.number for port in self._ports)
        if a != b:
            yield a, b, self._directions[0].least_latency_ns
            yield b, a, self._directions[1].least_latency_ns

    def statistics(self) -> Iterator[tuple[str, Statistics]]:
        """What was sent so far, by the name of the sending end."""
        for port, direction in zip(self._ports, self._directions, strict=True):
            yield port.name, direction.statistics()

    def take(self, port: NetPort, frame: bytes) -> None:
        """Take a frame from one end, at its guest's present instant."""
        at = 0 if port is self._ports[0] else 1
        deliveries, drop = self._directions[at].send(port.seat.now_ns, frame)
        port.see(frame, sent=True, comment=_fate(drop))
        target = self._ports[1 - at]
        for delivery in deliveries:
            self._under_way[at] += 1
            arrive = partial(self._arrive, at, delivery.frame, self._plugged)
            if target.seat is port.seat:
                port.seat.at(delivery.time_ns, arrive)
            else:
                self._calendar.post(port.seat, target.seat, delivery.time_ns, arrive)

    def send(self, state: LinkState) -> None:
        """Have a state hold from this instant on."""
        now_ns = self._calendar.now_ns
        for direction, old, new in zip(
            self._directions, self._state.impairments, state.impairments, strict=True
        ):
            if old != new:
                direction.change(now_ns, new)
        self._state = state
        self._plug()

    def settle(self) -> None:
        """Nothing is left to do: a state holds as soon as it was sent."""

    def power(self, node: str, *, on: bool) -> None:
        """Take the carrier from the other end, or give it back."""
        for at, port in enumerate(self._ports):
            if port.spec.endpoint.node == node:
                self._powered[at] = on
        self._plug()

    def boot(self, node: str, state: LinkState) -> list[Setting]:  # noqa: ARG002 - the protocol's
        """Addresses of the node's ends, then the interfaces up."""
        ends = [port for port in self._ports if port.spec.endpoint.node == node]
        return [setting for port in ends for setting in _ready(port)]

    def _plug(self) -> None:
        """Plug it in or out where it must be: what is under way is lost when it goes out."""
        wanted = self._state.up and all(self._powered)
        if wanted == self._in:
            return
        self._in = wanted
        self._plugged += 1
        for direction, under_way in zip(self._directions, self._under_way, strict=True):
            if wanted:
                direction.join()
            else:
                direction.cut(under_way)
        self._under_way = [0, 0]
        # An end without power does not see it, and boots with what it then finds.
        for port in self._ports:
            port.set_link(up=wanted)

    def _arrive(self, sender: int, frame: bytes, plugged: int) -> None:
        target = self._ports[1 - sender]
        if plugged == self._plugged:
            self._under_way[sender] -= 1
            target.arrive(frame)
        else:
            target.see(frame, sent=False, comment="lost on the way: the cable was pulled out")


class OuterSwitch:
    """A network whose members have different kernels; see `windtunnel.engine.switch.Switch`.

    Attributes:
        number: its place in time, negative.
        agenda: frames on their way to it.
    """

    def __init__(
        self, calendar: Calendar, number: int, spec: NetworkSpec, ports: Sequence[NetPort]
    ) -> None:
        self.number = number
        self.agenda = Agenda()
        self._calendar = calendar
        self._spec = spec
        self._switch = Switch(len(ports))
        self._cables: list[MemberCable] = []

    def join(self, cable: MemberCable) -> None:
        """Take the cable to the next member."""
        self._cables.append(cable)

    @property
    def members(self) -> tuple[str, ...]:
        """The names of the nodes at its ports, in the order of the lab."""
        return tuple(end.node for end in self._spec.members)

    def ways(self) -> Iterator[Way]:
        """How long frames take at the least to the switch and from it."""
        for cable in self._cables:
            yield from cable.ways()

    def statistics(self) -> Iterator[tuple[str, Statistics]]:
        """What its members have sent so far, by their names."""
        for cable in self._cables:
            yield cable.statistics()

    def send(self, parts: tuple[int, ...]) -> None:
        """Let only ports of the same part reach each other from this instant on."""
        groups: dict[int, list[int]] = {}
        for at, part in enumerate(parts):
            groups.setdefault(part, []).append(at)
        self._switch.set_groups(groups.values())
        for at in range(len(parts)):
            self._switch.forget(at)

    def settle(self) -> None:
        """Nothing is left to do."""

    def forward(self, ingress: int, frame: bytes) -> None:
        """Send a frame on; from this place's agenda."""
        for at in self._switch.forward(self.agenda.now_ns, ingress, frame):
            self._cables[at].deliver(self.agenda.now_ns, frame)


class MemberCable:
    """From a member to a switch between kernels; see `windtunnel.engine.cable.Cable`."""

    def __init__(
        self, calendar: Calendar, switch: OuterSwitch, at: int, port: NetPort, seed: int
    ) -> None:
        self._calendar = calendar
        self._switch = switch
        self._at = at
        self._port = port
        self._to = _direction(port, seed, "to switch")
        self._from = _direction(port, seed, "from switch")
        self._powered = True
        self._power_cuts = 0
        port.segment = self
        switch.join(self)

    def ways(self) -> Iterator[Way]:
        """How long frames take at the least to the switch and from it."""
        yield self._port.seat.number, self._switch.number, self._to.least_latency_ns
        yield self._switch.number, self._port.seat.number, self._from.least_latency_ns

    def statistics(self) -> tuple[str, Statistics]:
        """The member's name, and what it has sent so far."""
        return self._port.name, self._to.statistics()

    def take(self, port: NetPort, frame: bytes) -> None:
        """Take a frame from the member."""
        deliveries, drop = self._to.send(port.seat.now_ns, frame)
        port.see(frame, sent=True, comment=_fate(drop))
        for delivery in deliveries:
            forward = partial(self._forward, delivery.frame, self._power_cuts)
            self._calendar.post(port.seat, self._switch, delivery.time_ns, forward)

    def deliver(self, now_ns: int, frame: bytes) -> None:
        """Send a frame from the switch to the member."""
        if not self._powered:
            return
        deliveries, drop = self._from.send(now_ns, frame)
        for delivery in deliveries:
            arrive = partial(self._arrive, delivery.frame, self._power_cuts)
            self._calendar.local(self._port.seat, delivery.time_ns, arrive)
        if drop is not None and self._port.taps:
            # told when it could have arrived: the member may be beyond the present already
            missing = partial(
                self._port.see,
                frame,
                sent=False,
                comment=f"on the way from the switch, {_fate(drop)}",
            )
            could_ns = now_ns + self._from.least_latency_ns
            self._calendar.local(self._port.seat, could_ns, missing)

    def send(self, state: LinkState) -> None:
        """Have a state hold from this instant on; such a cable is never pulled out."""
        now_ns = self._calendar.now_ns
        for direction, wanted in zip((self._to, self._from), state.impairments, strict=True):
            if direction.impairment != wanted:
                direction.change(now_ns, wanted)

    def settle(self) -> None:
        """Nothing is left to do."""

    def power(self, node: str, *, on: bool) -> None:
        """Forward nothing to a member without power; what is under way then is lost."""
        if self._port.spec.endpoint.node == node:
            self._power_cuts += self._powered and not on
            self._powered = on

    def _forward(self, frame: bytes, power_cuts: int) -> None:
        if power_cuts == self._power_cuts:
            self._switch.forward(self._at, frame)

    def _arrive(self, frame: bytes, power_cuts: int) -> None:
        if power_cuts == self._power_cuts:
            self._port.arrive(frame)

    def boot(self, node: str, state: LinkState) -> list[Setting]:  # noqa: ARG002 - the protocol's
        """Addresses of the member, then its interface up."""
        return _ready(self._port) if self._port.spec.endpoint.node == node else []


class Outside:
    """All cables and switches between the kernels of a lab.

    Attributes:
        lines: the cables, of links and of networks' members.
        switches: the networks.
        ports: every port by node and interface.
    """

    def __init__(
        self,
        calendar: Calendar,
        links: Sequence[LinkSpec],
        networks: Sequence[NetworkSpec],
        port_of: Mapping[tuple[str, str], NetPort],
        seed: int,
    ) -> None:
        """Make them.

        Args:
            calendar: of the world.
            links: with ends in different kernels, or at a kernel of a node's own.
            networks: with such members.
            port_of: each port by node and interface.
            seed: the lab's.
        """
        self._calendar = calendar
        self.ports = dict(port_of)
        self._segments: list[OuterCable | OuterSwitch] = []
        self.lines: list[Line] = []
        self.switches: list[OuterSwitch] = []
        for link in links:
            a, b = (port_of[end.node, end.interface] for end in link.ends)
            cable = OuterCable(calendar, link, (a, b), seed)
            base = LinkState(link.up, (a.impairment, b.impairment))
            self.lines.append(Line(link.name, _nodes(link.ends), cable, LinkRecord(base)))
            self._segments.append(cable)
        for place, network in enumerate(networks):
            ports = [port_of[end.node, end.interface] for end in network.members]
            switch = OuterSwitch(calendar, -1 - place, network, ports)
            calendar.add_relay(switch)
            self.switches.append(switch)
            self._segments.append(switch)
            for at, port in enumerate(ports):
                member = MemberCable(calendar, switch, at, port, seed)
                base = LinkState(True, (port.impairment, port.impairment))
                nodes = (port.spec.endpoint.node, "")
                self.lines.append(Line("", nodes, member, LinkRecord(base)))
        self.measure()

    def statistics(self) -> dict[str, Statistics]:
        """What every end between kernels has sent so far, by its name: "r1:eth0"."""
        return dict(each for segment in self._segments for each in segment.statistics())

    def measure(self) -> None:
        """Tell the calendar how long frames take at the least, after any change."""
        ways = (way for segment in self._segments for way in segment.ways())
        self._calendar.lookahead = Lookahead(ways)


def _nodes(ends: tuple[Endpoint, Endpoint]) -> tuple[str, str]:
    return ends[0].node, ends[1].node


def _ready(port: NetPort) -> list[Setting]:
    """What a node that shares its kernel tells its network about a port when it boots."""
    spec = port.spec
    return [] if spec.index is None else plan.port_ready(spec.endpoint, spec.index)


def _direction(port: NetPort, seed: int, what: str) -> Direction:
    end = port.spec.endpoint
    return Direction(
        end.impairment,
        seed=seed,
        names=(what, end.node, end.interface),
        mtu_bytes=port.spec.mtu_bytes,
    )


def _fate(drop: Drop | None) -> str:
    return "" if drop is None else f"dropped: {drop.value}"
