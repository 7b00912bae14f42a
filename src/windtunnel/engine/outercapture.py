# SPDX-License-Identifier: Apache-2.0
"""Captures of cables between kernels: we carry their frames, so we see them all."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from windtunnel.engine.capturefilter import wanted_by
from windtunnel.engine.port import NetPort
from windtunnel.engine.world import World
from windtunnel.model.lab import CaptureSpec
from windtunnel.wire import pcapng
from windtunnel.wire.pcapng import Direction


def outer_ports(world: World, spec: CaptureSpec) -> list[NetPort]:
    """The ends of a capture's link, or its interface, as far as cables between kernels go."""
    ports = world.outside.ports
    if not spec.link:
        wanted = [(spec.node, spec.interface)]
    else:
        wanted = [(end.node, end.interface) for end in world.link(spec.link).spec.ends]
    return [ports[key] for key in wanted if key in ports]


class OuterCapture:
    """One capture, and its file."""

    def __init__(self, world: World, spec: CaptureSpec, sink: Callable[[bytes], None]) -> None:
        """Begin the file.

        Raises:
            GuestError: tcpdump does not take the filter.
        """
        self._world = world
        self._sink = sink
        self._wanted = wanted_by(world, spec)
        sink(pcapng.section_header())
        for number, port in enumerate(outer_ports(world, spec)):
            end = port.spec.endpoint
            note = f"interface {end.interface} of node {end.node}"
            sink(pcapng.interface(port.name, f"{note}, link {spec.link}" if spec.link else note))
            port.taps.append(partial(self._take, number))

    def _take(self, number: int, time_ns: int, frame: bytes, sent: bool, comment: str) -> None:
        if self._wanted is not None and not self._wanted(frame, len(frame)):
            return
        self._sink(
            pcapng.packet(
                number,
                self._world.spec.clock_ns + self._world.lab_time(time_ns),
                frame,
                direction=Direction.OUT if sent else Direction.IN,
                comment=comment,
            )
        )
