# SPDX-License-Identifier: Apache-2.0
"""Name a report: its title and aliases, and whether it is whole."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from windtunnel.logs.report.family import Family, Head, expression
from windtunnel.logs.report.frames import WRAPPERS, Frame, is_frame, trace_start, walk
from windtunnel.logs.report.kind import Kind, kind_of
from windtunnel.logs.report.title import clean_title

# A trace must show a frame within so many lines of where it is announced.
_FRAME_WITHIN_LINES = 15
# With its announcement; of a shorter one the end is lost.
_LINES_OF_A_TRACE = 3
_NO_STACK = "(stack is not available)"
_IN = expression(r".* in ((?:<[\w: ]+>)?[\w:]+)")
# The time of somebody else's line, in the middle of a title.
_STAMP = expression(r"\[ *\d+\.\d+\]")


@dataclass(frozen=True, slots=True)
class Named:
    """What a report's text says.

    The attributes are those of `Report`.
    """

    title: str
    aliases: tuple[str, ...] = ()
    kind: Kind = Kind.UNKNOWN
    frame: str = ""
    corrupted: str = ""
    mishap: bool = False


def name_report(lines: Sequence[str], heads: Sequence[Head]) -> Named:
    """Name a report.

    Args:
        lines: its own, the headline first, without prefixes.
        heads: those whose words the headline holds; the first one counts.
    """
    head = heads[0]
    named, family = _match(lines, head)
    corrupted = named.corrupted or _torn(named.title, lines, family)
    title = clean_title(named.title)
    found = _IN.match(title)
    return replace(
        named,
        title=title,
        aliases=tuple(sorted(map(clean_title, named.aliases))),
        kind=kind_of(title),
        frame=found[1] if found else "",
        corrupted=corrupted,
    )


def _match(lines: Sequence[str], head: Head) -> tuple[Named, Family | None]:
    """Find the family; where the headline fits none, a later line may."""
    for number, line in enumerate(lines):
        if head.words not in line:
            continue
        opened = False
        for family in head.families:
            opening = family.opening.search(line)
            if opening is None:
                continue
            opened = True
            words = _follow_clues(lines[number:], family, opening)
            if words is not None:
                return _name(lines[number:], family, words), family
        if opened:
            return Named(_rest(line, head), corrupted="only its headline is as it should be"), None
    return Named(_rest(lines[0], head)), None


def _rest(line: str, head: Head) -> str:
    return line[line.index(head.words) :]


def _follow_clues(lines: Sequence[str], family: Family, opening: re.Match[str]) -> list[str] | None:
    """Give the groups of all clues; None when one is missing."""
    if not family.clues:
        return list(opening.groups())
    words: list[str] = []
    at = 0
    for clue in family.clues:
        for number in range(at, len(lines)):
            match = clue.search(lines[number])
            if match is not None:
                words += match.groups()
                at = number + 1
                break
            if at == 0:
                return None  # the first clue is in the headline
        else:
            return None
    return words


def _name(lines: Sequence[str], family: Family, words: Sequence[str]) -> Named:
    corrupted = "its beginning is lost" if family.torn else ""
    frames: tuple[Frame, ...] = ()
    if family.path is not None:
        walked = walk(lines, family.path)
        frames = walked.frames
        if not walked.whole:
            corrupted = "no frame names it"
    title = _fill(family.title, words, [frame.name for frame in frames])
    aliases = {_fill(alias, words, [frame.name for frame in frames]) for alias in family.aliases}
    for names in _variants(frames):
        aliases.update(_fill(form, words, names) for form in (family.title, *family.aliases))
    aliases.discard(title)
    return Named(title, tuple(aliases), corrupted=corrupted, mishap=family.mishap)


def _fill(form: str, words: Sequence[str], names: Sequence[str]) -> str:
    """Put words and the names of frames into a title."""
    return form.format(
        *words,
        **{
            "frame" if number == 1 else f"frame{number}": name
            for number, name in enumerate(names, 1)
        },
    )


def _variants(frames: Sequence[Frame]) -> Iterator[list[str]]:
    """Give the names of all frames as they may be on other architectures."""
    if frames:
        yield [frame.raw for frame in frames]
    for wrapper in WRAPPERS:
        if any(frame.raw.startswith(wrapper) for frame in frames):
            yield [frame.raw.removeprefix(wrapper) for frame in frames]


def _torn(title: str, lines: Sequence[str], family: Family | None) -> str:
    """Say why a report is not whole, as far as its traces show it; empty when it is."""
    if _STAMP.search(title):
        return "another line is in its title"
    if family is None or family.traceless:
        return ""
    seen: set[str] = set()
    has_frames = False
    for number, line in enumerate(lines):
        start = trace_start(line)
        if not start or start in seen:
            continue
        seen.add(start)
        if len(lines) - number < _LINES_OF_A_TRACE:
            return "it ends with the beginning of a trace"
        if _shows_frames(lines[number + 1 : number + 1 + _FRAME_WITHIN_LINES]):
            has_frames = True
        elif start != "riscv":
            return "a trace without frames"
    return "" if has_frames else "no trace"


def _shows_frames(lines: Sequence[str]) -> bool:
    for line in lines:
        if trace_start(line):
            return False
        if _NO_STACK in line or is_frame(line):
            return True
    return False
