# SPDX-License-Identifier: Apache-2.0
"""`windtunnel logs`: a kernel's log from anywhere, put together again and explained."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from windtunnel.errors import UsageError
from windtunnel.ui import complete
from windtunnel.ui.options import RUNS, JsonOption, RunsOption, examples

if TYPE_CHECKING:
    from windtunnel.logs.printk import Confidence, Entry, Line
    from windtunnel.logs.reading import Found, KernelLog

EPILOG = examples(
    "windtunnel logs ospf-ring/latest",
    "windtunnel logs /var/log/kern.log.2.gz --reports",
    "journalctl -k -b -1 -o json | windtunnel logs -",
    "ssh server cat /dev/kmsg | windtunnel logs -",
)

_MICROS = 1_000_000


class Sureness(StrEnum):
    """The words of --min-confidence."""

    GUESS = "guess"
    LIKELY = "likely"
    SURE = "sure"


def logs(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE|RUN",
            help='A file, "-" for stdin, or a run: LAB, LAB/NUMBER, "latest", its folder.',
            autocompletion=complete.runs,
        ),
    ],
    *,
    reports: Annotated[
        bool, typer.Option("--reports", help="Only the crash reports, each with its own lines.")
    ] = False,
    min_confidence: Annotated[
        Sureness,
        typer.Option(
            metavar="HOW",
            help='Join pieces that are so surely one line: "guess", "likely" or "sure".',
        ),
    ] = Sureness.LIKELY,
    runs: RunsOption = RUNS,
    json: JsonOption = False,
) -> None:
    """Show a kernel's log: whole lines, their owners, and crashes.

    Takes what /dev/kmsg, dmesg, a serial console, netconsole, journalctl or the system log
    gave, of any machine, and unpacks gzip, xz, bzip2, zstd and lz4. Lines whose pieces are
    not surely one line are marked with ~, and with ? where it is a guess; what is lost is
    said where it is missing.
    """
    # Imported here, so that other commands do not wait for it.
    from windtunnel.logs.printk import Confidence  # noqa: PLC0415
    from windtunnel.ui import screen  # noqa: PLC0415

    join_from = Confidence[min_confidence.name]
    read = list(_read_all(source, runs, join_from))
    if json:
        screen.print_json([_to_json(name, log) for name, log in read])
        return
    out = screen.out()
    for name, log in read:
        if not name and (doubt := _doubt(log)):
            _warn(f"{source}: {doubt}")
        if name and len(read) > 1:
            out.print(f"== {name} ==", style="bold")
        if not reports:
            for entry in log.entries:
                for text in _entry_text(entry):
                    out.print(text)
        for text in _reports_text(log.reports, with_extract=reports):
            out.print(text)
        if reports and not log.reports:
            out.print("no crash report")


def _read_all(source: str, runs: Path, join_from: Confidence) -> Iterator[tuple[str, KernelLog]]:
    """Read a file, stdin, or each console of a run; the node is the name."""
    from windtunnel.logs.reading import read_log  # noqa: PLC0415
    from windtunnel.store.kernel_log import consoles, kernel_logs  # noqa: PLC0415
    from windtunnel.store.logfile import log_pieces, stream_pieces  # noqa: PLC0415

    if source == "-":
        yield "", read_log(stream_pieces(sys.stdin.buffer, "stdin", _warn), join_from=join_from)
    elif Path(source).exists() and not Path(source).is_dir():
        yield "", read_log(log_pieces(Path(source), _warn), join_from=join_from)
    else:
        run = _run_of(source, runs)
        if not consoles(run):
            raise UsageError(f"{run} has no console: no kernel was started in this run")
        for console, log in kernel_logs(run, join_from=join_from):
            yield console.node or "the shared kernel", log


def _run_of(source: str, runs: Path) -> Path:
    from windtunnel.store.run_reader import find_run  # noqa: PLC0415 - as above

    try:
        return find_run(source, runs)
    except UsageError as error:
        if Path(source).exists():
            raise
        raise UsageError(f"{error.message}, and no file of this name", hint=error.hint) from error


def _doubt(log: KernelLog) -> str:
    """What is to be said of a log that may be none; empty for all others."""
    from windtunnel.logs.printk import Line  # noqa: PLC0415 - as above

    if not log.entries:
        return "it is empty"
    lines = (entry for entry in log.entries if isinstance(entry, Line))
    if log.reports or any(line.is_kernel for line in lines):
        return ""
    return "no line of it begins as a kernel's do; is it a kernel's log?"


def _warn(text: str) -> None:
    from windtunnel.ui import screen  # noqa: PLC0415 - as above

    screen.err().print(f"windtunnel: {text}")


def _entry_text(entry: Entry) -> Iterator[str]:
    from windtunnel.logs.printk import Line  # noqa: PLC0415 - as above

    if not isinstance(entry, Line):
        yield f"--- {entry.why} ---"
        return
    stamp = entry.when if entry.first_micros is None else _seconds(entry.first_micros)
    before = f"{_mark(entry)} {stamp:>13} {_owner(entry):<16} "
    for text in entry.text.split("\n"):
        yield before + text if entry.is_kernel else f"{_mark(entry)} {text}"


def _mark(line: Line) -> str:
    return {1: "?", 2: "~", 3: " "}[line.confidence]


def _seconds(micros: int) -> str:
    return f"{micros // _MICROS}.{micros % _MICROS:06}"


def _owner(line: Line) -> str:
    return f"{line.owner} {line.owner_name}".strip()


def _reports_text(reports: Iterable[Found], *, with_extract: bool) -> Iterator[str]:
    for found in reports:
        report = found.report
        yield ""
        yield ("mishap: " if report.mishap else "crash: ") + report.title
        for alias in report.aliases:
            yield f"  or: {alias}"
        facts = {
            "kind": str(report.kind),
            "by": _owner(found.headline),
            "at": found.headline.when
            if found.headline.first_micros is None
            else f"{_seconds(found.headline.first_micros)} s",
            "corrupted": report.corrupted,
            "then": "the kernel panicked" if report.panicked else "",
        }
        yield from (f"  {name}: {value}" for name, value in facts.items() if value)
        if with_extract:
            yield from (f"  | {text}" for text in report.extract.splitlines())


def _to_json(name: str, log: KernelLog) -> dict[str, Any]:
    from windtunnel.logs.printk import Line  # noqa: PLC0415 - as above

    return {
        "kernel": name,
        "lines": [
            entry.to_json() if isinstance(entry, Line) else {"lost": entry.count, "why": entry.why}
            for entry in log.entries
        ],
        "reports": [found.to_json() for found in log.reports],
    }
