# SPDX-License-Identifier: Apache-2.0
"""A learning switch: where frames go, what it learns and what it forgets."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from windtunnel.sim import switch
from windtunnel.sim.switch import AGEING_NS, Switch

A, B, C = (bytes([2, 0, 0, 0, 0, last]) for last in (1, 2, 3))
EVERYBODY = b"\xff" * 6
GROUP = bytes.fromhex("01005e000001")


def frame(target, source, tag=b""):
    return target + source + tag + b"\x08\x00" + bytes(46)


def test_what_is_not_known_goes_everywhere_but_back():
    bridge = Switch(4)
    for target in (B, EVERYBODY, GROUP):
        assert bridge.forward(0, 1, frame(target, A)) == (0, 2, 3)


def test_an_address_is_learned_from_what_it_sends():
    bridge = Switch(3)
    bridge.forward(0, 2, frame(EVERYBODY, B))
    assert bridge.forward(1, 0, frame(B, A)) == (2,)
    assert bridge.forward(2, 2, frame(A, B)) == (0,)
    assert bridge.learned() == {B: 2, A: 0}


def test_a_frame_for_the_side_that_it_came_from_goes_nowhere():
    bridge = Switch(3)
    bridge.forward(0, 0, frame(EVERYBODY, B))
    assert bridge.forward(0, 0, frame(B, A)) == ()


def test_an_address_moves_with_its_station():
    bridge = Switch(3)
    bridge.forward(0, 1, frame(EVERYBODY, B))
    bridge.forward(1, 2, frame(EVERYBODY, B))
    assert bridge.forward(2, 0, frame(B, A)) == (2,)


def test_an_address_is_forgotten_after_five_minutes_of_silence():
    bridge = Switch(3)
    bridge.forward(5, 1, frame(EVERYBODY, B))
    assert bridge.forward(AGEING_NS + 4, 0, frame(B, A)) == (1,)
    assert bridge.forward(AGEING_NS + 5, 0, frame(B, A)) == (1, 2)


def test_a_vlan_tag_is_neither_looked_at_nor_changed():
    bridge = Switch(3)
    bridge.forward(0, 1, frame(EVERYBODY, B, bytes.fromhex("81000007")))
    assert bridge.forward(0, 0, frame(B, A, bytes.fromhex("81000008"))) == (1,)
    assert bridge.forward(0, 0, frame(B, A)) == (1,)


def test_reserved_groups_stay_on_their_cable_but_for_the_spanning_tree():
    bridge = Switch(3)
    for last in range(1, 16):
        reserved = bytes.fromhex("0180c20000") + bytes([last])
        assert bridge.forward(0, 0, frame(reserved, A)) == ()
    assert bridge.forward(0, 0, frame(bytes.fromhex("0180c2000000"), A)) == (1, 2)
    assert bridge.forward(0, 0, frame(bytes.fromhex("0180c2000010"), A)) == (1, 2)


def test_no_station_has_a_group_address_or_none():
    bridge = Switch(2)
    assert bridge.forward(0, 0, frame(B, GROUP)) == ()
    assert bridge.forward(0, 0, frame(B, bytes(6))) == ()
    assert bridge.forward(0, 0, frame(B, A)[:13]) == ()
    assert bridge.learned() == {}


def test_groups_do_not_reach_each_other_until_they_are_healed():
    bridge = Switch(5)
    bridge.set_groups([(0, 1), (2,)])
    assert [bridge.forward(0, port, frame(EVERYBODY, A)) for port in range(5)] == [
        (1,),
        (0,),
        (),
        (4,),
        (3,),
    ]
    bridge.forward(1, 0, frame(EVERYBODY, B))
    assert bridge.forward(2, 3, frame(B, C)) == ()
    bridge.set_groups([])
    assert bridge.forward(3, 3, frame(B, C)) == (0,)


def test_a_port_is_forgotten_with_all_behind_it():
    bridge = Switch(3)
    bridge.forward(0, 1, frame(EVERYBODY, B))
    bridge.forward(0, 2, frame(EVERYBODY, C))
    bridge.forget(1)
    assert bridge.learned() == {C: 2}
    assert bridge.forward(0, 0, frame(B, A)) == (1, 2)


def test_a_flood_of_sources_ends_with_the_older_half_forgotten(monkeypatch):
    monkeypatch.setattr(switch, "ADDRESSES_MAX", 4)
    bridge = Switch(2)
    for number in range(5):
        bridge.forward(number, 0, frame(EVERYBODY, bytes([2, 0, 0, 0, 0, number])))
    assert [address[5] for address in bridge.learned()] == [2, 3, 4]


stations = st.sampled_from([A, B, C, EVERYBODY, GROUP, bytes.fromhex("0180c2000003")])


@given(
    st.lists(
        st.tuples(st.integers(0, AGEING_NS), st.integers(0, 3), stations, stations), max_size=30
    ),
    st.lists(st.integers(0, 2), min_size=4, max_size=4),
)
def test_a_frame_never_comes_back_nor_leaves_its_group(sent, group_of):
    bridge = Switch(4)
    bridge.set_groups([[p for p in range(4) if group_of[p] == group] for group in range(3)])
    now_ns = 0
    for after_ns, port, target, source in sent:
        now_ns += after_ns
        ports = bridge.forward(now_ns, port, frame(target, source))
        assert port not in ports
        assert list(ports) == sorted(set(ports))
        assert all(group_of[one] == group_of[port] for one in ports)
