# SPDX-License-Identifier: Apache-2.0
"""Where what lies in a run's folder, and what its writer and its readers share.

runs/<lab>/latest            symlink to the newest number
runs/<lab>/<number>/         of a lab with parameters: the results of its cells
  results.json               see `results.ResultsWriter`
  cells.jsonl                one try of a cell a line: `CellResult.to_json`
  lab-source.yaml            the lab file as the user wrote it
  cells/<cell>/              the run of a cell, as below; further tries in <cell>~2, <cell>~3 …
  hooks/…                    what hooks printed
  report.html                the page of results, when somebody asked for it
runs/<lab>/<number>/         0001, 0002 …
  manifest.json              see `RunWriter`; all that the host decides is in here
  lab.yaml                   the lab as it was run, flattened
  lab-source.yaml            the file as the user wrote it, when there was one
  events.jsonl               one event a line
  nodes/<node>/<process>.stdout, .stderr
  console.log                the guest kernel's console
  coverage/…                 counts of a kernel that counts its lines, as gcov reads them; that
                             of a node's own kernel in coverage-<node>
  grants.log                 the calendar's grants, "kind ns guest" a line; when asked for
  processes.json             the table of all processes
  files/…                    captures, a trace (trace.jsonl), and what else the lab leaves
  report.html                the page of the run, when somebody asked for it
  .store/                    tables made of all that, see `tables.parts`; may be removed
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from windtunnel.errors import HostError, UsageError

MANIFEST = "manifest.json"
LAB = "lab.yaml"
LAB_SOURCE = "lab-source.yaml"
EVENTS = "events.jsonl"
NODES = "nodes"
CONSOLE = "console.log"
GRANTS = "grants.log"
PROCESSES = "processes.json"
FILES = "files"
LATEST = "latest"
RESULTS = "results.json"
CELL_LINES = "cells.jsonl"
CELLS = "cells"
HOOKS = "hooks"
REPORT = "report.html"
TRACE = "trace.jsonl"
COVERAGE = "coverage"

STDOUT_SUFFIX = ".stdout"
STDERR_SUFFIX = ".stderr"

SCHEMA_VERSION = 1

WRITE_HINT = "choose a folder that you may write with --output DIR"

# A file name may have 255 bytes (NAME_MAX); the suffix and ".new" need a few.
_NAME_MAX_BYTES = 200
_DIGEST_CHARACTERS = 16

# What a name may not keep: all but visible ASCII and the space, and "/" and "%".
_ESCAPED = re.compile(rb"[^ -~]|[/%]")

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What says that nothing more can be written, and that what follows will not fit either."""


def file_name(name: str) -> str:
    """Turn any name of a node or process into the name of a file.

    Letters, digits and most signs stay; "/", "%", zero bytes, a leading "." and
    all that is not ASCII become %XX. A very long name is cut and ends in a
    digest of the whole, so that two names never share a file.
    """
    raw = name.encode("utf-8", "surrogatepass")
    quoted = _ESCAPED.sub(lambda match: b"%%%02X" % match[0][0], raw).decode("ascii") or "%"
    if quoted.startswith("."):
        quoted = "%2E" + quoted[1:]
    if len(quoted) <= _NAME_MAX_BYTES:
        return quoted
    digest = hashlib.sha256(quoted.encode()).hexdigest()[:_DIGEST_CHARACTERS]
    return f"{quoted[: _NAME_MAX_BYTES - _DIGEST_CHARACTERS - 2]}%~{digest}"


def name_of_file(file: str) -> str:
    """Undo `file_name`, for people; a very long name stays cut."""
    raw = re.sub(rb"%([0-9A-F]{2})", lambda match: bytes.fromhex(match[1].decode()), file.encode())
    return "" if file == "%" else raw.decode("utf-8", "replace")


def coverage_folder(kernel: str) -> str:
    """Name the folder of a kernel's counts; `kernel` is the node whose own it is, or empty."""
    return f"{COVERAGE}-{file_name(kernel)}" if kernel else COVERAGE


_ATTEMPT = re.compile(r"~(\d+)$")


def cell_folder_name(cell: str, attempt: int = 1) -> str:
    """Turn the name of a cell, and which try of it this is, into the name of a folder.

    "cc=bbr", "cc=bbr~2", "cc=bbr~3". Where a cell's own name ends in such a way,
    its "~" is escaped, so that no try of one cell is in the folder of another.
    """
    name = _ATTEMPT.sub(r"%7E\1", file_name(cell))
    return name if attempt == 1 else f"{name}~{attempt}"


