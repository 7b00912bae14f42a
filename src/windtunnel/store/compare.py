# SPDX-License-Identifier: Apache-2.0
"""Compare what two runs left, and name the moment at which they part.

Equal runs have equal events, outputs and files, byte for byte, equal values of
EQUAL_KEYS in the manifest, and kernels that logged the same while the lab ran. The
host's facts in the manifest may differ, and so may what kernels print before lab time
zero: what they found on this host.

Of all differences the one that came first in virtual time is named, for it is
the cause of the others or the nearest to it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice, takewhile
from pathlib import Path
from typing import Any

from windtunnel.errors import ProtocolError
from windtunnel.model.event import Event
from windtunnel.model.eventtext import seconds_text
from windtunnel.store import contents, layout
from windtunnel.store.contents import Place
from windtunnel.store.lablog import first_log_difference, lab_log
from windtunnel.store.layout import host_errors
from windtunnel.store.processes import START
from windtunnel.store.run_reader import RunReader, parse_event

INPUT_KEYS = ("lab", "seed", "kernel", "node_kernels", "stop_ns")
"""What the runs were made from. Runs that differ here are no repetitions."""

RESULT_KEYS = ("state", "verdict", "finding")
EQUAL_KEYS = INPUT_KEYS + RESULT_KEYS

_LATER_KEYS = frozenset({"node_kernels"})
"""Left out of a digest where a run has none, so that digests of older runs stay as they are."""

EVENTS_BEFORE = 10
OUTPUT = "output"
"""An event of this kind (fields: process, stream "stdout" or "stderr",
size_bytes) says when bytes were printed; without such events only the
process's life is known."""

_EXCERPT_RADIUS_BYTES = 200
_DIGEST_PREFIX = b"windtunnel run 1\0"


@dataclass(frozen=True, slots=True)
class GrantDifference:
    """The first grant of the calendar that differs.

    Attributes:
        line: of grants.log, from 1.
        a, b: the line in either run; empty where the log has ended.
        time_ns: the earlier of the two times; None when it cannot be read.
    """

    line: int
    a: str
    b: str
    time_ns: int | None

    def describe(self) -> str:
        """Write it for people, on three lines."""
        return (
            f"{_moment(self.time_ns)}the first grant that differs, {layout.GRANTS}:{self.line}\n"
            f"    a: {_side(self.a)}\n"
            f"    b: {_side(self.b)}"
        )


@dataclass(frozen=True, slots=True)
class Difference:
    """The first difference of two runs.

    Attributes:
        file: relative to the run's folder.
        key: of the manifest, when the file is the manifest; else empty.
        line: from 1; the first that differs. 0 for the manifest.
        offset_bytes: from 0; the first byte that differs, or the size of the
            shorter file. 0 for the manifest.
        a, b: what of the line is near the byte; empty where the file has ended,
            None where the run has no such file. Values of the manifest as JSON.
        time_ns: lab time of it; None when the file has no time.
        exact: whether `time_ns` is the very instant; else the bytes were
            printed then or later (the process began then).
        node: where; empty when it concerns the whole lab.
        before: the last events before it, at most EVENTS_BEFORE; the same in
            both runs.
        grant: the first grant that differs, when both runs logged them: a look
            at that moment finds the cause.
    """

    file: str
    key: str
    line: int
    offset_bytes: int
    a: str | None
    b: str | None
    time_ns: int | None
    exact: bool
    node: str
    before: tuple[Event, ...]
    grant: GrantDifference | None = None

    def describe(self) -> str:
        """Write it for people: where, both sides, the events before, and the grant."""
        if self.key:
            head = f"{self.file}: {self.key!r} differs"
            if self.key in INPUT_KEYS:
                head += ", so these are not two runs of the same thing"
        else:
            head = f"{self.file}:{self.line} differs at byte {self.offset_bytes}"
        since = "" if self.exact else "at or after "
        node = f"node {self.node}, " if self.node else ""
        lines = [f"{node}{_moment(self.time_ns, since)}{head}"]
        lines += [f"    a: {_side(self.a)}", f"    b: {_side(self.b)}"]
        if self.before:
            count = len(self.before)
            lines.append(f"  the last {count} events before it:" if count > 1 else "  before it:")
            lines += [f"    {event.to_line()}" for event in self.before]
        if self.grant is not None:
            lines.append(f"  {self.grant.describe()}")
        return "\n".join(lines)


def compare_runs(a: Path, b: Path, *, logs: bool = True) -> Difference | None:
    """Find the first difference of two runs in virtual time.

    What they were made from comes before all else: runs of different labs,
    seeds or kernels differ everywhere.

    Args:
        a: folder of a run.
        b: folder of the other.
        logs: whether what kernels logged is compared; a run that was killed has not
            all of it.

    Returns:
        None when the runs are equal.

    Raises:
        UsageError: one of the folders is no run.
        HostError: a file cannot be read.
    """
    manifests = (RunReader(a).manifest, RunReader(b).manifest)
    with host_errors(a, f"compare with {b}", hint=""):
        found = (
            _first_key(manifests, INPUT_KEYS, a)
            or _lab_difference(a, b)
            or _first_in_time(a, b)
            or (_log_difference(a, b) if logs else None)
            or _first_key(manifests, RESULT_KEYS, a)
        )
    if found is None or found.key in INPUT_KEYS or found.file == layout.LAB:
        return found
    return replace(found, grant=first_grant_difference(a, b))


