# SPDX-License-Identifier: Apache-2.0
"""Which lines of a program ran, and how often: plain data, and how it is added up.

Only lines that have code are in it. A line of a header has code in each file that uses
it; its count is the sum over these.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class FileCoverage:
    """The counts of one source file.

    Attributes:
        path: from the top of the source, such as "net/ipv4/tcp_input.c".
        lines: how often each line with code ran, by its number from 1, sorted.
        functions: how often each function was called, by its first line and its name,
            sorted.
    """

    path: str
    lines: Mapping[int, int]
    functions: Mapping[tuple[int, str], int]

    @property
    def lines_hit(self) -> int:
        """How many lines ran."""
        return sum(count > 0 for count in self.lines.values())

    @property
    def functions_hit(self) -> int:
        """How many functions were called."""
        return sum(count > 0 for count in self.functions.values())


@dataclass(slots=True)
class _Sum:
    lines: Counter[int] = field(default_factory=Counter)
    functions: Counter[tuple[int, str]] = field(default_factory=Counter)


def add_up(files: Iterable[FileCoverage]) -> tuple[FileCoverage, ...]:
    """Add up counts of the same files, of one run or of many.

    Args:
        files: in any order; the result does not depend on it.

    Returns:
        Each file once, sorted by its path.
    """
    sums: dict[str, _Sum] = {}
    for file in files:
        total = sums.setdefault(file.path, _Sum())
        total.lines.update(file.lines)
        total.functions.update(file.functions)
    return tuple(
        FileCoverage(path, dict(sorted(one.lines.items())), dict(sorted(one.functions.items())))
        for path, one in sorted(sums.items())
    )


def lines_of(files: Iterable[FileCoverage]) -> tuple[int, int]:
    """How many lines of files ran, and how many there are."""
    shares = [(one.lines_hit, len(one.lines)) for one in files]
    return sum(hit for hit, _ in shares), sum(found for _, found in shares)


def functions_of(files: Iterable[FileCoverage]) -> tuple[int, int]:
    """How many functions of files were called, and how many there are."""
    shares = [(one.functions_hit, len(one.functions)) for one in files]
    return sum(hit for hit, _ in shares), sum(found for _, found in shares)


def percent(hit: int, found: int) -> str:
    """Write a share as "12.3 %", rounded down, so that only all is 100 %; "-" of nothing."""
    tenths = hit * 1000 // found if found else 0
    return f"{tenths // 10}.{tenths % 10} %" if found else "-"
