# SPDX-License-Identifier: Apache-2.0
"""Which tracepoints a lab wants: systems ("tcp") and single events ("irq:irq_handler_entry").

Syscalls are chosen alike, all or by name ("syscalls:openat"), although kernels have but two
tracepoints for them: where any begins, and where it ends.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from windtunnel.errors import LabFileError
from windtunnel.model.nearmiss import near_miss
from windtunnel.model.syscalls import syscall_names, syscall_number

PATTERN = r"^[a-z][a-z0-9_]*(:[a-z_][a-z0-9_]*)?$"
"""Of a name, for editors too."""

SYSCALLS = "syscalls"
"""The system of which the events are syscalls."""


def parse_tracepoint(text: str) -> str:
    """Read one: the name of a system, or of a system and an event.

    Raises:
        LabFileError: it cannot be one, or there is no such syscall.
    """
    name = text.strip()
    if not re.fullmatch(PATTERN, name):
        raise LabFileError(
            f"{text!r} names no tracepoints",
            hint="a system such as tcp, or one event such as irq:irq_handler_entry",
        )
    system, _, event = name.partition(":")
    if system == SYSCALLS and event and syscall_number(event) is None:
        near = near_miss(event, syscall_names())
        raise LabFileError(
            f"there is no syscall {event!r}",
            hint=f"did you mean {SYSCALLS}:{near}?" if near else "see syscalls(2) for their names",
        )
    return name


def syscalls_in(tracepoints: Sequence[str]) -> tuple[str, ...] | None:
    """Which syscalls are wanted: their names, an empty tuple for all, None for none of them."""
    chosen = [one for one in tracepoints if one.partition(":")[0] == SYSCALLS]
    if not chosen:
        return None
    return () if SYSCALLS in chosen else tuple(one.partition(":")[2] for one in chosen)
