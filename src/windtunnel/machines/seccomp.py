# SPDX-License-Identifier: Apache-2.0
"""A seccomp filter: the system calls that a guest's host process never needs.

User Mode Linux serves the guest's system calls itself: in ptrace mode they never
reach this filter (PTRACE_SYSEMU comes first), in seccomp mode the trap of its own
filter outranks our refusal. So the guest's programs may call all of these;
only the process on the host, whoever controls it, may not.
Source: Documentation/userspace-api/seccomp_filter.rst, include/uapi/linux/{filter,seccomp}.h.
"""

import ctypes
import errno
import signal
import struct
from collections.abc import Iterable

from windtunnel.machines.syscalls import (
    PR_SET_NO_NEW_PRIVS,
    SECCOMP,
    prctl,
    syscall,
    works_in_a_fork,
)

AUDIT_ARCH_X86_64 = 0xC000003E
ALLOW = 0x7FFF0000
USER_NOTIF = 0x7FC00000
ERRNO = 0x00050000
_X32_BIT = 0x40000000

_SET_MODE_FILTER = 1
# Without it, kernels before 5.16 slow every process under a filter down.
_FLAG_SPEC_ALLOW = 1 << 2
_FLAG_NEW_LISTENER = 1 << 3

# struct seccomp_data { int nr; __u32 arch; __u64 ip; __u64 args[6]; }
_OFFSET_NUMBER = 0
_OFFSET_ARCH = 4
_OFFSET_FIRST_ARGUMENT = 16  # the low half; the arguments that we look at are 32 bits wide

# BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_JMP|JGE|K, BPF_JMP|JSET|K, BPF_RET|K
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06

Instruction = tuple[int, int, int, int]
"""code, jump if true, jump if false, constant."""

CLONE, CLONE3, IOCTL, KILL, PRLIMIT64, SOCKET, SOCKETPAIR = 56, 435, 16, 62, 302, 41, 53

_AF_UNIX = 1
_CLONE_NEW_NAMESPACES = 0x7E020000

DENIED_ALWAYS: dict[str, int] = {
    # Mounts and name spaces.
    "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161, "setns": 308,
    "unshare": 272, "open_tree": 428, "move_mount": 429, "fsopen": 430, "fsconfig": 431,
    "fsmount": 432, "fspick": 433, "mount_setattr": 442, "open_tree_attr": 467,
    "open_by_handle_at": 304, "name_to_handle_at": 303, "fanotify_init": 300,
    # The host's kernel.
    "init_module": 175, "finit_module": 313, "delete_module": 176, "kexec_load": 246,
    "kexec_file_load": 320, "bpf": 321, "perf_event_open": 298, "userfaultfd": 323,
    "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427,
    "reboot": 169, "swapon": 167, "swapoff": 168, "sethostname": 170, "setdomainname": 171,
    "iopl": 172, "ioperm": 173, "acct": 163, "quotactl": 179, "quotactl_fd": 443, "syslog": 103,
    "settimeofday": 164, "clock_settime": 227, "adjtimex": 159, "clock_adjtime": 305,
    "vhangup": 153,
    # Keys of the user's session.
    "add_key": 248, "request_key": 249, "keyctl": 250,
    # Other processes of the same user.
    "process_vm_readv": 310, "process_vm_writev": 311, "process_madvise": 440,
    "pidfd_getfd": 438, "kcmp": 312, "move_pages": 279, "migrate_pages": 256,
    "setpriority": 141, "sched_setparam": 142, "sched_setscheduler": 144,
    "sched_setaffinity": 203, "sched_setattr": 314, "ioprio_set": 251,
    # System V and POSIX objects have no path that Landlock could guard.
    "shmget": 29, "shmat": 30, "shmctl": 31, "semget": 64, "semop": 65, "semctl": 66,
    "semtimedop": 220, "msgget": 68, "msgsnd": 69, "msgrcv": 70, "msgctl": 71,
    "mq_open": 240, "mq_unlink": 241,
}  # fmt: skip

DENIED_METADATA: dict[str, int] = {
    # Landlock can not restrict these (and has no rights for them), and they work on
    # whatever the user owns, whether it is opened for writing or not.
    "chmod": 90, "fchmod": 91, "fchmodat": 268, "fchmodat2": 452,
    "chown": 92, "fchown": 93, "lchown": 94, "fchownat": 260,
    "utime": 132, "utimes": 235, "futimesat": 261, "utimensat": 280,
    "setxattr": 188, "lsetxattr": 189, "fsetxattr": 190, "setxattrat": 463,
    "removexattr": 197, "lremovexattr": 198, "fremovexattr": 199, "removexattrat": 466,
    "file_setattr": 469,
}  # fmt: skip

TRUNCATE = 76

# Requests that put words into the user's terminal, and those that change a file's
# flags through a descriptor that was opened for reading only.
DENIED_IOCTLS: dict[str, int] = {
    "TIOCSTI": 0x5412, "TIOCLINUX": 0x541C,
    "FS_IOC_SETFLAGS": 0x40086602, "FS_IOC32_SETFLAGS": 0x40046602,
    "FS_IOC_SETVERSION": 0x40087602, "FS_IOC_FSSETXATTR": 0x401C5820,
    "FS_IOC_ENABLE_VERITY": 0x40806685, "FS_IOC_SET_ENCRYPTION_POLICY": 0x800C6613,
}  # fmt: skip


