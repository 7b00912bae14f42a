# SPDX-License-Identifier: Apache-2.0
"""Logs as JSON: one object a line from journalctl -o json, or all in one from dmesg --json.

Source: systemd's docs/JOURNAL_EXPORT_FORMATS.md, "Journal JSON Format", and
systemd.journal-fields(7); util-linux' sys-utils/dmesg.c, print_record().
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any

from windtunnel.logs.printk.framing import ENDS_WITHIN, Lines, show
from windtunnel.logs.printk.record import Item, Lost, Record

_DMESG = re.compile(rb'\s*\{\s*"dmesg"\s*:\s*\[')
_JOURNAL = re.compile(rb'\s*\{[^\n]*"(?:MESSAGE|__CURSOR|_BOOT_ID|__REALTIME_TIMESTAMP)"\s*:')
_MICROS = 1_000_000
_SECONDS_MAX = 1_000_000_000  # thirty years of uptime, as in a kernel's prefix
_LIST = re.compile(r"[\s,]*")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CALLER = re.compile(r"[CT]\d{1,10}")
# Of Python's dates, which end in the year 9999.
_REALTIME_MAX = 253_402_300_799 * _MICROS


def is_journal(sample: bytes) -> bool:
    """Whether a log begins like the objects of journalctl."""
    return _JOURNAL.match(sample) is not None


def is_dmesg(sample: bytes) -> bool:
    """Whether a log begins like the object of dmesg."""
    return _DMESG.match(sample) is not None


def journal_records(pieces: Iterable[bytes]) -> Iterator[Item]:
    """Read objects of the journal; what programs logged is there, too, as on a console."""
    lines, boot = Lines(), ""
    for piece in chain(pieces, [None]):
        for line in lines.finish() if piece is None else lines.feed(piece):
            fields = _object(line)
            if fields is None:
                yield Record(show(line), is_kernel=False, lacks="" if piece else ENDS_WITHIN)
                continue
            its_boot = str(fields.get("_BOOT_ID", boot))
            if boot and its_boot != boot:
                yield Lost(None, "another boot")
            boot = its_boot
            yield _of_journal(fields)


def dmesg_records(pieces: Iterable[bytes]) -> Iterator[Item]:
    """Read the object of dmesg; where it is cut, what is before that."""
    text = b"".join(pieces).decode("utf-8", "backslashreplace")
    decoder = json.JSONDecoder()
    at = text.index("[") + 1
    while True:
        match = _LIST.match(text, at)
        at = match.end() if match else at
        if text[at : at + 1] == "]":
            return
        try:
            fields, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            yield Lost(None, ENDS_WITHIN)
            return
        if isinstance(fields, dict):
            yield Record(
                _shown(fields.get("msg")),
                micros=_micros(fields.get("time")),
                priority=_number(fields.get("pri")),
                caller=_caller(fields.get("caller")),
            )


def _of_journal(fields: dict[str, Any]) -> Record:
    text = _shown(fields.get("MESSAGE"))
    is_kernel = fields.get("_TRANSPORT") == "kernel" or fields.get("SYSLOG_IDENTIFIER") == "kernel"
    if not is_kernel:
        name, pid = _shown(fields.get("SYSLOG_IDENTIFIER")), _shown(fields.get("_PID"))
        text = f"{name}{f'[{pid}]' if pid else ''}: {text}"
    level, facility = _number(fields.get("PRIORITY")), _number(fields.get("SYSLOG_FACILITY"))
    return Record(
        text,
        micros=_number(fields.get("_SOURCE_MONOTONIC_TIMESTAMP")) if is_kernel else None,
        priority=None if level is None else (facility or 0) * 8 + level,
        is_kernel=is_kernel,
        when=_when(_number(fields.get("__REALTIME_TIMESTAMP"))),
    )


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None


def _shown(value: object) -> str:
    """A text; what is no UTF-8 the journal gives as a list of bytes."""
    if isinstance(value, list):
        data = bytes(one for one in value if isinstance(one, int) and 0 <= one < 256)
    else:
        data = ("" if value is None else str(value)).encode("utf-8", "backslashreplace")
    return "\n".join(show(part) for part in data.split(b"\n"))


def _number(value: object) -> int | None:
    text = str(value)
    return int(text) if text.isdecimal() and text.isascii() and len(text) <= 20 else None


def _micros(seconds: object) -> int | None:
    """Rounding gives back the digits that stood there: this is a number read, and no sum."""
    if isinstance(seconds, float) and 0 <= seconds < _SECONDS_MAX:
        return round(seconds * _MICROS)
    return None


def _caller(value: object) -> str:
    text = str(value).strip()
    return text if _CALLER.fullmatch(text) else ""


def _when(micros: int | None) -> str:
    if micros is None or micros > _REALTIME_MAX:
        return ""
    return (_EPOCH + timedelta(microseconds=micros)).isoformat(timespec="microseconds")
