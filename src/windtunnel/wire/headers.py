# SPDX-License-Identifier: Apache-2.0
"""What a frame says of itself: addresses, ports and flags, for tables of packets.

A frame that ends early, or that says nonsense, is read as far as it makes sense.

Source: RFC 791 (IPv4), 8200 (IPv6), 9293 (TCP), 768 (UDP), 826 (ARP), 792 (ICMP), 4443 and
4861 (ICMPv6), 2328 (OSPF); IEEE 802.1Q.
"""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass, replace

_VLANS = frozenset({0x8100, 0x88A8})
_IPV4, _IPV6, _ARP = 0x0800, 0x86DD, 0x0806
_ETHER_TYPES = {0x8847: "mpls", 0x88CC: "lldp", 0x888E: "eapol"}
_TYPE_MIN = 0x0600  # below it, the field is a length (IEEE 802.3)

_TCP, _UDP, _SCTP = 6, 17, 132
_PROTOCOLS = {
    1: "icmp", 2: "igmp", 4: "ipip", _TCP: "tcp", _UDP: "udp", 41: "sit", 47: "gre",
    50: "esp", 51: "ah", 58: "icmpv6", 88: "eigrp", 89: "ospf", 103: "pim", 112: "vrrp",
    115: "l2tp", _SCTP: "sctp",
}  # fmt: skip
# IPv6's headers before the one that counts; all say the next one's number first and
# their own size in units of 8 bytes, the first not counted. A fragment's is 8 bytes.
_EXTENSIONS = frozenset({0, 43, 60})
_FRAGMENT = 44
_EXTENSIONS_MAX = 8

_FLAGS = "FSRPAUEC"  # FIN, SYN, RST, PSH, ACK, URG, ECE, CWR: from the lowest bit on
_ACK = 1 << _FLAGS.index("A")

_ICMP, _ICMPV6, _OSPF = 1, 58, 89
_ECHOES = frozenset({(_ICMP, 0), (_ICMP, 8), (_ICMPV6, 128), (_ICMPV6, 129)})
# What the first byte of a message says; of OSPF it is the second.
_MESSAGES = {
    _ICMP: {
        0: "echo reply", 3: "unreachable", 5: "redirect", 8: "echo request",
        11: "time exceeded", 12: "parameter problem",
    },
    _ICMPV6: {
        1: "unreachable", 2: "packet too big", 3: "time exceeded", 4: "parameter problem",
        128: "echo request", 129: "echo reply", 133: "router solicitation",
        134: "router advertisement", 135: "neighbour solicitation",
        136: "neighbour advertisement", 137: "redirect", 143: "multicast listener report",
    },
    _OSPF: {
        1: "hello", 2: "database description", 3: "link state request",
        4: "link state update", 5: "link state acknowledgement",
    },
}  # fmt: skip
_ECHO = struct.Struct(">HH")  # identifier, sequence: from the fifth byte on

_PORTS = struct.Struct(">HH")
_TCP_HEAD = struct.Struct(">HHIIBB")
_U16 = struct.Struct(">H")


@dataclass(frozen=True, slots=True)
class Headers:
    """What was read of a frame.

    Attributes:
        protocol: the uppermost that is known: "tcp", "arp"; "0x1234" for an unknown
            kind of frame, "ip 200" for an unknown protocol of IP, empty for none.
        source, target: IP addresses, or those of the link where there are none.
        source_port, target_port: of TCP, UDP and SCTP.
        flags: of TCP, of "FSRPAUEC".
        tcp_sequence: TCP's sequence number.
        tcp_acknowledged: what TCP waits for next; None where it acknowledges nothing.
        payload_bytes: behind the header of TCP or UDP, as the IP header says it.
        message: which one of ARP, ICMP or OSPF, in words; empty for others.
        echo: the identifier and the sequence number of an echo request or reply.
    """

    protocol: str = ""
    source: str = ""
    target: str = ""
    source_port: int | None = None
    target_port: int | None = None
    flags: str = ""
    tcp_sequence: int | None = None
    tcp_acknowledged: int | None = None
    payload_bytes: int | None = None
    message: str = ""
    echo: tuple[int, int] | None = None


