# SPDX-License-Identifier: Apache-2.0
"""Where time is to stand still for whoever watches a lab: at an instant, or at an event.

A breakpoint only ends a wait: nothing in the lab is other than without it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from windtunnel.errors import UsageError, WindtunnelError
from windtunnel.model.event import KINDS, Event
from windtunnel.model.nearmiss import near_miss
from windtunnel.model.units import format_duration, parse_duration

HELP = "write ':break 12.5 s', ':break event fault' or ':break event process node=r1'"


@dataclass(frozen=True, slots=True)
class Breakpoint:
    """One place to stop at.

    Attributes:
        number: that the user deletes it by.
        time_ns: lab time; None for events.
        kind: of events, or the first word of several kinds: "process".
        fields: that an event must have; "node" is its node.
    """

    number: int
    time_ns: int | None = None
    kind: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        if self.time_ns is not None:
            return f"{self.number}: {format_duration(self.time_ns)}"
        words = [f"{name}={value}" for name, value in self.fields.items()]
        return f"{self.number}: {' '.join(['event', self.kind, *words])}"

    def matches(self, event: Event) -> bool:
        """Whether it stops at an event."""
        if self.time_ns is not None or self.kind not in (event.kind, event.kind.partition("-")[0]):
            return False
        found = {**event.fields, "node": event.node}
        return all(
            name in found and _text(found[name]) == value for name, value in self.fields.items()
        )


class Breakpoints:
    """All breakpoints of one session, and which of them were hit."""

    def __init__(self) -> None:
        self._points: list[Breakpoint] = []
        self._count = 0
        self._hits: list[str] = []

    def __str__(self) -> str:
        return "\n".join(map(str, self._points)) or "no breakpoints"

    @property
    def any(self) -> bool:
        """Whether there is one that can still be hit."""
        return bool(self._points)

    @property
    def hit(self) -> bool:
        """Whether one was hit since `take_hits` was last called."""
        return bool(self._hits)

    def add(self, text: str, *, now_ns: int) -> Breakpoint:
        """Take a new one, in the words of the user.

        Args:
            text: a lab time, or "event", a kind of event, and fields that it must have.
            now_ns: lab time; a breakpoint lies behind it.

        Raises:
            UsageError: it says nothing that could be hit.
        """
        first, *rest = text.split() or [""]
        if not first:
            raise UsageError("a breakpoint needs a time, or an event", hint=HELP)
        if first == "event":
            point = _of_event(self._count + 1, rest)
        else:
            point = Breakpoint(self._count + 1, time_ns=_time(text))
            if (point.time_ns or 0) <= now_ns:
                raise UsageError(f"{text} is past", hint=f"it is {format_duration(now_ns)}")
        self._count += 1
        self._points.append(point)
        return point

    def delete(self, text: str) -> None:
        """Remove the one with a number, or all for "all".

        Raises:
            UsageError: there is none.
        """
        left = [] if text == "all" else [one for one in self._points if str(one.number) != text]
        if len(left) == len(self._points):
            raise UsageError(f"there is no breakpoint {text!r}", hint="':breaks' lists them")
        self._points = left

    def next_ns(self) -> int | None:
        """The next instant to stop at."""
        times = [point.time_ns for point in self._points if point.time_ns is not None]
        return min(times, default=None)

    def note_time(self, now_ns: int) -> None:
        """Take note of the time: those whose instant has come are hit, and gone."""
        for point in [one for one in self._points if one.time_ns is not None]:
            if point.time_ns is not None and point.time_ns <= now_ns:
                self._points.remove(point)
                self._hits.append(f"[{format_duration(now_ns)}] breakpoint {point}")

    def note_event(self, event: Event) -> None:
        """Take note of an event: those that it matches are hit."""
        for point in self._points:
            if point.matches(event):
                self._hits.append(
                    f"[{format_duration(event.time_ns)}] breakpoint {point.number}: "
                    f"{event_words(event)}"
                )

    def take_hits(self) -> list[str]:
        """What was hit since this was last called, a line each: when, which, at what."""
        hits, self._hits = self._hits, []
        return hits


def event_words(event: Event) -> str:
    """An event as one would write the breakpoint that it hits."""
    words = [f"{name}={_text(value)}" for name, value in event.fields.items()]
    where = [f"node={event.node}"] if event.node else []
    return " ".join(["event", event.kind, *where, *words])


def _of_event(number: int, words: list[str]) -> Breakpoint:
    kind, *settings = words or [""]
    known = (*KINDS, *dict.fromkeys(kind.partition("-")[0] for kind in KINDS))
    if kind not in known:
        near = near_miss(kind, known)
        hint = f"did you mean {near!r}?" if near else f"there are {', '.join(KINDS)}"
        raise UsageError(f"there is no kind of event {kind!r}", hint=hint)
    fields = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not name or not equals:
            raise UsageError(f"{setting!r} is no field of an event", hint=HELP)
        fields[name] = value
    return Breakpoint(number, kind=kind, fields=fields)


def _time(text: str) -> int:
    try:
        return parse_duration(text)
    except WindtunnelError as error:
        raise UsageError(f":break {text}: {error.message}", hint=error.hint or HELP) from error


# Texts as they are, anything else as in events.jsonl.
def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