def first_grant_difference(a: Path, b: Path) -> GrantDifference | None:
    """Find the first line in which two logs of grants differ.

    Returns:
        None when they are equal, or not both runs have one.
    """
    log_a, log_b = a / layout.GRANTS, b / layout.GRANTS
    if not (log_a.is_file() and log_b.is_file()):
        return None
    with host_errors(a, f"compare with {b}", hint=""):
        place = contents.first_difference(log_a, log_b)
        if place is None:
            return None
        side_a, side_b = _sides(log_a, log_b, place)
    times = [time for side in (side_a, side_b) if (time := _grant_time(side or "")) is not None]
    return GrantDifference(place.line, side_a or "", side_b or "", min(times, default=None))


def digest_run(path: Path) -> str:
    """Digest all that must be equal in two equal runs.

    Returns:
        SHA-256 in hex over EQUAL_KEYS of the manifest, and the names and bytes
        of the files that `compare_runs` compares, in the order of their names.

    Raises:
        UsageError: the folder is no run.
        HostError: a file cannot be read.
    """
    manifest = RunReader(path).manifest
    total = hashlib.sha256(_DIGEST_PREFIX)
    keys = [key for key in EQUAL_KEYS if manifest.get(key) or key not in _LATER_KEYS]
    total.update(hashlib.sha256(_json({key: manifest.get(key) for key in keys})).digest())
    for name in compared_files(path):
        total.update(hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest())
        content = hashlib.sha256()
        with host_errors(path, f"read {name}", hint=""), contents.open_content(path / name) as file:
            while chunk := file.read(contents.CHUNK_BYTES):
                content.update(chunk)
        total.update(content.digest())
    log = hashlib.sha256()
    lines = 0
    for lines, line in enumerate(lab_log(path), 1):  # noqa: B007 - how many
        log.update(f"{line.file} {line.time_ns} {line.text}\n".encode())
    if lines:  # so that digests of runs without any stay as they are
        total.update(log.digest())
    return total.hexdigest()


def compared_files(path: Path) -> tuple[str, ...]:
    """Name the files that must be equal, relative to the run's folder, sorted."""
    names: list[str] = []
    with host_errors(path, "list the files", hint=""):
        for top in (layout.EVENTS, layout.LAB, layout.NODES, layout.FILES):
            names += contents.walk(path / top, top)
    return tuple(sorted(names))


def _first_key(
    manifests: tuple[Mapping[str, Any], Mapping[str, Any]], keys: tuple[str, ...], run: Path
) -> Difference | None:
    for key in keys:
        side_a, side_b = (_json(manifest.get(key)).decode() for manifest in manifests)
        if side_a != side_b:
            # Results are compared last, when all events are known to be equal.
            before = () if key in INPUT_KEYS else _events_before(run, None)
            return Difference(
                layout.MANIFEST,
                key,
                0,
                0,
                side_a,
                side_b,
                None,
                exact=False,
                node="",
                before=before,
            )
    return None


def _lab_difference(a: Path, b: Path) -> Difference | None:
    # The lab is written first of all: a run that was killed before has none.
    place = _first_place(a, b, layout.LAB)
    if place is None:
        return None
    return _difference(a, b, layout.LAB, place, _Moment(None, exact=False, events_before=0))


def _log_difference(a: Path, b: Path) -> Difference | None:
    """Compare what the kernels logged while the lab ran."""
    found = first_log_difference(a, b)
    if found is None:
        return None
    left, right = found
    line = left or right
    assert line is not None, "one of them has a line that the other has not"
    time_ns = min(one.time_ns for one in found if one is not None)
    earlier = takewhile(lambda event: event.time_ns < time_ns, _common_events(a, None))
    return Difference(
        file=line.file,
        key="",
        line=line.number,
        offset_bytes=0,
        a=None if left is None else left.text,
        b=None if right is None else right.text,
        time_ns=time_ns,
        exact=True,
        node="",
        before=tuple(deque(earlier, maxlen=EVENTS_BEFORE)),
    )


def _first_in_time(a: Path, b: Path) -> Difference | None:
    """Compare the events, the outputs and the files; choose the first difference."""
    places = {
        name: place
        for name in sorted({*compared_files(a), *compared_files(b)} - {layout.LAB})
        if (place := _first_place(a, b, name)) is not None
    }
    if not places:
        return None
    common = places[layout.EVENTS].line - 1 if layout.EVENTS in places else None
    moments = _output_moments(_common_events(a, common), places)
    if layout.EVENTS in places:
        moments[layout.EVENTS] = _event_moment(a, b, places[layout.EVENTS])
    unknown = _Moment(None, exact=False, events_before=0)
    # What is exact comes first: a process that began early may have printed late.
    first = min(places, key=lambda name: (moments.get(name, unknown).order, name))
    return _difference(a, b, first, places[first], moments.get(first, unknown))


