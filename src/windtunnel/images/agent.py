# SPDX-License-Identifier: Apache-2.0
"""The guest's first program: compile the agent, pack it as `/init` of an initrd.

A cached initrd is found by hashing the source and by *looking at* the compiler
(its path, size and date): asking the compiler for its version would cost more
than everything else on the way to a guest's first instruction, and a package
upgrade changes size or date anyway.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from pathlib import Path, PurePosixPath

from windtunnel.errors import HostError
from windtunnel.images.cache import cache_folder, cannot_write, locked, make_folder
from windtunnel.images.cpio import CpioEntry, newc_archive
from windtunnel.images.shipped import agent_source

FLAGS = ("-static", "-Os", "-Wall", "-Wextra")
_KEY_DIGITS = 12
_GIVEN = "given"


def ensure_initrd() -> Path:
    """Return the initrd with the guest agent; compile it where it is not cached.

    Returns:
        An uncompressed cpio archive in the cache. It stays there and is never
        changed; what a run uses can be told from its digest.

    Raises:
        HostError: there is no C compiler, or the agent does not compile.
    """
    return initrd_of(agent_source())


def initrd_of(source: Path) -> Path:
    """Compile the C files of a folder into an initrd, or find it in the cache.

    Args:
        source: the folder; its headers count too.

    Raises:
        HostError: there is no C compiler, or it fails.
    """
    cache = cache_folder("agents")
    content = _source_digest(source)
    given = cache / f"{content}-{_GIVEN}" / "initrd"
    if given.exists():
        return given
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        # an initrd made before the compiler was removed is as good as any
        for initrd in sorted(cache.glob(f"{content}-*/initrd")):
            return initrd
        raise HostError(
            "there is no C compiler, and the guest agent has not been compiled yet",
            hint="sudo apt-get install -y gcc libc6-dev",
        )
    key = f"{content}-{_compiler_digest(Path(compiler))}"
    initrd = cache / key / "initrd"
    if not initrd.exists():
        with locked(cache / ".locks" / key, lambda: None):
            try:
                if not initrd.exists():
                    _make(source, compiler, initrd)
            except OSError as error:
                raise cannot_write(initrd, error) from error
    return initrd


def given_initrd() -> PurePosixPath:
    """Name the place in a cache of the agent that is used there whatever compiler there is.

    That of the machine on which a lab was begun lies there on those that run its cells.

    Returns:
        Relative to `$XDG_CACHE_HOME`.
    """
    name = f"{_source_digest(agent_source())}-{_GIVEN}"
    return PurePosixPath("windtunnel", "agents", name, "initrd")


def initrd_bytes(agent: bytes) -> bytes:
    """Pack a program as an initrd: /init, and a console for it to be born with."""
    return newc_archive(
        [
            CpioEntry("dev", stat.S_IFDIR | 0o755),
            CpioEntry("dev/console", stat.S_IFCHR | 0o600, device=(5, 1)),
            CpioEntry("init", stat.S_IFREG | 0o755, data=agent),
        ]
    )


def _make(source: Path, compiler: str, initrd: Path) -> None:
    # imported here: a start that finds its initrd has no use for it
    from windtunnel.images.sources import run_step  # noqa: PLC0415

    work = initrd.parent.with_name(f".building-{initrd.parent.name}")
    shutil.rmtree(work, ignore_errors=True)  # a dead builder's: the lock is ours
    make_folder(work)
    agent = work / "agent"
    files = [str(path) for path in sorted(source.glob("*.c"))]
    run_step([compiler, *FLAGS, "-o", str(agent), *files], "compiling the guest agent")
    (work / "initrd").write_bytes(initrd_bytes(agent.read_bytes()))
    shutil.rmtree(initrd.parent, ignore_errors=True)
    work.rename(initrd.parent)


def _source_digest(source: Path) -> str:
    content = hashlib.sha256(" ".join(FLAGS).encode())
    for path in sorted(source.glob("*.[ch]")):
        content.update(path.name.encode() + b"\0" + path.read_bytes())
    return content.hexdigest()[:_KEY_DIGITS]


def _compiler_digest(compiler: Path) -> str:
    real = Path(os.path.realpath(compiler))
    status = real.stat()
    facts = f"{real} {status.st_size} {status.st_mtime_ns}"
    return hashlib.sha256(facts.encode()).hexdigest()[:_KEY_DIGITS]
