# SPDX-License-Identifier: Apache-2.0
"""The cells of a lab, as tests."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import pytest

from windtunnel.engine.cells import LabCell, LabCells, read_cells
from windtunnel.errors import LabFileError, UsageError
from windtunnel.model.units import parse_duration
from windtunnel.ui.pytest_plugin.marker import LabMark, lab_mark

_COVER_SEED = 0
"""Which cells there are must not depend on --windtunnel-seed: their names repeat a test."""


def marked_cells(item: pytest.Item, seed: int | None) -> LabCells | None:
    """Read the lab file that a test is marked with; None when it names none.

    Args:
        item: the test.
        seed: in place of the marker's and the file's.

    Raises:
        UsageError: the marker is wrong.
        LabFileError: the file is.
    """
    mark = lab_mark(item)
    return None if mark.file is None else file_cells(mark.file, mark, seed)


def file_cells(file: Path, mark: LabMark, seed: int | None) -> LabCells:
    """Read a lab file; arguments and errors as of `marked_cells`."""
    try:
        stop_ns = None if mark.stop is None else parse_duration(mark.stop)
    except LabFileError as error:
        raise UsageError(f"stop={mark.stop!r}: {error.message}", hint=error.hint) from error
    seed = mark.seed if seed is None else seed
    return read_cells(file, only=mark.only, no=mark.no, seed=seed, stop_ns=stop_ns)


def chosen_cells(definition: pytest.Item, seed: int | None) -> list[LabCell] | None:
    """Give the cells that a test is for; None when its lab has no parameters.

    Raises:
        UsageError: the marker is wrong, or there are too many cells, or none.
        LabFileError: the file is wrong.
    """
    cells = marked_cells(definition, seed)
    if cells is None or not cells.has_params:
        return None
    cover = lab_mark(definition).cover
    chosen: Iterable[LabCell] = cells if cover is None else cells.cover(cover, _COVER_SEED)
    return within_limit(definition.config, cells, chosen)


def within_limit(
    config: pytest.Config, cells: LabCells, chosen: Iterable[LabCell]
) -> list[LabCell]:
    """Take cells for tests, which are all of them in memory, so not too many.

    Raises:
        UsageError: there are too many, or none is left by the filters.
    """
    setting = config.getini("windtunnel_cells_max")
    if not setting.isdecimal():
        raise UsageError(f"windtunnel_cells_max = {setting!r} in the ini file is no whole number")
    cells.require_some()
    taken = list(islice(chosen, int(setting) + 1))
    if len(taken) > int(setting):
        raise UsageError(
            f"{cells.path.name} has {cells.count():,} cells, and more than {setting} tests of one "
            "are a mistake more often than not",
            hint="choose with only=, no= or cover=2; or allow more: "
            "windtunnel_cells_max = N in the ini file",
        )
    return taken


def single_cell(item: pytest.Item, seed: int | None) -> LabCell | None:
    """Give the one cell of a marked lab without parameters; None when no file is marked."""
    cells = marked_cells(item, seed)
    return None if cells is None else next(iter(cells))
