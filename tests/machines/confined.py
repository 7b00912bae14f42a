# SPDX-License-Identifier: Apache-2.0
"""Boots and users for the tests of this room."""

import os
import traceback
from collections.abc import Callable
from pathlib import Path

from windtunnel.machines.confine import Confinement
from windtunnel.machines.launch import launch
from windtunnel.machines.syscalls import prctl

ORDINARY_USER = 23456
"""A user id that owns nothing on the machine; it needs no entry in /etc/passwd."""

BOOT = (
    *("mem=96M", "time-travel=inf-cpu", "rootfstype=hostfs", "rootflags=/", "ro"),
    *("con=null", "con0=null,fd:1", "quiet", "panic=-1"),
    "initcall_blacklist=jent_mod_init",  # see windtunnel.machines.uml
)

OWN_HOME = Path.home().name if Path.home().parent == Path("/home") else "nobody's"
"""In a namespace /home shows the way to what a guest may read below the user's own home."""


def in_a_fork(work: Callable[[], str], user: int | None = None) -> str:
    """Return what `work` returns when a fork of this process runs it, as `user` when given."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        text = ""
        try:
            os.close(reader)
            if user is not None:
                become(user)
            text = "=" + work()
        except BaseException:  # noqa: BLE001 - shown by the parent
            text = "!" + traceback.format_exc()
        finally:
            os.write(writer, text.encode())
            os._exit(0)
    os.close(writer)
    parts = []
    while part := os.read(reader, 65536):
        parts.append(part)
    os.close(reader)
    os.waitpid(pid, 0)
    text = b"".join(parts).decode()
    assert text.startswith("="), text
    return text[1:]


def become(user: int) -> None:
    """Give up root for good, as far as this process goes."""
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)
    prctl(4, 1)  # PR_SET_DUMPABLE: as for a process that this user started


def run_confined(argv: list[str], scratch: Path, confinement: Confinement) -> tuple[int, str]:
    """Run a program under a confinement; return its exit status and its output."""
    output = scratch.parent / "output"
    with output.open("wb") as file:
        guest = launch(argv, cwd=scratch, confinement=confinement, stdout_fd=file.fileno())
        code = guest.wait()
    return code, output.read_text(errors="replace")


def users() -> list[int | None]:
    """Give the users to test as: ourselves, and an ordinary one when we may become it."""
    return [None, ORDINARY_USER] if os.geteuid() == 0 else [None]
