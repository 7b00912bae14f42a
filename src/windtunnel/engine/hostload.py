# SPDX-License-Identifier: Apache-2.0
"""A host that is busy on purpose: `python -m windtunnel.engine.hostload`.

`verify` runs labs beside it. Every processor computes; one process more dirties
the page cache; another forks and executes. It ends when its stdin ends, and its
children end with it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from windtunnel.machines.syscalls import PR_SET_PDEATHSIG, prctl

PAGE_CACHE_BYTES = 64 << 20
"""Written again and again, never kept."""

_CHUNK_BYTES = 1 << 20


@contextmanager
def host_load() -> Iterator[None]:
    """Keep this machine busy while the block runs."""
    process = subprocess.Popen(
        [sys.executable, "-m", "windtunnel.engine.hostload"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    try:
        yield
    finally:
        with suppress(BrokenPipeError):
            process.communicate()


def _compute() -> None:
    number = 1
    while True:
        number = number * 6364136223846793005 + 1442695040888963407 & 0xFFFF_FFFF_FFFF_FFFF


def _dirty_page_cache() -> None:
    chunk = b"\xa5" * _CHUNK_BYTES
    with tempfile.TemporaryFile() as file:
        while True:
            file.seek(0)
            with suppress(OSError):  # a full disk is no reason to stop reading
                for _ in range(PAGE_CACHE_BYTES // _CHUNK_BYTES):
                    file.write(chunk)
            file.seek(0)
            while file.read(_CHUNK_BYTES):
                pass


def _fork_and_execute() -> None:
    while True:
        subprocess.run(["/bin/true"], check=False)


def _start(noise: Callable[[], None], parent_pid: int) -> None:
    if os.fork():
        return
    # A child never returns into its parent's code.
    try:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == parent_pid:
            noise()
    finally:
        os._exit(1)


def main() -> int:
    """Make noise until stdin ends."""
    # Ctrl-C reaches our parent too, which then closes our stdin.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    own_pid = os.getpid()
    for _ in os.sched_getaffinity(0):
        _start(_compute, own_pid)
    _start(_dirty_page_cache, own_pid)
    _start(_fork_and_execute, own_pid)
    sys.stdin.buffer.read()
    return 0


if __name__ == "__main__":
    sys.exit(main())
