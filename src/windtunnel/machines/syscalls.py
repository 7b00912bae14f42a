# SPDX-License-Identifier: Apache-2.0
"""The few Linux system calls that Python does not offer, by their number.

Numbers are those of x86-64 where the architectures differ; calls from 424 on
have the same number everywhere. User Mode Linux exists on x86 only, so do we.
"""

import ctypes
import os
from collections.abc import Callable

PTRACE = 101
PRCTL = 157
CAPSET = 126
PIVOT_ROOT = 155
UMOUNT2 = 166
UNSHARE = 272
SECCOMP = 317
OPEN_TREE = 428
MOVE_MOUNT = 429
CLOSE_RANGE = 436
MOUNT_SETATTR = 442
LANDLOCK_CREATE_RULESET = 444
LANDLOCK_ADD_RULE = 445
LANDLOCK_RESTRICT_SELF = 446

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def syscall(number: int, *arguments: int | bytes | None) -> int:
    """Make one system call.

    Args:
        number: the call, for x86-64.
        arguments: integers are passed as 64 bits, bytes as a pointer to a copy
            that ends with a zero byte, None as the null pointer.

    Returns:
        What the kernel returned, never negative.

    Raises:
        OSError: the kernel refused; `errno` says why.
    """
    values = [
        ctypes.c_void_p(None)
        if argument is None
        else ctypes.c_char_p(argument)
        if isinstance(argument, bytes)
        else ctypes.c_long(argument)
        for argument in arguments
    ]
    result: int = _libc.syscall(ctypes.c_long(number), *values)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), f"system call {number}")
    return result


PR_SET_NO_NEW_PRIVS = 38
"""For `prctl`: nothing that this process executes gives it more rights."""

PR_SET_PDEATHSIG = 1
"""For `prctl`: the signal that this process gets when its parent ends."""


def prctl(option: int, *arguments: int | bytes) -> int:
    """Set or ask something of this process; unused arguments are zero, as new options demand."""
    padding = (0,) * (4 - len(arguments))
    return syscall(PRCTL, option, *arguments, *padding)


def works_in_a_fork(act: Callable[[], object]) -> bool:
    """Whether something that changes a process for good can be done here (about 2 ms)."""
    child = os.fork()
    if child == 0:
        try:
            act()
            os._exit(0)
        except OSError:
            os._exit(1)
    return os.waitpid(child, 0)[1] == 0
