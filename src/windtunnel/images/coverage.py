# SPDX-License-Identifier: Apache-2.0
"""What is kept of the build of a kernel that counts lines, and reading its counts.

The compiler leaves a .gcno beside each object: which lines its counters stand for. It is
kept in `coverage/notes` of the kernel's folder, the sources in `coverage/source`, and
where both were in `coverage/build.json`. A run leaves a .gcda for each object, its
counters. The one program that reads both of any gcc is that gcc's own gcov.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from windtunnel.errors import HostError, UsageError
from windtunnel.images.kernels import Kernel
from windtunnel.images.variant import Variant
from windtunnel.model.coverage import FileCoverage
from windtunnel.wire.gcov import parse_gcov

FOLDER = "coverage"
"""Beside the program of a kernel that counts lines."""

NOTES_SUFFIX = ".gcno"
COUNTS_SUFFIX = ".gcda"

_NOTES = "notes"
_SOURCE = "source"
_BUILD = "build.json"
# of notes without counts, and of a file that has data and no code
_HARMLESS = re.compile(r"assuming not executed|:no functions found$")
_MAJOR = re.compile(r"(\d+)\.\d+\.\d+$")


@dataclass(frozen=True, slots=True)
class CoverageNotes:
    """What is needed to read the counts of one kernel. Made by `coverage_notes`.

    Attributes:
        kernel: whose notes they are.
        objects: the folder in which it was compiled, as it is in the kernel's own names.
        tree: the folder of the source from which it was compiled.
        names: of the objects that count, from the top of `objects`, without suffix.
    """

    kernel: Kernel
    objects: str
    tree: str
    names: frozenset[str]

    @property
    def folder(self) -> Path:
        """The folder with the notes."""
        return self.kernel.path.parent / FOLDER / _NOTES

    @property
    def source(self) -> Path:
        """The folder with the source files that have code in a covered object."""
        return self.kernel.path.parent / FOLDER / _SOURCE

    def source_text(self, path: str) -> str:
        """Read a source file; empty when it was not kept."""
        file = self.source / path
        return file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""

    def name_of(self, guest_path: str) -> str | None:
        """Turn the path of counts below the kernel's gcov folder into an object's name.

        Returns:
            None for what is no counts of an object that was asked for.
        """
        path = "/" + guest_path.removeprefix("./").lstrip("/")
        inside = path.removeprefix(f"{self.objects}/").removesuffix(COUNTS_SUFFIX)
        return inside if inside in self.names else None


def coverage_notes(kernel: Kernel) -> CoverageNotes:
    """Find what is needed to read the counts of a kernel.

    Raises:
        UsageError: it is no kernel that counts lines.
        HostError: its files are not there, or damaged.
    """
    if not kernel.variant.coverage:
        raise UsageError(
            f"the kernel {kernel.name} does not count which of its lines run",
            hint="windtunnel run LAB --coverage net/ipv4",
        )
    folder = kernel.path.parent / FOLDER
    try:
        said = json.loads((folder / _BUILD).read_text())
        objects, tree = str(said["objects"]), str(said["tree"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise HostError(
            f"{folder / _BUILD} cannot be read: {error}",
            hint=f"remove {kernel.path.parent} and build the kernel again: "
            f"windtunnel kernel build {kernel.variant.describe()}",
        ) from error
    return CoverageNotes(kernel, objects, tree, frozenset(_names(folder / _NOTES)))


def keep_coverage(variant: Variant, tree: Path, objects: Path, work: Path) -> None:
    """Keep notes and sources of a kernel that has just been compiled.

    Args:
        variant: with what is covered.
        tree: the patched source.
        objects: where it was compiled.
        work: the folder of the kernel that is being made.

    Raises:
        UsageError: nothing of what is to be covered is compiled into it.
    """
    folder = work / FOLDER
    names = [name for name in _names(objects) if variant.covers(f"{name}.c")]
    for path in variant.coverage:
        if not any(Variant((path,)).covers(f"{name}.c") for name in names):
            raise UsageError(
                f"--coverage {path}: nothing of it is compiled into this kernel",
                hint="the option that it belongs to is off (its Makefile names it): "
                "windtunnel kernel build --coverage … --with OPTION=y",
            )
    for name in names:
        _copy(objects / f"{name}{NOTES_SUFFIX}", folder / _NOTES / f"{name}{NOTES_SUFFIX}")
    (folder / _BUILD).write_text(json.dumps({"objects": str(objects), "tree": str(tree)}) + "\n")
    for file in {one.path for one in _gcov(folder / _NOTES, names, NOTES_SUFFIX)}:
        for top in (tree, objects):
            if Path(file).is_relative_to(top):
                _copy(Path(file), folder / _SOURCE / Path(file).relative_to(top))


def read_counts(notes: CoverageNotes, counts: Path) -> Iterator[FileCoverage]:
    """Read the counts that a run has left of one kernel.

    Args:
        notes: of exactly that kernel.
        counts: the folder with the .gcda files.

    Yields:
        The files of each object, with paths from the top of the source.

    Raises:
        HostError: gcov is missing, is another compiler's, or does not take the files for
            those of this kernel.
    """
    names = [name for name in sorted(notes.names) if _is_file(counts / f"{name}{COUNTS_SUFFIX}")]
    with tempfile.TemporaryDirectory(prefix="windtunnel-") as place:
        for name in names:
            _copy(counts / f"{name}{COUNTS_SUFFIX}", Path(place) / f"{name}{COUNTS_SUFFIX}")
            note = Path(place) / f"{name}{NOTES_SUFFIX}"
            note.symlink_to(notes.folder / f"{name}{NOTES_SUFFIX}")
        for file in _gcov(Path(place), names, COUNTS_SUFFIX, notes.kernel.compiler):
            yield replace(file, path=_inside(file.path, notes))


def _inside(path: str, notes: CoverageNotes) -> str:
    for top in (notes.tree, notes.objects):
        if path.startswith(f"{top}/"):
            return path.removeprefix(f"{top}/")
    return path


def _gcov(
    folder: Path, names: list[str], suffix: str, compiler: str = ""
) -> Iterator[FileCoverage]:
    """What gcov says of some objects whose notes are in a folder."""
    if not names:
        return
    command = [gcov_program(compiler), "--json-format", "--stdout"]
    done = subprocess.run(
        [*command, *(f"{name}{suffix}" for name in names)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C"},
    )
    # Where it finds fault with a file it goes on, as if nothing in it had run.
    faults = [line for line in done.stderr.splitlines() if not _HARMLESS.search(line)]
    if done.returncode != 0 or faults:
        raise HostError(
            f"gcov cannot read the counts in {folder}: {(faults or ['it failed'])[0]}",
            hint="they must be of exactly this kernel, and gcov of the gcc that compiled it",
        )
    yield from parse_gcov(done.stdout)


def gcov_program(compiler: str = "") -> str:
    """Find the gcov that reads what a compiler has left.

    Args:
        compiler: its own words, "gcc (Debian 12.2.0-14+deb12u1) 12.2.0"; empty for the
            one that compiles here.

    Raises:
        HostError: it is not installed.
    """
    version = _MAJOR.search(compiler)
    found = shutil.which(f"gcov-{version[1]}") if version else None
    found = found or shutil.which("gcov")
    if found is None:
        raise HostError(
            "gcov is missing, which reads the counts", hint="sudo apt-get install -y gcc"
        )
    return found


def _names(folder: Path) -> list[str]:
    """The objects with notes below a folder, from its top, without suffix."""
    found = folder.rglob(f"*{NOTES_SUFFIX}")
    return sorted(str(path.relative_to(folder)).removesuffix(NOTES_SUFFIX) for path in found)


def _is_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
