# SPDX-License-Identifier: Apache-2.0
"""What kernels and programs of a run printed, as much of it as a page can hold."""

from __future__ import annotations

from typing import Any

from windtunnel.errors import HostError, WindtunnelError
from windtunnel.logs.reading import KernelLog
from windtunnel.report.run.record import RunRecord
from windtunnel.report.text import shown, shown_name
from windtunnel.store.kernel_log import Console, kernel_logs
from windtunnel.store.layout import host_errors
from windtunnel.store.run_reader import OutputFile, RunReader
from windtunnel.store.tables.rows import crash_rows, log_rows

LINES_MAX = 4_000
"""Of all kernels' logs: the first of them and the last."""

LINE_CHARACTERS_MAX = 400
EXTRACT_CHARACTERS_MAX = 8_000

OUTPUT_BYTES_MAX = 32_000
"""Of one stream of one process: its beginning and its end."""

OUTPUTS_BYTES_MAX = 1_500_000
"""Of all processes together."""

_FIRST_LINES = LINES_MAX // 4


Logs = tuple[tuple[Console, KernelLog], ...]


def logs_of(record: RunRecord) -> Logs:
    """Read the logs of the run's kernels, as far as they can be read."""
    found = []
    try:
        for one in kernel_logs(record.path):
            found.append(one)  # noqa: PERF402 - what was read before an error is kept
    except (WindtunnelError, OSError) as error:
        record.warnings.append(f"the kernels' log cannot be read: {type(error).__name__}")
    return tuple(found)


def kernel_lines(logs: Logs, zero_ns: int) -> tuple[list[list[Any]], int]:
    """Give the lines of the run's kernels, and how many were left out in the middle.

    A line is `[time_ns, kernel, level, owner, confidence, text, lost]`, with None where
    something is not told.
    """
    first: list[list[Any]] = []
    last: list[list[Any]] = []
    count = 0
    for row in log_rows(logs, zero_ns):
        count += 1
        (first if count <= _FIRST_LINES else last).append(_line(row))
        if len(last) > 2 * (LINES_MAX - _FIRST_LINES):
            del last[: len(last) // 2]
    last = last[-(LINES_MAX - _FIRST_LINES) :]
    return [*first, *last], count - len(first) - len(last)


def _line(row: dict[str, Any]) -> list[Any]:
    owner = f"{row['owner'] or ''} {row['owner_name'] or ''}".strip()
    return [
        row["time_ns"],
        shown_name(row["kernel"]),
        row["level"],
        shown_name(owner),
        row["confidence"],
        shown(row["text"], characters_max=LINE_CHARACTERS_MAX),
        row["lost"],
    ]


def crashes_of(logs: Logs, zero_ns: int) -> list[dict[str, Any]]:
    """Give the crash reports of the run's kernels, the first first."""
    return [
        {
            "title": shown_name(row["title"]),
            "kernel": shown_name(row["kernel"]),
            "time_ns": row["time_ns"],
            "owner": shown_name(f"{row['owner'] or ''} {row['owner_name'] or ''}".strip()),
            "panicked": row["panicked"],
            "extract": shown(row["extract"], characters_max=EXTRACT_CHARACTERS_MAX),
        }
        for row in crash_rows(logs, zero_ns)
    ]


def outputs_of(record: RunRecord) -> list[dict[str, Any]]:
    """Give what each process printed, by node and name."""
    files = list(RunReader(record.path).outputs())
    share = max(min(OUTPUT_BYTES_MAX, OUTPUTS_BYTES_MAX // max(len(files), 1)), 200)
    order = {node: at for at, node in enumerate(record.nodes)}
    files.sort(key=lambda one: (order.get(one.node, len(order)), *_try(one.process), one.stderr))
    return [_output(record, file, share) for file in files]


# The tenth try of a step comes after the ninth.
def _try(process: str) -> tuple[str, int]:
    base, _, number = process.rpartition(".")
    return (base, int(number)) if base and number.isdecimal() else (process, 0)


def _output(record: RunRecord, file: OutputFile, bytes_max: int) -> dict[str, Any]:
    try:
        with host_errors(record.path, f"read {file.path.name}", hint=""):
            text, left = _front_and_back(file, bytes_max)
    except HostError:
        record.warnings.append(f"the output of {file.process} on {file.node} cannot be read")
        text, left = "", 0
    return {
        "node": shown_name(file.node),
        "process": shown_name(file.process),
        "stderr": file.stderr,
        "text": shown(text, characters_max=bytes_max + 200),
        "left": left,
    }


def _front_and_back(file: OutputFile, bytes_max: int) -> tuple[str, int]:
    size = file.path.stat().st_size
    with file.path.open("rb") as data:
        if size <= bytes_max:
            return data.read().decode("utf-8", "replace"), 0
        half = bytes_max // 2
        front = data.read(half)
        data.seek(size - half)
        back = data.read(half)
    left = size - 2 * half
    middle = f"\n[… {left} bytes left out …]\n"
    return front.decode("utf-8", "replace") + middle + back.decode("utf-8", "replace"), left
