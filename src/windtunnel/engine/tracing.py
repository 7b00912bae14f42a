# SPDX-License-Identifier: Apache-2.0
"""Tracepoints of a lab's kernels: switched on before lab time zero, read while it runs.

The kernels' own files are used (tracefs), from outside of the nodes. What is traced leaves
a kernel as binary pages whenever a part of its buffer is full, and waits in a file of the
host; so a trace may be larger than any memory, and what a kernel that dies has told is
there. At the end all of it is read, put together, and written in virtual time. Fork, exec
and exit are always traced, so that each event's task has a name and a node, whatever else
is asked for.
"""

from __future__ import annotations

import mmap
import os
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from heapq import merge
from tempfile import TemporaryFile
from typing import Any, BinaryIO

from windtunnel.engine.kernelshell import KernelShell, in_file_system
from windtunnel.engine.node import PRIVATE, Node
from windtunnel.engine.process import Process
from windtunnel.engine.tasktable import TaskTable
from windtunnel.errors import GuestError, HostError, ProtocolError, UsageError
from windtunnel.model.event import Event
from windtunnel.model.nearmiss import near_miss
from windtunnel.model.syscalls import syscall_name, syscall_number
from windtunnel.model.tracepoints import SYSCALLS, syscalls_in
from windtunnel.wire.ftrace import EventFormat, TraceEvent, parse_formats, parse_trace

BUFFER_KIB = 16 * 1024
"""Of each kernel: some 200,000 events. It must hold what happens within a tick (10 ms), for
no reader comes earlier; what does not fit pushes out the oldest, and is told."""

ALWAYS = (
    "sched:sched_process_fork",
    "sched:sched_process_exec",
    "sched:sched_process_exit",
    "task:task_rename",
)
"""What says who is who."""

_PAGE_BYTES = 4096
# Read at a time, less than the 3 % of the buffer (machines/guest/trace.c) that are in use then.
_PAGES_AT_A_TIME = BUFFER_KIB * 1024 // _PAGE_BYTES * 2 // 100
_WRITE_BYTES = 1 << 16
_RAW_SYSCALLS = "raw_syscalls"
_SYSCALL_KINDS = frozenset(("sys_enter", "sys_exit"))
_PLACE = "/tmp/.windtunnel-trace"  # noqa: S108 - a guest's
_BEGIN = """\
echo %d > buffer_size_kb
for name in "$@"; do
  if [ -e "events/$name/format" ]; then cat "events/$name/format"
  elif [ -e "events/$name/enable" ]; then cat "events/$name"/*/format
  else echo "missing $name"; continue; fi
  echo 1 > "events/$name/enable"
done
"""
_TASKS = """\
for p in /proc/[0-9]*; do read -r name < "$p/comm" && echo "task ${p#/proc/} $name"; done
"""


