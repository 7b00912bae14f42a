# SPDX-License-Identifier: Apache-2.0
"""What a report is about, told from its title.

The words are those of syzbot, so that reports can be counted together with its.
"""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """What went wrong."""

    ATOMIC_SLEEP = "ATOMIC_SLEEP"
    BUG = "BUG"
    DENIAL = "DoS"
    FILE_SYSTEM = "FILE_SYSTEM"
    HANG = "HANG"
    KASAN_INVALID_FREE = "KASAN-INVALID-FREE"
    KASAN_NULL_READ = "KASAN-NULL-POINTER-DEREFERENCE-READ"
    KASAN_NULL_WRITE = "KASAN-NULL-POINTER-DEREFERENCE-WRITE"
    KASAN_READ = "KASAN-READ"
    KASAN_UNKNOWN = "KASAN-UNKNOWN"
    KASAN_FREED_READ = "KASAN-USE-AFTER-FREE-READ"
    KASAN_FREED_WRITE = "KASAN-USE-AFTER-FREE-WRITE"
    KASAN_WRITE = "KASAN-WRITE"
    KCSAN_ASSERT = "KCSAN-ASSERT"
    KCSAN_RACE = "KCSAN-DATARACE"
    KCSAN_UNKNOWN = "KCSAN-UNKNOWN"
    KFENCE_INVALID_FREE = "KFENCE-INVALID-FREE"
    KFENCE_CORRUPTION = "KFENCE-MEMORY-CORRUPTION"
    KFENCE_READ = "KFENCE-READ"
    KFENCE_UNKNOWN = "KFENCE-UNKNOWN"
    KFENCE_FREED_READ = "KFENCE-USE-AFTER-FREE-READ"
    KFENCE_FREED_WRITE = "KFENCE-USE-AFTER-FREE-WRITE"
    KFENCE_WRITE = "KFENCE-WRITE"
    KMSAN_LEAK = "KMSAN-INFO-LEAK"
    KMSAN_UNINIT = "KMSAN-UNINIT-VALUE"
    KMSAN_UNKNOWN = "KMSAN-UNKNOWN"
    KMSAN_FREED_READ = "KMSAN-USE-AFTER-FREE-READ"
    LEAK = "LEAK"
    LOCKDEP = "LOCKDEP"
    MEMORY_SAFETY = "MEMORY_SAFETY_BUG"
    NULL_POINTER = "NULL-POINTER-DEREFERENCE"
    OUT_OF_MEMORY = "OUT_OF_MEMORY"
    REBOOT = "REBOOT"
    REFCOUNT = "REFCOUNT_WARNING"
    SEGFAULT = "SEGFAULT"
    FUZZER = "SYZ_FAILURE"
    UBSAN = "UBSAN"
    UBSAN_BOUNDS = "MEMORY_SAFETY_UBSAN"
    UNKNOWN = ""
    WARNING = "WARNING"


# Where it was bad to read or write, as KASAN names it.
_BOUNDS = (
    "global-out-of-bounds",
    "out-of-bounds",
    "slab-out-of-bounds",
    "stack-out-of-bounds",
    "user-memory-access",
    "vmalloc-out-of-bounds",
    "wild-memory-access",
)

