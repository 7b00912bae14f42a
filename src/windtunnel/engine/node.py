# SPDX-License-Identifier: Apache-2.0
"""A node of a running world: commands, processes and files."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from windtunnel.engine.link import BY_HAND
from windtunnel.engine.machine import Machine
from windtunnel.engine.process import Duration, Process, Result, Surroundings, duration_ns
from windtunnel.engine.recorder import NullRecorder, Recorder
from windtunnel.engine.witness import Sink, Witness
from windtunnel.errors import GuestError, StateError
from windtunnel.machines.agent import AgentChannel, ProcessHooks, Reply
from windtunnel.model.cpu import CpuSpec
from windtunnel.model.fault import ClockDrift, ClockStep
from windtunnel.model.lab import NodeSpec
from windtunnel.model.units import parse_drift, parse_shift, parse_size
from windtunnel.wire.agent import SpawnFlag, TaskCosts

ENVIRONMENT = {
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "PWD": "/",
    "SHELL": "/bin/sh",
    "USER": "root",
    # A hash seed of the host's choosing would reach results through every set.
    "PYTHONHASHSEED": "0",
}
"""What every process in a node gets; the node's own `env` is added."""

EXEC_MAX_NS = 3600 * 1_000_000_000
"""How long one `exec` line may take, in virtual time."""

WAIT_EVERY_NS = 1_000_000_000

PRIVATE = "."
"""Processes whose name begins so are the engine's own and leave no record."""


