# SPDX-License-Identifier: Apache-2.0
"""Runs of many labs, several at a time, with the outcome of one after the other.

Trials have an order. They are begun in that order, and as soon as enough of
them have failed, those behind the last of these are dropped, whether they have
ended or not; those before it are run to their end, for one of them may fail as
well. So what is found are the first failures in the order of the trials,
whatever the number of jobs and whoever ends first.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from windtunnel.engine.failure import Failure, failure_of
from windtunnel.engine.pool import Pool, Running
from windtunnel.engine.session import SessionRequest, run_session
from windtunnel.engine.world import WorldOptions
from windtunnel.errors import ExitStatus, GuestError, HostError, WindtunnelError
from windtunnel.model.lab import LabSpec

_PREFIX = "search-"


@dataclass(frozen=True, slots=True)
class Trial:
    """A run to be made.

    Attributes:
        number: unique; higher than that of the trial before it.
        lab: gives the lab; called in the run's own process.
    """

    number: int
    lab: Callable[[], LabSpec]


@dataclass(frozen=True, slots=True)
class Tried:
    """A run that was made.

    Attributes:
        number: of its trial.
        path: its folder.
        failure: in what way it failed; None if it passed.
        end_ns: lab time of its end; None when it did not get there.
    """

    number: int
    path: Path
    failure: Failure | None
    end_ns: int | None


@dataclass(frozen=True, slots=True)
class TrialsRequest:
    """How trials are run.

    Attributes:
        options: how to run each.
        folder: where their folders are made; it must exist.
        jobs: how many at the same time.
        fails: whether a trial counts as failed.
        enough: so many failures are enough.
    """

    options: WorldOptions
    folder: Path
    jobs: int
    fails: Callable[[Tried], bool]
    enough: int = 1


def run_trials(
    trials: Iterable[Trial],
    request: TrialsRequest,
    *,
    ended: Callable[[Tried], None] = lambda _tried: None,
    beat: Callable[[], None] = lambda: None,
) -> tuple[Tried, ...]:
    """Run trials until enough have failed, or all have ended.

    Args:
        trials: in their order; taken one by one, as there is room.
        request: how.
        ended: called with each that has ended, in any order; it may be one that
            is dropped later.
        beat: called every now and then.

    Returns:
        All trials up to the last of the failures that are enough, in order. The
        folders of passing and of dropped ones are gone.

    Raises:
        WindtunnelError: a run could not be made on this machine, or its lab is wrong.
    """
    return _Trials(request, ended).run(iter(trials), beat)


class _Trials:
    def __init__(self, request: TrialsRequest, ended: Callable[[Tried], None]) -> None:
        self._request = request
        self._ended = ended
        self._tried: dict[int, Tried] = {}

    def run(self, trials: Iterator[Trial], beat: Callable[[], None]) -> tuple[Tried, ...]:
        pool: Pool[int] = Pool(self._request.jobs)
        try:
            while True:
                while self._last is None and pool.has_room:
                    trial = next(trials, None)
                    if trial is None:
                        break
                    self._begin(pool, trial)
                if not pool.running:
                    break
                # In the order of the trials: of two errors, the first one is raised.
                for one in pool.wait():
                    self._finish(one.key, pool.result(one))
                self._drop(pool)
                beat()
        finally:
            self._stop(pool, pool.running)
        return tuple(self._tried[number] for number in sorted(self._tried))

    @property
    def _last(self) -> int | None:
        """Behind which number nothing is wanted any more."""
        failed = sorted(n for n, tried in self._tried.items() if self._request.fails(tried))
        return None if len(failed) < self._request.enough else failed[self._request.enough - 1]

    def _path(self, number: int) -> Path:
        return self._request.folder / str(number)

    def _begin(self, pool: Pool[int], trial: Trial) -> None:
        options = self._request.options
        path = self._path(trial.number)
        pool.begin(trial.number, lambda: _run(trial.lab, options, path))

    def _finish(self, number: int, told: dict[str, Any]) -> None:
        path = self._path(number)
        if told["error_status"]:
            shutil.rmtree(path, ignore_errors=True)
            raise _error(told)
        failure = None if told["failure"] is None else _failure(told["failure"])
        tried = Tried(number, path, failure, told["end_ns"])
        self._tried[number] = tried
        if not self._request.fails(tried):
            shutil.rmtree(path, ignore_errors=True)
        self._ended(tried)

    def _stop(self, pool: Pool[int], unwanted: Iterable[Running[int]]) -> None:
        unwanted = tuple(unwanted)
        pool.stop(unwanted)
        for one in unwanted:
            shutil.rmtree(self._path(one.key), ignore_errors=True)

    def _drop(self, pool: Pool[int]) -> None:
        last = self._last
        if last is None:
            return
        self._stop(pool, [one for one in pool.running if one.key > last])
        for number in [n for n in self._tried if n > last]:
            shutil.rmtree(self._tried.pop(number).path, ignore_errors=True)


# ---- in the run's own process ----


def _run(lab: Callable[[], LabSpec], options: WorldOptions, path: Path) -> dict[str, Any]:
    try:
        spec = lab()
        session = run_session(SessionRequest(spec, options, spec.source or None, output=path))
    except WindtunnelError as error:
        return _told_error(error)
    if session.error is not None and not isinstance(session.error, GuestError):
        return _told_error(session.error)
    # A kernel that dies is a failure like any other.
    failure = failure_of(session)
    end_ns = None if session.outcomes is None else session.outcomes.end_ns
    told = None if failure is None else {"checks": failure.checks, "error": failure.error}
    return {"failure": told, "end_ns": end_ns, "error_status": int(ExitStatus.PASSED)}


def _told_error(error: WindtunnelError) -> dict[str, Any]:
    return {"error_status": int(error.exit_status), "message": error.message, "hint": error.hint}


def _failure(told: Any) -> Failure:
    return Failure(tuple(told["checks"]), told["error"])


def _error(told: Any) -> WindtunnelError:
    error = WindtunnelError(told["message"], hint=told["hint"])
    error.exit_status = told["error_status"]
    return error


# ---- where the runs are made ----


@contextmanager
def trials_folder(base: Path, lab: str) -> Iterator[Path]:
    """Make a folder for trials beside the lab's runs; it is gone afterwards.

    Folders of those who were killed go first.

    Raises:
        HostError: it cannot be made.
    """
    try:
        (base / lab).mkdir(parents=True, exist_ok=True)
        _sweep(base / lab)
        folder, lock = _locked_folder(base / lab)
    except OSError as error:
        raise HostError(
            f"cannot make a folder in {base / lab}: {error.strerror}",
            hint="choose a folder that you may write with --runs DIR",
        ) from error
    try:
        yield folder
    finally:
        os.close(lock)
        shutil.rmtree(folder, ignore_errors=True)
        for path in (base / lab, base):
            with suppress(OSError):
                path.rmdir()


def _locked_folder(runs: Path) -> tuple[Path, int]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=runs)).absolute()
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(lock, fcntl.LOCK_SH)
        if folder.is_dir():
            return folder, lock
        os.close(lock)  # somebody swept it before it was locked


def _sweep(runs: Path) -> None:
    # Who is alive holds a lock on his folder, and his children do.
    for folder in runs.glob(f"{_PREFIX}*"):
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        else:
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(lock)
