# SPDX-License-Identifier: Apache-2.0
"""Parts of an impairment in words, for messages and tables."""

from __future__ import annotations

from windtunnel.model.impairment import Buffer, DelayTable, Distribution, GilbertElliott, Red
from windtunnel.model.units import duration_text, share_text, size_text


def loss_text(loss: float | GilbertElliott) -> str:
    """Write losses: "1%", or "in bursts (p 1%, r 30%, bad 100%, good 0%)"."""
    if not isinstance(loss, GilbertElliott):
        return share_text(loss)
    parts = (("p", loss.p), ("r", loss.r), ("bad", loss.bad), ("good", loss.good))
    return f"in bursts ({', '.join(f'{word} {share_text(share)}' for word, share in parts)})"


def distribution_text(distribution: Distribution | DelayTable) -> str:
    """Write a distribution: "normal", or "table of 4096 values"."""
    if isinstance(distribution, DelayTable):
        return f"table of {len(distribution.values)} values"
    return distribution.value


def buffer_text(buffer: Buffer) -> str:
    """Write a buffer: "64 kB", "100 packets, codel"."""
    limit = (
        f"{buffer.limit_packets} packets"
        if buffer.limit_bytes is None
        else size_text(buffer.limit_bytes)
    )
    if buffer.discipline is None:
        return limit
    if isinstance(buffer.discipline, Red):
        least, most = size_text(buffer.discipline.min_bytes), size_text(buffer.discipline.max_bytes)
        return f"{limit}, red {least} to {most}"
    return f"{limit}, codel {duration_text(buffer.discipline.target_ns)}"
