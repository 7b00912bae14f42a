# SPDX-License-Identifier: Apache-2.0
"""Tracepoints of a lab's kernels: switched on before lab time zero, read at the end.

The kernels' own files are used (tracefs), from outside of the nodes; what is read is
binary, a page at a time. Fork, exec and exit are always traced, so that each event's
task has a name and a node, whatever else is asked for.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from heapq import merge

from windtunnel.engine.kernelshell import KernelShell, in_file_system
from windtunnel.engine.node import PRIVATE, Node
from windtunnel.engine.tasktable import TaskTable
from windtunnel.errors import GuestError, ProtocolError, UsageError
from windtunnel.model.event import Event
from windtunnel.model.nearmiss import near_miss
from windtunnel.wire.ftrace import EventFormat, TraceEvent, parse_formats, parse_trace

BUFFER_KIB = 16 * 1024
"""Of each kernel: some 200,000 events. What does not fit pushes out the oldest, and is told."""

ALWAYS = (
    "sched:sched_process_fork",
    "sched:sched_process_exec",
    "sched:sched_process_exit",
    "task:task_rename",
)
"""What says who is who."""

_PLACE = "/tmp/.windtunnel-trace"  # noqa: S108 - a guest's
_BEGIN = """\
echo %d > buffer_size_kb
for name in "$@"; do
  if [ -e "events/$name/format" ]; then cat "events/$name/format"
  elif [ -e "events/$name/enable" ]; then cat "events/$name"/*/format
  else echo "missing $name"; continue; fi
  echo 1 > "events/$name/enable"
done"""
_TASKS = """\
for p in /proc/[0-9]*; do read -r name < "$p/comm" && echo "task ${p#/proc/} $name"; done
"""
_END = """\
echo 0 > tracing_on
dd if=per_cpu/cpu0/trace_pipe_raw bs=4096 iflag=nonblock 2>/dev/null"""


class KernelTrace:
    """The trace of one kernel."""

    def __init__(self, shell: KernelShell) -> None:
        """Create; nothing is switched on.

        Args:
            shell: of the kernel.
        """
        self._shell = shell
        self.kernel = shell.kernel
        self._hidden: dict[str, frozenset[str]] = {}
        self._formats: dict[int, EventFormat] = {}
        self.tasks = TaskTable()

    def begin(self, tracepoints: Sequence[str]) -> None:
        """Switch tracepoints on. Time passes.

        Raises:
            UsageError: the kernel has no such tracepoints.
            GuestError: it has no traces.
        """
        words = " ".join(shlex.quote(one.replace(":", "/")) for one in (*ALWAYS, *tracepoints))
        begin = f"set -- {words}\n{_BEGIN % BUFFER_KIB}"
        text = self._run(begin, before=_TASKS).decode()
        missing: list[str] = []
        formats: list[str] = []
        for line in text.splitlines(keepends=True):
            if line.startswith("task "):
                _, pid, name = line.rstrip("\n").split(" ", 2)
                self.tasks.learn(int(pid), name)
            else:
                (missing if line.startswith("missing ") else formats).append(line)
        if missing:
            name = missing[0].split()[1].replace("/", ":")
            systems = self._run("ls events").decode().split()
            near = near_miss(name.partition(":")[0], systems)
            raise UsageError(
                f"the kernel has no tracepoints {name!r}",
                hint=f"did you mean {near!r}?" if near else f"systems are {', '.join(systems)}",
            )
        self._formats = parse_formats("".join(formats))
        # Addresses of the kernel's memory mean nothing elsewhere.
        self._hidden = {
            one.name: frozenset(field.name for field in one.fields if "*" in field.type)
            for one in self._formats.values()
        }

    def end(self) -> Iterator[TraceEvent]:
        """Switch tracing off, and give what was traced. Time passes."""
        return parse_trace(self._run(_END), self._formats)

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
        hidden = self._hidden[traced.name]
        fields = {key: value for key, value in traced.fields.items() if key not in hidden}
        fields["common_pid"], fields["task"] = traced.pid, task.name
        if traced.lost_before:
            fields["lost_before"] = traced.lost_before
        node = self.kernel or task.node
        return Event(traced.time_ns - zero_ns, 0, traced.name, node, fields, self.kernel, "trace")

    def _run(self, script: str, *, before: str = "") -> bytes:
        """Run a script where the kernel's traces are."""
        whole = before + in_file_system("tracefs", _PLACE, script)
        process, result, output = self._shell.run(whole, "trace")
        if process.pid is not None:
            self.tasks.own(process.pid, PRIVATE)
        if result.exit_status != 0:
            whose = f"of {self.kernel}" if self.kernel else "of the lab"
            raise GuestError(
                f"the kernel {whose} cannot be traced: {result.exit_status}",
                hint="its configuration needs CONFIG_FTRACE and CONFIG_ENABLE_DEFAULT_TRACERS",
            )
        return output


class Tracing:
    """The traces of all kernels of a world."""

    def __init__(self, kernels: Sequence[KernelTrace], zero_ns: Callable[[], int]) -> None:
        self._kernels = kernels
        self._zero_ns = zero_ns

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
            ProtocolError: an event has no task's name, although none was lost. All are written.
        """
        kernels = {kernel.kernel: kernel for kernel in self._kernels}
        for node in nodes:
            kernel = kernels.get(node.name) or kernels[""]
            for process in node.processes:
                if process.pid is not None:
                    kernel.tasks.own(process.pid, node.name)
        zero_ns = self._zero_ns()
        # All are read before the first event is looked at, and none is kept.
        ended = [kernel.end() for kernel in self._kernels]
        streams = [
            self._events(kernel, traced, zero_ns)
            for kernel, traced in zip(self._kernels, ended, strict=True)
        ]
        nameless = lost = 0
        for number, event in enumerate(merge(*streams, key=lambda event: event.time_ns)):
            nameless += not event.fields["task"]
            lost += "lost_before" in event.fields
            write(f"{replace(event, sequence=number).to_line()}\n".encode())
        if nameless and not lost:
            # Where the buffer was full, what told the names may have been pushed out of it.
            raise ProtocolError(
                f"the trace has {nameless} events of tasks that nothing has named",
                hint="windtunnel trace RUN --task '' shows them; please send us the lab",
            )

    def _events(
        self, kernel: KernelTrace, traced: Iterator[TraceEvent], zero_ns: int
    ) -> Iterator[Event]:
        """What one kernel has traced, in its order."""
        found = (kernel.event(one, zero_ns) for one in traced)
        return (one for one in found if one is not None)
