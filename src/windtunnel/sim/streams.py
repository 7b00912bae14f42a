# SPDX-License-Identifier: Apache-2.0
"""Streams of random numbers, each with a name of its own.

A stream is SHAKE-128 of (its key, a running number), cut into 32 bits: the same
on every machine, and faster in Python than a generator written in Python. The
key comes from the lab's seed and the stream's name, so what one stream is asked
for changes nothing in another.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import shake_128
from itertools import chain, count
from struct import Struct

from windtunnel.sim.seeds import derive

U32_MAX = 2**32 - 1

# Of 32 bits each. A stream that is asked once costs 1 us, then 20 ns a number.
_BLOCK_NUMBERS = 128
_BLOCK = Struct(f"<{_BLOCK_NUMBERS}I")


def draws(seed: int, *names: str) -> Iterator[int]:
    """Make the endless stream of numbers that belongs to `names`.

    Args:
        seed: the lab's, 0 to 2**64 - 1.
        names: as for `windtunnel.sim.seeds.derive`.

    Returns:
        Numbers from 0 to `U32_MAX`, each as likely as the others.
    """
    key = derive(seed, *names).to_bytes(8, "little")

    def block(number: int) -> tuple[int, ...]:
        text = key + number.to_bytes(8, "little")
        return _BLOCK.unpack(shake_128(text).digest(_BLOCK.size))

    return chain.from_iterable(map(block, count()))


def threshold(share: float) -> int:
    """A share as netem counts it: what happens to it happens to draws up to this.

    Args:
        share: more than 0.0, at most 1.0.
    """
    return round(share * U32_MAX)
