# SPDX-License-Identifier: Apache-2.0
"""Captures: tcpdump in a node, its file on our side."""

from __future__ import annotations

import signal
from collections.abc import Callable

from windtunnel.engine.node import PRIVATE, Node
from windtunnel.engine.process import Process
from windtunnel.errors import GuestError
from windtunnel.model.lab import CaptureSpec


class Capture:
    """One interface being captured, in pcap format with nanoseconds."""

    def __init__(self, node: Node, spec: CaptureSpec, sink: Callable[[bytes], None]) -> None:
        self._node = node
        self._spec = spec
        self._sink = sink
        self._said = bytearray()
        self._process: Process | None = None

    def start(self) -> None:
        """Begin, and return once packets are seen.

        Raises:
            GuestError: tcpdump is missing, or does not take the filter.
        """
        command = [
            "tcpdump",
            *("-i", self._spec.interface),
            *("-w", "-"),
            *("-U", "-n", "-Z", "root", "--time-stamp-precision=nano"),
            # Else packets wait up to a second in a buffer, which the end throws away.
            "--immediate-mode",
            *([self._spec.filter] if self._spec.filter else []),
        ]
        process = self._node.begin(command, name=PRIVATE + "capture", sink=self._take)
        self._process = process
        process.wait_until(lambda: b"listening on" in self._said or not process.running)
        if process.failure is not None:
            raise process.failure
        if not process.running:
            raise GuestError(
                f"cannot capture {self._spec.interface}: {self._said.decode(errors='replace')}",
                node=self._node.name,
            )

    def stop(self) -> None:
        """End it, with everything that it has seen."""
        if self._process is not None and self._process.running:
            self._process.signal(signal.SIGINT)
            self._process.wait(timeout="5 s")

    def _take(self, data: bytes, stderr: bool) -> None:
        if stderr:
            self._said += data
        else:
            self._sink(data)
