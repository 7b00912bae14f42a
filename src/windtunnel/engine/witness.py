# SPDX-License-Identifier: Apache-2.0
"""What a run records of one process: its beginning, its output, its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from windtunnel.engine.process import Process, Surroundings
from windtunnel.engine.recorder import Recorder
from windtunnel.machines.agent import RemoteProcess

Sink = Callable[[bytes, bool], None]
"""Takes what a process printed, and whether that was on stderr."""


class Witness:
    """Sees everything that one process does, and tells the recorder."""

    def __init__(
        self, world: Surroundings, recorder: Recorder, process: Process, sink: Sink | None
    ) -> None:
        """Watch `process`; its output goes to `sink` if there is one, else to the recorder."""
        self._world = world
        self._recorder = recorder
        self._process = process
        self._sink = sink

    def output(self, data: bytes, stderr: bool) -> None:
        """Take what it printed."""
        process = self._process
        if self._sink is not None:
            self._sink(data, stderr)  # it may be more than memory can hold
            return
        process._take(data, stderr)  # noqa: SLF001 - a process is filled by its witness
        self._recorder.output(process.node, process.name, data, stderr=stderr)
        stream = "stderr" if stderr else "stdout"
        self._tell("output", stream=stream, size_bytes=len(data))

    def began(self, remote: RemoteProcess) -> None:
        """Take note that it runs."""
        self._tell("process-start", command=self._process.command, pid=remote.pid)

    def ended(self, remote: RemoteProcess) -> None:
        """Take note of its end, or that it could not begin."""
        self._tell("process-exit", **_end(remote))

    def _tell(self, kind: str, **fields: Any) -> None:
        process = self._process
        self._recorder.event(self._world.now_ns, kind, process.node, process=process.name, **fields)


def _end(remote: RemoteProcess) -> dict[str, Any]:
    """The fields of an event of a process's end."""
    if remote.exit is None:
        return {"outcome": "not started", "status": 127}
    killed_by = remote.exit.signal
    return {
        "outcome": "exited" if killed_by is None else "killed",
        "status": remote.exit.status if killed_by is None else killed_by,
        "user_ns": remote.exit.user_ns,
        "system_ns": remote.exit.system_ns,
        "rss_max_bytes": remote.exit.rss_max_bytes,
        "waits": remote.exit.waits,
        "preemptions": remote.exit.preemptions,
    }
