# SPDX-License-Identifier: Apache-2.0
"""What has to be told to a shared kernel to make a lab: pure data.

A link is a veth pair, a network is a bridge in the base node with one veth pair
a member, an impairment is a netem queue on the sending side. All of it is told
by rtnetlink messages, in three rounds with everything of a node together:
cables, then (after the sysctls) addresses and queues, then cuts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from windtunnel.errors import UsageError
from windtunnel.model.impairment import Distribution, Impairment
from windtunnel.model.impairtext import distribution_text, loss_text
from windtunnel.model.lab import Endpoint, LabSpec, LinkSpec, NodeSpec
from windtunnel.model.units import duration_text, rate_text, share_text
from windtunnel.sim.jitter import delay_table
from windtunnel.sim.seeds import derive, mac_address
from windtunnel.wire import rtnetlink
from windtunnel.wire.rtnetlink import NETEM_LIMIT_PACKETS, Netem, NewInterface

BASE = 1
"""Number of the base node: it shares the kernel's own network and process ids."""

FIRST = 2
"""Number of the first node of a lab."""

FIRST_INDEX = 2
"""Index of a node's first interface; its loopback has index 1."""

BASE_FIRST_INDEX = 1000
"""Index of the base node's first bridge: far from interfaces that a kernel makes itself."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One thing that is told to a node's network.

    Attributes:
        what: in the words of the lab: "interface eth0, address 10.0.0.1/24".
        message: for rtnetlink.
    """

    what: str
    message: bytes


Round = dict[int, list[Setting]]
"""The settings of each node, by the node's number."""


@dataclass(frozen=True, slots=True)
class Port:
    """An interface of the base node that belongs to a network's bridge."""

    name: str
    index: int
    endpoint: Endpoint


@dataclass(frozen=True, slots=True)
class Bridge:
    """A network as the base node has it."""

    name: str
    index: int
    mtu_bytes: int
    ports: tuple[Port, ...]


def node_numbers(spec: LabSpec) -> dict[str, int]:
    """Each node's number for its agent, in the order of the lab; one with a kernel is its base."""
    return {
        node.name: FIRST + at if node.kernel is None else BASE for at, node in enumerate(spec.nodes)
    }


def endpoints(spec: LabSpec) -> Iterator[Endpoint]:
    """Every interface, in the order of the lab."""
    for link in spec.links:
        yield from link.ends
    for network in spec.networks:
        yield from network.members


def interface_indexes(spec: LabSpec) -> dict[tuple[str, str], int]:
    """The index of each (node, interface): 2, 3 … in each node, in the order of the lab."""
    last: dict[str, int] = {}
    indexes = {}
    for end in endpoints(spec):
        last[end.node] = last.get(end.node, FIRST_INDEX - 1) + 1
        indexes[end.node, end.interface] = last[end.node]
    return indexes


def bridges(spec: LabSpec) -> list[Bridge]:
    """The networks, as bridges of the base node."""
    found = []
    index = BASE_FIRST_INDEX
    for at, network in enumerate(spec.networks):
        ports = tuple(
            Port(f"n{at}p{place}", index + 1 + place, member)
            for place, member in enumerate(network.members)
        )
        found.append(Bridge(f"n{at}", index, network.mtu_bytes, ports))
        index += 1 + len(ports)
    return found


def cables(spec: LabSpec, pids: Mapping[str, int]) -> Round:
    """The first round: every cable and bridge; all of them down.

    A cable is made in the network of its first end, so that each node's indexes
    are its own: Linux before 6.13 looks for an index in the network of the asker.

    Args:
        spec: the lab.
        pids: the first process of each node, as the agent sees it.
    """
    numbers = node_numbers(spec)
    indexes = interface_indexes(spec)
    told: Round = {}
    for link in spec.links:
        told.setdefault(numbers[link.ends[0].node], []).append(_cable(spec, link, indexes, pids))
    for bridge, network in zip(bridges(spec), spec.networks, strict=True):
        settings = told.setdefault(BASE, [])
        interface = NewInterface(
            bridge.name,
            bridge.index,
            mac_address(spec.seed, "network " + network.name, ""),
            bridge.mtu_bytes,
        )
        settings.append(Setting(f"network {network.name}", rtnetlink.new_bridge(interface)))
        for port in bridge.ports:
            end = port.endpoint
            index = indexes[end.node, end.interface]
            peer = _new(spec, end, index, bridge.mtu_bytes, pids[end.node])
            settings += _joined(spec, network.name, bridge, port, peer)
        settings.append(Setting(f"network {network.name}, up", rtnetlink.set_up(bridge.index)))
    return told


