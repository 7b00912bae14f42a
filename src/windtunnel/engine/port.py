# SPDX-License-Identifier: Apache-2.0
"""A guest's end of a cable between kernels: its device, and its place in time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from windtunnel.devices.backend import VhostUserBackend
from windtunnel.devices.net import NetModel
from windtunnel.engine.loop import Calendar
from windtunnel.engine.parts import Port
from windtunnel.engine.seat import Seat
from windtunnel.model.impairment import Impairment
from windtunnel.wire.virtio_net import RECEIVE_QUEUE

Tap = Callable[[int, bytes, bool, str], None]
"""Takes a frame: world time, its bytes, whether it was sent, what became of it."""


class Segment(Protocol):
    """What a port's cable leads to."""

    def take(self, port: NetPort, frame: bytes) -> None:
        """Take a frame that a port's guest has sent, at the guest's present instant."""


class NetPort:
    """One virtio network device of a guest.

    Attributes:
        spec: the interface that it is.
        seat: of its guest; another one after each boot.
        segment: where what it sends goes; set once all ports are there.
        taps: see every frame that passes; for captures.
    """

    def __init__(self, calendar: Calendar, seat: Seat, path: Path, spec: Port) -> None:
        """Listen on the socket `path` for the guest's driver."""
        self.spec = spec
        self.seat = seat
        self.segment: Segment | None = None
        self.taps: list[Tap] = []
        self._calendar = calendar
        self.boot(seat, path, up=spec.up)

    def boot(self, seat: Seat, path: Path, *, up: bool) -> None:
        """Be a new device of a guest that boots, at the same cable, plugged in or not."""
        self.seat = seat
        self._interrupt_planned: set[int] = set()
        self._model = NetModel(
            mac=bytes.fromhex(self.spec.mac.replace(":", "")),
            mtu_bytes=self.spec.mtu_bytes,
            link_up=up,
            sent=self._sent,
            wants_interrupt=self._plan_interrupt,
        )
        self._device = VhostUserBackend(path, self._model)
        self._calendar.add_device(seat, self._device)

    @property
    def name(self) -> str:
        """Its node and interface, as the lab names them: "r1:eth0"."""
        return f"{self.spec.endpoint.node}:{self.spec.endpoint.interface}"

    @property
    def impairment(self) -> Impairment:
        """What the lab says that its cable does to what it sends."""
        return self.spec.endpoint.impairment

    @property
    def plugged_in(self) -> bool:
        """Whether its cable is plugged in."""
        return self._model.link_up

    def arrive(self, frame: bytes) -> None:
        """Give the guest a frame; only from a local action of the guest."""
        comment = ""
        if self._model.deliver(self._device.queue(RECEIVE_QUEUE), frame):
            self._plan_interrupt(RECEIVE_QUEUE)
        else:
            comment = "dropped: its receiver has no room"
        self.see(frame, sent=False, comment=comment)

    def see(self, frame: bytes, *, sent: bool, comment: str = "") -> None:
        """Show a frame to who captures, at the guest's present instant.

        Args:
            frame: as it passes.
            sent: whether the guest has sent it.
            comment: what became of it, if that is not that it arrives.
        """
        if self.taps:
            taps, time_ns = tuple(self.taps), self.seat.now_ns

            def tell() -> None:
                for tap in taps:
                    tap(time_ns, frame, sent, comment)

            self._calendar.report(self.seat, tell, awaited=False)

    def set_link(self, *, up: bool) -> None:
        """Plug its cable in or out at the present instant of the world."""
        self._model.set_link(up=up)
        self._calendar.local(self.seat, 0, self._announce)

    def _announce(self) -> None:
        if self._device.ready:
            self._calendar.change_configuration(self._device)

    def _sent(self, frame: bytes) -> None:
        if self.segment is not None:
            self.segment.take(self, frame)

    def _plan_interrupt(self, queue: int) -> None:
        # What arrives at one instant is told by one interrupt.
        if queue not in self._interrupt_planned:
            self._interrupt_planned.add(queue)
            self.seat.at(self.seat.now_ns, lambda: self._interrupt(queue))

    def _interrupt(self, index: int) -> None:
        self._interrupt_planned.discard(index)
        queue = self._device.queue(index)
        if queue is not None and queue.wants_interrupt:
            self._calendar.interrupt(self._device, index)
