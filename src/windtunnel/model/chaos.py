# SPDX-License-Identifier: Apache-2.0
"""Random faults: drawn from the lab's seed before anything runs.

They come as a Poisson process does. Everything about the n-th one is drawn by
its number: when, for how long, of what kind. What it hits is chosen by rank:
each candidate has a number of its own for each fault, drawn by the fault's
number and the candidate's name, and the highest that is free is hit. So a node
more, or another name for one, changes only those faults that hit it or would
have hit it, and what these make room for (rendezvous hashing; Thaler, Ravishankar 1998).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal

from windtunnel.model.fault import (
    Fault,
    FaultAction,
    OneWayLoss,
    Partition,
    ProcessAction,
    ProcessFault,
    VolumeFault,
)
from windtunnel.model.faultactions import (
    PROCESS_ACTIONS,
    VOLUME_MODES,
    link_action,
    node_action,
)
from windtunnel.model.faultcheck import FAULTS_MAX
from windtunnel.model.faultclaims import Claims
from windtunnel.model.lab import LabSpec
from windtunnel.model.nearmiss import hint_for, link_hint
from windtunnel.model.problem import Path, Problem
from windtunnel.model.schema import RandomKind, RandomPart
from windtunnel.model.seeds import derive
from windtunnel.model.units import duration_text

# Times are drawn in whole microseconds: finer ones find no more, and read badly.
GRAIN_NS = 1_000
# Logarithms of `decimal` are rounded correctly, so the same on every machine.
_EXACT = Context(prec=30)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """What a fault can hit.

    Attributes:
        name: by which it is ranked.
        action: makes the action of a fault that begins at a time.
        from_ns: not before.
    """

    name: str
    action: Callable[[int], FaultAction]
    from_ns: int = 0


def draw_faults(
    part: RandomPart,
    spec: LabSpec,
    scheduled: Sequence[Fault],
    path: Path,
    problems: list[Problem],
) -> list[Fault]:
    """Draw faults; none gets in the way of another one or of a scheduled one.

    Args:
        part: what to draw.
        spec: the lab, with its seed.
        scheduled: faults that are certain.
        path: of `part` in the lab file.
        problems: what is wrong with `part` is added here.

    Returns:
        Faults without names, in the order of time. Where all that a fault could
        hit is taken, or when nothing to hit is there yet, it is left out.
    """
    wrong = [*_unknown(part, spec, path), *_wrong_times(part, spec, path)]
    candidates = [_candidates(kind, part, spec) for kind in part.kinds]
    if not wrong:
        wrong += _without_candidates(part, candidates, path)
    if wrong:
        problems += wrong
        return []
    claims = Claims(spec)
    for fault in scheduled:
        claims.add(fault)
    labels = _labels(part.kinds)
    drawn = []
    for number, at_ns in enumerate(_arrivals(part, spec)):
        draw = _Draw(spec.seed, (part.name, str(number)))
        which = max(range(len(labels)), key=lambda index: draw.number("kind", labels[index]))
        kind = part.kinds[which]
        for_ns = None if kind.restart else _lasting(part.for_, draw)
        ranked = sorted(candidates[which], key=lambda one: -draw.number("target", one.name))
        actions = [one.action(at_ns) for one in ranked if one.from_ns <= at_ns]
        if kind.partition:
            actions = [_partition(part, spec, draw)]
        faults = [Fault(at_ns, "", action, for_ns) for action in actions]
        free = next((fault for fault in faults if claims.clash(fault) is None), None)
        if free is not None:
            claims.add(free)
            drawn.append(free)
    return drawn


class _Draw:
    """The numbers of one fault."""

    def __init__(self, seed: int, stream: tuple[str, ...]) -> None:
        self._seed = seed
        self._stream = ("fault", *stream)

    def number(self, *names: str) -> int:
        """A number of 64 bits."""
        return derive(self._seed, *self._stream, *names)


def _arrivals(part: RandomPart, spec: LabSpec) -> Iterator[int]:
    begin_ns, end_ns = _window(part, spec)
    at = Decimal(begin_ns)
    number = 0
    while True:
        # From above 0 to 1, so that the logarithm exists.
        share = _EXACT.divide(
            Decimal(derive(spec.seed, "fault", part.name, str(number), "gap") + 1), Decimal(1 << 64)
        )
        at = _EXACT.fma(-_EXACT.ln(share), Decimal(part.rate), at)
        at_ns = int(at) // GRAIN_NS * GRAIN_NS
        if at_ns >= end_ns or number == FAULTS_MAX:
            return
        yield max(at_ns, begin_ns)
        number += 1


def _window(part: RandomPart, spec: LabSpec) -> tuple[int, int]:
    if part.between is not None:
        return part.between[0], part.between[1]
    assert spec.stop_ns is not None, "else the times are wrong"
    return 0, spec.stop_ns


def _lasting(limits: Sequence[int], draw: _Draw) -> int:
    shortest, longest = limits
    span = longest - shortest + 1
    for_ns = shortest + (draw.number("for") * span >> 64)
    return max(for_ns // GRAIN_NS * GRAIN_NS, shortest)


# Two kinds of one word (two ways to degrade a link) are told apart by their order.
def _labels(kinds: Sequence[RandomKind]) -> list[str]:
    words = [kind.word for kind in kinds]
    return [f"{word} {words[:index].count(word)}" for index, word in enumerate(words)]


# Each node is on one side or the other; if one side is empty, one node is alone.
def _partition(part: RandomPart, spec: LabSpec, draw: _Draw) -> Partition:
    names = part.nodes if part.nodes is not None else [node.name for node in spec.nodes]
    group = tuple(name for name in names if draw.number("side", name) & 1)
    if not group or len(group) == len(spec.nodes):
        group = (max(names, key=lambda name: draw.number("alone", name)),)
    return Partition((group,))


def _candidates(kind: RandomKind, part: RandomPart, spec: LabSpec) -> list[_Candidate]:
    word = kind.word
    nodes = [node for node in spec.nodes if part.nodes is None or node.name in part.nodes]
    links = [link for link in spec.links if part.links is None or link.name in part.links]
    if word == "partition":
        # One node is kept from all others, at least: so there must be others.
        names = [node.name for node in nodes if len(spec.nodes) > 1]
        return [_Candidate(name, lambda _, n=name: Partition(((n,),))) for name in names]  # type: ignore[misc]
    if word == "one_way":
        senders = [(link.name, end.node) for link in links for end in link.ends]
        return [_fixed(f"{link} {node}", OneWayLoss(link, node)) for link, node in senders]
    if word in {"down", "flap", "degrade"}:
        how = kind.flap or kind.degrade
        return [
            _Candidate(link.name, lambda at_ns, name=link.name: link_action(name, how, spec, at_ns))  # type: ignore[misc]
            for link in links
        ]
    if word in PROCESS_ACTIONS:
        return _processes(PROCESS_ACTIONS[word], [node.name for node in nodes], spec)
    if word in VOLUME_MODES:
        mode = VOLUME_MODES[word]
        return [
            _fixed(f"{node.name} {volume.name}", VolumeFault(node.name, volume.name, mode))
            for node in nodes
            for volume in node.volumes
        ]
    if word in {"clock", "drift"}:
        nodes = [node for node in nodes if node.kernel is not None]
    value = getattr(kind, word)
    return [
        _fixed(node.name, node_action(node.name, word, value, wipe=kind.wipe)) for node in nodes
    ]


def _fixed(name: str, action: FaultAction) -> _Candidate:
    return _Candidate(name, lambda _: action)


def _processes(action: ProcessAction, nodes: Sequence[str], spec: LabSpec) -> list[_Candidate]:
    return [
        _Candidate(
            f"{process.node} {process.name}",
            _fixed("", ProcessFault(process.node, process.name, action)).action,
            process.start_ns,
        )
        for process in spec.processes
        if process.node in nodes
    ]


def _unknown(part: RandomPart, spec: LabSpec, path: Path) -> Iterator[Problem]:
    nodes = [node.name for node in spec.nodes]
    links = [link.name for link in spec.links]
    for index, name in enumerate(part.nodes or ()):
        if name not in nodes:
            hint = hint_for(name, nodes, what="nodes")
            yield Problem((*path, "nodes", index), f"no node {name!r}", hint)
    for index, name in enumerate(part.links or ()):
        if name not in links:
            hint = link_hint(name, links)
            yield Problem((*path, "links", index), f"no link {name!r}", hint)


def _wrong_times(part: RandomPart, spec: LabSpec, path: Path) -> Iterator[Problem]:
    if part.for_[0] > part.for_[1] or part.for_[1] == 0:
        yield Problem(
            (*path, "for"),
            f"for is {duration_text(part.for_[0])} to {duration_text(part.for_[1])}",
            "give the shorter one first, and the longer one more than no time",
        )
    for index, kind in enumerate(part.kinds):
        if kind.flap is not None and kind.flap.down + kind.flap.up > part.for_[0]:
            yield Problem(
                (*path, "kinds", index, "flap"),
                f"to go out and in takes {duration_text(kind.flap.down + kind.flap.up)}, and a "
                f"fault may last {duration_text(part.for_[0])}",
                "let faults last longer, or flap faster",
            )
    if part.between is None and spec.stop_ns is None:
        yield Problem(path, "random faults without an end", "give between, or the lab a stop")
        return
    begin_ns, end_ns = _window(part, spec)
    shown = f"between {duration_text(begin_ns)} and {duration_text(end_ns)}"
    if begin_ns >= end_ns:
        yield Problem((*path, "between"), f"there is no time {shown}", "give the earlier one first")
    elif spec.stop_ns is not None and end_ns > spec.stop_ns:
        yield Problem(
            (*path, "between"),
            f"the faults are {shown}, and the lab stops at {duration_text(spec.stop_ns)}",
            "make it earlier, or stop the lab later",
        )
    elif (count := (end_ns - begin_ns) // part.rate) > FAULTS_MAX:
        yield Problem(
            (*path, "rate"),
            f"the rate makes about {count} faults, more than {FAULTS_MAX}",
            "give a lower one, or less time",
        )


_NEEDED = {
    "partition": "give the lab two nodes",
    "kill": "give the nodes something to run",
    "stop": "give the nodes something to run",
    "restart": "give the nodes something to run",
    "full": "give the nodes volumes",
    "errors": "give the nodes volumes",
    "clock": "a kernel has one wall clock: give nodes 'kernel: own'",
    "drift": "a kernel has one wall clock: give nodes 'kernel: own'",
}


def _without_candidates(
    part: RandomPart, candidates: Sequence[Sequence[_Candidate]], path: Path
) -> Iterator[Problem]:
    if not part.kinds:
        yield Problem((*path, "kinds"), "random faults of no kind", "give for example [down, off]")
    for index, kind in enumerate(part.kinds):
        if not candidates[index]:
            is_of_links = kind.word in {"down", "flap", "degrade", "one_way"}
            yield Problem(
                (*path, "kinds", index),
                f"there is nothing that a random {kind.word!r} could hit",
                _NEEDED.get(kind.word, "give the lab " + ("links" if is_of_links else "nodes")),
            )
