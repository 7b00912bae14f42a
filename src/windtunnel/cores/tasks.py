# SPDX-License-Identifier: Apache-2.0
"""The tasks of a kernel, and the calls that they are in."""

from __future__ import annotations

from typing import Any

import drgn
from drgn.helpers.linux.sched import task_state_to_char

from windtunnel.cores.facts import Frame, Task, Variable
from windtunnel.cores.image import READING, Image, text_of

_PF_KTHREAD = 0x00200000  # include/linux/sched.h
_VALUE_CHARACTERS = 160
_NOT_OF_A_NODE = frozenset(("(none)", "localhost", ""))
# Where a build puts the kernel's source, and what it makes.
_TREES = ("/source/", "/objects/")


def node_of(task: Any) -> str:
    """The node of a task: its host name, which each node has for itself; empty for none."""
    space = task.nsproxy
    if not space or int(task.flags) & _PF_KTHREAD:
        return ""  # it is ending, or the kernel's own
    name = text_of(space.uts_ns.name.nodename)
    return "" if name in _NOT_OF_A_NODE else name


def label(task: Any) -> str:
    """A task in a word: "ping[36]"."""
    return f"{text_of(task.comm)}[{int(task.pid)}]"


def describe_task(task: Any, stack: tuple[Frame, ...] = ()) -> Task:
    """Read what is known of a task."""
    parent = task.real_parent
    return Task(
        pid=int(task.pid),
        process=int(task.tgid),
        parent=int(parent.tgid) if parent else 0,
        name=text_of(task.comm),
        node=node_of(task),
        state=str(task_state_to_char(task)),
        stack=stack,
    )


def sleeping_stack(image: Image, task: Any) -> tuple[Frame, ...]:
    """The calls of a task that does not run; empty if they cannot be found."""
    try:
        return frames(image.stack(task))
    except READING:
        return ()


def frames(trace: drgn.StackTrace) -> tuple[Frame, ...]:
    """Read the calls of a stack; those behind the last with a name are of no use."""
    found = [_frame(one) for one in trace]
    while found and not found[-1].function:
        found.pop()
    return tuple(found)


def _frame(frame: drgn.StackFrame) -> Frame:
    return Frame(
        function=_function(frame),
        source=_source(frame),
        inlined=frame.is_inline,
        variables=tuple(_variables(frame)),
    )


def _function(frame: drgn.StackFrame) -> str:
    if frame.function_name is not None:
        return str(frame.function_name)
    try:
        return str(frame.symbol().name)
    except READING:
        return ""


def _source(frame: drgn.StackFrame) -> str:
    try:
        name, line, _ = frame.source()
    except READING:
        return ""
    for tree in _TREES:
        _, found, inside = name.partition(tree)
        if found:
            name = inside
            break
    return f"{name}:{line}"


def _variables(frame: drgn.StackFrame) -> list[Variable]:
    try:
        names = frame.locals()
    except READING:
        return []
    found = []
    for name in names:
        try:
            value = frame[name]
            if value.absent_:
                continue  # the compiler has dropped it
            text = value.format_(dereference=False, symbolize=True, string=True)
        except READING:
            continue
        found.append(Variable(name, _one_line(text)))
    return found


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _VALUE_CHARACTERS else line[: _VALUE_CHARACTERS - 1] + "…"
