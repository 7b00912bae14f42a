# SPDX-License-Identifier: Apache-2.0
"""What can be done to a node as a whole, whichever way it is run.

`Machine` is all that nodes and faults know of it. `SharedMachine` is a node that
shares its kernel: a cgroup and namespaces. Whoever pauses, starves or switches
off a machine does so under a key; it goes on when the last key is released.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from windtunnel.engine.fabric import Fabric
from windtunnel.errors import GuestError, ImpossibleFaultError
from windtunnel.machines.agent import AgentChannel, Reply
from windtunnel.model.fault import ClockDrift, ClockStep, VolumeFault
from windtunnel.model.lab import NodeSpec

OwnKernelAction = VolumeFault | ClockStep | ClockDrift
"""What can be done only to a node with a kernel of its own."""


class Machine(Protocol):
    """A node's kernel and power."""

    @property
    def is_on(self) -> bool:
        """Whether it has power."""

    def pause(self, key: Hashable) -> None:
        """Let nothing in it go on; to others it is silent."""

    def resume(self, key: Hashable) -> None:
        """Let it go on, unless another key pauses it."""

    def kill_processes(self) -> None:
        """Kill all that runs in it."""

    def limit_memory(self, key: Hashable, limit_bytes: int | None) -> None:
        """Limit the memory of all that runs in it; of several limits the least counts.

        Args:
            key: whose limit; an older one of the same key is replaced.
            limit_bytes: None takes the key's limit away.
        """

    def power_off(self, key: Hashable, *, wipe: bool) -> None:
        """Cut its power; it keeps its files unless one who cuts it wipes them."""

    def power_on(self, key: Hashable) -> int:
        """Give it power, unless another key keeps it off; lets no time pass.

        Returns:
            The number of the boot that begins; 0 when none does.
        """

    def is_booting(self, boot: int) -> bool:
        """Whether that boot goes on by itself, and `finish_boot` has to wait for it."""

    def finish_boot(self, boot: int) -> bool:
        """Make the node in its booted kernel; False when its power was cut again meanwhile."""

    def begin(self, key: Hashable, action: OwnKernelAction) -> None:
        """Have its volume or clock fail, as only a kernel of its own can.

        Raises:
            ImpossibleFaultError: it shares its kernel.
        """

    def end(self, key: Hashable, action: OwnKernelAction) -> None:
        """Undo `begin`."""


class MachineWorld(Protocol):
    """What a machine needs of its world."""

    @property
    def now_ns(self) -> int:
        """Lab time."""

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        """Let time pass until `condition` holds."""


class SharedMachine:
    """A node in a kernel that it shares with others."""

    def __init__(
        self,
        world: MachineWorld,
        agent: AgentChannel,
        fabric: Fabric,
        *,
        spec: NodeSpec,
        number: int,
        boot: Callable[[bool], None],
    ) -> None:
        """Take over a running node.

        Args:
            world: that it is in.
            agent: of its kernel.
            fabric: has its cables.
            spec: as the lab has it.
            number: for the agent.
            boot: makes it anew after it was off; told whether its files are wiped.
        """
        self._world = world
        self._agent = agent
        self._fabric = fabric
        self._spec = spec
        self._number = number
        self._boot = boot
        self._off_by: set[Hashable] = set()
        self._wiped = False
        self._pauses = Pauses(world, agent, fabric, spec.name, number)
        self._limits = MemoryLimits()
        self._boots = 1

    @property
    def is_on(self) -> bool:
        """Whether it has power."""
        return not self._off_by

    def pause(self, key: Hashable) -> None:
        """Freeze its processes, and cut off its network from all others; see `Pauses`.

        Raises:
            GuestError: it is off, or a process of it cannot be frozen.
        """
        if not self.is_on:
            raise is_off(self._world, self._spec.name)
        self._pauses.add(key)

    def resume(self, key: Hashable) -> None:
        """Let it go on, unless another key pauses it; one that was off meanwhile has done so."""
        self._pauses.remove(key)

    def kill_processes(self) -> None:
        """Kill all of its processes but the first, which is its namespaces' own.

        Raises:
            GuestError: it is off.
        """
        self._ask(self._agent.kill_all(self._number), "the end of its processes")

    def limit_memory(self, key: Hashable, limit_bytes: int | None) -> None:
        """Limit its memory, page cache and files in /tmp included."""
        limits = self._limits.with_limit(key, limit_bytes)
        if limits.least_bytes != self._limits.least_bytes:
            reply = self._agent.memory(self._number, limits.least_bytes)
            self._ask(reply, "its memory limit")
        self._limits = limits

    def power_off(self, key: Hashable, *, wipe: bool) -> None:
        """Cut its power: processes, mounts and sockets are gone, and say goodbye to nobody.

        Its interfaces wait without a carrier; for its peers they never vanish.
        """
        if self.is_on:
            self._wiped = False
        if self.is_on or wipe:
            self._ask(self._agent.node_off(self._number, wipe=wipe), "its power cut")
            self._wiped = self._wiped or wipe
        self._off_by.add(key)
        self._fabric.power(self._spec.name, on=False)
        self._pauses.forget()

    def power_on(self, key: Hashable) -> int:
        """Give it power, unless another key keeps it off."""
        if key not in self._off_by:
            return 0
        self._off_by.discard(key)
        if self._off_by:
            return 0
        self._boots += 1
        return self._boots

    def is_booting(self, boot: int) -> bool:  # noqa: ARG002 - the protocol's
        """Never: its kernel has gone on all the time."""
        return False

    def finish_boot(self, boot: int) -> bool:
        """Make it anew with the cables that it had."""
        if boot != self._boots or not self.is_on:
            return False
        self._fabric.power(self._spec.name, on=True)
        self._boot(self._wiped)
        return True

    def begin(self, key: Hashable, action: OwnKernelAction) -> None:  # noqa: ARG002 - the protocol's
        """Refuse: there are no volumes, and the clock is everybody's."""
        what = "a volume" if isinstance(action, VolumeFault) else "a clock of its own"
        raise ImpossibleFaultError(
            f"it shares its kernel, and so has not {what} that could fail",
            node=self._spec.name,
            time_ns=self._world.now_ns,
            hint="give the node `kernel: own`",
        )

    def end(self, key: Hashable, action: OwnKernelAction) -> None:
        """Refuse: it has never begun."""
        self.begin(key, action)

    def _ask(self, reply: Reply, what: str) -> None:
        ask(self._world, self._spec.name, reply, what)