class KernelTrace:
    """The trace of one kernel."""

    def __init__(self, shell: KernelShell, folder: str) -> None:
        """Create; nothing is switched on.

        Args:
            shell: of the kernel.
            folder: of the host, for what has left the kernel; a file without a name.

        Raises:
            HostError: it cannot be written.
        """
        self._shell = shell
        self.kernel = shell.kernel
        self._formats: dict[int, EventFormat] = {}
        self._reader: Process | None = None
        self._said = bytearray()
        try:
            self._pages: BinaryIO = TemporaryFile(dir=folder)  # noqa: SIM115 - until close
        except OSError as error:
            raise _cannot_keep(error) from error
        self.tasks = TaskTable()

    def begin(self, tracepoints: Sequence[str]) -> None:
        """Switch tracepoints on. Time passes.

        Raises:
            UsageError: the kernel has no such tracepoints.
            GuestError: it has no traces.
        """
        script = _BEGIN % BUFFER_KIB
        systems = [one for one in tracepoints if one.partition(":")[0] != SYSCALLS]
        syscalls = syscalls_in(tracepoints)
        if syscalls is not None:
            systems.append(_RAW_SYSCALLS)
            script += _syscall_filter(syscalls)
        words = " ".join(shlex.quote(one.replace(":", "/")) for one in (*ALWAYS, *systems))
        text = self._run(f"set -- {words}\n{script}", before=_TASKS).decode()
        missing: list[str] = []
        formats: list[str] = []
        for line in text.splitlines(keepends=True):
            if line.startswith("task "):
                _, pid, name = line.rstrip("\n").split(" ", 2)
                self.tasks.learn(int(pid), name)
            else:
                (missing if line.startswith("missing ") else formats).append(line)
        if missing:
            self._refuse(missing[0].split()[1].replace("/", ":"))
        known = parse_formats("".join(formats))
        self._formats = {number: _without_addresses(one) for number, one in known.items()}
        self._begin_reading()

    def _refuse(self, name: str) -> None:
        if name == _RAW_SYSCALLS:
            raise UsageError(
                "this kernel cannot trace syscalls",
                hint="those that `windtunnel kernel build` makes of 6.12 and of 7.3 can",
            )
        systems = self._run("ls events").decode().split()
        near = near_miss(name.partition(":")[0], systems)
        raise UsageError(
            f"the kernel has no tracepoints {name!r}",
            hint=f"did you mean {near!r}?" if near else f"systems are {', '.join(systems)}",
        )

    def _begin_reading(self) -> None:
        reader = self._shell.begin_own(
            ["trace", _PLACE, str(_PAGES_AT_A_TIME)], "trace", self._take
        )
        self._reader = reader
        reader.wait_until(lambda: b"ready\n" in self._said or not reader.running)
        if reader.failure is not None:
            raise reader.failure
        if not reader.running:
            raise self._cannot(self._said.decode(errors="replace").strip())

    def _take(self, data: bytes, stderr: bool) -> None:
        if stderr:
            self._said += data
            return
        try:
            self._pages.write(data)
        except OSError as error:
            raise _cannot_keep(error) from error

    def end(self) -> None:
        """Switch tracing off, and take what the kernel still has. Time passes.

        Raises:
            GuestError: it does not give it.
        """
        assert self._reader is not None, "it has begun"
        self._reader.terminate()
        result = self._reader.wait(timeout="5 s")
        if result.exit_status != 0:
            raise self._cannot(f"{result.exit_status} {self._said.decode(errors='replace')}")

    def traced(self) -> Iterator[TraceEvent]:
        """Give what has left the kernel so far; no time passes."""
        try:
            self._pages.flush()
        except OSError as error:
            raise _cannot_keep(error) from error
        size = os.fstat(self._pages.fileno()).st_size
        whole = size - size % _PAGE_BYTES  # a kernel may have died while it wrote one
        if whole:
            with mmap.mmap(self._pages.fileno(), whole, access=mmap.ACCESS_READ) as pages:
                yield from parse_trace(pages, self._formats, page_bytes=_PAGE_BYTES)

    def event(self, traced: TraceEvent, zero_ns: int) -> Event | None:
        """Make an event of ours, with the task's name and node.

        Args:
            traced: in the order of the trace.
            zero_ns: the kernel's time at lab time zero.

        Returns:
            None for what came before it, and for what we do ourselves.
        """
        task = self.tasks.at(traced)
        if traced.time_ns < zero_ns or task.node == PRIVATE:
            return None
        fields: dict[str, Any] = dict(traced.fields)
        if traced.name in _SYSCALL_KINDS:
            if not task.node:
                return None  # the agent's: all others are of nodes
            fields["syscall"] = syscall_name(fields["id"])
        elif traced.name == "sched_switch":
            next_node = self.tasks.node_of(fields["next_pid"])
            fields["next_node"] = "" if next_node == PRIVATE else self.kernel or next_node
        fields["common_pid"], fields["task"] = traced.pid, task.name
        node = self.kernel or task.node
        return Event(traced.time_ns - zero_ns, 0, traced.name, node, fields, self.kernel, "trace")

    def close(self) -> None:
        """Forget all of it."""
        self._pages.close()

    def _run(self, script: str, *, before: str = "") -> bytes:
        """Run a script where the kernel's traces are."""
        whole = before + in_file_system("tracefs", _PLACE, script)
        process, result, output = self._shell.run(whole, "trace")
        if process.pid is not None:
            self.tasks.own(process.pid, PRIVATE)
        if result.exit_status != 0:
            raise self._cannot(str(result.exit_status))
        return output

    def _cannot(self, why: str) -> GuestError:
        whose = f"of {self.kernel}" if self.kernel else "of the lab"
        return GuestError(
            f"the kernel {whose} cannot be traced: {why}",
            hint="its configuration needs CONFIG_FTRACE and CONFIG_ENABLE_DEFAULT_TRACERS",
        )


