# SPDX-License-Identifier: Apache-2.0
"""Faults in the words of the lab file: for names, tables and messages."""

from __future__ import annotations

from windtunnel.model.fault import (
    ClockDrift,
    ClockStep,
    Fault,
    FaultAction,
    LinkCut,
    LinkDegrade,
    LinkFlap,
    MemoryLimit,
    NodeOff,
    NodePause,
    OneWayLoss,
    Partition,
    ProcessFault,
    VolumeFault,
)
from windtunnel.model.shorten import shortened
from windtunnel.model.units import DURATION_NS, duration_text, shift_text, size_text

# So many characters of what a fault does go into its name.
NAME_CHARACTERS_MAX = 50


def fault_words(action: FaultAction) -> tuple[str, str]:
    """What is hit, and what is done to it: ("r2", "kill ospfd")."""
    match action:
        case LinkCut(link=link):
            return link, "down"
        case LinkFlap(link=link):
            return link, "flap"
        case LinkDegrade(link=link):
            return link, "degrade"
        case OneWayLoss(link=link, sender=sender):
            return link, f"one_way {sender}"
        case Partition(groups=groups):
            return " | ".join(" ".join(group) for group in groups), "partition"
        case _:
            return action.node, _node_words(action)


def _node_words(
    action: NodePause | NodeOff | ProcessFault | MemoryLimit | VolumeFault | ClockStep | ClockDrift,
) -> str:
    match action:
        case NodePause():
            return "pause"
        case NodeOff(wipe=wipe):
            return "off and wipe" if wipe else "off"
        case ProcessFault(process=process, action=what):
            return f"{what.value} {process}"
        case MemoryLimit(limit_bytes=limit):
            return f"memory {size_text(limit)}"
        case VolumeFault(volume=volume, mode=mode):
            return f"{mode.value} {volume}"
        case ClockStep(step_ns=step):
            return f"clock {shift_text(step)}"
        case ClockDrift(drift_ppm=drift):
            return f"drift {drift} ppm"


def fault_name(fault: Fault) -> str:
    """Name a fault by what it does and when: "r1-r2 down at 30 s"."""
    target, what = fault_words(fault.action)
    text = f"{what} {target}" if isinstance(fault.action, Partition) else f"{target} {what}"
    return f"{shortened(text, NAME_CHARACTERS_MAX)} at {_time(fault.at_ns)}"


# Seconds with as many digits as there are, when no larger unit is whole.
def _time(at_ns: int) -> str:
    whole, rest = divmod(at_ns, DURATION_NS["s"])
    if rest == 0:
        return duration_text(at_ns)
    return f"{whole}.{rest:09d}".rstrip("0") + " s"
