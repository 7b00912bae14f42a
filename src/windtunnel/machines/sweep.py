# SPDX-License-Identifier: Apache-2.0
# The words of the system calls, on the start path of every command:
# ruff: noqa: PTH115, PTH123, PTH208
"""Scratch directories of runs, and the removal of what dead runs left.

Each run has BASE/PID-START/ and, beside it where its guest can not reach it,
BASE/PID-START.lock, which the run keeps locked. BASE belongs to the user alone.
"""

import contextlib
import fcntl
import os
import signal
import stat
from dataclasses import dataclass
from pathlib import Path

from windtunnel.errors import HostError
from windtunnel.machines.launch import ENVIRONMENT

NEED_BYTES = 256 * 1024 * 1024
"""Free space that a base must have by default: a small guest's memory, and some room."""

_LOCK = ".lock"
_STUB_PROGRAM = "/memfd:uml-userspace"
# A guest that shares a directory with a thousand others is not expected.
_ATTEMPTS_MAX = 1000


@dataclass(frozen=True, slots=True)
class Scratch:
    """A run's own directory; it goes away by `close`, or by the next `sweep` after our death.

    Attributes:
        path: the directory, mode 0700, where files may be mapped as programs.
    """

    path: Path
    _lock_fd: int

    def close(self) -> None:
        """Remove the directory. Its guests must have ended."""
        _remove(self.path)
        _unlink(_lock_of(self.path))
        os.close(self._lock_fd)


def new_scratch(*, need_bytes: int = NEED_BYTES) -> Scratch:
    """Make a scratch directory that lives as long as this process.

    Args:
        need_bytes: free space that its file system must have. The memory of guests
            lies there: running out of it ends a guest with SIGBUS.

    Raises:
        HostError: no directory of this machine is safe, large enough and not mounted noexec.
    """
    base = _new_base(need_bytes)
    stem = f"{os.getpid()}-{_start_time(os.getpid())}"
    for attempt in range(_ATTEMPTS_MAX):
        path = base / (f"{stem}-{attempt}" if attempt else stem)
        try:
            # The lock first: a directory without one is a leftover.
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
            lock_fd = os.open(_lock_of(path), flags, 0o600)
        except FileExistsError:
            continue
        fcntl.flock(lock_fd, fcntl.LOCK_EX)
        path.mkdir(mode=0o700)
        return Scratch(path, lock_fd)
    raise HostError(
        f"{_ATTEMPTS_MAX} scratch directories of this process lie in {base}",
        hint="Close worlds that are no longer used.",
    )


def sweep() -> list[Path]:
    """Remove what dead runs of this user left: guests' processes, then directories.

    Returns:
        The scratch directories that were removed.
    """
    removed = []
    for base in _bases():
        if not _is_private(base):
            continue
        stems = {entry.name.removesuffix(_LOCK) for entry in os.scandir(base)}
        removed += [path for stem in sorted(stems) if _sweep_one(path := base / stem)]
    return removed


def _sweep_one(path: Path) -> bool:
    pid, _, start = path.name.partition("-")
    if not pid.isdigit() or _start_time(int(pid)) == start.partition("-")[0]:
        return False  # not ours to judge, or its owner lives
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        lock_fd = os.open(_lock_of(path), flags, 0o600)
    except OSError:
        return False
    try:
        # Held by nobody but the owner; the kernel lets go of it at the owner's death.
        fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        existed = path.is_dir()
        _kill_guests_in(path)
        _remove(path)
        _unlink(_lock_of(path))
    except BlockingIOError:
        return False
    else:
        return existed
    finally:
        os.close(lock_fd)


def _bases() -> list[Path]:
    # In the order in which they are tried: memory first, it is fast and never on a disk.
    name = f"windtunnel-{os.getuid()}"
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    folders = ["/dev/shm", runtime, "/var/tmp", "/tmp"]  # noqa: S108 - see _is_private
    return [Path(folder) / name for folder in folders if folder.startswith("/")]


def _new_base(need_bytes: int) -> Path:
    reasons = []
    for base in _bases():
        with contextlib.suppress(OSError):
            base.mkdir(mode=0o700)
        if not _is_private(base):
            reasons.append(f"{base} can not be made, or others may change it")
            continue
        facts = os.statvfs(base)
        if facts.f_flag & os.ST_NOEXEC:
            reasons.append(f"{base} is mounted noexec")
        elif facts.f_bavail * facts.f_frsize < need_bytes:
            reasons.append(f"{base} has less than {need_bytes // 2**20} MiB free")
        else:
            return base
    raise HostError(
        "no place for a guest's memory: " + "; ".join(reasons),
        hint="Free some space, or set XDG_RUNTIME_DIR to a directory of your own.",
    )


def _is_private(base: Path) -> bool:
    # Another user may have made it first in a shared directory: as a link, or open to him.
    try:
        facts = base.lstat()
    except OSError:
        return False
    mine = facts.st_uid == os.getuid()
    return stat.S_ISDIR(facts.st_mode) and mine and not facts.st_mode & 0o077


def _lock_of(path: Path) -> Path:
    return path.with_name(path.name + _LOCK)


def _start_time(pid: int) -> str:
    # In clock ticks since boot; with the pid, it names a process for good. "" when there is none.
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[19].decode()
    except OSError:
        return ""


def _kill_guests_in(scratch: Path) -> None:
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            handle = os.pidfd_open(int(name))  # so that the pid can not be another's by then
        except OSError:
            continue
        try:
            if _is_guest_in(scratch, name):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
        except OSError:
            continue  # it ended just now, or is another user's
        finally:
            os.close(handle)


def _is_guest_in(scratch: Path, name: str) -> bool:
    # Working there is not enough: it may be the shell of a user who looks around.
    directory = os.readlink(f"/proc/{name}/cwd").removesuffix(" (deleted)")
    if directory != str(scratch) and not directory.startswith(f"{scratch}/"):
        return False
    if os.readlink(f"/proc/{name}/exe").startswith(_STUB_PROGRAM):
        return True
    with open(f"/proc/{name}/environ", "rb") as file:
        return file.read() == b"".join(
            f"{key}={value}".encode() + b"\0" for key, value in ENVIRONMENT.items()
        )


def _remove(path: Path) -> None:
    if not os.path.lexists(path):
        return
    import shutil  # noqa: PLC0415 - its imports cost 5 ms, and most starts find nothing

    shutil.rmtree(path, ignore_errors=True)  # never follows symbolic links


def _unlink(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
