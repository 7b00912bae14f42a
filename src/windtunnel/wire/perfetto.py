# SPDX-License-Identifier: Apache-2.0
"""Traces for ui.perfetto.dev: tracks with slices, instants and counters, as protobuf.

A trace is a row of packets, each field 1 of the message Trace, so pieces of it may be
written one behind the other. Names that repeat are told once and numbered from then on
("interned"), which makes a trace a third as large.

Source: protos/perfetto/trace/perfetto_trace.proto (the numbers below are its field
numbers); perfetto.dev/docs/reference/synthetic-track-event, protobuf.dev (encoding).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

_SEQUENCE = 1  # trusted_packet_sequence_id: we are the only one who writes
_STATE_CLEARED, _NEEDS_STATE = 1, 2  # TracePacket.SequenceFlags

# Trace
_PACKET = 1
# TracePacket
_TIMESTAMP, _SEQUENCE_ID, _TRACK_EVENT, _INTERNED, _FLAGS, _TRACK = 8, 10, 11, 12, 13, 60
# TrackDescriptor
_UUID, _NAME, _PROCESS, _THREAD, _PARENT, _COUNTER = 1, 2, 3, 4, 5, 8
# ProcessDescriptor and ThreadDescriptor
_PROCESS_PID, _PROCESS_NAME, _THREAD_PID, _THREAD_TID, _THREAD_NAME = 1, 6, 1, 2, 5
# CounterDescriptor
_UNIT_NAME = 6
# TrackEvent
_ANNOTATION, _TYPE, _EVENT_NAME, _ON_TRACK, _COUNTER_VALUE = 4, 9, 10, 11, 30
# DebugAnnotation
_ANNOTATION_NAME, _INT_VALUE, _STRING_VALUE = 1, 4, 6
# InternedData, and its entries
_EVENT_NAMES, _ANNOTATION_NAMES, _IID, _IID_NAME = 2, 3, 1, 2


class _Type(IntEnum):
    """TrackEvent.Type."""

    BEGIN = 1
    END = 2
    INSTANT = 3
    COUNTER = 4


class PerfettoWriter:
    """Encodes one trace, packet by packet; each method gives the bytes to write next.

    Tracks are told before anything happens on them. Times are in nanoseconds and never
    negative; those of one track do not go back.
    """

    def __init__(self) -> None:
        """Begin a trace."""
        self._tracks = 0
        self._first = True
        self._event_names: dict[str, int] = {}
        self._annotation_names: dict[str, int] = {}

    def process(self, pid: int, name: str) -> tuple[int, bytes]:
        """Tell of a process; its number must be its own in the whole trace.

        Returns:
            The number of its track, and the bytes.
        """
        said = _number(_PROCESS_PID, pid) + _text(_PROCESS_NAME, name)
        return self._describe(_message(_PROCESS, said))

    def thread(self, pid: int, tid: int, name: str) -> tuple[int, bytes]:
        """Tell of a thread of a process."""
        return self._describe(_thread(pid, tid, name))

    def rename_thread(self, track: int, pid: int, tid: int, name: str) -> bytes:
        """Tell that a thread has another name."""
        return _descriptor(track, _thread(pid, tid, name))

    def track(self, parent: int, name: str) -> tuple[int, bytes]:
        """Tell of a track below another one, 0 for none."""
        said = _text(_NAME, name) + (_number(_PARENT, parent) if parent else b"")
        return self._describe(said)

    def counter(self, parent: int, name: str, unit: str) -> tuple[int, bytes]:
        """Tell of a counter below a track."""
        said = _text(_NAME, name) + _number(_PARENT, parent)
        return self._describe(said + _message(_COUNTER, _text(_UNIT_NAME, unit)))

    def begin(self, track: int, time_ns: int, name: str, more: Mapping[str, object]) -> bytes:
        """A slice begins."""
        return self._event(_Type.BEGIN, track, time_ns, name, more)

    def end(self, track: int, time_ns: int, more: Mapping[str, object] | None = None) -> bytes:
        """The slice that began last on a track ends; what is told of it then is added to it."""
        return self._event(_Type.END, track, time_ns, "", more or {})

    def instant(self, track: int, time_ns: int, name: str, more: Mapping[str, object]) -> bytes:
        """Something happens."""
        return self._event(_Type.INSTANT, track, time_ns, name, more)

    def value(self, counter: int, time_ns: int, value: int) -> bytes:
        """A counter stands at a value from now on, 64 bits with a sign."""
        said = _number(_TYPE, _Type.COUNTER) + _number(_ON_TRACK, counter)
        return self._packet(time_ns, said + _number(_COUNTER_VALUE, value), b"")

    def _describe(self, said: bytes) -> tuple[int, bytes]:
        self._tracks += 1
        return self._tracks, _descriptor(self._tracks, said)

    def _event(
        self, kind: _Type, track: int, time_ns: int, name: str, more: Mapping[str, object]
    ) -> bytes:
        new = b""
        said = _number(_TYPE, kind) + _number(_ON_TRACK, track)
        if name:
            iid, told = _intern(self._event_names, name, _EVENT_NAMES)
            new += told
            said += _number(_EVENT_NAME, iid)
        for key, value in more.items():
            iid, told = _intern(self._annotation_names, key, _ANNOTATION_NAMES)
            new += told
            held = (
                _number(_INT_VALUE, value)
                if isinstance(value, int)
                else _text(_STRING_VALUE, str(value))
            )
            said += _message(_ANNOTATION, _number(_ANNOTATION_NAME, iid) + held)
        return self._packet(time_ns, said, new)

    def _packet(self, time_ns: int, event: bytes, interned: bytes) -> bytes:
        flags = _NEEDS_STATE | (_STATE_CLEARED if self._first else 0)
        self._first = False
        body = _number(_TIMESTAMP, time_ns) + _number(_SEQUENCE_ID, _SEQUENCE)
        body += _number(_FLAGS, flags) + (_message(_INTERNED, interned) if interned else b"")
        return _message(_PACKET, body + _message(_TRACK_EVENT, event))


def _thread(pid: int, tid: int, name: str) -> bytes:
    said = _number(_THREAD_PID, pid) + _number(_THREAD_TID, tid) + _text(_THREAD_NAME, name)
    return _message(_THREAD, said)


def _descriptor(track: int, said: bytes) -> bytes:
    body = _message(_TRACK, _number(_UUID, track) + said) + _number(_SEQUENCE_ID, _SEQUENCE)
    return _message(_PACKET, body)


def _intern(known: dict[str, int], name: str, entries: int) -> tuple[int, bytes]:
    """The number of a name, and what tells it if it is new."""
    iid = known.get(name)
    if iid is not None:
        return iid, b""
    known[name] = iid = len(known) + 1
    return iid, _message(entries, _number(_IID, iid) + _text(_IID_NAME, name))


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value & 0xFFFFFFFFFFFFFFFF)


def _message(field: int, body: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(body)) + body


def _text(field: int, text: str) -> bytes:
    return _message(field, text.encode("utf-8", "replace"))


def _varint(value: int) -> bytes:
    if value < 0x80:
        return bytes((value,))
    found = bytearray()
    while value >= 0x80:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)
