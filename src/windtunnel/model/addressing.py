# SPDX-License-Identifier: Apache-2.0
"""Names and addresses for interfaces to which the user gave none.

Interface names: a node's interfaces are eth0, eth1 … in the order of the
networks and then of the links that name it; names that the user gave are
skipped.

Addresses depend on a position only, never on a name, so renaming changes none
and adding at the end changes none. Every link has the slot of its number,
whether it uses it or not:

    IPv4 link i      10.0.0.0/30 + 4 * i         in 10.0.0.0/10
    IPv4 network i   10.128.0.0/24 + 256 * i     in 10.128.0.0/10
    IPv6 link i      fd00:0:0:1::/64 + i         in fd00::/32
    IPv6 network i   fd00:1:0:1::/64 + i         in fd00:1::/32

The first end has host 1, the second 2, and so on. A slot that overlaps with
anything the user gave, and a network that does not fit its slot, move to the
next free place of the upper half of the pool (10.64.0.0/10, 10.192.0.0/10,
fd00:2::/32, fd00:3::/32); nobody else moves. Where the user gave any address
of a family (or `ip: []`), that family is left as given.
"""

from __future__ import annotations

import ipaddress
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from windtunnel.errors import LabFileError
from windtunnel.model.impairment import Impairment
from windtunnel.model.lab import Endpoint, LabSpec, LinkSpec, NetworkSpec

# Below this, IPv6 is switched off on an interface (RFC 8200, section 5).
IPV6_MTU_BYTES_MIN = 1280


class Addressing(Enum):
    """Which families of addresses are given automatically."""

    NONE = "none"
    IPV4 = "ipv4"
    IPV6 = "ipv6"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class DraftEnd:
    """An interface as a user describes it.

    Attributes:
        node: its node's name.
        interface: its name; None is the next free ethN.
        mac: None is drawn by the engine.
        addresses: with prefix length; None is automatic, () is none at all.
        impairment: on what it sends.
    """

    node: str
    interface: str | None = None
    mac: str | None = None
    addresses: tuple[str, ...] | None = None
    impairment: Impairment = Impairment()


@dataclass(frozen=True, slots=True)
class Draft:
    """A link (two ends) or network (any number) as a user describes it.

    Attributes:
        ends: its interfaces.
        name: unique; None makes "r1-r2" of a link.
        subnet: IPv4 network for automatic addresses; None takes a slot.
        subnet6: the same for IPv6.
        addressing: which families get automatic addresses.
        mtu_bytes: of all its interfaces.
        up: whether it carries packets when the lab begins.
    """

    ends: tuple[DraftEnd, ...]
    name: str | None = None
    subnet: str | None = None
    subnet6: str | None = None
    addressing: Addressing = Addressing.BOTH
    mtu_bytes: int = 1500
    up: bool = True


def wire(
    links: Sequence[Draft],
    networks: Sequence[Draft],
    *,
    loopbacks: Iterable[str] = (),
) -> tuple[tuple[LinkSpec, ...], tuple[NetworkSpec, ...]]:
    """Give every interface its name and addresses, and every link its name.

    Args:
        links: in the order of the lab, two ends each.
        networks: in the order of the lab, with names.
        loopbacks: addresses of nodes, which automatic ones must not touch.

    Raises:
        LabFileError: a pool or a given subnet has no room.
    """
    interfaces = iter(_interface_names([*networks, *links]))
    places = _Places()
    for draft in (*networks, *links):
        for text in _given_networks(draft):
            places.take(text)
    for text in loopbacks:
        places.take(text)
    wired_networks = tuple(
        NetworkSpec(
            name=draft.name or "",
            members=_ends(draft, index, _NETWORK_POOLS, places, next(interfaces)),
            mtu_bytes=draft.mtu_bytes,
        )
        for index, draft in enumerate(networks)
    )
    names = _link_names(links)
    wired_links = []
    for index, draft in enumerate(links):
        first, second = _ends(draft, index, _LINK_POOLS, places, next(interfaces))
        wired_links.append(
            LinkSpec(
                name=names[index], ends=(first, second), mtu_bytes=draft.mtu_bytes, up=draft.up
            )
        )
    return tuple(wired_links), wired_networks


