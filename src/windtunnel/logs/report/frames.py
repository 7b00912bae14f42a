# SPDX-License-Identifier: Apache-2.0
"""Stack traces: their lines, and which function of them names a bug.

Source: kernel: arch/*/kernel/dumpstack.c, traps.c; the choice of functions that
are passed over follows syzbot's titles, so that a bug has one name everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from windtunnel.logs.report.family import FUNCTION, PC, Path, Pick, Step, Walk, expression

# The frame of a report in which there is none that could name it.
NO_FRAME = "corrupted"

# Lines that a trace follows. A named group for each kind, since of each kind the first
# one in a report must have frames.
_TRACE_STARTS = expression(
    r"(?P<call>Call [Tt]race)|(?P<allocated>Allocated:)|(?P<allocated_by>Allocated by task \d+:)"
    r"|(?P<freed>Freed:)|(?P<freed_by>Freed by task \d+:)"
    r"|(?P<leaked>[^k] backtrace(?: \(crc [0-9a-fA-F]*\))?:)|(?P<arm>Backtrace:)"
    r"|(?P<stored>Uninit was stored to memory at)"
    # RISC-V announces no trace. This is the last line before it, when there is one.
    r"|(?P<riscv>status: [0-9a-f]{16} badaddr: [0-9a-f]{16} cause: [0-9a-f]{16})"
)
_FRAME = expression(rf" *(?:{PC} ){{0,2}}{FUNCTION}")
# Each line of an old ARM trace names both ends of a call, "(callee) from (caller)".
_ARM_FRAME = expression(rf" *{PC} \(([\w.]+)\) from {PC} \({FUNCTION}")
# Fault injection prints traces of its own, often into the middle of a report.
_INJECTED = expression(r"(?: \[<?(?:0x)?[0-9a-f]+>?\])? should_fail(?:slab)?(?:\.[a-z0-9.]+)?\+0x")

# Architectures wrap system calls differently.
WRAPPERS = tuple(
    "SYSC_ SyS_ sys_ __x64_ __ia32_ __arm64_ ____sys_ ___sys_ __sys_ __se_ __se_sys_ "
    "__do_sys_ compat_SYSC_ compat_SyS_ ksys_".split()
)

# Functions that only serve others, by what they are. The bug is the caller's.
_SERVING: dict[str, str] = {
    "sanitizers": r"__sanitizer|__asan|kasan|hwasan|__msan|kmsan|kcsan_setup_watchpoint"
    r"|check_memory_region|check_(?:heap_)?object|read_word_at_a_time"
    r"|(?:read|write)_once_.*nocheck|print_address_description|print_report|__fortify_report",
    "traps": r"panic|invalid_op|report_bug|fixup_bug|do_error|_trap$|do_trap"
    r"|program_check_(?:exception|common)|do_(?:kernel|translation)_fault|do_mem_abort"
    r"|el1_abort|el1h_64_sync(?:_handler)?|print_tainted|^get_taint$|assertfail",
    "traces": r"(?:show|dump|walk)_stack|dump_backtrace|stack_trace_(?:consume_entry|save)"
    r"|arch_stack_walk|warn_(?:slowpath|alloc|bogus)|__warn|hex_dump_to_buffer|print_hex_dump",
    "memory": r"alloc_page|k?v?[mzc]alloc|krealloc|kmem_cache|allocate_slab|slab_"
    r"|__alloc_frozen_pages_noprof|^kv?free$|__phys_addr|ida_free",
    "page cache": r"folio_(?:alloc|unlock)|filemap_alloc_folio|__filemap_get_folio"
    r"|find_or_create_page|do_read_cache_folio|read_cache_page|pagecache_get_page"
    r"|grab_cache_page_write_begin|^(?:un)?lock_page|xas_(?:start|load|find)|find_lock_entries"
    r"|truncate_inode_pages_range|mark_buffer_dirty",
    "checks": r"debug_object|(?:timer|work)_is_static_object|might_(?:fault|sleep)|__might_resched"
    r"|perf_trace|seqprop_assert",
    "lockdep": r"lockdep|lock_(?:acquire|release|class)|mark_lock|(?:reacquire|mark)_held_locks"
    r"|print_(?:unlock|usage_bug)|imbalance_bug|trace_(?:hard|soft)irq",
    "locks": r"bh_(?:en|dis)able|raw_spin_rq|spin_(?:lock|trylock|unlock)"
    r"|(?:read|write)_(?:lock|trylock|unlock)|^down$|down_(?:read|write|trylock)|up_(?:read|write)"
    r"|^(?:__|rt_)?mutex_|owner_on_cpu|osq_(?:un)?lock",
    "atomics": r"atomic(?:64)?_(?:dec|inc|read|set|x?or|and|add|sub|fetch|xchg|cmpxchg|try)"
    r"|(?:set|clear|change|test)_bit|^refcount_|^kref_|ref_tracker",
    "memory and strings": r"mem(?:cpy|cmp|set|chr|move|dup)"
    r"|str(?:n?cmp|n?cpy|lcpy|scpy|n?len|n?str|chr|n?dup)|string|pointer|^crc\d+|crc_itu_t",
    "copies from and to users": r"copy_(?:to|from)_(?:user|iter)|copy_page_(?:to|from)_iter"
    r"|copy_folio_to_iter|^copy(?:in|out)$|(?:put|get)_user|extract_(?:user|iter)_to_sg",
    "lists": r"list_(?:add|del|replace|move|splice)|^(?:__)?rb_|^klist_|rhashtable_lookup",
    "printing": r"s[nc]+printf|kv?asprintf|printk|va_format"
    r"|dev_(?:info|notice|warn|err|alert|crit|emerg)|_indirect_thunk_",
    "waiting": r"__wake_up|finish_wait|^complete$|wait_for_completion|kthread_stop",
    "timers": r"del_timer|lock_timer_base|__timer_delete_sync|sk_stop_timer_sync|__mod_timer",
    "work": r"flush_work|__cancel_work_timer|cancel_work_sync|try_to_grab_pending"
    r"|(?:drain|destroy)_workqueue|queue_work|insert_work|queue_delayed_work"
    r"|cleanup_srcu_struct",
    "devices": r"kobject_|add_uevent_var|get_device_parent|device_(?:add|del|unregister|destroy"
    r"|release|for_each_child|remove_file)|devres_release_all|hwrng_unregister|i2c_del_adapter"
    r"|__unregister_client|sysfs_remove|tty_unregister_device|^put_device$",
    "network devices": r"rollback_registered|unregister_netdev|kfree_skb",
    "USB": r"dummy_urb_enqueue|usb_kill_(?:anchored_)?urb|usb_control_msg"
    r"|usb_(?:hcd_)?submit_urb",
    "ports": r"(?:read|write)[bwlq]$|logic_(?:in|out)",
    "inodes": r"^iput(?:_final)?$|^ihold$|drop_nlink|dput",
}
_SERVES = expression("|".join(_SERVING.values()))

# Where work is handed out: the loop of a stall is above this, and what was asked for is
# the last function before it.
_DISPATCH = expression(
    # system calls, as architectures enter them
    r"do_(?:fast_)?syscall_|sysenter_dispatch|tracesys_phase2|el0_svc_handler|invoke_syscall"
    r"|ret_fast_syscall"
    # work, interrupts, timers, threads
    r"|process_one_work|netif_receive_skb|do_softirq|call_timer_fn|_run_timers|run_timer_softirq"
    r"|hrtimer_run|run_ksoftirqd|smpboot_thread_fn|^kthread$|start_secondary|cpu_startup_entry"
    r"|ret_from_fork|tasklet_(?:hi_)?action|smp_call_function"
    # calls whose meaning is that of the file or socket
    r"|vfs_(?:iter_)?(?:read|write)|do_iter_(?:readv_writev|read|write)|call_(?:read|write)_iter"
    r"|new_sync_(?:read|write)|(?:vfs|ksys|compat|compat_sys)_ioctl|blkdev_(?:driver_)?ioctl"
    r"|^call_mmap|mmap_region|do_mmap|do_dentry_open|vfs_open"
    r"|^(?:__)?sock_release|^sock_(?:sendmsg|recvmsg|mmap|do_ioctl|ioctl)|^compat_sock_ioctl"
    r"|^setsockopt$|kernel_setsockopt|sock_common_setsockopt|sk_common_release"
    r"|^(?:listen|accept)$|kernel_(?:listen|accept)|^(?:nf|rt)netlink_rcv_msg|^netlink_dump"
    r"|^(?:sys_)?(?:socketpair|connect|ioctl)"
    # page faults, and what is done on the way back to a program
    r"|__do_fault|do_page_fault|^page_fault$|__fput|task_work_run|exit_to_usermode"
)
# Any of many callers may be the one that the clock met: name what they all call.
_CALLED_BY_MANY = "smp_call_function"

# Two reasons for waiting that show up all over the kernel.
_WAITING_FOR_ALL = expression(r"rtnl_lock|(synchronize_(?:s?rcu|net|sched))")
_WAITING = expression(
    r"sched|_lock|_slowlock|down|rwsem|completion|kthread|wait|synchronize|context_switch"
    r"|__switch_to|cancel_delayed_work|rcu_barrier"
)


@dataclass(frozen=True, slots=True)
class Frame:
    """A function that names a bug.

    Attributes:
        name: without the wrapping of system calls.
        raw: as the trace has it.
    """

    name: str
    raw: str


@dataclass(frozen=True, slots=True)
class Walked:
    """What a path led to.

    Attributes:
        frames: one for each walk but at least one; `NO_FRAME` where there was none.
        whole: no frame is missing, and no foreign trace was met.
    """

    frames: tuple[Frame, ...]
    whole: bool


def walk(lines: Sequence[str], path: Path) -> Walked:
    """Follow a path through a report.

    Args:
        lines: from the headline on, without prefixes.
        path: where to go.
    """
    walked = _follow(lines, path.steps, path)
    if not walked.whole and path.otherwise:
        walked = _follow(lines, path.otherwise, path)
    return walked


def trace_start(line: str) -> str:
    """Tell which kind of trace a line announces; empty when none."""
    # Nearly all lines are ruled out by these words, at a tenth of the expression's cost.
    if "race" in line or "ed" in line or "badaddr" in line:
        match = _TRACE_STARTS.search(line)
        if match is not None:
            return str(match.lastgroup)
    return ""


def is_frame(line: str) -> bool:
    """Tell whether a line is one of a stack trace."""
    return bool(_FRAME.match(line) or _ARM_FRAME.match(line))


def frames_of(line: str) -> tuple[str, ...]:
    """Give the functions of a line of a stack trace, the inner one first."""
    match = _FRAME.match(line) or _ARM_FRAME.match(line)
    return () if match is None else match.groups()


def _follow(lines: Sequence[str], steps: tuple[Step, ...], path: Path) -> Walked:
    frames: list[Frame] = []
    names: list[str] = []
    whole = True
    walks = 0
    at = 0
    number = 0
    while number < len(steps):
        step = steps[number]
        if step is not Walk.TRACE:
            at, found, clean = _seek(lines, at, step)
        else:
            walks += 1
            if walks > 1:
                frames.append(_pick(names, path))
                names = []
            after = steps[number + 1] if number + 1 < len(steps) else None
            at, found, clean, jumped = _read_trace(lines, at, after)
            number += jumped
        whole = whole and clean
        names += found
        number += 1
    frames.append(_pick(names, path))
    return Walked(tuple(frames), whole and all(frame.raw != NO_FRAME for frame in frames))


def _seek(lines: Sequence[str], at: int, step: re.Pattern[str]) -> tuple[int, list[str], bool]:
    """Go to the line after the next one that an expression is found in."""
    for number in range(at, len(lines)):
        line = lines[number]
        if "should_fail" in line and _INJECTED.match(line):
            return number + 1, [], False
        match = step.search(line)
        if match is not None:
            return number + 1, [name for name in match.groups() if name], True
    return len(lines), [], True


def _read_trace(
    lines: Sequence[str], at: int, after: Step | None
) -> tuple[int, list[str], bool, bool]:
    """Read frames until the next trace begins, or the next step is found."""
    names: list[str] = []
    for number in range(at, len(lines)):
        line = lines[number]
        if "should_fail" in line and _INJECTED.match(line):
            return number + 1, names, False, False
        if trace_start(line):
            return number + 1, names, True, False
        if isinstance(after, re.Pattern) and (match := after.search(line)):
            names += [name for name in match.groups() if name]
            return number + 1, names, True, True
        names += frames_of(line)
    return len(lines), names, True, False


@lru_cache(maxsize=65536)  # a kernel has as many functions; traces repeat a few of them
def _serves(name: str) -> bool:
    return _SERVES.search(name) is not None


def _pick(names: Sequence[str], path: Path) -> Frame:
    # Lazily: most names are never asked for.
    frames = (
        Frame(_unwrap(name), name)
        for name in names
        if not _serves(name) and not (path.passed_over and path.passed_over.search(name))
    )
    match path.pick:
        case Pick.FIRST:
            chosen = next(frames, None)
        case Pick.STALL:
            chosen = _pick_stall(frames)
        case Pick.HUNG:
            chosen = _pick_hung(list(frames))
    return chosen or Frame(NO_FRAME, NO_FRAME)


def _unwrap(name: str) -> str:
    longest = max((word for word in WRAPPERS if name.startswith(word)), key=len, default="")
    return name[len(longest) :]


def _pick_stall(frames: Iterator[Frame]) -> Frame | None:
    before: Frame | None = None
    for frame in frames:
        if _DISPATCH.search(frame.name):
            if _CALLED_BY_MANY in frame.name:
                return Frame(_CALLED_BY_MANY, frame.raw)
            return before or frame
        before = frame
    return None


def _pick_hung(frames: Sequence[Frame]) -> Frame | None:
    for frame in frames:
        match = _WAITING_FOR_ALL.search(frame.name)
        if match:
            return Frame("synchronize_rcu", frame.raw) if match[1] else frame
    return next((frame for frame in frames if not _WAITING.search(frame.name)), None)
