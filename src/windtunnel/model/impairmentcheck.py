# SPDX-License-Identifier: Apache-2.0
"""What can be wrong with what a link does to packets."""

from __future__ import annotations

from collections.abc import Iterator

from windtunnel.model.impairment import (
    TABLE_VALUE_MAX,
    TABLE_VALUE_MIN,
    TABLE_VALUES_MAX,
    Buffer,
    CoDel,
    DelayTable,
    GilbertElliott,
    Impairment,
    Red,
)
from windtunnel.model.problem import Path, Problem
from windtunnel.model.units import duration_text, size_text

QUEUE_PACKETS_MAX = 0xFFFFFFFF  # u32 in struct tc_netem_qopt
JITTER_MAX_NS = 2**31 - 1  # an int in tabledist() of sch_netem.c
# More is no buffer of a line; RED's average has 32 bits, and some are places.
BUFFER_BYTES_MAX = 1 << 30
RED_BYTES_MAX = 64 << 20

_PLAIN = Impairment()


def impairment_problems(
    impairment: Impairment, path: Path, *, is_modelled: bool
) -> Iterator[Problem]:
    """Find all that is wrong with an impairment.

    Args:
        impairment: of one direction.
        path: its path in the spec.
        is_modelled: whether it joins two kernels, so that it need not be netem's.
    """
    if impairment == _PLAIN:
        return
    yield from _delay(impairment, path)
    yield from _shares(impairment, path)
    if impairment.rate_bps is not None and impairment.rate_bps < 8:
        yield Problem(
            (*path, "rate_bps"),
            f"the rate is {impairment.rate_bps} bits a second",
            "give at least 8 bit, the least that netem takes",
        )
    queue = impairment.queue_packets
    if queue is not None and not 1 <= queue <= QUEUE_PACKETS_MAX:
        yield Problem((*path, "queue_packets"), f"a queue of {queue} packets", "give 1 or more")
    if impairment.buffer is not None:
        yield from _buffer(impairment, impairment.buffer, (*path, "buffer"), is_modelled)


def _delay(impairment: Impairment, path: Path) -> Iterator[Problem]:
    if impairment.delay_ns < 0:
        yield Problem((*path, "delay_ns"), "the delay is negative", "a delay is 0 or more")
    if not 0 <= impairment.jitter_ns <= max(impairment.delay_ns, 0):
        yield Problem(
            (*path, "jitter_ns"),
            f"the jitter {_shown(impairment.jitter_ns)} is more than the delay "
            f"{_shown(impairment.delay_ns)}",
            "a packet cannot arrive before it was sent: raise the delay or lower the jitter",
        )
    elif impairment.jitter_ns > JITTER_MAX_NS:
        yield Problem(
            (*path, "jitter_ns"),
            f"the jitter {_shown(impairment.jitter_ns)} is more than netem can have",
            f"the most is {JITTER_MAX_NS} ns, some 2 s",
        )
    table = impairment.distribution
    if isinstance(table, DelayTable):
        values = table.values
        if not 0 < len(values) <= TABLE_VALUES_MAX:
            message = f"the table of the jitter has {len(values)} values"
            yield Problem((*path, "distribution"), message, f"give 1 to {TABLE_VALUES_MAX}")
        elif not TABLE_VALUE_MIN <= min(values) <= max(values) <= TABLE_VALUE_MAX:
            yield Problem(
                (*path, "distribution"),
                f"the table of the jitter goes from {min(values)} to {max(values)}",
                f"its values are {TABLE_VALUE_MIN} to {TABLE_VALUE_MAX}",
            )
    if impairment.reorder > 0 and impairment.delay_ns == 0:
        yield Problem(
            (*path, "reorder"),
            "reorder without delay changes nothing",
            "reordered packets are sent at once instead of after the delay: give a delay",
        )


def _shares(impairment: Impairment, path: Path) -> Iterator[Problem]:
    loss = impairment.loss
    shares = [(name, getattr(impairment, name)) for name in ("duplicate", "reorder", "corrupt")]
    if isinstance(loss, GilbertElliott):
        for name, share in (("p", loss.p), ("r", loss.r), ("bad", loss.bad), ("good", loss.good)):
            if not 0.0 <= share <= 1.0:
                yield Problem((*path, "loss"), f"{name} is {share}", "a share is 0.0 to 1.0")
    else:
        shares.insert(0, ("loss", loss))
    for name, share in shares:
        if not 0.0 <= share <= 1.0:
            yield Problem((*path, name), f"{name} is {share}", "a share is 0.0 to 1.0")


def _buffer(
    impairment: Impairment, buffer: Buffer, path: Path, is_modelled: bool
) -> Iterator[Problem]:
    if impairment.queue_packets is not None:
        yield Problem(path, "both a buffer and a queue of netem's", "give one of them")
    if not is_modelled:
        yield Problem(
            path,
            "both ends share a kernel, whose queues count packets and know no discipline",
            "give one of the ends 'kernel: own', or write the queue as a number of packets",
        )
    if impairment.rate_bps is None:
        yield Problem(
            path,
            "nothing waits for its turn without a rate",
            "give a rate, or write the queue as a number of packets",
        )
    limits = [limit for limit in (buffer.limit_bytes, buffer.limit_packets) if limit is not None]
    if len(limits) != 1:
        yield Problem(path, "a buffer has one limit", "give it in bytes or in packets")
    elif not 1 <= limits[0] <= BUFFER_BYTES_MAX:
        yield Problem(
            path, f"a buffer of {limits[0]}", f"the limit is 1 to {BUFFER_BYTES_MAX}, of either"
        )
    match buffer.discipline:
        case Red():
            yield from _red(buffer.discipline, buffer.limit_bytes, path)
        case CoDel(target_ns, interval_ns):
            if not 0 < target_ns <= interval_ns:
                yield Problem(
                    path,
                    f"codel has the target {_shown(target_ns)} and the interval "
                    f"{_shown(interval_ns)}",
                    "the target is more than 0, and the interval no less",
                )


def _red(red: Red, limit_bytes: int | None, path: Path) -> Iterator[Problem]:
    if limit_bytes is None:
        yield Problem(path, "red counts bytes, and the limit is in packets", "write 'limit: 64 kB'")
        return
    if not 0 < red.min_bytes < red.max_bytes <= min(limit_bytes, RED_BYTES_MAX):
        yield Problem(
            path,
            f"red has min {size_text(red.min_bytes)}, max {size_text(red.max_bytes)} and the "
            f"limit {size_text(limit_bytes)}",
            f"min is more than 0 and less than max, and max at most the limit and "
            f"{size_text(RED_BYTES_MAX)}",
        )
    if not 0.0 < red.probability <= 1.0:
        yield Problem(
            path,
            f"red has the probability {red.probability}",
            "it is more than 0% and at most 100%",
        )


def _shown(time_ns: int) -> str:
    return f"{time_ns} ns" if time_ns < 0 else duration_text(time_ns)
