# SPDX-License-Identifier: Apache-2.0
"""Starting and ending guests. These tests are about the host's processes and the host's time."""
# ruff: noqa: TID251

import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from machines.confined import BOOT
from windtunnel.errors import HostError
from windtunnel.machines import confine, sweep
from windtunnel.machines.confine import Confinement, Method
from windtunnel.machines.launch import Guest, launch
from windtunnel.sim.seeds import derive

SEED = 2026
MOMENTS = 50
ALL = Confinement(read=(Path("/usr"), Path("/etc"), Path("/opt")), write=())

# Forks without end, so that there are always processes being born.
BUSY_INIT = "#!/bin/sh\nwhile :; do /bin/true; (/bin/true &); done\n"


def start(argv: list[str], scratch: Path, confinement: Confinement = ALL, **more: object) -> Guest:
    with Path(os.devnull).open("wb") as sink:
        return launch(argv, cwd=scratch, confinement=confinement, stdout_fd=sink.fileno(), **more)  # type: ignore[arg-type]


def working_in(folder: Path) -> list[str]:
    """All processes whose working directory is `folder`, by pid and program."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{name}/cwd").removesuffix(" (deleted)") == str(folder):
                found.append(f"{name} {os.readlink(f'/proc/{name}/exe')}")
        except OSError:
            continue
    return found


def gone_within(limit_host_s: float, folder: Path) -> list[str]:
    """Wait until nobody works in `folder`; return who still does at the limit."""
    end = time.monotonic() + limit_host_s
    while (left := working_in(folder)) and time.monotonic() < end:
        time.sleep(0.01)
    return left


def test_the_exit_status_of_the_guest_is_ours(scratch: Path) -> None:
    assert start(["/bin/sh", "-c", "exit 7"], scratch).wait() == 7


def test_a_guest_that_dies_of_a_signal_says_so(scratch: Path) -> None:
    assert start(["/bin/sh", "-c", "kill -SEGV $$"], scratch).wait() == -signal.SIGSEGV


def test_poll_says_none_while_the_guest_runs_and_kill_is_idempotent(scratch: Path) -> None:
    guest = start(["/bin/sleep", "60"], scratch)
    assert guest.poll() is None
    guest.kill()
    guest.kill()
    assert (guest.poll(), guest.wait()) == (-signal.SIGKILL, -signal.SIGKILL)
    assert working_in(scratch) == []


def test_the_descriptor_becomes_readable_when_the_guest_ends(scratch: Path) -> None:
    guest = start(["/bin/sleep", "0.2"], scratch)
    assert select.select([guest.fileno()], [], [], 0) == ([], [], [])
    assert select.select([guest.fileno()], [], [], 5)[0] == [guest.fileno()]
    assert guest.wait() == 0


def test_kill_takes_daemons_along(scratch: Path) -> None:
    # Each has a session of its own and no parent any more.
    program = "for i in 1 2 3; do setsid sh -c 'sleep 60 & sleep 60' & done; sleep 0.2; wait"
    guest = start(["/bin/sh", "-c", program], scratch)
    end = time.monotonic() + 5
    while len(working_in(scratch)) < 8 and time.monotonic() < end:
        time.sleep(0.01)
    assert len(working_in(scratch)) >= 8
    guest.kill()
    assert working_in(scratch) == []


def test_nothing_is_left_when_the_guest_ends_by_itself(scratch: Path) -> None:
    guest = start(["/bin/sh", "-c", "setsid sleep 60 & exit 0"], scratch)
    assert guest.wait() == 0
    assert working_in(scratch) == []


def test_a_killed_supervisor_takes_the_guest_along(scratch: Path) -> None:
    guest = start(["/bin/sleep", "60"], scratch)
    os.kill(guest.supervisor_pid, signal.SIGKILL)
    assert guest.wait() == -signal.SIGKILL
    assert gone_within(2, scratch) == []


def test_the_guest_is_pinned_in_a_session_of_its_own(scratch: Path) -> None:
    cpu = max(os.sched_getaffinity(0))
    guest = start(["/bin/sleep", "60"], scratch, cpu=cpu)
    try:
        assert os.sched_getaffinity(guest.pid) == {cpu}
        assert os.getsid(guest.pid) == guest.pid
    finally:
        guest.kill()


def test_a_descriptor_passes_only_when_asked(scratch: Path) -> None:
    reader, writer = os.pipe()
    program = f"echo hello >&{writer}"
    assert start(["/bin/bash", "-c", program], scratch).wait() == 1
    assert start(["/bin/bash", "-c", program], scratch, pass_fds=[writer]).wait() == 0
    assert os.read(reader, 100) == b"hello\n"
    os.close(reader)
    os.close(writer)


def test_a_program_that_is_not_there_is_the_hosts_error(scratch: Path) -> None:
    with pytest.raises(HostError, match=r"/no/such/linux: FileNotFoundError"):
        start(["/no/such/linux"], scratch)
    assert working_in(scratch) == []


def test_no_descriptor_of_ours_leaks_from_a_launch(scratch: Path) -> None:
    def run_and_close() -> None:
        guest = start(["/bin/true"], scratch)
        guest.wait()
        if guest.abort is not None:
            guest.abort.close()

    run_and_close()
    before = sorted(os.listdir("/proc/self/fd"))
    run_and_close()
    with pytest.raises(HostError):
        start(["/no/such/linux"], scratch)
    assert sorted(os.listdir("/proc/self/fd")) == before


def a_fork_that_does(work: Callable[[], None]) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            work()
            time.sleep(60)
        finally:
            os._exit(1)
    return pid


def kill_only(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_killing_us_takes_daemons_along(scratch: Path) -> None:
    # Code that took over a guest may fork as it likes; only the supervisor can find it.
    program = "setsid sh -c 'setsid sleep 60 & setsid sleep 60 &' & sleep 60"
    pid = a_fork_that_does(lambda: start(["/bin/sh", "-c", program], scratch) and None)
    end = time.monotonic() + 10
    while (count := str(working_in(scratch)).count("sleep")) < 3 and time.monotonic() < end:
        time.sleep(0.01)
    kill_only(pid)
    assert count == 3
    assert gone_within(2, scratch) == []


def test_a_supervisor_that_outlives_us_runs_none_of_our_code(scratch: Path, tmp_path: Path) -> None:
    marker = tmp_path / "ran"

    def work() -> None:
        us = os.getpid()
        try:
            start(["/bin/sleep", "60"], scratch)
        finally:
            if os.getpid() != us:  # only a fork of ours that came back can get here
                marker.touch()

    pid = a_fork_that_does(work)
    end = time.monotonic() + 10
    while not working_in(scratch) and time.monotonic() < end:
        time.sleep(0.01)
    # It has a status to tell, and nobody to tell it to.
    kill_only(pid)
    assert gone_within(2, scratch) == []
    time.sleep(0.1)
    assert not marker.exists()


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Scratch directories in one place, so that runs beside this test are left alone."""
    folder = tmp_path.resolve() / "base"
    monkeypatch.setattr(sweep, "_bases", lambda: [folder])
    return folder


