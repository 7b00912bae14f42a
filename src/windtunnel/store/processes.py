# SPDX-License-Identifier: Apache-2.0
"""The table of all processes of a run, made from its events.

The events are the truth: `processes.json` is only this table written down, so a
run that was killed has it as well.

    process-start   fields: process, command, pid
    process-exit    fields: process, outcome, status, user_ns, system_ns
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from windtunnel.model.event import Event

START = "process-start"
EXIT = "process-exit"


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """What became of one process.

    Attributes:
        node: where it ran.
        name: of the process; names the files of its output.
        command: the shell command line; empty when the start was not recorded.
        pid: in its node; None when it is not known.
        start_ns: lab time; None when the start was not recorded.
        end_ns: lab time; None while it runs.
        outcome: "exited", "killed" or another word of the engine's; "running"
            when it had not ended when the record ends.
        status: the exit status, or the number of the signal; None while it runs.
        user_ns: processor time outside of the kernel.
        system_ns: processor time in the kernel.
    """

    node: str
    name: str
    command: str = ""
    pid: int | None = None
    start_ns: int | None = None
    end_ns: int | None = None
    outcome: str = "running"
    status: int | None = None
    user_ns: int = 0
    system_ns: int = 0

    def to_json(self) -> dict[str, Any]:
        """Give the record as JSON values, as `processes.json` has it."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> ProcessRecord:
        """Build from one entry of `processes.json`; keys of later versions are left out."""
        return cls(**{key: record[key] for key in cls.__slots__ if key in record})


class ProcessTable:
    """The table, built event by event; the order is the order of starting."""

    def __init__(self) -> None:
        self._records: list[ProcessRecord] = []
        self._running: dict[tuple[str, str], int] = {}  # (node, name) -> index of the record

    def add(self, event: Event) -> None:
        """Take in one event; kinds that say nothing about a process are passed over.

        A name may start again after it has ended: that is a second record.
        """
        if event.kind not in (START, EXIT):
            return
        fields = event.fields
        key = (event.node, str(fields.get("process", "")))
        if event.kind == START or key not in self._running:
            self._running[key] = len(self._records)
            self._records.append(ProcessRecord(*key))
        index = self._running[key]
        if event.kind == START:
            self._records[index] = replace(
                self._records[index],
                command=str(fields.get("command", "")),
                pid=fields.get("pid"),
                start_ns=event.time_ns,
            )
            return
        del self._running[key]
        self._records[index] = replace(
            self._records[index],
            end_ns=event.time_ns,
            outcome=str(fields.get("outcome", "exited")),
            status=fields.get("status"),
            user_ns=fields.get("user_ns", 0),
            system_ns=fields.get("system_ns", 0),
        )

    def records(self) -> tuple[ProcessRecord, ...]:
        """Give the table as it stands."""
        return tuple(self._records)


def processes_from_events(events: Iterable[Event]) -> tuple[ProcessRecord, ...]:
    """Make the table of a whole run, in the order of starting."""
    table = ProcessTable()
    for event in events:
        table.add(event)
    return table.records()
