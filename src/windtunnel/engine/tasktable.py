# SPDX-License-Identifier: Apache-2.0
"""Who has which number in a kernel, as its trace tells it: name and node of each task."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from windtunnel.wire.ftrace import TraceEvent


@dataclass(frozen=True, slots=True)
class Task:
    """A task.

    Attributes:
        name: 15 characters at most, as the kernel has it; empty when nobody has told.
        node: whose it is; empty for what belongs to no node.
    """

    name: str
    node: str


class TaskTable:
    """Tasks by number, kept up to date with a trace that is read in its order.

    The kernel's own list of names has holes, from which come the "<...>" of other tools;
    a trace with forks and renames has none. A number is given again when its task has long
    ended, so it is the fork that says whose a task is.
    """

    def __init__(self) -> None:
        self._names = {0: "swapper"}
        self._nodes: dict[int, str] = {}
        self._given: dict[int, deque[str]] = {}

    def learn(self, pid: int, name: str) -> None:
        """Take note of a name."""
        self._names[pid] = name

    def own(self, pid: int, node: str) -> None:
        """Take note of a process that a node was given; what it forks is the node's as well.

        Those that had one number one after the other are told in this order.
        """
        self._given.setdefault(pid, deque()).append(node)

    def node_of(self, pid: int) -> str:
        """Whose a task is now; empty for what belongs to no node."""
        if pid in self._nodes:
            return self._nodes[pid]
        given = self._given.get(pid)
        return given[0] if given else ""  # it was there before the trace

    def at(self, event: TraceEvent) -> Task:
        """The task of the next event; what the event says of tasks holds from then on."""
        task = Task(self._names.get(event.pid, ""), self.node_of(event.pid))
        fields = event.fields
        match event.name:
            case "sched_process_fork":
                child = _number(fields["child_pid"])
                self._names[child] = str(fields["child_comm"])
                self._nodes[child] = task.node or self._next_given(child)
            case "task_rename":
                self._names[event.pid] = str(fields["newcomm"])
            case "sched_switch":
                self._names[_number(fields["next_pid"])] = str(fields["next_comm"])
        return task

    def _next_given(self, pid: int) -> str:
        """Whose the next child of the agent with this number is."""
        given = self._given.get(pid)
        return given.popleft() if given else ""


def _number(value: object) -> int:
    assert isinstance(value, int), "a pid is a number"
    return value
