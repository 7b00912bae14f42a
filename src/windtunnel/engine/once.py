# SPDX-License-Identifier: Apache-2.0
"""One run in a process of its own: `python -m windtunnel.engine.once`.

`verify` starts it again and again under other conditions. It reads one
`OnceRequest` as JSON from stdin and writes one `OnceReport` as JSON to stdout. It ends
when whoever started it dies.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from windtunnel.engine.kernel import default_kernel
from windtunnel.engine.session import SessionRequest, run_session
from windtunnel.engine.world import WorldOptions
from windtunnel.errors import ExitStatus, GuestError, WindtunnelError
from windtunnel.machines.syscalls import PR_SET_PDEATHSIG, prctl
from windtunnel.model.load import flat_spec


@dataclass(frozen=True, slots=True)
class OnceRequest:
    """What to run, in words that JSON knows.

    Attributes:
        lab_text: the lab, flattened.
        output: the run's folder.
        kernel: path of the kernel's program.
        read, write, trust_guest, watchdog_host_s, kernel_words: see `WorldOptions`.
        processors: of the host, that this process may use, and its guests.
        parallel: see `WorldOptions`.
        open_files: soft limit of this process; None leaves it.
        stack_bytes: the same for the stack.
        log_grants: see `SessionRequest`.
    """

    lab_text: str
    output: str
    kernel: str
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    trust_guest: bool = False
    watchdog_host_s: float = 60.0
    kernel_words: tuple[str, ...] = ()
    processors: tuple[int, ...] = ()
    parallel: int | None = None
    open_files: int | None = None
    stack_bytes: int | None = None
    log_grants: bool = False


@dataclass(frozen=True, slots=True)
class OnceReport:
    """How it ended.

    Attributes:
        state: of the run; empty when there is no run.
        end_ns: lab time of its end; None when it did not get so far.
        wall_host_s: what it took.
        error: what kept it from ending, for people.
        error_status: the exit status that belongs to the error; 0 when the error,
            if any, is the guest's and so a part of the result.
    """

    state: str
    end_ns: int | None
    wall_host_s: float
    error: str = ""
    error_status: int = ExitStatus.PASSED


def run_once(request: OnceRequest) -> OnceReport:
    """Run it in this process, which is then good for nothing else."""
    if request.processors:
        os.sched_setaffinity(0, request.processors)
    _limit(resource.RLIMIT_NOFILE, request.open_files)
    _limit(resource.RLIMIT_STACK, request.stack_bytes)
    try:
        spec = flat_spec(request.lab_text, file=request.output)
        options = WorldOptions(
            kernel=default_kernel(request.kernel),
            read=tuple(map(Path, request.read)),
            write=tuple(map(Path, request.write)),
            trust_guest=request.trust_guest,
            watchdog_host_s=request.watchdog_host_s,
            kernel_words=request.kernel_words,
            parallel=request.parallel,
        )
        session = run_session(
            SessionRequest(
                spec,
                options,
                output=Path(request.output),
                log_grants=request.log_grants,
            )
        )
    except WindtunnelError as error:
        return OnceReport("", None, 0.0, str(error), error.exit_status)
    end_ns = None if session.outcomes is None else session.outcomes.end_ns
    error_of_run = session.error
    if error_of_run is None:
        return OnceReport(session.state, end_ns, session.wall_host_s)
    # A kernel that dies at the same instant each time is a result like any other.
    status = 0 if isinstance(error_of_run, GuestError) else error_of_run.exit_status
    return OnceReport(session.state, end_ns, session.wall_host_s, str(error_of_run), status)


def _limit(number: int, soft: int | None) -> None:
    if soft is not None:
        _, hard = resource.getrlimit(number)
        resource.setrlimit(number, (soft if hard < 0 else min(soft, hard), hard))


def read_request(text: str) -> OnceRequest:
    """Read what `verify` writes."""
    fields = json.loads(text)
    for name in ("read", "write", "kernel_words", "processors"):
        fields[name] = tuple(fields[name])
    return OnceRequest(**fields)


def main() -> int:
    """Do what stdin says."""
    # As by Ctrl-C: the run is recorded as interrupted, and tidied up.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    prctl(PR_SET_PDEATHSIG, signal.SIGINT)
    try:
        report = run_once(read_request(sys.stdin.read()))
    except KeyboardInterrupt:
        return ExitStatus.INTERRUPTED
    sys.stdout.write(json.dumps(asdict(report)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
