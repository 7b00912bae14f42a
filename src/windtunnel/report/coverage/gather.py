# SPDX-License-Identifier: Apache-2.0
"""Reads what runs have counted, and adds it up: over kernels of a run, over cells.

Counts can be added only where they are of the same text; so two kernels may differ in what
they count, but not in the source files that both have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from windtunnel.errors import HostError, UsageError
from windtunnel.images.coverage import COUNTS_SUFFIX, CoverageNotes, coverage_notes, read_counts
from windtunnel.images.kernels import find_kernel
from windtunnel.model.coverage import FileCoverage, add_up
from windtunnel.model.result import last_results
from windtunnel.store import layout
from windtunnel.store.results import cell_results, read_header
from windtunnel.store.run_reader import RunReader, is_results


@dataclass(frozen=True, slots=True)
class Gathered:
    """What one run, or the cells of a lab, have counted together.

    Attributes:
        lab: its name.
        files: with code in what was asked to be covered, and headers that it uses.
        notes: of the kernels that counted, each once.
        runs: how many runs counted.
        without: runs that have no counts, and why.
    """

    lab: str
    files: tuple[FileCoverage, ...]
    notes: tuple[CoverageNotes, ...]
    runs: int
    without: tuple[str, ...]

    @property
    def asked(self) -> tuple[str, ...]:
        """The folders and files that were to be covered."""
        return tuple(sorted({path for one in self.notes for path in one.kernel.variant.coverage}))

    def covered_files(self) -> tuple[FileCoverage, ...]:
        """The files that were asked for, without headers that stand elsewhere."""
        return tuple(
            file
            for file in self.files
            if any(one.kernel.variant.covers(file.path) for one in self.notes)
        )

    def source_text(self, path: str) -> str:
        """Read a source file; empty where no kernel has kept it."""
        texts = (one.source_text(path) for one in self.notes)
        return next((text for text in texts if text), "")


def gather(path: Path, *, progress: Callable[[int, int], None] = lambda _at, _of: None) -> Gathered:
    """Read and add up.

    Args:
        path: the folder of a run, or of the results of cells.
        progress: called with how many runs have been read, and of how many.

    Raises:
        UsageError: nothing was counted there, or by kernels of different sources.
        HostError: a kernel is not here any more, or gcov cannot read the counts.
        ProtocolError: the folder is damaged.
    """
    runs = _runs(path)
    notes: dict[str, CoverageNotes] = {}
    without: list[str] = []

    def read() -> Iterator[FileCoverage]:
        for at, (name, run) in enumerate(runs):
            progress(at, len(runs))
            counted = list(_counted(run))
            for key, digest, folder in counted:
                if key not in notes:
                    notes[key] = _notes_of(key, digest, name)
                yield from read_counts(notes[key], folder)
            if not counted:
                without.append(f"{name}: {_why_none(run)}" if name else _why_none(run))
        progress(len(runs), len(runs))

    # Each file is added as it is read: 100 runs are no more than two.
    files = add_up(read())
    if not notes:
        raise UsageError(
            f"{path} has no coverage" + (f": {without[0]}" if without else ""),
            hint="windtunnel run LAB --coverage net/ipv4",
        )
    _check_same(tuple(notes.values()))
    lab = read_header(path).get("lab") if is_results(path) else RunReader(path).manifest.get("lab")
    return Gathered(
        str(lab or ""),
        files,
        tuple(notes.values()),
        len(runs) - len(without),
        tuple(without),
    )


def _runs(path: Path) -> list[tuple[str, Path]]:
    """The runs of a folder, each with the name of its cell: of each cell its last try."""
    if not is_results(path):
        RunReader(path)
        return [("", path)]
    last = last_results(cell_results(path))
    return [(one.cell, path / one.run) for one in last if one.run]


def _counted(run: Path) -> Iterator[tuple[str, str, Path]]:
    """Of each kernel of a run that counted its key, its digest, and the folder of its counts."""
    manifest = RunReader(run).manifest
    named: dict[str, Any] = {"": manifest.get("kernel"), **(manifest.get("node_kernels") or {})}
    for node, said in named.items():
        folder = run / layout.coverage_folder(node)
        if folder.is_symlink() or not any(folder.rglob(f"*{COUNTS_SUFFIX}")):
            continue
        kernel = said if isinstance(said, dict) else {}
        yield str(kernel.get("key", "")), str(kernel.get("sha256", "")), folder


def _notes_of(key: str, digest: str, name: str) -> CoverageNotes:
    kernel = find_kernel(key) if key else None
    if kernel is None or kernel.sha256 != digest:
        what = "is not on this machine" if kernel is None else "is another one on this machine"
        raise HostError(
            f"the kernel {key or 'without a key'}, with which {name or 'the run'} was made, "
            f"{what}, and its counts cannot be read without it",
            hint="read them where it is, or run the lab again with --coverage",
        )
    return coverage_notes(kernel)


def _why_none(run: Path) -> str:
    reader = RunReader(run)
    state = reader.state
    if state in ("passed", "failed"):
        return "its kernel did not count lines"
    return f"it ended before its counts were read (state {state})"


def _check_same(notes: tuple[CoverageNotes, ...]) -> None:
    if len(notes) == 1:
        return
    first: dict[str, tuple[CoverageNotes, str]] = {}
    for one in notes:
        for file in sorted(one.source.rglob("*")):
            if not file.is_file():
                continue
            path = str(file.relative_to(one.source))
            text = one.source_text(path)
            other, before = first.setdefault(path, (one, text))
            if before != text:
                raise UsageError(
                    f"the kernels {other.kernel.name} and {one.kernel.name} have different "
                    f"{path}, so that their counts cannot be added up",
                    hint="report each run by itself, or run all cells with one kernel",
                )
