# SPDX-License-Identifier: Apache-2.0
"""Packets of a run's captures: read once, each frame seen at both ends of a link as one.

A capture of a link sees a frame twice, when it is sent and when it arrives. Equal bytes
between the same two interfaces are the same frame, the first that was sent first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from windtunnel.report.run.record import RunRecord
from windtunnel.store import layout
from windtunnel.store.tables.rows import read_blocks
from windtunnel.wire import pcapng
from windtunnel.wire.headers import Headers, read_headers
from windtunnel.wire.pcapng import Direction

PACKETS_MAX = 100_000
"""Read of all captures: one takes some 20 us of the processor, and a page is to be quick."""


@dataclass(slots=True)
class Sight:
    """A frame as an interface saw it.

    Attributes:
        time_ns: lab time.
        interface: "r1:eth0", as the capture names it.
        direction: as the interface's node sees it.
        headers: what the frame says of itself.
        size_bytes: on the link.
        comment: what became of it, as the capture says.
    """

    time_ns: int
    interface: str
    direction: Direction
    headers: Headers
    size_bytes: int
    comment: str


@dataclass(slots=True)
class Passage:
    """A frame on its way from one interface to another.

    Attributes:
        capture: the name of the capture.
        source, target: interfaces, or the name of a network; empty when not known.
        sent_ns: lab time; None when nobody captured where it was sent.
        arrived_ns: lab time; None when it was not seen to arrive.
        headers: what the frame says of itself.
        size_bytes: on the link.
        comment: what became of it, as the capture says.
    """

    capture: str
    source: str
    target: str
    sent_ns: int | None
    arrived_ns: int | None
    headers: Headers
    size_bytes: int
    comment: str

    @property
    def time_ns(self) -> int:
        """When it was first seen."""
        times = [one for one in (self.sent_ns, self.arrived_ns) if one is not None]
        return min(times, default=0)


@dataclass(frozen=True, slots=True)
class Captured:
    """All that was read of a run's captures.

    Attributes:
        sights: by capture, in the order of the file.
        passages: in the order of time.
        names: of all captures.
        is_cut: whether there are more packets than were read.
    """

    sights: dict[str, list[Sight]]
    passages: list[Passage]
    names: tuple[str, ...]
    is_cut: bool


def read_captures(record: RunRecord) -> Captured:
    """Read the captures of a run, as far as each can be read."""
    folder = record.path / layout.FILES
    files = [] if folder.is_symlink() else sorted(folder.glob("*.pcapng"))
    files = [file for file in files if file.is_file() and not file.is_symlink()]
    sights: dict[str, list[Sight]] = {}
    passages: list[Passage] = []
    room = PACKETS_MAX
    is_cut = False
    for file in files:
        joined = _Joined(file.stem, record.peers)
        found = sights.setdefault(file.stem, [])
        for sight, frame in _sights(file, record):
            if room == 0:
                is_cut = True
                break
            room -= 1
            found.append(sight)
            joined.take(sight, frame)
        passages += joined.passages
    passages.sort(key=lambda one: one.time_ns)  # stable: equal times in the order of the files
    return Captured(sights, passages, tuple(file.stem for file in files), is_cut)


def _sights(file: Path, record: RunRecord) -> Iterator[tuple[Sight, bytes]]:
    clock_ns = record.spec.clock_ns if record.spec else 0
    names: list[str] = []

    def warn(text: str) -> None:
        record.warnings.append(text.replace(f"{record.path}/", ""))

    for block in read_blocks(file, warn):
        if isinstance(block, pcapng.Section):
            names = []
        elif isinstance(block, pcapng.Interface):
            names.append(block.name)
        elif isinstance(block, pcapng.Packet):
            name = names[block.interface] if block.interface < len(names) else ""
            headers = read_headers(block.frame)
            sight = Sight(
                block.time_ns - clock_ns,
                name,
                block.direction,
                headers,
                block.size_bytes,
                block.comment,
            )
            yield sight, block.frame


class _Joined:
    """Joins what was sent with what arrived."""

    def __init__(self, capture: str, peers: dict[str, str]) -> None:
        self.passages: list[Passage] = []
        self._capture = capture
        self._peers = peers
        self._under_way: dict[tuple[str, str, bytes], deque[Passage]] = {}

    def take(self, sight: Sight, frame: bytes) -> None:
        peer = self._peers.get(sight.interface, "")
        if sight.direction is Direction.IN:
            sent = self._under_way.get((peer, sight.interface, frame))
            if sent:
                passage = sent.popleft()
                passage.arrived_ns = sight.time_ns
                passage.comment = passage.comment or sight.comment
                return
        is_sent = sight.direction is not Direction.IN
        ends = (sight.interface, peer) if is_sent else (peer, sight.interface)
        passage = Passage(
            self._capture,
            *ends,
            sight.time_ns if is_sent else None,
            None if is_sent else sight.time_ns,
            sight.headers,
            sight.size_bytes,
            sight.comment,
        )
        self.passages.append(passage)
        if is_sent:
            self._under_way.setdefault((*ends, frame), deque()).append(passage)