# The longest beginning that fits decides. Where nothing says whether it was a read
# or a write, it was at least a read.
_BEGINNINGS: dict[str, Kind] = {
    **{f"KASAN: {word} Write": Kind.KASAN_WRITE for word in _BOUNDS},
    **{f"KASAN: {word} Read": Kind.KASAN_READ for word in _BOUNDS},
    "KASAN: invalid-access Read": Kind.KASAN_READ,
    "KASAN: unknown-crash Read": Kind.KASAN_READ,
    "KASAN: slab-out-of-bounds": Kind.KASAN_READ,
    "KASAN: stack-out-of-bounds": Kind.KASAN_READ,
    "KASAN: wild-memory-access": Kind.KASAN_READ,
    "KASAN: null-ptr-deref Read": Kind.KASAN_NULL_READ,
    "KASAN: null-ptr-deref Write": Kind.KASAN_NULL_WRITE,
    "KASAN: double-free or invalid-free": Kind.KASAN_INVALID_FREE,
    "KASAN: invalid-free": Kind.KASAN_INVALID_FREE,
    "KASAN: use-after-free": Kind.KASAN_FREED_READ,
    "KASAN: use-after-free Write": Kind.KASAN_FREED_WRITE,
    "KASAN: slab-use-after-free Read": Kind.KASAN_FREED_READ,
    "KASAN: slab-use-after-free Write": Kind.KASAN_FREED_WRITE,
    "KASAN:": Kind.KASAN_UNKNOWN,
    "KFENCE: use-after-free": Kind.KFENCE_FREED_READ,
    "KFENCE: use-after-free write": Kind.KFENCE_FREED_WRITE,
    "KFENCE: invalid read": Kind.KFENCE_READ,
    "KFENCE: invalid write": Kind.KFENCE_WRITE,
    "KFENCE: out-of-bounds": Kind.KFENCE_READ,
    "KFENCE: out-of-bounds write": Kind.KFENCE_WRITE,
    "KFENCE: memory corruption": Kind.KFENCE_CORRUPTION,
    "KFENCE: invalid free": Kind.KFENCE_INVALID_FREE,
    "KFENCE:": Kind.KFENCE_UNKNOWN,
    "KMSAN: uninit-value": Kind.KMSAN_UNINIT,
    "KMSAN: kernel-infoleak": Kind.KMSAN_LEAK,
    "KMSAN: kernel-usb-infoleak": Kind.KMSAN_LEAK,
    "KMSAN: kernel-infoleak-after-free": Kind.KMSAN_FREED_READ,
    "KMSAN: kernel-usb-infoleak-after-free": Kind.KMSAN_FREED_READ,
    "KMSAN: use-after-free": Kind.KMSAN_FREED_READ,
    "KMSAN:": Kind.KMSAN_UNKNOWN,
    "KCSAN: data-race": Kind.KCSAN_RACE,
    "KCSAN: assert: race in": Kind.KCSAN_ASSERT,
    "KCSAN:": Kind.KCSAN_UNKNOWN,
    "UBSAN: array-index-out-of-bounds": Kind.UBSAN_BOUNDS,
    "UBSAN:": Kind.UBSAN,
    "BUG: unable to handle kernel NULL pointer dereference in": Kind.NULL_POINTER,
    "BUG: unable to handle kernel paging request": Kind.MEMORY_SAFETY,
    "BUG: corrupted list": Kind.MEMORY_SAFETY,
    "kernel mode fault in": Kind.MEMORY_SAFETY,
    "BUG: bad usercopy in": Kind.BUG,
    "kernel BUG": Kind.BUG,
    "BUG: bad unlock balance in": Kind.LOCKDEP,
    "BUG: held lock freed in": Kind.LOCKDEP,
    "BUG: rwlock": Kind.LOCKDEP,
    "BUG: spinlock": Kind.LOCKDEP,
    "BUG: still has locks held in": Kind.LOCKDEP,
    "BUG: using": Kind.LOCKDEP,
    "WARNING: bad unlock balance in": Kind.LOCKDEP,
    "WARNING: held lock freed in": Kind.LOCKDEP,
    "WARNING: lock held": Kind.LOCKDEP,
    "WARNING: locking bug in": Kind.LOCKDEP,
    "WARNING: nested lock was not taken in": Kind.LOCKDEP,
    "WARNING: still has locks held in": Kind.LOCKDEP,
    "WARNING: suspicious RCU usage in": Kind.LOCKDEP,
    "inconsistent lock state in": Kind.LOCKDEP,
    "possible deadlock in": Kind.LOCKDEP,
    "BUG: scheduling while atomic in": Kind.ATOMIC_SLEEP,
    "BUG: sleeping function called from invalid context in": Kind.ATOMIC_SLEEP,
    "memory leak in": Kind.LEAK,
    "WARNING: refcount bug": Kind.REFCOUNT,
    # The unwinder's own complaints come through printk, and are no warning of the kernel's.
    "WARNING: corrupted": Kind.UNKNOWN,
    "WARNING: kernel stack frame pointer has bad value": Kind.UNKNOWN,
    "WARNING: kernel stack regs has bad": Kind.UNKNOWN,
    "WARNING in": Kind.WARNING,
    "WARNING:": Kind.WARNING,
    "BUG: soft lockup in": Kind.HANG,
    "hard lockup in": Kind.HANG,
    "INFO: rcu detected stall in": Kind.HANG,
    "INFO: task can't die in": Kind.HANG,
    "INFO: task hung in": Kind.HANG,
    "BUG: Object already free": Kind.DENIAL,
    "VFS: Busy inodes after unmount (use-after-free)": Kind.DENIAL,
    "VFS: Close: file count is zero (use-after-free)": Kind.DENIAL,
    "unregister_netdevice: waiting for DEV to become free": Kind.DENIAL,
    "Alignment trap in": Kind.DENIAL,
    "Internal error in": Kind.DENIAL,
    "Unhandled fault in": Kind.DENIAL,
    "PANIC: double fault": Kind.DENIAL,
    "divide error in": Kind.DENIAL,
    "general protection fault in": Kind.DENIAL,
    "go runtime error": Kind.DENIAL,
    "int3 in": Kind.DENIAL,
    "invalid opcode in": Kind.DENIAL,
    "kernel panic:": Kind.DENIAL,
    "kernel stack overflow": Kind.DENIAL,
    "panic:": Kind.DENIAL,
    "stack segment fault in": Kind.DENIAL,
    "trusty:": Kind.DENIAL,
    "unexpected kernel reboot": Kind.REBOOT,
    "SYZFAIL": Kind.FUZZER,
    "SYZFATAL:": Kind.FUZZER,
    "out of memory": Kind.OUT_OF_MEMORY,
    "page allocation failure": Kind.OUT_OF_MEMORY,
    "segfault in": Kind.SEGFAULT,
    "trap in": Kind.SEGFAULT,
    "file system error": Kind.FILE_SYSTEM,
}
_LENGTHS = sorted({len(beginning) for beginning in _BEGINNINGS}, reverse=True)


def kind_of(title: str) -> Kind:
    """Tell what a report is about.

    Args:
        title: of the report, as `Report.title` has it.
    """
    for length in _LENGTHS:
        kind = _BEGINNINGS.get(title[:length])
        if kind is not None:
            return kind
    return Kind.UNKNOWN
