# SPDX-License-Identifier: Apache-2.0
"""Which variants a shard and a sample have, by number."""

from __future__ import annotations

from windtunnel.model.seeds import derive


def shard_bounds(count: int, shard: int, shards: int) -> tuple[int, int]:
    """The first number of a shard, and the first one behind it.

    Shards are neighbours, because neighbours have most of their choices in common;
    their sizes differ by one at most.

    Args:
        count: how many variants there are.
        shard: which one, from 1.
        shards: how many there are.
    """
    return count * (shard - 1) // shards, count * shard // shards


def sample_indexes(count: int, size: int, seed: int) -> list[int]:
    """Draw different numbers below `count`, each set of them as likely as the others.

    This is Floyd's method: as many draws as numbers, however large `count` is.

    Returns:
        Sorted; all numbers when there are no more than `size`.
    """
    chosen: set[int] = set()
    for limit in range(max(0, count - size), count):
        number = _below(limit + 1, seed, str(limit))
        chosen.add(limit if number in chosen else number)
    return sorted(chosen)


def _below(bound: int, seed: int, name: str) -> int:
    """A number below `bound`, of any size, each as likely as the others."""
    words = (bound.bit_length() + 63) // 64
    attempt = 0
    while True:
        number = 0
        for word in range(words):
            number = (number << 64) | derive(seed, "matrix", name, str(attempt), str(word))
        number >>= words * 64 - bound.bit_length()
        if number < bound:
            return number
        attempt += 1
