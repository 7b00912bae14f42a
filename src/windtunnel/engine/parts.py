# SPDX-License-Identifier: Apache-2.0
"""Which kernel of a lab gets what: pure data.

Nodes without a kernel of their own share one; a link or network belongs to it
when all of its ends do, and is made of veth pairs there. Every other link or
network runs between kernels, and each of its ends is a port: a virtio network
device of the guest that the node lives in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from windtunnel.engine import plan
from windtunnel.model.lab import Endpoint, LabSpec, LinkSpec, NetworkSpec, NodeSpec
from windtunnel.sim.seeds import mac_address

SHARED = "shared"
"""Name of the guest whose kernel nodes share; no node is called so in messages of guests."""


@dataclass(frozen=True, slots=True)
class Port:
    """An interface whose cable leaves its kernel.

    Attributes:
        device: number of the virtio network device in its guest, from 0.
        endpoint: the interface.
        mac: of the interface.
        mtu_bytes: of the link or network.
        up: whether its cable is plugged in when the lab begins.
        index: of the interface in its node; None lets a node's own kernel choose.
    """

    device: int
    endpoint: Endpoint
    mac: str
    mtu_bytes: int
    up: bool
    index: int | None


@dataclass(frozen=True, slots=True)
class Part:
    """What one guest has of a lab.

    Attributes:
        name: the node's, or `SHARED`.
        node: the node whose own kernel it is; None for the shared one.
        spec: the lab with the nodes, links and networks that are inside this guest.
        ports: in the order of the lab.
    """

    name: str
    node: NodeSpec | None
    spec: LabSpec
    ports: tuple[Port, ...]


def between_kernels(spec: LabSpec) -> tuple[tuple[LinkSpec, ...], tuple[NetworkSpec, ...]]:
    """The links and networks that leave a kernel."""
    own = {node.name for node in spec.nodes if node.kernel is not None}
    links = tuple(link for link in spec.links if any(end.node in own for end in link.ends))
    networks = tuple(net for net in spec.networks if any(end.node in own for end in net.members))
    return links, networks


def divide(spec: LabSpec) -> tuple[Part, ...]:
    """Divide a lab among its kernels: the shared one first, if there is any need of it."""
    links, networks = between_kernels(spec)
    inside = replace(
        spec,
        nodes=tuple(node for node in spec.nodes if node.kernel is None),
        links=tuple(link for link in spec.links if link not in links),
        networks=tuple(network for network in spec.networks if network not in networks),
    )
    outside = [_Outside(end, link.mtu_bytes, link.up) for link in links for end in link.ends]
    outside += [_Outside(end, net.mtu_bytes, up=True) for net in networks for end in net.members]
    parts = []
    if inside.nodes or not spec.nodes:
        parts.append(Part(SHARED, None, inside, _shared_ports(inside, outside)))
    for node in spec.nodes:
        if node.kernel is not None:
            mine = [one for one in outside if one.end.node == node.name]
            ports = tuple(_port(spec, at, one, None) for at, one in enumerate(mine))
            alone = replace(spec, nodes=(node,), links=(), networks=())
            parts.append(Part(node.name, node, alone, ports))
    return tuple(parts)


@dataclass(frozen=True, slots=True)
class _Outside:
    """An end of a link or network between kernels."""

    end: Endpoint
    mtu_bytes: int
    up: bool


def _shared_ports(inside: LabSpec, outside: Sequence[_Outside]) -> tuple[Port, ...]:
    """The ports of the shared kernel; their indexes come behind those of its own cables."""
    next_index = {node.name: plan.FIRST_INDEX for node in inside.nodes}
    for (node, _), index in plan.interface_indexes(inside).items():
        next_index[node] = index + 1
    ports: list[Port] = []
    for one in outside:
        node = one.end.node
        if node in next_index:
            ports.append(_port(inside, len(ports), one, next_index[node]))
            next_index[node] += 1
    return tuple(ports)


def _port(spec: LabSpec, device: int, one: _Outside, index: int | None) -> Port:
    mac = one.end.mac or mac_address(spec.seed, one.end.node, one.end.interface)
    return Port(device, one.end, mac, one.mtu_bytes, one.up, index)
