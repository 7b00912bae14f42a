# SPDX-License-Identifier: Apache-2.0
"""`windtunnel matrix …` for lab files: their cells, as `windtunnel run` would run them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from windtunnel.errors import UsageError
from windtunnel.ui.failures import say_on_stderr
from windtunnel.ui.options import parse_shard

if TYPE_CHECKING:
    from windtunnel.engine.cells import LabCell, LabCells
    from windtunnel.matrix.warn import Doubt

SUFFIXES = (".yaml", ".yml")

WARNINGS_SHOWN_MAX = 20
"""So many are printed; the rest is counted."""


def is_lab(file: Path) -> bool:
    """Whether a file is a lab and no Cartesian configuration, by its name."""
    return file.suffix in SUFFIXES


def refuse_options(file: Path, options: Mapping[str, object]) -> None:
    """Make sure that no option is given that means nothing for a lab.

    Args:
        file: the lab.
        options: by name: "--strict"; what is false or None was not given.

    Raises:
        UsageError: one is.
    """
    given = [name for name, value in options.items() if value]
    if given:
        raise UsageError(
            f"{' and '.join(given)} with {file}, which is a lab",
            hint="this is for a Cartesian configuration: leave it out, or name the .cfg",
        )


def cells_of(file: Path, only: Sequence[str] | None, no: Sequence[str] | None) -> LabCells:
    """Read a lab's cells.

    Raises:
        LabFileErrors, LabFileError, UsageError, HostError: see `read_cells`.
    """
    from windtunnel.engine.cells import read_cells  # noqa: PLC0415 - slow to import

    cells = read_cells(file, only=tuple(only or ()), no=tuple(no or ()))
    print_doubts(cells.doubts())
    return cells


def print_doubts(doubts: Sequence[Doubt]) -> None:
    """Warn of what is most likely a mistake."""
    for one in doubts[:WARNINGS_SHOWN_MAX]:
        say_on_stderr(f"warning: {one}")
    if len(doubts) > WARNINGS_SHOWN_MAX:
        say_on_stderr(f"warning: and {len(doubts) - WARNINGS_SHOWN_MAX} more of this kind")


def chosen(
    cells: LabCells, shard: str | None, sample: int | None, seed: int
) -> Iterator[dict[str, Any]]:
    """The cells that are asked for, as JSON values.

    Raises:
        UsageError: two choices exclude each other, or nothing is left.
    """
    if shard is not None and sample is not None:
        raise UsageError("--shard and --sample together", hint="take one of them")
    cells.require_some()
    if sample is not None:
        return map(document, cells.sample(sample, seed))
    return map(document, cells if shard is None else cells.shard(*parse_shard(shard)))


def document(cell: LabCell) -> dict[str, Any]:
    """Give a cell as JSON values."""
    return {"number": cell.index, "name": cell.name, "params": dict(cell.params)}


def write_cell(cell: LabCell, write: Callable[[str], Any] = sys.stdout.write) -> None:
    """Write a cell and its parameters for people."""
    write(f"{cell.name} (number {cell.index})\n")
    for key, value in cell.params.items():
        write(f"  {key} = {value}\n")