def interfaces(spec: LabSpec) -> Round:
    """The second round: addresses and impairments, then everything up."""
    numbers = node_numbers(spec)
    indexes = interface_indexes(spec)
    told: Round = {number: [] for number in numbers.values()}
    for node in spec.nodes:
        settings = told[numbers[node.name]]
        settings += loopback(node)
    for end in endpoints(spec):
        settings = told[numbers[end.node]]
        index = indexes[end.node, end.interface]
        settings += [address(end.interface, index, one) for one in end.addresses]
        if end.impairment != Impairment():
            seed = netem_seed(spec.seed, end)
            settings.append(new_queue(end.interface, index, end.impairment, seed))
        settings.append(up(end.interface, index))
    for bridge in bridges(spec):
        for port in bridge.ports:
            # What a network does to packets, it does to those it sends to a member.
            if port.endpoint.impairment != Impairment():
                seed = derive(spec.seed, "netem to", port.endpoint.node, port.endpoint.interface)
                told.setdefault(BASE, []).append(
                    new_queue(port.name, port.index, port.endpoint.impairment, seed)
                )
    return told


def cuts(spec: LabSpec) -> Round:
    """The third round: links that begin cut. An interface that goes up later would undo it."""
    numbers = node_numbers(spec)
    indexes = interface_indexes(spec)
    told: Round = {}
    for link in spec.links:
        if not link.up:
            end = link.ends[0]
            setting = carrier(end.interface, indexes[end.node, end.interface], on=False)
            told.setdefault(numbers[end.node], []).append(setting)
    return told


def carrier(interface: str, index: int, *, on: bool) -> Setting:
    """Pull out a link's cable at one end, which is both, or plug it in."""
    what = f"interface {interface}, {'plugged in' if on else 'pulled out'}"
    return Setting(what, rtnetlink.set_carrier(index, on=on))


def address(interface: str, index: int, address: str) -> Setting:
    """Give an interface an address."""
    what = f"interface {interface}, address {address}"
    return Setting(what, rtnetlink.new_address(index, address))


def up(interface: str, index: int) -> Setting:
    """Set an interface up."""
    return Setting(f"interface {interface}, up", rtnetlink.set_up(index))


def loopback(node: NodeSpec) -> list[Setting]:
    """A node's loopback: up, with the node's own addresses."""
    settings = [up("lo", rtnetlink.LOOPBACK)]
    settings += [address("lo", rtnetlink.LOOPBACK, one) for one in node.addresses]
    return settings


def moves(spec: LabSpec, node: str, pid: int) -> list[Setting]:
    """What moves a node's interfaces into another network, named as the lab names them.

    Told to the network where they are; indexes stay, addresses and queues do not.

    Args:
        spec: the lab.
        node: whose.
        pid: a process of the network that they go to, as the agent sees it.
    """
    indexes = interface_indexes(spec)
    mtus = [(end, link.mtu_bytes) for link in spec.links for end in link.ends]
    mtus += [(end, network.mtu_bytes) for network in spec.networks for end in network.members]
    return [
        Setting(
            f"interface {end.interface}, moved into the node's new network",
            rtnetlink.move_interface(_new(spec, end, indexes[node, end.interface], mtu_bytes, pid)),
        )
        for end, mtu_bytes in mtus
        if end.node == node
    ]


def new_queue(interface: str, index: int, impairment: Impairment, seed: int) -> Setting:
    """Give an interface that has none an impairment."""
    message = rtnetlink.new_netem(index, _netem(impairment, seed=seed))
    return Setting(_impaired(interface, impairment), message)


def change_queue(interface: str, index: int, impairment: Impairment) -> Setting:
    """Change an interface's impairment; what is under way stays under way."""
    message = rtnetlink.replace_netem(index, _netem(impairment, seed=None))
    return Setting(_impaired(interface, impairment), message)


def no_queue(interface: str, index: int) -> Setting:
    """Take an interface's impairment away; what waits in its queue is lost."""
    return Setting(f"interface {interface}, no impairment", rtnetlink.delete_queue(index))


def netem_seed(seed: int, end: Endpoint, count: int = 0) -> int:
    """What an interface's random losses and delays are drawn from.

    Args:
        seed: the lab's.
        end: the interface.
        count: how many queues it has had before: a link that becomes lossy for
            the second time does not lose the same packets again.
    """
    return derive(seed, "netem", end.node, end.interface, *([str(count)] if count else []))


