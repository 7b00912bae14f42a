# SPDX-License-Identifier: Apache-2.0
"""A link of a running world: pull it out, plug it in, change what it does to packets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from windtunnel.engine.fabric import Fabric
from windtunnel.engine.fates import PastState
from windtunnel.engine.linkstate import Hold
from windtunnel.engine.recorder import Recorder
from windtunnel.errors import StateError, UsageError
from windtunnel.model.impairment import (
    Buffer,
    DelayTable,
    Distribution,
    GilbertElliott,
    Impairment,
)
from windtunnel.model.lab import LabSpec, LinkSpec
from windtunnel.model.units import parse_duration, parse_rate, parse_share, parse_size


class LinkWorld(Protocol):
    """What a link needs of its world."""

    @property
    def now_ns(self) -> int:
        """Lab time."""

    @property
    def spec(self) -> LabSpec:
        """The lab."""


BY_HAND = "by hand"
"""The key of what a program does that is no fault of a schedule, whose keys are pairs."""

LinkSetting = str | int | GilbertElliott | DelayTable | Buffer
"""What a word of a link's settings takes: text as in a lab file, or plain data."""


def _loss(value: LinkSetting) -> dict[str, Any]:
    return {"loss": value if isinstance(value, GilbertElliott) else parse_share(str(value))}


def _distribution(value: LinkSetting) -> dict[str, Any]:
    if isinstance(value, DelayTable):
        return {"distribution": value}
    return {"distribution": Distribution(str(value))}


# A number is what netem counts; a size, and a Buffer, waits for the rate.
def _queue(value: LinkSetting) -> dict[str, Any]:
    if isinstance(value, Buffer):
        return {"queue_packets": None, "buffer": value}
    text = str(value)
    if text == "default":
        return {"queue_packets": None, "buffer": None}
    if text.isdecimal():
        return {"queue_packets": int(text), "buffer": None}
    return {"queue_packets": None, "buffer": Buffer(limit_bytes=parse_size(text))}


def _as(field_name: str, read: Callable[[str], Any]) -> Callable[[LinkSetting], dict[str, Any]]:
    return lambda value: {field_name: read(str(value))}


# From a word to the fields of an impairment that it sets.
_READ: dict[str, Callable[[LinkSetting], dict[str, Any]]] = {
    "delay": _as("delay_ns", parse_duration),
    "jitter": _as("jitter_ns", parse_duration),
    "distribution": _distribution,
    "loss": _loss,
    "duplicate": _as("duplicate", parse_share),
    "reorder": _as("reorder", parse_share),
    "corrupt": _as("corrupt", parse_share),
    "rate": _as("rate_bps", parse_rate),
    "queue": _queue,
}


def impairment_from(base: Impairment, settings: Mapping[str, LinkSetting]) -> Impairment:
    """Change parts of an impairment, given in the words and units of a lab file.

    Raises:
        UsageError: for a word that does not exist, or a value without its unit.
    """
    fields: dict[str, Any] = {}
    for word, value in settings.items():
        if word not in _READ:
            raise UsageError(f"a link has no {word!r}", hint=f"it has {', '.join(_READ)}")
        try:
            fields |= _READ[word](value)
        except ValueError as error:
            raise UsageError(f"{word}: {error}") from error
    return replace(base, **fields)


class Link:
    """A cable between two nodes. Get it by `world.link(name)`."""

    def __init__(
        self, world: LinkWorld, fabric: Fabric, spec: LinkSpec, recorder: Recorder
    ) -> None:
        self._world = world
        self._fabric = fabric
        self._recorder = recorder
        self.spec = spec
        self.line = fabric.line(spec.name)
        if not self.line.history:
            self.line.history.append((world.now_ns, self.line.record.effective))

    @property
    def name(self) -> str:
        """Its name in the lab."""
        return self.spec.name

    @property
    def is_up(self) -> bool:
        """Whether its cable is in: nobody has pulled it out, and no fault cuts it."""
        return self.line.record.effective.up

    @property
    def states(self) -> list[PastState]:
        """What it has done so far, the oldest first; for captures."""
        clock_ns = self._world.spec.clock_ns
        first, *later = self.line.history or [(0, self.line.record.effective)]
        # The first has held from the beginning, whenever that was.
        since = [(0, first[1])] + [(clock_ns + time_ns, state) for time_ns, state in later]
        return [PastState(time_ns, state.up, state.impairments) for time_ns, state in since]

    def down(self) -> None:
        """Pull the cable out: both ends lose their carrier, packets under way are lost."""
        self._set_carrier(up=False)

    def up(self) -> None:
        """Plug the cable in again; while a fault cuts it, it stays out."""
        self._set_carrier(up=True)

    def set(self, **settings: LinkSetting) -> None:
        """Change what both directions do to packets, in the words of a lab file.

        Args:
            settings: delay="20 ms", jitter=, distribution=, loss="1%", duplicate=,
                reorder=, corrupt=, rate="10 Mbit", queue=100. What is not named stays.
                Also plain data: loss=GilbertElliott(p=0.01, r=0.3), distribution=a
                DelayTable; and between two kernels queue="64 kB" or a Buffer.
        """
        first, second = self.line.record.base.impairments
        self._impair(impairment_from(first, settings), impairment_from(second, settings))
        self._tell({word: str(value) for word, value in settings.items()})

    def impair(self, impairment: Impairment, backward: Impairment | None = None) -> None:
        """Give both directions another impairment.

        Args:
            impairment: of what the first end sends, and the second too unless
                `backward` is given.
            backward: of what the second end sends.
        """
        self._impair(impairment, backward or impairment)
        self._tell("impairment")

    def lose(self, sender: str | None = None) -> None:
        """Lose all that one end sends; the cable stays in, so nobody loses the carrier.

        Args:
            sender: the node whose packets are lost; None is both.
        """
        self._lose(sender, lost=True)

    def restore(self, sender: str | None = None) -> None:
        """Undo `lose`.

        Args:
            sender: the node whose packets are lost no longer; None is both.
        """
        self._lose(sender, lost=False)

    def sides(self, sender: str | None) -> tuple[bool, bool]:
        """Which ends are a node's; both for None.

        Raises:
            StateError: it has no end of this link.
        """
        first, second = (sender in (None, node) for node in self.line.nodes)
        if not first and not second:
            raise StateError(
                f"link {self.name} has no end at a node {sender!r}",
                hint=f"its ends are at {' and '.join(self.line.nodes)}",
            )
        return first, second

    def _set_carrier(self, *, up: bool) -> None:
        record = self.line.record
        self._fabric.put(self.line, record.with_base(replace(record.base, up=up)))
        self._tell("up" if up else "down")

    def _impair(self, first: Impairment, second: Impairment) -> None:
        record = self.line.record
        base = replace(record.base, impairments=(first, second))
        self._fabric.put(self.line, record.with_base(base))

    def _lose(self, sender: str | None, *, lost: bool) -> None:
        sides, record = self.sides(sender), self.line.record
        before = record.held(BY_HAND).lost
        first, second = (lost if chosen else old for chosen, old in zip(sides, before, strict=True))
        self._fabric.put(self.line, record.with_hold(BY_HAND, Hold(lost=(first, second))))
        self._tell({"lose" if lost else "restore": sender or "all"})

    def _tell(self, change: str | dict[str, str]) -> None:
        self._recorder.event(self._world.now_ns, "link", link=self.name, change=change)
