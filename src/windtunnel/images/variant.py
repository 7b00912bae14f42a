# SPDX-License-Identifier: Apache-2.0
"""Special kernels: one that counts which of its lines run, ones that look for bugs.

A variant is the ordinary recipe and something more: the settings and patches in
`kernel/variants/<name>`. What an ordinary kernel is made from, and so its key, does not
change by it. Which files a coverage kernel counts in is said to make, not to Kconfig, so
that all coverage kernels of a source are made of the same objects but for these files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath

from windtunnel.errors import UsageError

COVERAGE = "coverage"
"""The folder of the settings and patches of kernels that count lines."""

NEAR_MAX = 3
"""So many paths are offered for one that does not exist."""


class Sanitizer(StrEnum):
    """A search for bugs that is compiled into a kernel; the value is its folder's name."""

    KASAN = "kasan"
    LOCKDEP = "lockdep"
    KMEMLEAK = "kmemleak"
    UBSAN = "ubsan"


@dataclass(frozen=True, slots=True)
class Variant:
    """In what a kernel is special. Made by `parse_variant`.

    Attributes:
        coverage: folders and .c files of the source whose lines it counts, such as
            "net/ipv4"; sorted, none below another.
        sanitizers: what it looks for, sorted, each once.
    """

    coverage: tuple[str, ...] = ()
    sanitizers: tuple[Sanitizer, ...] = ()

    @property
    def folders(self) -> tuple[str, ...]:
        """Where its settings and patches are, below kernel/variants."""
        return ((COVERAGE,) if self.coverage else ()) + tuple(self.sanitizers)

    def make_words(self) -> list[str]:
        """What make has to be told; see kernel/variants/coverage/0002-….patch."""
        patterns = (
            path.removesuffix(".c") + (".o" if path.endswith(".c") else "/%")
            for path in self.coverage
        )
        return [f"GCOV_OBJECTS={' '.join(patterns)}"] if self.coverage else []

    def describe(self) -> str:
        """Say it as the options that ask for it; empty for an ordinary kernel."""
        words = [f"--coverage {path}" for path in self.coverage]
        return " ".join(words + [f"--sanitize {name}" for name in self.sanitizers])

    def covers(self, path: str) -> bool:
        """Say whether a file of the source is one that was asked for."""
        return any(path == one or path.startswith(f"{one}/") for one in self.coverage)


ORDINARY = Variant()


def parse_variant(coverage: Iterable[str] = (), sanitizers: Iterable[str] = ()) -> Variant:
    """Read what a user asks for.

    Args:
        coverage: folders and .c files of a kernel source, relative to its top.
        sanitizers: names of Sanitizer.

    Raises:
        UsageError: there is no such sanitizer, a path cannot be one of a source's
            code, or no kernel can do all of it at once.
    """
    known = [one.value for one in Sanitizer]
    wanted = set()
    for name in sanitizers:
        if name not in known:
            from windtunnel.model.nearmiss import hint_for  # noqa: PLC0415 - only for an error

            raise UsageError(
                f"--sanitize {name!r} is nothing that a kernel can look for",
                hint=hint_for(name, known, what="sanitizers"),
            )
        wanted.add(Sanitizer(name))
    paths = {_source_path(path) for path in coverage}
    covered = tuple(sorted(path for path in paths if not _below_another(path, paths)))
    if covered and wanted:
        raise UsageError(
            "--coverage and --sanitize together: the counters are set up before the kernel's "
            f"first line, where {', '.join(sorted(wanted))} cannot work yet",
            hint="run the lab once with each; the same seed gives the same run",
        )
    return Variant(covered, tuple(sorted(wanted)))


def check_paths(variant: Variant, tree: Path) -> None:
    """See that a source has all that is to be covered.

    Args:
        variant: with its paths.
        tree: the source.

    Raises:
        UsageError: a path is not there; names near ones.
    """
    for path in variant.coverage:
        if not (tree / path).exists():
            near = near_paths(path, _sources(tree))
            raise UsageError(
                f"--coverage {path}: the kernel's source has no such folder or file",
                hint=f"did you mean {' or '.join(near)}?"
                if near
                else 'give it from the top of the source: "net/ipv4", "kernel/time/hrtimer.c"',
            )


def near_paths(path: str, choices: Sequence[str]) -> list[str]:
    """Find the paths that may have been meant, the nearest first.

    Those with the same last part come before those that are merely written alike.
    """
    import difflib  # noqa: PLC0415 - only for an error

    def unlike(one: str) -> float:
        return -difflib.SequenceMatcher(None, path, one).ratio()

    name = PurePosixPath(path).name
    same = [one for one in choices if PurePosixPath(one).name in (name, f"{name}.c")]
    if same:
        return sorted(same, key=lambda one: (unlike(one), one))[:NEAR_MAX]
    # To compare with all 40,000 takes seconds: only names that begin alike are asked.
    some = [one for one in choices if PurePosixPath(one).name[:2] == name[:2]]
    return difflib.get_close_matches(path, some, n=NEAR_MAX, cutoff=0.7)


def _sources(tree: Path) -> list[str]:
    return sorted(_walk(tree, tree))


def _walk(folder: Path, tree: Path) -> Iterator[str]:
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink() and not entry.name.startswith("."):
            yield str(entry.relative_to(tree))
            yield from _walk(entry, tree)
        elif entry.suffix == ".c":
            yield str(entry.relative_to(tree))


def _source_path(text: str) -> str:
    path = PurePosixPath(text)
    # make splits at blanks, and "%" is its sign for anything
    if not text.strip() or path.is_absolute() or ".." in path.parts or set(text) & set(" \t%$#:"):
        raise UsageError(
            f"--coverage {text!r} is no path in a kernel's source",
            hint='give it from the top of the source: "net/ipv4", "kernel/time/hrtimer.c"',
        )
    if str(path) == ".":
        raise UsageError(
            "--coverage of the whole kernel: it counts in code that runs before it can count",
            hint='name folders, such as "net" and "kernel/time"',
        )
    if path.suffix and path.suffix != ".c":
        raise UsageError(
            f"--coverage {text}: only C files (.c) and folders are counted in",
            hint="lines of headers are counted where a C file uses them "
            "(windtunnel coverage --headers)",
        )
    return str(path)


def _below_another(path: str, paths: set[str]) -> bool:
    return any(str(parent) in paths for parent in PurePosixPath(path).parents)
