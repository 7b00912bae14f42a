# SPDX-License-Identifier: Apache-2.0
"""What is told to a kernel to make a lab: order, indexes, seeds, words."""

from __future__ import annotations

import struct

import pytest

from windtunnel.engine import plan
from windtunnel.model.impairment import Distribution, Impairment
from windtunnel.model.lab import Endpoint, LabSpec, LinkSpec, NetworkSpec, NodeSpec
from windtunnel.wire import rtnetlink

SLOW = Impairment(delay_ns=10_000_000, loss=0.1)

LAB = LabSpec(
    "three",
    seed=7,
    nodes=(NodeSpec("a", addresses=("192.0.2.1/32",)), NodeSpec("b"), NodeSpec("c")),
    links=(
        LinkSpec(
            "a-b",
            (
                Endpoint("a", "right", mac="02:00:00:00:00:0a", addresses=("10.0.0.1/24",)),
                Endpoint("b", "left", addresses=("10.0.0.2/24", "fd00::2/64"), impairment=SLOW),
            ),
        ),
        LinkSpec("b-c", (Endpoint("b", "right"), Endpoint("c", "left")), up=False),
    ),
    networks=(NetworkSpec("lan", (Endpoint("a", "lan", impairment=SLOW), Endpoint("c", "lan"))),),
)
PIDS = {"a": 101, "b": 102, "c": 103}


def words(told):
    return {number: [setting.what for setting in settings] for number, settings in told.items()}


def seed_in(setting):
    """The PRNG seed in a netem message: attribute 14, 8 bytes."""
    at = setting.message.index(struct.pack("<HH", 12, 14))
    return setting.message[at + 4 : at + 12]


def queues(spec, number):
    """The netem settings of a node, by interface."""
    found = plan.interfaces(spec)[number]
    return {s.what.split(",")[0]: s for s in found if b"netem" in s.message}


def test_indexes_count_from_two_in_each_node_in_the_order_of_the_lab():
    assert plan.interface_indexes(LAB) == {
        ("a", "right"): 2,
        ("b", "left"): 2,
        ("b", "right"): 3,
        ("c", "left"): 2,
        ("a", "lan"): 3,
        ("c", "lan"): 3,
    }


def test_cables_are_made_where_they_begin_and_bridges_in_the_base_node():
    assert words(plan.cables(LAB, PIDS)) == {
        2: ["interface right, link a-b to interface left of node b"],
        3: ["interface right, link b-c to interface left of node c"],
        1: [
            "network lan",
            "network lan, interface lan of node a",
            "network lan, interface lan of node a, joined",
            "network lan, interface lan of node c",
            "network lan, interface lan of node c, joined",
            "network lan, up",
        ],
    }


def test_a_cable_has_both_names_indexes_and_the_given_mac():
    (setting,) = plan.cables(LAB, PIDS)[2]
    assert setting.message == rtnetlink.new_veth(
        rtnetlink.NewInterface("right", 2, "02:00:00:00:00:0a", 1500),
        rtnetlink.NewInterface("left", 2, "02:d1:50:b9:90:8f", 1500, namespace_pid=102),
    )


def test_an_interface_is_ready_before_it_goes_up():
    assert words(plan.interfaces(LAB)) == {
        2: [
            "interface lo, up",
            "interface lo, address 192.0.2.1/32",
            "interface right, address 10.0.0.1/24",
            "interface right, up",
            "interface lan, delay 10 ms, loss 10%",
            "interface lan, up",
        ],
        3: [
            "interface lo, up",
            "interface left, address 10.0.0.2/24",
            "interface left, address fd00::2/64",
            "interface left, delay 10 ms, loss 10%",
            "interface left, up",
            "interface right, up",
        ],
        4: ["interface lo, up", "interface left, up", "interface lan, up"],
        1: ["interface n0p0, delay 10 ms, loss 10%"],
    }


def test_a_link_that_begins_cut_is_cut_last_and_at_one_end():
    (setting,) = plan.cuts(LAB)[3]
    assert plan.cuts(LAB).keys() == {3}
    assert setting == plan.Setting(
        "interface right, pulled out", rtnetlink.set_carrier(3, on=False)
    )


def test_a_queue_draws_from_a_seed_of_its_own():
    seeds = {
        seed_in(queues(LAB, 2)["interface lan"]),
        seed_in(queues(LAB, 3)["interface left"]),
        seed_in(plan.interfaces(LAB)[1][0]),
    }
    assert len(seeds) == 3


def test_another_link_changes_nobody_elses_seed():
    link = LinkSpec(
        "extra",
        (Endpoint("a", "extra", impairment=SLOW), Endpoint("b", "extra", impairment=SLOW)),
    )
    more = LabSpec(
        "three", seed=7, nodes=LAB.nodes, links=(link, *LAB.links), networks=LAB.networks
    )
    before, after = queues(LAB, 3), queues(more, 3)
    assert seed_in(after["interface left"]) == seed_in(before["interface left"])
    assert seed_in(after["interface extra"]) != seed_in(before["interface left"])


def test_a_second_queue_of_an_interface_draws_other_numbers():
    end = LAB.links[0].ends[1]
    seeds = [plan.netem_seed(7, end, count) for count in range(3)]
    assert len(set(seeds)) == 3
    assert plan.netem_seed(8, end) != seeds[0]


def test_every_setting_of_an_impairment_reaches_the_kernel():
    impairment = Impairment(
        delay_ns=1_234_567,
        jitter_ns=1000,
        distribution=Distribution.PARETO,
        loss=0.25,
        duplicate=0.5,
        reorder=0.125,
        corrupt=1.0,
        rate_bps=12_000,
        queue_packets=5,
    )
    setting = plan.new_queue("eth0", 4, impairment, seed=9)
    assert setting.what == (
        "interface eth0, delay 1234567 ns, jitter 1 us, distribution pareto, loss 25%, "
        "duplicate 50%, reorder 12.5%, corrupt 100%, rate 12 kbit, queue 5"
    )
    assert setting.message == rtnetlink.new_netem(
        4,
        rtnetlink.Netem(
            latency_ns=1_234_567,
            jitter_ns=1000,
            delay_table=plan.delay_table(Distribution.PARETO),
            loss=0.25,
            duplicate=0.5,
            reorder=0.125,
            corrupt=1.0,
            rate_bytes_per_s=1500,
            limit_packets=5,
            seed=9,
        ),
    )


@pytest.mark.parametrize(("rate_bps", "bytes_per_s"), [(None, 0), (1, 1), (7, 1), (80, 10)])
def test_a_rate_is_never_rounded_to_unlimited(rate_bps, bytes_per_s):
    setting = plan.new_queue("eth0", 2, Impairment(rate_bps=rate_bps), seed=1)
    expected = rtnetlink.Netem(rate_bytes_per_s=bytes_per_s, seed=1)
    assert setting.message == rtnetlink.new_netem(2, expected)


def test_a_change_back_to_uniform_jitter_replaces_the_table():
    uniform = Impairment(delay_ns=10, jitter_ns=5)
    change = plan.change_queue("eth0", 2, uniform)
    assert change.message == rtnetlink.replace_netem(
        2,
        rtnetlink.Netem(
            latency_ns=10, jitter_ns=5, delay_table=plan.delay_table(Distribution.UNIFORM)
        ),
    )
    # a new queue has none, and netem's own uniform jitter is finer
    assert len(plan.new_queue("eth0", 2, uniform, seed=1).message) < 300
