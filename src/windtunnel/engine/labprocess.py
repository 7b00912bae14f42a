# SPDX-License-Identifier: Apache-2.0
"""A process of a lab's `run`, through all of its lives.

Faults keep it down under their keys; it lives again when the last of them is
undone. So a process that is killed while its node is off comes back once.
"""

from __future__ import annotations

from collections.abc import Hashable

from windtunnel.engine.node import Node
from windtunnel.engine.process import Process, Result
from windtunnel.errors import GuestError
from windtunnel.model.lab import ProcessSpec


class LabProcess:
    """What the lab means by one process; each `Process` is one life of it."""

    def __init__(self, spec: ProcessSpec, node: Node) -> None:
        self.spec = spec
        self._node = node
        self._lives: list[Process] = []
        self._due = False
        self._down_by: dict[Hashable, tuple[str, bool]] = {}  # name of the fault, comes back
        self._stopped_by: set[Hashable] = set()

    @property
    def running(self) -> bool:
        """Whether it lives."""
        return bool(self._lives) and self._lives[-1].running

    @property
    def settled(self) -> bool:
        """Whether it has ended, and no fault that is going to be undone will bring it back."""
        coming = bool(self._down_by) and all(back for _, back in self._down_by.values())
        return self._due and not self.running and not coming

    @property
    def down_by(self) -> str:
        """The fault that keeps it down; empty if none does."""
        return next((name for name, _ in self._down_by.values()), "")

    @property
    def can_be_kept_down(self) -> bool:
        """Whether it lives, or will: one that has ended by itself has ended."""
        return self.running or bool(self._down_by) or not self._due

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
        if not self._down_by:
            spec = self.spec
            self._lives.append(self._node.begin(spec.command, env=dict(spec.env), name=spec.name))

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

    def _running_life(self) -> Process:
        if not self.running:
            raise GuestError(f"the process {self.spec.name} does not run", node=self.spec.node)
        return self._lives[-1]
