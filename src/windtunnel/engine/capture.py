# SPDX-License-Identifier: Apache-2.0
"""Captures: what passes an interface or both ends of a link, as a pcapng file.

The agent watches the interfaces (machines/guest/capture.c) from outside of the
nodes; no node has a process more because of it. Where both ends of a link can be
watched, the file also says what became of each frame.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import count

from windtunnel.engine import plan
from windtunnel.engine.capturefilter import wanted_by
from windtunnel.engine.fates import Fates, History
from windtunnel.engine.kernelshell import KernelShell
from windtunnel.engine.outercapture import OuterCapture, outer_ports
from windtunnel.engine.process import Process
from windtunnel.engine.world import World
from windtunnel.errors import GuestError
from windtunnel.model.lab import CaptureSpec, Endpoint
from windtunnel.wire import pcapng
from windtunnel.wire.watch import Seen, parse_records

_MAGIC = 0x7774_0001  # "wt": on packets that a watched interface has sent
_WAYS_IN, _WAYS_BOTH = 1, 3
_LOOPBACK = "lo"


@dataclass(frozen=True, slots=True)
class _Watched:
    """An interface that is watched.

    Attributes:
        node: whose.
        interface: its name there.
        index: its index there.
        ways: what is watched: 1 arrivals, 3 what is sent, too.
        shown: whether the file shows it.
        note: more about it, for people.
    """

    node: str
    interface: str
    index: int
    ways: int = _WAYS_BOTH
    shown: bool = True
    note: str = ""


def _named(specs: Iterable[CaptureSpec]) -> Iterator[tuple[str, CaptureSpec]]:
    """Give each capture a name of its own: two of one interface may differ in their filter."""
    counts: dict[str, int] = {}
    for spec in specs:
        number = counts[spec.name] = counts.get(spec.name, 0) + 1
        yield spec.name if number == 1 else f"{spec.name}.{number}", spec


class Captures:
    """All captures of a running world: one process watches for all of them.

    More would number the same packets again, and not know them when they arrive.
    """

    def __init__(self, world: World, *, sink_of: Callable[[str], Callable[[bytes], None]]) -> None:
        """Prepare those of the world's lab.

        Args:
            world: freshly started.
            sink_of: gives what takes the file of a capture, by its name.
        """
        self._world = world
        self._sink_of = sink_of
        self._captures: list[_Capture] = []
        # By the place of an interface among all: who has it, at which place of its own.
        self._takers: list[list[tuple[_Capture, int]]] = []
        self._buffer = b""
        self._said = bytearray()
        self._process: Process | None = None

    def start(self) -> None:
        """Begin the files, and return once everything is seen.

        Raises:
            GuestError: the kernel cannot do it, or tcpdump does not take a filter.
        """
        for name, spec in _named(self._world.spec.captures):
            if outer_ports(self._world, spec):
                OuterCapture(self._world, spec, self._sink_of(name))
            else:
                self._check(spec)
                self._captures.append(_Capture(self._world, spec, self._sink_of(name)))
        if not self._captures:
            return
        for capture in self._captures:
            capture.begin()
        words = ["capture", str(_MAGIC), *self._points()]
        process = KernelShell(self._world.base, "").begin_own(words, "capture", self._take)
        self._process = process
        process.wait_until(lambda: b"ready\n" in self._said or not process.running)
        if process.failure is not None:
            raise process.failure
        if not process.running:
            said = self._said.decode(errors="replace").strip()
            raise GuestError(f"cannot capture: {said}", node="base")

    def _check(self, spec: CaptureSpec) -> None:
        """Refuse what lies inside of a kernel of a node's own: we watch only the shared one."""
        if spec.node and self._world.node(spec.node).spec.kernel is not None:
            raise GuestError(
                f"cannot capture {spec.name}: it never leaves the node's own kernel",
                node=spec.node,
                hint="run tcpdump in the node",
            )

    def stop(self) -> None:
        """End them, with everything that they have seen."""
        if self._process is not None and self._process.running:
            self._process.signal(signal.SIGTERM)
            self._process.wait(timeout="5 s")

    def close(self) -> None:
        """Complete the files with what there is; lets no time pass."""
        for capture in self._captures:
            capture.finish()
        self._captures = []

    def _points(self) -> list[str]:
        """What is watched for all captures, as the agent takes it; tells who has what."""
        ways: dict[tuple[str, int], int] = {}
        takers: dict[tuple[str, int], list[tuple[_Capture, int]]] = {}
        for capture in self._captures:
            for place, one in enumerate(capture.watched):
                key = (one.node, one.index)
                ways[key] = ways.get(key, 0) | one.ways
                takers.setdefault(key, []).append((capture, place))
        self._takers = list(takers.values())
        assert self._world.shared is not None, "a lab without a shared kernel has only ports"
        pids = self._world.shared.pids
        return [f"{pids[node]}:{index}:{how}" for (node, index), how in ways.items()]

    def _take(self, data: bytes, stderr: bool) -> None:
        if stderr:
            self._said += data
            return
        records, self._buffer = parse_records(self._buffer + data, magic=_MAGIC)
        for seen in records:
            for capture, place in self._takers[seen.end]:
                capture.take(replace(seen, end=place))


