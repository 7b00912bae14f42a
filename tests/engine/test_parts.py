# SPDX-License-Identifier: Apache-2.0
"""Which kernel of a lab gets which nodes, cables and ports."""

from __future__ import annotations

from dataclasses import replace

import pytest

from windtunnel.engine import plan
from windtunnel.engine.parts import SHARED, Part, Port, between_kernels, divide
from windtunnel.model.impairment import Impairment
from windtunnel.model.lab import OWN, Endpoint, LabSpec, LinkSpec, NetworkSpec, NodeSpec

SLOW = Impairment(delay_ns=10_000_000)

A_LEFT = Endpoint("a", "left", addresses=("10.0.0.1/24",))
B_RIGHT = Endpoint("b", "right", mac="02:00:00:00:00:0b", impairment=SLOW)
B_FAR, R_NEAR = Endpoint("b", "far"), Endpoint("r", "near")
R_FAR, S_NEAR = Endpoint("r", "far"), Endpoint("s", "near")
A_LAN, B_LAN = Endpoint("a", "lan"), Endpoint("b", "lan")
A_HALL, R_HALL, B_HALL = Endpoint("a", "hall"), Endpoint("r", "hall"), Endpoint("b", "hall")

A_B = LinkSpec("a-b", (A_LEFT, B_RIGHT))
B_R = LinkSpec("b-r", (B_FAR, R_NEAR), mtu_bytes=9000)
R_S = LinkSpec("r-s", (R_FAR, S_NEAR), up=False)
LAN = NetworkSpec("lan", (A_LAN, B_LAN))
HALL = NetworkSpec("hall", (A_HALL, R_HALL, B_HALL), mtu_bytes=1400)

A, B = NodeSpec("a"), NodeSpec("b")
R, S = NodeSpec("r", kernel=OWN), NodeSpec("s", kernel="6.12")

MIXED = LabSpec("mixed", seed=7, nodes=(A, R, B, S), links=(B_R, A_B, R_S), networks=(HALL, LAN))
"""a and b share a kernel; r and s have their own. In the shared kernel stay a-b and lan."""

ALL_SHARED = replace(MIXED, nodes=tuple(replace(node, kernel=None) for node in MIXED.nodes))


def told(parts: tuple[Part, ...]):
    """The ports of each part: (device, node and interface, index)."""
    return {
        part.name: [
            (port.device, f"{port.endpoint.node}:{port.endpoint.interface}", port.index)
            for port in part.ports
        ]
        for part in parts
    }


def test_a_lab_without_kernels_of_nodes_own_is_one_part_as_it_is():
    assert divide(ALL_SHARED) == (Part("shared", None, ALL_SHARED, ()),)
    assert between_kernels(ALL_SHARED) == ((), ())


def test_a_lab_without_nodes_has_a_shared_kernel_all_the_same():
    empty = LabSpec("empty")
    assert divide(empty) == (Part(SHARED, None, empty, ()),)


def test_a_lab_of_nodes_with_kernels_of_their_own_has_no_shared_one():
    spec = LabSpec("own", nodes=(R, S), links=(R_S,))
    assert [part.name for part in divide(spec)] == ["r", "s"]
    assert [part.node for part in divide(spec)] == [R, S]


def test_the_shared_kernel_comes_first_and_then_nodes_in_the_order_of_the_lab():
    parts = divide(replace(MIXED, nodes=(S, A, R, B)))
    assert [part.name for part in parts] == ["shared", "s", "r"]
    assert [part.node for part in parts] == [None, S, R]


def test_what_only_nodes_of_the_shared_kernel_have_stays_inside_it():
    shared = divide(MIXED)[0]
    assert shared.spec == replace(MIXED, nodes=(A, B), links=(A_B,), networks=(LAN,))


def test_a_node_with_its_own_kernel_has_nothing_inside_but_itself():
    _, r, s = divide(MIXED)
    assert r.spec == replace(MIXED, nodes=(R,), links=(), networks=())
    assert s.spec == replace(MIXED, nodes=(S,), links=(), networks=())


def test_a_link_is_between_kernels_when_any_end_has_its_own():
    assert between_kernels(MIXED)[0] == (B_R, R_S)


def test_a_network_with_one_such_member_goes_outside_whole():
    assert between_kernels(MIXED)[1] == (HALL,)
    ends = [port.endpoint for part in divide(MIXED) for port in part.ports]
    assert [end for end in ends if end.interface == "hall"] == [A_HALL, B_HALL, R_HALL]


def test_ports_are_numbered_in_each_kernel_by_links_then_networks_behind_its_inner_cables():
    assert told(divide(MIXED)) == {
        # a has left and lan inside, 2 and 3; b has right and lan
        "shared": [(0, "b:far", 4), (1, "a:hall", 4), (2, "b:hall", 5)],
        # a kernel for one node chooses indexes by itself
        "r": [(0, "r:near", None), (1, "r:far", None), (2, "r:hall", None)],
        "s": [(0, "s:near", None)],
    }


def test_a_node_without_inner_cables_begins_with_index_two():
    spec = LabSpec("one", nodes=(B, R), links=(B_R,))
    assert told(divide(spec)) == {"shared": [(0, "b:far", 2)], "r": [(0, "r:near", None)]}


def test_a_port_is_as_its_link_or_network_says():
    shared, r, s = divide(MIXED)
    assert [(port.mtu_bytes, port.up) for port in shared.ports] == [
        (9000, True),
        (1400, True),
        (1400, True),
    ]
    assert [(port.mtu_bytes, port.up) for port in r.ports] == [
        (9000, True),
        (1500, False),
        (1400, True),
    ]
    assert [(port.mtu_bytes, port.up) for port in s.ports] == [(1500, False)]


def test_a_link_from_a_kernel_to_itself_has_both_ends_there():
    loop = LinkSpec("loop", (Endpoint("r", "one"), Endpoint("r", "two")))
    parts = divide(LabSpec("loop", nodes=(R,), links=(loop,)))
    assert told(parts) == {"r": [(0, "r:one", None), (1, "r:two", None)]}


def test_a_mac_that_the_lab_gives_is_kept():
    own = replace(MIXED, nodes=(A, replace(B, kernel=OWN)), links=(A_B,), networks=())
    _, b = divide(own)
    assert b.ports == (Port(0, B_RIGHT, "02:00:00:00:00:0b", mtu_bytes=1500, up=True, index=None),)


@pytest.mark.parametrize("part", [0, 1, 2])
def test_an_interface_has_the_mac_that_it_would_have_in_a_shared_kernel(part):
    pids = {"a": 1, "r": 2, "b": 3, "s": 4}
    made = b"".join(
        setting.message for told in plan.cables(ALL_SHARED, pids).values() for setting in told
    )
    ports = divide(MIXED)[part].ports
    assert ports
    for port in ports:
        assert bytes.fromhex(port.mac.replace(":", "")) in made


def test_other_nodes_kernels_change_nothing_for_those_inside():
    others = replace(MIXED, nodes=(A, replace(R, kernel="6.12"), B, replace(S, kernel=OWN)))
    assert divide(others)[0] == divide(MIXED)[0]