def read_headers(frame: bytes) -> Headers:
    """Read a frame of Ethernet."""
    if len(frame) < 14:
        return Headers()
    found = Headers("", frame[6:12].hex(":"), frame[0:6].hex(":"))
    at = 12
    (kind,) = _U16.unpack_from(frame, at)
    while kind in _VLANS and len(frame) >= at + 6:
        at += 4
        (kind,) = _U16.unpack_from(frame, at)
    rest = frame[at + 2 :]
    if kind == _IPV4 and len(rest) >= 20:
        return _read_ipv4(rest)
    if kind == _IPV6 and len(rest) >= 40:
        return _read_ipv6(rest)
    if kind == _ARP:
        return replace(found, protocol="arp", message=_arp_message(rest))
    if kind < _TYPE_MIN:
        return replace(found, protocol="llc")
    return replace(found, protocol=_ETHER_TYPES.get(kind, f"{kind:#06x}"))


def _read_ipv4(data: bytes) -> Headers:
    head_bytes = (data[0] & 15) * 4
    size_bytes = _U16.unpack_from(data, 2)[0]
    is_first = not _U16.unpack_from(data, 6)[0] & 0x1FFF
    found = Headers("", _ipv4(data[12:16]), _ipv4(data[16:20]))
    # Segmentation offload leaves 0 where a packet is larger than the field can say.
    rest_bytes = (size_bytes or len(data)) - head_bytes
    return _read_transport(found, data[9], data[head_bytes:] if is_first else b"", rest_bytes)


def _read_ipv6(data: bytes) -> Headers:
    protocol = data[6]
    rest_bytes = _U16.unpack_from(data, 4)[0] or len(data) - 40
    found = Headers(
        "", str(ipaddress.IPv6Address(data[8:24])), str(ipaddress.IPv6Address(data[24:40]))
    )
    rest = data[40:]
    for _ in range(_EXTENSIONS_MAX):
        is_fragment = protocol == _FRAGMENT
        if not (is_fragment or protocol in _EXTENSIONS) or len(rest) < 8:
            break
        size = 8 if is_fragment else (rest[1] + 1) * 8
        if is_fragment and _U16.unpack_from(rest, 2)[0] >> 3:
            return _read_transport(found, rest[0], b"", 0)
        protocol, rest, rest_bytes = rest[0], rest[size:], rest_bytes - size
    return _read_transport(found, protocol, rest, rest_bytes)


def _read_transport(found: Headers, protocol: int, data: bytes, size_bytes: int) -> Headers:
    found = replace(found, protocol=_PROTOCOLS.get(protocol, f"ip {protocol}"))
    if len(data) < 8:
        return found
    if protocol in _MESSAGES:
        return _read_message(found, protocol, data)
    if protocol not in (_TCP, _UDP, _SCTP):
        return found
    source, target = _PORTS.unpack_from(data)
    found = replace(found, source_port=source, target_port=target)
    if protocol == _UDP:
        return replace(found, payload_bytes=max(size_bytes - 8, 0))
    if protocol == _SCTP or len(data) < _TCP_HEAD.size:
        return found
    _, _, sequence, acknowledged, offset, flags = _TCP_HEAD.unpack_from(data)
    return replace(
        found,
        flags="".join(letter for bit, letter in enumerate(_FLAGS) if flags >> bit & 1),
        tcp_sequence=sequence,
        tcp_acknowledged=acknowledged if flags & _ACK else None,
        payload_bytes=max(size_bytes - (offset >> 4) * 4, 0),
    )


def _read_message(found: Headers, protocol: int, data: bytes) -> Headers:
    kind = data[1] if protocol == _OSPF else data[0]
    words = _MESSAGES[protocol].get(kind, f"type {kind}")
    echo = _ECHO.unpack_from(data, 4) if (protocol, kind) in _ECHOES else None
    return replace(found, message=words, echo=echo)


# Of IPv4 over Ethernet: hardware and protocol (8 bytes), then the sender's two addresses and
# the target's.
def _arp_message(data: bytes) -> str:
    if len(data) < 28:
        return ""
    sender, target = _ipv4(data[14:18]), _ipv4(data[24:28])
    match _U16.unpack_from(data, 6)[0]:
        case 1:
            return f"who has {target}? asks {sender}"
        case 2:
            return f"{sender} is at {data[8:14].hex(':')}"
        case operation:
            return f"operation {operation}"


def _ipv4(raw: bytes) -> str:
    return ".".join(map(str, raw))
