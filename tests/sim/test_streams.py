# SPDX-License-Identifier: Apache-2.0
"""Streams of random numbers by name."""

from __future__ import annotations

from itertools import islice

from hypothesis import given

from strategies import u64
from windtunnel.sim.streams import U32_MAX, draws, threshold


def first(count, *names, seed=1):
    return list(islice(draws(seed, *names), count))


def test_the_numbers_stay_what_they_were_in_every_version():
    assert first(3, "link loss", "r1", "eth0") == [2478807679, 4160143180, 1119074685]
    assert first(300, "link loss", "r1", "eth0")[-1] == 3106723510


@given(seed=u64)
def test_a_stream_has_nothing_to_do_with_another(seed):
    assert first(8, "a", seed=seed) == first(8, "a", seed=seed)
    assert first(8, "a", seed=seed) != first(8, "b", seed=seed)


def test_each_bit_is_set_half_of_the_time():
    numbers = first(10_000, "bits")
    assert all(0 <= number <= U32_MAX for number in numbers)
    for bit in range(32):
        share = sum(number >> bit & 1 for number in numbers)
        # binomial: 5000 of 10,000, sigma 50; 32 bits and 4.5 sigma
        assert abs(share - 5000) <= 225


def test_a_share_is_counted_as_netem_counts_it():
    assert [threshold(share) for share in (0.0, 0.5, 1.0)] == [0, 2**31, 2**32 - 1]
