# SPDX-License-Identifier: Apache-2.0
"""All cables and networks of a world, and what faults do to them.

Whoever does something to a cable does it under a key, and takes it away by that
key. Everything of one change is sent before anything is waited for, so a
partition of a hundred links happens at one instant.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence

from windtunnel.engine.cable import Line
from windtunnel.engine.linkstate import Hold, LinkRecord, LinkState
from windtunnel.engine.partition import Groups, separated, split
from windtunnel.engine.plan import Setting
from windtunnel.engine.switch import Switch

ALL_LOST = Hold(lost=(True, True))


class Fabric:
    """Cables, switches, and what holds on them."""

    def __init__(
        self,
        lines: Sequence[Line],
        switches: Sequence[Switch],
        *,
        finish: Callable[[], None],
        note: Callable[[str, str], None],
        now_ns: Callable[[], int],
    ) -> None:
        """Create.

        Args:
            lines: every cable.
            switches: every network.
            finish: waits until all that cables and switches were asked for is done.
            note: records an event of a link: its name and what has changed.
            now_ns: tells the lab time.
        """
        self._lines = tuple(lines)
        self._switches = tuple(switches)
        self._finish = finish
        self._note = note
        self._now_ns = now_ns
        self._partitions: dict[Hashable, Groups] = {}

    def line(self, name: str) -> Line:
        """The cable of the link called `name`, which exists."""
        return next(line for line in self._lines if line.name == name)

    def put(self, line: Line, record: LinkRecord) -> None:
        """Have another record hold for a cable; on an error, the old one still does."""
        self._put({line: record})

    def hold(self, key: Hashable, holds: Mapping[Line, Hold]) -> None:
        """Do something to cables under a key, at one instant."""
        self._change({line: line.record.with_hold(key, hold) for line, hold in holds.items()})

    def silence(self, key: Hashable, node: str) -> None:
        """Lose all that a node sends, and all that is sent to it."""
        self.hold(key, {line: ALL_LOST for line in self._lines if node in line.nodes})

    def partition(self, key: Hashable, groups: Groups) -> None:
        """Keep groups of nodes from reaching each other until the key is released."""
        self._partitions[key] = groups
        apart = [line for line in self._lines if line.name and separated(*line.nodes, [groups])]
        self._split_networks()
        self.hold(key, dict.fromkeys(apart, ALL_LOST))

    def release(self, key: Hashable) -> None:
        """Take away all that a key does; nothing happens if it does nothing."""
        if self._partitions.pop(key, None) is not None:
            self._split_networks()
        held = [line for line in self._lines if key in dict(line.record.holds)]
        self._change({line: line.record.without(key) for line in held})

    def power(self, node: str, *, on: bool) -> None:
        """Take note that a node has lost its power, or has it again."""
        for line in self._lines:
            line.cable.power(node, on=on)

    def boot(self, node: str) -> list[Setting]:
        """What a node that is powered on tells its network about all of its cables."""
        return [
            setting
            for line in self._lines
            for setting in line.cable.boot(node, line.record.effective)
        ]

    def _split_networks(self) -> None:
        partitions = list(self._partitions.values())
        for switch in self._switches:
            switch.send(split(switch.members, partitions))

    def _change(self, records: Mapping[Line, LinkRecord]) -> None:
        """Have other records hold, and record what has changed for links."""
        before = {line: line.record.effective for line in records}
        self._put(records)
        for line, old in before.items():
            if line.name:
                self._tell(line.name, old, line.record.effective)

    def _tell(self, name: str, old: LinkState, new: LinkState) -> None:
        if old.up != new.up:
            self._note(name, "up" if new.up else "down")
        if old.impairments != new.impairments:
            self._note(name, "impairment")

    def _put(self, records: Mapping[Line, LinkRecord]) -> None:
        for line, record in records.items():
            line.cable.send(record.effective)
        self._finish()
        for switch in self._switches:
            switch.settle()
        for line, record in records.items():
            line.cable.settle()
            line.record = record
            line.history.append((self._now_ns(), record.effective))
