# SPDX-License-Identifier: Apache-2.0
"""The cells of a lab whose matrix is a Cartesian configuration.

There are two matrices: the file's, which gives each cell its index and its name, and
the one with the filters of the command line, which says whether a cell is there. The
same walk through both is the same cell.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from windtunnel.engine.cell import LabCell
from windtunnel.engine.space import Space
from windtunnel.errors import LabFileError, MatrixFileError, UsageError
from windtunnel.matrix.cover import cover_space
from windtunnel.matrix.matrix import Matrix, MatrixVariant
from windtunnel.matrix.walks import Walk
from windtunnel.matrix.warn import Doubt

_AXIS_LABEL = re.compile(r"\(([^()=]*)=([^()]*)\)")
_NUMBERED = re.compile(r"(.*)#(\d+)", re.DOTALL)
_PARTS = re.compile(r"[^.,()\s]+")
_SAME_SHOWN = 5
_MEANT_SHOWN = 3  # of several cells that parts of a name may mean


def variant_space(whole: Matrix, only: Sequence[str], no: Sequence[str]) -> Space:
    """Make the space of a matrix.

    Args:
        whole: as the file says.
        only: filters that each cell must pass.
        no: filters that no cell may pass.

    Raises:
        MatrixFileError: a filter is wrong.
    """
    kept = whole.filtered(only, no) if only or no else whole
    return JoinedSpace(whole, kept) if whole.joins else VariantSpace(whole, kept)


class VariantSpace:
    """Cells that are choices. Nothing but what is asked for is expanded."""

    def __init__(self, whole: Matrix, kept: Matrix) -> None:
        self._whole = whole
        self._kept = kept
        self._walks = whole.walks()
        self._kept_walks = kept.walks()

    def count(self) -> int:
        """How many cells there are."""
        return self._kept.count()

    def at(self, position: int) -> LabCell:
        """The cell at a position among those that the filters leave."""
        return self._cell(self._kept_walks.at(position))

    def cells(self) -> Iterator[LabCell]:
        """All of them, one at a time."""
        for walk, variant in zip(self._kept_walks.all(), self._kept.variants(), strict=True):
            yield self._made(walk, self._index(walk), variant)

    def named(self, name: str) -> LabCell:
        """The cell with a name: its labels, and "#" and its index where several have the same.

        Raises:
            UsageError: there is none, the filters drop it, or there are several.
        """
        found = self._named(name, self._kept)
        there = [walk for walk in found if self._kept_walks.position(walk) is not None]
        if len(there) == 1:
            return self._cell(there[0])
        if there:
            names = ", ".join(repr(self._cell(walk).name) for walk in there)
            raise UsageError(f"several cells are called {name!r}", hint=f"such as {names}")
        raise UsageError(
            f"there is no cell {name!r}",
            hint=f"the filters drop it: {' and '.join(self._removals(found[0]))}",
        )

    def numbered(self, index: int) -> LabCell:
        """The cell with an index.

        Raises:
            UsageError: there is none, or the filters drop it.
        """
        walk = self._numbered(index)
        cell = self._cell(walk)
        if self._kept_walks.position(walk) is None:
            raise UsageError(
                f"the cell number {index}, {cell.name!r}, is dropped",
                hint=f"by {' and by '.join(self._removals(walk))}",
            )
        return cell

    def name_of(self, index: int) -> str:
        """The name of the cell with an index, whether it is dropped or not.

        Raises:
            UsageError: there is none.
        """
        return self._cell(self._numbered(index)).name

    def _numbered(self, index: int) -> Walk:
        if not 0 <= index < self._whole.count():
            raise UsageError(f"there is no cell number {index}", hint="numbers begin at 0")
        return self._walks.at(index)

    def cover(self, strength: int, seed: int) -> list[LabCell]:
        """Few cells that hold each combination of so many values."""
        space = self._kept.cells()
        rows = cover_space(space, strength, seed=seed)
        cells = {self._kept_walks.of_cell(row) for row in rows}
        return sorted(map(self._cell, cells), key=lambda cell: cell.index)

    def why_empty(self) -> MatrixFileError:
        """Say why nothing is left."""
        return self._kept.why_empty()

    def dropped_by(self, name: str) -> list[str]:
        """Which filters drop the cell of a name; none: it is there.

        Raises:
            UsageError: no cell has this name, with or without filters.
        """
        found = self._named(name, self._whole)
        if any(self._kept_walks.position(walk) is not None for walk in found):
            return []
        return self._removals(found[0])

    def doubts(self) -> list[Doubt]:
        """What is allowed in the file, and in the filters, and is most likely a mistake."""
        return self._kept.doubts()

    def _named(self, name: str, matrix: Matrix) -> list[Walk]:
        """Some walks of this name, at least one, whatever the filters say.

        Where none has it, the only one of a matrix that has its parts, in any order.
        """
        found = self._walks.named(name, _SAME_SHOWN)
        numbered = _NUMBERED.fullmatch(name)
        if not found and numbered and int(numbered[2]) < self._whole.count():
            walk = self._walks.at(int(numbered[2]))
            if self._cell(walk).name == name:
                found = [walk]
        return found or [self._meant(name, matrix)]

    def _meant(self, name: str, matrix: Matrix) -> Walk:
        parts = _PARTS.findall(name)
        unknown = self._whole.unknown_label(".".join(part.split("=")[-1] for part in parts))
        if unknown or not parts:
            raise UsageError(
                f"there is no cell {name!r}, with or without filters",
                hint=unknown or self._example(),
            )
        one = matrix.having(parts)
        count = one.count()
        if not count and matrix is self._kept and self._whole.having(parts).count():
            raise UsageError(f"there is no cell {name!r}", hint="the filters drop all that have it")
        if not count:
            raise UsageError(
                f"no cell has all of {', '.join(map(repr, parts))}", hint=self._example()
            )
        walks = one.walks()
        if count > 1:
            some = [self._cell(walks.at(at)).name for at in range(min(count, _MEANT_SHOWN))]
            raise UsageError(
                f"{name!r} is {count} cells", hint=f"such as {', '.join(map(repr, some))}"
            )
        return walks.at(0)

    def _example(self) -> str:
        if not self._whole.count():
            return "the matrix is empty"
        return f"names are such as {self._cell(self._walks.at(0)).name!r}"

    def _removals(self, walk: Walk) -> list[str]:
        removed = self._kept.explain_walk(walk).removed
        return [f"{removal.text!r}, {removal.where}" for removal in removed]

    def _cell(self, walk: Walk) -> LabCell:
        index = self._index(walk)
        return self._made(walk, index, self._whole.variant(index))

    def _index(self, walk: Walk) -> int:
        index = self._walks.position(walk)
        assert index is not None, "what more filters leave is there with fewer"
        return index

    def _made(self, walk: Walk, index: int, variant: MatrixVariant) -> LabCell:
        name = _cell_name(variant)
        if self._walks.same_name(walk) > 1:
            name = f"{name}#{index}"
        return LabCell(index, name, variant.params)


class JoinedSpace:
    """Cells of a matrix with a join: each one is looked for among those before it."""

    def __init__(self, whole: Matrix, kept: Matrix) -> None:
        self._whole = whole
        self._kept = kept

    def count(self) -> int:
        """How many cells there are."""
        return self._kept.count()

    def at(self, position: int) -> LabCell:
        """The cell at a position among those that the filters leave."""
        return next(cell for at, cell in enumerate(self.cells()) if at == position)

    def cells(self) -> Iterator[LabCell]:
        """All of them, one at a time."""
        every = _numbered(self._whole)
        for variant in self._kept.variants():
            # What filters leave stands in the same order among all.
            yield next(cell for cell, one in every if one == variant)

    def named(self, name: str) -> LabCell:
        """The cell with a name.

        Raises:
            UsageError: there is none, or the filters drop it.
        """
        found = next((cell for cell in self.cells() if cell.name == name), None)
        if found is not None:
            return found
        if any(cell.name == name for cell, _ in _numbered(self._whole)):
            raise UsageError(f"there is no cell {name!r}", hint="the filters drop it")
        raise UsageError(
            f"there is no cell {name!r}, with or without filters",
            hint=self._whole.unknown_label(name) or "matrix list shows all names",
        )

    def numbered(self, index: int) -> LabCell:
        """The cell with an index.

        Raises:
            UsageError: there is none, or the filters drop it.
        """
        found = next((cell for cell in self.cells() if cell.index == index), None)
        if found is None:
            raise UsageError(f"there is no cell number {index}", hint="or the filters drop it")
        return found

    def name_of(self, index: int) -> str:
        """The name of the cell with an index, whether it is dropped or not.

        Raises:
            UsageError: there is none.
        """
        if not 0 <= index < self._whole.count():
            raise UsageError(f"there is no cell number {index}", hint="numbers begin at 0")
        return next(cell.name for cell, _ in _numbered(self._whole) if cell.index == index)

    def cover(self, strength: int, seed: int) -> list[LabCell]:
        """Few cells that hold each combination of so many values, each part having its own.

        Raises:
            MatrixFileError: the join stands inside a variant.
        """
        walks = self._whole.walks()
        rows = cover_space(self._kept.cells(), strength, seed=seed)
        wanted = {walks.position(walks.of_cell(row)) for row in rows}
        return [cell for cell, _ in _numbered(self._whole) if cell.index in wanted]

    def why_empty(self) -> LabFileError | UsageError:
        """Say why nothing is left."""
        return self._kept.why_empty()

    def dropped_by(self, name: str) -> list[str]:
        """Which filters drop the cell of a name; none: it is there.

        Raises:
            UsageError: no cell has this name, with or without filters.
        """
        found = self._kept.explain(name)
        if not all(one.removed for one in found):
            return []
        return [f"{removal.text!r}, {removal.where}" for removal in found[0].removed]

    def doubts(self) -> list[Doubt]:
        """What is allowed in the file, and in the filters, and is most likely a mistake."""
        return self._kept.doubts()


def _numbered(matrix: Matrix) -> Iterator[tuple[LabCell, MatrixVariant]]:
    """All variants as cells; a name that was there already has its index behind it."""
    seen: set[str] = set()
    for index, variant in enumerate(matrix.variants()):
        name = _cell_name(variant)
        unique = f"{name}#{index}" if name in seen else name
        seen.add(name)
        yield LabCell(index, unique, variant.params), variant


def _cell_name(variant: MatrixVariant) -> str:
    return _AXIS_LABEL.sub(r"\2", variant.name)
