# SPDX-License-Identifier: Apache-2.0
"""Who has which number in a kernel, as its trace tells it: name and node of each task."""

from __future__ import annotations

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
    a trace with forks and renames has none.
    """

    def __init__(self) -> None:
        self._names = {0: "swapper"}
        self._nodes: dict[int, str] = {}
        self._owned: dict[int, str] = {}

    def learn(self, pid: int, name: str) -> None:
        """Take note of a name."""
        self._names[pid] = name

    def own(self, pid: int, node: str) -> None:
        """Take note of a process that a node was given; what it forks is the node's as well."""
        self._owned[pid] = node

    def at(self, event: TraceEvent) -> Task:
        """The task of the next event; what the event says of tasks holds from then on."""
        task = Task(self._names.get(event.pid, ""), self._node(event.pid))
        fields = event.fields
        match event.name:
            case "sched_process_fork":
                child = _number(fields["child_pid"])
                self._names[child] = str(fields["child_comm"])
                self._nodes[child] = self._node(event.pid)
            case "task_rename":
                self._names[event.pid] = str(fields["newcomm"])
            case "sched_switch":
                self._names[_number(fields["next_pid"])] = str(fields["next_comm"])
        return task

    def _node(self, pid: int) -> str:
        return self._owned.get(pid) or self._nodes.get(pid, "")


def _number(value: object) -> int:
    assert isinstance(value, int), "a pid is a number"
    return value
