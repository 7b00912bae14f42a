# SPDX-License-Identifier: Apache-2.0
"""One try of one cell, in a process of its own: prepare, run, clean up, say what came of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from windtunnel.engine.cells import LabCell
from windtunnel.engine.hooks import Around, HookContext
from windtunnel.engine.session import REPEAT, Session, SessionRequest, run_session
from windtunnel.engine.world import WorldOptions
from windtunnel.errors import OverdueError, WindtunnelError
from windtunnel.model.lab import LabSpec
from windtunnel.model.result import CellResult, CellState, CheckResult
from windtunnel.store.layout import FULL
from windtunnel.store.results import first_finding, run_result
from windtunnel.store.run_reader import is_run


@dataclass(frozen=True, slots=True)
class CellTry:
    """What to try.

    Attributes:
        cell: which.
        attempt: 1 for the first try.
        spec: gives its lab; called in the process of the try.
        options: how to run it.
        path: where its run is recorded; nothing is there yet.
        context: what hooks are told.
        around: what is to be prepared and cleaned up, for its lab.
        repeat: the command that runs this cell again, when there is no run to replay.
        replay: the command that repeats its run; "{run}" in it is replaced by its folder.
    """

    cell: LabCell
    attempt: int
    spec: Callable[[], LabSpec]
    options: WorldOptions
    path: Path
    context: HookContext
    around: Callable[[LabSpec], Sequence[Around]]
    repeat: str
    replay: str = REPEAT

    def bare_result(self, state: CellState, finding: str) -> CellResult:
        """Make the result of a try that nobody is left to tell of."""
        recorded = is_run(self.path)
        relative = self.path.relative_to(self.context.results).as_posix()
        return CellResult(
            cell=self.cell.name,
            index=self.cell.index,
            attempt=self.attempt,
            state=state,
            params=dict(self.cell.params),
            run=relative if recorded else "",
            finding=finding,
            repeat=self.repeat,
        )


def run_try(what: CellTry) -> dict[str, Any]:
    """Run a cell once.

    Returns:
        JSON values: `result`, as `CellResult.to_json`, and `full`: whether the disk is.
    """
    try:
        spec = what.spec()
    except WindtunnelError as error:
        result = what.bare_result(CellState.ERROR, _line(str(error)))
        return {"result": result.to_json(), "full": _is_full(error)}
    attempt = _Attempt(what, spec)
    attempt.run()
    return {"result": attempt.result().to_json(), "full": attempt.full}


class _Attempt:
    def __init__(self, what: CellTry, spec: LabSpec) -> None:
        self._what = what
        self._spec = spec
        self._before: list[CheckResult] = []
        self._after: list[CheckResult] = []
        self._session: Session | None = None
        self._error: WindtunnelError | None = None

    def run(self) -> None:
        what = self._what
        begun: list[Around] = []
        try:
            for around in what.around(self._spec):
                begun.append(around)
                self._before += around.before(what.context)
                if not _all_passed(self._before):
                    return
            self._session = self._run()
        except WindtunnelError as error:
            self._error = error
        finally:
            # Also when we are interrupted: what was prepared is cleaned up.
            context = replace(what.context, state=self._state().value)
            for around in reversed(begun):
                self._after += around.after(context)

    def _run(self) -> Session:
        spec, what = self._spec, self._what
        request = SessionRequest(
            spec, what.options, spec.source or None, output=what.path, repeat=what.replay
        )
        session = run_session(request)
        self._error = session.error
        return session

    @property
    def full(self) -> bool:
        return self._error is not None and _is_full(self._error)

    def _state(self) -> CellState:
        if isinstance(self._error, OverdueError):
            return CellState.TIMEOUT
        if self._session is None or self._error is not None:
            return CellState.ERROR
        failed = {check.kind for check in self._session.checks if _counts_against(check)}
        if failed - {"hook"}:
            return CellState.FAILED
        return CellState.PASSED if not failed and _all_passed(self._after) else CellState.ERROR

    def result(self) -> CellResult:
        checks = (*self._before, *self._checks(), *self._after)
        state = self._state()
        error = "" if self._error is None else _line(str(self._error))
        result = replace(
            self._what.bare_result(state, error or first_finding(checks)),
            seed=self._spec.seed,
            checks=checks,
        )
        session = self._session
        if session is None:
            return result
        end_ns = None if session.outcomes is None else session.outcomes.end_ns
        if isinstance(self._error, OverdueError):
            end_ns = self._error.time_ns
        return replace(
            result,
            end_ns=end_ns,
            wall_host_s=round(session.wall_host_s, 3),
            cpu_host_s=round(session.cpu_host_s, 3),
            repeat=session.repeat,
        )

    def _checks(self) -> tuple[CheckResult, ...]:
        session = self._session
        if session is None:
            return ()
        if session.outcomes is None:
            return run_result(session.path).checks  # those before it was ended
        return tuple(
            CheckResult(
                check.name, check.kind, check.node, check.at_ns, check.took_ns,
                passed=check.passed, message=check.message, judged=check.judged,
            )
            for check in session.checks
        )  # fmt: skip


def _counts_against(check: Any) -> bool:
    return bool(check.judged and not check.passed)


def _all_passed(checks: Sequence[CheckResult]) -> bool:
    return not any(map(_counts_against, checks))


def _line(text: str) -> str:
    return text.strip().partition("\n")[0]


def _is_full(error: WindtunnelError) -> bool:
    cause = error.__cause__
    return isinstance(cause, OSError) and cause.errno in FULL
