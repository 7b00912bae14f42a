# SPDX-License-Identifier: Apache-2.0
"""The cells of a lab file. Nothing is expanded before it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from windtunnel.engine.cell import LabCell
from windtunnel.engine.labfile import LabFile, read_text
from windtunnel.engine.paramspace import ParamSpace
from windtunnel.engine.space import LoneSpace, Space
from windtunnel.engine.variantspace import variant_space
from windtunnel.errors import LabFileError, LabFileErrors, UsageError, Where
from windtunnel.matrix.indexes import sample_indexes, shard_bounds
from windtunnel.matrix.matrix import Matrix
from windtunnel.matrix.parser import read_beside
from windtunnel.matrix.warn import Doubt
from windtunnel.model.lab import LabSpec
from windtunnel.model.params import Params, read_params
from windtunnel.model.yamltree import parse_yaml

__all__ = ["LabCell", "LabCells", "read_cells"]

_NAMES_SHOWN = 3  # of cells with the same mistake

MISTAKES_TOLD_MAX = 20
"""So many mistakes of cells are told; the rest is counted."""


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

    def find(self, name: str) -> LabCell:
        """The cell with a name, or an index in digits.

        Raises:
            UsageError: there is none, or the filters drop it.
        """
        return self.numbered(int(name)) if name.isdecimal() else self.named(name)

    def spec(self, cell: LabCell) -> LabSpec:
        """The lab of a cell, complete and checked.

        Raises:
            LabFileErrors: it is wrong; every mistake with its place and the cell.
        """
        try:
            return self._spec(cell)
        except LabFileError as error:
            if not self.has_params:
                raise
            place = f"in the cell {cell.name}"
            if not isinstance(error, LabFileErrors):
                raise _in_cells(error, place) from error
            raise LabFileErrors([_in_cells(one, place) for one in error.errors]) from error

    def check(self, cells: Iterable[LabCell]) -> LabSpec:
        """Check the labs of several cells.

        Returns:
            That of the first.

        Raises:
            LabFileErrors: some are wrong; each mistake once, with the cells that have it,
                and of more than `MISTAKES_TOLD_MAX` how many more there are.
        """
        first: LabSpec | None = None
        found: dict[tuple[str, str], tuple[LabFileError, list[str]]] = {}
        for cell in cells:
            try:
                spec = self._spec(cell)
            except LabFileError as error:
                for one in _errors(error):
                    key = (one.message, str(one.where))
                    found.setdefault(key, (one, []))[1].append(cell.name)
            else:
                first = first or spec
        if not found:
            assert first is not None, "there is a cell"
            return first
        if not self.has_params:
            raise LabFileErrors([error for error, _ in found.values()])
        told = list(islice(found.values(), MISTAKES_TOLD_MAX))
        errors = [_in_cells(error, _which(names)) for error, names in told]
        if more := len(found) - len(told):
            text = f"and {more} more mistake{'s' if more > 1 else ''} in cells"
            errors.append(LabFileError(text, where=Where(str(self.path)), hint="mend these first"))
        raise LabFileErrors(errors)

    def _spec(self, cell: LabCell) -> LabSpec:
        seed, stop_ns = self._overrides
        if not self.has_params:
            return self._file.spec(seed=seed, stop_ns=stop_ns)
        return self._file.spec(seed=seed, stop_ns=stop_ns, params=cell.params)

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
            MatrixFileError: the matrix has a join inside a variant.
        """
        return self._space.cover(strength, seed)

    def dropped_by(self, name: str) -> list[str]:
        """Which rules and filters drop a cell, in words; none when it is there.

        Args:
            name: of the cell, or its index in digits.

        Raises:
            UsageError: there is no such cell, with or without them.
        """
        return self._space.dropped_by(self._space.name_of(int(name)) if name.isdecimal() else name)

    def doubts(self) -> list[Doubt]:
        """What is allowed in the parameters and most likely a mistake."""
        return self._space.doubts()

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
    return _read_cells(LabFile(path), only, no, overrides=(seed, stop_ns))


def _read_cells(
    file: LabFile, only: Sequence[str], no: Sequence[str], *, overrides: _Overrides
) -> LabCells:
    path = file.path
    document = parse_yaml(file.text, file=str(path))
    params = read_params(document)
    root = document.root.value
    name = root.get("name") if isinstance(root, dict) else None
    # A name with parameters in it is that of a cell.
    lab = name if isinstance(name, str) and name and "${" not in name else path.stem
    space: Space
    matrix_files: list[Path] = []
    if params.matrix is not None:
        whole = _matrix(path, params)
        if not whole.chooses:
            raise LabFileError(
                f"{params.matrix} has no variants, so the lab has no cells",
                where=params.matrix_where,
                hint="write a variants block there, or leave out 'matrix'",
            )
        space = variant_space(whole, only, no)
        matrix_files.append(path.parent / params.matrix)
    elif params.axes:
        space = ParamSpace(params, only=only, no=no)
    elif only or no:
        raise UsageError(f"{path} has no parameters to filter", hint="leave out --only and --no")
    else:
        space = LoneSpace(lab)
    return LabCells(
        file,
        space,
        lab=lab,
        matrix_files=matrix_files,
        has_params=not isinstance(space, LoneSpace),
        overrides=overrides,
    )


def read_labs(path: Path, *, cell: str | None, stop_ns: int | None) -> Callable[[int], LabSpec]:
    """Read a lab that is wanted with many seeds; its files are read once.

    Args:
        path: of the lab file.
        cell: name or number of one, for a lab with parameters.
        stop_ns: used instead of the file's.

    Returns:
        What gives the lab with a seed; raises LabFileErrors when it is wrong.

    Raises:
        LabFileErrors, LabFileError, UsageError, HostError: see `read_cells`.
    """
    file = LabFile(path)
    params: Mapping[str, str] | None = None
    if cell is not None:
        cells = _read_cells(file, (), (), overrides=(None, stop_ns))
        found = cells.find(cell)
        params = found.params if cells.has_params else None
    return lambda seed: file.spec(seed=seed, stop_ns=stop_ns, params=params)


def _errors(error: LabFileError) -> Sequence[LabFileError]:
    return error.errors if isinstance(error, LabFileErrors) else (error,)


def _in_cells(error: LabFileError, place: str) -> LabFileError:
    return LabFileError(f"{error.message} ({place})", where=error.where, hint=error.hint)


def _which(names: Sequence[str]) -> str:
    if len(names) == 1:
        return f"in the cell {names[0]}"
    more = len(names) - _NAMES_SHOWN
    listed = "; ".join(names[:_NAMES_SHOWN])  # a name has commas of its own
    return f"in the cells {listed}{f' and {more} more' if more > 0 else ''}"


def _matrix(path: Path, params: Params) -> Matrix:
    assert params.matrix is not None, "the caller looked"
    file = path.parent / params.matrix
    try:
        text = read_text(file)
    except LabFileError as error:
        hint = error.hint or "its path begins at the lab file"
        raise LabFileError(error.message, where=params.matrix_where, hint=hint) from error
    return Matrix.read(text, file=str(file), read=read_beside)
