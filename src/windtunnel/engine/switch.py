# SPDX-License-Identifier: Apache-2.0
"""Networks while they are partitioned: switches that fall into parts.

`Switch` is all that the fabric knows of one. `BridgeSwitch` is a bridge in the
base node: each further part is a bridge of its own, to which the ports of its
members are moved. A port that moves loses what was learnt about it, and nobody
who is plugged in loses the carrier.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Protocol

from windtunnel.engine import plan
from windtunnel.engine.plan import Bridge, Setting
from windtunnel.engine.wiring import Wiring
from windtunnel.model.lab import LabSpec
from windtunnel.sim.seeds import mac_address
from windtunnel.wire import rtnetlink
from windtunnel.wire.rtnetlink import NewInterface

PART_FIRST_INDEX = 1_000_000
"""Index of the first bridge that is a part: far above every port's."""


class Switch(Protocol):
    """A network."""

    @property
    def members(self) -> tuple[str, ...]:
        """The names of the nodes at its ports, in the order of the lab."""

    def send(self, parts: tuple[int, ...]) -> None:
        """Ask for each port's part; it holds once the fabric has waited."""

    def settle(self) -> None:
        """Take note that what was asked for last has been done."""


class BridgeSwitch:
    """A network as a bridge of the base node, and a further bridge for each further part."""

    def __init__(
        self,
        wiring: Wiring,
        bridge: Bridge,
        *,
        name: str,
        next_index: Callable[[], int],
        mac: Callable[[int], str],
    ) -> None:
        """Take over a bridge with all of its ports.

        Args:
            wiring: of its kernel.
            bridge: as it was made.
            name: of the network, for messages.
            next_index: gives an index for a new bridge.
            mac: gives the address of the bridge for a part.
        """
        self._wiring = wiring
        self._bridge = bridge
        self._name = name
        self._next_index = next_index
        self._mac = mac
        self._parts = (0,) * len(bridge.ports)
        self._sent = self._parts
        self._indexes = {0: bridge.index}

    @property
    def members(self) -> tuple[str, ...]:
        """The names of the nodes at its ports."""
        return tuple(port.endpoint.node for port in self._bridge.ports)

    def send(self, parts: tuple[int, ...]) -> None:
        """Move ports to the bridges of their parts; a bridge without a port is removed."""
        told = []
        for part in sorted(set(parts) - self._indexes.keys()):
            told += self._make(part)
        for port, old, new in zip(self._bridge.ports, self._parts, parts, strict=True):
            if old != new:
                what = f"network {self._name}, node {port.endpoint.node} moved to part {new}"
                message = rtnetlink.set_up(port.index, master=self._indexes[new])
                told.append(Setting(what, message))
        for part in sorted(self._indexes.keys() - set(parts) - {0}):
            what = f"network {self._name}, part {part} removed"
            told.append(Setting(what, rtnetlink.delete_interface(self._indexes.pop(part))))
        if told:
            self._wiring.send({plan.BASE: told})
        self._sent = parts

    def settle(self) -> None:
        """Take note that what was asked for last has been done."""
        self._parts = self._sent

    def _make(self, part: int) -> list[Setting]:
        index = self._indexes[part] = self._next_index()
        what = f"network {self._name}, part {part}"
        interface = NewInterface(
            f"{self._bridge.name}g{part}", index, self._mac(part), self._bridge.mtu_bytes
        )
        return [
            Setting(what, rtnetlink.new_bridge(interface)),
            Setting(f"{what}, up", rtnetlink.set_up(index)),
        ]


def bridge_switches(spec: LabSpec, wiring: Wiring) -> list[BridgeSwitch]:
    """The networks of a lab as bridges of the base node."""
    indexes = count(PART_FIRST_INDEX)

    def mac_of(network: str) -> Callable[[int], str]:
        return lambda part: mac_address(spec.seed, "network " + network, f"part {part}")

    return [
        BridgeSwitch(
            wiring,
            bridge,
            name=network.name,
            next_index=lambda: next(indexes),
            mac=mac_of(network.name),
        )
        for bridge, network in zip(plan.bridges(spec), spec.networks, strict=True)
    ]
