# SPDX-License-Identifier: Apache-2.0
"""Which packets a link loses: each by itself, or in bursts.

Source: sch_netem.c, loss_event() and loss_gilb_ell().
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from windtunnel.model.impairment import GilbertElliott
from windtunnel.sim.streams import U32_MAX, threshold


def losses(loss: float | GilbertElliott, numbers: Iterator[int]) -> Callable[[], bool] | None:
    """Make the function that says of each packet whether it is lost.

    Args:
        loss: the share, or the model; a model begins in its good state.
        numbers: one of 32 bits is taken for each packet, two for a model.

    Returns:
        A function of nothing; None when nothing is lost.
    """
    draw = numbers.__next__
    if not isinstance(loss, GilbertElliott):
        most = threshold(loss)
        return (lambda: draw() <= most) if most else None
    to_bad, to_good = threshold(loss.p), threshold(loss.r)
    # netem has the share that a bad link does not lose, and compares from above
    kept, lost = U32_MAX - threshold(loss.bad), threshold(loss.good)
    is_bad = False

    def is_lost() -> bool:
        # The state changes first, and yet the packet has the fate of the old state.
        nonlocal is_bad
        if is_bad:
            is_bad = draw() >= to_good
            return draw() > kept
        is_bad = draw() < to_bad
        return draw() < lost

    return is_lost