class _Capture:
    """One capture, and its file."""

    def __init__(self, world: World, spec: CaptureSpec, sink: Callable[[bytes], None]) -> None:
        self._world = world
        self._spec = spec
        self._sink = sink
        self._fates: Fates | None = None
        self.watched = self._watched()

    def begin(self) -> None:
        """Begin the file."""
        numbers = count()
        self._fates = Fates(
            self._history(),
            shown=[next(numbers) if one.shown else None for one in self.watched],
            wanted=wanted_by(self._world, self._spec),
        )
        self._sink(pcapng.section_header())
        for one in self.watched:
            if one.shown:
                note = f"interface {one.interface} of node {one.node}{one.note}"
                self._sink(pcapng.interface(f"{one.node}:{one.interface}", note))

    def take(self, seen: Seen) -> None:
        """Take a record of an interface that it watches."""
        if self._fates is not None:
            for packet in self._fates.take(seen):
                self._sink(packet)

    def finish(self) -> None:
        """Complete the file."""
        if self._fates is not None:
            for packet in self._fates.finish(self._world.spec.clock_ns + self._world.now_ns):
                self._sink(packet)
        self._fates = None

    def _link_ends(self) -> tuple[str, tuple[Endpoint, ...]]:
        """The link that is captured, or that the interface belongs to, and its ends."""
        for link in self._world.spec.links:
            if link.name == self._spec.link:
                return link.name, link.ends
            if any(self._is_it(end) for end in link.ends) and not self._spec.link:
                return link.name, link.ends
        return "", ()

    def _is_it(self, end: Endpoint) -> bool:
        return (end.node, end.interface) == (self._spec.node, self._spec.interface)

    def _history(self) -> History | None:
        name, _ = self._link_ends()
        if not name:
            return None
        link = self._world.link(name)
        return lambda: link.states

    def _watched(self) -> list[_Watched]:
        """Both ends of a link, in its order, whether both are shown or not; or one interface."""
        spec = self._spec
        assert self._world.shared is not None, "a lab without a shared kernel has only ports"
        indexes = plan.interface_indexes(self._world.shared.spec)
        name, ends = self._link_ends()
        if ends:
            return [
                _Watched(
                    end.node,
                    end.interface,
                    indexes[end.node, end.interface],
                    shown=bool(spec.link) or self._is_it(end),
                    note=f", link {name}",
                )
                for end in ends
            ]
        if spec.interface == _LOOPBACK:
            # What it sends arrives at the same instant: once is enough.
            return [_Watched(spec.node, _LOOPBACK, plan.FIRST_INDEX - 1, ways=_WAYS_IN)]
        index = indexes[spec.node, spec.interface]
        return [_Watched(spec.node, spec.interface, index)]
