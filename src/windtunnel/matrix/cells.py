# SPDX-License-Identifier: Apache-2.0
"""What a matrix is to whoever picks cells from it: axes, cells, and which of them may be.

A cell is a choice: for each axis the number of a value, or `ABSENT` for an axis
that lies inside a value which the cell does not have. Nobody needs to know how
the matrix was written: Cartesian configuration and lists in a lab file both
come to this.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

Cell = tuple[int, ...]
"""For each axis, in the order of `CellSpace.axes`: a value's number, or `ABSENT`."""

ABSENT = -1
ANY = -2
"""In a partial cell: not chosen yet, absent or any value."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One dimension of a matrix.

    Attributes:
        name: unique in the matrix, for people: "guest_os", "variants:12" for one
            without a name, of line 12.
        values: what there is to choose, for people; equal ones may occur twice.
        inside: the axis and the value inside which this axis lies, by number; the
            axis comes earlier in the list. None: every cell has a value of it.
    """

    name: str
    values: tuple[str, ...]
    inside: tuple[int, int] | None = None


class CellSpace(Protocol):
    """All cells of a matrix that its filters leave."""

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The dimensions; an axis comes after the one in which it lies."""
        ...

    def cells(self) -> Iterator[Cell]:
        """Every cell, in the order of the matrix, one at a time."""
        ...

    def __contains__(self, cell: Cell) -> bool:
        """Whether the filters leave this cell; it must be whole and well-formed."""
        ...

    def allows(self, partial: Cell) -> bool:
        """Whether a cell is left that agrees with `partial`, in which `ANY` is free.

        Fast: made to be asked many thousand times, also for matrices of 10^12.
        """
        ...

    def complete(self, partial: Cell) -> Cell | None:
        """The first cell, in the order of the matrix, that agrees; None: there is none."""
        ...
