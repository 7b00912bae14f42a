# SPDX-License-Identifier: Apache-2.0
"""Processes in nodes, as a program that drives a world sees them."""

from __future__ import annotations

import errno
import os
import signal as signals
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from windtunnel.errors import GuestError
from windtunnel.machines.agent import AgentChannel, RemoteProcess
from windtunnel.model.units import parse_duration

Duration = str | int
"""A virtual duration: text with a unit ("40 s") or integer nanoseconds."""


def duration_ns(duration: Duration) -> int:
    """Read a duration.

    Raises:
        UsageError: for text without a unit, or a negative number.
    """
    return duration if isinstance(duration, int) else parse_duration(duration)


@dataclass(frozen=True, slots=True)
class Result:
    """How a command ended.

    Attributes:
        node: where it ran.
        command: as it was given.
        exit_status: of the command; 128 + N when signal N killed it.
        signal: that killed it; None when it exited.
        stdout_bytes: what it printed, up to its end.
        stderr_bytes: the same for its errors.
        start_ns: lab time of its start.
        end_ns: lab time of its end.
        timed_out: whether we killed it because its time was up.
    """

    node: str
    command: str
    exit_status: int
    signal: int | None
    stdout_bytes: bytes
    stderr_bytes: bytes
    start_ns: int
    end_ns: int
    timed_out: bool = False

    @property
    def stdout(self) -> str:
        """What it printed, as text; bytes that are no UTF-8 are replaced."""
        return self.stdout_bytes.decode(errors="replace")

    @property
    def stderr(self) -> str:
        """Its errors, as text."""
        return self.stderr_bytes.decode(errors="replace")

    @property
    def ok(self) -> bool:
        """Whether it exited with 0."""
        return self.exit_status == 0

    @property
    def duration_ns(self) -> int:
        """How long it took, in virtual time."""
        return self.end_ns - self.start_ns


class Surroundings(Protocol):
    """What a process needs of its world."""

    @property
    def now_ns(self) -> int:
        """Lab time."""

    def wait(self, condition: Callable[[], bool], what: str, *, pausable: bool = False) -> None:
        """Let time pass until `condition` holds."""

    def wait_at_most(
        self, condition: Callable[[], bool], limit_ns: int, what: str, *, pausable: bool = False
    ) -> bool:
        """The same, for at most `limit_ns`; whether it held."""

    def lab_time(self, world_ns: int) -> int:
        """Lab time of a world time."""


