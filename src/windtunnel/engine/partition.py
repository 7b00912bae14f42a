# SPDX-License-Identifier: Apache-2.0
"""Who can reach whom while a network is partitioned. Pure.

A partition is groups of nodes; the nodes that are in no group form one more.
Several may hold at once: two nodes then reach each other if none separates them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Groups = tuple[tuple[str, ...], ...]
"""Names of nodes, each in one group at most."""


def sides(node: str, partitions: Iterable[Groups]) -> tuple[int, ...]:
    """Where a node is in each partition: the number of its group, the last for "in none"."""
    return tuple(
        next((at for at, group in enumerate(groups) if node in group), len(groups))
        for groups in partitions
    )


def separated(a: str, b: str, partitions: Sequence[Groups]) -> bool:
    """Whether some partition keeps two nodes apart."""
    return sides(a, partitions) != sides(b, partitions)


def split(members: Sequence[str], partitions: Sequence[Groups]) -> tuple[int, ...]:
    """Number the parts that a network falls into: each member's part.

    Parts are numbered from 0 in the order of their first members, so that a
    network that nothing separates is part 0.
    """
    numbers: dict[tuple[int, ...], int] = {}
    return tuple(numbers.setdefault(sides(one, partitions), len(numbers)) for one in members)
