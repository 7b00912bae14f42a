# SPDX-License-Identifier: Apache-2.0
"""The faults of a lab file, one by one, in the order of time.

What is repeated is written out, and what is random is drawn
(`windtunnel.model.chaos`): what runs is a list that can be read, kept and cut
down.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from windtunnel.errors import Where
from windtunnel.model.actions import free_name
from windtunnel.model.chaos import draw_faults
from windtunnel.model.fault import Fault
from windtunnel.model.faultactions import fault_action
from windtunnel.model.faultcheck import FAULTS_MAX
from windtunnel.model.faultwords import fault_name
from windtunnel.model.lab import LabSpec
from windtunnel.model.problem import Path, Problem
from windtunnel.model.schema import FaultPart, LabPart
from windtunnel.model.units import duration_text


@dataclass(frozen=True, slots=True)
class Planned:
    """A fault, and where in the file it comes from.

    Attributes:
        fault: it; its name is empty if the file gives none.
        path: where.
        is_named: whether the file gives exactly this name to exactly this fault.
    """

    fault: Fault
    path: Path
    is_named: bool = False


def make_faults(
    lab: LabPart, spec: LabSpec, where: Callable[[Path], Where], problems: list[Problem]
) -> tuple[tuple[Fault, ...], list[Path]]:
    """Make all faults of a lab.

    Args:
        lab: the lab file.
        spec: what else came of it.
        where: finds the place of a path of the file.
        problems: what is wrong with repeated and random faults is added here.

    Returns:
        The faults, and for each its path in the lab file.
    """
    found: list[Problem] = []
    planned = [
        Planned(fault, ("faults", index), part.name is not None and part.every is None)
        for index, part in enumerate(lab.faults)
        if part.random is None
        for fault in _written_out(part, spec, ("faults", index), found)
    ]
    streams: set[str] = set()
    for index, part in enumerate(lab.faults):
        if part.random is not None:
            stream = part.random.name
            if stream in streams:
                message = f"two random faults are drawn from the name {stream!r}"
                hint = "they would be at the same times: give one of them 'name: …' of its own"
                found.append(Problem(("faults", index, "random", "name"), message, hint))
            path: Path = ("faults", index, "random")
            before = [one.fault for one in planned]
            drawn = draw_faults(part.random, spec, before, path, found)
            planned += [Planned(fault, path) for fault in drawn]
            streams.add(stream)
    if len(planned) > FAULTS_MAX:
        message = f"the lab has {len(planned)} faults, more than {FAULTS_MAX}"
        found.append(Problem(("faults",), message, "repeat them less often"))
        planned = planned[:1]
    problems += [replace(one, where=one.where or where(one.path)) for one in found]
    planned.sort(key=lambda one: one.fault.at_ns)  # stable: else the order of the file
    return tuple(_named(planned)), [one.path for one in planned]


# A fault for each time at which it begins; its name is not unique yet.
def _written_out(
    part: FaultPart, spec: LabSpec, path: Path, problems: list[Problem]
) -> Iterator[Fault]:
    assert part.at is not None, "the schema demands it"
    value = getattr(part, part.word)
    for_ns = part.for_
    if part.word in {"down", "pause", "off"} and value is not True:
        for_ns = value
    for at_ns in _times(part, for_ns, spec, path, problems):
        action = fault_action(part, spec, at_ns)
        yield Fault(at_ns=at_ns, name=part.name or "", action=action, for_ns=for_ns)


def _times(
    part: FaultPart, for_ns: int | None, spec: LabSpec, path: Path, problems: list[Problem]
) -> range:
    assert part.at is not None, "the schema demands it"
    once = range(part.at, part.at + 1)
    if part.every is None:
        return once
    wrong = _wrong_repetition(part, for_ns, spec)
    if wrong is not None:
        key, message, hint = wrong
        problems.append(Problem((*path, key), message, hint))
        return once
    # Nothing begins at the very moment at which the lab stops, unless the file says so.
    end_ns = part.until + 1 if part.until is not None else spec.stop_ns
    assert end_ns is not None, "else the repetition is wrong"
    return range(part.at, end_ns, part.every)


# The key, the message and the hint of what is wrong with `every` and `until`.
def _wrong_repetition(
    part: FaultPart, for_ns: int | None, spec: LabSpec
) -> tuple[str, str, str] | None:
    every, at_ns, stop_ns = part.every, part.at, spec.stop_ns
    assert every is not None, "the caller looked"
    assert at_ns is not None, "the schema demands it"
    end_ns = part.until if part.until is not None else stop_ns
    shown = duration_text(every)
    if every == 0:
        return "every", "a fault is repeated without a pause", "give a longer one"
    if end_ns is None:
        return "every", "the fault is repeated without end", "give until, or the lab a stop"
    if part.until is not None and part.until < at_ns:
        until = duration_text(part.until)
        return "until", f"until {until} is before the first one", "give a later until"
    if stop_ns is not None and end_ns > stop_ns:
        message = f"until is {duration_text(end_ns)}, and the lab stops at {duration_text(stop_ns)}"
        return "until", message, "make it earlier, or stop the lab later"
    if for_ns is not None and for_ns > every:
        message = f"the fault comes again every {shown}, and lasts {duration_text(for_ns)}"
        return "every", message, "make it shorter, or repeat it less often"
    if (end_ns - at_ns) // every >= FAULTS_MAX:
        message = f"every {shown} makes more than {FAULTS_MAX} faults"
        return "every", message, "repeat it less often"
    return None


# A name that the file gives stays, right or wrong; the others become unique.
def _named(planned: Sequence[Planned]) -> Iterator[Fault]:
    taken = {one.fault.name for one in planned if one.is_named}
    for one in planned:
        if one.is_named:
            yield one.fault
            continue
        name = free_name(one.fault.name or fault_name(one.fault), taken, " ")
        taken.add(name)
        yield replace(one.fault, name=name)
