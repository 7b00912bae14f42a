# SPDX-License-Identifier: Apache-2.0
"""What processes printed, what kernels logged, and other files of two runs, side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from windtunnel.logs.printk import Line
from windtunnel.logs.reading import read_log
from windtunnel.store import contents, layout
from windtunnel.store.kernel_log import consoles, lab_zero_ns, owners_of
from windtunnel.store.layout import host_errors
from windtunnel.store.run_reader import RunReader

LINES_SHOWN_MAX = 10
"""So many lines of a log that one run has and the other has not are kept; more are counted."""

_OF_OTHERS = (f"{layout.NODES}/", "console-", "lab-source")
_TEXT_CHARACTERS = 200
_PIECE_BYTES = 1 << 20
_NOT_COMPARED = frozenset(
    {layout.EVENTS, layout.MANIFEST, layout.PROCESSES, layout.LAB, layout.CONSOLE, layout.GRANTS}
)


@dataclass(frozen=True, slots=True)
class OutputDifference:
    """The first line in which a process printed something else.

    Attributes:
        node, process, stream: whose output.
        line: from 1.
        a, b: the line in either run; None where it has ended, or never began.
    """

    node: str
    process: str
    stream: str
    line: int
    a: str | None
    b: str | None


@dataclass(frozen=True, slots=True)
class LogDifference:
    """What one kernel logged in one run and not in the other; times are not compared.

    Attributes:
        kernel: the node whose own kernel it is; empty for the shared one.
        only_a, only_b: the first such lines, with their owners.
        count_a, count_b: how many there are.
    """

    kernel: str
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    count_a: int
    count_b: int


def compare_outputs(a: Path, b: Path, node: str = "") -> list[OutputDifference]:
    """Compare what processes printed, by node and process.

    Args:
        a: folder of a run.
        b: folder of the other.
        node: only this one; empty for all.

    Raises:
        HostError: a file cannot be read.
    """
    files: dict[tuple[str, str, bool], list[Path | None]] = {}
    for side, run in enumerate((a, b)):
        for one in RunReader(run).outputs():
            pair = files.setdefault((one.node, one.process, one.stderr), [None, None])
            pair[side] = one.path
    found = []
    for (where, process, stderr), (left, right) in sorted(files.items()):
        if node and where != node:
            continue
        for number, (first, second) in enumerate(zip_longest(_read(left), _read(right)), 1):
            if first != second:
                stream = "stderr" if stderr else "stdout"
                found.append(
                    OutputDifference(where, process, stream, number, _text(first), _text(second))
                )
                break
    return found


def compare_logs(a: Path, b: Path, kernel: str = "") -> list[LogDifference]:
    """Compare what kernels logged, line by line, whatever the order and the times.

    Args:
        a: folder of a run.
        b: folder of the other.
        kernel: only that of this node; empty for all.

    Raises:
        HostError: a file cannot be read.
    """
    logs = [{console.node: console.path for console in consoles(run)} for run in (a, b)]
    found = []
    for name in sorted({*logs[0], *logs[1]}):
        if kernel and name != kernel:
            continue
        lines = [_log_lines(run, log.get(name)) for run, log in zip((a, b), logs, strict=True)]
        counts = [Counter(one) for one in lines]
        only = [
            _more(lines[0], counts[0] - counts[1]),
            _more(lines[1], counts[1] - counts[0]),
        ]
        if only[0] or only[1]:
            found.append(
                LogDifference(
                    name,
                    tuple(only[0][:LINES_SHOWN_MAX]),
                    tuple(only[1][:LINES_SHOWN_MAX]),
                    len(only[0]),
                    len(only[1]),
                )
            )
    return found


def compare_other_files(a: Path, b: Path) -> list[tuple[str, int | None]]:
    """Compare captures and whatever else the runs left.

    Returns:
        For each that differs its name and the first byte that does; None for a file that
        one of them has not.

    Raises:
        HostError: a file cannot be read.
    """
    names = sorted({*_others(a), *_others(b)})
    found: list[tuple[str, int | None]] = []
    for name in names:
        left, right = a / name, b / name
        if not (left.is_file() and right.is_file()):
            found.append((name, None))
            continue
        with host_errors(a, f"compare {name} with {b}", hint=""):
            place = contents.first_difference(left, right)
        if place is not None:
            found.append((name, place.offset_bytes))
    return found


def _others(run: Path) -> Iterator[str]:
    for file in run.rglob("*"):
        name = file.relative_to(run).as_posix()
        hidden = any(part.startswith(".") for part in Path(name).parts)
        is_known = name in _NOT_COMPARED or name.startswith(_OF_OTHERS)
        if file.is_file() and not file.is_symlink() and not hidden and not is_known:
            yield name


def _read(path: Path | None) -> Iterator[bytes]:
    if path is not None:
        with host_errors(path.parent, f"read {path.name}", hint=""), path.open("rb") as file:
            yield from file


def _text(line: bytes | None) -> str | None:
    if line is None:
        return None
    text = line.decode("utf-8", "replace").rstrip("\r\n")
    return text if len(text) <= _TEXT_CHARACTERS else f"{text[: _TEXT_CHARACTERS - 1]}…"


def _log_lines(run: Path, path: Path | None) -> list[str]:
    """What a kernel logged: owner and text, without times, which every delay changes."""
    if path is None:
        return []
    console = next(one for one in consoles(run) if one.path == path)
    owners = owners_of(run, console, lab_zero_ns=lab_zero_ns(run))
    with host_errors(run, f"read {path.name}", hint=""), path.open("rb") as file:
        log = read_log(iter(lambda: file.read(_PIECE_BYTES), b""), owners)
    return [entry.text for entry in log.entries if isinstance(entry, Line)]


def _more(lines: Iterable[str], wanted: Counter[str]) -> list[str]:
    """Lines of which one run has more, in their order."""
    left = Counter(wanted)
    found = []
    for line in lines:
        if left[line] > 0:
            left[line] -= 1
            found.append(line)
    return found
