# SPDX-License-Identifier: Apache-2.0
"""Waiting in virtual time for what guests report."""

from __future__ import annotations

from collections.abc import Callable

from windtunnel.engine.loop import Calendar
from windtunnel.errors import IdleError
from windtunnel.machines.agent import Reply

QUIET_MAX_NS = 24 * 3600 * 1_000_000_000
"""A wait without a limit ends when nothing is heard of any guest for a virtual day.

A kernel always has some timer left, so it is never found to sleep for ever."""


class Waits:
    """Lets time pass until something holds, for everybody in one world."""

    def __init__(self, calendar: Calendar) -> None:
        self._calendar = calendar
        self._heard_ns = 0

    def heard(self) -> None:
        """Take note that a guest has reported something."""
        self._heard_ns = self._calendar.now_ns

    def wait(
        self,
        condition: Callable[[], bool],
        what: str,
        *,
        quiet_max_ns: int | None = QUIET_MAX_NS,
    ) -> None:
        """Let virtual time pass until `condition` holds, and no longer than the calendar must.

        Args:
            condition: looked at after each report of an agent.
            what: completes "nothing is left to happen while waiting for …".
            quiet_max_ns: give up when no agent has told anything for so long;
                None never does, for waits that end by themselves.

        Raises:
            IdleError: it can never hold, or nothing has happened for too long.
        """
        began_ns = self._calendar.now_ns

        def quiet() -> bool:
            since_ns = max(began_ns, self._heard_ns)
            return quiet_max_ns is not None and self._calendar.now_ns - since_ns > quiet_max_ns

        ended = self._calendar.run(lambda: condition() or quiet())
        if not ended or not condition():
            raise IdleError(
                f"nothing is left to happen while waiting for {what}",
                time_ns=self._calendar.now_ns - self._calendar.zero_ns,
                hint="give the wait a time limit, or look what the process waits for",
            )

    def ask(self, reply: Reply, what: str) -> Reply:
        """Wait for an answer; returns it, failed or not."""
        self.wait(lambda: reply.done, what)
        return reply