def subnet_range(text: str, *, version: int, hosts: int) -> tuple[int, int]:
    """Read a subnet that a user gave.

    Args:
        text: "10.9.0.0/24".
        version: the family that it must be, 4 or 6.
        hosts: how many interfaces need an address in it.

    Returns:
        The first address as a number, and the length of the host part in bits.

    Raises:
        LabFileError: no subnet, the other family, host bits set, or no room.
    """
    try:
        network = ipaddress.ip_network(text)
    except ValueError as error:
        raise LabFileError(
            f"{text!r} is not a subnet: {error}",
            hint=f"write it like {'10.9.0.0/24' if version == 4 else 'fd09::/64'!r}",
        ) from error
    if network.version != version:
        raise LabFileError(
            f"the subnet {text} is IPv{network.version}, and this key is for IPv{version}",
            hint="use subnet for IPv4 and subnet6 for IPv6",
        )
    bits = network.max_prefixlen - network.prefixlen
    # Linux uses all addresses of a prefix of one bit (RFC 3021, RFC 6164).
    room = 1 << bits if bits <= 1 else (1 << bits) - (2 if version == 4 else 1)
    if hosts > room:
        raise LabFileError(
            f"the subnet {text} has room for {room} interfaces, and needs it for {hosts}",
            hint="give it a shorter prefix length",
        )
    return int(network.network_address), bits


def interfaces_by_node(spec: LabSpec) -> dict[str, list[Endpoint]]:
    """List every node's interfaces: those of networks, then those of links."""
    found: dict[str, list[Endpoint]] = {node.name: [] for node in spec.nodes}
    groups: list[Sequence[Endpoint]] = [network.members for network in spec.networks]
    groups += [link.ends for link in spec.links]
    for ends in groups:
        for end in ends:
            found.setdefault(end.node, []).append(end)
    return found


def hosts_lines(spec: LabSpec) -> list[str]:
    """Make the lines of /etc/hosts: each node's first IPv4 and first IPv6 address.

    A node's own `addresses` (on its loopback) come before those of its
    interfaces, because they stay reachable when a link is cut.
    """
    lines = ["127.0.0.1 localhost", "::1 localhost"]
    interfaces = interfaces_by_node(spec)
    for node in spec.nodes:
        candidates = [*node.addresses]
        for end in interfaces[node.name]:
            candidates += end.addresses
        for is_wanted in (_is_ipv4, _is_ipv6):
            first = next((text for text in candidates if is_wanted(text)), None)
            if first is not None:
                lines.append(f"{first.partition('/')[0]} {node.name}")
    return lines


@dataclass(frozen=True, slots=True)
class _Pool:
    """Where automatic subnets of one family come from.

    Attributes:
        version: 4 or 6.
        first: the address of slot 0.
        overflow: the first address of the upper half.
        overflow_end: the first address after the upper half.
        bits: a slot's length of the host part.
    """

    version: int
    first: int
    overflow: int
    overflow_end: int
    bits: int


_10 = 10 << 24
_FD00 = 0xFD00 << 112
_LINK_POOLS = (
    _Pool(4, _10, _10 + (64 << 16), _10 + (128 << 16), 2),
    _Pool(6, _FD00 + (1 << 64), _FD00 + (2 << 96), _FD00 + (3 << 96), 64),
)
_NETWORK_POOLS = (
    _Pool(4, _10 + (128 << 16), _10 + (192 << 16), _10 + (256 << 16), 8),
    _Pool(6, _FD00 + (1 << 96) + (1 << 64), _FD00 + (3 << 96), _FD00 + (4 << 96), 64),
)


class _Places:
    """The address ranges that are taken, of both families."""

    def __init__(self) -> None:
        # (first, last) of each range, sorted, none touching another.
        self._given: dict[int, list[tuple[int, int]]] = {4: [], 6: []}
        self._overflow: dict[int, int] = {}

    def take(self, text: str) -> None:
        try:
            network = ipaddress.ip_interface(text).network
        except ValueError:
            return  # check.py says what is wrong with it
        ranges = self._given[network.version]
        first = int(network.network_address)
        last = int(network.broadcast_address)
        # Merge with what it touches, so that ranges never overlap.
        position = bisect_left(ranges, (first, first))
        if position and ranges[position - 1][1] >= first:
            position -= 1
        while position < len(ranges) and ranges[position][0] <= last:
            old_first, old_last = ranges.pop(position)
            first, last = min(first, old_first), max(last, old_last)
        insort(ranges, (first, last))

    def is_free(self, version: int, first: int, last: int) -> bool:
        ranges = self._given[version]
        position = bisect_left(ranges, (last + 1, 0))
        return position == 0 or ranges[position - 1][1] < first

    def overflow(self, pool: _Pool, bits: int) -> int | None:
        size = 1 << bits
        start = self._overflow.get(pool.overflow, pool.overflow)
        first = (start + size - 1) // size * size
        while first + size <= pool.overflow_end:
            if self.is_free(pool.version, first, first + size - 1):
                self._overflow[pool.overflow] = first + size
                return first
            first += size
        return None


def _given_networks(draft: Draft) -> Iterator[str]:
    for subnet in (draft.subnet, draft.subnet6):
        if subnet is not None:
            yield subnet
    for end in draft.ends:
        yield from end.addresses or ()


