# SPDX-License-Identifier: Apache-2.0
"""The calendar's log of grants: "kind ns guest", a line for all that moves time.

Two runs are equal as long as these lines are; the first that differs names the
moment at which something of the host came in, long before anybody printed it.
"""

from __future__ import annotations

from pathlib import Path

from windtunnel.errors import HostError

BUFFER_BYTES = 1 << 18
"""A busy lab has a hundred thousand grants: one write(2) for each would be felt."""


class GrantsLog:
    """Writes the log. Close it, or its last lines are lost."""

    def __init__(self, path: Path) -> None:
        """Create the file.

        Raises:
            HostError: it cannot be created.
        """
        try:
            self._file = path.open("x", buffering=BUFFER_BYTES)
        except OSError as error:
            raise HostError(f"cannot create {path}: {error.strerror}") from error

    def add(self, kind: str, time_ns: int, guest: str) -> None:
        """Add one line; see `windtunnel.engine.loop.Calendar`."""
        self._file.write(f"{kind} {time_ns} {guest}\n")

    def close(self) -> None:
        """Write what is left; may be called again."""
        try:
            self._file.close()
        except OSError as error:
            raise HostError(f"cannot write {self._file.name}: {error.strerror}") from error
