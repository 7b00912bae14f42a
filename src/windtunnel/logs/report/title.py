# SPDX-License-Identifier: Apache-2.0
"""Titles without what differs from one crash to the next.

Addresses, numbers and the like make two reports of one bug look like two bugs.
Each becomes a word: ADDR, IP, LINE, NUM.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

# A line into which another was printed can be very long; syzbot cuts here too.
TITLE_MAX_CHARACTERS = 120

_SPARED: Sequence[tuple[re.Pattern[str], str]] = tuple(
    (re.compile(pattern, re.ASCII), by)
    for pattern, by in (
        # Test programs of syzkaller carry numbers in their names.
        (r"(syz-executor|syzkaller)(?:(?<=executor)\.)?\d+(?:[/:]\d+)?", r"\1"),
        # Six hexadecimal digits are an address, unless they are the end of a name.
        (r"([^a-zA-Z0-9])(?:0x)?[0-9a-f]{6,}", r"\1ADDR"),
        (r"\d{1,3}(?:\.\d{1,3}){3}", "IP"),
        (r"(\.\w+)(?::\d+)+", r"\1:LINE"),
        (r"([a-zA-Z][\w.]+)\+0x[0-9a-z]+/0x[0-9a-z]+", r"\1"),
        (r"CPU#\d+", "CPU"),
        # A number by itself; the look-ahead lets two share the sign between them.
        (r"(\W)\d+(?=\W|$)", r"\1NUM"),
        # Some numbers are a part of a name (cfg80211); none of those is so long.
        (r"\d{7,}", "NUM"),
    )
)
_NOT_PRINTED = re.compile(r"[^\t -~]")
_BLANKS = re.compile(r"[\t ]+")


def clean_title(title: str) -> str:
    """Replace what differs from crash to crash, and what cannot be printed."""
    for pattern, by in _SPARED:
        title = pattern.sub(by, title)
    return _BLANKS.sub(" ", _NOT_PRINTED.sub("", title[:TITLE_MAX_CHARACTERS])).strip()
