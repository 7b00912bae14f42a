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


def test_a_number_that_is_given_again_is_another_node_s():
    table = TaskTable()
    for node in ("r1", "r2"):
        table.own(20, node)
    table.own(9, "r3")
    fork = event("sched_process_fork", 1, child_pid=20, child_comm="init")
    assert table.node_of(9) == "r3"  # was there before
    for node in ("r1", "r2", ""):
        table.at(fork)
        assert table.node_of(20) == node
    # a child of a node's task is the node's, whoever had its number
    table.own(21, "r1")
    table.at(event("sched_process_fork", 9, child_pid=21, child_comm="sh"))
    assert table.node_of(21) == "r3"