def program(denied: Iterable[int], *, tell_abort: bool = False) -> list[Instruction]:
    """Return the filter: everything is allowed, except as listed.

    Args:
        denied: numbers of the calls that fail with EPERM whatever their arguments.
        tell_abort: whoever listens is asked about kill(…, SIGABRT), and answers; without
            a listener that call fails. See `abort`.

    Returns:
        The instructions. Calls of another architecture (32-bit, x32) and clone3,
        whose flags a filter can not see, fail with ENOSYS: libraries then use clone.
    """
    refuse: Instruction = (_RETURN, 0, 0, ERRNO | errno.EPERM)
    absent: Instruction = (_RETURN, 0, 0, ERRNO | errno.ENOSYS)
    allow: Instruction = (_RETURN, 0, 0, ALLOW)
    lines: list[Instruction] = [
        (_LOAD, 0, 0, _OFFSET_ARCH),
        (_EQUAL, 1, 0, AUDIT_ARCH_X86_64),
        absent,
        (_LOAD, 0, 0, _OFFSET_NUMBER),
        (_AT_LEAST, 0, 1, _X32_BIT),
        absent,
        (_EQUAL, 0, 1, CLONE3),
        absent,
    ]
    for number in sorted(denied):
        lines += [(_EQUAL, 0, 1, number), refuse]

    def look(number: int, argument: int, tests: list[Instruction]) -> None:
        # When the call is `number`: load an argument, run the tests, allow.
        lines.append((_EQUAL, 0, len(tests) + 2, number))
        lines.append((_LOAD, 0, 0, _OFFSET_FIRST_ARGUMENT + 8 * argument))
        lines.extend([*tests, allow])

    only_unix: list[Instruction] = [(_EQUAL, 1, 0, _AF_UNIX), refuse]
    look(SOCKET, 0, only_unix)
    look(SOCKETPAIR, 0, only_unix)
    look(CLONE, 0, [(_ANY_BIT, 0, 1, _CLONE_NEW_NAMESPACES), refuse])
    look(PRLIMIT64, 0, [(_EQUAL, 1, 0, 0), refuse])  # 0: this process itself
    requests = sorted(DENIED_IOCTLS.values())
    look(IOCTL, 1, [line for request in requests for line in ((_EQUAL, 0, 1, request), refuse)])
    if tell_abort:
        look(KILL, 1, list(_TELL_ABORT))
    return [*lines, allow]


_TELL_ABORT: tuple[Instruction, ...] = (
    (_EQUAL, 0, 1, signal.SIGABRT),
    (_RETURN, 0, 0, USER_NOTIF),
)


def only_abort() -> list[Instruction]:
    """Return the filter of a guest that may do everything: it only tells of kill(…, SIGABRT)."""
    allow: Instruction = (_RETURN, 0, 0, ALLOW)
    return [
        (_LOAD, 0, 0, _OFFSET_ARCH),
        (_EQUAL, 1, 0, AUDIT_ARCH_X86_64),
        allow,
        (_LOAD, 0, 0, _OFFSET_NUMBER),
        (_EQUAL, 1, 0, KILL),
        allow,
        (_LOAD, 0, 0, _OFFSET_FIRST_ARGUMENT + 8),
        *_TELL_ABORT,
        allow,
    ]


def denied_numbers(*, metadata: bool, truncate: bool) -> set[int]:
    """Return the calls to deny.

    Args:
        metadata: also deny changes of modes, owners, times and attributes.
        truncate: also deny truncate(2) by path, which Landlock before ABI 3 does not see.
    """
    numbers = set(DENIED_ALWAYS.values())
    if metadata:
        numbers |= set(DENIED_METADATA.values())
    if truncate:
        numbers.add(TRUNCATE)
    return numbers


def install(instructions: list[Instruction], *, listen: bool = False) -> int | None:
    """Put the calling process and all that it starts under a filter, for good.

    no_new_privs must be set.

    Args:
        instructions: of the filter.
        listen: whether to make the end at which a listener is asked.

    Returns:
        The listener's descriptor, closed by an exec; None without one.

    Raises:
        OSError: the kernel has no seccomp filters, or refuses this one. With `listen`:
            it is older than 5.0, or we are under somebody's filter who listens already.
    """
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in instructions)
    buffer = ctypes.create_string_buffer(code, len(code))
    header = struct.pack("=H6xQ", len(instructions), ctypes.addressof(buffer))
    flags = _FLAG_SPEC_ALLOW | (_FLAG_NEW_LISTENER if listen else 0)
    result = syscall(SECCOMP, _SET_MODE_FILTER, flags, header)
    return result if listen else None


def can_listen() -> bool:
    """Say whether a guest's filter may have a listener on this machine."""
    return works_in_a_fork(_listen)


def _listen() -> None:
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    install(only_abort(), listen=True)
