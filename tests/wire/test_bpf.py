# SPDX-License-Identifier: Apache-2.0
"""Packet filters. The oracle is tcpdump: it compiles them, and filters the same frames."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windtunnel.errors import ProtocolError
from windtunnel.wire import pcapng
from windtunnel.wire.bpf import matches, parse_program

ICMP = "6\n40 0 0 12\n21 0 3 2048\n48 0 0 23\n21 0 1 1\n6 0 0 262144\n6 0 0 0\n"

MACS = bytes.fromhex("020000000002 020000000001")


def ipv4(protocol, payload, *, options=b"", fragment=0):
    size = 20 + len(options) + len(payload)
    head = bytes([0x40 | (5 + len(options) // 4), 0]) + size.to_bytes(2, "big") + b"\0\1"
    head += fragment.to_bytes(2, "big") + bytes([64, protocol, 0, 0]) + bytes([10, 0, 0, 1])
    return MACS + b"\x08\x00" + head + bytes([10, 0, 0, 2]) + options + payload


def ports(source, target):
    return source.to_bytes(2, "big") + target.to_bytes(2, "big") + bytes(16)


FRAMES = [
    ipv4(1, bytes(8)),
    ipv4(6, ports(1234, 80)),
    ipv4(6, ports(80, 1234), options=bytes(8)),
    ipv4(17, ports(53, 53)),
    ipv4(17, ports(80, 53), fragment=100),
    ipv4(89, bytes(24)),
    MACS + b"\x08\x06" + bytes(28),
    MACS + b"\x81\x00\x20\x05" + ipv4(6, ports(1, 80))[12:],
    MACS + b"\x86\xdd" + b"\x60\0\0\0\0\x14\x06\x40" + bytes(32) + ports(9, 80),
    b"\xff" * 6 + MACS[6:] + b"\x08\x00",
    ipv4(6, bytes(1400)),
    b"",
]

EXPRESSIONS = [
    "icmp",
    "tcp port 80",
    "udp or arp",
    "ip proto ospf",
    "ether broadcast",
    "vlan 5 and tcp",
    "ip6 and tcp dst port 80",
    "greater 1000",
    "less 100",
    "host 10.0.0.1 and not icmp",
    "src net 10.0.0.0/24",
    "ip[8] + 1 = 65",
    "tcp[0:2] * 2 - 1 > 100 and tcp[2:2] / 2 = 40",
    "(ip[0] & 0xf) << 2 > 20",
    "len % 2 = 1",
    "(-ip[8]) & 0xff = 192",
    "ip[9] ^ 6 = 0 or ip[9] >> 4 | 1 = 5",
]


def test_a_filter_is_read_and_matches():
    icmp = parse_program(ICMP)
    assert [matches(icmp, frame) for frame in FRAMES[:3]] == [True, False, False]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_a_filter_matches_what_tcpdump_says(expression, tmp_path, need_program):
    need_program("tcpdump")
    compiled = subprocess.run(
        ["tcpdump", "-y", "EN10MB", "-ddd", expression], capture_output=True, text=True, check=True
    )
    program = parse_program(compiled.stdout)
    expected = []
    for frame in FRAMES:
        capture = pcapng.section_header() + pcapng.interface("eth0") + pcapng.packet(0, 0, frame)
        (tmp_path / "one.pcapng").write_bytes(capture)
        told = ["tcpdump", "-n", "-r", str(tmp_path / "one.pcapng"), expression]
        expected.append(bool(subprocess.run(told, capture_output=True, check=True).stdout))
    assert [matches(program, frame) for frame in FRAMES] == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "nonsense",
        "2\n6 0 0 1",
        "1\n6 0 0",
        "1\n40 0 0 12",  # goes on behind its end
        "2\n21 5 0 1\n6 0 0 1",  # jumps behind its end
        "2\n5 0 0 1\n6 0 0 1",
        "2\n96 0 0 16\n6 0 0 1",  # a cell that does not exist
        "2\n52 0 0 0\n6 0 0 1",  # divides by zero
        "2\n24 0 0 0\n6 0 0 1",  # a load of no size
        "2\n192 0 0 0\n6 0 0 1",  # a load of no kind
        "2\n180 0 0 1\n6 0 0 1",  # no operation
        "2\n85 0 0 1\n6 0 0 1",  # no condition
        "2\n0 0 0 -1\n6 0 0 1",
    ],
)
def test_what_is_no_filter_is_refused(text):
    with pytest.raises(ProtocolError, match="packet filter"):
        parse_program(text)


numbers = st.integers(0, 255)
rows = st.lists(st.tuples(numbers, numbers, numbers, st.integers(0, 20)), min_size=1, max_size=8)


@given(rows=rows, frame=st.binary(max_size=40))
def test_whatever_is_taken_for_a_filter_ends_with_yes_or_no(rows, frame):
    text = "\n".join([str(len(rows)), *(" ".join(map(str, row)) for row in rows)])
    try:
        program = parse_program(text)
    except ProtocolError:
        return
    assert matches(program, frame) in (True, False)


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("4\n1 0 0 0\n0 0 0 9\n60 0 0 0\n6 0 0 1", False),  # 9 / x, and x is 0
        ("4\n1 0 0 40\n0 0 0 1\n108 0 0 0\n22 0 0 0", False),  # 1 << 40 is nothing left
        ("5\n1 0 0 7\n135 0 0 0\n2 0 0 3\n96 0 0 3\n22 0 0 0", True),  # 7 by way of a cell
        ("5\n0 0 0 7\n7 0 0 0\n3 0 0 2\n97 0 0 2\n6 0 0 1", True),
        ("4\n128 0 0 0\n45 0 1 0\n6 0 0 1\n6 0 0 0", False),  # a size of 0 is not more than x
    ],
)
def test_registers_and_cells_keep_what_they_are_given(text, verdict):
    assert matches(parse_program(text), b"") is verdict
