# SPDX-License-Identifier: Apache-2.0
"""Text of a console: a serial port, dmesg, the system log's file, basic netconsole.

There may be anything: prefixes in part or in full, lines of programs, lines cut in
two by them, and what a daemon or dmesg puts before the kernel's own prefix.

Source: kernel/printk/printk.c, record_print_text(), console_prepend_dropped(),
console_prepend_replay(); systemd's src/shared/logs-show.c for what stands between boots.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from windtunnel.logs.printk.foreign import Foreign, parse_foreign, without_colours
from windtunnel.logs.printk.framing import ENDS_WITHIN, Lines, show
from windtunnel.logs.printk.prefix import parse_prefix
from windtunnel.logs.printk.record import Item, Lost, Record, Replay

_DROPPED = re.compile(r"\*\* (\d{1,20}) printk messages dropped \*\*(?: (?=.))?", re.ASCII)
# What journalctl and rsyslog write between two boots.
_BOOT = re.compile(r"-- (?:Boot [0-9a-f]{32}|Reboot) --")
_REPLAY = "** replaying previous printk message **"

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
        return [
            item
            for line in self._lines.feed(data)
            for item in self._parse(show(without_colours(line)))
        ]

    def finish(self) -> list[Item]:
        """End the stream; return its last line, when that has no newline."""
        items = [
            item
            for line in self._lines.finish()
            for item in self._parse(show(without_colours(line)))
        ]
        if items and isinstance(items[-1], Record):
            items[-1] = replace(items[-1], lacks=ENDS_WITHIN)
        return items

    def _parse(self, line: str) -> Iterator[Item]:
        if _BOOT.fullmatch(line):
            self._micros = 0
            yield Lost(None, "another boot")
            return
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
    foreign = parse_foreign(line)
    is_kernel = foreign is not None
    if foreign is None:
        foreign = Foreign(0)
    line = line[foreign.length :]
    priority, micros, caller = foreign.priority, foreign.micros, foreign.caller
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
            micros=micros if prefix is None or prefix.micros is None else prefix.micros,
            priority=priority,
            caller=caller if prefix is None else prefix.caller or caller,
            is_kernel=is_kernel,
            cut_in=cut_in,
            when=foreign.when,
        )
        if inner is None:
            return
        line = line[inner.start() :]
        cut_in = True
        priority, micros, caller = None, None, ""
