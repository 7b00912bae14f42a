# SPDX-License-Identifier: Apache-2.0
"""Faults of a world that a program drives: now, or at a time, and undone by hand.

They are the faults of a lab file (`windtunnel.engine.faults`), carried out while
the program lets time pass. The processes that they can hit are those that the
program has started, by their names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Protocol, Self

from windtunnel.engine.faults import Faults, FaultWorld
from windtunnel.engine.labprocess import LabProcess
from windtunnel.engine.node import Node
from windtunnel.engine.recorder import Recorder
from windtunnel.engine.timeline import Task, Timeline
from windtunnel.errors import UsageError
from windtunnel.model.fault import Fault, FaultAction
from windtunnel.model.faultwords import fault_name


class HandWorld(FaultWorld, Protocol):
    """What faults by hand need of a world."""

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All nodes."""


class FaultInHand:
    """A fault that a program has asked for. A context manager: leaving it undoes it.

    Attributes:
        fault: what it is, and when.
    """

    def __init__(self, owner: FaultsByHand, fault: Fault, task: Task) -> None:
        self.fault = fault
        self._owner = owner
        self._task = task

    @property
    def name(self) -> str:
        """What events call it."""
        return self.fault.name

    def undo(self) -> None:
        """Undo it now, or never begin it; no effect if it is over. Time may pass.

        Raises:
            GuestError, StateError: it cannot be undone as things are.
        """
        self._owner.undo(self.fault, self._task)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:  # else the world may have ended
            self.undo()


class FaultsByHand:
    """All faults that a program has asked for in one world."""

    def __init__(self, world: HandWorld, recorder: Recorder, plan: Timeline) -> None:
        """Create.

        Args:
            world: to break.
            recorder: is told of each fault.
            plan: of the world, which goes on whoever lets time pass.
        """
        self._world = world
        self._plan = plan
        self._faults = Faults(world, recorder, _Started(world))
        self._names: set[str] = set()

    def begin(
        self, action: FaultAction, *, at_ns: int | None, for_ns: int | None, name: str | None
    ) -> FaultInHand:
        """Have a fault begin; see `World.fault`."""
        now_ns = self._world.now_ns
        fault = Fault(now_ns if at_ns is None else at_ns, "", action, for_ns)
        fault = Fault(fault.at_ns, self._new_name(name or fault_name(fault)), action, for_ns)
        if fault.at_ns < now_ns:
            raise UsageError(f"the fault {fault.name!r} would begin in the past")
        task = self.add(fault)
        if at_ns is None:
            self._plan.advance(lambda: True)
            self._raise_failure(fault)
        return FaultInHand(self, fault, task)

    def add(self, fault: Fault) -> Task:
        """Have a fault of the lab's schedule happen at its time."""
        self._names.add(fault.name)
        (task,) = self._faults.tasks([fault])
        self._plan.add(task)
        return task

    def undo(self, fault: Fault, task: Task) -> None:
        """Undo a fault before its time."""
        self._plan.remove(task)
        if fault.name in self._faults.begun:
            ending = self._faults.undo(fault)
            self._plan.add(ending)
            self._plan.advance(lambda: not self._plan.has(ending))
            self._raise_failure(fault)

    def _raise_failure(self, fault: Fault) -> None:
        failure = self._faults.failures.pop(fault.name, None)
        if failure is not None:
            raise failure

    def _new_name(self, name: str) -> str:
        count, found = 1, name
        while found in self._names:
            count += 1
            found = f"{name}, {count}"
        return found


class _Started(Mapping[tuple[str, str], LabProcess]):
    """The processes that a program has started and faults have hit, by node and name."""

    def __init__(self, world: HandWorld) -> None:
        self._world = world
        self._known: dict[tuple[str, str], LabProcess] = {}

    def __getitem__(self, key: tuple[str, str]) -> LabProcess:
        if key not in self._known:
            node = self._world.node(key[0])
            started = {process.name: process for process in node.processes}
            self._known[key] = LabProcess.of(started[key[1]], node)
        return self._known[key]

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)
