# SPDX-License-Identifier: Apache-2.0
"""What a link does to packets: plain data, in the terms of tc-netem(8).

What netem cannot do (`Buffer`) only links between two kernels have.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Distribution(Enum):
    """The distributions of delay that netem knows (`tc-netem(8)`)."""

    UNIFORM = "uniform"
    NORMAL = "normal"
    PARETO = "pareto"
    PARETONORMAL = "paretonormal"


TABLE_VALUES_MAX = 16_384
"""NETEM_DIST_MAX of pkt_sched.h."""

TABLE_VALUE_MIN, TABLE_VALUE_MAX = -32768, 32767


@dataclass(frozen=True, slots=True)
class DelayTable:
    """A distribution of delay of one's own.

    Attributes:
        values: 1 to `TABLE_VALUES_MAX` of them, each as likely as the others: the
            deviation in units of the jitter, times 8192, `TABLE_VALUE_MIN` to
            `TABLE_VALUE_MAX`.
    """

    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class GilbertElliott:
    """Losses in bursts: a link that is now good and now bad (`loss gemodel`).

    Attributes:
        p: chance, for each packet, that a good link becomes bad; 0.0 to 1.0, as
            all of them.
        r: chance that a bad link becomes good again.
        bad: share of packets that a bad link loses (1-h of tc-netem(8)).
        good: share of packets that a good link loses (1-k of tc-netem(8)).
    """

    p: float
    r: float
    bad: float = 1.0
    good: float = 0.0


@dataclass(frozen=True, slots=True)
class Red:
    """Random early detection: drop sooner, the longer the average queue (tc-red(8)).

    Attributes:
        min_bytes: average below which nothing is dropped, 1 or more.
        max_bytes: average from which everything is dropped, more than `min_bytes`.
        probability: of a drop just below `max_bytes`, more than 0.0, at most 1.0.
    """

    min_bytes: int
    max_bytes: int
    probability: float = 0.02


@dataclass(frozen=True, slots=True)
class CoDel:
    """Controlled delay: drop when packets have waited too long for too long (RFC 8289).

    Attributes:
        target_ns: the wait that is acceptable, more than 0.
        interval_ns: how long it may be more than that, at least `target_ns`.
    """

    target_ns: int = 5_000_000
    interval_ns: int = 100_000_000


@dataclass(frozen=True, slots=True)
class Buffer:
    """What may wait for its turn at a link's rate. What is under way does not count.

    Exactly one of the limits is given.

    Attributes:
        limit_bytes: of frames, with their Ethernet headers; 1 or more.
        limit_packets: 1 or more.
        discipline: what else drops packets; None is the limit alone (drop-tail).
    """

    limit_bytes: int | None = None
    limit_packets: int | None = None
    discipline: Red | CoDel | None = None


@dataclass(frozen=True, slots=True)
class Impairment:
    """What a link does to packets that leave one of its ends.

    Attributes:
        delay_ns: added to each packet, 0 or more.
        jitter_ns: spread around `delay_ns`, at most `delay_ns`.
        distribution: of the jitter.
        loss: share of packets lost, 0.0 to 1.0, or losses in bursts.
        duplicate: share sent twice, 0.0 to 1.0; so are the next two.
        reorder: share sent at once instead of after `delay_ns`, which it needs.
        corrupt: share with one bit flipped.
        rate_bps: bits a second; None is unlimited.
        queue_packets: packets that may wait or be under way (netem's `limit`);
            None is netem's 1000.
        buffer: instead of `queue_packets`: what may wait for `rate_bps`, which it
            needs. Only between two kernels.
    """

    delay_ns: int = 0
    jitter_ns: int = 0
    distribution: Distribution | DelayTable = Distribution.UNIFORM
    loss: float | GilbertElliott = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    corrupt: float = 0.0
    rate_bps: int | None = None
    queue_packets: int | None = None
    buffer: Buffer | None = None
