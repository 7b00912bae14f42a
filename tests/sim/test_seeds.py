# SPDX-License-Identifier: Apache-2.0
"""Random choices by name. The frozen values keep every recorded seed worth something."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from strategies import u64
from windtunnel.sim.seeds import SEED_MAX, derive, mac_address

names = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), max_size=4)


def test_the_values_stay_what_they_were_in_every_version():
    assert derive(0) == 4331143152044847043
    assert derive(1, "kernel") == 3332151614789463055
    assert derive(42, "mac", "r1", "eth0") == 1811937936434759012
    assert derive(SEED_MAX, "ü") == 14711423382278474765
    assert mac_address(42, "r1", "eth0") == "02:64:85:3f:00:f4"


@given(seed=u64, names=names)
def test_a_value_has_64_bits(seed, names):
    assert 0 <= derive(seed, *names) <= 2**64 - 1


@given(seed=u64, one=names, other=names)
def test_different_names_have_different_values(seed, one, other):
    assert (derive(seed, *one) == derive(seed, *other)) == (one == other)


def test_names_do_not_run_together():
    values = {
        derive(1, *names) for names in [("ab", "c"), ("a", "bc"), ("abc",), ("abc", ""), ("",), ()]
    }
    assert len(values) == 6


@given(one=u64, other=u64)
def test_different_seeds_have_different_values(one, other):
    assert (derive(one, "x") == derive(other, "x")) == (one == other)


@given(seed=u64, node=st.text("abc", max_size=5), interface=st.text("eth0123", max_size=5))
def test_a_mac_address_is_unicast_and_locally_administered(seed, node, interface):
    octets = [int(part, 16) for part in mac_address(seed, node, interface).split(":")]
    assert len(octets) == 6
    assert octets[0] & 0b11 == 0b10
    assert all(0 <= octet <= 255 for octet in octets)


def test_interfaces_and_nodes_have_addresses_of_their_own():
    addresses = {mac_address(1, node, eth) for node in ("r1", "r2") for eth in ("eth0", "eth1")}
    assert len(addresses) == 4
