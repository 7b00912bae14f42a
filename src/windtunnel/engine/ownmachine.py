# SPDX-License-Identifier: Apache-2.0
"""A node with a kernel of its own, as a whole; see `windtunnel.engine.machine.Machine`."""

from __future__ import annotations

from collections.abc import Hashable

from windtunnel.engine.loop import Calendar
from windtunnel.engine.machine import MachineWorld, OwnKernelAction
from windtunnel.engine.seat import Seat
from windtunnel.errors import ImpossibleFaultError


class OwnMachine:
    """A node that is a guest by itself.

    A pause is the pause of a machine: its kernel stands still, what it is sent
    waits in its buffers, and its timers are late afterwards. The other faults of
    such nodes are not there yet, and say so.
    """

    def __init__(self, world: MachineWorld, calendar: Calendar, seat: Seat, node: str) -> None:
        self._world = world
        self._calendar = calendar
        self._seat = seat
        self._node = node
        self._paused_by: set[Hashable] = set()

    @property
    def is_on(self) -> bool:
        """Whether it has power: always."""
        return True

    def pause(self, key: Hashable) -> None:
        """Let its kernel stand still."""
        self._paused_by.add(key)
        self._calendar.pause(self._seat)

    def resume(self, key: Hashable) -> None:
        """Let it go on, unless another key pauses it."""
        if key in self._paused_by:
            self._paused_by.discard(key)
            if not self._paused_by:
                self._calendar.resume(self._seat)

    def kill_processes(self) -> None:
        """Refuse."""
        raise self._impossible("all of its processes killed at once")

    def limit_memory(self, key: Hashable, limit_bytes: int | None) -> None:  # noqa: ARG002 - the protocol's
        """Refuse."""
        raise self._impossible("a memory limit", "give its kernel less by `memory`")

    def power_off(self, key: Hashable, *, wipe: bool) -> None:  # noqa: ARG002 - the protocol's
        """Refuse."""
        raise self._impossible("its power cut")

    def power_on(self, key: Hashable) -> bool:  # noqa: ARG002 - the protocol's
        """Refuse."""
        raise self._impossible("its power cut")

    def begin(self, key: Hashable, action: OwnKernelAction) -> None:  # noqa: ARG002 - the protocol's
        """Refuse."""
        raise self._impossible(f"the fault {type(action).__name__}")

    def end(self, key: Hashable, action: OwnKernelAction) -> None:
        """Refuse: it has never begun."""
        self.begin(key, action)

    def _impossible(self, what: str, hint: str = "") -> ImpossibleFaultError:
        return ImpossibleFaultError(
            f"a node with a kernel of its own cannot have {what} yet",
            node=self._node,
            time_ns=self._world.now_ns,
            hint=hint or "leave out `kernel: own`, and the node shares the lab's kernel",
        )
