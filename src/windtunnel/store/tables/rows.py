# SPDX-License-Identifier: Apache-2.0
"""Rows that are read from run folders by our own readers: runs, cells, logs, packets.

Whatever is wrong with a file is said in a line, and costs that file's rows at most.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from windtunnel.errors import HostError, LabFileError, ProtocolError
from windtunnel.logs.printk import Line
from windtunnel.logs.reading import KernelLog
from windtunnel.model.clock import parse_clock
from windtunnel.model.result import CellResult
from windtunnel.store import layout
from windtunnel.store.kernel_log import Console, before_our_end, consoles
from windtunnel.store.run_reader import RunReader, is_run, list_runs
from windtunnel.store.tracefile import has_trace, trace_file
from windtunnel.wire import headers, pcapng

CELLS = "cells.jsonl"
CELL_RUNS = "cells"

_PIECE_BYTES = 1 << 20
_CLOCK = re.compile(r'^clock: *"?([^"\n]*)"?$', re.MULTILINE)
_NS_PER_MICRO = 1_000

Row = dict[str, Any]
Warn = Callable[[str], None]


def all_runs(base: Path) -> list[Path]:
    """Give the folders of all runs below that of all runs, those of cells too."""
    found = list(list_runs(base))
    for results in all_results(base):
        runs = results / CELL_RUNS
        if runs.is_dir() and not runs.is_symlink():
            found += [path for path in sorted(runs.iterdir()) if is_run(path)]
    return found


def all_results(base: Path) -> list[Path]:
    """Give the folders of results of labs with parameters."""
    return sorted(path.parent for path in base.glob(f"*/[0-9]*/{CELLS}"))


def run_row(run: Path, name: str, warn: Warn) -> Row:
    """Read a run's manifest."""
    reader = RunReader(run)
    try:
        manifest, state = reader.manifest, reader.state
    except (ProtocolError, HostError) as error:
        warn(error.message)
        manifest, state = {}, "unknown"
    host = _mapping(manifest.get("host"))
    return {
        "run": name,
        "lab": manifest.get("lab", ""),
        "state": state,
        "finding": manifest.get("finding"),
        "seed": manifest.get("seed"),
        "kernel_release": _mapping(manifest.get("kernel")).get("release", ""),
        "end_ns": manifest.get("end_ns"),
        "stop_ns": manifest.get("stop_ns"),
        "windtunnel": manifest.get("windtunnel", ""),
        "wall_host_s": host.get("wall_host_s"),
        "cpu_host_s": host.get("cpu_host_s"),
        "repeat": manifest.get("repeat", ""),
        "folder": str(run),
    }


def own_cell(run: Row) -> Row:
    """Give a run that belongs to no results as a cell of its own."""
    return {
        "results": run["run"],
        "cell": run["lab"],
        "index": 0,
        "attempt": 1,
        "params": {},
        **{key: run[key] for key in ("state", "run", "seed", "end_ns")},
        "finding": run["finding"] or "",
        "wall_host_s": run["wall_host_s"],
        "cpu_host_s": run["cpu_host_s"],
    }


def cell_rows(results: Path, name: str, warn: Warn) -> Iterator[Row]:
    """Read the cells of a results folder; a cut or spoilt line is left out.

    Args:
        results: the folder.
        name: below that of all runs.
        warn: told of lines that are no results.
    """
    with (results / CELLS).open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                cell = CellResult.from_json(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError):
                if line.endswith(b"\n"):
                    warn(f"{results / CELLS}:{number}: not a result; left out")
                continue
            row = {key: value for key, value in cell.to_json().items() if key != "checks"}
            yield {**row, "results": name, "run": f"{name}/{cell.run}" if cell.run else ""}


def log_sources(run: Path) -> list[Path]:
    """Name what the lines of a run's kernels are read from; none without a console."""
    found = [console.path for console in consoles(run)]
    names = [run / layout.EVENTS, *([trace_file(run)] if has_trace(run) else [])]
    return [*found, *names] if found else []


