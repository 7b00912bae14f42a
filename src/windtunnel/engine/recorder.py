# SPDX-License-Identifier: Apache-2.0
"""Where a world tells what it observes.

A world without a run folder tells it to `NullRecorder`. The run folder's writer
is adapted in `engine/run.py`.
"""

from __future__ import annotations

from typing import Any, Protocol


class Recorder(Protocol):
    """Takes facts and output as they happen."""

    def event(self, time_ns: int, kind: str, node: str = "", **fields: Any) -> None:
        """Take one fact; `time_ns` is lab time."""

    def output(self, node: str, process: str, data: bytes, *, stderr: bool) -> None:
        """Take what a process printed."""


class NullRecorder:
    """Keeps nothing."""

    def event(self, time_ns: int, kind: str, node: str = "", **fields: Any) -> None:
        """Forget it."""

    def output(self, node: str, process: str, data: bytes, *, stderr: bool) -> None:
        """Forget it."""
