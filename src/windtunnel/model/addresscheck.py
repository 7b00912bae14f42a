# SPDX-License-Identifier: Apache-2.0
"""Addresses that no interface could have, or that clash with others."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from windtunnel.model.problem import Path, Problem

_MAC = re.compile(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}")


@dataclass(frozen=True, slots=True)
class AddressUse:
    """An address, and who has it.

    Attributes:
        path: of the address.
        text: "10.0.0.1/30".
        segment: "link r1-r2" or "network lan"; empty for a loopback.
        holder: "r1:eth1", for messages.
    """

    path: Path
    text: str
    segment: str
    holder: str


def address_problems(uses: Iterable[AddressUse]) -> Iterator[Problem]:
    """Find addresses that are malformed, unusable or used twice."""
    seen: dict[str, AddressUse] = {}
    for use in uses:
        message, hint = _fault(use.text)
        if message:
            yield Problem(use.path, message, hint)
            continue
        address = use.text.partition("/")[0]
        if ":" in address:
            address = str(ipaddress.IPv6Address(address))
            if address.startswith("fe80:"):
                continue  # link-local addresses are only unique on their link
        other = seen.setdefault(address, use)
        if other is not use:
            yield Problem(
                use.path,
                f"the address {address} of {use.holder} is also that of {other.holder}",
                "change one of the two",
                first=other.path,
            )


def overlap_problems(uses: Iterable[AddressUse]) -> Iterator[Problem]:
    """Find subnets of different links and networks that overlap."""
    ranges: list[tuple[int, int, int, AddressUse]] = []
    known: set[tuple[str, str]] = set()
    for use in uses:
        if not use.segment or _fault(use.text)[0]:
            continue
        network = ipaddress.ip_interface(use.text).network
        is_host = network.prefixlen == network.max_prefixlen
        key = (use.segment, str(network))
        if is_host or network.is_link_local or key in known:
            continue
        known.add(key)
        first = int(network.network_address)
        ranges.append((network.version, first, -int(network.broadcast_address), use))
    ranges.sort(key=lambda entry: entry[:3])
    # Subnets overlap only if one lies in the other, so comparing each with the
    # innermost that still lies around it finds an overlap of every clash.
    around: list[tuple[int, int, AddressUse]] = []
    for version, first, minus_last, use in ranges:
        while around and (around[-1][0] != version or around[-1][1] < first):
            around.pop()
        other = next((entry[2] for entry in around if entry[2].segment != use.segment), None)
        if other is not None:
            yield _overlap(use, other)
        around.append((version, -minus_last, use))


def mac_problems(macs: Sequence[tuple[Path, str]]) -> Iterator[Problem]:
    """Find MAC addresses that are malformed, no interface's, or used twice."""
    seen: dict[str, Path] = {}
    for path, text in macs:
        mac = text.lower()
        if not _MAC.fullmatch(mac):
            yield Problem(path, f"{text!r} is not a MAC address", "write it like 02:00:5e:10:00:01")
        elif int(mac[:2], 16) & 1 or mac == "00:00:00:00:00:00":
            yield Problem(
                path,
                f"no interface can have the MAC address {text}",
                "the first byte must be even (a group address is odd), 02 is for own use",
            )
        elif mac in seen:
            yield Problem(
                path, f"the MAC address {text} is used twice", "change one", first=seen[mac]
            )
        seen.setdefault(mac, path)


def _overlap(use: AddressUse, other: AddressUse) -> Problem:
    # The one that comes later in the lab is the one to complain about.
    if (use.path[0] == "networks", use.path) < (other.path[0] == "networks", other.path):
        use, other = other, use
    subnet = ipaddress.ip_interface(use.text).network
    return Problem(
        use.path,
        f"the subnet {subnet} of {use.segment} overlaps with "
        f"{ipaddress.ip_interface(other.text).network} of {other.segment}",
        "give one of the two another subnet, or leave the addresses out for automatic ones",
        first=other.path,
    )


# Message and hint about an address that no interface can have; empty for a good one.
def _fault(text: str) -> tuple[str, str]:
    try:
        interface = ipaddress.ip_interface(text)
    except ValueError as error:
        return f"{text!r} is not an address: {error}", "write it like 10.0.0.1/30 or fd00::1/64"
    if "/" not in text:
        length = interface.network.max_prefixlen
        return f"the address {text} has no prefix length", f"write it like {text}/{length - 8}"
    if "%" in text:
        return f"the address {text} has a zone", "leave out what follows '%'"
    address, network = interface.ip, interface.network
    if address.is_multicast or address.is_unspecified:
        return f"no interface can have the address {text}", "use a unicast address"
    if interface.version == 4 and network.prefixlen < 31:
        if address == network.network_address:
            return f"{text} is the network itself", f"the first host is {network[1]}"
        if address == network.broadcast_address:
            return f"{text} is the broadcast address", f"the last host is {network[-2]}"
    return "", ""
