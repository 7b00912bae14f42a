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


# An address in numbers: making ipaddress's networks of 100,000 takes seconds.
@dataclass(frozen=True, slots=True)
class _Parsed:
    use: AddressUse
    version: int
    value: int
    first: int  # of its subnet; so is last
    last: int
    is_link_local: bool

    @property
    def subnet(self) -> str:
        return str(ipaddress.ip_interface(self.use.text).network)


def address_problems(uses: Iterable[AddressUse]) -> Iterator[Problem]:
    """Find addresses that are malformed, unusable or used twice, and overlapping subnets."""
    good = []
    for use in uses:
        parsed = _parse(use)
        if isinstance(parsed, Problem):
            yield parsed
        else:
            good.append(parsed)
    yield from _used_twice(good)
    yield from _overlaps(good)


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


def _used_twice(addresses: Iterable[_Parsed]) -> Iterator[Problem]:
    seen: dict[tuple[int, int], _Parsed] = {}
    for parsed in addresses:
        if parsed.version == 6 and parsed.is_link_local:
            continue  # unique on their link only
        other = seen.setdefault((parsed.version, parsed.value), parsed)
        if other is not parsed:
            use = parsed.use
            yield Problem(
                use.path,
                f"the address {use.text.partition('/')[0]} of {use.holder} is also that of "
                f"{other.use.holder}",
                "change one of the two",
                first=other.use.path,
            )


# Subnets of different links and networks that overlap.
def _overlaps(addresses: Iterable[_Parsed]) -> Iterator[Problem]:
    subnets: dict[tuple[str, int, int, int], _Parsed] = {}
    for parsed in addresses:
        is_host = parsed.first == parsed.last
        if parsed.use.segment and not is_host and not parsed.is_link_local:
            key = (parsed.use.segment, parsed.version, parsed.first, parsed.last)
            subnets.setdefault(key, parsed)
    in_order = sorted(subnets.values(), key=lambda one: (one.version, one.first, -one.last))
    # Subnets overlap only if one lies in the other: those that still lie around
    # the present one are on this stack.
    around: list[_Parsed] = []
    for parsed in in_order:
        while around and (around[-1].version != parsed.version or around[-1].last < parsed.first):
            around.pop()
        segment = parsed.use.segment
        other = next((one for one in around if one.use.segment != segment), None)
        if other is not None:
            yield _overlap(parsed, other)
        around.append(parsed)


def _overlap(one: _Parsed, other: _Parsed) -> Problem:
    # The one that comes later in the lab is the one to complain about.
    if (one.use.path[0] == "networks", one.use.path) < (
        other.use.path[0] == "networks",
        other.use.path,
    ):
        one, other = other, one
    return Problem(
        one.use.path,
        f"the subnet {one.subnet} of {one.use.segment} overlaps with "
        f"{other.subnet} of {other.use.segment}",
        "give one of the two another subnet, or leave the addresses out for automatic ones",
        first=other.use.path,
    )


def _parse(use: AddressUse) -> _Parsed | Problem:
    text = use.text
    name, slash, length_text = text.partition("/")
    try:
        address = ipaddress.ip_address(name)
        length: int = address.max_prefixlen
        if slash:
            if not (length_text.isascii() and length_text.isdigit()):
                raise ValueError(f"{length_text!r} is no prefix length")  # noqa: TRY301
            length = int(length_text)
        if length > address.max_prefixlen:
            raise ValueError(f"a prefix length is at most {address.max_prefixlen}")  # noqa: TRY301
    except ValueError as error:
        hint = "write it like 10.0.0.1/30 or fd00::1/64"
        return Problem(use.path, f"{text!r} is not an address: {error}", hint)
    value = int(address)
    host_mask = (1 << (address.max_prefixlen - length)) - 1
    first, last = value & ~host_mask, value | host_mask
    message = hint = ""
    if not slash:
        message = f"the address {text} has no prefix length"
        hint = f"write it like {text}/{24 if address.version == 4 else 64}"
    elif "%" in name:
        message, hint = f"the address {text} has a zone", "leave out what follows '%'"
    elif address.is_multicast or address.is_unspecified:
        message = f"no interface can have the address {text}"
        hint = "use a unicast address"
    elif address.version == 4 and length < 31 and value == first:
        message = f"{text} is the network itself"
        hint = f"the first host is {ipaddress.IPv4Address(first + 1)}"
    elif address.version == 4 and length < 31 and value == last:
        message = f"{text} is the broadcast address"
        hint = f"the last host is {ipaddress.IPv4Address(last - 1)}"
    if message:
        return Problem(use.path, message, hint)
    return _Parsed(use, address.version, value, first, last, address.is_link_local)
