# SPDX-License-Identifier: Apache-2.0
"""Random faults: the same from the same seed, and as many as the rate says."""

import re
from itertools import pairwise

import pytest

from model.conftest import load_text
from windtunnel.model.fault import LinkCut, LinkFlap, NodePause, Partition
from windtunnel.model.faultclaims import Claims
from windtunnel.model.flatten import lab_to_yaml
from windtunnel.model.load import load_lab

S = 10**9


def lab_text(random, *, nodes="abcdef", seed=1, stop="1 h", more=""):
    names = ", ".join(f"{name}: " for name in nodes)
    links = ", ".join(f"[{one}, {other}]" for one, other in pairwise(nodes))
    return (
        f"name: x\nseed: {seed}\nstop: {stop}\nnodes: {{{names}}}\nlinks: [{links}]\n"
        f"faults: [{more}{{random: {{{random}}}}}]\n"
    )


def test_the_same_seed_draws_the_same_faults_and_another_one_others(load):
    text = "kinds: [down, pause], rate: 1/min, for: [1 s, 10 s]"
    first, again, other = (load(lab_text(text, seed=seed)) for seed in (1, 1, 2))
    assert first == again
    assert first.faults != other.faults
    assert not {one.at_ns for one in first.faults} & {one.at_ns for one in other.faults}


def test_the_first_faults_of_a_lab_are_these_for_ever(load):
    lab = load(lab_text("kinds: [down, pause, partition], rate: 1/min, for: [1 s, 10 s]"))
    assert [(one.name, one.for_ns) for one in lab.faults[:4]] == [
        ("partition c d f at 33.323428 s", 6_538_290_000),
        ("partition a d e at 78.503215 s", 9_398_879_000),
        ("b-c down at 141.402444 s", 7_585_328_000),
        ("d pause at 171.393828 s", 7_197_893_000),
    ]


def test_a_seed_and_a_stop_from_outside_count():
    def refuse(name):
        raise AssertionError(name)

    def load(text, **given):
        return load_lab(text, file="lab.yaml", read=refuse, list_directory=refuse, **given).faults

    random = "kinds: [down], rate: 1/min, for: 1 s"
    assert load(lab_text(random), seed=7) == load(lab_text(random, seed=7))
    assert load(lab_text(random), stop_ns=600 * S) == load(lab_text(random, stop="10 min"))


def test_another_name_draws_other_faults(load):
    random = "kinds: [pause], rate: 1/min, for: 1 s"
    one, other = load(lab_text(random)), load(lab_text(random + ", name: b"))
    assert not {fault.at_ns for fault in one.faults} & {fault.at_ns for fault in other.faults}


def test_arrivals_are_those_of_a_poisson_process(load):
    lab = load(lab_text("kinds: [partition], rate: 1/s, for: 1 us"))
    times = [fault.at_ns / S for fault in lab.faults]
    # 3600 expected, with a standard deviation of 60.
    assert 3420 < len(times) < 3780
    gaps = [after - before for before, after in pairwise(times)]
    # A share of 1 - 1/e of the gaps is shorter than the mean, +- 0.8 %.
    assert 0.60 < sum(gap < 1 for gap in gaps) / len(gaps) < 0.66
    assert all(fault.at_ns % 1000 == 0 for fault in lab.faults)


def test_durations_fill_their_range_evenly(load):
    lab = load(lab_text("kinds: [pause], rate: 30/min, for: [1 s, 3 s]"))
    lengths = [fault.for_ns for fault in lab.faults]
    assert min(lengths) >= 1 * S
    assert max(lengths) <= 3 * S
    assert 1.9 * S < sum(lengths) / len(lengths) < 2.1 * S
    assert min(lengths) < 1.05 * S
    assert max(lengths) > 2.95 * S


def test_all_kinds_and_all_targets_have_their_turn(load):
    lab = load(lab_text("kinds: [down, pause, partition], rate: 30/min, for: 1 ms"))
    counts = {
        kind: [f for f in lab.faults if isinstance(f.action, kind)]
        for kind in (LinkCut, NodePause, Partition)
    }
    assert all(500 < len(found) < 700 for found in counts.values())
    paused = [fault.action.node for fault in counts[NodePause]]
    assert all(70 < paused.count(name) < 130 for name in "abcdef")


def test_between_bounds_when_faults_begin(load):
    lab = load(lab_text("kinds: [pause], rate: 1/s, for: 1 ms, between: [10 s, 2 min]"))
    assert 10 * S <= lab.faults[0].at_ns < 20 * S
    assert 100 * S < lab.faults[-1].at_ns < 120 * S


def test_only_the_nodes_and_links_that_are_named_are_hit(load):
    lab = load(
        lab_text(
            "kinds: [down, pause, partition], rate: 1/s, for: 1 ms, nodes: [a, c], links: [c-d]"
        )
    )
    hit = {str(fault.action) for fault in lab.faults}
    assert hit == {
        str(LinkCut("c-d")),
        str(NodePause("a")),
        str(NodePause("c")),
        str(Partition((("a",),))),
        str(Partition((("c",),))),
        str(Partition((("a", "c"),))),
    }


