# SPDX-License-Identifier: Apache-2.0
"""What a node's processor needs for its work: a model, counted in virtual time.

Without it computing takes no time at all. The kernel can count deterministically
what enters it (syscalls, page faults, switches of the processor, packets), and
nothing of what a program computes in between; so that is what can have a cost.

Source: our patches 0002 and 0005 (kernel/README.md), which charge it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

from windtunnel.model.units import duration_text

COST_NS_MAX = 1_000_000
"""The kernel takes no more for one syscall, fault, switch or packet: a millisecond."""

SPEED_MIN = 0.01
SPEED_MAX = 100.0


@dataclass(frozen=True, slots=True)
class CpuCosts:
    """What each entry into the kernel takes, in nanoseconds of virtual time.

    Attributes:
        syscall_ns: a syscall.
        fault_ns: a page fault of a program, or of the kernel on its behalf.
        switch_ns: giving the processor to a program.
        packet_ns: a packet that a network device of the node hands to the kernel.
    """

    syscall_ns: int = 0
    fault_ns: int = 0
    switch_ns: int = 0
    packet_ns: int = 0


REFERENCE = CpuCosts(syscall_ns=200, fault_ns=1_000, switch_ns=2_000, packet_ns=1_000)
"""A processor of speed 1: round numbers of the order of a server's core of the 2020s."""

DEFAULT = CpuCosts(syscall_ns=100)
"""Of a node that says nothing: enough for a loop of syscalls to see time pass."""


@dataclass(frozen=True, slots=True)
class CpuSpec:
    """What a lab says about a node's processor.

    Attributes:
        syscall_cost_ns: 0 to `COST_NS_MAX`; None is what `speed` gives, or the default.
        packet_cost_ns: the same for each received packet.
        speed: `SPEED_MIN` to `SPEED_MAX`; 2.0 needs half the time of `REFERENCE`.
            None: only syscalls and packets cost anything.
    """

    syscall_cost_ns: int | None = None
    packet_cost_ns: int | None = None
    speed: float | None = None

    def costs(self) -> CpuCosts:
        """The cost of everything; what is given for itself wins over the speed."""
        base = DEFAULT if self.speed is None else _at_speed(self.speed)
        syscall_ns, packet_ns = self.syscall_cost_ns, self.packet_cost_ns
        return CpuCosts(
            syscall_ns=base.syscall_ns if syscall_ns is None else syscall_ns,
            fault_ns=base.fault_ns,
            switch_ns=base.switch_ns,
            packet_ns=base.packet_ns if packet_ns is None else packet_ns,
        )

    def problems(self) -> Iterator[tuple[str, str, str]]:
        """What the kernel would not take: the field, what is wrong, how to mend it."""
        for name, what in (("syscall_cost_ns", "syscall"), ("packet_cost_ns", "packet")):
            cost_ns = getattr(self, name)
            if cost_ns is not None and not 0 <= cost_ns <= COST_NS_MAX:
                cost = f"{cost_ns} ns" if cost_ns < 0 else duration_text(cost_ns)
                yield name, f"{cost} for each {what}", "give 0 ns to 1 ms"
        if self.speed is not None and not SPEED_MIN <= self.speed <= SPEED_MAX:
            yield (
                "speed",
                f"the speed is {self.speed:g}",
                f"give {SPEED_MIN:g} to {SPEED_MAX:g}; 1 is a server's core, 0.1 a small router's",
            )


NOTHING_SAID = CpuSpec()


def _at_speed(speed: float) -> CpuCosts:
    return CpuCosts(
        **{field.name: round(getattr(REFERENCE, field.name) / speed) for field in fields(CpuCosts)}
    )
