# SPDX-License-Identifier: Apache-2.0
"""Fewer faults, less time: what is left still fails, and nothing of it can be left out."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from windtunnel.sim.shrink import Fewest, Least, fewest, least, readable_grain


def answered(asking, fails, *, jobs=1):
    """Drive a generator, and give its end and every candidate that it counted.

    With more jobs, each batch is tried in groups of so many, as processes would.
    """
    counted, answer = [], None
    while True:
        try:
            batch = asking.send(answer)
        except StopIteration as end:
            return end.value, counted
        answer = None
        for begin in range(0, len(batch), jobs):
            verdicts = [fails(candidate) for candidate in batch[begin : begin + jobs]]
            if True in verdicts:
                answer = begin + verdicts.index(True)
                break
        counted += batch if answer is None else batch[: answer + 1]


def needs(*items):
    """What fails when all of these are there."""
    return lambda candidate: set(items) <= set(candidate)


def test_one_item_of_eight_is_found_by_halving():
    found, tried = answered(fewest(8, limit=100), needs(5))
    assert found == Fewest((5,), 6, complete=True)
    assert tried == [(), (0, 1, 2, 3), (4, 5, 6, 7), (4, 5), (4,), (5,)]


def test_two_items_that_lie_apart_are_both_kept():
    found, _ = answered(fewest(10, limit=1000), needs(1, 8))
    assert found.kept == (1, 8)
    assert found.complete


def test_what_fails_without_any_item_is_seen_at_once():
    assert answered(fewest(10_000, limit=5), lambda _: True)[0] == Fewest((), 1, complete=True)


def test_nothing_is_asked_about_no_items():
    assert answered(fewest(0, limit=5), pytest.fail)[0] == Fewest((), 0, complete=True)


def test_at_the_limit_the_best_so_far_is_given():
    found, tried = answered(fewest(8, limit=3), needs(5))
    assert found == Fewest((4, 5, 6, 7), 3, complete=False)
    assert len(tried) == 3
    assert answered(fewest(8, limit=0), pytest.fail)[0] == Fewest(
        tuple(range(8)), 0, complete=False
    )


# Any set of candidates may fail, monotone or not: drawn by a number for each.
verdicts = st.builds(
    lambda seed, share: lambda candidate: (hash((seed, candidate)) % 100) < share,
    st.integers(0, 2**32),
    st.integers(0, 100),
)
monotone = st.lists(st.sets(st.integers(0, 11), max_size=4), min_size=1, max_size=3).map(
    lambda groups: lambda candidate: any(group <= set(candidate) for group in groups)
)


@given(count=st.integers(0, 12), fails=st.one_of(verdicts, monotone), jobs=st.integers(1, 4))
@example(count=12, fails=needs(0, 11), jobs=2)
def test_no_single_item_can_be_left_out_and_nothing_is_tried_twice(count, fails, jobs):
    everything = tuple(range(count))
    found, tried = answered(fewest(count, limit=10_000), fails)
    assert found.complete
    assert found.kept == everything or fails(found.kept)
    for item in found.kept:
        assert not fails(tuple(other for other in found.kept if other != item))
    assert len(tried) == len(set(tried)) == found.trials <= count * count + 3 * count + 1
    assert everything not in tried or count == 0
    assert answered(fewest(count, limit=10_000), fails, jobs=jobs) == (found, tried)


@given(
    count=st.integers(0, 12),
    limit=st.integers(0, 20),
    fails=st.one_of(verdicts, monotone),
)
def test_a_limit_is_kept_and_cuts_the_same_search_short(count, limit, fails):
    whole, all_tried = answered(fewest(count, limit=10_000), fails)
    found, tried = answered(fewest(count, limit=limit), fails)
    assert tried == all_tried[: len(tried)]
    assert found.trials == len(tried) <= limit
    assert found.kept == tuple(range(count)) or fails(found.kept)
    if found.complete:
        assert found == whole


def test_the_shortest_time_is_found_but_for_the_grain():
    found, tried = answered(least(0, 1000, grain=10, limit=100), lambda value: value >= 333)
    assert found == Least(340, len(tried), complete=True)
    assert tried[:2] == [250, 500]


@given(
    low=st.integers(0, 50),
    length=st.integers(0, 5000),
    edge=st.integers(0, 6000),
    grain=st.integers(1, 700),
    jobs=st.integers(1, 4),
)
def test_what_fails_from_an_edge_on_is_found_but_for_the_grain(low, length, edge, grain, jobs):
    high = low + length
    edge = min(edge, high)
    found, tried = answered(least(low, high, grain=grain, limit=1000), lambda v: v >= edge)
    assert found.complete
    assert edge <= found.value <= high
    # The next smaller candidate does not fail, or is none.
    smaller = -(-found.value // grain) * grain - grain
    assert smaller <= low or smaller < edge
    assert all(low < value < high and value % grain == 0 for value in tried)
    assert len(tried) == len(set(tried)) == found.trials
    again = answered(least(low, high, grain=grain, limit=1000), lambda v: v >= edge, jobs=jobs)
    assert again == (found, tried)


@given(
    limit=st.integers(0, 8),
    fails=st.builds(lambda bits: lambda v: bits >> v & 1 == 1, st.integers(0, 2**64 - 1)),
)
def test_a_number_that_is_found_within_the_limit_fails(limit, fails):
    found, tried = answered(least(0, 63, grain=1, limit=limit), fails)
    assert found.value == 63 or fails(found.value)
    assert found.trials == len(tried) <= limit


def test_grains_are_powers_of_ten():
    assert [readable_grain(value) for value in (0, 1, 99, 100, 999, 1000, 30_000)] == [
        1,
        1,
        1,
        1,
        1,
        10,
        100,
    ]
