# SPDX-License-Identifier: Apache-2.0
"""Filters, as text: "qcow2..(guest_os=Fedora).14, RHEL.6..raw"."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NoReturn

from windtunnel.matrix.syntax import Filter, Label, Run

Fail = Callable[[str, int, str], NoReturn]
"""Raises: what is wrong, at which character from 0, and how to mend it."""

_TOKEN = re.compile(
    r"(?P<space>\s+)|(?P<label>[\w-]+)|(?P<dots>\.+)|(?P<comma>,)"
    r"|(?P<named>\(\s*(?P<axis>[\w-]+)\s*(?:=\s*(?P<value>[\w-]+)\s*)?\))"
)


def parse_filter(text: str, fail: Fail, *, condition: bool = False) -> Filter:
    """Read a filter.

    Args:
        text: without a comment.
        fail: called for what is wrong.
        condition: of a conditional block: alternatives need a comma there.

    Returns:
        The filter. A dot at its end says nothing, as does a comma there.
    """
    alternatives: list[list[list[Label]]] = [[[]]]
    last = "comma"
    space = 0
    for kind, start, end, label in _tokens(text, fail):
        if kind == "space":
            space = end - start
            continue
        if label is not None:
            if last == "label" and (not space or condition):
                fail(
                    "two labels need something between them",
                    start,
                    'write "a.b" for a followed by b, "a..b" for both, "a, b" for either',
                )
            if last == "label":
                alternatives.append([[]])
            elif last == "dots" and space:
                fail("a label must follow the dots at once", start, "leave out the space")
            alternatives[-1][-1].append(label)
            last = "label"
        elif last != "label":
            fail(
                f"a label is missing before {text[start:end]!r}",
                start,
                'write "a.b" for a followed by b, "a..b" for both, "a, b" for either',
            )
        elif kind == "comma":
            alternatives.append([[]])
            last = kind
        else:
            if space or end - start > 2:
                fail(
                    f"{text[start:end]!r} joins nothing",
                    start,
                    '"a.b" is a followed by b, "a..b" is both, without spaces',
                )
            if end - start == 2:
                alternatives[-1].append([])
            last = kind
        space = 0
    return Filter(_tidy(alternatives), text.strip())


def _tokens(text: str, fail: Fail) -> list[tuple[str, int, int, Label | None]]:
    found: list[tuple[str, int, int, Label | None]] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            if text[at] == "(":
                fail("a named variant is not complete", at, 'write "(NAME=VALUE)"')
            fail(
                f"{text[at]!r} cannot stand in a filter",
                at,
                'labels have letters, digits, "_" and "-"; ".", "..", "," combine them',
            )
        label: Label | None = None
        kind = match.lastgroup or ""
        if match["label"]:
            label = Label(match["label"])
        elif match["named"]:
            kind = "label"
            value = match["value"]
            label = Label(match["axis"]) if value is None else Label(value, match["axis"])
        found.append((kind, at, match.end(), label))
        at = match.end()
    return found


def _tidy(alternatives: list[list[list[Label]]]) -> tuple[tuple[Run, ...], ...]:
    tidy = (tuple(tuple(run) for run in runs if run) for runs in alternatives)
    return tuple(runs for runs in tidy if runs)
