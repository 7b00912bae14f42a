# SPDX-License-Identifier: Apache-2.0
"""Families that begin with "WARNING:": WARN_ON() in any place, and lockdep.

Source: kernel/panic.c, __warn(); arch/x86/kernel/unwind_*.c for bad frames.
"""

from __future__ import annotations

from windtunnel.logs.report.family import (
    FUNCTION,
    SOURCE,
    Family,
    Head,
    expression,
    one_of,
    warned,
)
from windtunnel.logs.report.locks import (
    LOCKDEP_DEADLOCKS,
    LOCKDEP_LATER_WARNINGS,
    LOCKDEP_WARNINGS,
    LOCKING_BUG,
)


def _in(opening: str, title: str, *passed_over: str) -> Family:
    return Family(opening=expression(f"WARNING: {opening}"), title=title, path=warned(*passed_over))


def _unwinder(opening: str, title: str) -> Family:
    return Family(
        opening=expression(f"WARNING: kernel stack {opening}"), title=title, traceless=True
    )


# Warnings in code that everybody calls: named after the caller.
_ON_BEHALF = (
    _in(
        r".*lib/debugobjects\.c.* (?:debug_print|debug_check|at)",
        "WARNING: ODEBUG bug in {frame}",
        "debug_",
        "rcu",
        "hrtimer_",
        "timer_",
        "work_",
        "percpu_",
        "vunmap",
        "vfree",
        "__free_",
        "kobject_",
    ),
    _in(
        r".*mm/usercopy\.c.* (?:usercopy_warn|at)",
        "WARNING: bad usercopy in {frame}",
        "usercopy",
        "__check",
    ),
    _in(r".*lib/kobject\.c.* (?:kobject_|at)", "WARNING: kobject bug in {frame}", "kobject_"),
    _in(
        r".*fs/proc/generic\.c.* (?:proc_register|at)",
        "WARNING: proc registration bug in {frame}",
        "proc_",
    ),
    _in(
        r".*lib/refcount\.c.* (?:refcount_|at)",
        "WARNING: refcount bug in {frame}",
        "refcount",
        "kobject_",
    ),
)
_IN_MEMORY_AND_USB = (
    _in(
        r".*mm/.*\.c.* k?.?malloc",
        "WARNING: kmalloc bug in {frame}",
        "kmalloc",
        "krealloc",
        "slab",
        "kmem",
    ),
    _in(r".*mm/vmalloc.c.*__vmalloc_node", "WARNING: zero-size vmalloc in {frame}"),
    _in(
        ".* usb_submit_urb",
        "WARNING in {frame}/usb_submit_urb",
        r"usb_(?:submit_urb|start_wait_urb|(?:bulk|interrupt|control)_msg)",
    ),
)
_ANYWHERE = (
    # Since 2025 ("x86: BUG/WARN rework") the headline has no function.
    _in(rf"{SOURCE} at 0x\d+, CPU#\d+", "WARNING in {frame}"),
    _in(rf".* at {SOURCE} {FUNCTION}", "WARNING in {frame}"),
    _in(rf"{SOURCE} at {FUNCTION}", "WARNING in {frame}"),
    _in(rf"\[.*\] {SOURCE} at {FUNCTION}", "WARNING in {frame}"),
)
_UNWINDER = (
    _unwinder(
        r"regs at [0-9a-f]+ in [^ ]* has bad '([^']+)' value",
        "WARNING: kernel stack regs has bad '{0}' value",
    ),
    _unwinder(
        r"frame pointer at [0-9a-f]+ in [^ ]* has bad value",
        "WARNING: kernel stack frame pointer has bad value",
    ),
)
# With a line of somebody else's in the middle.
_UNWINDER_TORN = (
    _unwinder("regs .* has bad 'bp' value", "WARNING: kernel stack regs has bad value"),
    _unwinder("frame pointer .* has bad value", "WARNING: kernel stack regs has bad value"),
)

WARNINGS = Head(
    "WARNING:",
    (
        *_ON_BEHALF,
        LOCKING_BUG,
        *LOCKDEP_WARNINGS,
        *_IN_MEMORY_AND_USB,
        *_ANYWHERE,
        *LOCKDEP_DEADLOCKS,
        *_UNWINDER,
        *LOCKDEP_LATER_WARNINGS,
        *_UNWINDER_TORN,
        Family(opening=expression(r"WARNING:\s*$"), title="WARNING: corrupted", torn=True),
    ),
    harmless=one_of(
        "WARNING: /etc/ssh/moduli does not exist",
        "WARNING: workqueue cpumask: online intersect > possible intersect",
        "WARNING: [Tt]he mand mount option",
        r"WARNING: Unsupported flag value\(s\) of 0x%x in DT_FLAGS_1",  # the dynamic loader's
        "WARNING: Unprivileged eBPF is enabled with eIBRS",
        r"WARNING: fbcon: Driver '.*' missed to adjust virtual screen size",
        "WARNING: See https.* for mitigation options",
        "WARNING: kernel not compiled with CPU_SRSO",
        r"EXT4-[Ff][Ss](?: \(.*\))?:",
        "(?i:warning: .* uses (?:deprecated v2 capabilities|wireless extensions))",
        r"XFS \(\w+\): WARNING",
    ),
)
