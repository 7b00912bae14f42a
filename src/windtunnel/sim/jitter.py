# SPDX-License-Identifier: Apache-2.0
"""How a link's jitter is distributed, and the delays that netem makes of it.

A table is an inverse distribution function: `TABLE_SIZE` values in ascending
order of probability, each the deviation in units of the jitter, times `SCALE`.
netem takes one of them at random and adds `value * jitter / SCALE` to the delay.
The definitions are those of iproute2, so that a word means here what it means
to tc(8); we compute the tables instead of reading its files.

Source: iproute2, netem/{normal,pareto,paretonormal}.c; sch_netem.c, tabledist().
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache

from windtunnel.model.impairment import DelayTable, Distribution

TABLE_SIZE = 4096
SCALE = 8192
"""NETEM_DIST_SCALE of pkt_sched.h."""

_LEAST, _MOST = -32768, 32767
_PARETO_EXPONENT = 3.0  # the mean is then 1.5, and the deviation sqrt(3)/2


def delays(
    delay_ns: int,
    jitter_ns: int,
    distribution: Distribution | DelayTable,
    numbers: Iterator[int],
) -> Callable[[], int]:
    """Make the function that draws the delay of each packet, as netem does.

    Args:
        delay_ns: in the middle.
        jitter_ns: 1 to 2**31 - 1.
        distribution: of the jitter.
        numbers: one of 32 bits is taken for each packet.

    Returns:
        A function of nothing; its result may be negative, as netem's may.
    """
    draw = numbers.__next__
    if distribution is Distribution.UNIFORM:
        # netem has no table for it, and neither end of the range is cut off
        least, width = delay_ns - jitter_ns, 2 * jitter_ns
        return lambda: least + draw() % width
    table = delay_table(distribution)
    size = len(table)
    return lambda: delay_ns + _deviation(table[draw() % size], jitter_ns)


def least_delay_ns(delay_ns: int, jitter_ns: int, distribution: Distribution | DelayTable) -> int:
    """The least that `delays` can draw; negative when it can."""
    if jitter_ns == 0:
        return delay_ns
    if distribution is Distribution.UNIFORM:
        return delay_ns - jitter_ns
    return delay_ns + _deviation(min(delay_table(distribution)), jitter_ns)


def _deviation(value: int, jitter_ns: int) -> int:
    """What a table's value is in nanoseconds; C's division, which cuts towards zero."""
    whole, part = divmod(jitter_ns, SCALE)
    rest = part * value
    if rest >= 0:
        return whole * value + (rest + SCALE // 2) // SCALE
    return whole * value - (SCALE // 2 - rest) // SCALE


def delay_table(distribution: Distribution | DelayTable) -> Sequence[int]:
    """The table of a distribution: integers, -32768 to 32767."""
    if isinstance(distribution, DelayTable):
        return distribution.values
    return _computed(distribution)


@cache
def _computed(distribution: Distribution) -> tuple[int, ...]:
    """One of the distributions with a name: `TABLE_SIZE` values."""
    if distribution is Distribution.UNIFORM:
        # the middle of each of TABLE_SIZE equal parts of -1 to 1
        step = 2 * SCALE // TABLE_SIZE
        return tuple(step * at - SCALE + step // 2 for at in range(TABLE_SIZE))
    if distribution is Distribution.NORMAL:
        return tuple(_clipped(value) for value in _normal())
    pareto = [_pareto(1.0 - at / TABLE_SIZE) for at in range(TABLE_SIZE)]
    if distribution is Distribution.PARETO:
        return tuple(pareto)
    # one part normal, three parts Pareto
    return tuple(
        _clipped(_truncated_quarter(normal + 3 * heavy))
        for normal, heavy in zip(_normal(), pareto, strict=True)
    )


def _normal() -> list[int]:
    """Quantiles of the standard normal distribution, not clipped."""
    # imported here: it takes 10 ms, and few labs have a normal jitter
    from statistics import NormalDist  # noqa: PLC0415

    inverse = NormalDist().inv_cdf
    # Four steps of a finer table for each entry; half a step lies where rounding turns.
    return [round(SCALE * inverse((4 * at + 0.5) / (4 * TABLE_SIZE))) for at in range(TABLE_SIZE)]


def _pareto(tail: float) -> int:
    """The quantile that a share `tail` of all values exceeds, mean 0, scaled by 4/3."""
    value: float = tail ** (-1.0 / _PARETO_EXPONENT) - _PARETO_EXPONENT / 2
    return min(round(value * 4 / 3 * SCALE), _MOST)


def _truncated_quarter(value: int) -> int:
    return -(-value // 4) if value < 0 else value // 4


def _clipped(value: int) -> int:
    return max(_LEAST, min(value, _MOST))
