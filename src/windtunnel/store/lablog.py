# SPDX-License-Identifier: Apache-2.0
"""What kernels logged while a lab ran: the part of their consoles that two equal runs share.

Before lab time zero a kernel prints what it found on the host, and after the lab's end
how it was ended. Addresses of the kernel's memory are left out of what is compared.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from windtunnel.store.kernel_log import Console, consoles, lab_zero_ns
from windtunnel.store.layout import host_errors
from windtunnel.store.run_reader import RunReader

_STAMP = re.compile(rb"(?:<\d+>)?\[ *(\d+)\.(\d{6})\]")
_ADDRESS = re.compile(r"\b(?:0x)?[0-9a-f]{12,16}\b")
_NS_PER_MICRO = 1_000
_MICROS_PER_SECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class LabTime:
    """When a lab ran, by the clock of its kernels.

    Attributes:
        zero_ns: the kernel's time at lab time zero.
        end_ns: lab time of its end; None when it has none.
    """

    zero_ns: int
    end_ns: int | None

    def of(self, micros: int) -> int:
        """Lab time, in nanoseconds, of a kernel's time in microseconds."""
        return micros * _NS_PER_MICRO - self.zero_ns

    def is_over(self, time_ns: int) -> bool:
        """Whether the lab had ended then."""
        return self.end_ns is not None and time_ns >= self.end_ns


def lab_time(run: Path) -> LabTime:
    """Read when a run's lab ran."""
    end_ns = RunReader(run).manifest.get("end_ns")
    return LabTime(lab_zero_ns(run), end_ns if isinstance(end_ns, int) else None)


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a console.

    Attributes:
        file: name of the console's file.
        number: of the line in it, from 1.
        time_ns: lab time.
        text: without its end; addresses are "ADDRESS".
    """

    file: str
    number: int
    time_ns: int
    text: str


def lab_log(run: Path) -> Iterator[LogLine]:
    """Give what the kernels of a run logged from lab time zero to the lab's end.

    Raises:
        HostError: a console cannot be read.
    """
    time = lab_time(run)
    for console in consoles(run):
        yield from _lines(run, console, time)


def _lines(run: Path, console: Console, time: LabTime) -> Iterator[LogLine]:
    """The lines of one console; one without a time belongs to the line before it."""
    time_ns = -1
    path = console.path
    with host_errors(run, f"read {path.name}", hint=""), path.open("rb") as file:
        for number, line in enumerate(file, 1):
            stamp = _STAMP.match(line)
            if stamp:
                time_ns = time.of(int(stamp[1]) * _MICROS_PER_SECOND + int(stamp[2]))
            if time_ns < 0 or not line.endswith(b"\n"):
                continue
            if time.is_over(time_ns):
                return
            text = without_addresses(line.decode("utf-8", "backslashreplace"))
            yield LogLine(path.name, number, time_ns, text.rstrip("\r\n"))


def without_addresses(text: str) -> str:
    """Write "ADDRESS" for each address of a kernel's memory in what it logged."""
    return _ADDRESS.sub("ADDRESS", text)


def first_log_difference(a: Path, b: Path) -> tuple[LogLine | None, LogLine | None] | None:
    """Find the first line that only one of two runs logged.

    Returns:
        The line of each; None where a log has ended. None when they are equal.

    Raises:
        HostError: a console cannot be read.
    """
    logs = lab_log(a), lab_log(b)
    while True:
        left, right = next(logs[0], None), next(logs[1], None)
        if left is None and right is None:
            return None
        if left is None or right is None or _said(left) != _said(right):
            return left, right


def _said(line: LogLine) -> tuple[str, int, str]:
    return line.file, line.time_ns, line.text
