# SPDX-License-Identifier: Apache-2.0
"""A node with a kernel of its own, as a whole; see `windtunnel.engine.machine.Machine`.

A power cut kills the guest, and with it all that was in its memory, which its
files are, too. Its clock can be set and drift, since nobody else has the same
one. The rest is as in a shared kernel: a pause freezes its processes and cuts off
its network, since a kernel's virtual clock cannot be moved past its timers.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

from windtunnel.engine.fabric import Fabric
from windtunnel.engine.guest import Guest
from windtunnel.engine.loop import Calendar
from windtunnel.engine.machine import (
    MachineWorld,
    MemoryLimits,
    OwnKernelAction,
    Pauses,
    ask,
    is_off,
)
from windtunnel.engine.volumes import NodeVolumes
from windtunnel.errors import GuestError
from windtunnel.machines.agent import Reply
from windtunnel.model.fault import ClockDrift, ClockStep, VolumeFault

BOOT_NS = 1_000_000_000
"""How long a boot takes, in virtual time: a kernel computes in none, and a program that
meets a monotonic clock in its first second may take that for "not set", as `ping` does."""


class OwnMachine:
    """A node that is a guest by itself."""

    def __init__(
        self,
        world: MachineWorld,
        calendar: Calendar,
        fabric: Fabric,
        guest: Guest,
        *,
        number: int,
        make: Callable[[], None],
        volumes: NodeVolumes,
    ) -> None:
        """Take over a running node.

        Args:
            world: that it is in.
            calendar: of the world.
            fabric: has its cables.
            guest: that it is; has the node's name.
            number: of the node for the agent.
            make: makes the node in the guest when that has booted again.
            volumes: of the node.
        """
        self._world = world
        self._calendar = calendar
        self._fabric = fabric
        self._guest = guest
        self._number = number
        self._make = make
        self._pauses = Pauses(world, guest.agent, fabric, guest.name, number)
        self._volumes = volumes
        self._off_by: set[Hashable] = set()
        self._limits = MemoryLimits()
        self._stepped: dict[Hashable, tuple[int, int]] = {}  # boot, step in ns
        self._drifts: dict[Hashable, int] = {}
        self._booted_ns = 0

    @property
    def is_on(self) -> bool:
        """Whether it has power."""
        return not self._off_by

    def pause(self, key: Hashable) -> None:
        """Freeze its processes, and cut off its network from all others.

        Raises:
            GuestError: it is off, or a process of it cannot be frozen.
        """
        if not self.is_on:
            raise is_off(self._world, self._guest.name)
        self._pauses.add(key)

    def resume(self, key: Hashable) -> None:
        """Let it go on, unless another key pauses it; one that was off meanwhile has done so."""
        self._pauses.remove(key)

    def kill_processes(self) -> None:
        """Kill all that was started in it, and what that has started; its kernel goes on.

        Raises:
            GuestError: it is off.
        """
        self._ask(self._guest.agent.kill_all(self._number), "the end of its processes")

    def limit_memory(self, key: Hashable, limit_bytes: int | None) -> None:
        """Limit the memory of its processes; the kernel's own is not counted."""
        limits = self._limits.with_limit(key, limit_bytes)
        if limits.least_bytes != self._limits.least_bytes and self.is_on:
            self._limit_memory(limits)
        self._limits = limits

    def power_off(self, key: Hashable, *, wipe: bool) -> None:
        """Kill its guest; its peers' cables lose their carrier at once.

        Its files are in its memory, and so are gone whether it is wiped or not, but for
        those on its volumes.
        """
        if self.is_on:
            self._guest.cut_power()
            self._volumes.power_cut()
            self._fabric.power(self._guest.name, on=False)
            self._pauses.forget()
        if wipe:
            self._volumes.wipe()
        self._off_by.add(key)

    def power_on(self, key: Hashable) -> int:
        """Let a new guest begin at this instant, unless another key keeps it off."""
        if key not in self._off_by:
            return 0
        self._off_by.discard(key)
        if self._off_by:
            return 0
        self._guest.boot_again()
        self._booted_ns = self._calendar.now_ns + BOOT_NS
        # Who waits for the boot looks when something happens.
        self._calendar.at(self._booted_ns, lambda: None)
        return self._guest.boots

    def is_booting(self, boot: int) -> bool:
        """Whether its kernel and agent are not there yet, and will be."""
        return self._is_of(boot) and (
            not self._guest.ready or self._calendar.now_ns < self._booted_ns
        )

    def finish_boot(self, boot: int) -> bool:
        """Make the node, then plug in its cables: its peers see a carrier when it is there."""
        if not self._is_of(boot):
            return False
        self._guest.serves = True
        self._make()
        self._fabric.power(self._guest.name, on=True)
        if self._limits.least_bytes is not None:
            self._limit_memory(self._limits)
        if self._drifts:
            self._drift()
        return True

    def begin(self, key: Hashable, action: OwnKernelAction) -> None:
        """Set its clock, or let it drift, or have a volume fail; steps and drifts add up.

        Raises:
            GuestError: it is off, or the kernel refuses it.
        """
        match action:
            case ClockStep(step_ns=step_ns):
                self._step(step_ns)
                self._stepped[key] = (self._guest.boots, step_ns)
            case ClockDrift(drift_ppm=drift_ppm):
                self._drifts[key] = drift_ppm
                try:
                    self._drift()
                except GuestError:
                    del self._drifts[key]
                    raise
            case VolumeFault():
                self._volumes.begin(key, action)

    def end(self, key: Hashable, action: OwnKernelAction) -> None:
        """Undo `begin`; a clock that has booted since is right."""
        match action:
            case ClockStep():
                boot, step_ns = self._stepped.pop(key, (0, 0))
                if self._is_of(boot):
                    self._step(-step_ns)
            case ClockDrift():
                if self._drifts.pop(key, None) is not None and self.is_on:
                    self._drift()
            case VolumeFault():
                self._volumes.end(key, action)

    def _is_of(self, boot: int) -> bool:
        """Whether it is on since that boot."""
        return self.is_on and boot == self._guest.boots

    def _limit_memory(self, limits: MemoryLimits) -> None:
        reply = self._guest.agent.memory(self._number, limits.least_bytes)
        self._ask(reply, "its memory limit")

    def _step(self, step_ns: int) -> None:
        self._ask(self._guest.agent.step_clock(self._number, step_ns), "its clock to be set")

    def _drift(self) -> None:
        drift_ppm = sum(self._drifts.values())
        self._ask(self._guest.agent.drift_clock(self._number, drift_ppm), "its clock's drift")

    def _ask(self, reply: Reply, what: str) -> None:
        ask(self._world, self._guest.name, reply, what)
