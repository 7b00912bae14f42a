# SPDX-License-Identifier: Apache-2.0
"""What interfaces and processes have used, as events: at the end, and every so often.

One question to each kernel is answered for all of its nodes. The agent reads /proc
from outside of them, so no node has a process more because of it, and its reading
takes no virtual time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from windtunnel.engine.recorder import Recorder
from windtunnel.engine.timeline import Task, Wait
from windtunnel.engine.world import World
from windtunnel.machines.agent import Reply
from windtunnel.wire.counters import NodeCounters, parse_counters


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

    def task(self, every_ns: int) -> Task:
        """Sample again and again; who runs it must end at some time."""
        at_ns = every_ns
        while True:
            yield Wait(until_ns=at_ns)
            asked = self._ask()
            yield Wait(condition=lambda asked=asked: _answered(asked))  # type: ignore[misc]
            self._record(asked)
            at_ns += every_ns

    def sample(self) -> None:
        """Sample once; time may pass, a little with several kernels."""
        asked = self._ask()
        self._world.wait(lambda: _answered(asked), "the counters")
        self._record(asked)

    def _ask(self) -> list[Asked]:
        """Ask each kernel that runs."""
        return [
            Asked(agent.counters(), numbers)
            for agent, numbers in self._world.agents
            if agent.release is not None
        ]

    def _record(self, asked: list[Asked]) -> None:
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
        names = {process.pid: process.name for process in self._world.node(node).processes}
        return {
            "interfaces": [asdict(one) for one in counters.interfaces],
            "processes": [
                asdict(one) | {"name": names.get(one.pid, one.name)} for one in counters.processes
            ],
        }


def _answered(asked: list[Asked]) -> bool:
    return all(one.reply.done for one in asked)
