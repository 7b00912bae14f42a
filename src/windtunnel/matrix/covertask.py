# SPDX-License-Identifier: Apache-2.0
"""One search: columns to fill, which sets of them to cover, and what may stand together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from windtunnel.matrix.cells import Cell


class Rules(Protocol):
    """Which rows may be; a `CellSpace` is one."""

    def allows(self, partial: Cell) -> bool:
        """Whether some row may be that agrees with `partial`, in which `ANY` is free."""
        ...

    def complete(self, partial: Cell) -> Cell | None:
        """A row that agrees with `partial`; None when there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Layer:
    """Sets of columns of one size, all of which are to be covered.

    Attributes:
        columns: every set of `strength` of them counts.
        strength: 1 to the number of columns.
        but_inside: sets that lie wholly inside one of these do not count.
    """

    columns: tuple[int, ...]
    strength: int
    but_inside: tuple[frozenset[int], ...] = ()


@dataclass(frozen=True, slots=True)
class Task:
    """What the rows of one search must do.

    Attributes:
        levels: how many values each column has.
        layers: what is to be covered.
        rules: None when everything may stand together.
        required: rows that must be among the result, `ANY` where a cell is free.
        weights: of the values of each column; empty when all are alike.
    """

    levels: tuple[int, ...]
    layers: tuple[Layer, ...]
    rules: Rules | None = None
    required: tuple[Cell, ...] = ()
    weights: tuple[tuple[int, ...], ...] = field(default=())

    def allows(self, partial: Sequence[int]) -> bool:
        """Whether a row can still become of this."""
        return self.rules is None or self.rules.allows(tuple(partial))
