# SPDX-License-Identifier: Apache-2.0
"""Write the results of a lab's cells, so that they can be read whatever happens to us.

One line for each try of a cell, appended by one write(2) and synced: a kill or
a power cut loses the cells in flight and no other. A lock says who writes, and
cells that are being run hold it too: nobody goes on with a folder in which
something still happens.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from windtunnel.errors import StateError, UsageError
from windtunnel.model.result import CellResult
from windtunnel.store import layout
from windtunnel.store.layout import host_errors
from windtunnel.store.results import RESULTS_SCHEMA_VERSION, read_header
from windtunnel.store.run_reader import is_results
from windtunnel.version import VERSION

FINISHED_STATES = ("passed", "failed", "error", "interrupted")

# Given back to a full disk, so that the last lines and the end still find room.
_RESERVE = ".reserve"
_RESERVE_BYTES = 256 << 10
_LOCK = ".lock"
_CHUNK_BYTES = 1 << 16

_IN_USE_HINT = "wait for its end, or end it; another run of the lab gets a folder of its own"


class ResultsInUseError(UsageError):
    """Another runner is at work in a folder of results.

    Attributes:
        ending: whether it was killed, and only its last cells are still ending.
    """

    def __init__(self, path: Path) -> None:
        who = ""
        self.ending = False
        with suppress(OSError, ValueError, KeyError, TypeError):
            writer = json.loads((path / layout.RESULTS).read_bytes())["writer"]
            self.ending = not layout.is_alive(writer)
            who = f": process {int(writer['pid'])}"
        if self.ending:
            who = ": it was killed, and its last cells are ending"
        super().__init__(f"another runner is at work in {path}{who}", hint=_IN_USE_HINT)


class ResultsWriter:
    """The one writer of a folder of results. Made by `create`, `create_at` or `resume`.

    Use it as a context manager: what leaves the block before `finish` is recorded
    as state "error" ("interrupted" for Ctrl-C) with its message.

    `results.json` has these keys. Ours: `schema` (int), `windtunnel` (version),
    `lab` (name), `state`, `writer` (pid, start_ticks, boot_id). The caller's, at
    the start: `seed`, `kernel` (release, key, sha256), `source` (path, sha256 of
    the lab file and of what it names), `selection` (only, no, shard, cover, sample,
    rerun), `planned` (number of cells); at the end: `counts` (of cells by state),
    `host` (jobs, wall_host_s, cpu_host_s).

    Attributes:
        path: the folder, absolute.
        header: what `results.json` says now.
    """

    def __init__(self, path: Path, lock_fd: int, header: dict[str, Any]) -> None:
        self.path = path
        self.header = header
        self._lock_fd = lock_fd
        self._finished = False
        self._lines_fd = os.open(
            path / layout.CELL_LINES,
            os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC,
            0o644,
        )

    @classmethod
    def create(
        cls, base: Path, *, lab: str, header: Mapping[str, Any], source_text: str | None
    ) -> Self:
        """Begin results in `base/<lab>/<next number>`; `base/<lab>/latest` points there.

        Args:
            base: the folder of all runs; made when it is missing.
            lab: the lab's name, one path component.
            header: what is known at the start; JSON values.
            source_text: the lab file as it is; None when there is none.

        Raises:
            UsageError: the lab's name cannot be a folder.
            HostError: the folder cannot be made or written.
        """
        labs_folder = layout.lab_folder(base, lab)
        with host_errors(labs_folder, "make a folder for the results"):
            labs_folder.mkdir(parents=True, exist_ok=True)
            path = layout.next_number(labs_folder)
        writer = cls.create_at(path, lab=lab, header=header, source_text=source_text)
        with host_errors(labs_folder, "point 'latest' to the results"):
            layout.point_latest_to(path)
        return writer

    @classmethod
    def create_at(
        cls, path: Path, *, lab: str, header: Mapping[str, Any], source_text: str | None
    ) -> Self:
        """Begin results in a folder of the user's choice; it is made when it is missing.

        Raises:
            UsageError: there is something in the folder, or another runner is there.
            HostError: the folder cannot be made or written.
        """
        path = Path(os.path.abspath(path))  # noqa: PTH100 symlinks stay as they are
        hint = "choose a new folder with --output DIR, or go on with it: --resume --output DIR"
        if os.path.lexists(path) and not path.is_dir():
            raise UsageError(f"{path} is not a folder", hint=hint)
        with host_errors(path, "make the folder of the results"):
            path.mkdir(parents=True, exist_ok=True)
        lock_fd = _lock(path)
        try:
            with host_errors(path, "begin the results"):
                _require_empty(path, hint)
                full = _header(lab, header)
                _replace(path / layout.RESULTS, layout.json_bytes(full))
                _reserve(path)
                if source_text is not None:
                    _replace(path / layout.LAB_SOURCE, source_text.encode())
                return cls(path, lock_fd, full)
        except BaseException:
            os.close(lock_fd)
            raise

    @classmethod
    def resume(cls, path: Path) -> Self:
        """Go on with results whose runner is gone.

        A cut last line is taken away.

        Raises:
            UsageError: there are no results in the folder, another version made
                them, or another runner is at work there.
            HostError: the folder cannot be written.
        """
        path = Path(os.path.abspath(path))  # noqa: PTH100 symlinks stay as they are
        if not is_results(path):
            raise UsageError(
                f"{path} has no results to go on with", hint="leave --resume out to begin anew"
            )
        lock_fd = _lock(path)
        try:
            header = {**read_header(path), "state": "running", "writer": layout.writer_facts()}
            with host_errors(path, "go on with the results"):
                writer = cls(path, lock_fd, header)
                _cut_last_line(writer._lines_fd)
                _replace(path / layout.RESULTS, layout.json_bytes(header))
                _reserve(path)
        except BaseException:
            os.close(lock_fd)
            raise
        return writer

    def run_folder(self, cell: str, attempt: int) -> Path:
        """Give the place for a try of a cell; nothing is there, whatever was before."""
        path = self.path / layout.CELLS / layout.cell_folder_name(cell, attempt)
        with host_errors(path, "make place for the run of a cell"):
            path.parent.mkdir(exist_ok=True)
            with suppress(FileNotFoundError):
                shutil.rmtree(path)
        return path

    def hook_log(self, name: str) -> Path:
        """Name the file for what the hooks of a cell, or of the lab, print."""
        return self.path / layout.HOOKS / f"{name}.log"

    def append(self, result: CellResult) -> None:
        """Record one try of a cell; it is on the disk when this returns.

        Raises:
            HostError: the disk is full or fails; the lines before it are whole.
            StateError: the results have been closed.
        """
        if self._lines_fd < 0:
            raise StateError(f"the results in {self.path} are closed", state="closed")
        line = json.dumps(result.to_json(), ensure_ascii=False, separators=(",", ":"))
        data = line.encode("utf-8", "surrogatepass") + b"\n"
        with host_errors(self.path, f"write {layout.CELL_LINES}"):
            try:
                self._write_line(data)
            except OSError:
                # What was run is worth the reserve; the next one may find none.
                if not (self.path / _RESERVE).exists():
                    raise
                (self.path / _RESERVE).unlink()
                self._write_line(data)

    def _write_line(self, data: bytes) -> None:
        size_bytes = os.fstat(self._lines_fd).st_size
        try:
            layout.write_all(self._lines_fd, data)
            os.fsync(self._lines_fd)
        except OSError:
            # Half a line in the middle would spoil all that follow.
            os.ftruncate(self._lines_fd, size_bytes)
            raise

    def finish(self, state: str, *, summary: Mapping[str, Any]) -> None:
        """Record how it all ended.

        Args:
            state: one of FINISHED_STATES.
            summary: more keys of `results.json`.

        Raises:
            HostError: the disk is full or fails; the results then read as killed.
        """
        assert state in FINISHED_STATES, state
        self.header = {**self.header, **summary, "state": state}
        with host_errors(self.path, "write how it ended"):
            (self.path / _RESERVE).unlink(missing_ok=True)
            _replace(self.path / layout.RESULTS, layout.json_bytes(self.header))
        self._finished = True

    def close(self) -> None:
        """Close all files, and let others go on with the folder. May be called again."""
        if self._lines_fd >= 0:
            os.close(self._lines_fd)
            os.close(self._lock_fd)
            self._lines_fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if not self._finished:
                state = "interrupted" if isinstance(error, KeyboardInterrupt) else "error"
                said = str(error) or type(error).__name__
                self.finish(state, summary={"error": said})
        except Exception as second:
            if error is None:
                raise
            error.add_note(f"then the results could not be finished: {second}")
        finally:
            self.close()


def _header(lab: str, header: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "schema": RESULTS_SCHEMA_VERSION,
        "windtunnel": VERSION,
        "lab": lab,
        **header,
        "state": "running",
        "writer": layout.writer_facts(),
    }


def _require_empty(path: Path, hint: str) -> None:
    inside = sorted(entry.name for entry in path.iterdir() if entry.name != _LOCK)
    if inside:
        raise UsageError(f"{path} is not empty: {inside[0]!r} is in it", hint=hint)


def _lock(path: Path) -> int:
    # Forks inherit it: a cell that still ends after its runner was killed keeps others out.
    with host_errors(path, "lock the results"):
        lock_fd = os.open(
            path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644
        )
        try:
            fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock_fd)
            raise ResultsInUseError(path) from None
    return lock_fd


def _cut_last_line(fd: int) -> None:
    size_bytes = os.fstat(fd).st_size
    end = size_bytes
    while end > 0:
        begin = max(0, end - _CHUNK_BYTES)
        newline = os.pread(fd, end - begin, begin).rfind(b"\n")
        if newline >= 0:
            end = begin + newline + 1
            break
        end = begin
    if end != size_bytes:
        os.ftruncate(fd, end)


def _reserve(path: Path) -> None:
    fd = os.open(path / _RESERVE, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        os.posix_fallocate(fd, 0, _RESERVE_BYTES)
    finally:
        os.close(fd)


def _replace(file: Path, content: bytes) -> None:
    # A reader sees the old content or the new one, never a part.
    new = file.with_name(f"{file.name}.new")
    try:
        new.write_bytes(content)
        new.replace(file)
    except OSError:
        new.unlink(missing_ok=True)
        raise
