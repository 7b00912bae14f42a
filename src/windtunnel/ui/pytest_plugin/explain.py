# SPDX-License-Identifier: Apache-2.0
"""What a failed test's report says of a lab's run: when, the last words, how to repeat it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from windtunnel.engine.world import World
from windtunnel.errors import WindtunnelError
from windtunnel.logs.reading import read_log
from windtunnel.store.kernel_log import consoles
from windtunnel.store.run_reader import RunReader
from windtunnel.ui.failures import error_text

NODES_MAX = 10
PROCESSES_MAX = 3
LINES_MAX = 10
CRASH_LINES_MAX = 20
"""How much of a run is shown: what fits on some screens. All of it is in the run's folder."""

_TAIL_BYTES = 8 << 10


@dataclass(frozen=True, slots=True)
class Told:
    """One run, as far as a report needs it.

    Attributes:
        path: its folder.
        lab: the lab's name.
        seed: of the lab.
        cell: its name; empty for a lab without parameters.
        end: the world, while it runs; lab time at which it ended; None if it did not
            get there.
        commands: what repeats it, the best first.
    """

    path: Path
    lab: str
    seed: int
    cell: str
    end: World | int | None
    commands: tuple[str, ...]


def error_words(error: WindtunnelError) -> str:
    """Word an error as the command line does; pytest says by itself whose test it is."""
    return error_text(error).removeprefix("windtunnel: ")


def explanation(told: Told) -> str:
    """Write what is to be known of a run whose test failed."""
    try:
        lines = list(_lines(told))
    except WindtunnelError as error:  # a damaged folder must not hide the failure itself
        lines = [f"the run cannot be read: {error}"]
    return "\n".join(lines)


def _lines(told: Told) -> Iterator[str]:
    reader = RunReader(told.path)
    release = str((reader.manifest.get("kernel") or {}).get("release") or "")
    yield f"lab           {told.lab}"
    if told.cell:
        yield f"cell          {told.cell}"
    yield f"seed          {told.seed}"
    yield f"kernel        Linux {release}"
    last, last_ns = _last_outputs(reader)
    now_ns = told.end.now_ns if isinstance(told.end, World) else told.end
    now_ns = last_ns if now_ns is None else now_ns
    yield f"virtual time  {now_ns / 1e9:.9f} s"
    yield f"recorded in   {told.path}"
    for name, command in zip(("repeat it", "or"), told.commands, strict=False):
        yield f"{name:<14}{command}"
    yield from _crashes(told.path)
    yield from _outputs(reader, last)


def _last_outputs(reader: RunReader) -> tuple[dict[str, dict[tuple[str, bool], None]], int]:
    """Of each node what printed, the last one last; and when the last event was."""
    last: dict[str, dict[tuple[str, bool], None]] = {}
    time_ns = 0
    for event in reader.events():
        time_ns = max(time_ns, event.time_ns)
        if event.kind == "output":
            key = (str(event.fields.get("process")), event.fields.get("stream") == "stderr")
            of_node = last.setdefault(event.node, {})
            of_node.pop(key, None)
            of_node[key] = None
    return last, time_ns


def _outputs(reader: RunReader, last: dict[str, dict[tuple[str, bool], None]]) -> Iterator[str]:
    files = {(one.node, one.process, one.stderr): one.path for one in reader.outputs()}
    for node in sorted(last)[:NODES_MAX]:
        for process, stderr in list(last[node])[-PROCESSES_MAX:]:
            path = files.get((node, process, stderr))
            if path is not None:
                yield f"-- {node}: {process}{', stderr' if stderr else ''}"
                yield from (f"  {line}" for line in _tail(path))
    if len(last) > NODES_MAX:
        yield f"-- and {len(last) - NODES_MAX} more nodes, in the run's folder"


def _tail(path: Path) -> list[str]:
    with path.open("rb") as file:
        size_bytes = file.seek(0, 2)
        file.seek(max(size_bytes - _TAIL_BYTES, 0))
        lines = file.read().decode(errors="replace").splitlines()
    return ["…", *lines[-LINES_MAX:]] if len(lines) > LINES_MAX else lines


def _crashes(run: Path) -> Iterator[str]:
    for console in consoles(run):
        with console.path.open("rb") as file:
            reports = read_log(file).reports
        kernel = f"the kernel of {console.node}" if console.node else "the kernel"
        for found in reports:
            yield f"-- {kernel}: {found.report.title}"
            lines = found.report.extract.splitlines()
            yield from (f"  {line}" for line in lines[:CRASH_LINES_MAX])
            if len(lines) > CRASH_LINES_MAX:
                yield f"  … windtunnel logs {run}"
