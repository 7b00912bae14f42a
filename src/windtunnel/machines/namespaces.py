# SPDX-License-Identifier: Apache-2.0
# The words of the system calls, on the start path of every command:
# ruff: noqa: PTH102, PTH103, PTH109, PTH112, PTH114, PTH115, PTH120, PTH208, PTH211
"""The way without Landlock: a user namespace whose root shows only what may be seen.

The new root is an empty tmpfs into which each readable path is mounted read-only,
and each writable one as it is, at its own place. What was not mounted is not there.
"""

import os
import stat
from collections.abc import Iterable

from windtunnel.machines.syscalls import (
    MOUNT_SETATTR,
    MOVE_MOUNT,
    OPEN_TREE,
    PIVOT_ROOT,
    UMOUNT2,
    UNSHARE,
    syscall,
    works_in_a_fork,
)

_CLONE_NEWNS = 0x00020000
_CLONE_NEWIPC = 0x08000000
_CLONE_NEWUSER = 0x10000000
_AT_FDCWD = -100
_AT_EMPTY_PATH = 0x1000
_AT_RECURSIVE = 0x8000
_OPEN_TREE_CLONE = 1
_OPEN_TREE_CLOEXEC = 0o2000000
_MOVE_MOUNT_F_EMPTY_PATH = 4
_MOUNT = 165
_MS_REC = 0x4000
_MS_PRIVATE = 1 << 18
_MS_NOSUID_NODEV = 2 | 4
_MNT_DETACH = 2
_MOUNT_ATTR_RDONLY = 1
_MOUNT_ATTR_NOSUID = 2

# Where the new root is put together; any directory does, it is hidden only in
# the new mount namespace, and only until the old root is gone.
_STAGE = "/tmp"  # noqa: S108 - nothing is created in the shared directory


def available() -> bool:
    """Say whether this process may make a user namespace and mount in it."""
    return works_in_a_fork(_mount_in_a_namespace)


def _mount_in_a_namespace() -> None:
    _unshare()
    syscall(_MOUNT, b"none", _STAGE.encode(), b"tmpfs", 0, None)


def enter(read: Iterable[str], hide: Iterable[str], write: Iterable[str]) -> None:
    """Move the calling process into a root that shows only the given paths.

    The process has all capabilities *inside* the new namespace afterwards: drop them.
    Its working directory is kept if it is visible. The signal at the parent's
    death (PR_SET_PDEATHSIG) is lost and must be set again.

    Args:
        read: paths to show read-only, with all that is mounted below.
        hide: paths below those that become empty.
        write: directories that may be written.

    Raises:
        OSError: the kernel refused.
    """
    directory = os.getcwd()
    _unshare()
    _mount(None, "/", None, _MS_REC | _MS_PRIVATE)
    # The mounts are taken hold of first, since the stage hides what is below it.
    # The deeper path comes later, so that it lies on top; writable wins over hidden.
    wanted = dict.fromkeys(read, "read") | dict.fromkeys(hide, "hide")
    wanted |= dict.fromkeys(write, "write")
    trees = [(path, wanted[path], _take(path)) for path in sorted(wanted, key=_depth)]
    _mount("none", _STAGE, "tmpfs", _MS_NOSUID_NODEV)
    for path, kind, tree in trees:
        if tree is not None:
            _place(path, kind, tree)
    for entry in os.listdir("/"):  # the rest of the top level: names, but nothing in them
        _shadow_of_top_level(entry)
    for path, kind, tree in trees:  # nothing has to be put into these any more
        if kind == "hide" and tree is not None:
            _set_attributes(_AT_FDCWD, _STAGE + path, _MOUNT_ATTR_RDONLY, 0)
    # Only the stage itself: the writable mounts below it stay writable.
    _set_attributes(_AT_FDCWD, _STAGE, _MOUNT_ATTR_RDONLY, 0)
    os.chdir(_STAGE)
    syscall(PIVOT_ROOT, b".", b".")  # the old root now lies on top of the new one
    syscall(UMOUNT2, b".", _MNT_DETACH)
    os.chdir(directory)


def _depth(path: str) -> tuple[int, str]:
    return path.rstrip("/").count("/"), path


def _unshare() -> None:
    user, group = os.geteuid(), os.getegid()
    syscall(UNSHARE, _CLONE_NEWUSER | _CLONE_NEWNS | _CLONE_NEWIPC)
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{user} {user} 1"),
        ("gid_map", f"{group} {group} 1"),
    ):
        handle = os.open(f"/proc/self/{name}", os.O_WRONLY)
        os.write(handle, text.encode())
        os.close(handle)


def _mount(source: str | None, target: str, kind: str | None, flags: int) -> None:
    syscall(
        _MOUNT,
        None if source is None else source.encode(),
        os.fsencode(target),
        None if kind is None else kind.encode(),
        flags,
        None,
    )


def _take(path: str) -> int | None:
    flags = _OPEN_TREE_CLONE | _OPEN_TREE_CLOEXEC | _AT_RECURSIVE
    try:
        return syscall(OPEN_TREE, _AT_FDCWD, os.fsencode(path), flags)
    except FileNotFoundError:
        return None  # a default path that this machine does not have


def _set_attributes(handle: int, path: str, attributes: int, flags: int) -> None:
    # struct mount_attr { __u64 attr_set, attr_clr, propagation, userns_fd; }
    value = attributes.to_bytes(8, "little") + bytes(24)
    syscall(MOUNT_SETATTR, handle, os.fsencode(path), flags, value, len(value))


def _place(path: str, kind: str, tree: int) -> None:
    target = _STAGE + path
    is_directory = stat.S_ISDIR(os.stat(tree).st_mode)
    _make_target(target, is_directory=is_directory)
    if kind == "hide":
        if is_directory:
            _mount("none", target, "tmpfs", _MS_NOSUID_NODEV)
        else:
            _mount("/dev/null", target, None, 0x1000)  # MS_BIND
    else:
        attributes = _MOUNT_ATTR_NOSUID | (_MOUNT_ATTR_RDONLY if kind == "read" else 0)
        _set_attributes(tree, "", attributes, _AT_EMPTY_PATH | _AT_RECURSIVE)
        syscall(MOVE_MOUNT, tree, b"", _AT_FDCWD, os.fsencode(target), _MOVE_MOUNT_F_EMPTY_PATH)
    os.close(tree)


def _make_target(target: str, *, is_directory: bool) -> None:
    os.makedirs(target if is_directory else os.path.dirname(target), exist_ok=True)
    if not is_directory and not os.path.lexists(target):
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o444))


def _shadow_of_top_level(entry: str) -> None:
    source, target = f"/{entry}", f"{_STAGE}/{entry}"
    if os.path.lexists(target):
        return
    if os.path.islink(source):
        os.symlink(os.readlink(source), target)
    elif os.path.isdir(source):
        os.mkdir(target, 0o755)
