# SPDX-License-Identifier: Apache-2.0
"""Read the folder of a run: finished, running, or killed at any moment.

A run whose manifest says "running" while its writer is gone was killed; the
events until then are whole, but for a last line that may be cut.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from windtunnel.errors import ProtocolError, UsageError
from windtunnel.model.event import Event
from windtunnel.model.nearmiss import hint_for, near_miss
from windtunnel.store import layout
from windtunnel.store.layout import host_errors
from windtunnel.store.processes import ProcessRecord, processes_from_events


@dataclass(frozen=True, slots=True)
class OutputFile:
    """The file of one process's output.

    Attributes:
        node: where the process ran.
        process: its name.
        stderr: what was printed to stderr (True) or stdout (False).
        path: the file.
    """

    node: str
    process: str
    stderr: bool
    path: Path


class RunReader:
    """Reads a run's folder.

    Everything is read anew at each call, so that a run may be watched.

    Attributes:
        path: the run's folder.
    """

    def __init__(self, path: Path) -> None:
        """Open a run's folder.

        Raises:
            UsageError: there is no run in this folder.
        """
        self.path = path
        if not is_run(path):
            raise UsageError(
                f"{path} is not the folder of a run: it has no {layout.EVENTS}",
                hint="name a run as LAB/NUMBER, or by its folder",
            )

    @property
    def manifest(self) -> dict[str, Any]:
        """The manifest as it was written; empty when the run was killed before it was."""
        file = self.path / layout.MANIFEST
        with host_errors(self.path, f"read {layout.MANIFEST}", hint=""):
            try:
                manifest = json.loads(file.read_bytes())
            except FileNotFoundError:
                return {}
            except ValueError as error:
                raise ProtocolError(f"{file}: {error}") from error
        if not isinstance(manifest, dict):
            raise ProtocolError(f"{file}: not a JSON object")
        return manifest

    @property
    def state(self) -> str:
        """How the run ended, or "running"; "killed" when its writer is gone without a word."""
        manifest = self.manifest
        state = manifest.get("state", "running")
        if state == "running" and not layout.is_alive(manifest.get("writer", {})):
            return "killed"
        return str(state)

    @property
    def lab_text(self) -> str:
        """The lab as it was run; empty when the run was killed before it was written."""
        file = self.path / layout.LAB
        with host_errors(self.path, f"read {layout.LAB}", hint=""):
            try:
                return file.read_text(encoding="utf-8")
            except FileNotFoundError:
                return ""

    def events(self) -> Iterator[Event]:
        """Give the events in order.

        A cut last line, as a killed run may have, is passed over.

        Raises:
            ProtocolError: another line is not an event; names file and line.
        """
        file = self.path / layout.EVENTS
        with host_errors(self.path, f"read {layout.EVENTS}", hint=""), file.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                try:
                    event = parse_event(line)
                except ProtocolError as error:
                    if not line.endswith(b"\n"):
                        return
                    raise ProtocolError(f"{file}:{number}: {error.message}") from error
                yield event

    def processes(self) -> tuple[ProcessRecord, ...]:
        """Give the table of all processes, in the order of starting."""
        return processes_from_events(self.events())

    def outputs(self) -> tuple[OutputFile, ...]:
        """Give the files that processes printed to, by node and name.

        A process that printed nothing has no file.
        """
        nodes = self.path / layout.NODES
        if nodes.is_symlink() or not nodes.is_dir():
            return ()
        found = []
        for folder in sorted(nodes.iterdir()):
            if folder.is_symlink() or not folder.is_dir():
                continue
            node = layout.name_of_file(folder.name)
            for file in sorted(folder.iterdir()):
                stderr = file.suffix == layout.STDERR_SUFFIX
                if file.is_symlink() or not (stderr or file.suffix == layout.STDOUT_SUFFIX):
                    continue
                found.append(OutputFile(node, layout.name_of_file(file.stem), stderr, file))
        return tuple(found)

    def read_output(self, node: str, process: str, *, stderr: bool = False) -> bytes:
        """Give all that a process printed; nothing when it printed nothing."""
        suffix = layout.STDERR_SUFFIX if stderr else layout.STDOUT_SUFFIX
        name = layout.file_name(process) + suffix
        file = self.path / layout.NODES / layout.file_name(node) / name
        with host_errors(self.path, f"read the output of {process!r} on {node!r}", hint=""):
            try:
                return file.read_bytes()
            except FileNotFoundError:
                return b""


def parse_event(line: bytes) -> Event:
    """Decode one line of an event log.

    Raises:
        ProtocolError: it is not an event, or a value has the wrong type.
    """
    try:
        event = Event.from_line(line.decode("utf-8", "surrogatepass"))
    except UnicodeDecodeError as error:
        raise ProtocolError(f"not an event: {line[:80]!r}") from error
    wanted = (
        (event.time_ns, int),
        (event.sequence, int),
        (event.kind, str),
        (event.node, str),
        (event.fields, dict),
        (event.kernel, str),
        (event.stream, str),
    )
    if not all(isinstance(value, kind) for value, kind in wanted):
        raise ProtocolError(f"not an event: {line[:80]!r}")
    return event


def is_run(path: Path) -> bool:
    """Say whether a run began in this folder."""
    return (path / layout.EVENTS).is_file()


def is_results(path: Path) -> bool:
    """Say whether a runner has put the results of cells into this folder."""
    return (path / layout.RESULTS).is_file()


def list_records(base: Path) -> tuple[Path, ...]:
    """Give the folders of all runs and results below `base`, by lab and number."""
    found = []
    if base.is_dir():
        for lab in sorted(base.iterdir()):
            if lab.is_dir() and not lab.is_symlink():
                found += _records_of(lab)
    return tuple(found)


def list_runs(base: Path) -> tuple[Path, ...]:
    """Give the folders of all runs below `base`, by lab and number; none when it is missing.

    The runs of cells, which lie in a folder of results, are not among them.
    """
    return tuple(path for path in list_records(base) if is_run(path))


def find_run(name: str, base: Path) -> Path:
    """Find the run that a person means.

    Args:
        name: a folder, "latest" (of all labs), "LAB" or "LAB/latest" (the
            newest of a lab), "LAB/NUMBER" (zeros in front may be left out), or
            "LAB/NUMBER/CELL" where that has the results of many cells.
        base: the folder of all runs.

    Raises:
        UsageError: there is no such run; offers the nearest.
    """
    record = find_record(name, base)
    if is_run(record):
        return record
    cells = _cells_of(record)
    # Of one cell there is nothing to choose.
    if len(cells) == 1:
        return record / layout.CELLS / cells[0]
    shown = f"{record.parent.name}/{record.name}"
    some = f", such as {shown}/{layout.name_of_file(cells[0])}" if cells else ""
    raise UsageError(
        f"{name!r} has the results of {len(cells)} cells, and a run of one of them is wanted",
        hint=f"name it as LAB/NUMBER/CELL{some}; `windtunnel runs show {shown}` lists them",
    )


def find_record(name: str, base: Path) -> Path:
    """Find the run, or the results of cells, that a person means.

    Args:
        name: as `find_run` takes it.
        base: the folder of all runs.

    Raises:
        UsageError: there is nothing of that name; offers the nearest.
    """
    records = list_records(base)
    if name == layout.LATEST and records:
        return max(records, key=_began)
    lab, _, rest = name.partition("/")
    number, _, cell = rest.partition("/")
    of_lab = [record for record in records if record.parent.name == lab]
    found = _numbered(of_lab, number)
    if found is not None and (not cell or is_results(found)):
        return _cell_run(found, cell) if cell else found
    # Last, so that a folder which happens to bear a lab's name is in nobody's way.
    if name and (is_run(Path(name)) or is_results(Path(name))):
        return Path(name)
    raise UsageError(f"there is no run {name!r}", hint=_hint(name, of_lab, records, base))


def _numbered(of_lab: list[Path], number: str) -> Path | None:
    if of_lab and number in ("", layout.LATEST):
        return of_lab[-1]
    for record in of_lab:
        if number.isdecimal() and int(record.name) == int(number):
            return record
    return None


def _cell_run(results: Path, cell: str) -> Path:
    folder = results / layout.CELLS
    for name in (cell, layout.cell_folder_name(cell)):
        if is_run(folder / name):
            return folder / name
    names = [layout.name_of_file(name) for name in _cells_of(results)]
    raise UsageError(
        f"no cell {cell!r} has a run in {results}", hint=hint_for(cell, names, what="cells")
    )


def _cells_of(results: Path) -> list[str]:
    folder = results / layout.CELLS
    if not folder.is_dir():
        return []
    return sorted(entry.name for entry in folder.iterdir() if is_run(entry))


def _hint(name: str, of_lab: list[Path], records: tuple[Path, ...], base: Path) -> str:
    if of_lab:
        first, last = of_lab[0].name, of_lab[-1].name
        return f"the runs of {of_lab[0].parent.name!r} are {first} to {last}"
    nearest = near_miss(name, [f"{one.parent.name}/{one.name}" for one in records])
    nearest = nearest or near_miss(name.partition("/")[0], [one.parent.name for one in records])
    if nearest:
        return f"did you mean {nearest!r}?"
    return f"there are {len(records)} runs in {base}; name one as LAB/NUMBER, or by its folder"


def _records_of(lab: Path) -> list[Path]:
    records = [
        entry
        for entry in lab.iterdir()
        if entry.name.isdecimal() and (is_run(entry) or is_results(entry))
    ]
    return sorted(records, key=lambda record: int(record.name))


def _began(record: Path) -> tuple[int, str]:
    # The lab is written once, when it begins; its file's time is the host's.
    for name in (layout.LAB, layout.LAB_SOURCE):
        try:
            return (record / name).stat().st_mtime_ns, str(record)
        except OSError:
            continue
    return 0, str(record)