@pytest.mark.needs_uml
@pytest.mark.parametrize("mode", ["on", "off"], ids=["seccomp", "ptrace"])
def test_killing_us_at_any_moment_leaves_no_guest(
    mode: str, open_kernel: Path, base: Path, tmp_path: Path
) -> None:
    init = tmp_path / "init"
    init.write_text(BUSY_INIT)
    init.chmod(0o755)
    confinement = confine.for_project(tmp_path)
    argv = [str(open_kernel), *BOOT, f"init={init}", f"seccomp={mode}"]

    def work() -> None:
        start(argv, sweep.new_scratch().path, confinement, cpu=0)

    for attempt in range(MOMENTS):
        # A boot takes 0.1 s here: half of the moments lie in the launch and the boot.
        limit_ms = 120 if attempt % 2 else 400
        delay_host_s = derive(SEED, "moment", str(attempt)) % (limit_ms * 1000) / 1e6
        pid = a_fork_that_does(work)
        time.sleep(delay_host_s)
        kill_only(pid)
        where = f"seed {SEED}, attempt {attempt}, after {delay_host_s} s"
        folders = [path for path in base.iterdir() if path.is_dir()] if base.exists() else []
        assert [who for folder in folders for who in gone_within(2, folder)] == [], where
        # A supervisor that was just being born may hold the lock for a moment longer.
        end = time.monotonic() + 2
        while sweep.sweep() != folders and time.monotonic() < end:
            time.sleep(0.01)
        assert list(base.glob("*")) == [], where


@pytest.mark.needs_uml
@pytest.mark.parametrize("mode", ["on", "off"], ids=["seccomp", "ptrace"])
@pytest.mark.parametrize("method", [Method.LANDLOCK, Method.NAMESPACE, Method.NONE])
def test_kill_leaves_nothing_of_a_busy_kernel(
    mode: str, method: Method, open_kernel: Path, scratch: Path, tmp_path: Path
) -> None:
    init = tmp_path / "init"
    init.write_text(BUSY_INIT)
    init.chmod(0o755)
    confinement = confine.for_project(tmp_path, method=method)
    argv = [str(open_kernel), *BOOT, f"init={init}", f"seccomp={mode}"]
    guest = start(argv, scratch, confinement, cpu=0)
    end = time.monotonic() + 10
    while (count := len(working_in(scratch))) < 3 and time.monotonic() < end:  # kernel, two stubs
        time.sleep(0.01)
    assert count >= 3, "the guest did not get to its init"
    guest.kill()
    assert working_in(scratch) == []
