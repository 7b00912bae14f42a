# SPDX-License-Identifier: Apache-2.0
"""The faults of a lab, each a task of the timeline: it begins, and is undone.

Every beginning, end and failure is an event. A fault that cannot be done as
things are (its process has ended, its node is off) is recorded as failed and
goes no further: a schedule from a seed hits such things all the time. One that
this kind of node can never have ends the run, since the lab is wrong.
"""

from __future__ import annotations

from collections.abc import Generator, Hashable, Iterable, Mapping
from typing import Any, Protocol

from windtunnel.engine.fabric import Fabric
from windtunnel.engine.labprocess import LabProcess
from windtunnel.engine.link import Link
from windtunnel.engine.linkstate import Hold
from windtunnel.engine.node import EXEC_MAX_NS, Node, exec_failed
from windtunnel.engine.recorder import Recorder
from windtunnel.engine.timeline import Task, Wait
from windtunnel.errors import GuestError, StateError
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
    ProcessAction,
    ProcessFault,
    VolumeFault,
)

KINDS: dict[type, str] = {
    LinkCut: "link-cut",
    LinkFlap: "link-flap",
    LinkDegrade: "link-degrade",
    OneWayLoss: "one-way-loss",
    Partition: "partition",
    NodePause: "node-pause",
    NodeOff: "node-off",
    ProcessFault: "process",
    MemoryLimit: "memory-limit",
    VolumeFault: "volume",
    ClockStep: "clock-step",
    ClockDrift: "clock-drift",
}
"""What events call each kind; a process's has its action behind it: `process-kill`."""

Processes = Mapping[tuple[str, str], LabProcess]
"""The lab's processes, by node and name."""


class FaultWorld(Protocol):
    """What faults need of a world."""

    @property
    def now_ns(self) -> int:
        """Lab time."""

    @property
    def fabric(self) -> Fabric:
        """All cables and networks."""

    def node(self, name: str) -> Node:
        """The node called `name`."""

    def link(self, name: str) -> Link:
        """The link called `name`."""


