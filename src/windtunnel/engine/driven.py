# SPDX-License-Identifier: Apache-2.0
"""A run with its folder, in the hands of a program: what a test of a lab is.

The lab's processes, faults and steps happen at their times while the program lets
time pass. How it ended, the program says; the folder keeps it. Counters are not
sampled: that would be one more thing that always happens next, and a wait for what
never comes would not end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from windtunnel.engine.capture import Captures
from windtunnel.engine.run import Check, LabRun, tell, untold
from windtunnel.engine.session import RunRecord, SessionRequest
from windtunnel.engine.world import World
from windtunnel.errors import GuestError, OverdueError, ProtocolError, WindtunnelError


class DrivenRun:
    """A lab that a program drives. A context manager: leaving it ends everything.

    Attributes:
        world: the lab, running.
        path: the run's folder.
    """

    def __init__(
        self,
        request: SessionRequest,
        *,
        schedule: bool = True,
        begun: Callable[[Path], None] = lambda _path: None,
    ) -> None:
        """Boot the lab, and let time pass to lab time zero.

        Args:
            request: what to run; `repeat` says how the program is repeated.
            schedule: whether the lab's own processes, faults, steps, captures and its
                limit of virtual time are part of it.
            begun: called with the run's folder as soon as it is there.

        Raises:
            UsageError, HostError, GuestError: as `run_session` and `World`. The
                folder, if it could be made, says so.
        """
        self._record = RunRecord(request, begun=begun)
        self.path = self._record.path
        self._run: LabRun | None = None
        self._captures: Captures | None = None
        self._ended = False
        try:
            self.world = World(request.spec, self._record.options, self._record.recorder)
        except BaseException as error:
            self._ended = True
            with self._record:
                self._finish(error, None)
            raise
        limit_ns = request.spec.limits.virtual_ns
        if schedule:
            try:
                if limit_ns is not None:
                    self.world.end_by(limit_ns)
                self._begin_schedule()
            except BaseException as error:
                self.end(error)
                raise

    def _begin_schedule(self) -> None:
        recorder = self._record.recorder
        self._captures = Captures(self.world, sink_of=recorder.capture)
        self._captures.start()
        self._run = LabRun(
            self.world, recorder, captures=recorder.capture, progress=lambda _doing: None
        )
        self.world.plan_tasks(self._run.tasks())

    @property
    def failed_checks(self) -> tuple[Check, ...]:
        """The checks of the lab's own steps that count and have failed so far."""
        checks = () if self._run is None else self._run.checks
        return tuple(check for check in checks if check.judged and not check.passed)

    def end(self, error: BaseException | None = None) -> None:
        """End it and record how; no effect if it has ended.

        Args:
            error: what the program failed with; None if it did not. A
                KeyboardInterrupt says that it was interrupted.
        """
        if self._ended:
            return
        self._ended = True
        with self._record:
            with self.world:
                self._end_captures(error)
                end_ns = self.world.now_ns
                passed = error is None and not self.failed_checks
                self._collect(error, end_ns)
                self._record.recorder.event(end_ns, "lab-end", passed=passed)
            self._finish(error, end_ns)

    def _end_captures(self, error: BaseException | None) -> None:
        if self._captures is None:
            return
        try:
            if error is None or not isinstance(error, WindtunnelError | KeyboardInterrupt):
                self._captures.stop()
        except GuestError:
            pass  # what the captures have is written all the same
        finally:
            self._captures.close()

    def _collect(self, error: BaseException | None, end_ns: int) -> None:
        """Take what the kernels have gathered; a test's verdict is not about that."""
        world, recorder = self.world, self._record.recorder
        is_over = isinstance(error, GuestError | KeyboardInterrupt)
        if world.tracing is not None:
            collect = world.tracing.rescue if is_over else world.tracing.end
            with self._telling("trace", end_ns):
                collect(world.nodes, recorder.trace)
        if world.coverage is not None and not is_over:
            with self._telling("coverage", end_ns):
                world.coverage.collect(recorder.coverage)

    @contextmanager
    def _telling(self, name: str, end_ns: int) -> Iterator[None]:
        try:
            yield
        except (GuestError, ProtocolError) as error:
            tell(self._record.recorder, untold(name, error, end_ns, judged=False), end_ns)

    def _finish(self, error: BaseException | None, end_ns: int | None) -> None:
        state = "passed" if error is None and not self.failed_checks else "failed"
        if isinstance(error, KeyboardInterrupt):
            state = "interrupted"
        elif isinstance(error, WindtunnelError):
            state = "timeout" if isinstance(error, OverdueError) else "error"
        if isinstance(error, GuestError):
            self._record.note_error(error)
        finding = None
        if error is not None:
            finding = str(error) if isinstance(error, WindtunnelError) else _one_line(error)
        self._record.finish(state, finding=finding, end_ns=end_ns)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end(error)


def _one_line(error: BaseException) -> str:
    """What a program's own exception says, shortly; its text may have many lines."""
    first = str(error).strip().split("\n", 1)[0]
    name = type(error).__name__
    return f"{name}: {first}" if first else name
