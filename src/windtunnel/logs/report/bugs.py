# SPDX-License-Identifier: Apache-2.0
"""Families that begin with "BUG:" or "INFO:": bad accesses, stalls, and all the debugging aids.

Source: arch/*/mm/fault.c, kernel/watchdog.c, kernel/hung_task.c, kernel/rcu/tree_stall.h,
kernel/workqueue.c, mm/memory.c, mm/page_alloc.c, fs/dcache.c.
"""

from __future__ import annotations

from windtunnel.logs.report import locks
from windtunnel.logs.report.family import (
    INSTRUCTION,
    Family,
    Head,
    Path,
    Pick,
    Walk,
    expression,
    fault,
    one_of,
    stack,
)
from windtunnel.logs.report.sanitizers import KASAN, KCSAN, KFENCE, KMSAN, LEAK

_BAD_ACCESS = "bad-access in {frame}"
_STALL = "stall in {frame}"
_HANG = "hang in {frame}"

_BAD_ACCESSES = (
    Family(
        opening=expression(
            "BUG: (?:unable to handle kernel paging request"
            "|unable to handle page fault for address|Unable to handle kernel data access)"
        ),
        title="BUG: unable to handle kernel paging request in {frame}",
        aliases=(_BAD_ACCESS,),
        path=fault(),
    ),
    Family(
        opening=expression("BUG: (?:unable to handle )?[kK]ernel NULL pointer dereference"),
        title="BUG: unable to handle kernel NULL pointer dereference in {frame}",
        aliases=(_BAD_ACCESS,),
        path=fault(),
    ),
    # What it could not handle came with another printk(), and is lost.
    Family(
        opening=expression("BUG: [uU]nable to handle kernel"),
        title="BUG: unable to handle kernel",
        torn=True,
    ),
)
_SOFT_LOCKUP = Family(
    opening=expression("BUG: soft lockup"),
    title="BUG: soft lockup in {frame}",
    aliases=(_STALL,),
    path=fault(pick=Pick.STALL),
)


def _plain(text: str) -> Family:
    return Family(opening=expression(text), title=text, traceless=True)


_MEMORY = (
    _plain("BUG: Bad rss-counter state"),
    _plain("BUG: non-zero nr_ptes on freeing mm"),
    _plain("BUG: non-zero nr_pmds on freeing mm"),
    Family(
        # Types of file systems and names of devices would make many bugs of one.
        opening=expression("BUG: Dentry .* still in use"),
        clues=(expression(r"BUG: Dentry .* still in use \(\d+\) \[(unmount) of ([^\]]+)\]"),),
        title="BUG: Dentry still in use in {0}",
        aliases=("BUG: Dentry still in use [{0} of {1}]",),
        traceless=True,  # the trace is that of a warning that follows
    ),
    Family(
        opening=expression("BUG: Bad page (state|cache)"),
        title="BUG: Bad page {0} in {frame}",
        # Where it was noticed says little; where the page was allocated says more.
        path=Path(
            (expression("page last allocated"), Walk.TRACE),
            passed_over=one_of(
                "(?:free|put|get|update|release)_page",
                "free_unref",
                "^_*folio",
                "truncate_inode_pages",
                "page_frag_free",
                "alloc",
                "vmap",
                "page_owner",
            ),
        ),
    ),
    Family(opening=expression("BUG: Bad page map"), title="BUG: Bad page map"),
)
_WORKQUEUE_LOCKUP = _plain("BUG: workqueue lockup")
_STACK_GUARD = Family(
    opening=expression("BUG: .*stack guard page was hit at"),
    title="BUG: stack guard page was hit in {frame}",
    aliases=("stack-overflow in {frame}",),
    path=fault(pick=Pick.STALL),
)

BUGS = Head(
    "BUG:",
    (
        *KASAN,
        *KMSAN,
        *KCSAN,
        *KFENCE,
        *_BAD_ACCESSES,
        locks.SPINLOCKS,
        _SOFT_LOCKUP,
        locks.OLD_STILL_HELD,
        locks.ATOMIC,
        *locks.OLD_HELD,
        *_MEMORY,
        _WORKQUEUE_LOCKUP,
        *locks.SLEEPING,
        LEAK,
        _STACK_GUARD,
        locks.WAIT_CONTEXT,
        Family(opening=expression(r"BUG:\s*$"), title="BUG: corrupted", torn=True),
    ),
    harmless=one_of(
        "DEBUG:",  # ODEBUG: has a warning of its own
        "xlog_status:",
        "BUG: no syscalls can create resource",
    ),
)

_INTERRUPTED = expression("apic_timer_interrupt|Exception stack|el1h_64_irq")
_RCU_STALL = Family(
    opening=expression(
        r"INFO: rcu_(?:preempt|sched|bh|tasks) (?:self-)?detected(?: expedited)? stall"
    ),
    title="INFO: rcu detected stall in {frame}",
    aliases=(_STALL,),
    # What the processor did is below the interrupt that noticed the stall.
    path=Path(
        (expression("apic_timer_interrupt"), INSTRUCTION, Walk.TRACE),
        otherwise=(_INTERRUPTED, Walk.TRACE),
        passed_over=one_of("apic_timer_interrupt", "rcu"),
        pick=Pick.STALL,
    ),
)
_HUNG = (
    Family(
        opening=expression(
            r"INFO: task .{0,100}? blocked (?:in I/O wait )?for more than \d+ seconds"
        ),
        title="INFO: task hung in {frame}",
        aliases=(_HANG,),
        path=stack(pick=Pick.HUNG),
    ),
    Family(
        opening=expression("INFO: task .{0,100}? can't die for more than .* seconds"),
        title="INFO: task can't die in {frame}",
        aliases=(_HANG,),
        path=stack("schedule"),
    ),
)

INFOS = Head(
    "INFO:",
    (
        *locks.OLD_LOCKDEP,
        _RCU_STALL,
        locks.UNREGISTERED,
        locks.OLD_SUSPICIOUS_RCU,
        *_HUNG,
        # From the middle of a report of an old KASAN.
        Family(
            opening=expression("INFO: (Freed|Allocated) in (.*)"),
            title="INFO: {0} in {1}",
            torn=True,
        ),
        Family(opening=expression(r"INFO:\s*$"), title="INFO: corrupted", torn=True),
    ),
    harmless=one_of(
        "INFO: lockdep is turned off",
        "INFO: Stall ended before state dump start",
        "INFO: NMI handler",
        "INFO: recovery required on readonly filesystem",
        "(?:handler|interrupt).*took too long",
        "INFO: sys_.* is not present in /proc/kallsyms",
        "INFO: no syscalls can create resource",
        "rmt_storage:INFO:",
        "_INFO:",
    ),
)