class Faults:
    """Carries out faults in one world."""

    def __init__(self, world: FaultWorld, recorder: Recorder, processes: Processes) -> None:
        self._world = world
        self._recorder = recorder
        self._processes = processes
        self.begun: set[str] = set()
        """The names of the faults that last."""
        self.failures: dict[str, GuestError | StateError] = {}
        """Why faults could not be begun or undone, by their names."""

    def tasks(self, faults: Iterable[Fault]) -> list[Task]:
        """A task for each fault."""
        return [self._task(fault) for fault in faults]

    def _task(self, fault: Fault) -> Task:
        yield Wait(until_ns=fault.at_ns)
        self._tell(fault, "begin")
        self.begun.add(fault.name)
        if not (yield from self._attempt(fault, self._begin(fault))) or fault.for_ns is None:
            return
        yield Wait(until_ns=fault.at_ns + fault.for_ns)
        yield from self.undo(fault)

    def undo(self, fault: Fault) -> Task:
        """End a fault that has begun."""
        if (yield from self._attempt(fault, self._end(fault))):
            self.begun.discard(fault.name)
            self._tell(fault, "end")

    def _attempt(self, fault: Fault, doing: Task) -> Generator[Wait, None, bool]:
        """Do a part of a fault; whether it could be done."""
        try:
            yield from doing
        except (GuestError, StateError) as error:
            # Only plain ones: a lost or stuck kernel, or an impossible fault, ends the run.
            if type(error) not in (GuestError, StateError):
                raise
            self._tell(fault, "failed", message=error.message)
            self.begun.discard(fault.name)
            self.failures[fault.name] = error
            return False
        return True

    def _begin(self, fault: Fault) -> Task:
        key, fabric = _key(fault), self._world.fabric
        match fault.action:
            case LinkCut(link):
                fabric.hold(key, {self._world.link(link).line: Hold(cut=True)})
            case LinkFlap():
                yield from self._flap(fault, fault.action)
            case LinkDegrade(link, impairment, backward):
                pair = (impairment, backward or impairment)
                fabric.hold(key, {self._world.link(link).line: Hold(impairments=pair)})
            case OneWayLoss(link, sender):
                one = self._world.link(link)
                fabric.hold(key, {one.line: Hold(lost=one.sides(sender))})
            case Partition(groups):
                fabric.partition(key, groups)
            case NodePause(node):
                self._world.node(node).machine.pause(key)
                for process in self._theirs(node):
                    process.node_paused(key, fault.name, goes_on=fault.for_ns is not None)
            case NodeOff(node, wipe):
                self._power_off(fault, node, wipe=wipe)
            case ProcessFault():
                yield from self._begin_process(fault, fault.action)
            case MemoryLimit(node, limit_bytes):
                self._world.node(node).machine.limit_memory(key, limit_bytes)
            case VolumeFault() | ClockStep() | ClockDrift() as action:
                self._world.node(action.node).machine.begin(key, action)

    def _end(self, fault: Fault) -> Task:
        key = _key(fault)
        match fault.action:
            case LinkCut() | LinkDegrade() | OneWayLoss() | Partition() | LinkFlap():
                self._world.fabric.release(key)
            case NodePause(node):
                self._world.node(node).machine.resume(key)
                for process in self._theirs(node):
                    process.node_goes_on(key)
            case NodeOff(node):
                yield from self._power_on(key, self._world.node(node))
            case ProcessFault(action=ProcessAction.STOP) as action:
                self._process(action).go_on(key)
            case ProcessFault() as action:
                self._process(action).release(key)
            case MemoryLimit(node):
                self._world.node(node).machine.limit_memory(key, None)
            case VolumeFault() | ClockStep() | ClockDrift() as action:
                self._world.node(action.node).machine.end(key, action)

    # ---- links ----

    def _flap(self, fault: Fault, flap: LinkFlap) -> Task:
        """Cut and mend until the fault is over; for ever if it never is."""
        key, fabric, line = _key(fault), self._world.fabric, self._world.link(flap.link).line
        while True:
            fabric.hold(key, {line: Hold(cut=True)})
            yield self._wait(fault, flap.down_ns)
            fabric.release(key)
            if self._is_over(fault):
                return
            yield self._wait(fault, flap.up_ns)
            if self._is_over(fault):
                return

    def _wait(self, fault: Fault, duration_ns: int) -> Wait:
        until_ns = self._world.now_ns + duration_ns
        if fault.for_ns is not None:
            until_ns = min(until_ns, fault.at_ns + fault.for_ns)
        return Wait(until_ns=until_ns)

    def _is_over(self, fault: Fault) -> bool:
        return fault.for_ns is not None and self._world.now_ns >= fault.at_ns + fault.for_ns

    # ---- nodes and processes ----

    def _power_off(self, fault: Fault, node: str, *, wipe: bool) -> None:
        """Cut a node's power; what it takes with it waits for its return."""
        alive = [one for one in self._theirs(node) if one.can_be_kept_down]
        self._world.node(node).machine.power_off(_key(fault), wipe=wipe)
        for one in self._theirs(node):
            one.node_lost_power()
        for one in alive:
            one.keep_down(_key(fault), fault.name, comes_back=fault.for_ns is not None)

    def _power_on(self, key: Hashable, node: Node) -> Task:
        """Boot a node, run its `exec` lines, start what ran in it; a line that fails is told."""
        failure: GuestError | None = None
        machine = node.machine
        boot = machine.power_on(key)
        if boot and machine.is_booting(boot):
            yield Wait(condition=lambda: not machine.is_booting(boot))
        if boot and machine.finish_boot(boot):
            for command in node.spec.exec:
                process = node.begin(command, name="exec")
                limit_ns = self._world.now_ns + EXEC_MAX_NS
                yield Wait(condition=lambda p=process: not p.running, until_ns=limit_ns)  # type: ignore[misc]
                result = process.poll()
                if result is None or not result.ok:
                    failure = process.failure or exec_failed(node.name, command, result)
                    break
        for one in self._theirs(node.name):
            one.release(key)
        if failure is not None:
            raise failure

    def _begin_process(self, fault: Fault, action: ProcessFault) -> Task:
        process, key = self._process(action), _key(fault)
        if action.action is ProcessAction.STOP:
            process.stop(key)
            return
        if not process.down_by:  # else it is dead already, and stays so until both are undone
            process.kill()
        comes_back = action.action is ProcessAction.RESTART or fault.for_ns is not None
        process.keep_down(key, fault.name, comes_back=comes_back)
        yield Wait(condition=lambda: not process.running)
        if action.action is ProcessAction.RESTART:
            process.release(key)

    def _theirs(self, node: str) -> list[LabProcess]:
        """The processes of a node."""
        return [one for (where, _), one in self._processes.items() if where == node]

    def _process(self, action: ProcessFault) -> LabProcess:
        found = self._processes.get((action.node, action.process))
        if found is None:
            raise StateError(f"node {action.node} has no process {action.process!r} in `run`")
        return found

    # ---- events ----

    def _tell(self, fault: Fault, phase: str, **fields: Any) -> None:
        action = fault.action
        kind = KINDS[type(action)]
        if isinstance(action, ProcessFault):
            kind += f"-{action.action.value}"
        self._recorder.event(
            self._world.now_ns,
            "fault",
            getattr(action, "node", ""),
            name=fault.name,
            of=kind,
            target=target(action),
            phase=phase,
            **fields,
        )


def _key(fault: Fault) -> Hashable:
    return ("fault", fault.name)


def target(action: FaultAction) -> str:
    """What a fault is done to, in a few words."""
    match action:
        case OneWayLoss(link, sender):
            return f"{link} from {sender}"
        case LinkCut(link) | LinkFlap(link) | LinkDegrade(link):
            return link
        case Partition(groups):
            return " | ".join(",".join(group) for group in groups)
        case ProcessFault(node, process):
            return f"{node}/{process}"
        case VolumeFault(node, volume):
            return f"{node}/{volume}"
        case _:
            return action.node
