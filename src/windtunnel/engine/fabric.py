# SPDX-License-Identifier: Apache-2.0
"""A link between kernels, in the hands of a program: the words of `windtunnel.engine.link`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from windtunnel.engine.cable import Cable
from windtunnel.engine.link import LinkWorld, impairment_from
from windtunnel.engine.recorder import Recorder
from windtunnel.model.impairment import Impairment
from windtunnel.model.lab import LinkSpec


class CableLink:
    """A cable between two kernels. Get it by `world.link(name)`."""

    def __init__(
        self,
        world: LinkWorld,
        cable: Cable,
        recorder: Recorder,
        rewired: Callable[[], None],
    ) -> None:
        """Create.

        Args:
            world: for the time.
            cable: that it is.
            recorder: told of every change.
            rewired: called when latencies have changed.
        """
        self._world = world
        self._cable = cable
        self._recorder = recorder
        self._rewired = rewired
        self._impairments = [end.impairment for end in cable.spec.ends]

    @property
    def spec(self) -> LinkSpec:
        """As the lab has it."""
        return self._cable.spec

    @property
    def name(self) -> str:
        """Its name in the lab."""
        return self.spec.name

    @property
    def is_up(self) -> bool:
        """Whether it is plugged in."""
        return self._cable.up

    def down(self) -> None:
        """Pull the cable out: both ends lose their carrier, packets under way are lost."""
        self._set_carrier(up=False)

    def up(self) -> None:
        """Plug the cable in again."""
        self._set_carrier(up=True)

    def set(self, **settings: str | int) -> None:
        """Change what both directions do to packets; as `Link.set`."""
        self._impair([impairment_from(each, settings) for each in self._impairments])
        change = {word: str(value) for word, value in settings.items()}
        self._recorder.event(self._world.now_ns, "link", link=self.name, change=change)

    def impair(self, impairment: Impairment, backward: Impairment | None = None) -> None:
        """Give both directions another impairment; as `Link.impair`."""
        self._impair([impairment, backward or impairment])
        self._recorder.event(self._world.now_ns, "link", link=self.name, change="impairment")

    def _set_carrier(self, *, up: bool) -> None:
        self._cable.set_up(up=up)
        change = "up" if up else "down"
        self._recorder.event(self._world.now_ns, "link", link=self.name, change=change)

    def _impair(self, impairments: Sequence[Impairment]) -> None:
        self._cable.change(impairments)
        self._impairments = list(impairments)
        self._rewired()
