# SPDX-License-Identifier: Apache-2.0
"""Families of what programs print on the console as they die, and of the kernel's mishaps.

A mishap is no fault of the kernel: memory ran out, a program made a bad access, a
disk gave an error. It explains failures all the same.

Source: mm/oom_kill.c, mm/page_alloc.c, arch/x86/mm/fault.c, arch/x86/kernel/traps.c,
arch/um/kernel/trap.c, fs/ext4/super.c, fs/btrfs/super.c, fs/xfs/xfs_message.c.
"""

from __future__ import annotations

from windtunnel.logs.report.family import Family, Head, expression, one_of


def _told(
    opening: str, title: str, *clues: str, torn: bool = False, mishap: bool = False
) -> Family:
    return Family(
        opening=expression(opening),
        title=title,
        clues=tuple(expression(clue) for clue in clues),
        traceless=not torn,
        torn=torn,
        mishap=mishap,
    )


_TRUSTY_ASSERT = r"trusty: panic \(.*?\):(?: DEBUG)? ASSERT FAILED at \(.*?\): (.+)"
TRUSTY = Head(
    "trusty: panic",
    (
        _told("trusty: panic.* ASSERT FAILED", "trusty: ASSERT FAILED: {0}", _TRUSTY_ASSERT),
        _told("trusty: panic.* ASSERT FAILED.*: *(.*)", "trusty: ASSERT FAILED: {0}", torn=True),
        _told("trusty: panic", "trusty: panic: {0}", r"trusty: panic \(.*?\): (.+)"),
    ),
)
GO_RUNTIME = Head(
    "fatal error:",
    (_told("fatal error:", "go runtime error"),),
    harmless=one_of("ALSA", "fatal error: cannot create timer"),
)
FUZZER = (
    Head("SYZFAIL:", (_told("SYZFAIL:(.*)", "SYZFAIL:{0}"),)),
    Head(
        "SYZFATAL:",
        (
            Family(
                opening=expression("SYZFATAL:(.*)"),
                title="SYZFATAL:{0}",
                aliases=("SYZFATAL",),
                traceless=True,
            ),
        ),
    ),
)
GO_PANIC = Head(
    "panic:",
    (
        _told("panic: Sentry detected .* stuck task", "panic: Sentry detected stuck tasks"),
        _told("panic:(.*)", "panic:{0}"),
    ),
    # Functions of the kernel that end so, and settings that are named so.
    harmless=one_of("_panic:", "xlog_status:", r"ddb\.onpanic:", "evtlog_status:"),
)


def _mishap(words: str, opening: str, title: str) -> Head:
    return Head(words, (_told(opening, title, mishap=True),))


MISHAPS = (
    _mishap(
        "Killed process ",
        r"(?:Out of memory|[Mm]emory cgroup out of memory): Killed process \d+ \((.*?)\)",
        "out of memory: killed {0}",
    ),
    _mishap(
        "page allocation failure",
        r"(\S+): page allocation failure: order:\d+",
        "page allocation failure in {0}",
    ),
    _mishap(" segfault at ", r"(\S+)\[\d+\]: segfault at [0-9a-f]+ ip ", "segfault in {0}"),
    _mishap(" trap ", r"traps: (\S+)\[\d+\] trap (\w[\w ]*?) ip:", "trap in {0}: {1}"),
    _mishap(
        " general protection fault ip",
        r"traps: (\S+)\[\d+\] general protection fault ip",
        "trap in {0}: general protection fault",
    ),
    _mishap(
        "EXT4-fs error",
        r"EXT4-fs error \(device .*?\)(?:: (\w+))?",
        "file system error: ext4 in {0}",
    ),
    _mishap("BTRFS error", r"BTRFS error \(device .*?\): (.*)", "file system error: btrfs: {0}"),
    _mishap(
        "BTRFS critical", r"BTRFS critical \(device .*?\): (.*)", "file system error: btrfs: {0}"
    ),
    _mishap(
        "): Corruption ",
        r"XFS \(.*?\): Corruption (?:detected|warning|of in-memory data).*",
        "file system error: xfs: corruption",
    ),
    _mishap(
        "I/O error, dev ",
        r"I/O error, dev \w+, sector \d+ op \S+:\((\w+)\)",
        "file system error: {0} from a disk",
    ),
)