class Pauses:
    """Who has a node stand still: its processes are frozen, its network is cut off.

    Its kernel goes on: without the loss it would answer pings and acknowledge what
    a machine that stands still cannot.
    """

    def __init__(
        self, world: MachineWorld, agent: AgentChannel, fabric: Fabric, node: str, number: int
    ) -> None:
        """Create for a node that nobody pauses.

        Args:
            world: that it is in.
            agent: of its kernel.
            fabric: has its cables.
            node: its name.
            number: for the agent.
        """
        self._world = world
        self._agent = agent
        self._fabric = fabric
        self._node = node
        self._number = number
        self._keys: set[Hashable] = set()

    def add(self, key: Hashable) -> None:
        """Let it stand still until the key is removed.

        Raises:
            GuestError: a process of it cannot be frozen.
        """
        if not self._keys:
            self._fabric.silence(self._silence_key, self._node)
            try:
                self._freeze(on=True)
            except GuestError:
                self._fabric.release(self._silence_key)
                raise
        self._keys.add(key)

    def remove(self, key: Hashable) -> None:
        """Let it go on, unless another key pauses it."""
        if key in self._keys:
            self._keys.discard(key)
            if not self._keys:
                self._freeze(on=False)
                self._fabric.release(self._silence_key)

    def forget(self) -> None:
        """What has no power is not paused, and does not boot into a pause."""
        if self._keys:
            self._keys.clear()
            self._fabric.release(self._silence_key)

    @property
    def _silence_key(self) -> Hashable:
        return ("paused", self._node)

    def _freeze(self, *, on: bool) -> None:
        what = "its pause" if on else "its going on"
        ask(self._world, self._node, self._agent.freeze(self._number, on=on), what)


@dataclass(frozen=True, slots=True)
class MemoryLimits:
    """Limits of a node's memory, of which the least counts.

    Attributes:
        by_key: in bytes, by whose they are.
    """

    by_key: Mapping[Hashable, int] = field(default_factory=dict)

    @property
    def least_bytes(self) -> int | None:
        """What counts; None when there is no limit."""
        return min(self.by_key.values(), default=None)

    def with_limit(self, key: Hashable, limit_bytes: int | None) -> MemoryLimits:
        """The limits with another one of a key, or without."""
        others = {other: limit for other, limit in self.by_key.items() if other != key}
        return MemoryLimits(others if limit_bytes is None else {**others, key: limit_bytes})


def is_off(world: MachineWorld, node: str) -> GuestError:
    """What is wrong with pausing a node without power."""
    return GuestError("it is off, and cannot be paused", node=node, time_ns=world.now_ns)


def ask(world: MachineWorld, node: str, reply: Reply, what: str) -> None:
    """Wait for an agent's answer.

    Args:
        world: where time passes.
        node: for messages.
        reply: the answer.
        what: completes "nothing is left to happen while waiting for …".

    Raises:
        GuestError: the agent refused it.
    """
    world.wait(lambda: reply.done, f"{what}, node {node}")
    failure = reply.failure
    if failure is None:
        return
    hint = ""
    if failure.errno in (errno.ENOENT, errno.ENOSYS):
        hint = (
            "this kernel lacks CONFIG_CGROUPS or CONFIG_MEMCG: "
            "windtunnel kernel build --with CGROUPS=y --with MEMCG=y"
        )
    message = f"{failure.text}: {os.strerror(failure.errno)}"
    raise GuestError(message, node=node, time_ns=world.now_ns, hint=hint)
