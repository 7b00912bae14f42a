# SPDX-License-Identifier: Apache-2.0
"""The good run to compare a failed one with."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from windtunnel.errors import HostError, ProtocolError
from windtunnel.model.result import CellResult
from windtunnel.store.results import cell_results
from windtunnel.store.run_reader import RunReader, is_results, is_run


def nearest_good(run: Path) -> Path | None:
    """The run that passed and is nearest to this one: of a cell, among its own results.

    Raises:
        ProtocolError, HostError: the results cannot be read.
    """
    results = run.absolute().parent.parent
    if not is_results(results):
        return last_passing(run)
    there = run.resolve()
    for one in cell_results(results):
        if one.run and (results / one.run).resolve() == there:
            return nearest_passing(results, one)
    return None


def last_passing(run: Path) -> Path | None:
    """The last run before this one, in the same folder of runs, that passed."""
    for other in sorted(_earlier(run), key=lambda other: int(other.name), reverse=True):
        if is_run(other) and not is_results(other) and _has_passed(other):
            return other
    return None


def _has_passed(run: Path) -> bool:
    # A run that cannot be read is not the one that is looked for.
    with suppress(ProtocolError, HostError):
        return RunReader(run).state == "passed"
    return False


def nearest_passing(results: Path, failed: CellResult) -> Path | None:
    """The run of a cell that passed and has the fewest parameters otherwise.

    Of several as near, the one whose place in the lab is nearest, and of those the first.
    """
    found: tuple[tuple[int, int, int], Path] | None = None
    for one in cell_results(results):
        if one.passed and one.run and one.cell != failed.cell and (results / one.run).is_dir():
            keys = {*one.params, *failed.params}
            other = sum(one.params.get(key) != failed.params.get(key) for key in keys)
            nearness = (other, abs(one.index - failed.index), one.index)
            if found is None or nearness < found[0]:
                found = (nearness, results / one.run)
    return None if found is None else found[1]


def _earlier(run: Path) -> list[Path]:
    """Runs with lower numbers in the folder of the same lab."""
    if not run.name.isdecimal():
        return []
    return [
        other
        for other in run.parent.iterdir()
        if other.name.isdecimal() and int(other.name) < int(run.name) and not other.is_symlink()
    ]
