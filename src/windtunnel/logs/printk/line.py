# SPDX-License-Identifier: Apache-2.0
"""A whole line of the log, and how sure one can be of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from windtunnel.logs.printk.record import Lost


class Confidence(IntEnum):
    """How sure it is that a line is as it was printed, all of it and nothing else."""

    GUESS = 1
    LIKELY = 2
    SURE = 3


@dataclass(frozen=True, slots=True)
class Line:
    """A line put together from one record or several.

    Attributes:
        text: without prefix; a record of several lines is one line here, with newlines.
        pieces: the texts that it was put together from, in their order.
        sequences: the kernel's numbers of the pieces; empty where they are not told.
        level: 0 to 7, that of the first piece; None where it is not told.
        facility: 0 for the kernel; None where it is not told.
        first_micros: microseconds since boot of the first piece; None where not told.
        last_micros: of the last piece.
        owner: "T123" for a task, "C0" for a processor outside of tasks, or empty.
        owner_name: of the task, where it is known.
        is_kernel: False for what programs wrote to the console.
        confidence: of the whole line.
        doubts: why it is not sure; empty when it is.
        when: the time of another clock, as its first piece has it; empty where there is none.
    """

    text: str
    pieces: tuple[str, ...]
    sequences: tuple[int, ...]
    level: int | None
    facility: int | None
    first_micros: int | None
    last_micros: int | None
    owner: str
    owner_name: str
    is_kernel: bool
    confidence: Confidence
    doubts: tuple[str, ...]
    when: str = ""

    def to_json(self) -> dict[str, Any]:
        """Give all as JSON values."""
        return {
            "text": self.text,
            "pieces": list(self.pieces),
            "sequences": list(self.sequences),
            "level": self.level,
            "facility": self.facility,
            "first_us": self.first_micros,
            "last_us": self.last_micros,
            "when": self.when,
            "owner": self.owner,
            "owner_name": self.owner_name,
            "kernel": self.is_kernel,
            "confidence": self.confidence.name.lower(),
            "doubts": list(self.doubts),
        }


Entry = Line | Lost
