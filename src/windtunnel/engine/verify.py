# SPDX-License-Identifier: Apache-2.0
"""Run a lab many times and see that every run is the same, byte for byte.

Each run is a process of its own under other conditions: hash seed, processors,
environment, current directory, umask; half of them beside a host that is busy
on purpose. All are compared with the first. Where one differs, the first
difference in virtual time is named, and the first grant of the calendar.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

from windtunnel.engine.child import wait_for
from windtunnel.engine.hostclock import monotonic_host_s
from windtunnel.engine.hostload import host_load
from windtunnel.engine.once import OnceReport, OnceRequest
from windtunnel.engine.world import WorldOptions
from windtunnel.errors import HostError, WindtunnelError
from windtunnel.machines.confine import default_read_paths
from windtunnel.model.flatten import lab_to_yaml
from windtunnel.model.lab import LabSpec
from windtunnel.store.compare import (
    Difference,
    GrantDifference,
    compare_runs,
    digest_run,
    first_grant_difference,
)

TIMES_MIN = 2
END_HOST_S = 10.0
"""How long a run may take to end after it was told to."""

_POLL_HOST_S = 0.5
_HASH_SEED_STEP = 2654435761  # prime: no two runs share a hash seed
_LANGUAGES = ("C.UTF-8", "de_DE.UTF-8", "ja_JP.UTF-8", "tr_TR.UTF-8")
_ZONES = ("UTC", "Asia/Kathmandu", "America/St_Johns", "Australia/Lord_Howe")
_UMASKS = (0o022, 0o077, 0o002, 0o027)
_OPEN_FILES = (1024, 4096, 512)
_STACKS_BYTES = (8 << 20, 16 << 20, 4 << 20)
_DEPTHS = 4
_NOISE_BYTES = 997
_ENVIRONMENT_KEPT = ("HOME", "PATH", "PYTHONPATH", "USER", "LOGNAME", "VIRTUAL_ENV")
_ENVIRONMENT_KEPT_PREFIXES = ("XDG_", "WINDTUNNEL_")


@dataclass(frozen=True, slots=True)
class Conditions:
    """What of the host is another way in each run.

    Attributes:
        number: of the run, from 1.
        loaded: whether the host is busy on purpose.
        hash_seed: PYTHONHASHSEED of our own process.
        processors: of the host, for our own process and the guests.
        parallel: how many of the lab's kernels run at the same time.
        environment: of our own process.
        depth: how many folders below the common one the current directory lies.
        umask: of our own process.
        open_files: its soft limit of open files.
        stack_bytes: its soft limit of the stack.
    """

    number: int
    loaded: bool
    hash_seed: int
    processors: tuple[int, ...]
    parallel: int
    environment: Mapping[str, str]
    depth: int
    umask: int
    open_files: int
    stack_bytes: int


@dataclass(frozen=True, slots=True)
class VerifiedRun:
    """One run and how it compares with the first.

    Attributes:
        conditions: under which it ran.
        report: how it ended.
        path: its folder; gone when it is equal and nobody wanted to keep it.
        wall_host_s: of the whole process.
        cpu_host_s: processor time of all its processes, the guest's too.
        digest: of all that must be equal.
        difference: the first one from the first run; None when there is none.
        grants: the first grant that differs; may be there without a difference.
    """

    conditions: Conditions
    report: OnceReport
    path: Path
    wall_host_s: float
    cpu_host_s: float
    digest: str
    difference: Difference | None = None
    grants: GrantDifference | None = None

    @property
    def equal(self) -> bool:
        """Whether it is the first run again, down to every grant of the calendar."""
        return self.difference is None and self.grants is None


@dataclass(frozen=True, slots=True)
class VerifyRequest:
    """What to verify.

    Attributes:
        spec: the lab, checked.
        options: how to run it.
        folder: where the runs' folders are made; it must exist.
        times: how often, 2 or more.
        jobs: how many runs at the same time.
    """

    spec: LabSpec
    options: WorldOptions
    folder: Path
    times: int = TIMES_MIN
    jobs: int = 1


Progress = Callable[[str], None]


def verify(
    request: VerifyRequest,
    *,
    progress: Progress = lambda _doing: None,
    finished: Callable[[VerifiedRun], None] = lambda _run: None,
    keep: bool = False,
) -> tuple[VerifiedRun, ...]:
    """Run the lab again and again, and compare.

    Args:
        request: what to run, and how often.
        progress: called with what is being done.
        finished: called with each run as soon as it is compared.
        keep: whether the folders of equal runs stay. The first, and those that
            differ, stay when any differs.

    Returns:
        All runs, the quiet ones first.

    Raises:
        HostError: a run could not be done on this machine.
        WindtunnelError: as `run_session`, for what would go wrong each time.
    """
    runs: list[VerifiedRun] = []
    all_conditions = list(_all_conditions(request.times))
    for loaded in (False, True):
        part = [conditions for conditions in all_conditions if conditions.loaded is loaded]
        with host_load() if part and loaded else nullcontext():
            for run in _run_part(request, part, progress):
                compared = _compared(run, runs[0] if runs else None)
                runs.append(compared)
                finished(compared)
                if compared.equal and len(runs) > 1 and not keep:
                    shutil.rmtree(compared.path, ignore_errors=True)
    if not keep and all(run.equal for run in runs):
        shutil.rmtree(runs[0].path, ignore_errors=True)
    return tuple(sorted(runs, key=lambda run: run.conditions.number))


@contextmanager
def runs_folder(base: Path, lab: str) -> Iterator[Path]:
    """Make a folder for the runs of one `verify`; it goes when nothing is left in it.

    Raises:
        HostError: it cannot be made.
    """
    try:
        (base / lab).mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="verify-", dir=base / lab)).absolute()
    except OSError as error:
        raise HostError(
            f"cannot make a folder in {base / lab}: {error.strerror}",
            hint="choose a folder that you may write with --runs DIR",
        ) from error
    try:
        yield folder
    finally:
        _remove_if_empty(folder)


def _remove_if_empty(folder: Path) -> None:
    for path in (folder, folder.parent, folder.parent.parent):
        try:
            path.rmdir()
        except OSError:
            return


# ---- conditions ----


def _all_conditions(times: int) -> Iterator[Conditions]:
    processors = sorted(os.sched_getaffinity(0))
    quiet = (times + 1) // 2
    for index in range(times):
        at = index % len(processors)
        # Either all processors in another order, or only one.
        order = (*processors[at:], *processors[:at])
        environment = {
            "LANG": _LANGUAGES[index % len(_LANGUAGES)],
            "TZ": _ZONES[index % len(_ZONES)],
            **{f"NOISE_{part}": "n" * (_NOISE_BYTES * part) for part in range(index)},
        }
        yield Conditions(
            number=index + 1,
            loaded=index >= quiet,
            hash_seed=index * _HASH_SEED_STEP % 2**32,
            processors=order if index % 3 < 2 else order[:1],
            parallel=1 + index % 2,
            environment=environment,
            depth=index % _DEPTHS,
            umask=_UMASKS[index % len(_UMASKS)],
            open_files=_OPEN_FILES[index % len(_OPEN_FILES)],
            stack_bytes=_STACKS_BYTES[index % len(_STACKS_BYTES)],
        )


def _environment(conditions: Conditions, scratch: Path) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in _ENVIRONMENT_KEPT or name.startswith(_ENVIRONMENT_KEPT_PREFIXES)
    }
    return {
        **kept,
        **conditions.environment,
        "PYTHONHASHSEED": str(conditions.hash_seed),
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "TMPDIR": str(scratch),
    }


# ---- one run ----


class _Child:
    """A run in a process of its own."""

    def __init__(self, request: VerifyRequest, conditions: Conditions) -> None:
        number = f"{conditions.number:04d}"
        self.conditions = conditions
        self.path = request.folder / number
        self.began_host_s = monotonic_host_s()
        self._place = request.folder / f"{number}.place"
        directory = self._place.joinpath(*["below"] * conditions.depth)
        directory.mkdir(parents=True)
        text = json.dumps(asdict(_once_request(request, conditions, self.path)))
        self._input = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed below
        self._input.write(text)
        self._input.seek(0)
        self._output = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed in finish
        self.process = subprocess.Popen(
            [sys.executable, "-m", "windtunnel.engine.once"],
            stdin=self._input,
            stdout=self._output,
            cwd=directory,
            umask=conditions.umask,
            env=_environment(conditions, self._place),
        )
        self._input.close()
        self.pidfd = os.pidfd_open(self.process.pid)

    def finish(self) -> VerifiedRun:
        """Take its report; it must have ended.

        Raises:
            WindtunnelError: it could not be run.
        """
        _, status, usage = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        wall_host_s = monotonic_host_s() - self.began_host_s
        self._output.seek(0)
        text = self._output.read()
        self.close()
        if self.process.returncode != 0 or not text:
            raise HostError(
                f"run {self.conditions.number} ended with status {self.process.returncode} "
                "and without a word",
                hint=f"what it recorded is in {self.path}",
            )
        report = OnceReport(**json.loads(text))
        if report.error_status:
            raise _error(report, self.conditions.number)
        return VerifiedRun(
            self.conditions,
            report,
            self.path,
            wall_host_s,
            usage.ru_utime + usage.ru_stime,
            digest_run(self.path),
        )

    def stop(self) -> None:
        """End it, in good order if that does not take long."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(END_HOST_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.close()

    def close(self) -> None:
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1
            self._output.close()
            shutil.rmtree(self._place, ignore_errors=True)


