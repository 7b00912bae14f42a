# SPDX-License-Identifier: Apache-2.0
"""Kernel log records: from /dev/kmsg, a console or netconsole, to whole lines with owners."""

from windtunnel.logs.printk.console import ConsoleParser
from windtunnel.logs.printk.kmsg import Datagram, KmsgParser, parse_header
from windtunnel.logs.printk.line import Confidence, Entry, Line
from windtunnel.logs.printk.netconsole import Sequencer
from windtunnel.logs.printk.owners import Owners
from windtunnel.logs.printk.parse import Form, form_of, parse_log
from windtunnel.logs.printk.reassemble import reassemble
from windtunnel.logs.printk.record import Item, Lost, Record, Replay
from windtunnel.logs.printk.render import to_console

__all__ = [
    "Confidence",
    "ConsoleParser",
    "Datagram",
    "Entry",
    "Form",
    "Item",
    "KmsgParser",
    "Line",
    "Lost",
    "Owners",
    "Record",
    "Replay",
    "Sequencer",
    "form_of",
    "parse_header",
    "parse_log",
    "reassemble",
    "to_console",
]
