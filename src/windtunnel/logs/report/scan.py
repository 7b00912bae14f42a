# SPDX-License-Identifier: Apache-2.0
"""Find crash reports in a kernel's log.

One search of the whole text for each head's words gives the few lines that may
begin a report. From there on lines are read one by one: those of the same owner are
the report, and what others printed meanwhile is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from windtunnel.logs.printk.prefix import caller_of
from windtunnel.logs.report.family import expression
from windtunnel.logs.report.frames import is_frame
from windtunnel.logs.report.naming import name_report
from windtunnel.logs.report.report import Report
from windtunnel.logs.report.tables import FOLLOW_UPS, FOREIGN_TRACES, HANGUPS, HEADS

# A report with the traces of all processors has some hundred lines for each. More than
# this is another program's endless output, and the search must end.
REPORT_MAX_LINES = 2_000
# Others' lines in a row after which an owner has nothing more to say.
SILENT_LINES = 200
# What the same owner said before the headline may explain it. Without owners it is a guess.
OWN_LINES_BEFORE = 50
LINES_BEFORE = 5
SEARCHED_LINES_BEFORE = 200

_PANIC = "Kernel panic - not syncing"
_CIRCULAR = "WARNING: possible circular locking dependency detected"
_TAINT = "Disabling lock debugging due to kernel taint"
_ALL_PROCESSORS = "Sending NMI from CPU"
_REPLAY = "** replaying previous printk message **"
# A panic or a deadlock that comes of reporting repeats the trace. It is left out once
# the report itself has so many lines; KMSAN's are shorter than others.
_ENOUGH_LINES = 22
_ENOUGH_LINES_KMSAN = 16

# The unwinder is not sure of such frames: "? foo+0x1/0x2".
_UNSURE = expression(r"(?:\[<[0-9a-f]+>\])? \? ")
# User Mode Linux is sure of no frame: it prints whatever on the stack looks like code.
_UML_FRAME = expression(r" \[<[0-9a-f]{8}>\] \? ")
# An address where a function begins is never one to return to.
_BEGINS_FUNCTION = "+0x0/"
_UNSURE_SUFFIX = " (unreliable)"  # PowerPC


@dataclass(frozen=True, slots=True)
class _Headline:
    """A line that may begin a report; `start` and `end` are offsets in the text."""

    start: int
    end: int
    heads: tuple[int, ...]
    line: str
    owner: str | None

    @property
    def goes_on(self) -> bool:
        """It belongs to the report before it."""
        return FOLLOW_UPS.search(self.line) is not None

    def is_same_stream(self, other: _Headline) -> bool:
        """Nothing says that somebody else printed it."""
        return not self.owner or self.owner == other.owner


def find_reports(text: str) -> Iterator[Report]:
    """Find all reports, in the order of their headlines.

    Args:
        text: a kernel's log, with or without prefixes and with whatever else is in
            it. Lines end in a newline; carriage returns are ignored.
    """
    text = text.replace("\r", "")
    headlines = _headlines(text)
    last_panic = text.rfind(_PANIC)
    hung_up = any(words in text for words in HANGUPS)
    foreign = sorted(
        place for words in FOREIGN_TRACES for place, _ in _occurrences(text, words, ())
    )
    line, counted = 1, 0
    taken: set[int] = set()
    for number, headline in enumerate(headlines):
        if number in taken:
            continue
        end, read = _reach(headlines, number, foreign, len(text))
        taken.update(read)
        body = _read_body(text, headline, end)
        named = name_report(body, [HEADS[index] for index in headline.heads])
        line += text.count("\n", counted, headline.start)
        counted = headline.start
        yield Report(
            title=named.title,
            aliases=named.aliases,
            kind=named.kind,
            frame=named.frame,
            corrupted=named.corrupted or ("the console was disconnected" if hung_up else ""),
            panicked=last_panic >= headline.start,
            mishap=named.mishap,
            owner=headline.owner or "",
            line=line,
            extract="".join(f"{own}\n" for own in (*_before(text, headline), *body)),
        )


def _headlines(text: str) -> list[_Headline]:
    """Every line that holds a head's words and is not harmless, in their order."""
    found: dict[int, tuple[int, list[int]]] = {}
    for index, head in enumerate(HEADS):
        for start, end in _occurrences(text, head.words, _HARMLESS[index]):
            found.setdefault(start, (end, []))[1].append(index)
    headlines = []
    for start, (end, heads) in sorted(found.items()):
        line = text[start:end]
        # Printed again in full by another processor, right after this.
        if not _is_replayed(text, end):
            headlines.append(_Headline(start, end, tuple(heads), line, caller_of(line)[0]))
    return headlines


