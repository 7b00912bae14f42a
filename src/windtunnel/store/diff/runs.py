# SPDX-License-Identifier: Apache-2.0
"""All that differs between two runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path
from typing import Any

from windtunnel.store.diff.events import (
    EventDifference,
    Wanted,
    compare_events,
    first_difference,
)
from windtunnel.store.diff.files import (
    FileDifference,
    LogDifference,
    OutputDifference,
    compare_logs,
    compare_other_files,
    compare_outputs,
)
from windtunnel.store.run_reader import RunReader

_CONDITIONS = (
    "lab", "seed", "kernel", "node_kernels", "stop_ns", "windtunnel", "schema", "driver",
)  # fmt: skip
_OF_PROGRAM = ("windtunnel", "schema")
_VERDICT = ("state", "verdict", "finding", "end_ns")
_LAB_LINES_MAX = 20


@dataclass(frozen=True, slots=True)
class Pair:
    """A value that the two runs have not in common.

    Attributes:
        name: of what.
        a, b: the values; None where there is none.
    """

    name: str
    a: Any
    b: Any


@dataclass(frozen=True, slots=True)
class RunDifference:
    """What differs between two runs.

    Attributes:
        conditions: what they were made from.
        lab: changed lines of the lab, as a unified diff.
        verdict: how they ended.
        events: their events.
        counts: of events by kind and node.
        checks: passed or not, with the message, and when.
        counters: the last of each interface and process.
        outputs: of processes.
        logs: of kernels.
        files: others, with the first byte that differs.
    """

    conditions: tuple[Pair, ...]
    lab: tuple[str, ...]
    verdict: tuple[Pair, ...]
    events: EventDifference
    counts: tuple[Pair, ...]
    checks: tuple[Pair, ...]
    counters: tuple[Pair, ...]
    outputs: tuple[OutputDifference, ...]
    logs: tuple[LogDifference, ...]
    files: tuple[FileDifference, ...]

    @property
    def equal(self) -> bool:
        """Whether nothing that was compared differs; what they were made from does not count."""
        found = (self.verdict, self.checks, self.counters, self.outputs, self.logs, self.files)
        return self.events.equal and not any(found)


def diff_runs(
    a: Path, b: Path, wanted: Wanted, progress: Callable[[int], None] = lambda _count: None
) -> RunDifference:
    """Compare two runs.

    Args:
        a: folder of a run, the good one for example.
        b: folder of the other.
        wanted: which events.
        progress: told now and then how many events have been read.

    Raises:
        UsageError: one of the folders is no run.
        ProtocolError: a run's record is broken; names file and line.
        HostError: a file cannot be read.
    """
    readers = RunReader(a), RunReader(b)
    manifests = readers[0].manifest, readers[1].manifest
    states = [dict(manifest) for manifest in manifests]
    for state, reader in zip(states, readers, strict=True):
        state["state"] = reader.state
    events = compare_events(a, b, wanted, progress)
    one, other = events.sides
    return RunDifference(
        conditions=_pairs(*manifests, keys=_CONDITIONS),
        lab=_lab_lines(readers[0].lab_text, readers[1].lab_text),
        verdict=_pairs(states[0], states[1], keys=_VERDICT),
        events=events,
        counts=_named(one.counts, other.counts),
        checks=_named(one.checks, other.checks),
        counters=_named(one.counters, other.counters),
        outputs=tuple(compare_outputs(a, b, wanted.node)),
        logs=tuple(compare_logs(a, b, wanted.node)),
        files=() if wanted.node else tuple(compare_other_files(a, b)),
    )


def begin_of_difference(
    a: Path, b: Path, *, context: int
) -> tuple[tuple[str, ...], EventDifference]:
    """Find only what two runs were made from that differs, and their first event that does.

    It takes as long as to compare bytes, however many events there are.

    Args:
        a: folder of a run, the good one for example.
        b: folder of the other.
        context: how many events before the first one are wanted.

    Returns:
        Names of the conditions that differ, "lab" among them, and the first event.

    Raises:
        UsageError: one of the folders is no run.
        ProtocolError: a run's record is broken; names file and line.
        HostError: a file cannot be read.
    """
    readers = RunReader(a), RunReader(b)
    changed = [
        one.name
        for one in _pairs(readers[0].manifest, readers[1].manifest, keys=_CONDITIONS)
        if one.name not in _OF_PROGRAM
    ]
    if readers[0].lab_text != readers[1].lab_text:
        changed.append("lab")
    return tuple(dict.fromkeys(changed)), first_difference(a, b, context)


def _pairs(a: Any, b: Any, *, keys: tuple[str, ...]) -> tuple[Pair, ...]:
    return tuple(Pair(key, a.get(key), b.get(key)) for key in keys if a.get(key) != b.get(key))


def _named(a: Any, b: Any) -> tuple[Pair, ...]:
    """What differs of two tables whose keys are tuples of texts."""
    keys = dict.fromkeys([*a, *b])
    return tuple(
        Pair(" ".join(filter(None, key)), a.get(key), b.get(key))
        for key in sorted(keys)
        if a.get(key) != b.get(key)
    )


def _lab_lines(a: str, b: str) -> tuple[str, ...]:
    found = [
        line
        for line in unified_diff(a.splitlines(), b.splitlines(), n=0, lineterm="")
        if not line.startswith(("---", "+++", "@@"))
    ]
    more = len(found) - _LAB_LINES_MAX
    return (*found[:_LAB_LINES_MAX], *([f"and {more} lines more"] if more > 0 else []))
