# SPDX-License-Identifier: Apache-2.0
"""Events in one line, for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from windtunnel.model.event import Event
from windtunnel.model.shorten import shortened

_CHARACTERS_MAX = 140
_NS_PER_SECOND = 1_000_000_000


def event_text(event: Event) -> str:
    """Write an event: when, where, what.

    Returns:
        Such as "12.500000000 s  r1  process-exit ospfd: status 0, outcome exited".
    """
    where = event.node or event.kernel or "-"
    return (
        f"{seconds_text(event.time_ns)} s  {where}  {event.kind} {_fields(event.fields)}".rstrip()
    )


def seconds_text(time_ns: int) -> str:
    """Write a time in seconds, exactly: "12.500000000"."""
    sign = "-" if time_ns < 0 else ""
    seconds, rest = divmod(abs(time_ns), _NS_PER_SECOND)
    return f"{sign}{seconds}.{rest:09d}"


def _fields(fields: Mapping[str, Any]) -> str:
    """What names it first, then the rest in the order of the keys; long values are cut."""
    head = [str(fields[key]) for key in ("process", "name", "link", "interface") if fields.get(key)]
    rest = [
        f"{key} {value if isinstance(value, (str, int)) else _short(value)}"
        for key, value in sorted(fields.items())
        if key not in ("process", "name", "link", "interface") and value not in ("", None)
    ]
    text = ": ".join(filter(None, [" ".join(head), ", ".join(rest)])).replace("\n", " ")
    return shortened(text, _CHARACTERS_MAX)


def _short(value: Any) -> str:
    if isinstance(value, list):
        return f"({len(value)})"
    return str(value)
