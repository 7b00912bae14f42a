# SPDX-License-Identifier: Apache-2.0
"""How links and nodes were at each moment of a run, concluded from its events and its lab.

As in the engine, each fault is a hold of its own, and what a link does is what its base
and the holds that are left say: faults overlap and end in any order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from windtunnel.model.event import Event
from windtunnel.model.fault import (
    Fault,
    LinkCut,
    LinkDegrade,
    LinkFlap,
    NodeOff,
    NodePause,
    OneWayLoss,
    Partition,
    ProcessFault,
)
from windtunnel.model.lab import LabSpec, LinkChange
from windtunnel.report.run.record import RunRecord
from windtunnel.report.text import shown_line

MOMENTS_MAX = 1_500
"""In a page; more could not be stepped through anyway."""

_WORST = ("off", "down", "dead", "split", "paused", "flaps", "worse", "changed", "hit")
"""What something can be, the worst first; else it is "up"."""

_NODE_CHANGES = {"off": "off", "paused": "paused"}
_NODE_UNDONE = {"on": "off", "resumed": "paused"}


@dataclass(slots=True)
class Moment:
    """An instant at which something happened.

    Attributes:
        time_ns: lab time.
        texts: what, each a line for people.
        states: of what changed, by key: "link:r1-r2", "node:r1", "network:lan".
        is_bad: whether a check failed or the run was ended by it.
    """

    time_ns: int
    texts: list[str] = field(default_factory=list)
    states: dict[str, str] = field(default_factory=dict)
    is_bad: bool = False


def moments_of(record: RunRecord) -> tuple[list[Moment], int]:
    """Give the moments of a run, and how many were left out.

    The first one is lab time zero. Of too many, those that change nothing that can be
    seen in the topology are left out first.
    """
    walk = _Walk(record.spec)
    for event in record.events:
        walk.take(event)
    moments = walk.moments
    if len(moments) <= MOMENTS_MAX:
        return moments, 0
    kept = [one for one in moments if one.states or one.is_bad or one.time_ns == 0]
    kept = kept[:MOMENTS_MAX]
    return kept, len(moments) - len(kept)


class _Walk:
    """Goes through the events; what is held by whom is in here."""

    def __init__(self, spec: LabSpec | None) -> None:
        self.moments = [Moment(0)]
        self._spec = spec or LabSpec(name="")
        self._faults = {fault.name: fault for fault in self._spec.faults}
        self._changes = {
            step.name: step.action
            for step in self._spec.steps
            if isinstance(step.action, LinkChange)
        }
        # What a process of the lab's own is called; others are tries of steps.
        self._processes = {(one.node, one.name) for one in self._spec.processes}
        self._hit = {key for fault in self._spec.faults for key, _ in _hit(fault, self._spec)}
        self._holds: dict[str, dict[str, str]] = {}  # key -> who holds it -> as what
        for link in self._spec.links:
            if not link.up:
                self._hold(self.moments[0], f"link:{link.name}", "cable", "down")

    def take(self, event: Event) -> None:
        """Take the next event."""
        fields = event.fields
        match event.kind:
            case "fault":
                self._fault(self._moment(event), event)
            case "link":
                moment = self._moment(event)
                self._change_link(moment, str(fields.get("link", "")), fields.get("change"))
                moment.texts.append(
                    _line(f"link {fields.get('link', '')}: {_change_text(fields.get('change'))}")
                )
            case "node":
                self._node(self._moment(event), event)
            case "partition":
                groups = fields.get("groups")
                self._moment(event).texts.append(_line(f"partition: {groups}"))
            case "step" | "check":
                self._check(event)
            case "process-start" | "process-exit":
                self._process(event)
            case "finding":
                moment = self._moment(event)
                moment.is_bad = True
                moment.texts.append(_line(f"the run ends: {_without_introduction(fields)}"))
                if event.node:
                    self._hold(moment, f"node:{event.node}", "finding", "dead")
            case "lab-end":
                passed = fields.get("passed")
                self._moment(event).texts.append("the lab ends" + ("" if passed else ": failed"))

    def _moment(self, event: Event) -> Moment:
        time_ns = max(event.time_ns, 0)
        if self.moments[-1].time_ns < time_ns:
            self.moments.append(Moment(time_ns))
        return self.moments[-1]

    def _hold(self, moment: Moment, key: str, who: str, state: str) -> None:
        holds = self._holds.setdefault(key, {})
        if state:
            holds[who] = state
        else:
            holds.pop(who, None)
        now = set(holds.values())
        moment.states[key] = next((one for one in _WORST if one in now), "up")

    def _fault(self, moment: Moment, event: Event) -> None:
        fields = event.fields
        name, phase = str(fields.get("name", "")), str(fields.get("phase", ""))
        what = {"begin": "begins", "end": "ends"}.get(phase, phase)
        moment.texts.append(_line(f"fault {name} {what} {fields.get('message', '')}"))
        fault = self._faults.get(name)
        if fault is None or phase == "failed":
            return
        for key, state in _hit(fault, self._spec):
            self._hold(moment, key, f"fault {name}", state if phase == "begin" else "")

    # A cable that a fault pulls out and plugs in again is told of as if by hand, too; an
    # impairment as well, and then nothing says whether it begins or ends.
    def _change_link(self, moment: Moment, link: str, change: Any) -> None:
        key = f"link:{link}"
        if change in ("up", "down"):
            self._hold(moment, key, "cable", "down" if change == "down" else "")
        elif isinstance(change, dict) and ("lose" in change or "restore" in change):
            self._hold(moment, key, "lose", "worse" if "lose" in change else "")
        elif change != "impairment" or key not in self._hit:
            self._hold(moment, key, "change", "changed")

    def _node(self, moment: Moment, event: Event) -> None:
        change = str(event.fields.get("change", ""))
        moment.texts.append(_line(f"node {event.node}: {change}"))
        key = f"node:{event.node}"
        if change in _NODE_CHANGES:
            self._hold(moment, key, f"node {change}", _NODE_CHANGES[change])
        elif change in _NODE_UNDONE:
            self._hold(moment, key, f"node {_NODE_UNDONE[change]}", "")

    def _check(self, event: Event) -> None:
        fields = event.fields
        name, of = str(fields.get("name", "")), str(fields.get("of", "step"))
        passed = bool(fields.get("passed"))
        change = self._changes.get(name) if event.kind == "step" else None
        if of == "process" and passed:
            return
        moment = self._moment(event)
        where = f" on {event.node}" if event.node else ""
        verdict = "done" if change and passed else "passed" if passed else "failed"
        moment.texts.append(_line(f"{of} {name}{where}: {verdict}"))
        moment.is_bad |= not passed and bool(fields.get("judged", True))
        if change is not None and (change.impairment or change.backward):
            self._hold(moment, f"link:{change.link}", "change", "changed")

    def _process(self, event: Event) -> None:
        name = str(event.fields.get("process", ""))
        if (event.node, name) not in self._processes:
            return
        text = f"{name} on {event.node} "
        if event.kind == "process-start":
            text += "starts"
        else:
            text += f"ends: {event.fields.get('outcome', '')} {event.fields.get('status', '')}"
        self._moment(event).texts.append(_line(text))


def _hit(fault: Fault, spec: LabSpec) -> list[tuple[str, str]]:
    """What a fault holds, by key, and as what."""
    match fault.action:
        case LinkCut(link=link):
            return [(f"link:{link}", "down")]
        case LinkFlap(link=link):
            return [(f"link:{link}", "flaps")]
        case LinkDegrade(link=link) | OneWayLoss(link=link):
            return [(f"link:{link}", "worse")]
        case Partition(groups=groups):
            return _split(groups, spec)
        case NodePause(node=node):
            return [(f"node:{node}", "paused")]
        case NodeOff(node=node):
            return [(f"node:{node}", "off")]
        case ProcessFault(node=node):
            return [(f"node:{node}", "hit")]
        case other:
            return [(f"node:{other.node}", "hit")]


def _split(groups: tuple[tuple[str, ...], ...], spec: LabSpec) -> list[tuple[str, str]]:
    side = {node: at for at, group in enumerate(groups) for node in group}
    hit = []
    for link in spec.links:
        one, other = (side.get(end.node, -1) for end in link.ends)
        if one != other:
            hit.append((f"link:{link.name}", "split"))
    networks = [
        network
        for network in spec.networks
        if len({side.get(end.node, -1) for end in network.members}) > 1
    ]
    return hit + [(f"network:{network.name}", "split") for network in networks]


def _change_text(change: Any) -> str:
    if isinstance(change, dict):
        return ", ".join(f"{word} {value}" for word, value in change.items())
    return str(change)


# A finding's event has one line; "…; its console says:" introduces those that the run's
# record and the top of the page have.
def _without_introduction(fields: Mapping[str, Any]) -> str:
    message = str(fields.get("message", ""))
    told, _, introduction = message.rpartition("; ")
    return told if told and introduction.endswith(":") else message


def _line(text: str) -> str:
    return shown_line(text, characters_max=240)


def moments_json(moments: list[Moment]) -> list[dict[str, Any]]:
    """Give moments as the page has them."""
    return [
        {"t": one.time_ns, "texts": one.texts, "states": one.states, "bad": int(one.is_bad)}
        for one in moments
    ]
