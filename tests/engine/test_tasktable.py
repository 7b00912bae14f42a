# SPDX-License-Identifier: Apache-2.0
"""Names and nodes of tasks, as a trace tells them."""

from __future__ import annotations

from windtunnel.engine.tasktable import Task, TaskTable
from windtunnel.wire.ftrace import TraceEvent


def event(name, pid, **fields):
    return TraceEvent(0, name, pid, fields)


def test_forks_renames_and_switches_tell_who_is_who():
    table = TaskTable()
    table.learn(7, "init")
    table.own(20, "r1")
    assert table.at(event("x", 7)) == Task("init", "")
    assert table.at(event("x", 0)) == Task("swapper", "")
    table.at(event("sched_process_fork", 7, child_pid=20, child_comm="init"))
    assert table.at(event("task_rename", 20, newcomm="sh")) == Task("init", "r1")
    assert table.at(event("sched_process_fork", 20, child_pid=21, child_comm="sh")).name == "sh"
    assert table.at(event("x", 21)) == Task("sh", "r1")
    table.at(event("sched_switch", 21, next_pid=30, next_comm="kworker"))
    assert table.at(event("x", 30)) == Task("kworker", "")
    assert table.at(event("x", 99)) == Task("", "")
