# SPDX-License-Identifier: Apache-2.0
"""rtnetlink messages, byte for byte as iproute2 6.1 sends them.

Taken with `strace -e trace=sendmsg -e write=3 ip …` in a fresh network
namespace; only its sequence number, the time of day, is replaced by 0.
"""

from __future__ import annotations

import ipaddress
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies import u32, u64
from windtunnel.errors import UsageError
from windtunnel.wire import rtnetlink
from windtunnel.wire.rtnetlink import Netem, NewInterface

V0 = NewInterface("v0", 0, "02:00:00:00:00:01", 1400)
V1 = NewInterface("v1", 0, "02:00:00:00:00:02", 1400)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        pytest.param(
            rtnetlink.new_veth(V0, V1),
            "7c000000 10000506 00000000 00000000 00000000000000000000000000000000"
            "0a000100 020000000001 0000 08000400 78050000 07000300 76300000"
            "40001200 08000100 76657468 34000200"
            "30000100 00000000000000000000000000000000"
            "0a000100 020000000002 0000 08000400 78050000 07000300 76310000",
            id="ip link add name v0 address 02:00:00:00:00:01 mtu 1400 type veth "
            "peer name v1 address 02:00:00:00:00:02 mtu 1400",
        ),
        pytest.param(
            rtnetlink.new_veth(
                NewInterface("v0", 0, "02:00:00:00:00:01", 1400, namespace_pid=1),
                NewInterface("v1", 0, "02:00:00:00:00:02", 1400, namespace_pid=1),
            ),
            "8c000000 10000506 00000000 00000000 00000000000000000000000000000000"
            "0a000100 020000000001 0000 08000400 78050000 08001300 01000000 07000300 76300000"
            "48001200 08000100 76657468 3c000200"
            "38000100 00000000000000000000000000000000"
            "0a000100 020000000002 0000 08000400 78050000 08001300 01000000 07000300 76310000",
            id="ip link add name v0 address 02:00:00:00:00:01 mtu 1400 netns 1 type veth "
            "peer name v1 address 02:00:00:00:00:02 mtu 1400 netns 1",
        ),
        pytest.param(
            rtnetlink.new_bridge(NewInterface("n0", 0, "02:00:00:00:00:03", 1500)),
            "68000000 10000506 00000000 00000000 00000000000000000000000000000000"
            "0a000100 020000000003 0000 08000400 dc050000 07000300 6e300000"
            "2c001200 0a000100 627269646765 0000 1c000200"
            "08000100 00000000 08000500 00000000 05001700 00000000",
            id="ip link add name n0 address 02:00:00:00:00:03 mtu 1500 type bridge "
            "forward_delay 0 stp_state 0 mcast_snooping 0",
        ),
        pytest.param(
            rtnetlink.set_up(3),
            "20000000 10000500 00000000 00000000 00000000 03000000 01000000 01000000",
            id="ip link set dev v0 up",
        ),
        pytest.param(
            rtnetlink.set_up(3, master=2),
            "28000000 10000500 00000000 00000000 00000000 03000000 01000000 01000000"
            "08000a00 02000000",
            id="ip link set dev v0 master v1 up",
        ),
        pytest.param(
            rtnetlink.move_interface(NewInterface("v0", 3, "02:00:00:00:00:01", 1400, 77)),
            "44000000 10000500 00000000 00000000 00000000 03000000 00000000 00000000"
            "0a000100 02000000 00010000 08000400 78050000 08001300 4d000000 07000300 76300000",
            id="ip link set dev v0 netns 77 name v0 address 02:00:00:00:00:01 mtu 1400",
        ),
        pytest.param(
            rtnetlink.delete_interface(3),
            "20000000 11000500 00000000 00000000 00000000 03000000 00000000 00000000",
            id="ip link del dev v0",
        ),
        pytest.param(
            rtnetlink.set_carrier(3, on=False),
            "28000000 10000500 00000000 00000000 00000000 03000000 00000000 00000000"
            "05002100 00000000",
            id="ip link set dev v0 carrier off",
        ),
        pytest.param(
            rtnetlink.rename(3, "eth7"),
            "2c000000 10000500 00000000 00000000 00000000 03000000 00000000 00000000"
            "09000300 65746837 00000000",
            id="ip link set dev v0 name eth7",
        ),
        pytest.param(
            rtnetlink.new_address(1, "10.0.0.1/24"),
            "28000000 14000506 00000000 00000000 02180000 01000000"
            "08000200 0a000001 08000100 0a000001",
            id="ip addr add 10.0.0.1/24 dev lo",
        ),
        pytest.param(
            rtnetlink.new_address(1, "127.0.0.2/8"),
            "28000000 14000506 00000000 00000000 020800fe 01000000"
            "08000200 7f000002 08000100 7f000002",
            id="ip addr add 127.0.0.2/8 dev lo",
        ),
        pytest.param(
            rtnetlink.new_address(1, "fd00::1/64"),
            "40000000 14000506 00000000 00000000 0a400200 01000000"
            "14000200 fd000000000000000000000000000001"
            "14000100 fd000000000000000000000000000001",
            id="ip addr add fd00::1/64 dev lo nodad",
        ),
        pytest.param(
            rtnetlink.delete_queue(1),
            "24000000 25000500 00000000 00000000 00000000 01000000 00000000 ffffffff 00000000",
            id="tc qdisc del dev lo root",
        ),
    ],
)
def test_the_bytes_are_those_that_ip_sends(message, expected):
    assert message == bytes.fromhex(expected)


