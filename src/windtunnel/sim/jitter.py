# SPDX-License-Identifier: Apache-2.0
"""How a link's jitter is distributed: the tables that netem draws from.

A table is an inverse distribution function: `TABLE_SIZE` values in ascending
order of probability, each the deviation in units of the jitter, times `SCALE`.
netem takes one of them at random and adds `value * jitter / SCALE` to the delay.
The definitions are those of iproute2, so that a word means here what it means
to tc(8); we compute the tables instead of reading its files.

Source: iproute2, netem/{normal,pareto,paretonormal}.c; sch_netem.c, tabledist().
"""

from __future__ import annotations

from functools import cache

from windtunnel.model.impairment import Distribution

TABLE_SIZE = 4096
SCALE = 8192
"""NETEM_DIST_SCALE of pkt_sched.h."""

_LEAST, _MOST = -32768, 32767
_PARETO_EXPONENT = 3.0  # the mean is then 1.5, and the deviation sqrt(3)/2


@cache
def delay_table(distribution: Distribution) -> tuple[int, ...]:
    """The table of a distribution: `TABLE_SIZE` integers, -32768 to 32767."""
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
