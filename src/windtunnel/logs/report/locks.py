# SPDX-License-Identifier: Apache-2.0
"""Families of what is wrong with locks: lockdep, its cousins, and sleeping in the wrong place.

Source: kernel/locking/lockdep.c, kernel/locking/spinlock_debug.c, kernel/sched/core.c,
lib/smp_processor_id.c. Until Linux 4.12 lockdep began with "INFO:" or "BUG:", since then
with "WARNING:".
"""

from __future__ import annotations

from windtunnel.logs.report.family import (
    AT,
    CALL_TRACE,
    FUNCTION,
    PC,
    SOURCE,
    Family,
    Path,
    Walk,
    expression,
    one_of,
    stack,
    warned,
)

_DEADLOCK = "possible deadlock in {frame}"
_AT = expression(AT)
_OLD_AT = expression(rf"at: {PC} +{FUNCTION}")
_ACQUIRE = expression("is trying to acquire lock")
_RCU = stack("rcu", "kmem", "slab")
_LEAVING = (expression("leaving the kernel with locks still held"), _AT)
_SOCKET = ("lock_sock", "release_sock")


def _deadlock(opening: str, *clues: str) -> Family:
    """A report whose lock's place is the clues' last group."""
    return Family(
        opening=expression(opening),
        clues=tuple(expression(clue) for clue in (opening, *clues)),
        title="possible deadlock in {0}",
    )


def _unlock_balance(word: str) -> Family:
    return Family(
        opening=expression(f"{word}: bad unlock balance detected!"),
        title=f"{word}: bad unlock balance in {{frame}}",
        path=Path((expression(rf"{PC} +{FUNCTION}"), CALL_TRACE, Walk.TRACE)),
    )


def _still_held(word: str, at: str) -> Family:
    opening = f"{word}: .*still has locks held!"
    return Family(
        opening=expression(opening),
        clues=(expression(opening), expression(at)),
        title=f"{word}: still has locks held in {{0}}",
    )


def _freed(word: str, at: str) -> Family:
    opening = f"{word}: held lock freed!"
    return Family(
        opening=expression(opening),
        clues=(expression(opening), expression(at)),
        title=f"{word}: held lock freed in {{0}}",
    )


def _returning(word: str) -> Family:
    opening = expression(f"{word}: lock held when returning to user space")
    return Family(
        opening=opening,
        clues=(opening, *_LEAVING),
        title=f"{word}: lock held when returning to user space in {{0}}",
        traceless=True,
    )


def _suspicious_rcu(word: str) -> Family:
    opening = expression(f"{word}: suspicious RCU usage")
    return Family(
        opening=opening,
        clues=(opening, expression(SOURCE)),
        title=f"{word}: suspicious RCU usage in {{frame}}",
        path=_RCU,
    )


LOCKDEP_WARNINGS = (
    _still_held("WARNING", rf"at: {FUNCTION}"),
    Family(
        opening=expression("WARNING: Nested lock was not taken"),
        title="WARNING: nested lock was not taken in {frame}",
        path=warned(),
    ),
    _returning("WARNING"),
)
LOCKDEP_DEADLOCKS = (
    Family(
        opening=expression("WARNING: possible circular locking dependency detected"),
        clues=(expression("WARNING: possible circular locking dependency detected"), _ACQUIRE),
        title=_DEADLOCK,
        path=Path(
            (_AT, _AT, Walk.TRACE),
            # Locks of work items are taken in the name of whoever owns the work.
            passed_over=one_of("process_one_work", "(?:flush|drain|destroy)_workqueue"),
        ),
    ),
    _deadlock(
        "WARNING: possible irq lock inversion dependency detected",
        "just changed the state of lock",
        AT,
    ),
    Family(
        opening=expression("WARNING: .*-safe -> .*-unsafe lock order detected"),
        title=_DEADLOCK,
        path=Path((expression("which became .* at:"), Walk.TRACE)),
    ),
    _deadlock("WARNING: possible recursive locking detected", "is trying to acquire lock", AT),
    Family(
        opening=expression("WARNING: inconsistent lock state"),
        clues=(expression("WARNING: inconsistent lock state"), expression("takes"), _AT),
        title="inconsistent lock state in {frame}",
        path=stack(),
    ),
    _suspicious_rcu("WARNING"),
)
LOCKDEP_LATER_WARNINGS = (
    _unlock_balance("WARNING"),
    _freed("WARNING", rf"at:(?: {PC})? +{FUNCTION}"),
)
OLD_LOCKDEP = (
    _deadlock(
        "INFO: possible circular locking dependency detected", _ACQUIRE.pattern, _OLD_AT.pattern
    ),
    _deadlock(
        "INFO: possible irq lock inversion dependency detected",
        "just changed the state of lock",
        _OLD_AT.pattern,
    ),
    _deadlock(
        "INFO: SOFTIRQ-safe -> SOFTIRQ-unsafe lock order detected",
        "is trying to acquire",
        _OLD_AT.pattern,
    ),
    _deadlock("INFO: possible recursive locking detected", _ACQUIRE.pattern, _OLD_AT.pattern),
    Family(
        opening=expression("INFO: inconsistent lock state"),
        clues=(expression("INFO: inconsistent lock state"), expression("takes"), _OLD_AT),
        title="inconsistent lock state in {0}",
    ),
)
OLD_SUSPICIOUS_RCU = _suspicious_rcu("INFO")
UNREGISTERED = Family(
    opening=expression("INFO: trying to register non-static key"),
    title="INFO: trying to register non-static key in {frame}",
    path=stack("stack", "lock", "IRQ"),
)

SPINLOCKS = Family(
    opening=expression(
        r"BUG: (spinlock|rwlock) (lockup suspected|already unlocked|recursion|cpu recursion"
        r"|bad magic|wrong owner|wrong CPU|trylock failure on UP)"
    ),
    title="BUG: {0} {1} in {frame}",
    path=stack("spin_", "_lock", "_unlock"),
)
OLD_STILL_HELD = _still_held("BUG", rf"{PC} +{FUNCTION}")
ATOMIC = Family(
    opening=expression("BUG: scheduling while atomic"),
    title="BUG: scheduling while atomic in {frame}",
    path=stack("schedule"),
)
OLD_HELD = (
    _returning("BUG"),
    _unlock_balance("BUG"),
    _freed("BUG", rf"{PC} +{FUNCTION}"),
)
SLEEPING = (
    Family(
        opening=expression("BUG: sleeping function called from invalid context at (.*)"),
        title="BUG: sleeping function called from invalid context in {frame}",
        path=stack(),
    ),
    Family(
        opening=expression(r"BUG: using ([a-z_]+)\(\) in preemptible"),
        title="BUG: using {0}() in preemptible code in {frame}",
        path=stack("dump_stack", "preempt", "debug_", "processor_id", "this_cpu"),
    ),
    Family(
        opening=expression("BUG: workqueue leaked lock or atomic"),
        clues=(
            expression("BUG: workqueue leaked lock or atomic"),
            expression(r"last function: (\w+)$"),
        ),
        title="BUG: workqueue leaked lock or atomic in {0}",
        traceless=True,
    ),
)
WAIT_CONTEXT = Family(
    # One bug, two headlines: the other one is a warning of lockdep's.
    opening=expression("BUG: Invalid wait context"),
    title="WARNING: locking bug in {frame}",
    path=stack(*_SOCKET),
)
LOCKING_BUG = Family(
    opening=expression(r"WARNING: .*kernel/locking/lockdep\.c.*lock_"),
    title="WARNING: locking bug in {frame}",
    path=warned(*_SOCKET),
)
