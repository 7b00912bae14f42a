# SPDX-License-Identifier: Apache-2.0
"""What can be done to a running lab to see whether it survives: plain data.

A `Fault` begins at a lab time and, if it has a duration, is undone when that is
over. `every`, `until` and `random` of a lab file are expanded to these before
anything runs: a schedule is a list, and a shorter list is a smaller schedule.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from windtunnel.model.impairment import Impairment


@dataclass(frozen=True, slots=True)
class LinkCut:
    """Pull out a link's cable; undone by plugging it in again."""

    link: str


@dataclass(frozen=True, slots=True)
class LinkFlap:
    """Pull out a link's cable and plug it in again, over and over.

    Attributes:
        link: the link's name.
        down_ns, up_ns: how long it is out and in, each more than 0.
    """

    link: str
    down_ns: int
    up_ns: int


@dataclass(frozen=True, slots=True)
class LinkDegrade:
    """Give a link worse impairments; undone by those that it had before.

    Attributes:
        link: the link's name.
        impairment: for what the first end sends, and the second end too unless
            `backward` is given.
        backward: for what the second end sends, where that differs.
    """

    link: str
    impairment: Impairment
    backward: Impairment | None = None


@dataclass(frozen=True, slots=True)
class OneWayLoss:
    """Lose all that one end of a link sends; its cable stays in.

    Attributes:
        link: the link's name.
        sender: the node whose packets are lost.
    """

    link: str
    sender: str


@dataclass(frozen=True, slots=True)
class Partition:
    """Keep groups of nodes from reaching each other, over links and networks.

    Attributes:
        groups: names of nodes, each in one group; nodes that are in none form
            one more group.
    """

    groups: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class NodePause:
    """Freeze all that runs in a node; undone by letting it go on."""

    node: str


@dataclass(frozen=True, slots=True)
class NodeOff:
    """Cut a node's power; undone by booting it.

    Attributes:
        node: its name.
        wipe: whether it comes back with the files that it first had (True) or
            with those that it last had.
    """

    node: str
    wipe: bool = False


class ProcessAction(Enum):
    """What is done to a process."""

    KILL = "kill"
    """SIGKILL; undone by starting it anew."""
    STOP = "stop"
    """SIGSTOP; undone by SIGCONT."""
    RESTART = "restart"
    """SIGKILL, and started anew at once."""


@dataclass(frozen=True, slots=True)
class ProcessFault:
    """Do something to a process of the lab's `run`, with all of its group.

    Attributes:
        node: where.
        process: its name in that node.
        action: what.
    """

    node: str
    process: str
    action: ProcessAction


@dataclass(frozen=True, slots=True)
class MemoryLimit:
    """Limit the memory of a node's processes; undone by taking the limit away.

    Attributes:
        node: its name.
        limit_bytes: of all its processes together, page cache counted.
    """

    node: str
    limit_bytes: int


class VolumeMode(Enum):
    """How a volume fails."""

    FULL = "full"
    """Nothing more can be written to its file system (ENOSPC)."""
    ERRORS = "errors"
    """Every read and write of the device fails (EIO)."""


@dataclass(frozen=True, slots=True)
class VolumeFault:
    """Make a node's volume fail; undone by a healthy one with what it had.

    Attributes:
        node: its name.
        volume: the volume's name in that node.
        mode: how.
    """

    node: str
    volume: str
    mode: VolumeMode


@dataclass(frozen=True, slots=True)
class ClockStep:
    """Set a node's wall clock forward or back; needs a kernel of its own.

    The monotonic clock goes on as it was, and so do timers that follow it.

    Attributes:
        node: its name.
        step_ns: negative for back; undone by the opposite step. The clock may not
            be set before 1970 (and 10 s) or behind 2232.
    """

    node: str
    step_ns: int


@dataclass(frozen=True, slots=True)
class ClockDrift:
    """Let a node's clocks go too fast or too slowly; needs a kernel of its own.

    Both the wall clock and the monotonic one, as by adjtimex(2).

    Attributes:
        node: its name.
        drift_ppm: parts in a million, negative for too slow; -100,000 to 100,000.
    """

    node: str
    drift_ppm: int


FaultAction = (
    LinkCut
    | LinkFlap
    | LinkDegrade
    | OneWayLoss
    | Partition
    | NodePause
    | NodeOff
    | ProcessFault
    | MemoryLimit
    | VolumeFault
    | ClockStep
    | ClockDrift
)


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong.

    Attributes:
        at_ns: lab time when it begins.
        name: for people; unique in the lab.
        action: what.
        for_ns: it is undone after so long; None leaves it.
    """

    at_ns: int
    name: str
    action: FaultAction
    for_ns: int | None = None