def test_an_interface_is_moved_by_its_name_and_gets_an_index_there():
    # As `ip link set dev w0 netns 28953` sends it, but with the name for the index
    # and IFLA_NEW_IFINDEX (49), for which ip has no word.
    assert rtnetlink.move("w0", 28953, 7) == bytes.fromhex(
        "38000000 10000500 00000000 00000000 00000000 00000000 00000000 00000000"
        "07000300 77300000 08001300 19710000 08003100 07000000"
    )


@pytest.mark.parametrize("name", ["", "sixteen-letters-", "ü" * 8])
def test_a_name_that_no_interface_can_have_is_refused(name):
    for tell in (lambda: rtnetlink.rename(3, name), lambda: rtnetlink.move(name, 1, 7)):
        with pytest.raises(UsageError, match="an interface cannot be called"):
            tell()


def test_an_interface_gets_the_index_that_we_chose():
    message = rtnetlink.new_veth(
        NewInterface("v0", 7, "02:00:00:00:00:01", 1400),
        NewInterface("v1", 9, "02:00:00:00:00:02", 1400),
    )
    # ifi_index: 4 bytes into each ifinfomsg, after 2 + 2 of family and type
    assert message[20:24] == b"\x07\0\0\0"
    assert message[84:88] == b"\x09\0\0\0"
    unchosen = bytearray(message)
    unchosen[20:24] = unchosen[84:88] = bytes(4)
    assert bytes(unchosen) == rtnetlink.new_veth(V0, V1)


# ---- netem: tc 6.1 knows neither nanoseconds nor seeds, so its message is taken apart ----


def attributes(data):
    """The attributes in a stretch of bytes, by type: an independent reader."""
    found = {}
    while data:
        length, kind = struct.unpack_from("<HH", data)
        assert 4 <= length <= len(data)
        assert kind not in found
        found[kind] = data[4:length]
        padded = length + (4 - length % 4) % 4
        assert not any(data[length:padded])
        data = data[padded:]
    return found


def netem_parts(message):
    """(type, flags, interface, fixed part, attributes) of a message about a netem queue."""
    length, kind, flags, sequence, port = struct.unpack_from("<IHHII", message)
    assert (length, sequence, port) == (len(message), 0, 0)
    family, index, handle, parent, info = struct.unpack_from("<B3xiIII", message, 16)
    assert (family, handle, parent, info) == (0, 0, 0xFFFFFFFF, 0)
    outer = attributes(message[36:])
    assert outer[1] == b"netem\0"
    return kind, flags, index, struct.unpack_from("<6I", outer[2]), attributes(outer[2][24:])


def test_a_netem_queue_has_what_tc_would_have_told():
    # tc qdisc add dev lo root netem delay 10ms 1ms loss 10% duplicate 1% reorder 5%
    #    corrupt 2% rate 10mbit limit 50
    theirs = bytes.fromhex(
        "78000000 24000506 00000000 00000000 00000000 01000000 00000000 ffffffff 00000000"
        "0a000100 6e6574656d00 0000 48000200"
        "5a620200 32000000 9a999919 01000000 295c8f02 093d0000"
        "0c000300 cdcccc0c 00000000 0c000400 52b81e05 00000000"
        "14000600 d0121300 00000000 00000000 00000000"
    )
    ours = rtnetlink.new_netem(
        1,
        Netem(
            latency_ns=10_000_000,
            jitter_ns=1_000_000,
            loss=0.1,
            duplicate=0.01,
            reorder=0.05,
            corrupt=0.02,
            rate_bytes_per_s=1_250_000,
            limit_packets=50,
        ),
    )
    kind, flags, index, fixed, parts = netem_parts(ours)
    their_kind, their_flags, their_index, their_fixed, their_parts = netem_parts(theirs)
    assert (kind, flags, index) == (their_kind, their_flags, their_index)
    # all but latency and jitter, which tc gives in ticks
    assert fixed[1:5] == their_fixed[1:5]
    assert (fixed[0], fixed[5]) == (0, 0)
    assert their_parts.items() <= parts.items()
    assert {kind: parts[kind].hex() for kind in parts.keys() - their_parts.keys()} == {
        1: "000000000000000000000000",
        10: "8096980000000000",
        11: "40420f0000000000",
    }


