# SPDX-License-Identifier: Apache-2.0
"""What the kernel puts before each line on a console.

    <6>[   12.345678][  T123] text
    |  |             `-- who printed: task (T) or, outside of tasks, processor (C)
    |  `-- seconds since boot, 5 + 6 digits or more
    `-- facility * 8 + level, where console_msg_format=syslog

Each part may be missing; a blank follows the last one. dmesg (util-linux 2.41) puts a
blank before the caller, too.

Source: kernel/printk/printk.c, info_print_prefix(), print_syslog(), print_time(), print_caller().
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# Nine digits are thirty years of uptime; more is no timestamp.
_STAMP = r"\[ *(?P<seconds>\d{1,9})\.(?P<micros>\d{6})\]"
_CALLER = r"\[ *(?P<caller>[CT]\d{1,10})\]"
_ONLY_CALLER = _CALLER.replace("caller", "only_caller")
_PREFIX = re.compile(
    rf"(?:<(?P<pri>\d{{1,4}})>)?(?:{_STAMP}(?: ?{_CALLER})?|{_ONLY_CALLER})(?: |$)", re.ASCII
)
_PRIORITY_ONLY = re.compile(r"<(\d{1,4})>", re.ASCII)
# What other programs print on the same line before the kernel's own text.
_BEFORE = re.compile(
    r"(?:\*\* \d+ printk messages dropped \*\* |.* login: )(?=(?:<\d+>)?\[ *\d+\.\d+\])", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Prefix:
    """What stands before a line's text.

    Attributes:
        length: in characters, the blank after it included.
        priority: facility * 8 + level; None when absent.
        micros: time of the record, in microseconds since boot; None when absent.
        caller: "T123" for a task, "C0" for a processor; empty when absent.
    """

    length: int
    priority: int | None
    micros: int | None
    caller: str


def parse_prefix(line: str) -> Prefix | None:
    """Read the prefix of a line.

    Returns:
        None when the line has none: it is no line of the kernel, or the kernel
        prints neither times nor callers.
    """
    match = _PREFIX.match(line)
    if match is None:
        only = _PRIORITY_ONLY.match(line)
        return None if only is None else Prefix(only.end(), int(only[1]), None, "")
    pri, seconds, micros, caller, only_caller = match.groups()
    return Prefix(
        match.end(),
        None if pri is None else int(pri),
        None if seconds is None else int(seconds) * 1_000_000 + int(micros),
        caller or only_caller or "",
    )


def caller_of(line: str) -> tuple[str | None, str]:
    """Split a line into its owner and its text, as fast as Python can.

    What programs printed before the prefix is left out.

    Returns:
        The caller, empty when the line has a time but no caller, None when it is
        no line of the kernel; and what follows the prefix.
    """
    match = _PREFIX.match(line)
    if match is None:
        if "] " not in line or (before := _BEFORE.match(line)) is None:
            return None, line
        match = _PREFIX.match(line, before.end())
        if match is None:
            return None, line
    return match[4] or match[5] or "", line[match.end() :]
