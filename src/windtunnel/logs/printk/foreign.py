# SPDX-License-Identifier: Apache-2.0
r"""What other programs put before the kernel's text: daemons, journalctl, dmesg, terminals.

    Nov 26 00:44:10 web1 kernel: text           syslog, journalctl -k; any of its dates
    <4>1 2026-11-26T00:44:10Z web1 kernel - - - text
    [12345.678901 <    0.000010 >] web1 kernel: text
    kern  :warn  : [Thu Nov 26 00:44:10 2026] text
    2026-11-26T00:44:10,123456+00:00 text       dmesg --time-format iso
    [Nov26 00:44] text                          dmesg --reltime, and then [  +0.000010]
    2026-11-26 00:44:10  [12345.678901] text    ts, minicom, a build server
    > [12345.678901] text                       a mail

Only the last two need the kernel's own time behind them: anything may begin with a date.

Source: RFC 3164, 6.2 and RFC 5424, 6; systemd's src/shared/logs-show.c, output_short();
util-linux' sys-utils/dmesg.c, print_record().
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_LEVELS = "emerg alert crit err warn notice info debug".split()
_FACILITIES = "kern user mail daemon auth syslog lpr news uucp cron authpriv ftp".split()

_CLOCK = r"\d\d:\d\d:\d\d(?:[.,]\d{1,9})?"
_ISO = rf"\d{{4}}-\d\d-\d\d[T ]{_CLOCK}(?:Z|[+-]\d\d:?\d\d| [A-Z]{{2,5}}\b)?"
_DATE = rf"(?:(?:[A-Z][a-z]{{2}} )?{_ISO}|[A-Z][a-z]{{2}} [ \d]\d {_CLOCK}|\d{{10}}\.\d{{6}})"
_DELTA = r"<[ +\d.]+>"
_DATA = r"(?:-|(?:\[[^\]]*\])+)"
_STAMP = r"(?P<seconds>\d{1,9})\.(?P<micros>\d{6})"

_FORMS = tuple(
    re.compile(form, re.ASCII)
    for form in (
        rf"(?:<(?P<pri>\d{{1,3}})>1? ?)?(?P<when>{_DATE}) (?:\S+ )?kernel(?:\[\d+\])?: ?",
        rf"<(?P<pri>\d{{1,3}})>1 (?P<when>{_ISO}) \S+ kernel \S+ \S+ {_DATA} ?\ufeff?",
        rf"\[ *{_STAMP}(?: <[ +\d.]+>)?\] \w[\w.-]* kernel: ",
    )
)
_DECODED = re.compile(rf"({'|'.join(_FACILITIES)}) *:({'|'.join(_LEVELS)}) *: ?", re.ASCII)
_DMESG = re.compile(
    r"(?:\[(?P<ctime>[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4})"
    rf"(?: {_DELTA})?\]"
    r"|(?P<iso>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d,\d{6}[+-]\d\d:\d\d)"
    r"|\[(?P<minute>[A-Z][a-z]{2} ?\d{1,2} \d\d:\d\d)\]|\[ *(?P<after>\+\d+\.\d{6})\]"
    rf"|\[ *{_STAMP} {_DELTA}\]|\[{_DELTA}\]) "
    r"(?:\[ *(?P<caller>[CT]\d{1,10})\] )?",
    re.ASCII,
)
_LEADER = re.compile(
    rf"(?:> ?)*[ \t]*(?:\[?(?P<when>{_DATE}|{_CLOCK})\]?:?[ \t]+)?"
    r"(?=(?:<\d{1,4}>)?\[ *\d{1,9}\.\d{6}\])",
    re.ASCII,
)
_ANSI = re.compile(
    rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[()*+][0-9A-Za-z]|[=>78cDEHMNOZ])"
)


@dataclass(frozen=True, slots=True)
class Foreign:
    """What stands before the kernel's own prefix or text.

    Attributes:
        length: in characters.
        priority: facility * 8 + level; None where it is not told.
        micros: microseconds since boot, where this tells it.
        when: the time of another clock than the kernel's, as it stands there.
        caller: as in a kernel's prefix.
    """

    length: int
    priority: int | None = None
    micros: int | None = None
    when: str = ""
    caller: str = ""


def parse_foreign(line: str) -> Foreign | None:
    """Read what another program put before a line of the kernel; None when nothing is there."""
    for form in _FORMS:
        if match := form.match(line):
            return _found(match, match.end())
    priority, at = None, 0
    if decoded := _DECODED.match(line):
        priority = _FACILITIES.index(decoded[1]) * 8 + _LEVELS.index(decoded[2])
        at = decoded.end()
    if match := _DMESG.match(line, at):
        return _found(match, match.end(), priority)
    if priority is not None:
        return Foreign(at, priority)
    leader = _LEADER.match(line)
    return _found(leader, leader.end()) if leader and leader.end() else None


def without_colours(line: bytes) -> bytes:
    """Leave out what steers a terminal and prints nothing: colours, places, titles.

    Source: ECMA-48, 5.4; xterm's ctlseqs.
    """
    return _ANSI.sub(b"", line) if b"\x1b" in line else line


def _found(match: re.Match[str], length: int, priority: int | None = None) -> Foreign:
    said = match.groupdict()
    if said.get("pri"):
        priority = int(said["pri"])
    micros = None
    if said.get("seconds"):
        micros = int(said["seconds"]) * 1_000_000 + int(said["micros"])
    times = (said.get(name) for name in ("when", "ctime", "iso", "minute", "after"))
    when = next(filter(None, times), "")
    return Foreign(length, priority, micros, when, said.get("caller") or "")
