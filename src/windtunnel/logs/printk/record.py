# SPDX-License-Identifier: Apache-2.0
"""What a log is made of: records, and the places where some are missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Record:
    """One record of the kernel's log, or one line of a console.

    Attributes:
        text: without prefix; may have newlines when the record has.
        sequence: the kernel's number of it; None where it is not told.
        micros: microseconds since boot; None where it is not told.
        priority: facility * 8 + level; None where it is not told.
        caller: "T123" for a task, "C0" for a processor outside of tasks; empty
            where it is not told.
        is_rest: the kernel says that it continues an earlier one.
        is_kernel: it has the form of the kernel's lines. A console also shows what
            programs write to it.
        cut_in: it begins in the middle of a console's line.
        lacks: what of it is lost, in words; empty when it is whole.
        when: the time of another clock that stands before it, in that clock's words, such
            as "Nov 26 00:44:10"; empty where there is none.
        tags: "SUBSYSTEM", "DEVICE", and what netconsole adds, such as "taskname".
    """

    text: str
    sequence: int | None = None
    micros: int | None = None
    priority: int | None = None
    caller: str = ""
    is_rest: bool = False
    is_kernel: bool = True
    cut_in: bool = False
    lacks: str = ""
    when: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def level(self) -> int | None:
        """0 (emergency) to 7 (debug)."""
        return None if self.priority is None else self.priority & 7

    @property
    def facility(self) -> int | None:
        """0 for the kernel, 1 for programs that write to /dev/kmsg."""
        return None if self.priority is None else self.priority >> 3


@dataclass(frozen=True, slots=True)
class Lost:
    """A place between two records that nothing may be joined across.

    Attributes:
        count: how many records are missing; None when that is unknown.
        why: in words.
    """

    count: int | None
    why: str


@dataclass(frozen=True, slots=True)
class Replay:
    """The console begins the record before it anew: what follows is all of it."""


Item = Record | Lost | Replay
