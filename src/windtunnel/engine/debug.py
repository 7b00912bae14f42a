# SPDX-License-Identifier: Apache-2.0
"""gdb at a kernel, or at a process in a node, at an instant of a lab.

A kernel is a process of this machine, so the host's gdb attaches to it while it
halts between two of its moves (`Calendar.halt`). While gdb holds it, it answers
nobody: time stands still for all, and no watchdog counts. It goes on as it
would have gone on without gdb, so every byte of the lab is the same.

For a process in a node gdb is a program of that node. It takes virtual time,
though little, and process ids: the lab is another one from there on, and so it
ends with gdb.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from windtunnel.engine.shell import MARK_OF_PROMPT, ShellProgram
from windtunnel.engine.world import World
from windtunnel.errors import HostError, UsageError
from windtunnel.images.doctor import find_program

# Signals by which the kernel works, and which say nothing to who looks at it.
_KERNEL_SIGNALS = "SIGSEGV SIGBUS SIGUSR1 SIGUSR2 SIGALRM SIGVTALRM SIGIO SIGCHLD"

_PLAIN = (
    *("-q", "-iex", "set debuginfod enabled off"),
    *("-iex", "set confirm off", "-iex", "set auto-load off"),
)
_BATCH = ("-nx", "--batch")
# gdb reads the kernel's symbols while it holds it: that takes many times as long.
_LOOK_HOST_S = 0.002


class DebuggingOverError(Exception):
    """gdb has ended, and the lab is to end with it; no fault of anybody."""


def find_gdb() -> str:
    """Find the debugger of this machine.

    Raises:
        HostError: there is none.
    """
    found = find_program("gdb")
    if found is None:
        raise HostError("gdb is not installed", hint="sudo apt-get install -y gdb")
    return found


class KernelDebugger:
    """gdb at the kernel of a node.

    Attributes:
        reached: whether the lab came so far that gdb was started.
        status: gdb's exit status; None while it runs, or before it has begun.
    """

    def __init__(
        self,
        node: str,
        *,
        commands: Sequence[str] = (),
        go_on: bool,
        say: Callable[[str], None],
    ) -> None:
        """Prepare.

        Args:
            node: whose kernel.
            commands: of gdb, done one after the other; none lets the user type them.
            go_on: whether the lab goes on when gdb has ended.
            say: is told what happens, a line at a time.

        Raises:
            HostError: there is no gdb.
        """
        self._gdb = find_gdb()
        self._node = node
        self._commands = tuple(commands)
        self._go_on = go_on
        self._say = say
        self._process: subprocess.Popen[bytes] | None = None
        self._before: signal.Handlers | Callable[..., object] | int | None = None
        self.reached = False
        self.status: int | None = None

    def attach(self, world: World) -> None:
        """Start gdb at the kernel, which halts, and wait until gdb holds it or has ended.

        Raises:
            UsageError: the node has no power.
            HostError: gdb could not attach.
            DebuggingOverError: it has ended already, and the lab is to end with it.
        """
        self.reached = True
        if not world.node(self._node).is_on:
            raise UsageError(
                f"node {self._node} has no power at this time, and no kernel to look into",
                hint="name another time; 'windtunnel lab show' lists the faults",
            )
        guest = world.guest_of(self._node)
        sharing = sum(world.guest_of(node.name) is guest for node in world.nodes)
        shared = f", which {sharing} nodes share," if sharing > 1 else ""
        self._say(
            f"time stands still: the kernel of {self._node}{shared} is process {guest.pid} "
            "of this machine"
        )
        sys.stdout.flush()
        # Every program of a node begins as a child of the kernel's process.
        arguments = [*_PLAIN, "-iex", "set print inferior-events off"]
        arguments += ["-iex", f"handle {_KERNEL_SIGNALS} nostop noprint pass"]
        arguments += [*_BATCH] if self._commands else []
        for command in self._commands:
            arguments += ["-ex", command]
        self._process = subprocess.Popen([self._gdb, *arguments, "-p", str(guest.pid)])
        # Ctrl-C is for gdb: it stops what gdb lets run.
        self._before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        attached = False
        while not attached and self._process.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_LOOK_HOST_S)
            attached = _is_traced(guest.pid)
        if not attached:
            self._end()
            raise HostError(
                f"gdb did not attach to process {guest.pid}, and ended with status {self.status}",
                hint="what it said stands above; see docs/howto/debug.md",
            )
        if self._commands:
            self._process.wait()
        world.let_host_hold(self.holds)
        self.holds()

    def holds(self) -> bool:
        """Whether gdb is there; the calendar asks while the kernel is silent.

        Raises:
            DebuggingOverError: it has ended, and the lab is to end with it.
        """
        if self._process is None:
            return False
        if self._process.poll() is None:
            return True
        self._end()
        if not self._go_on:
            raise DebuggingOverError
        return False

    def close(self) -> None:
        """Wait until gdb has ended, however the lab has."""
        if self._process is not None:
            if self._process.poll() is None:
                self._say("the lab has ended; quit gdb")
            self._end()

    def _end(self) -> None:
        assert self._process is not None, "it has begun"
        self.status = self._process.wait()
        self._process = None
        signal.signal(signal.SIGINT, self._before)


def process_debugger(pid: int, commands: Sequence[str] = ()) -> list[str]:
    """The command line of gdb in a node, for a process by its number there."""
    words = ["gdb", *_PLAIN, "-iex", "set pagination off", *(_BATCH if commands else ())]
    for command in commands:
        words += ["-ex", command]
    return [*words, "-p", str(pid)]


def debugger_program(pid: int) -> ShellProgram:
    """Gdb in a node as what one types to; it marks its prompt as a shell does."""
    prompt = ["-iex", "set editing off", "-iex", f"set prompt {MARK_OF_PROMPT}"]
    first, *rest = process_debugger(pid)
    # The terminal does not echo a line that the user's own terminal has shown.
    words = ["sh", "-c", 'stty -echo; exec "$@"', "sh", first, *prompt, *rest]
    return ShellProgram(words, {}, prompt="(gdb)")


def find_process(world: World, node: str, wanted: str) -> int:
    """The number of a process in its node, as `ps` there shows it.

    Args:
        world: at the instant of interest; a little time may pass.
        node: where.
        wanted: its number; or its name in the lab's `run`; or its program's name.

    Raises:
        UsageError: there is none, or several.
    """
    place = world.node(node)
    if wanted.isdecimal():
        if place.run(["test", "-d", f"/proc/{wanted}"], name=".debug").ok:
            return int(wanted)
        raise UsageError(f"node {node} has no process {wanted} at this time")
    for process in reversed(place.processes):
        if process.name == wanted and process.running and process.pid is not None:
            status = world.base_of(node).read_file(f"/proc/{process.pid}/status").decode()
            numbers = next(line for line in status.splitlines() if line.startswith("NSpid:"))
            return int(numbers.split()[-1])
    look = 'cd /proc; for one in [0-9]*; do echo "$one $(cat $one/comm)"; done'
    listed = place.run(look, name=".debug").stdout.splitlines()
    programs = [line.partition(" ") for line in listed]
    found = [int(number) for number, _, name in programs if name == wanted]
    if len(found) == 1:
        return found[0]
    if found:
        numbers = ", ".join(map(str, found))
        raise UsageError(f"node {node} has {len(found)} processes {wanted!r}: {numbers}")
    names = ", ".join(dict.fromkeys(name for _, _, name in programs))
    raise UsageError(f"node {node} has no process {wanted!r} at this time", hint=f"it runs {names}")


def _is_traced(pid: int) -> bool:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return False
    return any(line.startswith("TracerPid:") and not line.endswith("\t0") for line in lines)
