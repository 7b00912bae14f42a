# SPDX-License-Identifier: Apache-2.0
"""What a link does to packets: plain data, in the terms of tc-netem(8)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Distribution(Enum):
    """The distributions of delay that netem knows (`tc-netem(8)`)."""

    UNIFORM = "uniform"
    NORMAL = "normal"
    PARETO = "pareto"
    PARETONORMAL = "paretonormal"


@dataclass(frozen=True, slots=True)
class Impairment:
    """What a link does to packets that leave one of its ends.

    Attributes:
        delay_ns: added to each packet, 0 or more.
        jitter_ns: spread around `delay_ns`, at most `delay_ns`.
        distribution: of the jitter.
        loss: share of packets lost, 0.0 to 1.0; so are the next three.
        duplicate: share sent twice.
        reorder: share sent at once instead of after `delay_ns`, which it needs.
        corrupt: share with one bit flipped.
        rate_bps: bits a second; None is unlimited.
        queue_packets: packets that may wait (netem's `limit`); None is netem's 1000.
    """

    delay_ns: int = 0
    jitter_ns: int = 0
    distribution: Distribution = Distribution.UNIFORM
    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    corrupt: float = 0.0
    rate_bps: int | None = None
    queue_packets: int | None = None
