# SPDX-License-Identifier: Apache-2.0
"""Write the folder of a run, so that it can be read whatever happens to us.

Every fact goes to its file with one write(2) and stays in the host's page
cache: SIGKILL loses nothing that was recorded. Nothing is buffered here. A
guest may be allowed to write below this folder, so no symlink in it is ever
followed. `layout` draws the folder; `run_reader` reads it.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from windtunnel.errors import StateError, UsageError
from windtunnel.model.event import Event
from windtunnel.store import layout
from windtunnel.store.layout import host_errors
from windtunnel.store.processes import ProcessTable, processes_from_events
from windtunnel.store.run_reader import RunReader, find_run, is_run, list_runs

__all__ = [
    "ProcessOutput",
    "RunReader",
    "RunWriter",
    "find_run",
    "keep_run",
    "list_runs",
    "processes_from_events",
]

FINISHED_STATES = ("passed", "failed", "error", "timeout", "killed", "interrupted")

# Open files of outputs and captures; the least recently written is closed. Far below the
# usual limit of 1024, far above the number of processes that talk at one time.
OPEN_FILES_MAX = 128

# Given back to a full disk at the end, so that the verdict still finds room.
_RESERVE = ".reserve"
_RESERVE_BYTES = 64 << 10

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_APPEND = _NEW_FILE | os.O_APPEND
# O_NONBLOCK: to open a FIFO that a guest has put there must fail, not wait for ever.
_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class RunWriter:
    """The one writer of a run's folder. Made by `create` or `create_at`.

    Use it as a context manager: an exception that leaves the block is recorded
    as state "error" ("interrupted" for Ctrl-C) with its message.

    The manifest has these keys; `host` holds everything that two equal runs may
    differ in. Ours: `schema` (int), `lab` (name), `state`, `writer` (pid,
    start_ticks, boot_id). The caller's, at the start: `windtunnel` (version),
    `seed`, `kernel` (release, key, sha256), `repeat` (the command that repeats the
    run), `driver` (what drove the lab if its own schedule did not: "pytest"),
    `stop_ns` (null when the lab has no stop); at the end: `verdict`,
    `finding`, `host` (cpu_model, tools, wall_host_s, cpu_host_s).

    Attributes:
        path: the run's folder, absolute.
    """

    def __init__(self, path: Path, folder_fd: int, events_fd: int) -> None:
        self.path = path
        self._folder_fd = folder_fd
        self._events_fd = events_fd
        self._manifest: dict[str, Any] = {}
        self._processes = ProcessTable()
        self._open_files: OrderedDict[tuple[str, ...], int] = OrderedDict()
        self._finished = False
        self._closed = False

    @classmethod
    def create(
        cls,
        base: Path,
        *,
        lab: str,
        lab_text: str,
        source_text: str | None,
        manifest: Mapping[str, Any],
    ) -> Self:
        """Begin a run in `base/<lab>/<next number>`; `base/<lab>/latest` points there.

        Two runs that begin at once get two numbers.

        Args:
            base: the folder of all runs; made when it is missing.
            lab: the lab's name, one path component.
            lab_text: the flattened lab.
            source_text: the user's file as it was; None when there was none.
            manifest: what is known at the start; JSON values.

        Raises:
            UsageError: the lab's name cannot be a folder.
            HostError: the folder cannot be made or written.
        """
        labs_folder = layout.lab_folder(base, lab)
        with host_errors(labs_folder, "make a folder for the run"):
            labs_folder.mkdir(parents=True, exist_ok=True)
            _sweep(labs_folder)
            path = layout.next_number(labs_folder)
        writer = cls.create_at(
            path, lab=lab, lab_text=lab_text, source_text=source_text, manifest=manifest
        )
        with host_errors(labs_folder, "point 'latest' to the run"):
            layout.point_latest_to(path)
        return writer

    @classmethod
    def create_at(
        cls,
        path: Path,
        *,
        lab: str,
        lab_text: str,
        source_text: str | None,
        manifest: Mapping[str, Any],
    ) -> Self:
        """Begin a run in a folder of the user's choice; it is made when it is missing.

        Args:
            path: a folder that is empty or does not exist.
            lab: the lab's name.
            lab_text: the flattened lab.
            source_text: the user's file as it was; None when there was none.
            manifest: what is known at the start; JSON values.

        Raises:
            UsageError: there is something in the folder, it is no folder, or
                another run began in it at the same time. Choose another.
            HostError: the folder cannot be made or written.
        """
        path = Path(os.path.abspath(path))  # noqa: PTH100 symlinks stay as they are
        folder_fd, events_fd = _claim(path)
        writer = cls(path, folder_fd, events_fd)
        writer._manifest = {
            "schema": layout.SCHEMA_VERSION,
            "lab": lab,
            **manifest,
            "state": "running",
            "writer": layout.writer_facts(),
        }
        try:
            with host_errors(path, "begin the record"):
                # The manifest is before the reserve, so that `_sweep` finds who owns the reserve.
                writer._replace_file(layout.MANIFEST, layout.json_bytes(writer._manifest))
                writer._reserve()
                writer._replace_file(layout.LAB, lab_text.encode())
                if source_text is not None:
                    writer._replace_file(layout.LAB_SOURCE, source_text.encode())
        except BaseException:
            writer._release()
            raise
        return writer

    @property
    def console_path(self) -> Path:
        """Where the guest kernel's console belongs; nothing is there until it is written."""
        return self.path / layout.CONSOLE

    def open_console(self) -> int:
        """Create the console's file.

        Returns:
            A descriptor that appends to it; the caller closes it.

        Raises:
            HostError: it cannot be created, or has been created before.
        """
        with host_errors(self.path, f"create {layout.CONSOLE}"):
            return os.open(layout.CONSOLE, _NEW_APPEND, 0o644, dir_fd=self._folder_fd)

    @property
    def files_path(self) -> Path:
        """The folder for captures and other files; made when this is first asked for."""
        folder = self.path / layout.FILES
        with host_errors(self.path, f"make {layout.FILES}/"):
            folder.mkdir(exist_ok=True)
        return folder

    @property
    def grants_path(self) -> Path:
        """Where the calendar may log its grants, "kind ns guest" a line."""
        return self.path / layout.GRANTS

    def event(self, event: Event) -> None:
        """Record one event; it is in the file when this returns.

        Raises:
            HostError: the disk is full or fails; the log then ends with the
                event before this one.
            StateError: the run has been closed.
        """
        self._require_open()
        line = event.to_line().encode("utf-8", "surrogatepass") + b"\n"
        with host_errors(self.path, f"write {layout.EVENTS}"):
            size_bytes = os.fstat(self._events_fd).st_size
            try:
                layout.write_all(self._events_fd, line)
            except OSError:
                # Half a line in the middle would spoil the log, should it go on.
                os.ftruncate(self._events_fd, size_bytes)
                raise
        self._processes.add(event)

    def output(self, node: str, process: str) -> ProcessOutput:
        """Give the files of one process's output; they appear with the first byte."""
        return ProcessOutput(self, node, process)

    def append_file(self, name: str, data: bytes) -> None:
        """Append to `files/<name>`, a capture for one; it is there when this returns.

        Args:
            name: of the file, one path component; signs that a file's name
                cannot have are written as %XX.
            data: bytes as they came.

        Raises:
            HostError: the disk is full or fails; a part of `data` may be written.
            StateError: the run has been closed.
        """
        self._append((layout.FILES, layout.file_name(name)), data)

    def coverage_file(self, kernel: str, name: str, data: bytes) -> None:
        """Write the counts of one object of a kernel; they are there when this returns.

        Args:
            kernel: the node whose own kernel it is; empty for the shared one.
            name: of the object, with folders: "net/ipv4/tcp_input.gcda".
            data: as gcov reads it.

        Raises:
            HostError: the disk is full or fails; a part of `data` may be written.
            StateError: the run has been closed.
        """
        parts = (layout.file_name(part) for part in name.split("/"))
        self._append((layout.coverage_folder(kernel), *parts), data)

    def finish(self, state: str, *, summary: Mapping[str, Any]) -> None:
        """Record how the run ended, and the table of processes.

        Args:
            state: one of FINISHED_STATES.
            summary: more keys of the manifest, such as verdict, finding and host.

        Raises:
            HostError: the disk is full or fails; the run then reads as killed.
            StateError: the run has ended or been closed before.
        """
        assert state in FINISHED_STATES, state
        self._require_open()
        if self._finished:
            raise StateError(
                f"the run in {self.path} has ended before",
                state=str(self._manifest["state"]),
                required="running",
            )
        self._manifest = {**self._manifest, **summary, "state": state}
        table = {"processes": [record.to_json() for record in self._processes.records()]}
        with host_errors(self.path, "write how the run ended"):
            self._remove(_RESERVE)
            self._replace_file(layout.MANIFEST, layout.json_bytes(self._manifest))
            self._finished = True
            self._replace_file(layout.PROCESSES, layout.json_bytes(table))

    def close(self) -> None:
        """Close all files. A run that was not finished gets state "error". May be called again."""
        if self._closed:
            return
        try:
            if not self._finished:
                self.finish("error", summary={"error": "the run was closed before it had ended"})
        finally:
            self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None or self._finished or self._closed:
            self.close()
            return
        state = "interrupted" if isinstance(error, KeyboardInterrupt) else "error"
        try:
            self.finish(state, summary={"error": str(error) or type(error).__name__})
        except Exception as second:  # noqa: BLE001 the first error must not be lost
            error.add_note(f"then the record could not be finished: {second}")
        finally:
            self._release()

    def _require_open(self) -> None:
        if self._closed:
            raise StateError(
                f"the run in {self.path} has been closed", state="closed", required="open"
            )

    def _append(self, parts: tuple[str, ...], data: bytes) -> None:
        # To the file of these components below the run's folder.
        self._require_open()
        with host_errors(self.path, f"write {'/'.join(parts)}"):
            fd = self._open_files.get(parts)
            if fd is None:
                fd = self._open_to_append(parts)
            else:
                self._open_files.move_to_end(parts)
            layout.write_all(fd, data)

    def _open_to_append(self, parts: tuple[str, ...]) -> int:
        if len(self._open_files) >= OPEN_FILES_MAX:
            _, oldest = self._open_files.popitem(last=False)
            os.close(oldest)
        # Each step by its own descriptor: no component can be a symlink.
        folder_fd = os.dup(self._folder_fd)
        try:
            for part in parts[:-1]:
                inner_fd = _open_folder(part, folder_fd)
                os.close(folder_fd)
                folder_fd = inner_fd
            fd = os.open(parts[-1], _APPEND, 0o644, dir_fd=folder_fd)
        finally:
            os.close(folder_fd)
        self._open_files[parts] = fd
        return fd

    def _reserve(self) -> None:
        fd = os.open(_RESERVE, _NEW_FILE, 0o644, dir_fd=self._folder_fd)
        try:
            os.posix_fallocate(fd, 0, _RESERVE_BYTES)
        finally:
            os.close(fd)

    def _remove(self, name: str) -> None:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._folder_fd)

    def _replace_file(self, name: str, content: bytes) -> None:
        # A reader sees the old content or the new one, never a part.
        new = f"{name}.new"
        self._remove(new)
        fd = os.open(new, _NEW_FILE, 0o644, dir_fd=self._folder_fd)
        try:
            layout.write_all(fd, content)
        except OSError:
            self._remove(new)
            raise
        finally:
            os.close(fd)
        os.replace(new, name, src_dir_fd=self._folder_fd, dst_dir_fd=self._folder_fd)

    def _release(self) -> None:
        self._closed = True
        for fd in [*self._open_files.values(), self._events_fd, self._folder_fd]:
            os.close(fd)
        self._open_files.clear()


