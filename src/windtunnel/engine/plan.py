# SPDX-License-Identifier: Apache-2.0
"""What has to be told to a shared kernel to make a lab: pure text and numbers.

A link is a veth pair, a network is a bridge in the base node with one veth pair
a member, an impairment is a netem queueing discipline on the sending side.
Everything goes in batches, because a fork costs more than a hundred addresses.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from windtunnel.model.lab import Distribution, Endpoint, Impairment, LabSpec
from windtunnel.sim.seeds import mac_address

BASE = 1
"""Number of the base node: it shares the kernel's own network and process ids."""

FIRST = 2
"""Number of the first node of a lab."""

_HASH_BITS = 40


@dataclass(frozen=True, slots=True)
class Port:
    """An interface of the base node that belongs to a network's bridge."""

    name: str
    endpoint: Endpoint


def node_numbers(spec: LabSpec) -> dict[str, int]:
    """Each node's number for the agent, in the order of the lab."""
    return {node.name: FIRST + at for at, node in enumerate(spec.nodes)}


def endpoints(spec: LabSpec) -> Iterator[tuple[Endpoint, int]]:
    """Every interface with its MTU, in the order of the lab."""
    for link in spec.links:
        for end in link.ends:
            yield end, link.mtu_bytes
    for network in spec.networks:
        for member in network.members:
            yield member, network.mtu_bytes


def ports(spec: LabSpec) -> list[list[Port]]:
    """The bridge ports of each network."""
    return [
        [Port(f"n{at}p{index}", member) for index, member in enumerate(network.members)]
        for at, network in enumerate(spec.networks)
    ]


def _mac(spec: LabSpec, end: Endpoint) -> str:
    return end.mac or mac_address(spec.seed, end.node, end.interface)


def base_batch(spec: LabSpec, pids: Mapping[str, int]) -> str:
    """Commands for `ip -batch` in the base node: every cable and bridge.

    Args:
        spec: the lab.
        pids: the first process of each node, as the base node sees it.
    """
    lines = []
    for link in spec.links:
        a, b = link.ends
        lines.append(
            f"link add name {a.interface} netns {pids[a.node]} address {_mac(spec, a)} "
            f"mtu {link.mtu_bytes} type veth peer name {b.interface} netns {pids[b.node]} "
            f"address {_mac(spec, b)} mtu {link.mtu_bytes}"
        )
    for at, (network, members) in enumerate(zip(spec.networks, ports(spec), strict=True)):
        lines.append(
            f"link add name n{at} mtu {network.mtu_bytes} type bridge forward_delay 0 "
            "stp_state 0 mcast_snooping 0"
        )
        for port in members:
            end = port.endpoint
            lines.append(
                f"link add name {port.name} mtu {network.mtu_bytes} type veth peer name "
                f"{end.interface} netns {pids[end.node]} address {_mac(spec, end)} "
                f"mtu {network.mtu_bytes}"
            )
            lines.append(f"link set dev {port.name} master n{at} up")
        lines.append(f"link set dev n{at} up")
    return "".join(f"{line}\n" for line in lines)


def node_batches(spec: LabSpec) -> dict[str, str]:
    """Commands for `ip -batch` in each node: addresses, then everything up."""
    lines: dict[str, list[str]] = {node.name: ["link set dev lo up"] for node in spec.nodes}
    for node in spec.nodes:
        lines[node.name] += [f"addr add {address} dev lo" for address in node.addresses]
    for end, _ in endpoints(spec):
        for address in end.addresses:
            # The lab's addresses are known to be unique: no detection of duplicates.
            nodad = " nodad" if ipaddress.ip_interface(address).version == 6 else ""
            lines[end.node].append(f"addr add {address} dev {end.interface}{nodad}")
        lines[end.node].append(f"link set dev {end.interface} up")
    for link in spec.links:
        if not link.up:
            lines[link.ends[0].node].append(carrier_command(link.ends[0], up=False))
    return {name: "".join(f"{line}\n" for line in batch) for name, batch in lines.items()}


def carrier_command(end: Endpoint, *, up: bool) -> str:
    """The `ip` command that pulls out a link's cable at one end, which is both, or plugs it in."""
    return f"link set dev {end.interface} carrier {'on' if up else 'off'}"


def tc_batches(spec: LabSpec) -> dict[str, str]:
    """Commands for `tc -batch` in each node that has impaired interfaces."""
    lines: dict[str, list[str]] = {}
    for end, _ in endpoints(spec):
        if end.impairment != Impairment():
            lines.setdefault(end.node, []).append(
                netem_command(end.interface, end.impairment, verb="add")
            )
    return {name: "".join(f"{line}\n" for line in batch) for name, batch in lines.items()}


def netem_command(interface: str, impairment: Impairment, *, verb: str) -> str:
    """The `tc` command that gives an interface an impairment.

    Args:
        interface: in the node where it runs.
        impairment: what to do to the packets that it sends.
        verb: "add" or "replace".

    Source: tc-netem(8).
    """
    words = [f"qdisc {verb} dev {interface} root netem"]
    if impairment.queue_packets is not None:
        words.append(f"limit {impairment.queue_packets}")
    if impairment.delay_ns or impairment.jitter_ns:
        words.append(f"delay {impairment.delay_ns / 1000:.3f}us")
        if impairment.jitter_ns:
            words.append(f"{impairment.jitter_ns / 1000:.3f}us")
            if impairment.distribution is not Distribution.UNIFORM:
                words.append(f"distribution {impairment.distribution.value}")
    for name, share in (
        ("loss", impairment.loss),
        ("duplicate", impairment.duplicate),
        ("corrupt", impairment.corrupt),
        ("reorder", impairment.reorder),
    ):
        if share:
            words.append(f"{name} {share * 100:.8f}%")
    if impairment.rate_bps is not None:
        words.append(f"rate {impairment.rate_bps}bit")
    return " ".join(words)


def sysctl_path(name: str) -> str:
    """A sysctl's path below /proc/sys; "/" in a name is kept, as in sysctl(8).

    In sysctl(8)'s form with slashes, dots stand for themselves, which
    interface names with dots need.
    """
    return name if "/" in name else name.replace(".", "/")
