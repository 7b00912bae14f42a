# SPDX-License-Identifier: Apache-2.0
"""A guest of a world: its process, its seat at the calendar, its agent.

`boot_all` leaves kernels whose agents are ready; everything after that is asked
of `agent` and waited for with the world's `Waits`. A guest whose power is cut
can be booted again: another process with other memory and another seat, the same
agent to ask things of, and the same ports at the same cables.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from windtunnel.devices.backend import VhostUserBackend
from windtunnel.devices.console import ConsoleModel
from windtunnel.engine.core import GuestCore
from windtunnel.engine.loop import Calendar
from windtunnel.engine.parts import Port
from windtunnel.engine.port import NetPort
from windtunnel.engine.seat import Seat
from windtunnel.engine.volumes import NodeVolumes
from windtunnel.engine.waits import Waits
from windtunnel.errors import GuestError, GuestLostError, HostError
from windtunnel.machines import uml
from windtunnel.machines.abort import AbortListener
from windtunnel.machines.agent import AgentChannel
from windtunnel.machines.confine import Confinement
from windtunnel.machines.launch import Guest as Process
from windtunnel.machines.launch import launch
from windtunnel.sim.seeds import derive
from windtunnel.wire.agent import Failure, refusal

CONSOLE_TAIL_LINES = 15
CONSOLE_TAIL_BYTES = 16384
PANIC_WORDS = "Kernel panic"

_NO_POWER = Failure(errno.EHOSTDOWN, "the node is off")
_BOOTS = Failure(errno.EHOSTDOWN, "the node is booting")


@dataclass(frozen=True, slots=True)
class Boot:
    """What a guest is made of.

    Attributes:
        kernel: the UML program.
        initrd: with the agent as /init.
        scratch: a directory of its own, short-lived; its process's working directory.
        console: the file that gets its console.
        seed: of its randomness, 64 bits; a later boot has one that is derived from it.
        memory_bytes: of its memory.
        confinement: what its process may do on the host.
        cpu: the host processor that it is pinned to.
        spin_max_ns: see `windtunnel.machines.uml`.
        kernel_words: further words for its command line.
        ports: its interfaces whose cables leave it.
        machine: whether it is one node, and not many in one kernel.
        volumes: of the node, which outlive the guest.
        core: the file for what is left of it when it panics or hangs; None for none.
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
    ports: tuple[Port, ...] = ()
    machine: bool = False
    volumes: NodeVolumes | None = None
    core: Path | None = None


