# SPDX-License-Identifier: Apache-2.0
"""Read a log from anywhere: find out what form it has, and give its records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum
from itertools import chain

from windtunnel.logs.printk.console import ConsoleParser
from windtunnel.logs.printk.framing import as_utf8
from windtunnel.logs.printk.jsonlog import dmesg_records, is_dmesg, is_journal, journal_records
from windtunnel.logs.printk.kmsg import KmsgParser, parse_header
from windtunnel.logs.printk.netconsole import Sequencer
from windtunnel.logs.printk.record import Item

# So much of a log is looked at, and that is enough: forms do not mix.
SAMPLE_BYTES = 65_536


class Form(Enum):
    """What a log looks like."""

    KMSG = "records of /dev/kmsg or of netconsole in its extended form"
    CONSOLE = "text of a console, of dmesg, or of the system log"
    JOURNAL = "objects of journalctl -o json"
    DMESG = "the object of dmesg --json"


def form_of(sample: bytes) -> Form:
    """Tell the form of a log from its beginning.

    At least as many records as other lines make it records; lines that begin with a
    blank are a part of the line before.
    """
    if is_journal(sample):
        return Form.JOURNAL
    if is_dmesg(sample):
        return Form.DMESG
    lines = [line for line in sample.split(b"\n") if line.strip() and line[:1] != b" "]
    records = sum(parse_header(line) is not None for line in lines)
    return Form.KMSG if records and records * 2 >= len(lines) else Form.CONSOLE


def parse_log(pieces: Iterable[bytes]) -> Iterator[Item]:
    """Read a log.

    Args:
        pieces: the bytes of the log, in any pieces.

    Returns:
        Its records in their order, and the places where some are lost.
    """
    pieces = as_utf8(pieces)
    sample = b""
    for piece in pieces:
        sample += piece
        if len(sample) >= SAMPLE_BYTES:
            break
    readers = {
        Form.KMSG: _kmsg,
        Form.CONSOLE: _console,
        Form.JOURNAL: journal_records,
        Form.DMESG: dmesg_records,
    }
    yield from readers[form_of(sample[:SAMPLE_BYTES])](chain([sample], pieces))


def _kmsg(pieces: Iterable[bytes]) -> Iterator[Item]:
    parser, sequencer = KmsgParser(), Sequencer()
    for piece in pieces:
        for datagram in parser.feed(piece):
            yield from sequencer.feed(datagram)
    for datagram in parser.finish():
        yield from sequencer.feed(datagram)
    yield from sequencer.finish()


def _console(pieces: Iterable[bytes]) -> Iterator[Item]:
    parser = ConsoleParser()
    for piece in pieces:
        yield from parser.feed(piece)
    yield from parser.finish()