class ProcessOutput:
    """What one process prints. Made by `RunWriter.output`; there is nothing to close."""

    def __init__(self, writer: RunWriter, node: str, process: str) -> None:
        self._writer = writer
        self._node = layout.file_name(node)
        self._name = layout.file_name(process)

    def write(self, data: bytes, *, stderr: bool) -> None:
        """Append bytes as they came; they are in the file when this returns.

        Raises:
            HostError: the disk is full or fails; a part of `data` may be written.
            StateError: the run has been closed.
        """
        if data:
            suffix = layout.STDERR_SUFFIX if stderr else layout.STDOUT_SUFFIX
            self._writer._append((layout.NODES, self._node, self._name + suffix), data)  # noqa: SLF001


def keep_run(path: Path, base: Path, *, lab: str, repeat: str) -> Path:
    """Move a run that has ended to `base/<lab>/<next number>`; `base/<lab>/latest` points there.

    Args:
        path: the run's folder, on the same file system as `base`.
        base: the folder of all runs.
        lab: the lab's name.
        repeat: the command that repeats it, with "{run}" for its folder.

    Returns:
        Its new folder, absolute.

    Raises:
        HostError: it cannot be moved.
    """
    labs_folder = Path(os.path.abspath(base)) / lab  # noqa: PTH100 symlinks stay as they are
    with host_errors(labs_folder, "keep the run"):
        kept = layout.next_number(labs_folder)
        path.replace(kept)
        manifest = {**RunReader(kept).manifest, "repeat": repeat}
        new = kept / f"{layout.MANIFEST}.new"
        new.write_bytes(layout.json_bytes(manifest))
        new.replace(kept / layout.MANIFEST)
        layout.point_latest_to(kept)
    return kept


