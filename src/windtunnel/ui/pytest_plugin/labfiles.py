# SPDX-License-Identifier: Apache-2.0
"""Lab files as tests: each cell is one, and runs the lab's own schedule to its verdict."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from windtunnel.engine.cells import LabCell, LabCells
from windtunnel.errors import InternalError, WindtunnelError
from windtunnel.ui.pytest_plugin import begin, option_seed
from windtunnel.ui.pytest_plugin.cells import file_cells, within_limit
from windtunnel.ui.pytest_plugin.explain import error_words
from windtunnel.ui.pytest_plugin.marker import LabMark


def collect(
    file_path: Path, parent: pytest.Collector, patterns: Sequence[str]
) -> pytest.Collector | None:
    """Take a file for a lab file if it matches a pattern.

    Args:
        file_path: of the file.
        parent: that it is collected below.
        patterns: as `pathlib.PurePath.match` has them, "*.lab.yaml", relative to the root.
    """
    root = parent.config.rootpath
    name = file_path.relative_to(root) if file_path.is_relative_to(root) else file_path
    if not any(name.match(pattern) for pattern in patterns):
        return None
    return LabFileTests.from_parent(parent, path=file_path)


class LabFileTests(pytest.File):
    """A lab file."""

    def collect(self) -> Iterator[pytest.Item]:
        """Give one test for each cell."""
        try:
            cells = file_cells(self.path, LabMark(), option_seed(self.config))
            chosen = within_limit(self.config, cells, cells)
        except WindtunnelError as error:
            raise self.CollectError(error_words(error)) from None
        for cell in chosen:
            yield CellTest.from_parent(self, name=cell.name, cells=cells, cell=cell)


class CellTest(pytest.Item):
    """A cell of a lab file."""

    def __init__(self, *, cells: LabCells, cell: LabCell, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._cells = cells
        self._cell = cell

    def runtest(self) -> None:
        """Run it to its verdict."""
        begin(self).run_cell(self._cells, self._cell)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Word what the lab found; only our own bugs have a traceback."""
        error = excinfo.value
        if isinstance(error, WindtunnelError) and not isinstance(error, InternalError):
            return error_words(error)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Say which lab file it is."""
        return self.path, None, f"lab {self.name}"
