# SPDX-License-Identifier: Apache-2.0
"""What is to happen when, in virtual time.

A heap of (time, running number): two actions of the same instant are done in
the order in which they were added, never by identity or by hash. The agenda
does not decide who goes first between its actions and the guests; the loop
does. Time is an integer of nanoseconds and never goes back.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

from windtunnel.errors import InternalError

Action = Callable[[], None]


@dataclass(slots=True)
class Appointment:
    """One entry of the agenda.

    Attributes:
        time_ns: when.
        action: what; None once it is cancelled or done.
    """

    time_ns: int
    action: Action | None

    def cancel(self) -> None:
        """Make sure that it does not happen; no effect once it has."""
        self.action = None


class Agenda:
    """The virtual clock and everything that is to happen."""

    def __init__(self) -> None:
        # A number is there once only, so appointments are never compared.
        self._entries: list[tuple[int, int, Appointment]] = []
        self._numbers = count()
        self._now_ns = 0

    @property
    def now_ns(self) -> int:
        """The present instant, nanoseconds since the world began."""
        return self._now_ns

    def advance(self, time_ns: int) -> None:
        """Move the clock forward.

        Raises:
            InternalError: when `time_ns` lies in the past: some guest ran too far.
        """
        if time_ns < self._now_ns:
            raise InternalError(f"time would go back from {self._now_ns} to {time_ns} ns")
        self._now_ns = time_ns

    def add(self, time_ns: int, action: Action) -> Appointment:
        """Have `action` called at `time_ns`, behind what is there for that instant.

        Raises:
            InternalError: when `time_ns` lies in the past.
        """
        if time_ns < self._now_ns:
            raise InternalError(f"appointment at {time_ns} ns, but it is {self._now_ns} ns")
        appointment = Appointment(time_ns, action)
        heapq.heappush(self._entries, (time_ns, next(self._numbers), appointment))
        return appointment

    def next_ns(self) -> int | None:
        """When the next action is due; None when there is none."""
        entries = self._entries
        while entries and entries[0][2].action is None:
            heapq.heappop(entries)
        return entries[0][0] if entries else None

    def take(self) -> Action | None:
        """Move to the next action's time and take it away; None when there is none.

        It is taken away before it is called, so that it can add to the agenda.
        """
        if self.next_ns() is None:
            return None
        time_ns, _, appointment = heapq.heappop(self._entries)
        self._now_ns = max(time_ns, self._now_ns)
        action = appointment.action
        appointment.action = None
        return action