def _error(report: OnceReport, number: int) -> WindtunnelError:
    error = WindtunnelError(f"run {number}: {report.error}")
    error.exit_status = report.error_status
    return error


def _once_request(request: VerifyRequest, conditions: Conditions, output: Path) -> OnceRequest:
    options = request.options
    # What a guest may read begins with the current directory, which is another in each run.
    own = [path for path in default_read_paths(Path.cwd()) if path.parent != Path("/")]
    return OnceRequest(
        lab_text=lab_to_yaml(request.spec),
        output=str(output),
        kernel=str(options.kernel.path),
        read=tuple(str(path.resolve()) for path in (*options.read, *own)),
        write=tuple(str(path.resolve()) for path in options.write),
        trust_guest=options.trust_guest,
        watchdog_host_s=options.watchdog_host_s,
        kernel_words=options.kernel_words,
        processors=conditions.processors,
        parallel=conditions.parallel,
        open_files=conditions.open_files,
        stack_bytes=conditions.stack_bytes,
        log_grants=True,
    )


def _run_part(
    request: VerifyRequest, part: Sequence[Conditions], progress: Progress
) -> Iterator[VerifiedRun]:
    """Run all of them, `jobs` at a time; gives each as it ends, the first run first."""
    waiting = list(part)
    running: list[_Child] = []
    try:
        while waiting or running:
            first = any(child.conditions.number == 1 for child in running)
            while not first and waiting and len(running) < request.jobs:
                running.append(_Child(request, waiting.pop(0)))
                if running[-1].conditions.number == 1:
                    break  # the others are compared with it: it must be there before them
            progress(_doing(running, request.times))
            for child in wait_for(running, _POLL_HOST_S):
                running.remove(child)
                try:
                    run = child.finish()
                finally:
                    child.close()
                yield run
    finally:
        for child in running:
            child.stop()


def _doing(running: Sequence[_Child], times: int) -> str:
    now_host_s = monotonic_host_s()
    parts = [
        f"run {child.conditions.number} of {times}"
        f"{', busy host' if child.conditions.loaded else ''}: "
        f"{now_host_s - child.began_host_s:.0f} s"
        for child in running
    ]
    return "; ".join(parts)


def _compared(run: VerifiedRun, first: VerifiedRun | None) -> VerifiedRun:
    if first is None:
        return run
    difference = None if run.digest == first.digest else compare_runs(first.path, run.path)
    return VerifiedRun(
        run.conditions,
        run.report,
        run.path,
        run.wall_host_s,
        run.cpu_host_s,
        run.digest,
        difference,
        first_grant_difference(first.path, run.path),
    )
