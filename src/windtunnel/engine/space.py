# SPDX-License-Identifier: Apache-2.0
"""What cells a lab has, wherever they come from; and the space of a lab without parameters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from windtunnel.engine.cell import LabCell
from windtunnel.errors import LabFileError, UsageError
from windtunnel.matrix.warn import Doubt


class Space(Protocol):
    """Cells that filters leave, by their position among them.

    Index and name of a cell do not depend on filters of the command line.
    """

    def count(self) -> int:
        """How many there are."""
        ...

    def at(self, position: int) -> LabCell:
        """The one at a position."""
        ...

    def cells(self) -> Iterator[LabCell]:
        """All of them in their order, one at a time."""
        ...

    def named(self, name: str) -> LabCell:
        """The one with a name."""
        ...

    def numbered(self, index: int) -> LabCell:
        """The one with an index."""
        ...

    def name_of(self, index: int) -> str:
        """The name of the cell with an index, whether it is dropped or not."""
        ...

    def cover(self, strength: int, seed: int) -> list[LabCell]:
        """Few that hold each combination of so many values."""
        ...

    def why_empty(self) -> LabFileError | UsageError:
        """Why there are none."""
        ...

    def dropped_by(self, name: str) -> list[str]:
        """Which rules and filters drop the cell of a name; none: it is there."""
        ...

    def doubts(self) -> list[Doubt]:
        """What is allowed and most likely a mistake."""
        ...


class LoneSpace:
    """A lab without parameters: one cell."""

    def __init__(self, lab: str) -> None:
        self._cell = LabCell(0, lab, {})

    def count(self) -> int:
        """One."""
        return 1

    def at(self, position: int) -> LabCell:
        """The cell."""
        del position
        return self._cell

    def cells(self) -> Iterator[LabCell]:
        """The cell."""
        yield self._cell

    def named(self, name: str) -> LabCell:
        """The cell, by the name of the lab.

        Raises:
            UsageError: it is called otherwise.
        """
        if name == self._cell.name:
            return self._cell
        raise UsageError(
            f"there is no cell {name!r}", hint=f"the lab has no parameters: {self._cell.name!r}"
        )

    def numbered(self, index: int) -> LabCell:
        """The cell, by number 0.

        Raises:
            UsageError: another number.
        """
        return self.named(self._cell.name if index == 0 else str(index))

    def name_of(self, index: int) -> str:
        """The name of the cell, by number 0.

        Raises:
            UsageError: another number.
        """
        return self.numbered(index).name

    def cover(self, strength: int, seed: int) -> list[LabCell]:
        """The cell."""
        del strength, seed
        return [self._cell]

    def why_empty(self) -> UsageError:
        """Never asked: there is a cell."""
        raise AssertionError("a lab without parameters has a cell")

    def dropped_by(self, name: str) -> list[str]:
        """Nothing drops it.

        Raises:
            UsageError: it is called otherwise.
        """
        self.named(name)
        return []

    def doubts(self) -> list[Doubt]:
        """None."""
        return []