def free_bytes(path: Path) -> int:
    """Say how much an ordinary user may still write to a folder's file system."""
    stat = os.statvfs(path)
    return stat.f_bavail * stat.f_frsize


@contextmanager
def host_errors(folder: Path, doing: str, *, hint: str = WRITE_HINT) -> Iterator[None]:
    """Turn the operating system's errors about a run's folder into ours.

    Args:
        folder: the run's folder.
        doing: completes "cannot …", such as "write events.jsonl".
        hint: how to mend it, when it is not a full disk; empty when reading.

    Raises:
        HostError: for any OSError; a full disk, quota or file size limit says
            what is free.
    """
    try:
        yield
    except OSError as error:
        raise _host_error(folder, doing, error, hint) from error


def _host_error(folder: Path, doing: str, error: OSError, hint: str) -> HostError:
    if error.errno not in FULL:
        return HostError(
            f"cannot {doing} in {folder}: {error.strerror or error}",
            hint=hint,
        )
    try:
        free = f"{free_bytes(folder)} bytes are free there"
    except OSError:
        free = "how much is free cannot be read"
    reason = {
        errno.ENOSPC: "the disk is full",
        errno.EDQUOT: "your quota is used up",
        errno.EFBIG: "the file would exceed the limit of a file's size (ulimit -f)",
    }[error.errno or errno.ENOSPC]
    return HostError(
        f"cannot {doing} in {folder}: {reason}; {free}",
        hint="what was recorded until now can be read; "
        "free some space, or choose another place with --output DIR",
    )


def process_start_ticks(pid: int) -> int | None:
    """Say when a process began, in the host's clock ticks since it booted.

    Together with the pid this names a process for good: pids are used again.

    Returns:
        None when there is no such process, or it is dead and only waits for its
        parent to notice.

    Source: proc_pid_stat(5), fields 3 and 22.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The second field is the program's name in brackets, which may hold anything.
    fields = text.rpartition(")")[2].split()
    state, start_ticks = fields[0], fields[19]
    return None if state in "ZXx" else int(start_ticks)


def boot_id() -> str:
    """Name the present boot of the host; empty where it cannot be read."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


# ---- writing, for both who write folders ----


def write_all(fd: int, data: bytes) -> None:
    """Write all of `data`: write(2) may take a part, for one when the disk is all but full."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def json_bytes(value: Any) -> bytes:
    """Write JSON values as the text of a file, for people too."""
    return (json.dumps(value, indent=2, sort_keys=True) + "\n").encode()


def lab_folder(base: Path, lab: str) -> Path:
    """Give the folder of all runs of a lab, absolute; symlinks in it stay as they are.

    Raises:
        UsageError: the lab's name cannot be a folder.
    """
    if lab in ("", ".", "..", LATEST) or "/" in lab or "\0" in lab:
        raise UsageError(f"{lab!r} cannot name a folder of runs", hint="give the lab a name")
    return Path(os.path.abspath(base)) / lab  # noqa: PTH100 - it would follow symlinks


def next_number(labs_folder: Path) -> Path:
    """Make the next numbered folder; two who do so at once get two numbers."""
    # mkdir is atomic: who loses the race takes the next number.
    used = [int(entry.name) for entry in labs_folder.iterdir() if entry.name.isdecimal()]
    number = max(used, default=0) + 1
    while True:
        path = labs_folder / f"{number:04d}"
        try:
            path.mkdir()
        except FileExistsError:
            number += 1
        else:
            return path


def point_latest_to(path: Path) -> None:
    """Make "latest" beside a numbered folder a symlink to it."""
    # A symlink cannot be changed, only replaced. The new one is made inside the
    # run's folder, where nobody else makes one.
    latest = path.parent / LATEST
    new = path / f".{LATEST}"
    new.symlink_to(path.name)
    try:
        new.replace(latest)
    except IsADirectoryError:  # the user's own folder: leave it
        new.unlink()


def writer_facts() -> dict[str, Any]:
    """Name the present process so that `is_alive` can say later whether it still lives."""
    return {
        "pid": os.getpid(),
        "start_ticks": process_start_ticks(os.getpid()),
        "boot_id": boot_id(),
    }


def is_alive(writer: Any) -> bool:
    """Say whether the process that `writer_facts` named still lives."""
    if not isinstance(writer, dict) or not isinstance(writer.get("pid"), int):
        return False
    if writer.get("boot_id") != boot_id():
        return False
    start_ticks = process_start_ticks(writer["pid"])
    return start_ticks is not None and start_ticks == writer.get("start_ticks")
