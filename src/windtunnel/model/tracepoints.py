# SPDX-License-Identifier: Apache-2.0
"""Which tracepoints a lab wants: systems ("tcp") and single events ("irq:irq_handler_entry")."""

from __future__ import annotations

import re

from windtunnel.errors import LabFileError

PATTERN = r"^[a-z][a-z0-9_]*(:[a-z][a-z0-9_]*)?$"
"""Of a name, for editors too."""


def parse_tracepoint(text: str) -> str:
    """Read one: the name of a system, or of a system and an event.

    Raises:
        LabFileError: it cannot be one.
    """
    name = text.strip()
    if not re.fullmatch(PATTERN, name):
        raise LabFileError(
            f"{text!r} names no tracepoints",
            hint="a system such as tcp, or one event such as irq:irq_handler_entry",
        )
    return name