def port_arrives(interface: str, pid: int, index: int) -> Setting:
    """Give a port to a node, by the name that it has, with an index of ours."""
    return Setting(f"interface {interface}, to its node", rtnetlink.move(interface, pid, index))


def port_named(index: int, name: str) -> Setting:
    """Give a port its name, or one on the way to it."""
    return Setting(f"interface {name}, named", rtnetlink.rename(index, name))


def port_ready(end: Endpoint, index: int) -> list[Setting]:
    """Give a port its addresses and set it up; what its cable does to packets is done outside."""
    addresses = [address(end.interface, index, one) for one in end.addresses]
    return [*addresses, up(end.interface, index)]


def sysctl_path(name: str) -> str:
    """A sysctl's path below /proc/sys; "/" in a name is kept, as in sysctl(8).

    In sysctl(8)'s form with slashes, dots stand for themselves, which
    interface names with dots need.
    """
    return name if "/" in name else name.replace(".", "/")


def _netem(impairment: Impairment, *, seed: int | None) -> Netem:
    """An impairment in netem's units; for an old queue, without a seed, every part of it."""
    if impairment.buffer is not None:  # in a lab, check.py finds it
        raise UsageError(
            "both ends share a kernel, whose queues count packets and know no discipline",
            hint="give one of the ends a kernel of its own, or the queue as a number of packets",
        )
    table: Sequence[int] = ()
    if impairment.jitter_ns and (
        # An old queue may have another table, and there is no way to take it away.
        seed is None or impairment.distribution is not Distribution.UNIFORM
    ):
        table = delay_table(impairment.distribution)
    return Netem(
        latency_ns=impairment.delay_ns,
        jitter_ns=impairment.jitter_ns,
        delay_table=table,
        loss=impairment.loss,
        duplicate=impairment.duplicate,
        reorder=impairment.reorder,
        corrupt=impairment.corrupt,
        # netem counts bytes, and takes zero for unlimited
        rate_bytes_per_s=0 if impairment.rate_bps is None else max(impairment.rate_bps // 8, 1),
        limit_packets=(
            NETEM_LIMIT_PACKETS if impairment.queue_packets is None else impairment.queue_packets
        ),
        seed=seed,
    )


def _impaired(interface: str, impairment: Impairment) -> str:
    parts = []
    for word, value in (("delay", impairment.delay_ns), ("jitter", impairment.jitter_ns)):
        if value:
            parts.append(f"{word} {duration_text(value)}")
    if impairment.jitter_ns:
        parts.append(f"distribution {distribution_text(impairment.distribution)}")
    if impairment.loss:
        parts.append(f"loss {loss_text(impairment.loss)}")
    for word, share in (
        ("duplicate", impairment.duplicate),
        ("reorder", impairment.reorder),
        ("corrupt", impairment.corrupt),
    ):
        if share:
            parts.append(f"{word} {share_text(share)}")
    if impairment.rate_bps is not None:
        parts.append(f"rate {rate_text(impairment.rate_bps)}")
    if impairment.queue_packets is not None:
        parts.append(f"queue {impairment.queue_packets}")
    return f"interface {interface}, {', '.join(parts) or 'no impairment'}"


def _new(spec: LabSpec, end: Endpoint, index: int, mtu_bytes: int, pid: int | None) -> NewInterface:
    mac = end.mac or mac_address(spec.seed, end.node, end.interface)
    return NewInterface(end.interface, index, mac, mtu_bytes, namespace_pid=pid)


def _cable(
    spec: LabSpec,
    link: LinkSpec,
    indexes: Mapping[tuple[str, str], int],
    pids: Mapping[str, int],
) -> Setting:
    a, b = link.ends
    message = rtnetlink.new_veth(
        _new(spec, a, indexes[a.node, a.interface], link.mtu_bytes, None),
        _new(spec, b, indexes[b.node, b.interface], link.mtu_bytes, pids[b.node]),
    )
    what = f"interface {a.interface}, link {link.name} to interface {b.interface} of node {b.node}"
    return Setting(what, message)


def _joined(
    spec: LabSpec, network: str, bridge: Bridge, port: Port, peer: NewInterface
) -> list[Setting]:
    end = port.endpoint
    what = f"network {network}, interface {end.interface} of node {end.node}"
    mac = mac_address(spec.seed, "network " + network, f"{end.node} {end.interface}")
    mine = NewInterface(port.name, port.index, mac, bridge.mtu_bytes)
    return [
        Setting(what, rtnetlink.new_veth(mine, peer)),
        Setting(f"{what}, joined", rtnetlink.set_up(port.index, master=bridge.index)),
    ]
