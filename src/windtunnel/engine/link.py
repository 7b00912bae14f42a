# SPDX-License-Identifier: Apache-2.0
"""A link of a running world: pull it out, plug it in, change what it does to packets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from windtunnel.engine import plan
from windtunnel.engine.fates import LinkState
from windtunnel.engine.plan import Setting
from windtunnel.engine.recorder import Recorder
from windtunnel.engine.wiring import Wiring
from windtunnel.errors import UsageError
from windtunnel.model.impairment import Distribution, Impairment
from windtunnel.model.lab import Endpoint, LabSpec, LinkSpec
from windtunnel.model.units import parse_duration, parse_rate, parse_share


class LinkWorld(Protocol):
    """What a link needs of its world."""

    @property
    def now_ns(self) -> int:
        """Lab time."""

    @property
    def spec(self) -> LabSpec:
        """The lab."""


_READ: dict[str, tuple[str, Callable[[str], Any]]] = {
    "delay": ("delay_ns", parse_duration),
    "jitter": ("jitter_ns", parse_duration),
    "distribution": ("distribution", Distribution),
    "loss": ("loss", parse_share),
    "duplicate": ("duplicate", parse_share),
    "reorder": ("reorder", parse_share),
    "corrupt": ("corrupt", parse_share),
    "rate": ("rate_bps", parse_rate),
    "queue": ("queue_packets", int),
}


def impairment_from(base: Impairment, settings: dict[str, str | int]) -> Impairment:
    """Change parts of an impairment, given in the words and units of a lab file.

    Raises:
        UsageError: for a word that does not exist, or a value without its unit.
    """
    fields = {}
    for word, value in settings.items():
        if word not in _READ:
            raise UsageError(f"a link has no {word!r}", hint=f"it has {', '.join(_READ)}")
        name, read = _READ[word]
        try:
            fields[name] = read(str(value))
        except ValueError as error:
            raise UsageError(f"{word}: {error}") from error
    return replace(base, **fields)


@dataclass(slots=True)
class _End:
    """One end of a link.

    Attributes:
        number: of its node.
        index: of its interface.
        spec: as the lab has it.
        impairment: at present.
        queues: how many netem queues it has had.
    """

    number: int
    index: int
    spec: Endpoint
    impairment: Impairment
    queues: int = field(init=False)

    def __post_init__(self) -> None:
        self.queues = int(self.impairment != Impairment())


class Link:
    """A cable between two nodes. Get it by `world.link(name)`."""

    def __init__(
        self,
        world: LinkWorld,
        wiring: Wiring,
        spec: LinkSpec,
        recorder: Recorder,
        *,
        numbers: Mapping[str, int],
        indexes: Mapping[tuple[str, str], int],
    ) -> None:
        self._world = world
        self._wiring = wiring
        self._recorder = recorder
        self._ends = [
            _End(numbers[end.node], indexes[end.node, end.interface], end, end.impairment)
            for end in spec.ends
        ]
        self.spec = spec
        self.is_up = spec.up
        self.states: list[LinkState] = []
        """What it has done so far, the oldest first; for captures."""
        self._note_state(0)

    @property
    def name(self) -> str:
        """Its name in the lab."""
        return self.spec.name

    def down(self) -> None:
        """Pull the cable out: both ends lose their carrier, packets under way are lost."""
        self._set_carrier(up=False)

    def up(self) -> None:
        """Plug the cable in again."""
        self._set_carrier(up=True)

    def set(self, **settings: str | int) -> None:
        """Change what both directions do to packets, in the words of a lab file.

        Args:
            settings: delay="20 ms", jitter=, distribution=, loss="1%", duplicate=,
                reorder=, corrupt=, rate="10 Mbit", queue=100. What is not named stays.
        """
        self._impair([impairment_from(end.impairment, settings) for end in self._ends])
        self._recorder.event(
            self._world.now_ns,
            "link",
            link=self.name,
            change={word: str(value) for word, value in settings.items()},
        )

    def impair(self, impairment: Impairment, backward: Impairment | None = None) -> None:
        """Give both directions another impairment.

        Args:
            impairment: of what the first end sends, and the second too unless
                `backward` is given.
            backward: of what the second end sends.
        """
        self._impair([impairment, backward or impairment])
        self._recorder.event(self._world.now_ns, "link", link=self.name, change="impairment")

    def _set_carrier(self, *, up: bool) -> None:
        end = self._ends[0]
        self._wiring.send({end.number: [plan.carrier(end.spec.interface, end.index, on=up)]})
        self._wiring.finish(time_ns=self._world.now_ns)
        self.is_up = up
        self._note_state(self._world.spec.clock_ns + self._world.now_ns)
        self._recorder.event(
            self._world.now_ns, "link", link=self.name, change="up" if up else "down"
        )

    def _impair(self, impairments: Sequence[Impairment]) -> None:
        """Give each end its impairment, both at the same instant."""
        for end, impairment in zip(self._ends, impairments, strict=True):
            self._wiring.send({end.number: self._change(end, impairment)})
        self._wiring.finish(time_ns=self._world.now_ns)
        for end, impairment in zip(self._ends, impairments, strict=True):
            end.queues += end.impairment == Impairment() != impairment
            end.impairment = impairment
        self._note_state(self._world.spec.clock_ns + self._world.now_ns)

    def _note_state(self, since_ns: int) -> None:
        first, second = self._ends
        impairments = (first.impairment, second.impairment)
        self.states.append(LinkState(since_ns, self.is_up, impairments))

    def _change(self, end: _End, impairment: Impairment) -> list[Setting]:
        """What makes an interface's impairment into another."""
        name, index = end.spec.interface, end.index
        if impairment == Impairment():
            return [plan.no_queue(name, index)] if end.impairment != Impairment() else []
        if end.impairment != Impairment():
            return [plan.change_queue(name, index, impairment)]
        seed = plan.netem_seed(self._world.spec.seed, end.spec, end.queues)
        return [plan.new_queue(name, index, impairment, seed)]
