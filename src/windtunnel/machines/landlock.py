# SPDX-License-Identifier: Apache-2.0
# The words of the system calls, on the start path of every command:
# ruff: noqa: PTH116
"""Landlock: this process gives up files, ports and signals for ever, without privilege.

Everything that a ruleset *handles* is denied, except where a rule allows it.
Source: include/uapi/linux/landlock.h, Documentation/userspace-api/landlock.rst.
"""

import os
import struct
from collections.abc import Iterable

from windtunnel.machines.syscalls import (
    LANDLOCK_ADD_RULE,
    LANDLOCK_CREATE_RULESET,
    LANDLOCK_RESTRICT_SELF,
    syscall,
)

EXECUTE = 1 << 0
WRITE_FILE = 1 << 1
READ_FILE = 1 << 2
READ_DIR = 1 << 3
MAKE_CHAR = 1 << 6
MAKE_BLOCK = 1 << 11
REFER = 1 << 13  # link or rename between directories; ABI 2
TRUNCATE = 1 << 14  # ABI 3
IOCTL_DEV = 1 << 15  # ABI 5
RESOLVE_UNIX = 1 << 16  # connect to a socket by its path; ABI 9

READ = EXECUTE | READ_FILE | READ_DIR
# A guest never makes device nodes on the host, not even where it may write.
WRITE = ((1 << 17) - 1) & ~(MAKE_CHAR | MAKE_BLOCK)
# A rule for something that is not a directory may name only these.
_FILE_RIGHTS = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV | RESOLVE_UNIX

_NET_TCP = 0b0011  # bind and connect; ABI 4
_NET_UDP = 0b1100  # bind, connect and send; ABI 10
_SCOPES = 0b11  # abstract unix sockets, signals; ABI 6
_CREATE_RULESET_VERSION = 1
_RULE_PATH_BENEATH = 1

# What the ABIs lack: (first ABI that has it, what a guest can do before that).
# The seccomp filter closes the holes that it can see; see `confine.gaps`.
MISSING_BEFORE = (
    (6, "send signals to the user's other processes, connect to abstract unix sockets"),
    (9, "connect to a unix socket whose path it knows"),
)


def abi() -> int:
    """Return the Landlock version of this kernel, 0 when there is none."""
    try:
        return syscall(LANDLOCK_CREATE_RULESET, None, 0, _CREATE_RULESET_VERSION)
    except OSError:
        return 0


def filesystem_rights(version: int) -> int:
    """Return the mask of all file system rights that an ABI version (>= 1) knows."""
    count = 13  # version 1
    for first_version, total in ((2, 14), (3, 15), (5, 16), (9, 17)):
        if version >= first_version:
            count = total
    return (1 << count) - 1


def ruleset_attribute(version: int) -> bytes:
    """Return the struct landlock_ruleset_attr that handles all that a version knows."""
    network = (_NET_TCP if version >= 4 else 0) | (_NET_UDP if version >= 10 else 0)
    scopes = _SCOPES if version >= 6 else 0
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    return struct.pack("=QQQ", filesystem_rights(version), network, scopes)[:size]


def restrict(rules: Iterable[tuple[str, int]], version: int) -> None:
    """Confine the calling process and all that it starts, for good.

    no_new_privs must be set. Paths that do not exist are left out: what does
    not exist now can not be reached later either.

    Args:
        rules: (path, rights) pairs; the rights hold for all that is below.
        version: what `abi` returned, at least 1.

    Raises:
        OSError: the kernel refused.
    """
    known = filesystem_rights(version)
    attribute = ruleset_attribute(version)
    ruleset = syscall(LANDLOCK_CREATE_RULESET, attribute, len(attribute), 0)
    for path, rights in rules:
        try:
            handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue
        is_directory = os.stat(handle).st_mode & 0o170000 == 0o040000
        allowed = rights & known & (known if is_directory else _FILE_RIGHTS)
        rule = struct.pack("=Qi", allowed, handle)  # struct landlock_path_beneath_attr, packed
        syscall(LANDLOCK_ADD_RULE, ruleset, _RULE_PATH_BENEATH, rule, 0)
        os.close(handle)
    syscall(LANDLOCK_RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)