def test_a_rate_beyond_32_bits_is_told_as_tc_does():
    # tc qdisc replace dev lo root netem rate 80gbit
    theirs = bytes.fromhex(
        "6c000000 24000505 00000000 00000000 00000000 01000000 00000000 ffffffff 00000000"
        "0a000100 6e6574656d00 0000 3c000200"
        "00000000 e8030000 00000000 00000000 00000000 00000000"
        "0c000800 00e40b5402000000 14000600 ffffffff 00000000 00000000 00000000"
    )
    ours = rtnetlink.replace_netem(1, Netem(rate_bytes_per_s=10_000_000_000))
    kind, flags, _, fixed, parts = netem_parts(ours)
    their_kind, their_flags, _, their_fixed, their_parts = netem_parts(theirs)
    assert (kind, flags, fixed) == (their_kind, their_flags, their_fixed)
    assert their_parts.items() <= parts.items()


def test_a_queue_without_settings_is_told_every_zero():
    _, _, _, fixed, parts = netem_parts(rtnetlink.replace_netem(1, Netem()))
    assert fixed == (0, 1000, 0, 0, 0, 0)
    assert {kind: len(data) for kind, data in parts.items()} == {
        1: 12,
        3: 8,
        4: 8,
        6: 16,
        10: 8,
        11: 8,
    }
    assert not any(b"".join(parts.values()))


@given(
    st.integers(0, 2**63 - 1),
    st.integers(0, 2**31 - 1),
    st.floats(0, 1),
    st.lists(st.integers(-32768, 32767), min_size=1, max_size=300),
    u64,
    u32,
    u64,
)
def test_any_settings_can_be_read_back(latency, jitter, share, table, rate, limit, seed):
    netem = Netem(
        latency_ns=latency,
        jitter_ns=jitter,
        delay_table=table,
        loss=share,
        duplicate=share,
        reorder=share,
        corrupt=share,
        rate_bytes_per_s=rate,
        limit_packets=limit,
        seed=seed,
    )
    _, _, _, fixed, parts = netem_parts(rtnetlink.new_netem(5, netem))
    chance = round(share * (2**32 - 1))
    assert fixed == (0, limit, chance, 1 if share else 0, chance, 0)
    assert struct.unpack("<q", parts[10]) == (latency,)
    assert struct.unpack("<q", parts[11]) == (jitter,)
    assert struct.unpack("<II", parts[3]) == (chance, 0)
    assert struct.unpack("<II", parts[4]) == (chance, 0)
    assert struct.unpack(f"<{len(table)}h", parts[2]) == tuple(table)
    assert struct.unpack("<Q", parts[14]) == (seed,)
    (short,) = struct.unpack_from("<I", parts[6])
    assert (struct.unpack("<Q", parts[8])[0] if 8 in parts else short) == rate


def test_certain_loss_is_all_ones():
    assert netem_parts(rtnetlink.new_netem(1, Netem(loss=1.0)))[3][2] == 0xFFFFFFFF


@given(st.ip_addresses(), st.data())
def test_any_address_can_be_read_back(address, data):
    prefix = data.draw(st.integers(0, address.max_prefixlen))
    message = rtnetlink.new_address(77, f"{address}/{prefix}")
    family, length, flags, _, index = struct.unpack_from("<BBBBI", message, 16)
    assert (family, length, index) == (2 if address.version == 4 else 10, prefix, 77)
    assert flags == (0 if address.version == 4 else 2)
    parts = attributes(message[24:])
    assert parts.keys() == {1, 2}
    assert {ipaddress.ip_address(packed) for packed in parts.values()} == {address}


@given(st.lists(st.integers(1, 2**31 - 1), min_size=1))
def test_messages_can_be_laid_one_behind_the_other(indexes):
    stream = b"".join(
        rtnetlink.set_carrier(index, on=True) + rtnetlink.new_address(index, "::1/128")
        for index in indexes
    )
    kinds = []
    while stream:
        length, kind = struct.unpack_from("<IH", stream)
        assert length % 4 == 0
        kinds.append(kind)
        stream = stream[length:]
    assert kinds == [16, 20] * len(indexes)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: rtnetlink.new_address(1, "10.0.0.300/24"), "10.0.0.300/24"),
        (lambda: rtnetlink.new_netem(1, Netem(loss=1.5)), "1.5"),
        (lambda: rtnetlink.new_netem(1, Netem(jitter_ns=2**31)), "jitter of 2147483648 ns"),
        (lambda: rtnetlink.new_netem(1, Netem(latency_ns=-1)), "delay of -1 ns"),
        (lambda: rtnetlink.new_netem(1, Netem(limit_packets=2**32)), "queue of 4294967296"),
        (lambda: rtnetlink.new_netem(1, Netem(rate_bytes_per_s=2**64)), "rate of"),
        (
            lambda: rtnetlink.new_bridge(NewInterface("a" * 16, 2, "02:00:00:00:00:01", 1500)),
            "aaaaaaaaaaaaaaaa",
        ),
    ],
)
def test_what_cannot_be_told_to_a_kernel_is_refused_by_name(make, words):
    with pytest.raises(UsageError) as caught:
        make()
    assert words in str(caught.value)
