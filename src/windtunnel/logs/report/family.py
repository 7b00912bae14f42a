# SPDX-License-Identifier: Apache-2.0
"""The form of the tables: how a family of reports is recognised and named.

A report begins with a headline. Words in it, the `Head`, cost one search of the
whole text each; only lines that hold one meet regular expressions. Of a head's
families the first that fits the headline names the report.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum

# Parts of expressions that come again and again.
PC = r"\[<?(?:0x)?[0-9a-f]+>?\]"
FUNCTION = r"(\w+)[.+]"  # "foo+0x1/0x2", or "foo.isra.3+0x1/0x2" without its suffix
SOURCE = r"([\w/.-]+\.[a-z]+:\d+)"
AT = rf"at: (?:{PC} +)?{FUNCTION}"


def expression(pattern: str) -> re.Pattern[str]:
    """Compile for what kernels print: ASCII."""
    return re.compile(pattern, re.ASCII)


def one_of(*patterns: str) -> re.Pattern[str]:
    """Compile an expression that finds any of several."""
    return expression("|".join(f"(?:{pattern})" for pattern in patterns))


class Walk(Enum):
    """A step of a path that is no expression."""

    TRACE = "the frames from here to the next trace"


Step = re.Pattern[str] | Walk


class Pick(Enum):
    """Which of the frames of a trace a report is named after."""

    FIRST = "the first that does not merely serve others"
    STALL = "the one below the loop: what was asked of the kernel"
    HUNG = "what the task waits in"


@dataclass(frozen=True, slots=True)
class Path:
    """Where in a report the frame is that names it.

    Attributes:
        steps: one after the other, each from where the last one ended. An
            expression goes on to the next line that it is found in, and its
            groups are frames too. Each walk after the first begins another frame.
        otherwise: steps to try when the first ones lead to no frame.
        passed_over: functions, besides those of every trace, that only serve others.
        pick: which frame of those that are left.
    """

    steps: tuple[Step, ...]
    otherwise: tuple[Step, ...] = ()
    passed_over: re.Pattern[str] | None = None
    pick: Pick = Pick.FIRST


@dataclass(frozen=True, slots=True)
class Family:
    """Reports that look alike.

    Attributes:
        opening: found in the headline.
        title: of the report, for `str.format`: {0}, {1} … are the groups of the
            clues, {frame} and {frame2} the frames of the path.
        clues: expressions that are found one after the other, each below the last;
            the first one in the headline. Without clues the opening's groups count.
            A clue that is missing says that the report is corrupted.
        aliases: other titles under which the same bug may be known.
        path: where the frames are; None for families that need none.
        traceless: a report is whole without any trace.
        torn: this is how the rest of a report looks whose beginning is lost.
        mishap: the kernel goes on, and nothing says that it is to blame: a program
            crashed, memory ran out, a disk failed.
    """

    opening: re.Pattern[str]
    title: str
    clues: tuple[re.Pattern[str], ...] = ()
    aliases: tuple[str, ...] = ()
    path: Path | None = None
    traceless: bool = False
    torn: bool = False
    mishap: bool = False


@dataclass(frozen=True, slots=True)
class Head:
    """Words that every headline of some families holds.

    Attributes:
        words: what is searched for.
        families: those that begin so; the first that fits counts.
        harmless: lines that hold the words and report nothing.
    """

    words: str
    families: tuple[Family, ...]
    harmless: re.Pattern[str] | None = field(default=None)


# Where the processor was. The address may be of a user's program, or no address at all.
INSTRUCTION = expression(
    r"(?:IP|NIP|pc |PC is at):? "
    rf"(?:(?:\d+:)?(?:{PC} +){{0,2}}{FUNCTION}"
    rf"|(?:\d+:)?(?:0x[0-9a-f]+|{PC} +\[< *\(null\)>\] +\(null\))"
    r"|\d+: +\(null\))"
)
CALL_TRACE = expression(r"Call [Tt]race:|Backtrace:")
STACK = (CALL_TRACE, Walk.TRACE)
FAULT = (INSTRUCTION, CALL_TRACE, Walk.TRACE)


def stack(*passed_over: str, pick: Pick = Pick.FIRST) -> Path:
    """Name after the trace of calls."""
    return Path(STACK, passed_over=one_of(*passed_over) if passed_over else None, pick=pick)


def fault(*passed_over: str, pick: Pick = Pick.FIRST) -> Path:
    """Name after where the processor was, else after the trace of calls."""
    return Path(FAULT, passed_over=one_of(*passed_over) if passed_over else None, pick=pick)


# A warning is a trap on most processors, so the place is in the registers' dump, and
# the trace may begin with the trap. Others only print the trace.
_TRAPPED = expression(rf"(?:{INSTRUCTION.pattern}|--- interrupt: \d+ at {FUNCTION})")


def warned(*passed_over: str) -> Path:
    """Name after where a warning was."""
    return Path(
        (_TRAPPED, Walk.TRACE),
        otherwise=STACK,
        passed_over=one_of(*passed_over) if passed_over else None,
    )
