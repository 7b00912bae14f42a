# SPDX-License-Identifier: Apache-2.0
"""A guest of a world: its process, its seat at the calendar, its agent.

`Guest.boot` leaves a kernel whose agent is ready; everything after that is
asked of `agent` and waited for with `wait`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from windtunnel.devices.backend import VhostUserBackend
from windtunnel.devices.console import ConsoleModel
from windtunnel.engine.loop import Calendar
from windtunnel.errors import GuestError, GuestLostError, HostError, IdleError
from windtunnel.machines import uml
from windtunnel.machines.agent import AgentChannel, Reply
from windtunnel.machines.confine import Confinement
from windtunnel.machines.launch import launch

CONSOLE_TAIL_LINES = 15
CONSOLE_TAIL_BYTES = 16384
PANIC_WORDS = "Kernel panic"

QUIET_MAX_NS = 24 * 3600 * 1_000_000_000
"""A wait without a limit ends when nothing is heard of the guest for a virtual day.

A kernel always has some timer left, so it is never found to sleep for ever."""


@dataclass(frozen=True, slots=True)
class Boot:
    """What a guest is made of.

    Attributes:
        kernel: the UML program.
        initrd: with the agent as /init.
        scratch: a directory of its own, short-lived; its process's working directory.
        console: the file that gets its console.
        seed: of its randomness, 64 bits.
        memory_bytes: of its memory.
        confinement: what its process may do on the host.
        cpu: the host processor that it is pinned to.
        spin_max_ns: see `windtunnel.machines.uml`.
        kernel_words: further words for its command line.
    """

    kernel: Path
    initrd: Path
    scratch: Path
    console: Path
    seed: int
    memory_bytes: int
    confinement: Confinement
    cpu: int | None = None
    spin_max_ns: int = uml.SPIN_MAX_NS
    kernel_words: tuple[str, ...] = ()


class Guest:
    """One kernel at the calendar."""

    def __init__(self, calendar: Calendar, name: str, boot: Boot) -> None:
        """Start its process; nothing has run yet when this returns.

        The calendar's socket must lie in `boot.scratch` under
        `uml.CALENDAR_SOCKET`.
        """
        self.name = name
        self._calendar = calendar
        self._boot = boot
        self._condition: Callable[[], bool] | None = None
        self._flush_planned = False
        self._last_report_ns = 0
        self._console = ConsoleModel(received=self._receive, wants_flush=self._plan_flush)
        self._device = VhostUserBackend(boot.scratch / uml.CONSOLE_SOCKET, self._console)
        calendar.add_device(self._device)
        self.agent = AgentChannel(
            send=self._console.send, now_ns=lambda: calendar.now_ns, changed=self._changed
        )
        self.seat = calendar.seat(name, self._alive, self.last_words)
        options = uml.UmlOptions(
            seat=self.seat.number,
            seed=boot.seed,
            memory_bytes=boot.memory_bytes,
            spin_max_ns=boot.spin_max_ns,
            extra=boot.kernel_words,
        )
        if not os.access(boot.kernel, os.X_OK):
            raise HostError(
                f"the kernel {boot.kernel} is not a program that you may execute",
                hint="name one that `windtunnel kernel list` shows, or `chmod +x` yours",
            )
        _copy(boot.initrd, boot.scratch / uml.INITRD)
        with boot.console.open("ab") as console:
            self._process = launch(
                [str(boot.kernel), *uml.arguments(options)],
                cwd=boot.scratch,
                confinement=boot.confinement,
                stdout_fd=console.fileno(),
                cpu=boot.cpu,
            )

    @property
    def pid(self) -> int:
        """The host's process id of its kernel."""
        return self._process.pid

    def boot(self) -> None:
        """Let it run until its agent is ready.

        Raises:
            HostError: its program is no kernel that we can run.
            GuestLostError: it did not get so far; the message has its last lines.
        """
        try:
            self.wait(lambda: self.agent.release is not None, "its agent to be ready")
        except GuestLostError as error:
            if self.seat.start_sequence is not None:
                raise
            raise HostError(
                f"{self._boot.kernel} has ended before it asked for the time, "
                f"{_ending(self._process.returncode)}: {self.last_words()}",
                hint="give a User Mode Linux program with time-travel support, "
                "such as `windtunnel kernel build` makes, with 32 MiB of memory or more",
            ) from error
        except GuestError as error:
            error.add_note("was this kernel built by 'windtunnel kernel build'?")
            raise

    def wait(
        self,
        condition: Callable[[], bool],
        what: str,
        *,
        quiet_max_ns: int | None = QUIET_MAX_NS,
    ) -> None:
        """Let virtual time pass until `condition` holds, and not one instant longer.

        Args:
            condition: looked at after each report of the agent.
            what: completes "nothing is left to happen while waiting for …".
            quiet_max_ns: give up when the agent has told nothing for so long;
                None never does, for waits that end by themselves.

        Raises:
            IdleError: it can never hold, or nothing has happened for too long.
        """
        began_ns = self._calendar.now_ns

        def quiet() -> bool:
            since_ns = max(began_ns, self._last_report_ns)
            return quiet_max_ns is not None and self._calendar.now_ns - since_ns > quiet_max_ns

        self._condition = condition
        try:
            ended = self._calendar.run(lambda: condition() or quiet())
        finally:
            self._condition = None
        if not ended or not condition():
            raise IdleError(
                f"nothing is left to happen while waiting for {what}",
                node=self.name,
                time_ns=self._calendar.now_ns - self._calendar.zero_ns,
                hint="give the wait a time limit, or look what the process waits for",
            )

    def ask(self, reply: Reply, what: str) -> Reply:
        """Wait for an answer; returns it, failed or not."""
        self.wait(lambda: reply.done, what)
        return reply

    def last_words(self) -> str:
        """Say how its console ends, the words of a panic first; completes "it has died: …"."""
        try:
            text = self._boot.console.read_bytes()[-CONSOLE_TAIL_BYTES:].decode(errors="replace")
        except OSError:
            text = ""
        lines = text.splitlines()
        panic = next((at for at, line in enumerate(lines) if PANIC_WORDS in line), None)
        first = len(lines) - CONSOLE_TAIL_LINES if panic is None else panic
        shown = lines[max(first, 0) :][:CONSOLE_TAIL_LINES]
        if not shown:
            return "its console has said nothing"
        words = "its console said last"
        if panic is not None:
            _, _, why = lines[panic].partition(PANIC_WORDS)
            words = f"{PANIC_WORDS}{why.rstrip()}; its console says"
        if self._boot.console.parent != self._boot.scratch:
            words += f" (all of it is in the run's {self._boot.console.name})"
        return "\n".join([f"{words}:", *(f"  | {line}" for line in shown)])

    def stop(self) -> None:
        """End it at once; may be called again."""
        self._calendar.forget(self.seat)
        self._process.kill()

    def _alive(self) -> bool:
        return self._process.poll() is None

    def _receive(self, data: bytes) -> None:
        self._last_report_ns = self._calendar.now_ns
        self.agent.receive(data)

    def _changed(self) -> None:
        if self._condition is not None and self._condition():
            # Lowers free_until: the guest stops at this very instant.
            self._calendar.at_once(_nothing)

    def _plan_flush(self) -> None:
        if not self._flush_planned:
            self._flush_planned = True
            self._calendar.at_once(self._flush)

    def _flush(self) -> None:
        self._flush_planned = False
        for index in self._console.flush(self._device.queue):
            self._calendar.call(self._device, index)


def _ending(returncode: int | None) -> str:
    """How a program ended, in words."""
    if returncode is None:
        return "and nobody knows how"
    return f"with status {returncode}" if returncode >= 0 else f"by signal {-returncode}"


def _nothing() -> None:
    """Only the appointment matters."""


def _copy(source: Path, target: Path) -> None:
    try:
        target.write_bytes(source.read_bytes())
    except OSError as error:
        raise HostError(f"cannot write {target}: {error.strerror}") from error