_HARMLESS: tuple[tuple[re.Pattern[str], ...], ...] = tuple(
    () if head.harmless is None else (head.harmless,) for head in HEADS
)


def _occurrences(
    text: str, words: str, harmless: Sequence[re.Pattern[str]]
) -> Iterator[tuple[int, int]]:
    """Give the lines that hold some words, as offsets of their beginning and end."""
    at = text.find(words)
    while at >= 0:
        start = text.rfind("\n", 0, at) + 1
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        if not any(pattern.search(text, start, end) for pattern in harmless):
            yield start, end
        at = text.find(words, end)


def _is_replayed(text: str, end: int) -> bool:
    after = text.find("\n", end + 1)
    return _REPLAY in text[end : len(text) if after < 0 else after]


def _reach(
    headlines: Sequence[_Headline], number: int, foreign: Sequence[int], length: int
) -> tuple[int, list[int]]:
    """Say where a report ends at the latest, and which headlines are in it.

    Where lines have owners only the owner's next report ends it.
    """
    headline = headlines[number]
    end = length
    if not headline.owner:
        end = next((place for place in foreign if place > headline.start), length)
    read: list[int] = []
    for other_number in range(number + 1, min(len(headlines), number + REPORT_MAX_LINES)):
        other = headlines[other_number]
        if other.start >= end:
            break
        if headline.is_same_stream(other):
            if not other.goes_on:
                return other.start, read
            read.append(other_number)
    return end, read


def _read_body(text: str, headline: _Headline, end: int) -> list[str]:
    """Read a report's own lines, the headline first, without their prefixes.

    Frames of which the unwinder is not sure are left out. User Mode Linux has no others,
    so there they have to do.
    """
    owner = headline.owner
    enough = _ENOUGH_LINES_KMSAN if "BUG: KMSAN:" in headline.line else _ENOUGH_LINES
    body = [_without_prefix(headline.line, owner)]
    with_unsure = body[:]
    all_processors = False
    read = 1
    silent = 0
    for line in islice(_lines(text, headline.end + 1, end), REPORT_MAX_LINES):
        caller, rest = caller_of(line)
        if caller != owner and not (all_processors and caller and caller[0] == "C"):
            silent += 1
            if silent == SILENT_LINES:
                break
            continue
        silent = 0
        if caller is not None and _is_unsure(rest):
            if _UML_FRAME.match(rest) and _BEGINS_FUNCTION not in rest:
                with_unsure.append(rest.replace("? ", "", 1))
            continue
        read += 1
        if _TAINT in rest:
            continue
        if _ALL_PROCESSORS in rest:
            all_processors = True
        elif read > enough and (_PANIC in rest or _CIRCULAR in rest):
            break
        body.append(rest)
        with_unsure.append(rest)
    return body if any(map(is_frame, body)) else with_unsure


def _lines(text: str, start: int, end: int) -> Iterator[str]:
    """Give lines one by one, since most of a long log is not needed."""
    while start < end:
        stop = text.find("\n", start, end)
        stop = end if stop < 0 else stop
        yield text[start:stop]
        start = stop + 1


def _without_prefix(line: str, owner: str | None) -> str:
    return line if owner is None else caller_of(line)[1]


def _is_unsure(line: str) -> bool:
    if " ? " in line:
        return "<EOI>" not in line and _UNSURE.search(line) is not None
    return line.endswith(_UNSURE_SUFFIX)


def _before(text: str, headline: _Headline) -> list[str]:
    """Give the lines that the same owner printed just before."""
    limit = OWN_LINES_BEFORE if headline.owner and headline.owner[0] == "T" else LINES_BEFORE
    lines: list[str] = []
    end = headline.start
    for _ in range(SEARCHED_LINES_BEFORE):
        if end <= 0 or len(lines) == limit:
            break
        start = text.rfind("\n", 0, end - 1) + 1
        caller, rest = caller_of(text[start : end - 1])
        if caller == headline.owner and rest and not _is_unsure(rest):
            lines.append(rest)
        end = start
    return lines[::-1]
