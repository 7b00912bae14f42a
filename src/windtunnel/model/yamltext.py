# SPDX-License-Identifier: Apache-2.0
"""Plain data to YAML text that people like to read.

Mappings and lists in block form, but on one line when they are small and flat;
text of several lines as a literal block; quotes only where YAML needs them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

# A small mapping or list stays on its line up to this width.
LINE_CHARACTERS_MAX = 100

_PLAIN = re.compile(r"[A-Za-z_./][A-Za-z0-9_./+-]*( [A-Za-z0-9_./+-]+)*")
# An amount with its unit: "10 ms", "1.5%".
_QUANTITY = re.compile(r"[0-9]+(\.[0-9]+)?( ?%| (bit|[kMGT]bit|[KMGT]i?B|kB|B|[mun]?s|min|h|d))")
_NOT_TEXT = {"true", "false", "null", "~", "nan", "inf", ".inf", ".nan"}
# What a literal block can hold: printable text without carriage returns.
_BLOCK = re.compile(r"[^\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]*")


def yaml_text(value: Any) -> str:
    """Write mappings with text keys, sequences and scalars as a YAML document."""
    return "\n".join(_block(value, 0)) + "\n"


def _block(value: Any, depth: int) -> list[str]:
    pad = "  " * depth
    lines: list[str] = []
    if isinstance(value, Mapping):
        for key, item in value.items():
            lines += _entry(f"{pad}{_scalar(key)}:", item, depth)
        return lines
    if isinstance(value, (list, tuple)):
        for item in value:
            lines += _entry(f"{pad}-", item, depth)
        return lines
    return [pad + _scalar(value)]


def _entry(head: str, item: Any, depth: int) -> list[str]:
    if _is_block_text(item):
        return _literal(head, item, depth + 1)
    inline = f"{head} {_inline(item)}"
    is_small = len(inline) <= LINE_CHARACTERS_MAX and _is_flat(item)
    if is_small or not isinstance(item, (Mapping, list, tuple)) or not item:
        return [inline]
    lines = _block(item, depth + 1)
    if head.endswith("-"):  # "- name: …": the first key on the line of the dash
        return [f"{head} {lines[0].lstrip()}", *lines[1:]]
    return [head, *lines]


# A mapping or list without mappings inside, and without text of several lines.
def _is_flat(value: Any) -> bool:
    if isinstance(value, Mapping):
        return len(value) <= 8 and all(_is_flat_item(item) for item in value.values())
    if isinstance(value, (list, tuple)):
        return all(_is_flat_item(item) for item in value)
    return True


def _is_flat_item(value: Any) -> bool:
    if isinstance(value, Mapping):
        return not value
    if isinstance(value, (list, tuple)):
        return all(not isinstance(item, (Mapping, list, tuple)) for item in value)
    return not _is_block_text(value)


def _is_block_text(value: Any) -> bool:
    return (
        isinstance(value, str)
        and "\n" in value.rstrip("\n")
        and not value.startswith((" ", "\t", "\n"))
        and _BLOCK.fullmatch(value) is not None
    )


def _literal(head: str, text: str, depth: int) -> list[str]:
    body = text.rstrip("\n")
    ends = len(text) - len(body)
    chomp = {0: "-", 1: ""}.get(ends, "+")
    pad = "  " * depth
    lines = [f"{head} |{chomp}"]
    lines += [pad + line if line else "" for line in body.split("\n")]
    lines += [""] * (ends - 1)
    return lines


def _inline(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_scalar(k)}: {_inline(v)}" for k, v in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(_inline(item) for item in value) + "]"
    return _scalar(value)


def _scalar(value: Any) -> str:
    if not isinstance(value, str):
        return json.dumps(value)
    is_plain = _PLAIN.fullmatch(value) or _QUANTITY.fullmatch(value)
    if is_plain and not value.startswith(".") and value.lower() not in _NOT_TEXT:
        return value
    quoted = json.dumps(value, ensure_ascii=False)
    return "".join(char if char.isprintable() else _escaped(char) for char in quoted)


def _escaped(char: str) -> str:
    code = ord(char)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
