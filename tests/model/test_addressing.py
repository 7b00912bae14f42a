# SPDX-License-Identifier: Apache-2.0
import ipaddress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.conftest import load_text
from windtunnel.errors import LabFileError
from windtunnel.model.addressing import (
    Addressing,
    Draft,
    DraftEnd,
    hosts_lines,
    interfaces_by_node,
    wire,
)
from windtunnel.model.check import check_spec
from windtunnel.model.lab import LabSpec, NodeSpec


def link(one, other, **options):
    return Draft((DraftEnd(one), DraftEnd(other)), **options)


def addresses(links):
    return [[end.addresses for end in one.ends] for one in links]


def test_a_link_at_the_end_and_other_names_change_no_address():
    before, _ = wire([link("a", "b"), link("b", "c")], [])
    after, _ = wire([link("x", "b"), link("b", "c"), link("c", "x")], [])
    assert addresses(before) == [
        [("10.0.0.1/30", "fd00:0:0:1::1/64"), ("10.0.0.2/30", "fd00:0:0:1::2/64")],
        [("10.0.0.5/30", "fd00:0:0:2::1/64"), ("10.0.0.6/30", "fd00:0:0:2::2/64")],
    ]
    assert addresses(after)[:2] == addresses(before)


def test_a_given_address_moves_only_the_link_whose_slot_it_takes():
    given = Draft((DraftEnd("a", addresses=("10.0.0.1/24",)), DraftEnd("b", addresses=())))
    links, _ = wire([link("a", "b"), given, link("b", "c", addressing=Addressing.IPV4)], [])
    assert addresses(links) == [
        [("10.64.0.1/30", "fd00:0:0:1::1/64"), ("10.64.0.2/30", "fd00:0:0:1::2/64")],
        [("10.0.0.1/24", "fd00:0:0:2::1/64"), ()],
        [("10.64.0.5/30",), ("10.64.0.6/30",)],
    ]


def test_interfaces_that_the_user_named_are_skipped():
    links, networks = wire(
        [link("a", "b"), Draft((DraftEnd("a", "eth1"), DraftEnd("b", "wan"))), link("a", "b")],
        [Draft((DraftEnd("a"),), name="lan")],
    )
    names = [[end.interface for end in one.ends] for one in links]
    assert networks[0].members[0].interface == "eth0"
    assert names == [["eth2", "eth0"], ["eth1", "wan"], ["eth3", "eth1"]]


def test_parallel_links_are_numbered():
    links, _ = wire([link("a", "b"), link("a", "b"), link("a", "b", name="a-b-2")], [])
    assert [one.name for one in links] == ["a-b", "a-b-3", "a-b-2"]


def test_a_large_network_gets_a_large_subnet():
    ends = tuple(DraftEnd(f"n{i}") for i in range(300))
    _, networks = wire([], [Draft(ends, name="big"), Draft(ends[:2], name="small")])
    assert networks[0].members[299].addresses == ("10.192.1.44/23", "fd00:1:0:1::12c/64")
    assert networks[1].members[0].addresses == ("10.128.1.1/24", "fd00:1:0:2::1/64")


def test_a_given_subnet_is_used_in_order_around_given_addresses():
    ends = (DraftEnd("a"), DraftEnd("b", addresses=("192.0.2.1/24",)), DraftEnd("c"))
    _, networks = wire([], [Draft(ends, name="lan", subnet="192.0.2.0/24")])
    assert [end.addresses[0] for end in networks[0].members] == [
        "192.0.2.2/24",
        "192.0.2.1/24",
        "192.0.2.3/24",
    ]


@pytest.mark.parametrize(
    ("addressing", "expected"),
    [
        (Addressing.NONE, ()),
        (Addressing.IPV4, ("10.0.0.1/30",)),
        (Addressing.IPV6, ("fd00:0:0:1::1/64",)),
        (Addressing.BOTH, ("10.0.0.1/30", "fd00:0:0:1::1/64")),
    ],
)
def test_families_can_be_left_out(addressing, expected):
    links, _ = wire([link("a", "b", addressing=addressing)], [])
    assert links[0].ends[0].addresses == expected


