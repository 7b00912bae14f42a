# SPDX-License-Identifier: Apache-2.0
"""Lines as a console shows them: the form that reports are found in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from windtunnel.logs.printk.line import Entry, Line

_MICROS = 1_000_000


def to_console(entries: Iterable[Entry]) -> Iterator[str]:
    """Write lines with the kernel's prefix, one for each newline in their texts.

    Gaps are left out. What no time and no caller is known of has no prefix.
    """
    for entry in entries:
        if isinstance(entry, Line):
            prefix = _prefix(entry)
            for text in entry.text.split("\n"):
                yield prefix + text


def _prefix(line: Line) -> str:
    prefix = ""
    if line.first_micros is not None:
        seconds, micros = divmod(line.first_micros, _MICROS)
        prefix = f"[{seconds:5}.{micros:06}]"
    if line.owner:
        prefix += f"[{line.owner:>6}]"
    return f"{prefix} " if prefix else ""
