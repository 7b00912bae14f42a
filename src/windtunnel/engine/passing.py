# SPDX-License-Identifier: Apache-2.0
"""Letting time pass in one world, for its program and for what is planned in it.

Whoever waits, the world's plan (its faults) goes on at its times. A pause ends
the call by which a program lets time pass; what the engine itself waits for, an
answer of a guest, is never cut short: that would leave things half done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from windtunnel.engine.loop import Calendar
from windtunnel.engine.timeline import Condition, Timeline
from windtunnel.engine.waits import Waits
from windtunnel.errors import PausedError, StateError


class Passing:
    """The time of one world, in lab time.

    Attributes:
        plan: what happens meanwhile; empty at first.
    """

    def __init__(self, calendar: Calendar, waits: Waits, *, watched: bool) -> None:
        """Create.

        Args:
            calendar: of the world.
            waits: the same.
            watched: whether somebody is told what happens, and so may pause at it.
        """
        self._calendar = calendar
        self._waits = waits
        self._watched = watched
        self._inside = False
        self._pausable = False
        self._paused = False
        self.plan = Timeline(_Plain(self), ())

    @property
    def now_ns(self) -> int:
        """Lab time."""
        return self._calendar.now_ns - self._calendar.zero_ns

    def pause(self) -> bool:
        """End the call that lets time pass for the program; whether there was one."""
        self._paused = self._pausable
        return self._paused

    def until(self, time_ns: int, *, pausable: bool) -> bool:
        """Let time pass until a lab time; False when a pause came first."""
        with self._program(pausable):
            if self.plan.finished or self.plan.busy:
                self._until(time_ns, awaited=pausable and self._watched)
            else:
                self.plan.advance(self._is_paused, until_ns=time_ns)
            return not self._is_paused()

    def wait(
        self, condition: Condition, what: str, *, limit_ns: int | None = None, pausable: bool
    ) -> bool:
        """Let time pass until `condition` holds; whether it does.

        Args:
            condition: looked at after each report of a guest.
            what: completes "nothing is left to happen while waiting for …".
            limit_ns: give up after so long.
            pausable: whether a pause ends the wait, too.

        Raises:
            IdleError: there is no limit, and it can never hold.
        """
        until_ns = None if limit_ns is None else self.now_ns + limit_ns
        with self._program(pausable):
            if self.plan.finished or self.plan.busy:
                self._wait(lambda: condition() or self._is_paused(), what, limit_ns)
            else:
                self.plan.advance(lambda: condition() or self._is_paused(), until_ns=until_ns)
            return condition()

    def was_paused(self) -> bool:
        """Whether a pause ended the program's last call."""
        return self._paused

    def refuse(self, what: str) -> None:
        """Tell a program that does not expect a pause that there was one.

        Raises:
            PausedError: always.
        """
        raise PausedError(
            f"paused at {self.now_ns / 1e9:.9f} s, before the end of {what}",
            time_ns=self.now_ns,
            hint="let time pass again, and wait again for what you waited for",
        )

    # A pause is for the outermost call, which is the program's.
    @contextmanager
    def _program(self, pausable: bool) -> Iterator[None]:
        if self._inside:
            raise StateError(
                "time passes already",
                state="time passes",
                required="time stands still",
                hint="a predicate, or a recorder, may look at the world and call World.pause",
            )
        if not pausable or self._pausable:
            yield
            return
        self._pausable, self._paused = True, False
        try:
            yield
        finally:
            self._pausable = False

    def _is_paused(self) -> bool:
        return self._pausable and self._paused and not self.plan.busy

    # ---- without the plan ----

    def _until(self, time_ns: int, *, awaited: bool) -> None:
        if time_ns <= self.now_ns:
            return
        reached = False

        def reach() -> None:
            nonlocal reached
            reached = True

        appointment = self._calendar.at(time_ns + self._calendar.zero_ns, reach)
        with self._passes():
            try:
                self._calendar.run(lambda: reached or self._is_paused(), awaited=awaited)
            finally:
                appointment.cancel()

    def _wait(self, condition: Condition, what: str, limit_ns: int | None) -> None:
        if limit_ns is None:
            with self._passes():
                self._waits.wait(condition, what)
            return
        over = False

        def end() -> None:
            nonlocal over
            over = True

        appointment = self._calendar.at(self._calendar.now_ns + limit_ns, end)
        with self._passes():
            try:
                self._waits.wait(lambda: over or condition(), what, quiet_max_ns=None)
            finally:
                appointment.cancel()

    @contextmanager
    def _passes(self) -> Iterator[None]:
        self._inside = True
        try:
            yield
        finally:
            self._inside = False


class _Plain:
    """Time for the plan itself, which is what goes on meanwhile."""

    def __init__(self, passing: Passing) -> None:
        self._passing = passing

    @property
    def now_ns(self) -> int:
        return self._passing.now_ns

    def wait_at_most(self, condition: Condition, limit_ns: int, what: str) -> bool:
        self._passing._wait(condition, what, limit_ns)  # noqa: SLF001 - a part of it
        return condition()

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        self._passing._wait(condition, what, None)  # noqa: SLF001 - a part of it
