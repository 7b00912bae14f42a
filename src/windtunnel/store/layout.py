# SPDX-License-Identifier: Apache-2.0
"""Where what lies in a run's folder, and what its writer and its readers share.

runs/<lab>/latest            symlink to the newest number
runs/<lab>/<number>/         0001, 0002 …
  manifest.json              see `RunWriter`; all that the host decides is in here
  lab.yaml                   the lab as it was run, flattened
  lab-source.yaml            the file as the user wrote it, when there was one
  events.jsonl               one event a line
  nodes/<node>/<process>.stdout, .stderr
  console.log                the guest kernel's console
  grants.log                 the calendar's grants, "kind ns guest" a line; when asked for
  processes.json             the table of all processes
  files/…                    captures and what else the lab leaves
  .store/                    tables made of all that, see `tables.parts`; may be removed
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from windtunnel.errors import HostError

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

STDOUT_SUFFIX = ".stdout"
STDERR_SUFFIX = ".stderr"

SCHEMA_VERSION = 1

WRITE_HINT = "choose a folder that you may write with --output DIR"

# A file name may have 255 bytes (NAME_MAX); the suffix and ".new" need a few.
_NAME_MAX_BYTES = 200
_DIGEST_CHARACTERS = 16

# What a name may not keep: all but visible ASCII and the space, and "/" and "%".
_ESCAPED = re.compile(rb"[^ -~]|[/%]")

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


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
    if error.errno not in _FULL:
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