def log_rows(logs: Iterable[tuple[Console, KernelLog]], zero_ns: int) -> Iterator[Row]:
    """Give all lines of kernels whose logs are read already."""
    for console, log in logs:
        number, lost = 0, 0
        for entry in log.entries:
            if not isinstance(entry, Line):
                lost = -1 if entry.count is None or lost < 0 else lost + entry.count
                continue
            yield {
                "kernel": console.node,
                "number": number,
                "time_ns": _lab_time(entry.first_micros, zero_ns),
                "level": entry.level,
                "owner": entry.owner,
                "owner_name": entry.owner_name,
                "text": entry.text,
                "confidence": entry.confidence.name.lower(),
                "lost": lost,
            }
            number, lost = number + 1, 0


def crash_rows(logs: Iterable[tuple[Console, KernelLog]], zero_ns: int) -> Iterator[Row]:
    """Give all crash reports of kernels whose logs are read already."""
    for console, whole in logs:
        log = before_our_end(whole)
        lines = [entry for entry in log.entries if isinstance(entry, Line)]
        numbers = {id(line): number for number, line in enumerate(lines)}
        for found in log.reports:
            report, headline = found.report, found.headline
            yield {
                "kernel": console.node,
                "number": numbers[id(headline)],
                "time_ns": _lab_time(headline.first_micros, zero_ns),
                "title": report.title,
                "kind": str(report.kind),
                "owner": headline.owner,
                "owner_name": headline.owner_name,
                "panicked": report.panicked,
                "corrupted": report.corrupted,
                "extract": report.extract,
            }


def _lab_time(micros: int | None, zero_ns: int) -> int | None:
    return None if micros is None else micros * _NS_PER_MICRO - zero_ns


def packet_rows(run: Path, captures: list[Path], warn: Warn) -> Iterator[Row]:
    """Read the packets of a run's captures, as far as each can be read.

    Args:
        run: its folder.
        captures: the files.
        warn: told of a file that is no capture from some place on.
    """
    clock_ns = clock_of(run)
    for path in captures:
        yield from _packets_of(path, clock_ns, warn)


def clock_of(run: Path) -> int:
    """The wall clock at a run's lab time zero, in nanoseconds since 1970; 0 if unknown."""
    with suppress(HostError, LabFileError, UnicodeDecodeError):
        found = _CLOCK.search(RunReader(run).lab_text)
        if found:
            return parse_clock(found[1])
    return 0


def read_blocks(path: Path, warn: Warn) -> Iterator[pcapng.Block]:
    """Read a capture block by block, as far as it can be read."""
    buffer = b""
    try:
        with path.open("rb") as file:
            while piece := file.read(_PIECE_BYTES):
                blocks, buffer = pcapng.parse_blocks(buffer + piece)
                yield from blocks
    except ProtocolError as error:
        warn(f"{path}: {error.message}; what follows is left out")


def _packets_of(path: Path, clock_ns: int, warn: Warn) -> Iterator[Row]:
    names: list[str] = []
    number = 0
    for block in read_blocks(path, warn):
        if isinstance(block, pcapng.Section):
            names = []
        elif isinstance(block, pcapng.Interface):
            names.append(block.name)
        elif isinstance(block, pcapng.Packet):
            known = block.interface < len(names)
            seen = headers.read_headers(block.frame)
            yield {
                "capture": path.stem,
                "number": number,
                "time_ns": block.time_ns - clock_ns,
                "interface": names[block.interface] if known else "",
                "direction": _direction(block.direction),
                "size_bytes": block.size_bytes,
                "kept_bytes": len(block.frame),
                "comment": block.comment,
                "protocol": seen.protocol,
                "source": seen.source,
                "target": seen.target,
                "source_port": seen.source_port,
                "target_port": seen.target_port,
                "flags": seen.flags,
                "tcp_sequence": seen.tcp_sequence,
                "payload_bytes": seen.payload_bytes,
            }
            number += 1


@cache
def _direction(direction: pcapng.Direction) -> str:
    return "" if direction is pcapng.Direction.UNKNOWN else direction.name.lower()


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