def test_a_partition_always_separates_something(load):
    lab = load(lab_text("kinds: [partition], rate: 1/s, for: 1 ms", nodes="ab", stop="5 min"))
    assert {fault.action.groups for fault in lab.faults} == {(("a",),), (("b",),)}


def test_another_name_for_a_node_changes_only_faults_that_hit_it_or_would_have(load):
    random = "kinds: [pause], rate: 1/min, for: 1 ms"
    before = load(lab_text(random)).faults
    after = load(lab_text(random, nodes="abcdeg")).faults
    assert [fault.at_ns for fault in before] == [fault.at_ns for fault in after]
    changed = [
        (one.action.node, other.action.node)
        for one, other in zip(before, after, strict=True)
        if one.action != other.action
    ]
    assert changed
    assert all(one == "f" or other == "g" for one, other in changed)
    assert len(changed) < len(before) // 2


def test_a_kind_more_leaves_the_times_as_they_are(load):
    one = load(lab_text("kinds: [pause], rate: 1/min, for: [1 ms, 5 ms]")).faults
    two = load(lab_text("kinds: [pause, down], rate: 1/min, for: [1 ms, 5 ms]")).faults
    assert [(f.at_ns, f.for_ns) for f in one] == [(f.at_ns, f.for_ns) for f in two]
    assert {f.action for f in two if isinstance(f.action, NodePause)} <= {f.action for f in one}


EVERYTHING = (
    "[down, {flap: {down: 1 s, up: 1 s}}, {degrade: {loss: 5%}}, {degrade: {delay: 1 ms}}, one_way,"
    " partition, pause, off, {off: true, wipe: true}, {memory: 64 MB}]"
)


@pytest.mark.parametrize("seed", range(5))
def test_no_random_fault_gets_in_the_way_of_another_one(load, seed):
    fixed = "{at: 20 s, every: 20 s, link: a-b, down: 10 s}, {at: 30 s, node: c, off: 300 s}, "
    text = lab_text(
        f"kinds: {EVERYTHING}, rate: 2/s, for: [2 s, 30 s]", seed=seed, stop="10 min", more=fixed
    )
    lab = load(text)  # which checks it
    claims = Claims(lab)
    for fault in lab.faults:
        assert claims.clash(fault) is None
        claims.add(fault)
    assert len(lab.faults) > 100
    assert load(lab_to_yaml(lab)) == lab


def test_processes_volumes_and_own_kernels_are_hit_where_there_are_any(load):
    lab = load(
        """
name: x
stop: 10 min
nodes: {a: {kernel: own}, b: {kernel: own, volumes: {v: {size: 2 MB, path: /v}}}, c: }
run: [{node: c, name: p, cmd: p, start: 5 min}]
faults:
  - random:
      kinds: [kill, stop, restart, full, errors, {clock: +1 s}, {drift: 9 ppm}]
      rate: 1/s
      for: 1 s
"""
    )
    words = {re.sub(r" at .*", "", fault.name) for fault in lab.faults}
    assert words == {
        "a clock +1 s",
        "a drift 9 ppm",
        "b clock +1 s",
        "b drift 9 ppm",
        "b errors v",
        "b full v",
        "c kill p",
        "c restart p",
        "c stop p",
    }
    assert min(f.at_ns for f in lab.faults if f.name.startswith("c")) >= 300 * S
    assert all(f.for_ns is None for f in lab.faults if "restart" in f.name)


def test_two_flaps_of_a_kind_are_two_kinds(load):
    flaps = "{flap: {down: 1 ms, up: 1 ms}}, {flap: {down: 2 ms, up: 2 ms}}"
    lab = load(lab_text(f"kinds: [{flaps}], rate: 1/min, for: 1 s"))
    downs = [f.action.down_ns for f in lab.faults if isinstance(f.action, LinkFlap)]
    assert set(downs) == {1_000_000, 2_000_000}


def test_random_faults_without_any_end_are_an_error(errors_of):
    text = lab_text("kinds: [pause], rate: 1/min, for: 1 s").replace("stop: 1 h\n", "")
    assert errors_of(text) == [
        "lab.yaml:5:19: random faults without an end\n  give between, or the lab a stop"
    ]


def test_two_random_items_of_one_name_are_an_error(errors_of):
    more = "{random: {kinds: [down], rate: 1/min, for: 1 s}}, "
    text = lab_text("kinds: [pause], rate: 1/min, for: 1 s", more=more)
    assert errors_of(text) == [
        (
            "lab.yaml:6:69: two random faults are drawn from the name 'random'\n"
            "  they would be at the same times: give one of them 'name: …' of its own"
        )
    ]
    load_text(lab_text("kinds: [pause], rate: 1/min, for: 1 s, name: b", more=more))
