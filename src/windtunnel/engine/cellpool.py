# SPDX-License-Identifier: Apache-2.0
"""Where tries of cells are executed: what a runner asks of any such place, and the local one."""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, Self

from windtunnel.engine.celltry import CellTry, run_try
from windtunnel.engine.pool import Pool

_NOT_BEGUN_NS = -(1 << 63)


class Beat:
    """How far a try has come, told by its process through shared memory."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 8)
        self.tell(_NOT_BEGUN_NS)

    def tell(self, now_ns: int) -> None:
        """Say what time it is in the lab."""
        self._memory[:] = struct.pack("q", now_ns)

    @property
    def now_ns(self) -> int | None:
        """Lab time; None while the kernel boots; negative while the lab is set up."""
        now_ns = int(struct.unpack("q", self._memory[:])[0])
        return None if now_ns == _NOT_BEGUN_NS else now_ns

    def close(self) -> None:
        """Give the memory back."""
        self._memory.close()


@dataclass(frozen=True, slots=True)
class InFlight:
    """A try that is being run.

    Attributes:
        what: it.
        beat: how far it has come.
        began_host_s: when, by the host's clock.
    """

    what: CellTry
    beat: Beat
    began_host_s: float = 0.0


class Begun(Protocol):
    """A try that a place executes.

    Attributes:
        key: what was begun.
        overdue: whether it was told to end because it took too long.
    """

    key: InFlight
    overdue: bool

    @property
    def began_host_s(self) -> float:
        """When, by the host's clock."""
        ...


class CellPool(Protocol):
    """A place that executes so many tries at the same time.

    A context manager: what still runs at its end is ended, and what it says is lost.
    """

    running: list[Any]
    """What is being done, each a `Begun`, in the order in which it was begun."""

    @property
    def has_room(self) -> bool:
        """Whether one more can be begun."""
        ...

    def try_cell(self, key: InFlight, *, limit_host_s: float | None = None) -> None:
        """Begin a try.

        Args:
            key: it.
            limit_host_s: how long it may take; then it is told to end.

        Raises:
            HostError: there can be no more.
        """
        ...

    def wait(self) -> list[Any]:
        """Wait until something has ended, or a short while; give what has, for `result`."""
        ...

    def result(self, one: Any) -> Any:
        """Take what `run_try` returned for a try that has ended; its run folder is there.

        Raises:
            InternalError: it met a bug of ours.
            ChildLostError: nobody is left to tell.
        """
        ...

    def stop(self, unwanted: list[Any]) -> None:
        """End some; what they say is lost."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_error: object) -> None: ...


class MakePool(Protocol):
    """Makes a place."""

    def __call__(self, jobs: int, *, end_host_s: float) -> CellPool:
        """Make it.

        Args:
            jobs: how many tries at the same time.
            end_host_s: how long one may take to end after it was told to.
        """
        ...


class LocalPool(Pool[InFlight]):
    """Forks of this process."""

    def try_cell(self, key: InFlight, *, limit_host_s: float | None = None) -> None:
        """Begin a try in a fork."""
        self.begin(key, partial(run_try, key.what), limit_host_s=limit_host_s)