class Guest:
    """One kernel at the calendar.

    Attributes:
        name: for messages.
        ports: its network devices, in the order of `Boot.ports`.
        agent: to ask things of; while there is no power it refuses them all.
        seat: its place at the calendar; another one after each boot.
        boots: how often it has been booted.
        serves: whether its agent may be asked things; after a power cut not before
            somebody says so.
    """

    def __init__(self, calendar: Calendar, waits: Waits, name: str, boot: Boot) -> None:
        """Boot it for the first time; nothing has run yet when this returns."""
        if not os.access(boot.kernel, os.X_OK):
            raise HostError(
                f"the kernel {boot.kernel} is not a program that you may execute",
                hint="name one that `windtunnel kernel list` shows, or `chmod +x` yours",
            )
        self.name = name
        self._calendar = calendar
        self._waits = waits
        self._boot = boot
        self._scratch = boot.scratch
        self._flush_planned = False
        self._process: Process | None = None
        self._core = None if boot.core is None else GuestCore(boot.core, boot.memory_bytes)
        self.boots = 1
        self.serves = True
        self.seat = calendar.seat(
            name,
            boot.scratch / uml.CALENDAR_SOCKET,
            self._alive,
            self.last_words,
            hangs=self._hangs,
        )
        self._connect_console()
        self.ports = tuple(
            NetPort(calendar, self.seat, boot.scratch / uml.net_socket(port.device), port)
            for port in boot.ports
        )
        if boot.volumes is not None:
            boot.volumes.attach(calendar, self.seat, boot.scratch)
        self.agent = AgentChannel(send=self._send, now_ns=lambda: calendar.now_ns)
        self._process = self._launch(boot.seed)

    def cut_power(self) -> None:
        """Kill it at the present instant: what was in its memory is gone.

        Its volumes stay as they are: whoever cuts the power tells them.
        """
        self.stop()
        self._calendar.release(self.seat)
        self._process = None
        self.serves = False
        if self._scratch != self._boot.scratch:  # that of the first boot may have the console
            shutil.rmtree(self._scratch, ignore_errors=True)
        self.agent.lost(_NO_POWER)

    def boot_again(self) -> None:
        """Boot it anew, from the present instant on; it is `ready` some virtual time later."""
        boot, calendar = self._boot, self._calendar
        self.boots += 1
        self._scratch = boot.scratch / f"boot{self.boots}"
        self._scratch.mkdir()
        self._flush_planned = False
        self.seat = calendar.seat(
            self.name,
            self._scratch / uml.CALENDAR_SOCKET,
            self._alive,
            self.last_words,
            hangs=self._hangs,
            successor_of=self.seat,
        )
        self._connect_console()
        for port in self.ports:
            path = self._scratch / uml.net_socket(port.spec.device)
            port.boot(self.seat, path, up=port.plugged_in)
        if boot.volumes is not None:
            boot.volumes.attach(calendar, self.seat, self._scratch)
        self._process = self._launch(derive(boot.seed, "boot", str(self.boots)))

    def _connect_console(self) -> None:
        seat = self.seat
        self._console = ConsoleModel(
            received=lambda data: self._receive(seat, data), wants_flush=self._plan_flush
        )
        self._device = VhostUserBackend(self._scratch / uml.CONSOLE_SOCKET, self._console)
        self._calendar.add_device(seat, self._device)

    def _launch(self, seed: int) -> Process:
        boot = self._boot
        options = uml.UmlOptions(
            seed=seed,
            memory_bytes=boot.memory_bytes,
            spin_max_ns=boot.spin_max_ns,
            net_devices=len(boot.ports),
            block_devices=0 if boot.volumes is None else len(boot.volumes.volumes),
            machine=boot.machine,
            extra=boot.kernel_words,
        )
        _copy(boot.initrd, self._scratch / uml.INITRD)
        with boot.console.open("ab") as console:
            process = launch(
                [str(boot.kernel), *uml.arguments(options)],
                cwd=self._scratch,
                confinement=boot.confinement,
                stdout_fd=console.fileno(),
                cpu=boot.cpu,
            )
        if process.abort is not None:
            self._calendar.watch(process.abort, partial(self._aborts, process, process.abort))
        return process

    @property
    def pid(self) -> int:
        """The host's process id of its kernel."""
        assert self._process is not None, "it was started with the guest"
        return self._process.pid

    @property
    def console(self) -> Path:
        """The file that has its console."""
        return self._boot.console

    def mount_volumes(self) -> None:
        """Have its node find its volumes; once it is ready and its root is made.

        Raises:
            GuestError: its kernel or its root lacks what that needs.
        """
        if self._boot.volumes is not None:
            self._boot.volumes.mount(self.agent, self._waits)

    def keeps_file(self, path: str) -> bool:
        """Whether a file of its node has outlived an earlier boot, and is not written anew."""
        return self._boot.volumes is not None and self._boot.volumes.keep(path)

    @property
    def ready(self) -> bool:
        """Whether its agent can be asked."""
        return self.agent.release is not None

    def explain_death(self, error: GuestLostError) -> HostError | None:
        """Say what is wrong with its program when it has died before it asked for the time."""
        if self._process is None or self._process.poll() is None or self.seat.started:
            return None
        explained = HostError(
            f"{self._boot.kernel} has ended before it asked for the time, "
            f"{_ending(self._process.returncode)}: {self.last_words()}",
            hint="give a User Mode Linux program with time-travel support, "
            "such as `windtunnel kernel build` makes, with 32 MiB of memory or more",
        )
        explained.__cause__ = error
        return explained

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
        if self._process is not None:
            if self._process.abort is not None:
                self._stop_listening(self._process.abort)
            self._process.kill()

    def _alive(self) -> bool:
        return self._process is None or self._process.poll() is None

    def _aborts(self, process: Process, listener: AbortListener) -> None:
        """Its kernel has panicked, and stands still in its last call; or it has ended."""
        pid = listener.receive()
        if pid is None:
            self._stop_listening(listener)
            return
        if self._core is not None and pid == process.pid:
            self._core.take(pid, signal=signal.SIGABRT)
        listener.let_go()

    def _stop_listening(self, listener: AbortListener) -> None:
        self._calendar.unwatch(listener)
        listener.close()

    def _hangs(self) -> None:
        if self._core is not None and self._process is not None:
            self._core.take(self._process.pid)

    def _send(self, data: bytes) -> None:
        """Say something to the agent; where there is none, the answer is that there is none."""
        if self.serves:
            self._console.send(data)
        elif answer := refusal(data, _NO_POWER if self._process is None else _BOOTS):
            # At this instant, but not before the caller has its reply to look at.
            self._calendar.at(self._calendar.now_ns, lambda: self.agent.receive(answer))

    def _receive(self, seat: Seat, data: bytes) -> None:
        def tell() -> None:
            if seat is self.seat and self._process is not None:  # else its power was cut before
                self._waits.heard()
                self.agent.receive(data)

        self._calendar.report(seat, tell)

    def _plan_flush(self) -> None:
        if not self._flush_planned:
            self._flush_planned = True
            self._calendar.local(self.seat, 0, self._flush)

    def _flush(self) -> None:
        self._flush_planned = False
        for index in self._console.flush(self._device.queue):
            self._calendar.interrupt(self._device, index)


def boot_all(guests: Sequence[Guest], waits: Waits) -> None:
    """Let all guests run until their agents are ready.

    Raises:
        HostError: a program is no kernel that we can run.
        GuestLostError: one did not get so far; the message has its last lines.
    """
    try:
        waits.wait(lambda: all(guest.ready for guest in guests), "the agents to be ready")
    except GuestLostError as error:
        explained = [one for guest in guests if (one := guest.explain_death(error)) is not None]
        if explained:
            raise explained[0] from error
        raise
    except GuestError as error:
        error.add_note("was this kernel built by 'windtunnel kernel build'?")
        raise


def _ending(returncode: int | None) -> str:
    """How a program ended, in words."""
    if returncode is None:
        return "and nobody knows how"
    return f"with status {returncode}" if returncode >= 0 else f"by signal {-returncode}"


def _copy(source: Path, target: Path) -> None:
    try:
        target.write_bytes(source.read_bytes())
    except OSError as error:
        raise HostError(f"cannot write {target}: {error.strerror}") from error
