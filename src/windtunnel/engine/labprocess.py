# SPDX-License-Identifier: Apache-2.0
"""A process of a lab's `run`, through all of its lives.

Faults keep it down under their keys; it lives again when the last of them is
undone. So a process that is killed while its node is off comes back once. A life
that would begin while its node is paused begins when the node goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Self

from windtunnel.engine.node import Node
from windtunnel.engine.process import Process, Result
from windtunnel.errors import GuestError
from windtunnel.model.lab import ProcessSpec


class LabProcess:
    """What the lab means by one process; each `Process` is one life of it."""

    def __init__(
        self, spec: ProcessSpec, node: Node, *, again: Callable[[], Process] | None = None
    ) -> None:
        """Create; it has not begun.

        Args:
            spec: what it is.
            node: that it runs in.
            again: begins one more life of it, where the spec alone does not say how.
        """
        self.spec = spec
        self._again = again
        self._node = node
        self._lives: list[Process] = []
        self._due = False
        self._down_by: dict[Hashable, tuple[str, bool]] = {}  # name of the fault, comes back
        self._stopped_by: set[Hashable] = set()
        self._paused_by: dict[Hashable, tuple[str, bool]] = {}  # its node, by the same words
        self._waits = False  # its life is due, but its node is paused

    @classmethod
    def of(cls, process: Process, node: Node) -> Self:
        """Take over a process that a program has started."""
        spec = ProcessSpec(process.name, process.node, process.command)
        one = cls(spec, node, again=process.again)
        one._lives.append(process)
        one._due = True
        return one

    @property
    def running(self) -> bool:
        """Whether it lives."""
        return bool(self._lives) and self._lives[-1].running

    @property
    def settled(self) -> bool:
        """Whether it has ended, and no fault that is going to be undone will bring it back."""
        holds = self._holds
        coming = bool(holds) and all(back for _, back in holds)
        return self._due and not self.running and not coming

    @property
    def down_by(self) -> str:
        """The fault that keeps it down; empty if none does."""
        return next((name for name, _ in self._holds), "")

    @property
    def can_be_kept_down(self) -> bool:
        """Whether it lives, or will: one that has ended by itself has ended."""
        return self.running or bool(self._holds) or not self._due

    @property
    def _holds(self) -> list[tuple[str, bool]]:
        """The name of each fault that keeps it from living, and whether that will end."""
        paused = self._paused_by.values() if self._waits else ()
        return [*self._down_by.values(), *paused]

    @property
    def failure(self) -> GuestError | None:
        """Why its last life could not begin."""
        return self._lives[-1].failure if self._lives else None

    @property
    def stdout(self) -> str:
        """What it has printed in all of its lives."""
        return "".join(life.stdout for life in self._lives)

    def poll(self) -> Result | None:
        """How its last life ended; None if it lives, or has never begun."""
        return self._lives[-1].poll() if self._lives else None

    def start(self) -> None:
        """Let it begin now that its time has come, or when nothing keeps it down any more."""
        self._due = True
        if self._down_by:
            return
        self._waits = bool(self._paused_by)
        if not self._waits:
            self._lives.append(self._begin() if self._again is None else self._again())

    def _begin(self) -> Process:
        spec = self.spec
        return self._node.begin(spec.command, env=dict(spec.env), name=spec.name)

    def time_out(self) -> None:
        """Kill it because its time is up."""
        self._lives[-1].time_out()

    # ---- faults ----

    def kill(self) -> None:
        """Kill it, with its group.

        Raises:
            GuestError: it does not run.
        """
        self._running_life().kill()

    def keep_down(self, key: Hashable, fault: str, *, comes_back: bool) -> None:
        """Do not let it live until the key is released.

        Args:
            key: of the fault.
            fault: its name.
            comes_back: whether the fault will be undone.
        """
        self._down_by[key] = (fault, comes_back)
        self._stopped_by.clear()
        self._waits = False

    def release(self, key: Hashable) -> None:
        """Let it live again, unless another fault keeps it down."""
        if self._down_by.pop(key, None) is not None and not self._down_by and self._due:
            self.start()

    def stop(self, key: Hashable) -> None:
        """Stop it until the key goes on.

        Raises:
            GuestError: it does not run.
        """
        self._running_life().stop()
        self._stopped_by.add(key)

    def go_on(self, key: Hashable) -> None:
        """Let it go on, unless another fault has stopped it; a later life never stood still."""
        if key in self._stopped_by:
            self._stopped_by.discard(key)
            if not self._stopped_by and self.running:
                self._lives[-1].cont()

    def node_paused(self, key: Hashable, fault: str, *, goes_on: bool) -> None:
        """Begin no life until the node goes on; arguments as for `keep_down`."""
        self._paused_by[key] = (fault, goes_on)

    def node_goes_on(self, key: Hashable) -> None:
        """Begin the life that was due while the node was paused, unless another pause lasts."""
        if self._paused_by.pop(key, None) is not None and not self._paused_by and self._waits:
            self.start()

    def node_lost_power(self) -> None:
        """Forget pauses: what has no power is not paused."""
        self._paused_by.clear()

    def _running_life(self) -> Process:
        if not self.running:
            raise GuestError(f"the process {self.spec.name} does not run", node=self.spec.node)
        return self._lives[-1]
