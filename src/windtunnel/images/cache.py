# SPDX-License-Identifier: Apache-2.0
"""Where built things are kept, and how two builders stay out of each other's way.

The cache is content-addressed: a folder's name holds the digest of what it was
made from, it appears by one rename, and nothing in it changes afterwards. So a
reader needs no lock.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from windtunnel.errors import HostError


def cache_folder(*parts: str) -> Path:
    """Name a place in the cache; nothing is created.

    Args:
        parts: path components below the cache's root.

    Returns:
        `$XDG_CACHE_HOME/windtunnel/...`; `~/.cache` stands in where the
        variable is unset or not absolute (XDG Base Directory 0.8).
    """
    return user_folder("XDG_CACHE_HOME", ".cache").joinpath(*parts)


def user_folder(variable: str, fallback: str) -> Path:
    """Name the folder of ours in one of a user's (XDG Base Directory 0.8); nothing is created.

    Args:
        variable: that names the user's: "XDG_CACHE_HOME".
        fallback: in the home folder, where the variable is unset or not absolute.
    """
    base = os.environ.get(variable, "")
    root = Path(base) if base.startswith("/") else Path.home() / fallback
    return root / "windtunnel"


def make_folder(folder: Path) -> Path:
    """Create a folder of the cache with its parents.

    Raises:
        HostError: it cannot be created; the hint names XDG_CACHE_HOME.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from error
    return folder


def cannot_write(place: Path, error: OSError) -> HostError:
    """Word the error for a cache that is full, or that somebody else owns."""
    return HostError(
        f"cannot use {error.filename or place}: {error.strerror or error}",
        hint="free some space, or set XDG_CACHE_HOME to a folder that you may write",
    )


@contextmanager
def locked(path: Path, when_waiting: Callable[[], None]) -> Iterator[int]:
    """Hold an exclusive lock while the block runs.

    The lock is flock(2)'s: it belongs to the open file, so that a child which
    inherits the descriptor keeps the lock when we die, and the kernel drops it
    when the last of them is gone. The lock file itself stays for ever; deleting
    it would let two builders lock two different files of one name.

    Args:
        path: the lock file; its folder is created.
        when_waiting: called once if somebody else holds the lock.

    Yields:
        The descriptor that holds the lock, to be passed on to children.

    Raises:
        HostError: the lock file cannot be made; the hint names XDG_CACHE_HOME.
    """
    make_folder(path.parent)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise cannot_write(path, error) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            when_waiting()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)
