# SPDX-License-Identifier: Apache-2.0
"""Headers of frames: what is read, how far, and Wireshark's word as an oracle."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windtunnel.wire import pcapng
from windtunnel.wire.headers import Headers, read_headers

LINK = bytes.fromhex("020000000002 020000000001")
A, B = bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])
V6_A = bytes.fromhex("fd000000000000000000000000000001")
V6_B = bytes.fromhex("fd000000000000000000000000000002")
SYN_ACK = bytes.fromhex("0050 9c40 00000007 00000008 50 12 ffff 0000 0000")
UDP = bytes.fromhex("0035 04d2 000b 0000") + b"abc"


def ipv4(protocol: int, rest: bytes, *, fragment: int = 0, size: int | None = None) -> bytes:
    total = 20 + len(rest) if size is None else size
    head = bytes([0x45, 0]) + total.to_bytes(2, "big") + b"\0\0" + fragment.to_bytes(2, "big")
    return LINK + b"\x08\x00" + head + bytes([64, protocol]) + b"\0\0" + A + B + rest


def ipv6(next_header: int, rest: bytes) -> bytes:
    head = b"\x60\0\0\0" + len(rest).to_bytes(2, "big") + bytes([next_header, 64])
    return LINK + b"\x86\xdd" + head + V6_A + V6_B + rest


def both(**more) -> Headers:
    return Headers(source="10.0.0.1", target="10.0.0.2", **more)


def both6(**more) -> Headers:
    return Headers(source="fd00::1", target="fd00::2", **more)


def link(protocol: str, message: str = "") -> Headers:
    return Headers(protocol, "02:00:00:00:00:01", "02:00:00:00:00:02", message=message)


def arp(operation: int) -> bytes:
    head = bytes.fromhex("0001 0800 06 04") + operation.to_bytes(2, "big")
    return LINK + b"\x08\x06" + head + LINK[6:] + A + bytes(6) + B


SYN = bytes.fromhex("9c40 0050 00000007 00000000 50 02 ffff 0000 0000")
SYN_READ = {
    "protocol": "tcp",
    "source_port": 40000,
    "target_port": 80,
    "flags": "S",
    "tcp_sequence": 7,
}


SYN_ACK_READ = {
    "protocol": "tcp",
    "source_port": 80,
    "target_port": 40000,
    "flags": "SA",
    "tcp_sequence": 7,
    "tcp_acknowledged": 8,
}
CASES = {
    "tcp": (ipv4(6, SYN_ACK + b"hello"), both(**SYN_ACK_READ, payload_bytes=5)),
    "tcp, padded to 60 bytes": (
        ipv4(6, SYN_ACK) + bytes(6),
        both(**SYN_ACK_READ, payload_bytes=0),
    ),
    "tcp, larger than its field can say": (
        ipv4(6, SYN_ACK + bytes(1000), size=0),
        both(**SYN_ACK_READ, payload_bytes=1000),
    ),
    "tcp, cut": (
        ipv4(6, SYN_ACK[:10]),
        both(protocol="tcp", source_port=80, target_port=40000),
    ),
    "udp": (
        ipv4(17, UDP),
        both(protocol="udp", source_port=53, target_port=1234, payload_bytes=3),
    ),
    "udp, cut": (ipv4(17, UDP[:4]), both(protocol="udp")),
    "sctp": (
        ipv4(132, bytes.fromhex("0001 0002 00000000")),
        both(protocol="sctp", source_port=1, target_port=2),
    ),
    "tcp, a first segment acknowledges nothing": (
        ipv4(6, SYN),
        both(**SYN_READ, payload_bytes=0),
    ),
    "icmp, an echo request": (
        ipv4(1, bytes.fromhex("0800 0000 1234 0005")),
        both(protocol="icmp", message="echo request", echo=(0x1234, 5)),
    ),
    "icmp, unreachable": (ipv4(1, b"\3" + bytes(7)), both(protocol="icmp", message="unreachable")),
    "icmp, cut": (ipv4(1, bytes(7)), both(protocol="icmp")),
    "icmpv6, an echo reply": (
        ipv6(58, bytes.fromhex("8100 0000 0001 ffff")),
        both6(protocol="icmpv6", message="echo reply", echo=(1, 0xFFFF)),
    ),
    "icmpv6, an unknown type": (
        ipv6(58, b"\xc8" + bytes(7)),
        both6(protocol="icmpv6", message="type 200"),
    ),
    "ospf": (ipv4(89, b"\2\1" + bytes(6)), both(protocol="ospf", message="hello")),
    "an unknown protocol": (ipv4(200, bytes(8)), both(protocol="ip 200")),
    "a later fragment": (ipv4(17, UDP, fragment=0x00B9), both(protocol="udp")),
    "ipv6, tcp": (ipv6(6, SYN_ACK + b"x"), both6(**SYN_ACK_READ, payload_bytes=1)),
    "ipv6, options, udp": (
        ipv6(0, bytes([17, 0, 0, 0, 0, 0, 0, 0]) + UDP),
        both6(protocol="udp", source_port=53, target_port=1234, payload_bytes=3),
    ),
    "ipv6, the only fragment": (
        ipv6(44, bytes([17, 0, 0, 0, 0, 0, 0, 0]) + UDP),
        both6(protocol="udp", source_port=53, target_port=1234, payload_bytes=3),
    ),
    "ipv6, later fragment": (ipv6(44, bytes([17, 0, 0, 8, 0, 0, 0, 0])), both6(protocol="udp")),
    "ipv6, options, cut": (ipv6(0, bytes(4)), both6(protocol="ip 0")),
    "ipv6, options without end": (ipv6(0, bytes(80)), both6(protocol="ip 0")),
    "arp, a question": (arp(1), link("arp", "who has 10.0.0.2? asks 10.0.0.1")),
    "arp, an answer": (arp(2), link("arp", "10.0.0.1 is at 02:00:00:00:00:01")),
    "arp, something else": (arp(9), link("arp", "operation 9")),
    "arp, cut": (arp(1)[:-1], link("arp")),
    "a vlan in a vlan": (
        LINK + bytes.fromhex("88a8 0001 8100 0002") + ipv4(1, bytes(8))[12:],
        both(protocol="icmp", message="echo reply", echo=(0, 0)),
    ),
    "a vlan, cut": (LINK + bytes.fromhex("8100 00"), link("0x8100")),
    "a length instead of a kind": (LINK + b"\x00\x26" + bytes(38), link("llc")),
    "an unknown kind": (LINK + b"\x12\x34", link("0x1234")),
    "ipv4, cut": (LINK + b"\x08\x00\x45", link("0x0800")),
    "ipv6, cut": (LINK + b"\x86\xdd\x60", link("0x86dd")),
    "no header at all": (LINK, Headers()),
}


@pytest.mark.parametrize("name", CASES)
def test_a_frame_is_read_as_far_as_it_makes_sense(name):
    frame, expected = CASES[name]
    assert read_headers(frame) == expected


@given(frame=st.binary(max_size=120))
def test_no_frame_raises(frame):
    read_headers(frame)
    read_headers(LINK + b"\x08\x00\x45" + frame)
    read_headers(LINK + b"\x86\xdd\x60" + frame)


def test_wireshark_reads_the_same(tmp_path, need_program):
    need_program("tshark")
    names = ["tcp", "udp", "ipv6, tcp", "ipv6, options, udp", "ipv6, the only fragment"]
    capture = pcapng.section_header() + pcapng.interface("x")
    for time_ns, name in enumerate(names):
        capture += pcapng.packet(0, time_ns, CASES[name][0])
    (tmp_path / "x.pcapng").write_bytes(capture)
    fields = ("ip.src", "ipv6.src", "tcp.srcport", "udp.srcport", "tcp.seq_raw", "tcp.len")
    asked = [word for field in fields for word in ("-e", field)]
    done = subprocess.run(
        ["tshark", "-r", str(tmp_path / "x.pcapng"), "-T", "fields", *asked],
        capture_output=True,
        text=True,
        check=True,
    )
    shown = [line.split("\t") for line in done.stdout.splitlines()]
    read = [read_headers(CASES[name][0]) for name in names]
    assert [line[0] or line[1] for line in shown] == [one.source for one in read]
    assert [int(line[2] or line[3]) for line in shown] == [one.source_port for one in read]
    assert [int(line[4] or -1) for line in shown] == [
        -1 if one.tcp_sequence is None else one.tcp_sequence for one in read
    ]
    assert [line[5] for line in shown[::2][:2]] == ["5", "1"]