def test_a_link_too_small_for_ipv6_gets_none():
    links, _ = wire([link("a", "b", mtu_bytes=576)], [])
    assert links[0].ends[0].addresses == ("10.0.0.1/30",)


def test_a_prefix_of_31_bits_has_two_addresses():
    links, _ = wire([link("a", "b", subnet="192.0.2.0/31", addressing=Addressing.NONE)], [])
    assert addresses(links) == [[("192.0.2.0/31",), ("192.0.2.1/31",)]]


def test_a_wrong_subnet_from_the_python_api_is_an_error():
    with pytest.raises(LabFileError, match="'x' is not a subnet"):
        wire([link("a", "b", subnet="x")], [])


@st.composite
def topologies(draw):
    nodes = st.sampled_from("abcdefgh")
    given_addresses = st.none() | st.tuples(
        st.builds(
            "10.{}.{}.{}/{}".format,
            st.sampled_from([0, 64, 128, 192]),
            st.integers(0, 1),
            st.integers(1, 250),
            st.integers(20, 30),
        )
    )
    end = st.builds(DraftEnd, nodes, st.none() | st.sampled_from(["eth0", "eth2", "wan"]))
    links = draw(st.lists(st.tuples(end, end).map(Draft), max_size=12))
    sizes = draw(st.lists(st.sampled_from([0, 1, 5, 300]), max_size=2))
    networks = [
        Draft(tuple(draw(end) for _ in range(min(size, 5))) * (size // 5 or 1), name=f"n{i}")
        for i, size in enumerate(sizes)
    ]
    fixed = Draft((DraftEnd("a", addresses=draw(given_addresses)), DraftEnd("b")))
    return [*links, fixed], networks


@settings(max_examples=50)
@given(topologies())
def test_automatic_addresses_never_meet_each_other_or_given_ones(topology):
    links, networks = wire(*topology)
    groups = [one.ends for one in links] + [one.members for one in networks]
    seen = set()
    subnets = []
    for group in groups:
        own = set()
        for end in group:
            for text in end.addresses:
                interface = ipaddress.ip_interface(text)
                assert interface.ip not in seen
                seen.add(interface.ip)
                own.add(interface.network)
        subnets.append(own)
    for i, one in enumerate(subnets):
        for other in subnets[:i]:
            assert not any(a.overlaps(b) for a in one for b in other if a.version == b.version)


@settings(max_examples=50)
@given(topologies())
def test_automatic_interface_names_are_unique_in_their_node(topology):
    links, networks = wire(*topology)
    given_names = {
        (end.node, end.interface) for group in topology for draft in group for end in draft.ends
    }
    ends = [end for one in links for end in one.ends]
    ends += [end for one in networks for end in one.members]
    automatic = [
        (end.node, end.interface) for end in ends if (end.node, end.interface) not in given_names
    ]
    assert len(set(automatic)) == len(automatic)


def test_hosts_name_every_node_with_its_first_addresses():
    lab = load_text(
        "name: x\nnodes: {r1: {addresses: [1.1.1.1/32]}, r2: , r3: }\n"
        "networks: {lan: {members: [r2], addressing: ipv6}}\nlinks: [[r1, r2]]\n"
    )
    assert hosts_lines(lab) == [
        "127.0.0.1 localhost",
        "::1 localhost",
        "1.1.1.1 r1",
        "fd00:0:0:1::1 r1",
        "10.0.0.2 r2",
        "fd00:1:0:1::1 r2",
    ]
    assert [end.interface for end in interfaces_by_node(lab)["r2"]] == ["eth0", "eth1"]


def test_ten_thousand_nodes_have_room():
    drafts = [link(f"n{i}", f"n{i + 1}") for i in range(20_000)]
    links, _ = wire(drafts, [])
    assert links[-1].ends[1].addresses == ("10.1.56.126/30", "fd00:0:0:4e20::2/64")


def test_a_lab_made_by_calls_is_checked_without_places():
    spec = LabSpec("x", nodes=(NodeSpec("a"), NodeSpec("a")))
    with pytest.raises(LabFileError) as caught:
        check_spec(spec)
    assert str(caught.value) == "there are two of the node 'a'\n  rename one"
