# SPDX-License-Identifier: Apache-2.0
"""Look through a core for all that explains a failure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, TypeVar

from windtunnel.cores.facts import Inspection, Record, Task
from windtunnel.cores.image import READING, Image, text_of
from windtunnel.cores.locks import locks
from windtunnel.cores.network import qdiscs, sockets
from windtunnel.cores.printk import records
from windtunnel.cores.tasks import describe_task, frames, sleeping_stack

_PANIC = "Kernel panic - not syncing: "
_BLOCKED = "D"
_TASKS_MAX = 1 << 22  # a broken list may go round for ever

_Fact = TypeVar("_Fact")


class _Reader:
    """Reads one thing after the other, and notes what cannot be read."""

    def __init__(self) -> None:
        self.doubts: list[str] = []

    def all(self, what: str, facts: Callable[[], Iterable[_Fact]]) -> tuple[_Fact, ...]:
        """Read facts until the first that cannot be read."""
        found: list[_Fact] = []
        try:
            for one in facts():
                found.append(one)
                if len(found) >= _TASKS_MAX:
                    self.doubts.append(f"{what}: there is no end of them; the first are told")
                    break
        except READING as error:
            rest = f" after {len(found)} of them" if found else ""
            self.doubts.append(f"{what} could not be read{rest}: {error}")
        return tuple(found)

    def one(self, what: str, fact: Callable[[], _Fact]) -> _Fact | None:
        """Read a fact; None when it cannot be read."""
        return next(iter(self.all(what, lambda: [fact()])), None)


def look(image: Image, *, stacks: Callable[[Task], bool] = lambda _task: False) -> Inspection:
    """Read all that a core tells.

    Args:
        image: of the kernel.
        stacks: which tasks' calls are wanted, besides those of the blocked ones (D).
    """
    reader = _Reader()
    if not image.has_symbols:
        calls = reader.all("the stack", lambda: frames(image.crashed_stack()))
        crashed = Task(0, 0, 0, "", "", "R", calls)
        return Inspection("", "", crashed, (), (), (), (), (), tuple(reader.doubts))
    found = reader.all("tasks", image.tasks)
    tasks = reader.all("tasks", lambda: (_described(image, task, stacks) for task in found))
    names = {task.pid: task.name for task in tasks}
    log = reader.all("the kernel's log", lambda: records(image, names))
    # Reading may have ended before the last of them.
    blocked = [task for task, told in zip(found, tasks, strict=False) if told.state == _BLOCKED]
    return Inspection(
        release=reader.one(
            "the release", lambda: text_of(image.program["init_uts_ns"].name.release)
        )
        or "",
        panic=_panic(log),
        crashed=reader.one("who crashed", lambda: _crashed(image)),
        tasks=tasks,
        records=log,
        sockets=reader.all("sockets", lambda: sockets(image)),
        qdiscs=reader.all("qdiscs", lambda: qdiscs(image)),
        locks=reader.all("locks", lambda: locks(image, iter(blocked))),
        doubts=tuple(reader.doubts),
    )


def _described(image: Image, task: Any, stacks: Callable[[Task], bool]) -> Task:
    described = describe_task(task)
    if task != image.current() and (described.state == _BLOCKED or stacks(described)):
        return replace(described, stack=sleeping_stack(image, task))
    return described


def _crashed(image: Image) -> Task:
    return describe_task(image.current(), frames(image.crashed_stack()))


def _panic(log: Iterable[Record]) -> str:
    """What the kernel panicked with, by its own words."""
    for record in log:
        if record.text.startswith(_PANIC):
            return record.text.removeprefix(_PANIC).partition("\n")[0]
    return ""
