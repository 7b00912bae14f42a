# SPDX-License-Identifier: Apache-2.0
"""The events of two runs side by side, read once and kept nowhere.

An event's number in its run says nothing of the lab, so it is not compared. As long as
lines are equal they are not even parsed, but for those that are looked at later: checks
and counters.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

from windtunnel.errors import ProtocolError
from windtunnel.model.event import Event
from windtunnel.store import contents, layout
from windtunnel.store.layout import host_errors
from windtunnel.store.run_reader import parse_event

_SEQUENCE = re.compile(rb'"sequence":\d+,')
_KIND_AND_NODE = re.compile(rb'"kind":"([a-z-]+)"(?:,"node":"([^"\\]*)")')
_PROGRESS_LINES = 100_000
_TAIL_BYTES = 1 << 14


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events are compared.

    Attributes:
        ignore: kinds that are not.
        node: only those of this node; empty for all.
        context: how many events before the first difference are kept.
    """

    ignore: frozenset[str] = frozenset()
    node: str = ""
    context: int = 10

    def takes(self, kind: str, node: str) -> bool:
        """Whether an event of a kind and node is compared."""
        return kind not in self.ignore and (not self.node or node == self.node)


@dataclass(slots=True)
class Side:
    """What is remembered of one run's events.

    Attributes:
        counts: how many there are, by kind and node.
        checks: fields of each check, by what it is of, node and name, in their order.
        counters: the last counters of each node, by interface or process, and key.
    """

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    checks: dict[tuple[str, str, str], Mapping[str, Any]] = field(default_factory=dict)
    counters: dict[tuple[str, str, str], int] = field(default_factory=dict)

    def remember(self, event: Event) -> None:
        """Take note of a check or of counters."""
        fields = event.fields
        if event.kind == "check":
            key = (str(fields.get("of", "")), event.node, str(fields.get("name", "")))
            self.checks[key] = {**fields, "time_ns": event.time_ns}
        elif event.kind == "counters":
            for one in fields.get("interfaces", ()):
                self._count(event.node, str(one.get("name", "")), one)
            for one in fields.get("processes", ()):
                self._count(event.node, str(one.get("process", one.get("name", ""))), one)

    def _count(self, node: str, whose: str, values: Mapping[str, Any]) -> None:
        for key, value in values.items():
            if isinstance(value, int) and not isinstance(value, bool) and key != "pid":
                self.counters[node, whose, key] = value


@dataclass(frozen=True, slots=True)
class EventDifference:
    """The events of two runs.

    Attributes:
        before: the last events before the first difference, the same in both.
        a, b: the first event of either run that the other has not at its place; None where
            a run has no more. Both None: there is no difference.
        sides: what else is remembered of each.
    """

    before: tuple[Event, ...]
    a: Event | None
    b: Event | None
    sides: tuple[Side, Side]

    @property
    def equal(self) -> bool:
        """Whether no event differs."""
        return self.a is None and self.b is None


def compare_events(
    a: Path, b: Path, wanted: Wanted, progress: Callable[[int], None]
) -> EventDifference:
    """Compare the events of two runs.

    Args:
        a: folder of a run.
        b: folder of the other.
        wanted: which events.
        progress: told now and then how many events have been read.

    Raises:
        ProtocolError: a line that is not the last is no event; names file and line.
        HostError: a file cannot be read.
    """
    sides = (Side(), Side())
    before: deque[bytes] = deque(maxlen=wanted.context)
    found: tuple[bytes | None, bytes | None] | None = None
    streams = [_lines(run, side, wanted) for run, side in ((a, sides[0]), (b, sides[1]))]
    for number, (left, right) in enumerate(zip_longest(*streams)):
        if number % _PROGRESS_LINES == 0:
            progress(number)
        if found is None:
            if left == right or _bare(left) == _bare(right):
                before.append(left or b"")
            else:
                found = (left, right)
    kept = tuple(map(parse_event, before))
    if found is None:
        return EventDifference(kept, None, None, sides)
    first, second = (None if line is None else parse_event(line) for line in found)
    return EventDifference(kept, first, second, sides)


def first_difference(a: Path, b: Path, context: int) -> EventDifference:
    """Find the first event that differs and nothing else, as fast as bytes are compared.

    Events are numbered in their order, so up to the first that differs the bytes are equal.

    Args:
        a: folder of a run.
        b: folder of the other.
        context: how many events before it are wanted.

    Raises:
        ProtocolError: the line that differs, or one before it, is no event.
        HostError: a file cannot be read.
    """
    files = a / layout.EVENTS, b / layout.EVENTS
    with host_errors(a, f"compare {layout.EVENTS} with {b}", hint=""):
        place = contents.first_difference(*files)
        if place is None:
            return EventDifference((), None, None, (Side(), Side()))
        before = _last_lines(files[0], place.line_start_bytes, context)
        lines = [_line_at(file, place.line_start_bytes) for file in files]
    first, second = (None if line is None else parse_event(line) for line in lines)
    return EventDifference(tuple(map(parse_event, before)), first, second, (Side(), Side()))


def _last_lines(file: Path, end_bytes: int, count: int) -> list[bytes]:
    """The last lines before a place at which a line begins."""
    begin = end_bytes
    text = b""
    with file.open("rb") as stream:
        # One newline more than lines: where the first of them begins must be known.
        while begin and text.count(b"\n") <= count:
            size = min(begin, _TAIL_BYTES)
            begin -= size
            stream.seek(begin)
            text = stream.read(size) + text
    lines = text.splitlines(keepends=True)
    return lines[max(0, len(lines) - count) :]


def _line_at(file: Path, begin_bytes: int) -> bytes | None:
    """The line that begins at a place; None where the file ends, or the line was cut."""
    with file.open("rb") as stream:
        stream.seek(begin_bytes)
        line = stream.readline()
    return line if line.endswith(b"\n") else None


def _bare(line: bytes | None) -> bytes | None:
    """A line without the number of its event."""
    return None if line is None else _SEQUENCE.sub(b"", line, count=1)


def _lines(run: Path, side: Side, wanted: Wanted) -> Iterator[bytes]:
    """The lines of a run that are compared; a cut last one is left out."""
    file = run / layout.EVENTS
    with host_errors(run, f"read {layout.EVENTS}", hint=""), file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                kind, node, event = _looked_at(line)
            except ProtocolError as error:
                raise ProtocolError(f"{file}:{number}: {error.message}") from error
            if wanted.takes(kind, node):
                side.counts[kind, node] += 1
                if event is not None:
                    side.remember(event)
                yield line


def _looked_at(line: bytes) -> tuple[str, str, Event | None]:
    """Kind and node of a line, and the whole event if it is one to remember."""
    # The keys are sorted, so fields stand before; and what is text in them has no bare quotes.
    found = _KIND_AND_NODE.match(line, line.rfind(b'"kind":"'))
    if found is None or found[1] in (b"check", b"counters"):
        event = parse_event(line)
        return event.kind, event.node, event
    return found[1].decode(), found[2].decode(), None