@dataclass(frozen=True, slots=True)
class _Moment:
    # When the bytes at a difference were written, as far as the events tell.
    time_ns: int | None
    exact: bool
    events_before: int
    node: str = ""
    is_event: bool = False

    @property
    def order(self) -> tuple[bool, bool, int, bool]:
        return not self.exact, self.time_ns is None, self.time_ns or 0, not self.is_event


def _output_moments(events: Iterator[Event], places: Mapping[str, Place]) -> dict[str, _Moment]:
    # From a process's start on, its files may differ; an output event that
    # covers the byte says exactly when.
    moments: dict[str, _Moment] = {}
    printed_bytes: dict[str, int] = {}
    for count, event in enumerate(events):
        if event.kind not in (START, OUTPUT):
            continue
        process = layout.file_name(str(event.fields.get("process", "")))
        stem = f"{layout.NODES}/{layout.file_name(event.node)}/{process}"
        for stream in ("stdout", "stderr"):
            name = f"{stem}.{stream}"
            if name not in places or (name in moments and moments[name].exact):
                continue
            if event.kind == START:
                began = _Moment(event.time_ns, exact=False, events_before=count + 1)
                moments.setdefault(name, began)
            elif event.fields.get("stream") == stream:
                size_bytes = event.fields.get("size_bytes")
                if isinstance(size_bytes, int):
                    printed_bytes[name] = printed_bytes.get(name, 0) + size_bytes
                if printed_bytes.get(name, 0) > places[name].offset_bytes:
                    moments[name] = _Moment(event.time_ns, exact=True, events_before=count)
    return moments


def _event_moment(a: Path, b: Path, place: Place) -> _Moment:
    # The events on both sides of the first line that differs; the earlier one counts.
    found = []
    for run in (a, b):
        with (run / layout.EVENTS).open("rb") as file:
            file.seek(place.line_start_bytes)
            with suppress(ProtocolError):
                found.append(parse_event(file.readline()))
    if not found:
        return _Moment(None, exact=False, events_before=place.line - 1, is_event=True)
    first = min(found, key=lambda event: event.time_ns)
    return _Moment(
        first.time_ns,
        exact=True,
        events_before=place.line - 1,
        node=first.node,
        is_event=True,
    )


def _difference(a: Path, b: Path, name: str, place: Place, moment: _Moment) -> Difference:
    side_a, side_b = _sides(a / name, b / name, place)
    parts = name.split("/")
    in_node = parts[0] == layout.NODES and len(parts) > 2
    return Difference(
        file=name,
        key="",
        line=place.line,
        offset_bytes=place.offset_bytes,
        a=side_a,
        b=side_b,
        time_ns=moment.time_ns,
        exact=moment.exact,
        node=layout.name_of_file(parts[1]) if in_node else moment.node,
        before=_events_before(a, moment.events_before),
    )


def _first_place(a: Path, b: Path, name: str) -> Place | None:
    exist = [os.path.lexists(run / name) for run in (a, b)]
    if not all(exist):
        return Place(0, 1, 0) if any(exist) else None
    return contents.first_difference(a / name, b / name)


def _sides(a: Path, b: Path, place: Place) -> tuple[str | None, str | None]:
    pieces = [
        contents.line_near(path, place, radius_bytes=_EXCERPT_RADIUS_BYTES) for path in (a, b)
    ]
    # The line's end says something only where one side has it and the other has not.
    if all(piece.endswith(b"\n") for piece in pieces if piece):
        pieces = [piece if piece == b"\n" else piece and piece[:-1] for piece in pieces]
    side_a, side_b = (
        None if piece is None else piece.decode("utf-8", "backslashreplace") for piece in pieces
    )
    return side_a, side_b


def _common_events(run: Path, count: int | None) -> Iterator[Event]:
    # The first `count` events (None: all), which are the same in both runs.
    with (run / layout.EVENTS).open("rb") as lines:
        for line in islice(lines, count):
            try:
                yield parse_event(line)
            except ProtocolError:
                return


def _events_before(run: Path, count: int | None) -> tuple[Event, ...]:
    return tuple(deque(_common_events(run, count), maxlen=EVENTS_BEFORE))


def _grant_time(line: str) -> int | None:
    words = line.split()
    return int(words[1]) if len(words) > 1 and words[1].isdecimal() else None


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _moment(time_ns: int | None, since: str = "") -> str:
    if time_ns is None:
        return ""
    return f"{since}{seconds_text(time_ns)} s: "


def _side(text: str | None) -> str:
    if text is None:
        return "(no such file)"
    if not text:
        return "(nothing)"
    return text if text.isprintable() else repr(text)
