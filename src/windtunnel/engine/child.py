# SPDX-License-Identifier: Apache-2.0
"""Work done by a fork of this process: it has everything imported, and half a second saved.

The fork does its work and is gone; nothing of it reaches this process but one
JSON value. It ends when this process dies.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import tempfile
import traceback
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any, NoReturn, Protocol, TypeVar

from windtunnel.engine.hostclock import monotonic_host_s
from windtunnel.errors import ExitStatus, HostError, InternalError
from windtunnel.machines.syscalls import PR_SET_PDEATHSIG, prctl

END_HOST_S = 10.0
"""How long a child may take to end after it was told to."""

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Ending(Protocol):
    """A process that is waited for."""

    @property
    def pidfd(self) -> int:
        """Readable when it has ended."""


Waited = TypeVar("Waited", bound=Ending)


class ChildLostError(HostError):
    """A process of ours was killed, or ended without a word.

    Attributes:
        status: its exit status; -N when signal N killed it.
    """

    def __init__(self, status: int) -> None:
        super().__init__(
            f"a run's process ended with status {status} and without a word",
            hint="was it killed, for want of memory for one? try fewer --jobs",
        )
        self.status = status


class Child:
    """One piece of work, begun.

    Attributes:
        began_host_s: when.
        pid: of it.
        pidfd: readable when it has ended; -1 when its end was taken note of.
    """

    def __init__(self, work: Callable[[], Any]) -> None:
        """Begin.

        Args:
            work: is called in the fork; returns JSON values.

        Raises:
            HostError: there can be no more processes or files.
        """
        self.began_host_s = monotonic_host_s()
        parent = os.getpid()
        # A signal that comes before the fork has its own handlers would be raised in
        # it as if it were its parent.
        unblocked = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
        try:
            self._output = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed in _close
            self.pid = os.fork()
            if self.pid == 0:
                self._work(work, parent, unblocked)
        except OSError as error:
            raise HostError(f"cannot start a process: {error.strerror}") from error
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)
        self.pidfd = os.pidfd_open(self.pid)

    def result(self) -> Any:
        """Take what the work returned; it must have ended.

        Raises:
            InternalError: the work raised; its traceback is noted.
            ChildLostError: it was killed, or it ended without a word.
        """
        _, status = os.waitpid(self.pid, 0)
        self._output.seek(0)
        text = self._output.read()
        self._close()
        if not text:
            raise ChildLostError(os.waitstatus_to_exitcode(status))
        told = json.loads(text)
        if "bug" in told:
            error = InternalError("a run raised what it must not")
            error.add_note(told["bug"])
            raise error
        return told["result"]

    def interrupt(self) -> None:
        """Tell it to end in good order, as by Ctrl-C; that takes a while."""
        signal.pidfd_send_signal(self.pidfd, signal.SIGINT)

    def kill(self) -> None:
        """End it at once; `result` says so then."""
        signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)

    def reap(self) -> None:
        """Take note of its end, which must have come; what it says is lost."""
        os.waitpid(self.pid, 0)
        self._close()

    def _close(self) -> None:
        os.close(self.pidfd)
        self.pidfd = -1
        self._output.close()

    def _work(
        self, work: Callable[[], Any], parent: int, unblocked: set[int | signal.Signals]
    ) -> NoReturn:
        # Never returns: whoever called us is somebody else's business in this process.
        status = int(ExitStatus.INTERNAL)
        try:
            for number in _ENDING:
                signal.signal(number, _interrupted)
            signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)
            prctl(PR_SET_PDEATHSIG, signal.SIGINT)
            if os.getppid() == parent:
                null = os.open(os.devnull, os.O_RDWR)
                for fd in (0, 1, 2):
                    os.dup2(null, fd)
                self._tell({"result": work()})
                status = 0
        except KeyboardInterrupt:
            status = ExitStatus.INTERRUPTED
        except BaseException:  # noqa: BLE001 - the parent raises it
            self._tell({"bug": traceback.format_exc()})
        finally:
            os._exit(status)

    def _tell(self, told: Any) -> None:
        self._output.write(json.dumps(told))
        self._output.flush()


def _interrupted(_number: int, _frame: FrameType | None) -> None:
    # Ctrl-C reaches us from the terminal and then from our parent: what is being
    # ended in good order is not interrupted once more.
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def wait_for(children: Sequence[Waited], limit_host_s: float) -> list[Waited]:
    """Wait until one of them has ended, or the time is over; give those that have."""
    with selectors.DefaultSelector() as selector:
        for child in children:
            selector.register(child.pidfd, selectors.EVENT_READ, child)
        return [key.data for key, _ in selector.select(limit_host_s)]
