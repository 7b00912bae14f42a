# SPDX-License-Identifier: Apache-2.0
"""Families of traps and of panics.

Source: arch/x86/kernel/traps.c, arch/arm*/kernel/traps.c, arch/arm*/mm/fault.c,
arch/um/kernel/trap.c, lib/bug.c, kernel/panic.c.
"""

from __future__ import annotations

from windtunnel.logs.report.family import (
    CALL_TRACE,
    FAULT,
    FUNCTION,
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

_BAD_ACCESS = ("bad-access in {frame}",)
_OVERFLOW = ("stack-overflow in {frame}",)
_AT_ONCE = Path((INSTRUCTION,))
_PANIC = "Kernel panic - not syncing: "


def _trap(words: str, title: str, path: Path, aliases: tuple[str, ...] = ()) -> Head:
    """A head with one family."""
    return Head(words, (Family(expression(words), title, aliases=aliases, path=path),))


def _panic(
    opening: str,
    title: str,
    *,
    aliases: tuple[str, ...] = (),
    path: Path | None = None,
    torn: bool = False,
) -> Family:
    return Family(expression(_PANIC + opening), title, aliases=aliases, path=path, torn=torn)


_STACK_CORRUPTED = "kernel panic: stack is corrupted in "
PANICS = Head(
    "Kernel panic",
    (
        Family(
            opening=expression(_PANIC + "stack-protector:"),
            clues=(
                expression(f"{_PANIC}stack-protector: Kernel stack is corrupted in: {FUNCTION}"),
            ),
            title=_STACK_CORRUPTED + "{0}",
            traceless=True,  # the stack is just what cannot be read any more
        ),
        Family(
            opening=expression(_PANIC + "stack-protector:"),
            clues=(
                expression(f"{_PANIC}stack-protector: Kernel stack is corrupted in: [a-f0-9]+"),
            ),
            title=_STACK_CORRUPTED + "{frame}",
            path=stack("stack_chk"),
        ),
        _panic(
            "corrupted stack end detected inside scheduler",
            "kernel panic: corrupted stack end in {frame}",
            aliases=_OVERFLOW,
            path=stack("schedule", "retint_kernel", pick=Pick.STALL),
        ),
        _panic(
            "kernel stack overflow",
            "kernel stack overflow in {frame}",
            aliases=_OVERFLOW,
            path=stack("bad_stack", pick=Pick.STALL),
        ),
        # User Mode Linux has one message for every bad access of its own.
        _panic(
            "(?:Kernel mode fault at addr|Segfault with no mm)",
            "kernel mode fault in {frame}",
            aliases=_BAD_ACCESS,
            path=Path(FAULT, otherwise=(CALL_TRACE, Walk.TRACE)),
        ),
        _panic("Attempted to kill init!", "kernel panic: Attempted to kill init!"),
        _panic(
            r"Couldn't open N_TTY ldisc for [^ ]+ --- error -\d+",
            "kernel panic: Couldn't open N_TTY ldisc",
        ),
        # These end a report. At its beginning they say that the real one is lost.
        _panic("Fatal exception", "kernel panic: Fatal exception", torn=True),
        _panic("panic_on_warn set", "kernel panic: panic_on_warn set", torn=True),
        _panic("hung_task: blocked tasks", "kernel panic: hung_task: blocked tasks", torn=True),
        _panic("(.*)", "kernel panic: {0}"),
    ),
)

UNABLE = Head(
    "Unable to handle kernel",
    (
        Family(
            opening=expression(
                "Unable to handle kernel "
                "(paging request|NULL pointer dereference|access to user memory)"
            ),
            title="BUG: unable to handle kernel {0} in {frame}",
            aliases=_BAD_ACCESS,
            path=fault(),
        ),
    ),
)
PROTECTION = Head(
    "general protection fault",
    (
        Family(
            opening=expression("general protection fault.*:"),
            title="general protection fault in {frame}",
            aliases=_BAD_ACCESS,
            path=fault(),
        ),
    ),
    harmless=expression(r"general protection fault .* error:\d+ in "),  # a program's
)
STACK_SEGMENT = _trap("stack segment: ", "stack segment fault in {frame}", fault())
DOUBLE_FAULT = _trap("PANIC: double fault", "PANIC: double fault in {frame}", _AT_ONCE)
RUST = Head(
    "rust_kernel: panicked",
    (
        Family(
            opening=expression("rust_kernel: panicked"),
            clues=(expression("rust_kernel: panicked at "), expression("^(.+)$")),
            title="{0} in {frame}",
            path=stack("rust_begin_unwind"),
        ),
    ),
)
KERNEL_BUG = Head(
    "kernel BUG",
    (
        Family(
            opening=expression("kernel BUG at mm/usercopy.c"),
            title="BUG: bad usercopy in {frame}",
            path=stack("usercopy", "__check"),
        ),
        Family(
            opening=expression("kernel BUG at lib/list_debug.c"),
            title="BUG: corrupted list in {frame}",
            aliases=_BAD_ACCESS,
            path=stack(),
        ),
        Family(
            opening=expression("kernel BUG at (.*)"),
            title="kernel BUG in {frame}",
            # Nearly always it is the caller who gave a wrong socket buffer.
            path=fault("^skb_"),
        ),
    ),
)
OTHER_KERNEL_BUG = Head(
    "Kernel BUG", (Family(opening=expression("Kernel BUG (.*)"), title="kernel BUG {0}"),)
)
SLUB = Head(
    "BUG kmalloc-",
    (
        Family(
            opening=expression("BUG kmalloc-.*: Object already free"),
            title="BUG: Object already free",
        ),
    ),
)
DIVIDE = _trap("divide error:", "divide error in {frame}", _AT_ONCE)
DIVIDE_MISSPELT = _trap("divide_error:", "divide error in {frame}", _AT_ONCE)
INVALID_OPCODE = _trap("invalid opcode:", "invalid opcode in {frame}", _AT_ONCE)
BREAKPOINT = _trap("int3:", "int3 in {frame}", fault())
HARD_LOCKUP = Head(
    "hard LOCKUP",
    (
        Family(
            opening=expression("Watchdog detected hard LOCKUP"),
            title="hard lockup in {frame}",
            aliases=("stall in {frame}",),
            path=fault(pick=Pick.STALL),
        ),
    ),
    harmless=expression("Kernel panic"),
)
INTERNAL_ERROR = _trap("Internal error:", "Internal error in {frame}", fault(), _BAD_ACCESS)
UNHANDLED_FAULT = _trap("Unhandled fault:", "Unhandled fault in {frame}", fault(), _BAD_ACCESS)
ALIGNMENT = _trap("Alignment trap:", "Alignment trap in {frame}", fault())


def _said(words: str, title: str) -> Head:
    """A head with one family that needs no trace."""
    return Head(words.partition("(?:.*)")[0], (Family(expression(words), title, traceless=True),))


REBOOT = Head(
    "Booting the kernel.",
    (
        Family(
            opening=expression("^Booting the kernel"),
            title="unexpected kernel reboot",
            traceless=True,
        ),
    ),
    # An old boot message that somebody handed back to the kernel.
    harmless=one_of("Parsing ELF", "Decompressing Linux", "Unknown parameter '"),
)
NETDEVICE = _said(
    "unregister_netdevice: waiting for(?:.*) to become free",
    "unregister_netdevice: waiting for DEV to become free",
)
FILE_COUNT = _said("VFS: Close: file count is 0", "VFS: Close: file count is zero (use-after-free)")
BUSY_INODES = _said(
    "VFS: Busy inodes after unmount", "VFS: Busy inodes after unmount (use-after-free)"
)
