# SPDX-License-Identifier: Apache-2.0
"""What is known of one crash."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from windtunnel.logs.report.kind import Kind


@dataclass(frozen=True, slots=True)
class Report:
    """One report that a kernel printed.

    Attributes:
        title: what happened, the same for each crash of one bug.
        aliases: other titles under which the bug may be known, sorted.
        kind: what it is about.
        frame: the function that names it; empty when the title has none.
        corrupted: why the report cannot be trusted to be whole; empty when it can.
        panicked: the kernel panicked, here or later in the log.
        mishap: the kernel went on, and is not to blame as far as one can tell.
        owner: who printed it, "T123" or "C0"; empty when the log does not say.
        line: of the headline, from 1.
        extract: its lines without prefixes and foreign lines, each with its newline;
            what the same owner printed just before is a part of it.
    """

    title: str
    aliases: tuple[str, ...]
    kind: Kind
    frame: str
    corrupted: str
    panicked: bool
    mishap: bool
    owner: str
    line: int
    extract: str

    def to_json(self) -> dict[str, Any]:
        """Give all as JSON values."""
        return asdict(self) | {"aliases": list(self.aliases), "kind": str(self.kind)}