def _without_addresses(known: EventFormat) -> EventFormat:
    """Leave out addresses of the kernel's memory, which mean nothing elsewhere."""
    return replace(known, fields=tuple(one for one in known.fields if "*" not in one.type))


def _syscall_filter(names: Sequence[str]) -> str:
    """The shell's line that lets only some syscalls pass; no names stand for all."""
    numbers = [f"id == {syscall_number(name)}" for name in names]
    return f"echo '{' || '.join(numbers)}' > events/{_RAW_SYSCALLS}/filter\n" if names else ""


def _cannot_keep(error: OSError) -> HostError:
    return HostError(
        f"cannot keep what the kernels trace: {error.strerror}",
        hint="it needs some 60 bytes an event where the run's folder is",
    )


class Tracing:
    """The traces of all kernels of a world."""

    def __init__(self, kernels: Sequence[KernelTrace], zero_ns: Callable[[], int]) -> None:
        self._kernels = kernels
        self._zero_ns = zero_ns
        self._written = False

    def begin(self, tracepoints: Sequence[str]) -> None:
        """Switch tracepoints on in all kernels. Time passes."""
        for kernel in self._kernels:
            kernel.begin(tracepoints)

    def end(self, nodes: Sequence[Node], write: Callable[[bytes], None]) -> None:
        """Read what was traced, and write it in virtual time. Time passes.

        Args:
            nodes: of the world; what they were given to run is theirs.
            write: takes lines.

        Raises:
            GuestError: a kernel does not give what it still has; the rest is written.
            ProtocolError: an event has no task's name, although none was lost. All are
                written. Or what a kernel gave is no trace.
        """
        try:
            for kernel in self._kernels:
                kernel.end()
        except GuestError:
            self.rescue(nodes, write)
            raise
        nameless, lost = self._write(nodes, write)
        if nameless and not lost:
            # Where the buffer was full, what told the names may have been pushed out of it.
            raise ProtocolError(
                f"the trace has {nameless} events of tasks that nothing has named",
                hint="windtunnel trace RUN --task '' shows them; please send us the lab",
            )

    def rescue(self, nodes: Sequence[Node], write: Callable[[bytes], None]) -> None:
        """Write what has left the kernels, one of which has died; no time passes.

        Nothing is written a second time: what cuts a run short may come when its trace is
        written, or after that.

        Args:
            nodes: as for `end`.
            write: as for `end`.
        """
        if not self._written:
            self._write(nodes, write)

    def close(self) -> None:
        """Forget all of it."""
        for kernel in self._kernels:
            kernel.close()

    def _write(self, nodes: Sequence[Node], write: Callable[[bytes], None]) -> tuple[int, int]:
        """Write the events; how many have no name, and before how many some were lost."""
        self._written = True
        kernels = {kernel.kernel: kernel for kernel in self._kernels}
        begun = [one for node in nodes for one in node.processes if one.pid is not None]
        for process in sorted(begun, key=lambda one: one.start_ns):
            kernel = kernels.get(process.node) or kernels[""]
            kernel.tasks.own(process.pid or 0, process.node)
        zero_ns = self._zero_ns()
        streams = [_events(kernel, zero_ns) for kernel in self._kernels]
        nameless = lost = 0
        lines = bytearray()
        for number, event in enumerate(merge(*streams, key=lambda event: event.time_ns)):
            nameless += not event.fields["task"]
            lost += "lost_before" in event.fields
            lines += f"{_numbered(event, number).to_line()}\n".encode()
            if len(lines) >= _WRITE_BYTES:
                write(bytes(lines))
                lines.clear()
        write(bytes(lines))
        return nameless, lost


def _numbered(event: Event, number: int) -> Event:
    # dataclasses.replace takes five times as long
    return Event(
        event.time_ns, number, event.kind, event.node, event.fields, event.kernel, event.stream
    )


def _events(kernel: KernelTrace, zero_ns: int) -> Iterator[Event]:
    """What one kernel has traced, in its order; the next event kept tells of all losses."""
    lost = 0
    for traced in kernel.traced():
        lost = -1 if -1 in (lost, traced.lost_before) else lost + traced.lost_before
        event = kernel.event(traced, zero_ns)
        if event is None:
            continue
        if lost:
            event = replace(event, fields={**event.fields, "lost_before": lost})
            lost = 0
        yield event
