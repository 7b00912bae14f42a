# SPDX-License-Identifier: Apache-2.0
"""Which TCP flow a trace event is of.

The tracepoints tell it in two ways: `saddr`, `daddr` of 4 bytes with `saddr_v6`,
`daddr_v6` of 16 beside them, or a whole `struct sockaddr_in` or `sockaddr_in6` in
`saddr` and `daddr` (tcp_probe). Ports are in host order in `sport` and `dport`.

Source: include/trace/events/{tcp,sock}.h, include/uapi/linux/in.h and in6.h.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Any

_INET, _INET6 = 2, 10
_IPV4, _IPV6 = 4, 16  # bytes
_SOCKADDR_IN, _SOCKADDR_IN6 = 16, 28
_FAMILIES = (_INET.to_bytes(2, "little"), _INET6.to_bytes(2, "little"))
_TCP = 6


@dataclass(frozen=True, slots=True, order=True)
class End:
    """One end of a flow.

    Attributes:
        address: as text; of an IPv4 address in IPv6 the IPv4 one.
        port: of TCP.
    """

    address: str
    port: int

    def __str__(self) -> str:
        return (
            f"[{self.address}]:{self.port}"
            if ":" in self.address
            else (f"{self.address}:{self.port}")
        )


@dataclass(frozen=True, slots=True)
class Sight:
    """A flow, seen from one of its ends.

    Attributes:
        here: the end at which the event happened.
        there: the other one.
    """

    here: End
    there: End

    @property
    def flow(self) -> tuple[End, End]:
        """The flow itself: the same from both ends."""
        return (self.here, self.there) if self.here < self.there else (self.there, self.here)


def sight_of(kind: str, fields: Mapping[str, Any]) -> Sight | None:
    """Say which flow an event is of; None for one that is of none.

    Args:
        kind: the event's name.
        fields: of it.
    """
    if "sport" not in fields or "dport" not in fields:
        return None
    if not kind.startswith("tcp_") and fields.get("protocol") != _TCP:
        return None
    here = _address(fields, "saddr")
    there = _address(fields, "daddr")
    if here is None or there is None or not (fields["sport"] and fields["dport"]):
        return None  # it listens, or has no port yet
    return Sight(End(here, fields["sport"]), End(there, fields["dport"]))


def _address(fields: Mapping[str, Any], name: str) -> str | None:
    whole = fields.get(name)
    if isinstance(whole, (list, tuple)) and len(whole) == _IPV4 and fields.get("family") == _INET6:
        whole = fields.get(f"{name}_v6")
    return address_text(bytes(whole)) if isinstance(whole, (list, tuple)) else None


def address_text(raw: bytes) -> str | None:
    """Write an address of 4 or 16 bytes, or that in a sockaddr; None for other lengths."""
    if len(raw) in (_SOCKADDR_IN, _SOCKADDR_IN6) and raw[:2] in _FAMILIES:
        raw = raw[8:24] if raw[:2] == _FAMILIES[1] else raw[4:8]
    if len(raw) == _IPV4:
        return str(IPv4Address(raw))
    if len(raw) != _IPV6:
        return None
    address = IPv6Address(raw)
    return str(address.ipv4_mapped or address)
