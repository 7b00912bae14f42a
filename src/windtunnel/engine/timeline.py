# SPDX-License-Identifier: Apache-2.0
"""Things that go on at the same time in one world, each a generator.

A task yields what it waits for, a condition or a lab time, and goes on when
that has come. Tasks that can go on at the same instant do so in the order in
which they were added. There are no threads: one task runs to its next yield.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Protocol

Condition = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Wait:
    """What a task waits for: the first of the two that is given and comes.

    Attributes:
        condition: becomes true by a report of the guest.
        until_ns: lab time.
    """

    condition: Condition | None = None
    until_ns: int | None = None


Task = Generator[Wait, None, None]


class TimelineWorld(Protocol):
    """What a timeline needs of its world."""

    @property
    def now_ns(self) -> int:
        """Lab time."""

    def wait_at_most(self, condition: Condition, limit_ns: int, what: str) -> bool:
        """Let time pass until `condition` holds, for at most `limit_ns`."""

    def wait(self, condition: Condition, what: str) -> None:
        """Let time pass until `condition` holds."""


class Timeline:
    """Runs tasks until they are done, or until a lab time."""

    def __init__(self, world: TimelineWorld, tasks: Iterable[Task]) -> None:
        self._world = world
        self._waits: dict[Task, Wait] = {task: Wait(until_ns=world.now_ns) for task in tasks}
        self.busy = False
        """Whether a task goes on just now: it has called us."""

    def add(self, task: Task) -> None:
        """Have one more task go on from the present instant."""
        self._waits[task] = Wait(until_ns=self._world.now_ns)

    def remove(self, task: Task) -> None:
        """Have a task go no further; no effect when it is done."""
        if self._waits.pop(task, None) is not None:
            task.close()

    def has(self, task: Task) -> bool:
        """Whether a task is not done yet."""
        return task in self._waits

    @property
    def finished(self) -> bool:
        """Whether every task is done."""
        return not self._waits

    def run(self, *, until_ns: int | None = None, beside: Task | None = None) -> None:
        """Let time pass and tasks go on until all are done or `until_ns` is reached.

        Tasks that are left then are closed, as generators are.

        Args:
            until_ns: lab time.
            beside: one more task, which nobody waits for.
        """
        if beside is not None:
            self.add(beside)
        self.advance(lambda: self._waits.keys() <= {beside}, until_ns=until_ns)
        for task in self._waits:
            task.close()

    def advance(self, condition: Condition, *, until_ns: int | None = None) -> None:
        """Let time pass and tasks go on until `condition` holds or `until_ns` is reached.

        Tasks that are left then go on with the next call.
        """
        while True:
            if self._go_on():
                continue
            if condition() or (until_ns is not None and self._world.now_ns >= until_ns):
                return
            self._pass_time(until_ns, condition)

    def _ready(self, wait: Wait) -> bool:
        if wait.condition is not None and wait.condition():
            return True
        return wait.until_ns is not None and self._world.now_ns >= wait.until_ns

    def _go_on(self) -> bool:
        """Let every task that can go on do so; whether there was one."""
        ready = [task for task, wait in self._waits.items() if self._ready(wait)]
        self.busy = True
        try:
            for task in ready:
                self._go_on_with(task)
        finally:
            self.busy = False
        return bool(ready)

    def _go_on_with(self, task: Task) -> None:
        try:
            self._waits[task] = next(task)
        except BaseException as end:
            del self._waits[task]
            if not isinstance(end, StopIteration):
                raise

    def _pass_time(self, until_ns: int | None, condition: Condition) -> None:
        conditions = [w.condition for w in self._waits.values() if w.condition is not None]
        conditions.append(condition)
        times = [w.until_ns for w in self._waits.values() if w.until_ns is not None]
        if until_ns is not None:
            times.append(until_ns)

        def any_holds() -> bool:
            return any(holds() for holds in conditions)

        if times:
            limit_ns = max(min(times) - self._world.now_ns, 0)
            self._world.wait_at_most(any_holds, limit_ns, "the next step")
        else:
            self._world.wait(any_holds, "the processes of the lab")
