# SPDX-License-Identifier: Apache-2.0
"""A model of what the kernel does with what several contexts print at the same time.

It is the other side of the reassembler and shares nothing with it: contexts print
lines in pieces, and this decides what becomes a record of its own, as vprintk_store()
and prb_reserve_in_last() do. Each line says itself what it must be: "W3 line 7: a7 b7 end7".
"""

from __future__ import annotations

import re
from dataclasses import dataclass

SELF_CHECKING = re.compile(r"W(\d+) line (\d+):(?: ([a-y])\2)* end\2")


@dataclass
class Stored:
    """A record in the ring buffer."""

    sequence: int
    micros: int
    caller: str
    text: str
    is_rest: bool
    has_ended: bool  # with a newline


def whole(context, number, pieces):
    letters = "".join(f" {chr(ord('a') + at)}{number}" for at in range(pieces))
    return f"W{context} line {number}:{letters} end{number}"


def print_all(draw, contexts, lines, *, switch_percent=40, callers=None, pieces_max=4):
    """Let contexts print `lines` lines each; `draw(n)` is a number from 0 to n - 1.

    Returns the records, and all lines in the order of their first pieces.
    """
    callers = callers or {context: f"T{100 + context}" for context in range(contexts)}
    work = {}
    for context in range(contexts):
        queue = []
        for number in range(lines):
            text = whole(context, number, 1 + draw(pieces_max))
            head, *rest = split_line(text)
            queue.append((head, False, text))
            queue += [(piece, True, text) for piece in rest]
        work[context] = queue
    stored: list[Stored] = []
    order = []
    context = 0
    micros = 1_000_000
    while work:
        if context not in work or draw(100) < switch_percent:
            context = sorted(work)[draw(len(work))]
        piece, is_rest, text = work[context].pop(0)
        if not work[context]:
            del work[context]
        micros += draw(30)
        last = stored[-1] if stored else None
        ends = text.endswith(piece)
        if is_rest and last and last.caller == callers[context] and not last.has_ended:
            last.text += piece
            last.has_ended = ends
        else:
            stored.append(Stored(len(stored), micros, callers[context], piece, is_rest, ends))
        if not is_rest:
            order.append(text)
    return stored, order


def split_line(text):
    """The calls that print a line: pr_info("W0 line 0:"), pr_cont(" a0"), …"""
    head, _, tail = text.partition(":")
    return [head + ":", *(" " + word for word in tail.split())]


def as_kmsg(stored, *, with_caller=True):
    """The records as /dev/kmsg gives them."""
    return [
        f"{12 if record.is_rest else 6},{record.sequence},{record.micros},"
        f"{'c' if record.is_rest else '-'}"
        f"{f',caller={record.caller}' if with_caller else ''};{record.text}\n".encode()
        for record in stored
    ]


def as_console(stored, *, with_caller=True):
    """The records as a serial console shows them."""
    return [
        f"[{record.micros // 1_000_000:5}.{record.micros % 1_000_000:06}]"
        f"{f'[{record.caller:>6}]' if with_caller else ''} {record.text}\r\n".encode()
        for record in stored
    ]
