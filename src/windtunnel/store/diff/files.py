# SPDX-License-Identifier: Apache-2.0
"""What processes printed, what kernels logged, and other files of two runs, side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from windtunnel.logs.printk import Line
from windtunnel.logs.reading import read_log
from windtunnel.model.shorten import shortened
from windtunnel.store import contents, layout
from windtunnel.store.contents import Place
from windtunnel.store.kernel_log import before_our_end, consoles
from windtunnel.store.lablog import lab_time, without_addresses
from windtunnel.store.layout import host_errors
from windtunnel.store.run_reader import RunReader

LINES_SHOWN_MAX = 10
"""So many lines of a log that one run has and the other has not are kept; more are counted."""

_OF_OTHERS = (f"{layout.NODES}/", "console-", "lab-source")
_TEXT_CHARACTERS = 200
_PIECE_BYTES = 1 << 20
_NEAR_BYTES = 200
_LINES_OF_EVENTS = ".jsonl"
_NOT_COMPARED = frozenset(
    {
        *(layout.EVENTS, layout.MANIFEST, layout.PROCESSES, layout.LAB, layout.CONSOLE),
        *(layout.GRANTS, layout.REPORT),
    }
)


@dataclass(frozen=True, slots=True)
class OutputDifference:
    """The first line in which a process printed something else.

    Attributes:
        node, process, stream: whose output.
        line: from 1.
        a, b: what of the line is near the first byte that differs, in either run; None
            where it has ended, or never began.
    """

    node: str
    process: str
    stream: str
    line: int
    a: str | None
    b: str | None


@dataclass(frozen=True, slots=True)
class LogDifference:
    """What one kernel logged in one run and not in the other, while the lab ran.

    Times are not compared, since every delay changes them, nor addresses of memory.

    Attributes:
        kernel: the node whose own kernel it is; empty for the shared one.
        only_a, only_b: the first such lines.
        count_a, count_b: how many there are.
    """

    kernel: str
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    count_a: int
    count_b: int


@dataclass(frozen=True, slots=True)
class FileDifference:
    """Where another file of two runs differs.

    Attributes:
        name: relative to the run's folder.
        offset_bytes: the first byte that differs; None when one of them has no such file.
        line: of a trace, from 1; None for other files.
        a, b: of a trace, what of the line is near that byte; None where it has ended.
    """

    name: str
    offset_bytes: int | None
    line: int | None
    a: str | None
    b: str | None


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
        place, first, second = _first_difference(left, right)
        if place is not None:
            stream = "stderr" if stderr else "stdout"
            found.append(OutputDifference(where, process, stream, place.line, first, second))
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


def compare_other_files(a: Path, b: Path) -> list[FileDifference]:
    """Compare captures, traces and whatever else the runs left.

    Raises:
        HostError: a file cannot be read.
    """
    names = sorted({*_others(a), *_others(b)})
    found = []
    for name in names:
        left, right = a / name, b / name
        if not (left.is_file() and right.is_file()):
            found.append(FileDifference(name, None, None, None, None))
            continue
        place, first, second = _first_difference(left, right)
        if place is None:
            continue
        if name.endswith(_LINES_OF_EVENTS):
            found.append(FileDifference(name, place.offset_bytes, place.line, first, second))
        else:
            found.append(FileDifference(name, place.offset_bytes, None, None, None))
    return found


def _others(run: Path) -> Iterator[str]:
    for file in run.rglob("*"):
        name = file.relative_to(run).as_posix()
        hidden = any(part.startswith(".") for part in Path(name).parts)
        is_known = name in _NOT_COMPARED or name.startswith(_OF_OTHERS)
        if file.is_file() and not file.is_symlink() and not hidden and not is_known:
            yield name


def _first_difference(
    a: Path | None, b: Path | None
) -> tuple[Place | None, str | None, str | None]:
    """Where two files part, and what of the line is there; a missing one is an empty one."""
    there = a or b
    assert there is not None, "one of them exists"
    with host_errors(there.parent, f"read {there.name}", hint=""):
        place = Place(0, 1, 0) if a is None or b is None else contents.first_difference(a, b)
        if place is None:
            return None, None, None
        near = [
            contents.line_near(path, place, radius_bytes=_NEAR_BYTES) if path else None
            for path in (a, b)
        ]
    return place, _text(near[0]), _text(near[1])


def _text(line: bytes | None) -> str | None:
    if not line:
        return None
    return shortened(line.decode("utf-8", "replace").rstrip("\r\n"), _TEXT_CHARACTERS)


def _log_lines(run: Path, path: Path | None) -> list[str]:
    """The texts of what a kernel logged from lab time zero to the lab's end.

    Before, it tells of the host, and behind that, how it was ended, also by our own end.
    """
    if path is None:
        return []
    time = lab_time(run)
    with host_errors(run, f"read {path.name}", hint=""), path.open("rb") as file:
        log = before_our_end(read_log(iter(lambda: file.read(_PIECE_BYTES), b"")))
    found = []
    for entry in log.entries:
        if isinstance(entry, Line) and entry.first_micros is not None:
            time_ns = time.of(entry.first_micros)
            if time_ns >= 0 and not time.is_over(time_ns):
                found.append(without_addresses(entry.text))
    return found


def _more(lines: Iterable[str], wanted: Counter[str]) -> list[str]:
    """Lines of which one run has more, in their order."""
    left = Counter(wanted)
    found = []
    for line in lines:
        if left[line] > 0:
            left[line] -= 1
            found.append(line)
    return found
