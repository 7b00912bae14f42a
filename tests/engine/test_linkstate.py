# SPDX-License-Identifier: Apache-2.0
"""What a link does while several things are done to it, in any order of undoing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from windtunnel.engine.linkstate import Hold, LinkRecord, LinkState
from windtunnel.engine.partition import separated, sides, split
from windtunnel.model.impairment import Impairment

NONE = Impairment()
SLOW = Impairment(delay_ns=5)
SLOWER = Impairment(delay_ns=9, loss=0.5)
BASE = LinkState(up=True, impairments=(NONE, SLOW))

HOLDS = st.builds(
    Hold,
    st.booleans(),
    st.tuples(st.booleans(), st.booleans()),
    st.none() | st.tuples(*[st.sampled_from([NONE, SLOW, SLOWER])] * 2),
)


def test_without_holds_the_base_is_what_counts():
    assert LinkRecord(BASE).effective == BASE


def test_a_cut_leaves_the_impairments_and_a_loss_leaves_the_cable():
    record = LinkRecord(BASE).with_hold("cut", Hold(cut=True))
    assert record.effective == LinkState(up=False, impairments=(NONE, SLOW))
    record = LinkRecord(BASE).with_hold("lost", Hold(lost=(False, True)))
    assert record.effective == LinkState(
        up=True, impairments=(NONE, Impairment(delay_ns=5, loss=1.0))
    )


def test_a_degraded_link_that_is_partitioned_comes_back_right_whichever_ends_first():
    degrade, partition = Hold(impairments=(SLOWER, SLOWER)), Hold(lost=(True, True))
    both = LinkRecord(BASE).with_hold("d", degrade).with_hold("p", partition)
    lost = Impairment(delay_ns=9, loss=1.0)
    assert both.effective.impairments == (lost, lost)
    assert both.without("p").effective.impairments == (SLOWER, SLOWER)
    assert both.without("d").effective.impairments == (
        Impairment(loss=1.0),
        Impairment(delay_ns=5, loss=1.0),
    )
    assert both.without("d").without("p").effective == BASE
    assert both.without("p").without("d").effective == BASE


def test_the_latest_of_two_impairments_counts_and_the_earlier_shows_again():
    record = LinkRecord(BASE).with_hold(1, Hold(impairments=(SLOW, SLOW)))
    record = record.with_hold(2, Hold(impairments=(SLOWER, NONE)))
    assert record.effective.impairments == (SLOWER, NONE)
    assert record.without(2).effective.impairments == (SLOW, SLOW)
    assert record.without(1).effective.impairments == (SLOWER, NONE)


def test_what_a_program_sets_meanwhile_shows_when_the_fault_is_over():
    record = LinkRecord(BASE).with_hold("d", Hold(cut=True, impairments=(SLOWER, SLOWER)))
    changed = record.with_base(LinkState(up=True, impairments=(SLOW, SLOW)))
    assert changed.effective == record.effective
    assert changed.without("d").effective == LinkState(up=True, impairments=(SLOW, SLOW))


@given(st.dictionaries(st.integers(0, 9), HOLDS, max_size=5), st.randoms())
def test_holds_taken_away_in_any_order_leave_the_base(holds, random):
    record = LinkRecord(BASE)
    for key, hold in holds.items():
        record = record.with_hold(key, hold)
    keys = list(holds)
    random.shuffle(keys)
    for at, key in enumerate(keys):
        record = record.without(key)
        left = LinkRecord(BASE, tuple((k, h) for k, h in holds.items() if k not in keys[: at + 1]))
        assert record.effective == left.effective
    assert record == LinkRecord(BASE)


# ---- partitions ----


def test_nodes_in_no_group_form_one_more():
    groups = [(("a", "b"), ("c",))]
    assert [sides(node, groups) for node in "abcde"] == [(0,), (0,), (1,), (2,), (2,)]
    assert not separated("d", "e", groups)
    assert separated("a", "d", groups)


def test_a_network_falls_into_parts_in_the_order_of_its_members():
    assert split(("a", "b", "c"), []) == (0, 0, 0)
    assert split(("c", "a", "b", "x"), [(("a", "b"),)]) == (0, 1, 1, 0)
    # two partitions at once: only those reach each other whom none separates
    assert split(("a", "b", "c", "d"), [(("a", "b"),), (("b", "c"),)]) == (0, 1, 2, 3)
