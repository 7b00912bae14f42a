# SPDX-License-Identifier: Apache-2.0
"""The one event schema: what a run observed, one fact a line.

A line of `events.jsonl` is one JSON object with sorted keys and no spaces:
`{"fields":{…},"kind":"process-exit","node":"r1","sequence":7,"time_ns":1200}`;
`kernel` and `stream` stand in it where they are not empty.
Host facts (load, addresses, durations in host time) never become events.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from windtunnel.errors import ProtocolError

KINDS = (
    "lab-begin",
    "process-start",
    "output",
    "process-exit",
    "link",
    "node",
    "partition",
    "fault",
    "step",
    "check",
    "finding",
    "counters",
    "lab-end",
)
"""All kinds of events, in the order of the reference."""


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Event:
    """One observed fact.

    Attributes:
        time_ns: lab time; negative while the lab is being set up.
        sequence: 0, 1, 2 … over the whole run.
        kind: one of `KINDS`.
        node: where; empty when it concerns the whole lab.
        fields: JSON values that belong to the kind.
        kernel: the node whose own kernel it happened in; empty for the shared one.
        stream: who observed it; empty for the engine itself. In each stream events
            come in the order of their sequence.
    """

    time_ns: int
    sequence: int
    kind: str
    node: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)
    kernel: str = ""
    stream: str = ""

    def to_line(self) -> str:
        """Encode as one line without its newline; equal events give equal bytes."""
        record: dict[str, Any] = {
            "time_ns": self.time_ns,
            "sequence": self.sequence,
            "kind": self.kind,
            "node": self.node,
            "fields": dict(self.fields),
        }
        # Left out where they say nothing, so that a line is as it was before there were any.
        record |= {"kernel": self.kernel} if self.kernel else {}
        record |= {"stream": self.stream} if self.stream else {}
        return _ENCODER.encode(record)

    @classmethod
    def from_line(cls, line: str) -> Event:
        """Decode one line.

        Raises:
            ProtocolError: when the line is not an event, as the last line of a
                killed run may be; drop it.
        """
        try:
            record = json.loads(line)
            return cls(
                time_ns=record["time_ns"],
                sequence=record["sequence"],
                kind=record["kind"],
                node=record["node"],
                fields=record["fields"],
                kernel=record.get("kernel", ""),
                stream=record.get("stream", ""),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ProtocolError(f"not an event: {line[:80]!r}") from error
