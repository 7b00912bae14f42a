# SPDX-License-Identifier: Apache-2.0
"""So many pieces of work at a time, each in a fork of this process.

The pool knows nothing of their order or their results: whoever begins them
does. It ends them: one that takes too long, some that are not wanted any more,
or all of them, first in good order and then at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, Self, TypeVar

from windtunnel.engine.child import END_HOST_S, Child, wait_for
from windtunnel.engine.hostclock import monotonic_host_s

POLL_HOST_S = 0.5
"""How often a wait returns even when nothing has ended."""

Key = TypeVar("Key")


@dataclass(slots=True, eq=False)
class Running(Generic[Key]):
    """A piece of work that was begun.

    Attributes:
        key: of whoever began it.
        child: its process.
        limit_host_s: when it is too late, by the host's clock; None is never.
        overdue: whether it was told to end because it took too long.
    """

    key: Key
    child: Child
    limit_host_s: float | None = None
    overdue: bool = False

    @property
    def pidfd(self) -> int:
        """Readable when it has ended."""
        return self.child.pidfd

    @property
    def began_host_s(self) -> float:
        """When."""
        return self.child.began_host_s


class Pool(Generic[Key]):
    """Forks of this process, of which each does one piece of work and is gone.

    A context manager: what still runs at its end is ended, and what it says is lost.

    Attributes:
        running: what is being done, in the order in which it was begun.
    """

    def __init__(self, jobs: int, *, end_host_s: float = END_HOST_S) -> None:
        """Create.

        Args:
            jobs: how many at the same time, 1 or more.
            end_host_s: how long one may take to end after it was told to.
        """
        self.running: list[Running[Key]] = []
        self._jobs = jobs
        self._end_host_s = end_host_s

    @property
    def has_room(self) -> bool:
        """Whether one more can be begun."""
        return len(self.running) < self._jobs

    def begin(
        self, key: Key, work: Callable[[], Any], *, limit_host_s: float | None = None
    ) -> None:
        """Begin a piece of work.

        Args:
            key: for whoever begins it.
            work: is called in the fork; returns JSON values.
            limit_host_s: how long it may take; then it is told to end.

        Raises:
            HostError: there can be no more processes or files.
        """
        child = Child(work)
        limit = None if limit_host_s is None else child.began_host_s + limit_host_s
        self.running.append(Running(key, child, limit))

    def wait(self) -> list[Running[Key]]:
        """Wait until something has ended, or a short while; give what has, for `result`."""
        done = wait_for(self.running, self._patience_host_s())
        now_host_s = monotonic_host_s()
        for one in self.running:
            late = one.limit_host_s is not None and one.limit_host_s <= now_host_s
            if late and one not in done:
                if one.overdue:
                    one.child.kill()
                else:
                    one.overdue = True
                    one.child.interrupt()
                one.limit_host_s = now_host_s + self._end_host_s
        # In the order of their beginning, whoever ended first.
        return [one for one in self.running if one in done]

    def result(self, one: Running[Key]) -> Any:
        """Take what a piece of work returned that has ended; it is none of ours any more.

        Raises:
            InternalError, ChildLostError: as `Child.result`.
        """
        self.running.remove(one)
        return one.child.result()

    def stop(self, unwanted: Iterable[Running[Key]]) -> None:
        """End some, in good order if that does not take long; what they say is lost."""
        ending = list(unwanted)
        self.running = [one for one in self.running if one not in ending]
        for one in ending:
            one.child.interrupt()
        limit_host_s = monotonic_host_s() + self._end_host_s
        while ending:
            left_host_s = limit_host_s - monotonic_host_s()
            if left_host_s <= 0:
                for one in ending:
                    one.child.kill()
            for one in wait_for(ending, max(left_host_s, POLL_HOST_S)):
                one.child.reap()
                ending.remove(one)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop(self.running)

    def _patience_host_s(self) -> float:
        now_host_s = monotonic_host_s()
        limits = [one.limit_host_s for one in self.running if one.limit_host_s is not None]
        return max(0.0, min([POLL_HOST_S, *(limit - now_host_s for limit in limits)]))
