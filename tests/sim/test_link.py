# SPDX-License-Identifier: Apache-2.0
"""What a cable between two kernels does to frames, setting by setting."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies import u64
from windtunnel.model.impairment import (
    Buffer,
    CoDel,
    DelayTable,
    Distribution,
    GilbertElliott,
    Impairment,
    Red,
)
from windtunnel.sim.link import LEAST_LATENCY_NS, Delivery, Direction, Drop

MS = 1_000_000
FRAME = bytes(range(100))


def direction(impairment=Impairment(), *, seed=1, names=("r1", "eth0"), mtu_bytes=1500):
    return Direction(impairment, seed=seed, names=names, mtu_bytes=mtu_bytes)


def fates(cable, count, *, every_ns=MS, frame=FRAME):
    """Send frames; for each its deliveries and the reason of its loss."""
    return [cable.send(number * every_ns, frame) for number in range(count)]


def arrivals(cable, count, *, every_ns=MS, frame=FRAME):
    """When each frame arrives, or why it does not."""
    return [
        reason if reason is not None else [one.time_ns for one in found]
        for found, reason in fates(cable, count, every_ns=every_ns, frame=frame)
    ]


def test_a_cable_without_impairments_is_short_but_not_of_no_length():
    cable = direction()
    assert cable.least_latency_ns == LEAST_LATENCY_NS == 1000
    assert cable.send(5, FRAME) == ((Delivery(1005, FRAME),), None)


def test_a_delay_is_exact():
    cable = direction(Impairment(delay_ns=10 * MS))
    assert cable.least_latency_ns == 10 * MS
    assert cable.send(7, FRAME) == ((Delivery(10 * MS + 7, FRAME),), None)


def test_a_rate_sends_one_frame_after_the_other():
    # 100 bytes at 8 Mbit: 100 us
    cable = direction(Impairment(delay_ns=MS, rate_bps=8_000_000))
    assert arrivals(cable, 3, every_ns=0) == [[1_100_000], [1_200_000], [1_300_000]]
    # a byte takes 1 us, and no frame has less than 14
    assert cable.least_latency_ns == 1_014_000
    assert cable.send(5 * MS, FRAME)[0][0].time_ns == 6_100_000


def test_a_delay_goes_by_while_a_frame_waits_for_the_rate():
    # as netem: the second stands behind the first, and its own delay is over by then
    cable = direction(Impairment(delay_ns=MS, rate_bps=8_000))
    assert arrivals(cable, 2, every_ns=0) == [[101 * MS], [201 * MS]]


def test_what_is_under_way_counts_against_the_limit_until_it_arrives():
    cable = direction(Impairment(delay_ns=10 * MS, queue_packets=3))
    assert arrivals(cable, 4, every_ns=0)[3] is Drop.QUEUE
    assert cable.send(10 * MS - 1, FRAME)[1] is Drop.QUEUE
    assert cable.send(10 * MS, FRAME)[1] is None
    assert cable.statistics().queue_most_packets == 3
    assert cable.statistics().lost == {Drop.QUEUE: 2}


def test_a_thousand_packets_wait_unless_told_otherwise():
    found = arrivals(direction(Impairment(delay_ns=MS)), 1001, every_ns=0)
    assert [one for one in found if one is Drop.QUEUE] == [Drop.QUEUE]


def test_a_frame_has_a_header_and_at_most_the_mtu_and_a_tag():
    cable = direction(mtu_bytes=100)
    reasons = [cable.send(0, bytes(size))[1] for size in (13, 14, 118, 119)]
    assert reasons == [Drop.RUNT, None, None, Drop.SIZE]


def test_a_cable_that_is_out_loses_all_and_what_was_under_way():
    cable = direction(Impairment(delay_ns=10 * MS, rate_bps=8_000))
    fates(cable, 3, every_ns=0)
    cable.cut(under_way=2)
    assert cable.send(MS, FRAME) == ((), Drop.CUT)
    cable.join()
    # the queue is empty again
    assert cable.send(2 * MS, FRAME)[0][0].time_ns == 2 * MS + 110 * MS
    assert cable.statistics().lost == {Drop.CUT: 3}
    assert cable.statistics().delivered == 2


def test_a_change_lets_what_is_under_way_arrive_in_its_time():
    slow = Impairment(delay_ns=100 * MS, queue_packets=2)
    cable = direction(slow)
    fates(cable, 2, every_ns=0)
    cable.change(MS, replace(slow, delay_ns=MS))
    assert cable.least_latency_ns == MS
    assert cable.send(MS, FRAME)[1] is Drop.QUEUE
    assert cable.send(100 * MS, FRAME)[0][0].time_ns == 101 * MS


def test_a_share_is_lost():
    # binomial: 1000 of 10,000, sigma 30
    cable = direction(Impairment(loss=0.1))
    fates(cable, 10_000)
    assert abs(cable.statistics().lost[Drop.LOSS] - 1000) <= 120
    assert arrivals(direction(Impairment(loss=1.0)), 50) == [Drop.LOSS] * 50


def test_a_good_link_loses_nothing_and_a_bad_one_all():
    found = arrivals(direction(Impairment(loss=GilbertElliott(p=0.02, r=0.25))), 40_000)
    bursts = "".join("x" if one is Drop.LOSS else "." for one in found).split(".")
    lengths = [len(burst) for burst in bursts if burst]
    # the chain is bad for p / (p + r) of the time; 40,000 packets are some 740 bursts of
    # 4, so the share's sigma is about 4 * sqrt(2 * 740) / 40,000 = 0.0039
    assert sum(lengths) / 40_000 == pytest.approx(0.02 / 0.27, abs=0.0155)
    # lengths are geometric: mean 1 / r, sigma sqrt(1 - r) / r / sqrt(740) = 0.13
    assert sum(lengths) / len(lengths) == pytest.approx(4, abs=0.52)


def test_both_states_of_a_link_may_lose_a_share():
    # p and r 0: for ever good
    cable = direction(Impairment(loss=GilbertElliott(p=0.0, r=0.0, bad=1.0, good=0.1)))
    fates(cable, 10_000)
    assert abs(cable.statistics().lost[Drop.LOSS] - 1000) <= 120
    # p 1 and r 0: bad from the second packet on
    cable = direction(Impairment(loss=GilbertElliott(p=1.0, r=0.0, bad=0.5)))
    fates(cable, 10_001)
    assert abs(cable.statistics().lost[Drop.LOSS] - 5000) <= 200


def test_a_share_is_sent_twice_and_a_loss_takes_one_of_two():
    cable = direction(Impairment(delay_ns=MS, duplicate=0.5, loss=0.5))
    found = [len(one) for one, _ in fates(cable, 10_000)]
    # none: not copied and lost. Two: copied, and neither of two losses. Half and half
    # of the rest: one. A quarter, an eighth; sigma 43 and 33
    assert abs(found.count(0) - 2500) <= 173
    assert abs(found.count(2) - 1250) <= 132
    copied = direction(Impairment(delay_ns=MS, duplicate=1.0)).send(0, FRAME)
    assert copied == ([Delivery(MS, FRAME), Delivery(MS, FRAME)], None)


def test_a_copy_needs_room_too_and_goes_first():
    cable = direction(Impairment(delay_ns=MS, duplicate=1.0, queue_packets=3, rate_bps=8_000_000))
    first, second, third = fates(cable, 3, every_ns=0)
    assert [one.time_ns for one in first[0]] == [1_100_000, 1_200_000]
    # netem looks once for both, so the queue holds one more than it should
    assert [one.time_ns for one in second[0]] == [1_300_000, 1_400_000]
    assert third == ((), Drop.QUEUE)
    assert cable.statistics().lost == {Drop.QUEUE: 2}


def test_corruption_flips_one_bit_of_any_byte():
    cable = direction(Impairment(corrupt=1.0))
    offsets, bits = set(), set()
    for found, _ in fates(cable, 3000):
        differences = [
            (at, a ^ b) for at, (a, b) in enumerate(zip(found[0].frame, FRAME, strict=True))
        ]
        ((offset, difference),) = [one for one in differences if one[1]]
        offsets.add(offset)
        bits.add(difference)
    assert offsets == set(range(100))
    assert bits == {1 << bit for bit in range(8)}
    assert cable.statistics().corrupted == 3000


def test_a_reordered_frame_passes_all_others():
    cable = direction(Impairment(delay_ns=10 * MS, reorder=0.25, rate_bps=8_000))
    assert cable.least_latency_ns == LEAST_LATENCY_NS
    found = [one[0] - number * MS for number, one in enumerate(arrivals(cable, 900))]
    assert abs(found.count(LEAST_LATENCY_NS) - 225) <= 52  # sigma 13
    assert min(one for one in found if one != LEAST_LATENCY_NS) == 110 * MS
    assert cable.statistics().reordered == found.count(LEAST_LATENCY_NS)


@pytest.mark.parametrize(
    ("distribution", "mean", "deviation"),
    [
        # of netem's tables, in jitters
        (Distribution.UNIFORM, 0.0, 1 / math.sqrt(3)),
        (Distribution.NORMAL, 0.0, 1.0),
        (Distribution.PARETO, -0.0329, 0.8209),
        (DelayTable((-8192, 8192)), 0.0, 1.0),
    ],
)
def test_jitter_is_spread_as_its_distribution(distribution, mean, deviation):
    cable = direction(Impairment(100 * MS, 10 * MS, distribution))
    found = [one[0] - number * MS for number, one in enumerate(arrivals(cable, 10_000))]
    average = sum(found) / len(found)
    spread = math.sqrt(sum((one - average) ** 2 for one in found) / len(found))
    # four sigma of the mean: 4 * 10 ms / sqrt(10,000); twice that for the heavy tail
    assert average / MS == pytest.approx(100 + 10 * mean, abs=0.8)
    assert spread / MS == pytest.approx(10 * deviation, rel=0.06)
    assert min(found) >= cable.least_latency_ns


def test_the_least_of_a_table_is_what_lookahead_may_rely_on():
    table = DelayTable((-8192, 0, 16384))
    assert direction(Impairment(10 * MS, 3 * MS, table)).least_latency_ns == 7 * MS
    assert direction(Impairment(10 * MS, 3 * MS)).least_latency_ns == 7 * MS
    # the normal table goes to four sigma
    normal = direction(Impairment(10 * MS, 3 * MS, Distribution.NORMAL))
    assert normal.least_latency_ns == LEAST_LATENCY_NS


def test_with_a_rate_frames_keep_their_order_whatever_the_jitter():
    cable = direction(Impairment(10 * MS, 5 * MS, rate_bps=8_000_000))
    found = [one[0] for one in arrivals(cable, 900, every_ns=MS // 10)]
    assert found == sorted(found)
    assert all(later - earlier >= MS // 10 for earlier, later in pairwise(found))


# ---- buffers before the rate, which netem has not ----


def buffered(buffer, *, rate_bps=8_000_000, delay_ns=0):
    return direction(Impairment(delay_ns=delay_ns, rate_bps=rate_bps, buffer=buffer))


def test_a_buffer_in_bytes_counts_what_waits_and_not_what_is_under_way():
    cable = buffered(Buffer(limit_bytes=250), delay_ns=100 * MS)
    found = arrivals(cable, 5, every_ns=0)
    # one is being sent, two wait
    assert found == [[100_100_000], [100_200_000], [100_300_000], Drop.QUEUE, Drop.QUEUE]
    # after 100 us the next is being sent, and there is room for one
    assert cable.send(100_000, FRAME)[0][0].time_ns == 100_400_000
    assert cable.statistics().queue_most_packets == 2


def test_a_buffer_in_packets_has_so_many():
    assert arrivals(buffered(Buffer(limit_packets=2)), 4, every_ns=0)[2:] == [
        [300_000],
        Drop.QUEUE,
    ]


def test_codel_keeps_the_wait_short_that_a_buffer_alone_lets_grow():
    # 1000 bytes take 1 ms at 8 Mbit, and one comes every 0.9 ms
    def last_wait(discipline):
        cable = buffered(Buffer(limit_packets=1000, discipline=discipline))
        found = fates(cable, 20_000, every_ns=900_000, frame=bytes(1000))
        waits = [
            one[0].time_ns - number * 900_000
            for number, (one, reason) in enumerate(found)
            if reason is None
        ]
        return sum(waits[-5000:]) / 5000 / MS, cable.statistics().lost

    full, lost = last_wait(None)
    assert full == pytest.approx(1001, abs=2)
    assert set(lost) == {Drop.QUEUE}
    short, lost = last_wait(CoDel())
    # nobody slows down here, so it lets go and begins again
    assert short < 45
    # a tenth of the load is too much: what codel drops must come close to it
    assert lost == {Drop.CODEL: pytest.approx(2000, rel=0.1)}


def test_codel_leaves_a_short_burst_and_a_lonely_packet_alone():
    cable = buffered(Buffer(limit_packets=1000, discipline=CoDel()), rate_bps=800_000)
    found = arrivals(cable, 50, every_ns=0, frame=bytes(100))
    assert Drop.CODEL not in found
    # each packet alone takes more than the target to be sent
    slow = buffered(Buffer(limit_packets=1000, discipline=CoDel()), rate_bps=80_000)
    assert Drop.CODEL not in arrivals(slow, 200, every_ns=100 * MS, frame=bytes(1000))


def test_red_drops_between_its_bounds_and_never_fills_the_buffer():
    red = Red(min_bytes=10_000, max_bytes=30_000, probability=0.1)
    cable = buffered(Buffer(limit_bytes=60_000, discipline=red))
    fates(cable, 20_000, every_ns=950_000, frame=bytes(1000))
    counts = cable.statistics()
    # a twentieth of the load is too much, and red alone takes it away
    assert counts.lost == {Drop.RED: pytest.approx(1000, rel=0.1)}
    assert 10 <= counts.queue_most_packets <= 45


def test_red_forgets_a_queue_that_is_long_gone():
    red = Red(min_bytes=1_000, max_bytes=3_000, probability=1.0)
    cable = buffered(Buffer(limit_bytes=60_000, discipline=red))
    assert Drop.RED in arrivals(cable, 60, every_ns=0, frame=bytes(1000))
    late = [cable.send(10_000 * MS, bytes(1000))[1] for _ in range(2)]
    assert late == [None, None]


# ---- for any settings ----

shares = st.sampled_from([0.0, 0.0, 0.3, 1.0])
losses = shares | st.builds(GilbertElliott, shares, shares, shares, shares)
tables = st.builds(
    DelayTable, st.lists(st.integers(-32768, 32767), min_size=1, max_size=4).map(tuple)
)
buffers = st.builds(
    Buffer,
    limit_bytes=st.integers(1, 5000),
    discipline=st.none() | st.just(CoDel(MS, 2 * MS)) | st.just(Red(200, 800, 0.5)),
) | st.builds(Buffer, limit_packets=st.integers(1, 9), discipline=st.none() | st.just(CoDel(1, 1)))


@st.composite
def impairments(draw):
    delay_ns = draw(st.sampled_from([0, 900, MS, 50 * MS]))
    rate_bps = draw(st.sampled_from([None, 8, 80_000, 8_000_000, 10**10]))
    return Impairment(
        delay_ns=delay_ns,
        jitter_ns=draw(st.integers(0, delay_ns)),
        distribution=draw(st.sampled_from(Distribution) | tables),
        loss=draw(losses),
        duplicate=draw(shares),
        reorder=draw(shares) if delay_ns else 0.0,
        corrupt=draw(shares),
        rate_bps=rate_bps,
        queue_packets=draw(st.none() | st.integers(1, 5)),
        buffer=None if rate_bps is None else draw(st.none() | buffers),
    )


traffic = st.lists(
    st.tuples(st.sampled_from([0, 1, 1000, MS, 300 * MS]), st.integers(0, 200)), max_size=60
)


@given(impairments(), impairments(), traffic, u64)
def test_nothing_is_early_nothing_gets_lost_unseen_and_a_seed_is_a_seed(one, other, sent, seed):
    cables = [direction(one, seed=seed, mtu_bytes=150) for _ in range(2)]
    now_ns = 0
    delivered = 0
    for number, (after_ns, size) in enumerate(sent):
        now_ns += after_ns
        if number == 30:
            for cable in cables:
                cable.change(now_ns, other)
        found, same = (cable.send(now_ns, bytes(size)) for cable in cables)
        assert found == same
        deliveries, reason = found
        assert (reason is None) == bool(deliveries)
        assert len(deliveries) <= 2
        for delivery in deliveries:
            assert delivery.time_ns >= now_ns + cables[0].least_latency_ns
            assert len(delivery.frame) == size
        delivered += len(deliveries)
    counts = cables[0].statistics()
    assert counts.sent == len(sent)
    assert counts.sent_bytes == sum(size for _, size in sent)
    assert counts.delivered == delivered
    assert counts.sent == counts.delivered - counts.duplicated + counts.lost_frames


@pytest.mark.parametrize(
    "more",
    [
        {"corrupt": 0.5},
        {"jitter_ns": MS},
        {"jitter_ns": MS, "distribution": Distribution.NORMAL},
        {"reorder": 0.5},
        {"rate_bps": 8_000_000},
    ],
)
def test_one_setting_does_not_shift_the_choices_of_another(more):
    base = Impairment(delay_ns=MS, loss=0.3)
    lost = [one is Drop.LOSS for one in arrivals(direction(base), 500)]
    assert [one is Drop.LOSS for one in arrivals(direction(replace(base, **more)), 500)] == lost


def test_a_direction_has_choices_of_its_own():
    lossy = Impairment(loss=0.5)
    one, other, again = (
        arrivals(direction(lossy, names=names), 100)
        for names in (("r1", "eth0"), ("r2", "eth0"), ("r1", "eth0"))
    )
    assert one == again != other
    assert arrivals(direction(lossy, seed=2), 100) != one


def test_random_streams_go_on_over_a_change():
    lossy = Impairment(loss=0.5)
    whole = arrivals(direction(lossy), 100)
    cable = direction(lossy)
    begun = arrivals(cable, 50)
    cable.change(50 * MS, Impairment(loss=0.5, delay_ns=1))
    ended = [cable.send(number * MS, FRAME)[1] for number in range(50, 100)]
    assert begun == whole[:50]
    assert [one is Drop.LOSS for one in ended] == [one is Drop.LOSS for one in whole[50:]]