def _claim(path: Path) -> tuple[int, int]:
    """Take a folder for a run of ours: make it, see that it is empty, create its event log.

    Creating the log fails when it exists, so of two runs only one gets the folder.
    """
    hint = "choose a new folder with --output DIR, or leave --output out"
    if os.path.lexists(path) and not path.is_dir():
        raise UsageError(f"{path} is not a folder", hint=hint)
    with host_errors(path, "make the run's folder"):
        path.mkdir(parents=True, exist_ok=True)
        inside = sorted(entry.name for entry in path.iterdir())
    if inside and layout.EVENTS not in inside:
        raise UsageError(f"{path} is not empty: {inside[0]!r} is in it", hint=hint)
    with host_errors(path, f"create {layout.EVENTS}"):
        folder_fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            return folder_fd, os.open(layout.EVENTS, _NEW_APPEND, 0o644, dir_fd=folder_fd)
        except FileExistsError:
            os.close(folder_fd)
            raise UsageError(f"another run is or was in {path}", hint=hint) from None
        except BaseException:
            os.close(folder_fd)
            raise


def _sweep(labs_folder: Path) -> None:
    # A killed run could not tidy up. A look for the reserve is all that a run costs here.
    for reserve in labs_folder.glob(f"[0-9]*/{_RESERVE}"):
        run = reserve.parent
        if is_run(run) and RunReader(run).state == "killed":
            for left in [reserve, *run.glob("*.new"), run / f".{layout.LATEST}"]:
                left.unlink(missing_ok=True)


def _open_folder(name: str, parent_fd: int) -> int:
    try:
        return os.open(name, _FOLDER, dir_fd=parent_fd)
    except FileNotFoundError:
        os.mkdir(name, 0o755, dir_fd=parent_fd)
        return os.open(name, _FOLDER, dir_fd=parent_fd)
