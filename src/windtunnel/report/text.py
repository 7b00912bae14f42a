# SPDX-License-Identifier: Apache-2.0
r"""Text of guests made harmless, so that no output can break a format.

What cannot be shown is written as "\x00", "\u2028" or "\ud800". Nothing is
dropped without a word.
"""

from __future__ import annotations

import json
import re
from typing import Any

TEXT_CHARACTERS_MAX = 20_000
"""Of one message: what readers of reports still show; the run's folder has all of it."""

LINE_CHARACTERS_MAX = 500
"""Of a message that has to be one line."""

# Controls, separators of lines, halves of surrogate pairs, and what XML 1.0 forbids (2.2 Char).
# Tab and newline are left to those who can show them.
_UNSHOWN = "\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff"
_UNSHOWN_IN_TEXT = re.compile(f"[{_UNSHOWN}]")
_UNSHOWN_IN_LINE = re.compile(f"[{_UNSHOWN}\t\n]")
_OUTER_SPACE = re.compile(r"\A\s+|\s+\Z")
_SURROGATE = re.compile("[\ud800-\udfff]")


def shown(text: str, *, characters_max: int = TEXT_CHARACTERS_MAX) -> str:
    """Make a text of many lines safe to show; a very long one loses its middle."""
    text = _cut(text.replace("\r\n", "\n"), characters_max)
    return _UNSHOWN_IN_TEXT.sub(_escape, text)


def shown_line(text: str, *, characters_max: int = LINE_CHARACTERS_MAX) -> str:
    """Make a text one line: newlines become spaces, and the rest as in `shown`."""
    return _UNSHOWN_IN_LINE.sub(_escape, _cut(" ".join(text.split()), characters_max))


def shown_name(name: str) -> str:
    r"""Make a name safe, and keep it different from every other: "\" becomes "\\"."""
    name = _UNSHOWN_IN_LINE.sub(_escape, name.replace("\\", "\\\\"))
    return _OUTER_SPACE.sub(_escape_all, name)


def json_text(value: Any, *, indent: int | None = None) -> str:
    """Write JSON that any encoding and any parser takes."""
    separators = (",", ":") if indent is None else None
    text = json.dumps(value, ensure_ascii=False, indent=indent, separators=separators)
    return _SURROGATE.sub(_escape, text)


def _cut(text: str, characters_max: int) -> str:
    if len(text) <= characters_max:
        return text
    half = characters_max // 2
    return f"{text[:half]} […{len(text) - 2 * half} characters left out…] {text[-half:]}"


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _escape_all(match: re.Match[str]) -> str:
    return "".join(
        f"\\x{ord(one):02x}" if ord(one) < 0x100 else f"\\u{ord(one):04x}" for one in match[0]
    )
