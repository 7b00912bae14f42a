# SPDX-License-Identifier: Apache-2.0
"""Families of what sanitizers find: KASAN, KMSAN, KCSAN, KFENCE, UBSAN, kmemleak.

Source: mm/kasan/report.c, mm/kmsan/report.c, kernel/kcsan/report.c, mm/kfence/report.c,
lib/ubsan.c, mm/kmemleak.c.
"""

from __future__ import annotations

from windtunnel.logs.report.family import (
    CALL_TRACE,
    FUNCTION,
    Family,
    Head,
    Path,
    Walk,
    expression,
    one_of,
    stack,
)

_BAD_ACCESS = "bad-access in {frame}"
_BAD_FREE = "invalid-free in {frame}"

_KASAN_FREE = r"BUG: KASAN: (?:double-free or invalid-free|double-free|invalid-free) in "
KASAN = (
    Family(
        opening=expression("BUG: KASAN:"),
        clues=(
            expression(rf"BUG: KASAN: ([a-z-]+) in {FUNCTION}"),
            expression(r".*(Read|Write) (?:of size|at addr) [0-9a-f]"),
        ),
        title="KASAN: {0} {2} in {frame}",
        aliases=(_BAD_ACCESS,),
        path=Path(
            (
                expression(rf"BUG: KASAN: [a-z-]+ in {FUNCTION}"),
                CALL_TRACE,
                Walk.TRACE,
            ),
            # The way into the report where the processor itself checks tags.
            passed_over=one_of("kernel_fault", "tag_check", "mem_abort", "^el1h?_"),
        ),
    ),
    Family(
        opening=expression("BUG: KASAN:"),
        clues=(expression(_KASAN_FREE + FUNCTION),),
        title="KASAN: invalid-free in {frame}",
        aliases=(_BAD_FREE,),
        path=Path(
            (expression(_KASAN_FREE + FUNCTION), CALL_TRACE, Walk.TRACE),
            passed_over=one_of("slab_", "kfree", "vunmap", "vfree"),
        ),
    ),
    Family(
        opening=expression(r"BUG: KASAN: ([a-z-]+) on address"),
        clues=(
            expression(r"BUG: KASAN: ([a-z-]+) on address"),
            expression(r".*(Read|Write) of size \d"),
        ),
        title="KASAN: {0} {1}",
    ),
    Family(opening=expression("BUG: KASAN: (.*)"), title="KASAN: {0}", torn=True),
)

# Where the value came from is printed below the trace of its use.
_ORIGIN = (
    Walk.TRACE,
    expression(r"Local variable .* created at:|Uninit was created at:"),
    Walk.TRACE,
)
KMSAN = (
    Family(
        opening=expression("BUG: KMSAN: kernel-usb-infoleak"),
        clues=(expression(rf"BUG: KMSAN: kernel-usb-infoleak in {FUNCTION}"),),
        title="KMSAN: kernel-usb-infoleak in {frame}",
        aliases=("KMSAN origin in {frame2}",),
        path=Path(
            _ORIGIN,
            passed_over=one_of(
                "alloc_skb", r"usb_(?:submit_urb|start_wait_urb|(?:bulk|interrupt|control)_msg)"
            ),
        ),
        traceless=True,
    ),
    Family(
        opening=expression("BUG: KMSAN:"),
        clues=(expression(rf"BUG: KMSAN: ([a-z-]+) in {FUNCTION}"),),
        title="KMSAN: {0} in {frame}",
        aliases=(_BAD_ACCESS,),
        path=Path(
            _ORIGIN,
            # Ciphers are where a wrong value is noticed, and never where it was made.
            passed_over=one_of(
                "alloc_skb", "netlink_(?:ack|rcv_skb)", "_encrypt$", "^(?:crypto|cipher|drbg|rng)_"
            ),
        ),
        traceless=True,
    ),
)

KCSAN = (
    Family(
        opening=expression("BUG: KCSAN:"),
        clues=(expression("BUG: KCSAN: (.*)"),),
        title="KCSAN: {0}",
        traceless=True,
    ),
)


def _kfence(what: str, title: str, *aliases: str, traceless: bool = False) -> Family:
    return Family(
        opening=expression(rf"BUG: KFENCE: {what} in {FUNCTION}"),
        title=title,
        aliases=aliases,
        path=Path((expression(rf"BUG: KFENCE: [a-z\- ]+ in {FUNCTION}"), Walk.TRACE)),
        traceless=traceless,
    )


KFENCE = (
    _kfence(
        "(use-after-free|out-of-bounds) (read|write)", "KFENCE: {0} {1} in {frame}", _BAD_ACCESS
    ),
    _kfence("invalid free", "KFENCE: invalid free in {frame}", _BAD_FREE, traceless=True),
    _kfence("invalid (read|write)", "KFENCE: invalid {0} in {frame}", _BAD_ACCESS),
    _kfence("memory corruption", "KFENCE: memory corruption in {frame}", traceless=True),
)

LEAK = Family(
    opening=expression("BUG: memory leak"),
    title="memory leak in {frame}",
    path=Path(
        (expression(r"backtrace(?: \(crc [0-9a-fA-F]*\))?:"), Walk.TRACE),
        passed_over=one_of(
            "kmemleak",
            "mmap",
            "kmem",
            "slab",
            "alloc",
            "create_object",
            "idr_get",
            "list_lru_init",
            "kv?asprintf",
            "pcpu_create",
            "strn?dup",
            "memdup",
        ),
    ),
)

_UBSAN = stack("ubsan", "overflow")
UBSAN = Head(
    "UBSAN:",
    (
        Family(
            opening=expression("UBSAN: Undefined behaviour in"),
            title="UBSAN: undefined-behaviour in {frame}",
            path=_UBSAN,
        ),
        Family(
            opening=expression("UBSAN: array-index-out-of-bounds in"),
            title="UBSAN: array-index-out-of-bounds in {frame}",
            aliases=(_BAD_ACCESS,),
            path=_UBSAN,
        ),
        Family(
            opening=expression("UBSAN:"),
            clues=(expression("UBSAN: (.*?) in"),),
            title="UBSAN: {0} in {frame}",
            path=_UBSAN,
        ),
    ),
)