# For each draft, the names of its ends' interfaces.
def _interface_names(drafts: Sequence[Draft]) -> list[list[str]]:
    taken: dict[str, set[str]] = {}
    for draft in drafts:
        for end in draft.ends:
            if end.interface is not None:
                taken.setdefault(end.node, set()).add(end.interface)
    following: dict[str, int] = {}
    names = []
    for draft in drafts:
        row: list[str] = []
        names.append(row)
        for end in draft.ends:
            name = end.interface
            if name is None:
                number = following.get(end.node, 0)
                while f"eth{number}" in taken.get(end.node, ()):
                    number += 1
                following[end.node] = number + 1
                name = f"eth{number}"
            row.append(name)
    return names


# "r1-r2"; a second link between the same two is "r1-r2-2".
def _link_names(links: Sequence[Draft]) -> list[str]:
    taken = {draft.name for draft in links if draft.name is not None}
    counts: dict[str, int] = {}
    names = []
    for draft in links:
        if draft.name is not None:
            names.append(draft.name)
            continue
        stem = "-".join(end.node for end in draft.ends)
        number = counts.get(stem, 0) + 1
        while (name := stem if number == 1 else f"{stem}-{number}") in taken:
            number += 1
        counts[stem] = number
        taken.add(name)
        names.append(name)
    return names


def _ends(
    draft: Draft,
    index: int,
    pools: tuple[_Pool, _Pool],
    places: _Places,
    interfaces: Sequence[str],
) -> tuple[Endpoint, ...]:
    ends = [
        Endpoint(
            node=end.node,
            interface=interfaces[position],
            mac=end.mac,
            addresses=end.addresses or (),
            impairment=end.impairment,
        )
        for position, end in enumerate(draft.ends)
    ]
    subnets = {4: draft.subnet, 6: draft.subnet6}
    for pool in pools:
        if _is_automatic(draft, pool.version):
            subnet = _subnet(draft, index, pool, places, subnets[pool.version])
            _give(ends, draft, pool.version, *subnet)
    return tuple(ends)


def _is_automatic(draft: Draft, version: int) -> bool:
    subnet = draft.subnet if version == 4 else draft.subnet6
    family = Addressing.IPV4 if version == 4 else Addressing.IPV6
    if subnet is None and draft.addressing not in (family, Addressing.BOTH):
        return False
    if version == 6 and draft.mtu_bytes < IPV6_MTU_BYTES_MIN:
        return False
    given = [end.addresses for end in draft.ends]
    if given and all(addresses == () for addresses in given):
        return False
    if subnet is not None:
        return True
    is_wanted = _is_ipv4 if version == 4 else _is_ipv6
    return not any(is_wanted(text) for addresses in given for text in addresses or ())


# Give the ends that have none of this family an address in their subnet.
def _give(ends: list[Endpoint], draft: Draft, version: int, first: int, bits: int) -> None:
    is_wanted = _is_ipv4 if version == 4 else _is_ipv6
    # Given addresses inside of the subnet keep their hosts.
    used = {
        int(ipaddress.ip_interface(text).ip) - first
        for end in ends
        for text in end.addresses
        if is_wanted(text) and _is_address(text)
    }
    host = 0 if bits <= 1 else 1
    length = (32 if version == 4 else 128) - bits
    for position, end in enumerate(ends):
        given = draft.ends[position].addresses
        if given == () or any(is_wanted(text) for text in end.addresses):
            continue
        while host in used:
            host += 1
        address = f"{_address_text(version, first + host)}/{length}"
        ends[position] = replace(end, addresses=(*end.addresses, address))
        host += 1


# The first address and the length of the host part of a link's or network's subnet.
def _subnet(
    draft: Draft, index: int, pool: _Pool, places: _Places, subnet: str | None
) -> tuple[int, int]:
    if subnet is not None:
        return subnet_range(subnet, version=pool.version, hosts=len(draft.ends))
    bits = max(pool.bits, (len(draft.ends) + 1).bit_length() if pool.version == 4 else 0)
    first = pool.first + (index << pool.bits)
    is_slot = bits == pool.bits and first + (1 << bits) <= pool.overflow
    if is_slot and places.is_free(pool.version, first, first + (1 << bits) - 1):
        return first, bits
    moved = places.overflow(pool, bits)
    if moved is None:
        raise LabFileError(
            f"no room for automatic IPv{pool.version} addresses of {draft.name or 'a link'}",
            hint="give it addresses, or say addressing: none",
        )
    return moved, bits


def _is_ipv4(text: str) -> bool:
    return ":" not in text


def _is_ipv6(text: str) -> bool:
    return ":" in text


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_interface(text)
    except ValueError:
        return False
    return True


def _address_text(version: int, value: int) -> str:
    if version == 4:
        return f"{value >> 24}.{value >> 16 & 255}.{value >> 8 & 255}.{value & 255}"
    return str(ipaddress.IPv6Address(value))