class Process:
    """A process in a node.

    It goes on while time passes, whoever waits. It ends with its world.
    """

    def __init__(
        self,
        world: Surroundings,
        agent: AgentChannel,
        *,
        node: str,
        name: str,
        command: str,
    ) -> None:
        self._world = world
        self._agent = agent
        self._remote: RemoteProcess | None = None
        self._stdout = bytearray()
        self._stderr = bytearray()
        self._timed_out = False
        self._again: Callable[[], Process] | None = None  # set by its node
        self.node = node
        self.name = name
        self.command = command

    def _attach(self, remote: RemoteProcess) -> None:
        """Tie it to what the agent started; done by its node."""
        self._remote = remote

    def _take(self, data: bytes, stderr: bool) -> None:
        (self._stderr if stderr else self._stdout).extend(data)

    @property
    def _own(self) -> RemoteProcess:
        if self._remote is None:
            raise GuestError(f"{self.command!r} has not been started", node=self.node)
        return self._remote

    @property
    def pid(self) -> int | None:
        """Its process id in the guest's initial pid namespace; None before it has begun."""
        return self._own.pid

    @property
    def start_ns(self) -> int:
        """Lab time at which it was asked for."""
        return self._world.lab_time(self._own.start_ns)

    @property
    def failure(self) -> GuestError | None:
        """Why it could not be started; None when it was, or may still be."""
        failure = self._own.started.failure
        if failure is None:
            return None
        hint = ""
        if failure.errno == errno.ENOENT:
            hint = "is the program installed, and in a folder that guests may read?"
        return GuestError(
            f"cannot start {self.command!r}: {failure.text}: {os.strerror(failure.errno)}",
            node=self.node,
            time_ns=self._world.now_ns,
            hint=hint,
        )

    def wait_started(self) -> None:
        """Let time pass until it has begun.

        Raises:
            GuestError: it could not be started.
        """
        self._world.wait(lambda: self._own.started.done, f"the start of {self.command!r}")
        if self.failure is not None:
            raise self.failure

    @property
    def stdout(self) -> str:
        """What it has printed so far."""
        return self._stdout.decode(errors="replace")

    @property
    def stderr(self) -> str:
        """Its errors so far."""
        return self._stderr.decode(errors="replace")

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return not self._own.ended

    def poll(self) -> Result | None:
        """Its result if it has ended; never lets time pass."""
        own = self._own
        if not own.ended:
            return None
        status, killed_by = 127, None
        if own.exit is not None:
            status, killed_by = own.exit.status, own.exit.signal
        end_ns = own.start_ns if own.end_ns is None else own.end_ns
        return Result(
            node=self.node,
            command=self.command,
            exit_status=status,
            signal=killed_by,
            stdout_bytes=bytes(self._stdout),
            stderr_bytes=bytes(self._stderr),
            start_ns=self._world.lab_time(own.start_ns),
            end_ns=self._world.lab_time(end_ns),
            timed_out=self._timed_out,
        )

    def wait(self, timeout: Duration | None = None) -> Result:
        """Let time pass until it has ended.

        Args:
            timeout: virtual time after which it is killed, with its group.

        Raises:
            PausedError: a pause came first; it goes on when time next passes.
        """
        if timeout is None:
            self._world.wait(lambda: self._own.ended, f"{self.command!r}", pausable=True)
        elif not self._world.wait_at_most(
            lambda: self._own.ended, duration_ns(timeout), f"{self.command!r}", pausable=True
        ):
            self.time_out()
            self._world.wait(lambda: self._own.ended, f"the end of {self.command!r}")
        result = self.poll()
        if result is None:
            raise GuestError(f"{self.command!r} ended without a result", node=self.node)
        return result

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Let time pass until `condition` holds; it is looked at when something is printed."""
        self._world.wait(condition, f"{self.command!r}", pausable=True)

    def signal(self, number: int) -> None:
        """Send a signal to it and its group; it is delivered when time next passes."""
        self._agent.signal(self._own, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.signal(signals.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.signal(signals.SIGKILL)

    def stop(self) -> None:
        """Send SIGSTOP: it and its group stand still until `cont`."""
        self.signal(signals.SIGSTOP)

    def cont(self) -> None:
        """Send SIGCONT."""
        self.signal(signals.SIGCONT)

    def again(self) -> Process:
        """Start the same command anew in its node, without letting any time pass.

        Its output goes to a name of its own, "web.2" after "web".
        """
        if self._again is None:
            raise GuestError(f"{self.command!r} has not been started", node=self.node)
        return self._again()

    def restart(self) -> Process:
        """Kill it if it runs, and start the same command anew once it has ended.

        Returns:
            The new process; this one stays what it was, with its result.

        Raises:
            GuestError: it could not be started.
        """
        if self.running:
            self.kill()
            self.wait()
        process = self.again()
        process.wait_started()
        return process

    def time_out(self) -> None:
        """Kill it because its time is up; its result will say so."""
        self._timed_out = True
        self.kill()

    def write(self, data: str | bytes) -> None:
        """Give it input; it must have been started with `stdin=True`."""
        self._agent.feed(self._own, data.encode() if isinstance(data, str) else data)

    def resize(self, *, rows: int, columns: int) -> None:
        """Tell its terminal its size, in characters; it must have been started with one."""
        self._agent.resize(self._own, rows=rows, columns=columns)

    def close_stdin(self) -> None:
        """Let it see the end of its input."""
        self._agent.end_input(self._own)
