# SPDX-License-Identifier: Apache-2.0
"""A guest that aborts stands still until we let it go. The host's time only limits waits."""

import select
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from machines.confined import in_a_fork
from machines.test_launch import ALL, start
from windtunnel.machines import seccomp
from windtunnel.machines.abort import AbortListener
from windtunnel.machines.launch import Guest
from windtunnel.machines.syscalls import PR_SET_NO_NEW_PRIVS, prctl

LIMIT_HOST_S = 10

# What os_dump_core does: not raise(), which takes another system call.
ABORTS = "import os, signal; os.kill(os.getpid(), signal.SIGABRT)"
KILLS_OTHERS = """
import os, signal
child = os.fork()
if child == 0:
    signal.pause()
os.kill(child, signal.SIGTERM)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
os.kill(os.getpid(), signal.SIGUSR1)
"""


def listener_of(guest: Guest) -> AbortListener:
    if guest.abort is None:
        guest.kill()
        pytest.fail("this host gives no listener: an older kernel, or a filter around the tests")
    return guest.abort


@pytest.mark.parametrize("trusted", [False, True])
def test_a_guest_that_aborts_stands_still_until_it_is_let_go(scratch: Path, trusted: bool) -> None:
    confinement = replace(ALL, trust_guest=trusted)
    guest = start(["/usr/bin/python3", "-c", ABORTS], scratch, confinement)
    listener = listener_of(guest)
    assert select.select([listener], [], [], LIMIT_HOST_S)[0] == [listener]
    assert listener.receive() == guest.pid
    assert guest.poll() is None
    listener.let_go()
    assert guest.wait() == -signal.SIGABRT
    assert listener.receive() is None
    listener.close()


def test_other_signals_are_nobodys_business(scratch: Path) -> None:
    guest = start(["/usr/bin/python3", "-c", KILLS_OTHERS], scratch)
    assert guest.wait() == -signal.SIGUSR1
    listener = listener_of(guest)
    assert listener.receive() is None
    listener.close()


def test_a_guest_is_killed_where_it_stands(scratch: Path) -> None:
    guest = start(["/usr/bin/python3", "-c", ABORTS], scratch)
    listener = listener_of(guest)
    assert select.select([listener], [], [], LIMIT_HOST_S)[0]
    assert listener.receive() == guest.pid
    guest.kill()
    assert guest.returncode == -signal.SIGKILL
    listener.let_go()
    listener.close()


def test_a_listener_that_is_closed_lets_the_guest_end(scratch: Path) -> None:
    guest = start(["/usr/bin/python3", "-c", ABORTS], scratch)
    listener = listener_of(guest)
    assert select.select([listener], [], [], LIMIT_HOST_S)[0]
    listener.close()
    listener.close()
    assert guest.wait() == 1  # the call has failed, and Python ends with an error


def test_under_somebodys_filter_who_listens_already_a_guest_runs_without_ours(
    scratch: Path,
) -> None:
    def nested() -> str:
        prctl(PR_SET_NO_NEW_PRIVS, 1)
        seccomp.install(seccomp.only_abort(), listen=True)
        guest = start(["/bin/sh", "-c", "exit 7"], scratch)
        return f"{guest.abort} {guest.wait()} {seccomp.can_listen()}"

    assert seccomp.can_listen()
    assert in_a_fork(nested) == "None 7 False"
