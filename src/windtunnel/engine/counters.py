# SPDX-License-Identifier: Apache-2.0
"""What interfaces and processes have used, as events: at the end, and every so often.

One question to each kernel is answered for all of its nodes. The agent reads /proc
from outside of them, so no node has a process more because of it, and its reading
takes no virtual time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from windtunnel.engine.recorder import Recorder
from windtunnel.engine.timeline import Task, Wait
from windtunnel.engine.world import World
from windtunnel.machines.agent import Reply
from windtunnel.wire.counters import (
    InterfaceCounters,
    NodeCounters,
    ProcessCounters,
    parse_counters,
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A question to one kernel.

    Attributes:
        reply: its answer.
        numbers: of its nodes, for its agent.
    """

    reply: Reply
    numbers: Mapping[str, int]


class Counters:
    """Samples all nodes of a running world."""

    def __init__(self, world: World, recorder: Recorder) -> None:
        self._world = world
        self._recorder = recorder
        self._asked: list[Asked] = []

    def task(self, every_ns: int) -> Task:
        """Sample again and again, beside tasks for which time passes; it never ends."""
        at_ns = every_ns
        while True:
            yield Wait(until_ns=at_ns)
            self._asked = self._ask()
            yield Wait(condition=self._answered)
            self._record()
            at_ns += every_ns

    def sample_until(self, time_ns: int, every_ns: int) -> None:
        """Let time pass and sample, from where a task has been closed on.

        For guests that nobody waits for, it is cheaper to pass time in such pieces than
        to look after each of their reports whether a task can go on.

        Args:
            time_ns: lab time; there it is not sampled.
            every_ns: as for `task`.
        """
        if self._asked:
            self._finish()
        at_ns = (self._world.now_ns // every_ns + 1) * every_ns
        while at_ns < time_ns:
            self._world.run_until_ns(at_ns)
            self.sample()
            at_ns += every_ns

    def sample(self) -> None:
        """Sample once; time may pass, a little with several kernels."""
        self._asked = self._ask()
        self._finish()

    def _finish(self) -> None:
        self._world.wait(self._answered, "the counters")
        self._record()

    def _answered(self) -> bool:
        return all(one.reply.done for one in self._asked)

    def _ask(self) -> list[Asked]:
        """Ask each kernel that runs."""
        return [
            Asked(agent.counters(), numbers)
            for agent, numbers in self._world.agents
            if agent.release is not None
        ]

    def _record(self) -> None:
        asked, self._asked = self._asked, []
        told: dict[str, NodeCounters] = {}
        for one in asked:
            if one.reply.failure is None:  # else its power went meanwhile
                found = {node.node: node for node in parse_counters(bytes(one.reply.data))}
                told |= {name: found[at] for name, at in one.numbers.items() if at in found}
        now_ns = self._world.now_ns
        for node in self._world.spec.nodes:
            if node.name in told:
                self._recorder.event(
                    now_ns, "counters", node.name, **self._fields(node.name, told[node.name])
                )

    def _fields(self, node: str, counters: NodeCounters) -> dict[str, Any]:
        running = [one for one in self._world.node(node).processes if one.running]
        names = {process.pid: process.name for process in running}
        return {
            "interfaces": [_values(one) for one in counters.interfaces],
            "processes": [
                _values(one) | {"name": names.get(one.pid, one.name)} for one in counters.processes
            ],
        }


def _values(one: InterfaceCounters | ProcessCounters) -> dict[str, Any]:
    # dataclasses.asdict copies deeply, and would take half of the time of a sample.
    return {name: getattr(one, name) for name in one.__slots__}
