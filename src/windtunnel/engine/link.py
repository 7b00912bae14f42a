# SPDX-License-Identifier: Apache-2.0
"""A link of a running world: pull it out, plug it in, change what it does to packets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from windtunnel.engine import plan
from windtunnel.engine.node import PRIVATE, Node
from windtunnel.engine.process import Result
from windtunnel.engine.recorder import Recorder
from windtunnel.errors import GuestError, UsageError
from windtunnel.model.lab import Distribution, Endpoint, Impairment, LinkSpec
from windtunnel.model.units import parse_duration, parse_rate, parse_share


class LinkWorld(Protocol):
    """What a link needs of its world."""

    @property
    def now_ns(self) -> int:
        """Lab time."""

    def node(self, name: str) -> Node:
        """A node by name."""


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


class Link:
    """A cable between two nodes. Get it by `world.link(name)`."""

    def __init__(self, world: LinkWorld, spec: LinkSpec, recorder: Recorder) -> None:
        self._world = world
        self._recorder = recorder
        self._impairments = {end.interface + "@" + end.node: end.impairment for end in spec.ends}
        self._has_queue = {
            end.interface + "@" + end.node: end.impairment != Impairment() for end in spec.ends
        }
        self.spec = spec
        self.is_up = spec.up

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
        for end in self.spec.ends:
            self._impair(end, impairment_from(self._impairments[_key(end)], settings))
        self._recorder.event(
            self._world.now_ns, "link", link=self.name, change={k: str(v) for k, v in settings.items()}
        )

    def impair(self, impairment: Impairment) -> None:
        """Give both directions another impairment."""
        for end in self.spec.ends:
            self._impair(end, impairment)
        self._recorder.event(self._world.now_ns, "link", link=self.name, change="impairment")

    def _set_carrier(self, *, up: bool) -> None:
        end = self.spec.ends[0]
        self._demand(self._world.node(end.node), "ip " + plan.carrier_command(end, up=up))
        self.is_up = up
        self._recorder.event(
            self._world.now_ns, "link", link=self.name, change="up" if up else "down"
        )

    def _impair(self, end: Endpoint, impairment: Impairment) -> None:
        key = _key(end)
        node = self._world.node(end.node)
        if impairment != Impairment():
            command = plan.netem_command(end.interface, impairment, verb="replace")
            self._demand(node, f"tc {command}")
        elif self._has_queue[key]:
            self._demand(node, f"tc qdisc del dev {end.interface} root")
        self._has_queue[key] = impairment != Impairment()
        self._impairments[key] = impairment

    def _demand(self, node: Node, command: str) -> Result:
        result = node.run(command.split(), name=PRIVATE + "engine")
        if not result.ok:
            raise GuestError(
                f"{command!r} exited with {result.exit_status}: {result.stderr.strip()}",
                node=node.name,
                time_ns=self._world.now_ns,
            )
        return result


def _key(end: Endpoint) -> str:
    return f"{end.interface}@{end.node}"