class Node:
    """One machine of a world. Get it by `world.node(name)`."""

    def __init__(
        self,
        world: Surroundings,
        agent: AgentChannel,
        recorder: Recorder,
        *,
        spec: NodeSpec,
        number: int,
        machine: Machine | None = None,
    ) -> None:
        """Create.

        Args:
            world: that it is in.
            agent: of its kernel.
            recorder: is told what happens in it.
            spec: as the lab has it.
            number: for the agent.
            machine: what can be done to it as a whole; None for the base node.
        """
        self._world = world
        self._agent = agent
        self._recorder = recorder
        self._number = number
        self._names: dict[str, int] = {}
        self._machine = machine
        self.spec = spec
        self.processes: list[Process] = []

    @property
    def name(self) -> str:
        """Its name in the lab."""
        return self.spec.name

    def run(
        self,
        command: str | Sequence[str],
        *,
        timeout: Duration | None = None,
        stdin: str | bytes | None = None,
        env: Mapping[str, str] | None = None,
        name: str | None = None,
    ) -> Result:
        """Run a command to its end, letting virtual time pass.

        Args:
            command: a shell command line, or a program and its arguments.
            timeout: virtual time after which it is killed.
            stdin: its input; /dev/null if there is none.
            env: added to the node's environment.
            name: of its output in the run folder; made of its first word otherwise.

        Raises:
            GuestError: it could not be started, or it can never end.
        """
        process = self.popen(command, stdin=stdin is not None, env=env, name=name)
        if stdin is not None:
            process.write(stdin)
            process.close_stdin()
        return process.wait(timeout)

    def popen(
        self,
        command: str | Sequence[str],
        *,
        stdin: bool = False,
        env: Mapping[str, str] | None = None,
        name: str | None = None,
        terminal: bool = False,
        directory: str = "/",
    ) -> Process:
        """Start a process and return as soon as it has begun.

        Args:
            command: as for `run`.
            stdin: whether it gets input from us (`Process.write`).
            env: as for `run`.
            name: as for `run`.
            terminal: whether it gets a terminal of its own.
            directory: where it starts.

        Raises:
            GuestError: it could not be started.
        """
        process = self.begin(
            command, stdin=stdin, env=env, name=name, terminal=terminal, directory=directory
        )
        process.wait_started()
        return process

    def begin(
        self,
        command: str | Sequence[str],
        *,
        stdin: bool = False,
        env: Mapping[str, str] | None = None,
        name: str | None = None,
        terminal: bool = False,
        directory: str = "/",
        sink: Sink | None = None,
    ) -> Process:
        """Ask for a process as `popen` does, without letting any time pass.

        It begins when time next passes; if it cannot, `Process.failure` says so.

        Args:
            command: as for `run`.
            stdin: as for `popen`.
            env: as for `run`.
            name: as for `run`.
            terminal: as for `popen`.
            directory: as for `popen`.
            sink: takes its output (and whether it is stderr) as it comes,
                instead of the run folder.
        """
        text = command if isinstance(command, str) else " ".join(command)
        argv = ["/bin/sh", "-c", command] if isinstance(command, str) else list(command)
        label = self._unique(name or _first_word(text))
        process = Process(self._world, self._agent, node=self.name, name=label, command=text)
        process._again = lambda: self.begin(  # noqa: SLF001
            command,
            stdin=stdin,
            env=env,
            name=name,
            terminal=terminal,
            directory=directory,
            sink=sink,
        )
        recorder = NullRecorder() if label.startswith(PRIVATE) else self._recorder
        witness = Witness(self._world, recorder, process, sink)
        flags = SpawnFlag(0)
        if stdin:
            flags |= SpawnFlag.INPUT
        if terminal:
            flags |= SpawnFlag.TERMINAL
        remote = self._agent.spawn(
            self._number,
            argv,
            env={**ENVIRONMENT, **dict(self.spec.env), **(env or {})},
            output=witness.output,
            hooks=ProcessHooks(began=witness.began, ended=witness.ended),
            directory=directory,
            flags=flags,
            costs=_task_costs(self.spec.cpu),
        )
        process._attach(remote)  # noqa: SLF001
        self.processes.append(process)
        return process

    def wait_for(
        self,
        command: str | Sequence[str],
        *,
        match: str = "",
        within: Duration,
        every: Duration = WAIT_EVERY_NS,
    ) -> Result:
        """Repeat a command until it exits with 0 and its output matches.

        Args:
            command: as for `run`.
            match: a regular expression to be found in its stdout.
            within: virtual time after which to give up.
            every: virtual pause between two tries.

        Returns:
            The result of the try that matched.

        Raises:
            GuestError: it never matched; the message has the last output.
        """
        deadline_ns = self._world.now_ns + duration_ns(within)
        pattern = re.compile(match, re.MULTILINE)
        while True:
            result = self.run(command, timeout=max(deadline_ns - self._world.now_ns, 1))
            if result.ok and pattern.search(result.stdout):
                return result
            pause_ns = min(duration_ns(every), deadline_ns - self._world.now_ns)
            if pause_ns <= 0:
                raise GuestError(
                    f"{result.command!r} did not match {match!r} within {within}; it last exited "
                    f"with {result.exit_status} and printed:\n{result.stdout[-2000:]}",
                    node=self.name,
                    time_ns=self._world.now_ns,
                )
            self._world.wait_at_most(lambda: False, pause_ns, "the next try", pausable=True)

    def write_file(
        self, path: str, content: str | bytes, *, mode: int = 0o644, owner: str = ""
    ) -> None:
        """Write a file of the node, and the folders that it lies in.

        Raises:
            GuestError: the guest refused it.
        """
        data = content.encode() if isinstance(content, str) else content
        reply = self._agent.write_file(self._number, path, data, mode=mode, owner=owner)
        self._answered(reply, f"writing {path}")

    def read_file(self, path: str) -> bytes:
        """Read a file of the node.

        Raises:
            GuestError: there is none, or it cannot be read.
        """
        reply = self.begin_read(path)
        self._answered(reply, f"reading {path}")
        return bytes(reply.data)

    def begin_read(self, path: str) -> Reply:
        """Ask for a file's content as `read_file` does, without letting any time pass."""
        return self._agent.read_file(self._number, path)

    # ---- faults ----

    @property
    def machine(self) -> Machine:
        """What can be done to it as a whole, for whoever does it under a key.

        Raises:
            StateError: it is the base node, which is the kernel itself.
        """
        if self._machine is None:
            raise StateError(
                f"the node {self.name} cannot fail by itself: it is the kernel",
                hint="fail one of the lab's nodes",
            )
        return self._machine

    @property
    def is_on(self) -> bool:
        """Whether it has power."""
        return self._machine is None or self._machine.is_on

    def pause(self) -> None:
        """Freeze all that runs in it, while time goes on; it neither sends nor receives.

        Raises:
            GuestError: it is off, or a process of it cannot be frozen.
        """
        self.machine.pause(BY_HAND)
        self._tell("paused")

    def resume(self) -> None:
        """Let all that `pause` froze go on."""
        self.machine.resume(BY_HAND)
        self._tell("resumed")

    def power_off(self, *, wipe: bool = False) -> None:
        """Cut its power: all that runs in it is gone at once, and its links lose their carrier.

        Args:
            wipe: whether it comes back with the files that it first had; else with
                those that it last had, but for /tmp and /run. With a kernel of its
                own its files are in its memory, and gone in any case.
        """
        self.machine.power_off(BY_HAND, wipe=wipe)
        self._tell("off")

    def power_on(self) -> None:
        """Boot it: cables, addresses, sysctls, then its `exec` lines; time may pass.

        What else ran in it is not started again. Nothing happens if it is on, or
        if a fault keeps it off.

        Raises:
            GuestError: an `exec` line failed.
        """
        boot = self.machine.power_on(BY_HAND)
        if not boot:
            return
        self._world.wait(lambda: not self.machine.is_booting(boot), f"{self.name} to boot")
        if self.machine.finish_boot(boot):
            self._tell("on")
            self.set_up()

    def kill_processes(self) -> None:
        """Kill all that runs in it; nothing is started again.

        Raises:
            GuestError: it is off.
        """
        self.machine.kill_processes()
        self._tell("processes killed")

    def limit_memory(self, limit: str | None) -> None:
        """Limit the memory of all that runs in it; the kernel kills what needs more.

        Args:
            limit: "64 MB", page cache and files in /tmp counted; None takes it away.
        """
        limit_bytes = None if limit is None else parse_size(limit)
        self.machine.limit_memory(BY_HAND, limit_bytes)
        self._tell("memory limit", limit_bytes=limit_bytes)

    def step_clock(self, step: Duration) -> None:
        """Set its wall clock forward, or back by a negative step; the monotonic one goes on.

        Args:
            step: "+5 s", "-3 ms", or integer nanoseconds.

        Raises:
            ImpossibleFaultError: it shares its kernel.
            GuestError: it is off, or it would be before the node was born.
        """
        step_ns = step if isinstance(step, int) else parse_shift(step)
        self.machine.begin(BY_HAND, ClockStep(self.name, step_ns))
        self._tell("clock step", step_ns=step_ns)

    def drift_clock(self, drift: str | None) -> None:
        """Let its clocks go too fast or too slowly, wall clock and monotonic one.

        Args:
            drift: "200 ppm", "-50 ppm"; at most 100,000 either way. It replaces the one
                before; None lets them go as they did.

        Raises:
            ImpossibleFaultError: it shares its kernel.
            GuestError: it is off.
        """
        drift_ppm = 0 if drift is None else parse_drift(drift)
        fault = ClockDrift(self.name, drift_ppm)
        if drift is None:
            self.machine.end(BY_HAND, fault)
        else:
            self.machine.begin(BY_HAND, fault)
        self._tell("clock drift", drift_ppm=drift_ppm)

    def set_up(self) -> None:
        """Run its `exec` lines, in order.

        Raises:
            GuestError: one failed; the message has what it said.
        """
        for command in self.spec.exec:
            result = self.run(command, name="exec", timeout=EXEC_MAX_NS)
            if not result.ok:
                raise exec_failed(self.name, command, result)

    def _tell(self, change: str, **fields: Any) -> None:
        self._recorder.event(self._world.now_ns, "node", self.name, change=change, **fields)

    def _answered(self, reply: Reply, what: str) -> None:
        self._world.wait(lambda: reply.done, what)
        if reply.failure is not None:
            raise GuestError(
                f"{reply.failure.text}: {os.strerror(reply.failure.errno)}",
                node=self.name,
                time_ns=self._world.now_ns,
            )

    def _unique(self, name: str) -> str:
        """`name`, or `name.2`, `name.3` … when there was one already."""
        count = self._names.get(name, 0) + 1
        self._names[name] = count
        return name if count == 1 else f"{name}.{count}"


def _task_costs(cpu: CpuSpec) -> TaskCosts:
    costs = cpu.costs()
    return TaskCosts(costs.syscall_ns, costs.fault_ns, costs.switch_ns)


def exec_failed(node: str, command: str, result: Result | None) -> GuestError:
    """What to say about an `exec` line that failed, or did not end (None)."""
    if result is None:
        what = "has not ended within an hour"
    else:
        said = (result.stdout + result.stderr).strip()[-1000:]
        what = f"exited with {result.exit_status}"
        what += f": {said}" if said else " and said nothing"
    return GuestError(
        f"the set-up command {command!r} {what}",
        node=node,
        hint="a node's `exec` lines run when its links are up: before time 0, "
        "and each time that it is powered on",
    )


def _first_word(command: str) -> str:
    """A file name made of a command's first word."""
    word = command.split(maxsplit=1)[0] if command.split() else "command"
    return re.sub(r"[^A-Za-z0-9_.+-]", "_", word.rsplit("/", 1)[-1]) or "command"
