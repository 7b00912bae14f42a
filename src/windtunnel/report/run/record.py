# SPDX-License-Identifier: Apache-2.0
"""What the page of a run is made from, read once, as far as each part can be read.

A run that was killed, or whose files are spoilt, has a page as well: what is wrong with
them is a warning that the page shows. Nothing is asked but the folder: no clock, no host.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from windtunnel.errors import HostError, LabFileError, LabFileErrors, ProtocolError
from windtunnel.model.event import Event
from windtunnel.model.lab import LabSpec, NetworkSpec
from windtunnel.model.load import flat_spec
from windtunnel.store import layout
from windtunnel.store.run_reader import RunReader

EVENTS_MAX = 500_000
"""Events that a page is made from: what is behind them would take minutes to read."""

UNFINISHED = "unfinished"
"""A run whose manifest says "running": whether its writer still lives is the host's affair."""

_LAB_NOT_READ = "the lab of this run cannot be read, so there is no topology"


@dataclass(frozen=True)
class RunRecord:
    """A run's folder, read.

    Attributes:
        path: of the folder.
        manifest: as it was written; empty where it cannot be read.
        spec: the lab; None where it cannot be read.
        events: in their order; those before the first that is spoilt.
        warnings: what could not be read, each a sentence.
    """

    path: Path
    manifest: dict[str, Any]
    spec: LabSpec | None
    events: tuple[Event, ...]
    warnings: list[str] = field(default_factory=list)

    @property
    def state(self) -> str:
        """How the run ended, or UNFINISHED."""
        state = str(self.manifest.get("state", "running"))
        return UNFINISHED if state == "running" else state

    @cached_property
    def end_ns(self) -> int:
        """Lab time of its end; of the last event where it did not end itself."""
        end_ns = self.manifest.get("end_ns")
        if isinstance(end_ns, int):
            return end_ns
        return max((event.time_ns for event in self.events), default=0)

    @cached_property
    def nodes(self) -> tuple[str, ...]:
        """All nodes, in the order of the lab, and those that only events name behind them."""
        names = dict.fromkeys(node.name for node in self.spec.nodes) if self.spec else {}
        names |= dict.fromkeys(event.node for event in self.events if event.node)
        return tuple(names)

    @cached_property
    def peers(self) -> dict[str, str]:
        """The other end of each interface, "r1:eth0" to "r2:eth0"; of a network, its name."""
        found: dict[str, str] = {}
        if self.spec is None:
            return found
        for link in self.spec.links:
            one, other = (f"{end.node}:{end.interface}" for end in link.ends)
            found |= {one: other, other: one}
        for network in self.spec.networks:
            found |= _members(network)
        return found


def _members(network: NetworkSpec) -> dict[str, str]:
    return {f"{end.node}:{end.interface}": network.name for end in network.members}


def read_record(path: Path) -> RunRecord:
    """Read the folder of a run.

    Raises:
        UsageError: there is no run in this folder.
    """
    reader = RunReader(path)
    warnings: list[str] = []
    manifest: dict[str, Any] = {}
    try:
        manifest = reader.manifest
    except (ProtocolError, HostError) as error:
        warnings.append(_said(error, path))
    schema = manifest.get("schema", layout.SCHEMA_VERSION)
    if schema != layout.SCHEMA_VERSION:
        warnings.append(
            f"another version of windtunnel wrote this run (schema {schema}, and this one reads "
            f"{layout.SCHEMA_VERSION}): what this one does not know is missing here"
        )
    events = _events(reader, warnings.append)
    return RunRecord(path, manifest, _spec(reader, warnings.append), events, warnings)


def _events(reader: RunReader, warn: Callable[[str], None]) -> tuple[Event, ...]:
    events: list[Event] = []
    try:
        for event in reader.events():
            if len(events) == EVENTS_MAX:
                warn(f"only the first {EVENTS_MAX} events are shown")
                break
            events.append(event)
    except (ProtocolError, HostError) as error:
        warn(f"{_said(error, reader.path)}; the events behind it are missing here")
    return tuple(events)


def _spec(reader: RunReader, warn: Callable[[str], None]) -> LabSpec | None:
    try:
        text = reader.lab_text
        if not text:
            warn(f"{_LAB_NOT_READ}: the run ended before it was written")
            return None
        return flat_spec(text, file=layout.LAB)
    except (LabFileError, LabFileErrors, HostError) as error:
        warn(f"{_LAB_NOT_READ}: {_said(error, reader.path)}")
    except UnicodeDecodeError:
        warn(f"{_LAB_NOT_READ}: it is not UTF-8")
    return None


# Where the folder lies is no part of the run.
def _said(error: Exception, path: Path) -> str:
    return str(error).replace(f"{path}/", "").replace(str(path), "the run's folder")
