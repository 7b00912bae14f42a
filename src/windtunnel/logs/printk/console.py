# SPDX-License-Identifier: Apache-2.0
"""Text of a console: a serial port, dmesg, the system log's file, basic netconsole.

There may be anything: prefixes in part or in full, lines of programs, lines cut in
two by them, and what a daemon or dmesg puts before the kernel's own prefix.

Source: kernel/printk/printk.c, record_print_text(), console_prepend_dropped(),
console_prepend_replay(); dmesg(1); RFC 3164 and 5424.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from windtunnel.logs.printk.framing import ENDS_WITHIN, Lines, show
from windtunnel.logs.printk.prefix import parse_prefix
from windtunnel.logs.printk.record import Item, Lost, Record, Replay

_DROPPED = re.compile(r"\*\* (\d{1,20}) printk messages dropped \*\*(?: (?=.))?", re.ASCII)
_REPLAY = "** replaying previous printk message **"

# "Nov 26 00:44:10 host kernel: ", with a full date, or without any as journalctl -o cat.
_SYSLOG = re.compile(
    r"(?:<(?P<pri>\d{1,3})>1? ?)?"
    r"(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?:\.\d+)?"
    r"|\d{4}-\d\d-\d\dT[\d:.,]+(?:Z|[+-]\d\d:?\d\d)?)"
    r" \S+ kernel(?:\[\d+\])?: ?",
    re.ASCII,
)
_LEVELS = "emerg alert crit err warn notice info debug".split()
_FACILITIES = "kern user mail daemon auth syslog lpr news uucp cron authpriv ftp".split()
# dmesg --decode: "kern  :warn  : [    1.234567] text"
_DECODED = re.compile(rf"({'|'.join(_FACILITIES)}) *:({'|'.join(_LEVELS)}) *: ")
# dmesg --ctime: "[Thu Nov 26 00:44:10 2026] text". Such times are of another clock.
_CTIME = re.compile(r"\[[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}\] ", re.ASCII)
# Somebody's line into which the kernel printed one of its own.
_INNER = re.compile(r"(?:<\d{1,4}>)?\[ *\d{1,9}\.\d{6}\](?:\[ *[CT]\d{1,10}\])? ", re.ASCII)

# The clocks of two processors differ by less than this; more is a replay or another boot.
_BACK_MICROS = 1_000_000
_BANNER = "Linux version "


class ConsoleParser:
    """Reads a stream of console text."""

    def __init__(self) -> None:
        self._lines = Lines()
        self._micros = 0

    def feed(self, data: bytes) -> list[Item]:
        """Take the next piece of the stream; return the lines that are complete."""
        return [item for line in self._lines.feed(data) for item in self._parse(show(line))]

    def finish(self) -> list[Item]:
        """End the stream; return its last line, when that has no newline."""
        items = [item for line in self._lines.finish() for item in self._parse(show(line))]
        if items and isinstance(items[-1], Record):
            items[-1] = replace(items[-1], lacks=ENDS_WITHIN)
        return items

    def _parse(self, line: str) -> Iterator[Item]:
        while match := _DROPPED.search(line):
            if match.start():
                yield from self._parse(line[: match.start()])
            count = int(match[1])
            yield Lost(count, f"the console dropped {count} record{'' if count == 1 else 's'}")
            line = line[match.end() :]
            if not line:
                return
        if _REPLAY in line:
            before, _, after = line.partition(_REPLAY)
            if before:
                yield from self._parse(before)
            yield Replay()
            if after.strip():
                yield from self._parse(after)
            return
        for record in _records_of(line):
            yield from self._in_time(record)

    def _in_time(self, record: Record) -> Iterator[Item]:
        if record.micros is not None:
            back = self._micros - record.micros
            if back > _BACK_MICROS or (back > 0 and record.text.startswith(_BANNER)):
                yield Lost(
                    None, "time goes back: another boot, or the log again from its beginning"
                )
                self._micros = 0
            self._micros = max(self._micros, record.micros)
        yield record


def _records_of(line: str) -> Iterator[Record]:
    """Split a line of a console into the records that are in it."""
    priority: int | None = None
    is_kernel = False
    if match := _SYSLOG.match(line):
        priority = None if match["pri"] is None else int(match["pri"])
        is_kernel = True
        line = line[match.end() :]
    elif match := _DECODED.match(line):
        priority = _FACILITIES.index(match[1]) * 8 + _LEVELS.index(match[2])
        is_kernel = True
        line = line[match.end() :]
    if match := _CTIME.match(line):
        is_kernel = True
        line = line[match.end() :]
    cut_in = False
    while True:
        prefix = parse_prefix(line)
        length = 0
        if prefix is not None:
            length = prefix.length
            priority = priority if prefix.priority is None else prefix.priority
            is_kernel = True
        inner = _INNER.search(line, length)
        text = line[length:] if inner is None else line[length : inner.start()]
        yield Record(
            text,
            micros=None if prefix is None else prefix.micros,
            priority=priority,
            caller="" if prefix is None else prefix.caller,
            is_kernel=is_kernel,
            cut_in=cut_in,
        )
        if inner is None:
            return
        line = line[inner.start() :]
        cut_in = True
        priority = None
