# SPDX-License-Identifier: Apache-2.0
"""Cables and switches between kernels: what is sent arrives later, or never.

Each direction of a cable is touched by its sender only while guests run, so
that several may run at the same time. A switch is a place of its own in time:
frames of all its members come together there in the order of their arrival.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from windtunnel.engine.loop import Calendar
from windtunnel.engine.port import NetPort
from windtunnel.model.impairment import Impairment
from windtunnel.model.lab import LinkSpec, NetworkSpec
from windtunnel.sim.agenda import Agenda
from windtunnel.sim.link import Direction
from windtunnel.sim.switch import Switch

Way = tuple[int, int, int]
"""From a place to another, and how long that takes at the least, in ns."""


class Cable:
    """A link whose ends have different kernels.

    Attributes:
        spec: the link.
        ports: its two ends.
        directions: what each end sends goes through.
        up: whether it is plugged in.
    """

    def __init__(
        self, calendar: Calendar, spec: LinkSpec, ports: tuple[NetPort, NetPort], seed: int
    ) -> None:
        self.spec = spec
        self.ports = ports
        self.up = spec.up
        self.directions = tuple(_direction(port, seed, "cable") for port in ports)
        self._calendar = calendar
        self._plugged = 0
        self._under_way = [0, 0]
        for port, direction in zip(ports, self.directions, strict=True):
            port.segment = self
            if not spec.up:
                direction.cut()

    def ways(self) -> Iterator[Way]:
        """How long its frames take at the least, both ways."""
        a, b = (port.seat.number for port in self.ports)
        yield a, b, self.directions[0].least_latency_ns
        yield b, a, self.directions[1].least_latency_ns

    def send(self, port: NetPort, frame: bytes) -> None:
        """Take a frame from one end."""
        at = 0 if port is self.ports[0] else 1
        deliveries, _ = self.directions[at].send(port.seat.now_ns, frame)
        target = self.ports[1 - at]
        for delivery in deliveries:
            self._under_way[at] += 1
            arrive = partial(self._arrive, at, delivery.frame, self._plugged)
            if target.seat is port.seat:
                port.seat.at(delivery.time_ns, arrive)
            else:
                self._calendar.post(port.seat, target.seat, delivery.time_ns, arrive)

    def set_up(self, *, up: bool) -> None:
        """Plug it in or out: both ends see their carrier; what is under way is lost."""
        if up == self.up:
            return
        self.up = up
        self._plugged += 1
        for direction, under_way in zip(self.directions, self._under_way, strict=True):
            if up:
                direction.join()
            else:
                direction.cut(under_way)
        self._under_way = [0, 0]
        for port in self.ports:
            port.set_link(up=up)

    def change(self, impairments: Sequence[Impairment]) -> None:
        """Give each direction its impairment; the caller asks for `ways` again."""
        for direction, impairment in zip(self.directions, impairments, strict=True):
            direction.change(self._calendar.now_ns, impairment)

    def _arrive(self, sender: int, frame: bytes, plugged: int) -> None:
        if plugged == self._plugged:
            self._under_way[sender] -= 1
            self.ports[1 - sender].arrive(frame, _no_room)


class Hub:
    """A network whose members have different kernels: a learning switch.

    Attributes:
        number: its place in time, negative.
        agenda: frames on their way to it.
        spec: the network.
        ports: of its members, in the order of the lab.
        switch: that forwards.
    """

    def __init__(
        self,
        calendar: Calendar,
        number: int,
        spec: NetworkSpec,
        ports: Sequence[NetPort],
        seed: int,
    ) -> None:
        self.number = number
        self.agenda = Agenda()
        self.spec = spec
        self.ports = tuple(ports)
        self.switch = Switch(len(ports))
        self._calendar = calendar
        self._places = {port: at for at, port in enumerate(ports)}
        self._to = [_direction(port, seed, "to switch") for port in ports]
        self._from = [_direction(port, seed, "from switch") for port in ports]
        for port in ports:
            port.segment = self

    def ways(self) -> Iterator[Way]:
        """How long frames take at the least to the switch and from it."""
        for port, to, back in zip(self.ports, self._to, self._from, strict=True):
            yield port.seat.number, self.number, to.least_latency_ns
            yield self.number, port.seat.number, back.least_latency_ns

    def send(self, port: NetPort, frame: bytes) -> None:
        """Take a frame from a member."""
        at = self._places[port]
        deliveries, _ = self._to[at].send(port.seat.now_ns, frame)
        for delivery in deliveries:
            forward = partial(self._forward, at, delivery.frame)
            self._calendar.post(port.seat, self, delivery.time_ns, forward)

    def _forward(self, ingress: int, frame: bytes) -> None:
        now_ns = self.agenda.now_ns
        for at in self.switch.forward(now_ns, ingress, frame):
            deliveries, _ = self._from[at].send(now_ns, frame)
            target = self.ports[at]
            for delivery in deliveries:
                arrive = partial(target.arrive, delivery.frame, _no_room)
                self._calendar.local(target.seat, delivery.time_ns, arrive)


def _direction(port: NetPort, seed: int, what: str) -> Direction:
    end = port.spec.endpoint
    return Direction(
        end.impairment,
        seed=seed,
        names=(what, end.node, end.interface),
        mtu_bytes=port.spec.mtu_bytes,
    )


def _no_room(_port: NetPort, _frame: bytes) -> None:
    """The guest's buffers are full: the frame is lost, as on a real card."""


def connect(
    calendar: Calendar,
    links: Sequence[LinkSpec],
    networks: Sequence[NetworkSpec],
    port_of: Mapping[tuple[str, str], NetPort],
    seed: int,
) -> tuple[dict[str, Cable], dict[str, Hub]]:
    """Make all cables and switches between kernels, by name.

    Args:
        calendar: of the world.
        links: with ends in different kernels, or at a kernel of a node's own.
        networks: with such members.
        port_of: each port by node and interface.
        seed: the lab's.
    """

    def port(node: str, interface: str) -> NetPort:
        return port_of[node, interface]

    cables = {}
    for link in links:
        a, b = (port(end.node, end.interface) for end in link.ends)
        cables[link.name] = Cable(calendar, link, (a, b), seed)
    hubs = {}
    for at, network in enumerate(networks):
        members = [port(end.node, end.interface) for end in network.members]
        hub = Hub(calendar, -1 - at, network, members, seed)
        calendar.add_relay(hub)
        hubs[network.name] = hub
    return cables, hubs
