#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Check what clients of a list and of a register saw, by what they recorded.

    history.py SOURCE…

A source is a file of JSON lines as client.py prints them, or HOST:PORT, which sends
one. The exit status is 1 when the history shows a fault, and 2 when it cannot be read.

The journal is checked as a set of unique numbers: whatever an `ok` acknowledged
before the last reading of the journal began has to be in it, once, and nothing that
nobody tried to add. (The method is that of Jepsen's `set` checker.)

The register is checked for linearizability: every operation must seem to have
happened at one instant between its begin and its end. All ways to order the
operations that were under way at the same time are followed through the history,
and equal states are followed only once (Wing and Gong 1993, Lowe 2017).
"""

import json
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TIMEOUT_S = 5
MOST_STATES = 100_000  # of the register at one instant; more would take too long
NEVER_NS = 2**63
SHOWN_BEFORE = 3  # operations that explain why another one is wrong


@dataclass(frozen=True)
class Operation:
    """One operation of a client.

    Attributes:
        client: who did it.
        kind: add, write, read or journal.
        value: what was added, written or read.
        outcome: ok, fail, or info when nobody knows.
        begin_ns, end_ns: virtual times; NEVER_NS when it did not end.
        begin_order, end_order: the place of both lines among all lines by time.
    """

    client: str
    kind: str
    value: Any
    outcome: str
    begin_ns: int
    end_ns: int
    begin_order: int
    end_order: int

    def __str__(self) -> str:
        when = f"{seconds(self.begin_ns)} to {seconds(self.end_ns)}"
        return f"{self.kind} {self.value} by {self.client}, {when}"


def seconds(time_ns: int) -> str:
    """A time for people."""
    return "never" if time_ns == NEVER_NS else f"{time_ns / 1e9:.3f} s"


def operations(entries: list[dict[str, Any]]) -> list[Operation]:
    """Put the lines of all clients together: one operation for two lines.

    Lines of the same time keep their order within a client, and an end comes after
    the begins of that time: what may have overlapped is taken to have overlapped.
    """
    ordered = sorted(entries, key=lambda entry: (entry["time_ns"], entry["phase"] != "invoke"))
    begins, found = {}, []
    for order, entry in enumerate(ordered):
        key = entry["client"], entry["operation"]
        if entry["phase"] == "invoke":
            begins[key] = order, entry
            continue
        begin_order, begin = begins.pop(key)
        found.append(operation(begin, entry, begin_order, order))
    unfinished = (
        operation(entry, entry | {"phase": "info", "time_ns": NEVER_NS}, order, NEVER_NS)
        for order, entry in begins.values()
    )
    return sorted([*found, *unfinished], key=lambda done: done.begin_order)


def operation(
    begin: dict[str, Any], end: dict[str, Any], begin_order: int, end_order: int
) -> Operation:
    """One operation from its two lines."""
    return Operation(
        client=begin["client"],
        kind=begin["do"],
        value=end["value"],
        outcome=end["phase"],
        begin_ns=begin["time_ns"],
        end_ns=end["time_ns"],
        begin_order=begin_order,
        end_order=end_order,
    )


State = tuple[frozenset[Operation], Any]
"""The pending operations that have had their instant, and the register's value then."""


@dataclass(frozen=True)
class Journal:
    """What became of the numbers that were added.

    Attributes:
        reading: the last reading of the journal, or None.
        acknowledged, refused, unknown: additions by how they ended.
        lost: acknowledged before the reading began, and not in it.
        recovered: those of unknown end that are in it.
        unexpected: numbers in it that nobody added, or that were refused.
        doubled: numbers in it more than once.
    """

    reading: Operation | None
    acknowledged: list[Operation]
    refused: list[Operation]
    unknown: list[Operation]
    lost: list[Operation]
    recovered: list[Operation]
    unexpected: list[int]
    doubled: list[int]

    @property
    def good(self) -> bool:
        """Whether the journal was read, and nothing is wrong with it."""
        return bool(self.reading) and not (self.lost or self.unexpected or self.doubled)


def check_journal(done: list[Operation]) -> Journal:
    """Compare the last reading of the journal with all additions."""
    readings = [one for one in done if one.kind == "journal" and one.outcome == "ok"]
    reading = max(readings, key=lambda one: one.begin_order, default=None)
    numbers = reading.value if reading else []
    present = set(numbers)
    by_outcome = {
        outcome: [one for one in done if one.kind == "add" and one.outcome == outcome]
        for outcome in ("ok", "fail", "info")
    }
    acknowledged = by_outcome["ok"]
    possible = {one.value for one in [*acknowledged, *by_outcome["info"]]}
    due = [one for one in acknowledged if reading and one.end_order < reading.begin_order]
    return Journal(
        reading=reading,
        acknowledged=acknowledged,
        refused=by_outcome["fail"],
        unknown=by_outcome["info"],
        lost=[one for one in due if one.value not in present],
        recovered=[one for one in by_outcome["info"] if one.value in present],
        unexpected=sorted(present - possible),
        doubled=sorted(number for number in present if numbers.count(number) > 1),
    )


def check_register(done: list[Operation]) -> Operation | None:
    """Return the first operation that no order explains, or None when all is well.

    A write whose end is unknown may take effect at any later time or never. One whose
    value nobody has read needs no place in the order, so it is left out: that keeps
    the number of states small.
    """
    reads = [one for one in done if one.kind == "read" and one.outcome == "ok"]
    seen = {one.value for one in reads}
    writes = [
        one
        for one in done
        if one.kind == "write"
        and (one.outcome == "ok" or (one.outcome == "info" and one.value in seen))
    ]
    events = [(one.begin_order, one, True) for one in [*reads, *writes]]
    events += [(one.end_order, one, False) for one in [*reads, *writes] if one.outcome == "ok"]
    states: set[State] = {(frozenset(), None)}
    pending: list[Operation] = []
    for _, one, begins in sorted(events, key=lambda event: event[0]):
        if begins:
            pending.append(one)
            continue
        # `one` has ended: only states in which it has had its instant remain
        states = {state for state in reachable(states, pending) if one in state[0]}
        if not states:
            return one
        pending.remove(one)
        states = {(placed - {one}, value) for placed, value in states}
    return None


def reachable(states: set[State], pending: list[Operation]) -> set[State]:
    """All states that some pending operations, in some order, lead to."""
    found, todo = set(states), list(states)
    while todo:
        placed, value = todo.pop()
        for one in pending:
            if one in placed or (one.kind == "read" and one.value != value):
                continue
            state = placed | {one}, one.value
            if state not in found:
                found.add(state)
                todo.append(state)
        if len(found) > MOST_STATES:
            raise ValueError(f"more than {MOST_STATES} states of the register: too many to follow")
    return found


def report(journal: Journal, done: list[Operation], wrong: Operation | None) -> str:
    """The table, and what is wrong, as text."""
    register = [one for one in done if one.kind in ("write", "read") and one.outcome == "ok"]
    rows = [
        ("journal: acknowledged", len(journal.acknowledged)),
        ("         lost", len(journal.lost)),
        ("         refused", len(journal.refused)),
        ("         unknown", len(journal.unknown)),
        ("         of these kept", len(journal.recovered)),
        ("         unexpected", len(journal.unexpected)),
        ("         doubled", len(journal.doubled)),
        ("register: done", len(register)),
        ("          linearizable", "no" if wrong else "yes"),
    ]
    lines = [f"{name:<24} {value:>6}" for name, value in rows]
    if journal.reading is None:
        lines.append("nobody could read the journal at the end")
    if journal.lost:
        first, last = journal.lost[0], journal.lost[-1]
        lines.append(f"first lost: {first}; read at {seconds(journal.reading.begin_ns)}")
        lines.append(f"last lost: {last}")
    if journal.unexpected:
        lines.append(f"unexpected: {journal.unexpected[0]} was never added, or refused")
    if journal.doubled:
        lines.append(f"doubled: {journal.doubled[0]}")
    if wrong:
        lines.append(f"no order explains: {wrong}")
        before = [one for one in register if one.end_order < wrong.begin_order]
        before.sort(key=lambda one: one.end_order)
        lines += [f"       before it: {one}" for one in before[-SHOWN_BEFORE:]]
    return "\n".join(lines)


def read_source(source: str) -> list[dict[str, Any]]:
    """The entries of a file or of HOST:PORT."""
    host, colon, port = source.rpartition(":")
    if colon and port.isdigit():
        with socket.create_connection((host, int(port)), TIMEOUT_S) as peer:
            text = peer.makefile().read()
    else:
        text = Path(source).read_text()
    return [json.loads(line) for line in text.splitlines()]


def main(sources: list[str]) -> int:
    """Check the history in `sources`, print the table, return the exit status."""
    try:
        done = operations([entry for source in sources for entry in read_source(source)])
        journal, wrong = check_journal(done), check_register(done)
    except (OSError, ValueError, LookupError, TypeError) as error:
        print(f"cannot check this history: {error!r}", file=sys.stderr)
        return 2
    print(report(journal, done, wrong))
    return 0 if journal.good and not wrong else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
