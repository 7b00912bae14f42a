# SPDX-License-Identifier: Apache-2.0
"""How far places may go: shortest ways, and no message that comes too late."""

from __future__ import annotations

import heapq

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from windtunnel.errors import InternalError
from windtunnel.sim.lookahead import FOREVER_NS, Lookahead

RING = Lookahead([(1, 2, 10), (2, 3, 20), (3, 1, 30)])


def test_without_a_way_a_message_takes_for_ever():
    assert Lookahead().least_ns(1, 2) == 2**63 - 1
    assert Lookahead().least_ns(1, 1) == 2**63 - 1
    assert Lookahead([(1, 2, 5)]).least_ns(2, 1) == 2**63 - 1


def test_a_message_takes_the_shortest_of_all_ways():
    lookahead = Lookahead([(1, 2, 100), (1, 3, 10), (3, 4, 10), (4, 2, 10), (3, 2, 50)])
    assert lookahead.least_ns(1, 2) == 30
    assert lookahead.least_ns(3, 2) == 20
    assert lookahead.least_ns(1, 4) == 20


def test_of_two_ways_with_the_same_ends_the_shorter_counts():
    assert Lookahead([(1, 2, 7), (1, 2, 5), (1, 2, 9)]).least_ns(1, 2) == 5


def test_a_place_reaches_itself_round_the_shortest_circle():
    assert [RING.least_ns(place, place) for place in (1, 2, 3)] == [60, 60, 60]
    both = Lookahead([(1, 2, 5), (2, 1, 6), (2, 3, 1), (3, 2, 1)])
    assert [both.least_ns(place, place) for place in (1, 2, 3)] == [11, 2, 2]


def test_ways_go_in_one_direction_round_a_ring():
    assert (RING.least_ns(1, 3), RING.least_ns(3, 1)) == (30, 30)
    assert (RING.least_ns(2, 1), RING.least_ns(1, 2)) == (50, 10)


@pytest.mark.parametrize("least_ns", [0, -1])
def test_a_way_that_takes_no_time_is_refused(least_ns):
    with pytest.raises(InternalError, match=f"the way from 1 to -2 takes {least_ns} ns"):
        Lookahead([(1, 2, 5), (1, -2, least_ns)])


def test_a_place_may_go_on_until_the_nearest_other_could_reach_it():
    assert RING.bounds_ns({1: 1000, 2: 1000, 3: 1005}, [1, 2, 3]) == [1035, 1010, 1020]


def test_a_place_does_not_bound_itself():
    assert RING.bounds_ns({1: 1000}, [1]) == [FOREVER_NS]


def test_who_sleeps_bounds_nobody_and_may_be_asked_about():
    assert RING.bounds_ns({1: 1000}, [2, 3]) == [1010, 1030]


def test_who_has_no_way_to_a_place_does_not_bound_it_before_the_end_of_time():
    assert Lookahead([(1, 2, 5)]).bounds_ns({1: 0, 2: 0}, [1, 2]) == [FOREVER_NS, 5]
    assert Lookahead([(1, 2, 5)]).bounds_ns({1: 9, 2: 9}, [1]) == [FOREVER_NS]


PLACES = 4
ways = st.lists(
    st.tuples(st.integers(0, PLACES - 1), st.integers(0, PLACES - 1), st.integers(1, 20)).filter(
        lambda way: way[0] != way[1]
    ),
    max_size=10,
)


@given(ways=ways)
def test_ways_are_as_short_as_those_that_trying_all_of_them_finds(ways):
    # Floyd and Warshall; the diagonal is a circle, not zero.
    far = FOREVER_NS
    least = [[far] * PLACES for _ in range(PLACES)]
    for source, target, least_ns in ways:
        least[source][target] = min(least[source][target], least_ns)
    for via in range(PLACES):
        for source in range(PLACES):
            for target in range(PLACES):
                through = least[source][via] + least[via][target]
                least[source][target] = min(least[source][target], through)
    found = Lookahead(ways)
    assert least == [[found.least_ns(a, b) for b in range(PLACES)] for a in range(PLACES)]


def handled(ways, first, *, in_rounds):
    """What happens where and when: each event sends one on by every way, a few times.

    Args:
        ways: between the places.
        first: (time, place, how often it is sent on) of the events at the beginning.
        in_rounds: whether places go on to their bounds, each by itself, or all
            events are done one by one in the order of their times.
    """
    lookahead = Lookahead(ways)
    queues = [[] for _ in range(PLACES)]
    reached = [-1] * PLACES
    done = [[] for _ in range(PLACES)]
    for time_ns, place, hops in first:
        heapq.heappush(queues[place], (time_ns, hops))
    while any(queues):
        next_ns = {place: queue[0][0] for place, queue in enumerate(queues) if queue}
        if in_rounds:
            bounds = dict(zip(next_ns, lookahead.bounds_ns(next_ns, list(next_ns)), strict=True))
        else:
            earliest_ns = min(next_ns.values())
            bounds = dict.fromkeys(next_ns, earliest_ns + 1)
        posted = []
        for place, bound_ns in bounds.items():
            queue = queues[place]
            while queue and queue[0][0] < bound_ns:
                time_ns, hops = heapq.heappop(queue)
                reached[place] = time_ns
                done[place].append((time_ns, hops))
                for source, target, least_ns in ways:
                    if source == place and hops:
                        posted.append((target, time_ns + least_ns, hops - 1))
                        # What may come back limits the sender (Calendar.post).
                        back_ns = lookahead.least_ns(target, place)
                        bound_ns = min(bound_ns, time_ns + least_ns + back_ns)  # noqa: PLW2901
        for target, time_ns, hops in posted:
            assert time_ns > reached[target], "a message came too late"
            heapq.heappush(queues[target], (time_ns, hops))
    return [sorted(events) for events in done]


@example(ways=[(0, 1, 5)], first=[(0, 0, 1), (5, 1, 0)])
@example(ways=[(0, 1, 5), (1, 0, 5)], first=[(0, 0, 2), (10, 0, 0)])
@given(
    ways=ways.map(lambda ways: ways[:6]),
    first=st.lists(
        st.tuples(st.integers(0, 30), st.integers(0, PLACES - 1), st.integers(0, 4)),
        min_size=1,
        max_size=4,
    ),
)
def test_no_message_comes_too_late_and_the_same_happens_as_one_by_one(ways, first):
    assert handled(ways, first, in_rounds=True) == handled(ways, first, in_rounds=False)
