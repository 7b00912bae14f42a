# SPDX-License-Identifier: Apache-2.0
"""Which cells of a lab are run: filters, a part, a sample, a covering array, those that failed."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any, Self

from windtunnel.engine.cells import LabCell, LabCells
from windtunnel.errors import UsageError
from windtunnel.matrix.indexes import shard_bounds


@dataclass(frozen=True, slots=True)
class Selection:
    """What a user wants of a lab's cells.

    Attributes:
        only, no: filters; those who read the cells apply them.
        shard: (k, n): the k-th of n parts, from 1; None is all.
        cover: only so many that each combination of that many parameters is there.
        sample: only so many, drawn.
        seed: what a sample and a covering array are drawn by.
        these: only these, such as those that failed, by index and name; None is all.
    """

    only: tuple[str, ...] = ()
    no: tuple[str, ...] = ()
    shard: tuple[int, int] | None = None
    cover: int | None = None
    sample: int | None = None
    seed: int = 0
    these: tuple[tuple[int, str], ...] | None = None

    def to_json(self) -> dict[str, Any]:
        """Give it as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Read what `to_json` gave."""
        shard, these = values.get("shard"), values.get("these")
        return cls(
            only=tuple(values.get("only") or ()),
            no=tuple(values.get("no") or ()),
            shard=None if shard is None else (int(shard[0]), int(shard[1])),
            cover=values.get("cover"),
            sample=values.get("sample"),
            seed=values.get("seed") or 0,
            these=None if these is None else tuple((int(one[0]), str(one[1])) for one in these),
        )


@dataclass(frozen=True, slots=True)
class Chosen:
    """Cells that are to be run.

    Attributes:
        cells: in the order of the lab.
        count: how many they are.
    """

    cells: Iterable[LabCell]
    count: int


def choose(cells: LabCells, selection: Selection) -> Chosen:
    """Choose cells of a lab, none of which is looked at before it is asked for.

    Args:
        cells: with the filters of the selection.
        selection: what is wanted.

    Raises:
        UsageError: two choices exclude each other, or nothing is left.
        LabFileError: the lab itself leaves nothing.
    """
    _check(selection)
    cells.require_some()
    chosen = _chosen(cells, selection)
    if chosen.count == 0:
        part = "" if selection.shard is None else "part {} of {}".format(*selection.shard)
        raise UsageError(
            f"no cell of {cells.lab!r} is left: {part or 'the choice'} is empty",
            hint="take less away",
        )
    return chosen


def _check(selection: Selection) -> None:
    given = [
        word
        for word, value in (
            ("--sample", selection.sample),
            ("--cover", selection.cover),
            ("--rerun-failed", selection.these),
        )
        if value is not None
    ]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} together", hint="take one of them")
    if selection.shard is not None:
        shard, shards = selection.shard
        if not 1 <= shard <= shards:
            raise UsageError(f"--shard {shard}/{shards} is no part", hint="such as: --shard 2/8")


def _chosen(cells: LabCells, selection: Selection) -> Chosen:
    if selection.these is not None:
        these = [_one(cells, index, name) for index, name in selection.these]
        found: list[LabCell] = sorted(these, key=lambda cell: cell.index)
    elif selection.cover is not None:
        found = list(cells.cover(selection.cover, selection.seed))
    elif selection.sample is not None:
        found = list(cells.sample(selection.sample, selection.seed))
    elif selection.shard is not None:
        begin, end = shard_bounds(cells.count(), *selection.shard)
        return Chosen(cells.shard(*selection.shard), end - begin)
    else:
        return Chosen(cells, cells.count())
    if selection.shard is not None:
        begin, end = shard_bounds(len(found), *selection.shard)
        found = list(islice(found, begin, end))
    return Chosen(found, len(found))


def _one(cells: LabCells, index: int, name: str) -> LabCell:
    # By its index, for that is fast; by its name where the lab has changed since.
    with suppress(UsageError):
        cell = cells.numbered(index)
        if cell.name == name:
            return cell
    return cells.named(name)
