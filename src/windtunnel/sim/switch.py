# SPDX-License-Identifier: Apache-2.0
"""A learning switch: what joins the members of a network between kernels.

It does what a Linux bridge does as we set it up for networks within a kernel:
no spanning tree, no multicast snooping, no VLAN filtering. So a VLAN tag is
neither looked at nor changed, and an address is learned without regard to it.

Source: net/bridge/br_input.c, br_fdb.c and br_forward.c of Linux 7.3.
"""

from __future__ import annotations

from collections.abc import Iterable

AGEING_NS = 300_000_000_000
"""BR_DEFAULT_AGEING_TIME of br_private.h."""

ADDRESSES_MAX = 65_536
"""Learned at most: then the older half is forgotten. Linux has no limit."""

_HEADER_BYTES = 14
# 01:80:c2:00:00:01 to 0f are for whoever is on the cable. The address of the
# spanning tree, which ends with 00, passes a bridge that does not take part.
_RESERVED = frozenset(bytes.fromhex("0180c20000") + bytes([last]) for last in range(1, 16))


class Switch:
    """A switch with the ports 0 to `ports` - 1."""

    def __init__(self, ports: int) -> None:
        self._others = [tuple(port for port in range(ports) if port != one) for one in range(ports)]
        self._reach = self._others
        self._learned: dict[bytes, tuple[int, int]] = {}  # address: port, time when last seen

    def forward(self, now_ns: int, port: int, frame: bytes) -> tuple[int, ...]:
        """Say where a frame goes.

        Args:
            now_ns: when it came.
            port: through which it came.
            frame: from the destination's address on.

        Returns:
            The ports, in ascending order; never the one that it came through.
        """
        if len(frame) < _HEADER_BYTES:
            return ()
        target, source = frame[:6], frame[6:12]
        if source[0] & 1 or not any(source):
            return ()  # no station has such an address
        self._learn(now_ns, port, source)
        if target[0] & 1:
            return () if target in _RESERVED else self._reach[port]
        known = self._learned.get(target)
        if known is None or now_ns - known[1] >= AGEING_NS:
            return self._reach[port]
        return known[:1] if known[0] in self._reach[port] else ()

    def set_groups(self, groups: Iterable[Iterable[int]]) -> None:
        """Let only ports of the same group reach each other.

        Args:
            groups: of ports, each in one group at most; those in none form one
                more group. No groups at all heal it.
        """
        number = {port: at for at, group in enumerate(groups, 1) for port in group}
        self._reach = [
            tuple(other for other in others if number.get(other, 0) == number.get(port, 0))
            for port, others in enumerate(self._others)
        ]

    def forget(self, port: int) -> None:
        """Forget what was learned from a port: its cable was pulled out."""
        self._learned = {
            address: seen for address, seen in self._learned.items() if seen[0] != port
        }

    def learned(self) -> dict[bytes, int]:
        """The addresses that it has learned, and the port of each."""
        return {address: port for address, (port, _) in self._learned.items()}

    def _learn(self, now_ns: int, port: int, source: bytes) -> None:
        learned = self._learned
        if source not in learned and len(learned) >= ADDRESSES_MAX:
            by_age = sorted(learned, key=lambda address: (learned[address][1], address))
            for address in by_age[: ADDRESSES_MAX // 2]:
                del learned[address]
        learned[source] = (port, now_ns)
