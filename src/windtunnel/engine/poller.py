# SPDX-License-Identifier: Apache-2.0
"""Waiting for what guests say: their sockets, and who serves each."""

from __future__ import annotations

import select
from collections.abc import Callable, Hashable
from contextlib import suppress
from typing import Protocol

Serve = Callable[[], None]


class Source(Hashable, Protocol):
    """A socket, or whatever else has a descriptor."""

    def fileno(self) -> int:
        """Return the descriptor."""


class Poller:
    """Sockets and the like that are watched for reading, one for each owner."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._serve: dict[int, Serve] = {}
        self._files: dict[Hashable, int] = {}

    def watch(self, owner: Hashable, source: Source | None, serve: Serve) -> None:
        """Watch a socket instead of the owner's former one; None only forgets that."""
        self.unwatch(owner)
        if source is not None:
            file = source.fileno()
            self._epoll.register(file, select.EPOLLIN)
            self._files[owner] = file
            self._serve[file] = serve

    def unwatch(self, owner: Hashable) -> None:
        """Forget an owner's socket, open or closed; no effect when it has none."""
        file = self._files.pop(owner, None)
        if file is not None:
            del self._serve[file]
            with suppress(OSError):  # it was closed, and the system has forgotten it
                self._epoll.unregister(file)

    def wait(self, limit_host_s: float) -> bool:
        """Serve what can be read, when there is something; whether there was in time."""
        # All are looked up before any is served: that may close others, whose numbers
        # are then taken anew.
        ready = [self._serve[file] for file, _ in self._epoll.poll(limit_host_s)]
        for serve in ready:
            serve()
        return bool(ready)

    def close(self) -> None:
        """Close it; may be called again."""
        self._epoll.close()
