# SPDX-License-Identifier: Apache-2.0
"""The cells of a lab file. Nothing is expanded before it is asked for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from windtunnel.engine.cell import LabCell
from windtunnel.engine.labfile import LabFile, read_text
from windtunnel.engine.paramspace import ParamSpace
from windtunnel.errors import LabFileError, LabFileErrors, UsageError
from windtunnel.matrix.cells import ABSENT
from windtunnel.matrix.cover import cover_space
from windtunnel.matrix.indexes import sample_indexes, shard_bounds
from windtunnel.matrix.matrix import Matrix, MatrixVariant
from windtunnel.matrix.parser import read_beside
from windtunnel.model.lab import LabSpec
from windtunnel.model.params import Params, read_params
from windtunnel.model.yamltree import parse_yaml

__all__ = ["LabCell", "LabCells", "read_cells"]

_AXIS_LABEL = re.compile(r"\(([^()=]*)=([^()]*)\)")


class Space(Protocol):
    """Cells that filters leave, by their position among them."""

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

    def cover(self, strength: int, seed: int) -> list[LabCell]:
        """Few that hold each combination of so many values."""
        ...

    def why_empty(self) -> LabFileError | UsageError:
        """Why there are none."""
        ...

    def dropped_by(self, name: str) -> list[str]:
        """Which rules and filters drop the cell of a name; none: it is there."""
        ...


class LabCells:
    """A lab file with its parameters. Made by `read_cells`.

    Attributes:
        path: of the lab file.
        files: that say which cells there are: the lab file, and that of its matrix.
        lab: the name of the lab.
        has_params: whether it has parameters; without, it has one cell.
    """

    def __init__(
        self,
        file: LabFile,
        space: Space,
        *,
        lab: str,
        matrix_files: Sequence[Path],
        has_params: bool,
        overrides: _Overrides,
    ) -> None:
        self.path = file.path
        self.files = (file.path, *matrix_files)
        self.lab = lab
        self.has_params = has_params
        self._file = file
        self._space = space
        self._overrides = overrides

    def count(self) -> int:
        """How many cells the filters leave."""
        return self._space.count()

    def __iter__(self) -> Iterator[LabCell]:
        """All cells in their order, one at a time."""
        return self._space.cells()

    def cell(self, position: int) -> LabCell:
        """The cell at a position among those that the filters leave, from 0.

        Raises:
            UsageError: there are not so many.
        """
        count = self.count()
        if not 0 <= position < count:
            raise UsageError(
                f"there is no cell {position}: {self.path} has {count}",
                hint="numbers begin at 0" if count else "the filters leave nothing",
            )
        return self._space.at(position)

    def named(self, name: str) -> LabCell:
        """The cell with a name.

        Raises:
            UsageError: there is none, or the filters drop it.
        """
        return self._space.named(name)

    def numbered(self, index: int) -> LabCell:
        """The cell with an index.

        Raises:
            UsageError: there is none, or the filters drop it.
        """
        return self._space.numbered(index)

    def spec(self, cell: LabCell) -> LabSpec:
        """The lab of a cell, complete and checked.

        Raises:
            LabFileErrors: it is wrong; every mistake with its place and the cell.
        """
        seed, stop_ns = self._overrides
        if not self.has_params:
            return self._file.spec(seed=seed, stop_ns=stop_ns)
        try:
            return self._file.spec(seed=seed, stop_ns=stop_ns, params=cell.params)
        except LabFileErrors as errors:
            raise LabFileErrors([_in_cell(one, cell) for one in errors.errors]) from errors
        except LabFileError as error:
            raise _in_cell(error, cell) from error

    def shard(self, shard: int, shards: int) -> Iterable[LabCell]:
        """One of several shards, counted from 1: neighbours, as many as in the others.

        Raises:
            UsageError: there is no such shard.
        """
        if not 1 <= shard <= shards:
            raise UsageError(
                f"there is no shard {shard}/{shards}", hint="the first of two shards is 1/2"
            )
        return _Between(self._space, *shard_bounds(self.count(), shard, shards))

    def sample(self, count: int, seed: int) -> Iterator[LabCell]:
        """Some cells, drawn by a seed, in their order."""
        return map(self._space.at, sample_indexes(self.count(), count, seed))

    def cover(self, strength: int, seed: int) -> Iterable[LabCell]:
        """Few cells that hold each combination of `strength` values that the filters leave.

        Args:
            strength: 1 to 6.
            seed: another one gives other cells, maybe fewer.

        Raises:
            UsageError: there is no such strength.
            MatrixFileError: the matrix has a join.
        """
        return self._space.cover(strength, seed)

    def dropped_by(self, name: str) -> list[str]:
        """Which rules and filters drop the cell of a name, in words; none when it is there.

        Raises:
            UsageError: no cell has this name, with or without them.
        """
        return self._space.dropped_by(name)

    def why_empty(self) -> LabFileError | UsageError:
        """Say why no cell is left, for a lab without cells."""
        return self._space.why_empty()

    def require_some(self) -> None:
        """Make sure that the filters leave a cell.

        Raises:
            LabFileError, UsageError: they do not; it says which of them dropped the last.
        """
        if not self.count():
            raise self.why_empty()


@dataclass(frozen=True, slots=True)
class _Between:
    """The cells of some positions; each look at them begins anew."""

    space: Space
    begin: int
    end: int

    def __iter__(self) -> Iterator[LabCell]:
        return map(self.space.at, range(self.begin, self.end))


_Overrides = tuple[int | None, int | None]  # seed, stop in ns


def read_cells(
    path: Path,
    *,
    only: Sequence[str] = (),
    no: Sequence[str] = (),
    seed: int | None = None,
    stop_ns: int | None = None,
) -> LabCells:
    """Read which cells a lab file has.

    Args:
        path: of the lab file.
        only: filters that each cell must pass: "loss=1%,cc=b*" for `params`, and what
            may stand behind "only" for a matrix in a file.
        no: filters that no cell may pass.
        seed: used instead of the file's, in every cell.
        stop_ns: used instead of the file's.

    Raises:
        LabFileErrors, LabFileError: the lab file or its matrix is wrong, or not there.
        UsageError: a filter is wrong, or the lab has no parameters to filter.
        HostError: a file cannot be read.
    """
    file = LabFile(path)
    document = parse_yaml(file.text, file=str(path))
    params = read_params(document)
    root = document.root.value
    name = root.get("name") if isinstance(root, dict) else None
    lab = name if isinstance(name, str) and name else path.stem
    space: Space
    matrix_files: list[Path] = []
    if params.matrix is not None:
        space = _Configured(_matrix(path, params, only, no))
        matrix_files.append(path.parent / params.matrix)
    elif params.axes:
        space = ParamSpace(params, only=only, no=no)
    elif only or no:
        raise UsageError(f"{path} has no parameters to filter", hint="leave out --only and --no")
    else:
        space = _Single(lab)
    return LabCells(
        file,
        space,
        lab=lab,
        matrix_files=matrix_files,
        has_params=not isinstance(space, _Single),
        overrides=(seed, stop_ns),
    )


def _in_cell(error: LabFileError, cell: LabCell) -> LabFileError:
    return LabFileError(
        f"{error.message} (in the cell {cell.name})", where=error.where, hint=error.hint
    )


def _matrix(path: Path, params: Params, only: Sequence[str], no: Sequence[str]) -> Matrix:
    assert params.matrix is not None, "the caller looked"
    file = path.parent / params.matrix
    try:
        text = read_text(file)
    except LabFileError as error:
        hint = error.hint or "its path begins at the lab file"
        raise LabFileError(error.message, where=params.matrix_where, hint=hint) from error
    return Matrix.read(text, file=str(file), read=read_beside, only=only, no=no)


class _Single:
    """A lab without parameters."""

    def __init__(self, lab: str) -> None:
        self._cell = LabCell(0, lab, {})

    def count(self) -> int:
        return 1

    def at(self, position: int) -> LabCell:
        del position
        return self._cell

    def cells(self) -> Iterator[LabCell]:
        yield self._cell

    def named(self, name: str) -> LabCell:
        if name == self._cell.name:
            return self._cell
        raise UsageError(
            f"there is no cell {name!r}", hint=f"the lab has no parameters: {self._cell.name!r}"
        )

    def numbered(self, index: int) -> LabCell:
        return self.named(self._cell.name if index == 0 else str(index))

    def cover(self, strength: int, seed: int) -> list[LabCell]:
        del strength, seed
        return [self._cell]

    def why_empty(self) -> UsageError:
        raise AssertionError("a lab without parameters has a cell")

    def dropped_by(self, name: str) -> list[str]:
        self.named(name)
        return []


class _Configured:
    """The variants of a Cartesian configuration."""

    def __init__(self, matrix: Matrix) -> None:
        self._matrix = matrix

    def count(self) -> int:
        return self._matrix.count()

    def at(self, position: int) -> LabCell:
        return _variant_cell(position, self._matrix.variant(position))

    def cells(self) -> Iterator[LabCell]:
        for position, variant in enumerate(self._matrix.variants()):
            yield _variant_cell(position, variant)

    def named(self, name: str) -> LabCell:
        for cell in self.cells():
            if cell.name == name:
                return cell
        self._matrix.explain(name)
        raise UsageError(f"there is no cell {name!r}", hint="the filters drop it")

    def numbered(self, index: int) -> LabCell:
        return self.at(index)

    def cover(self, strength: int, seed: int) -> list[LabCell]:
        space = self._matrix.cells()
        strength = min(strength, len(space.axes))
        rows = {
            tuple(
                axis.values[number]
                for axis, number in zip(space.axes, row, strict=True)
                if number != ABSENT
            )
            for row in cover_space(space, strength, seed=seed)
        }
        wanted = {".".join(row) for row in rows}
        return [cell for cell in self.cells() if cell.name in wanted]

    def why_empty(self) -> LabFileError:
        return self._matrix.why_empty()

    def dropped_by(self, name: str) -> list[str]:
        found = self._matrix.explain(name)
        if not all(one.removed for one in found):
            return []
        return [f"{removal.text!r}, {removal.where}" for removal in found[0].removed]


def _variant_cell(position: int, variant: MatrixVariant) -> LabCell:
    params: Mapping[str, str] = variant.params
    return LabCell(position, _AXIS_LABEL.sub(r"\2", variant.name), params)
