# SPDX-License-Identifier: Apache-2.0
"""What a machine needs that runs a cell for us: our code, the kernels, the guest agent.

Each is a tar file, the same bytes for the same content wherever it is packed, and is
called by its digest. So a machine fetches it once, however many cells it runs.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from windtunnel.errors import HostError
from windtunnel.images.agent import ensure_initrd, given_initrd
from windtunnel.images.kernels import Kernel

_LEFT_OUT = frozenset({"__pycache__", "source", "objects", "build.log"})


@dataclass(frozen=True, slots=True)
class Bundle:
    """Files that are sent together.

    Attributes:
        digest: SHA-256 of `content`, in hexadecimal digits.
        content: a tar file, uncompressed.
    """

    digest: str
    content: bytes


def code_bundle() -> Bundle:
    """Pack our own package, as `windtunnel/…`.

    Raises:
        HostError: it cannot be read.
    """
    package = Path(__file__).resolve().parent.parent
    return _pack(package, _files(package), "windtunnel")


def kernel_bundle(kernel: Kernel) -> Bundle:
    """Pack a kernel: its program is `linux`, and with it comes what lies beside it.

    Raises:
        HostError: it cannot be read.
    """
    folder = kernel.path.parent
    # The folder of a program that is not of our cache is the user's.
    if kernel.key:
        return _pack(folder, _files(folder), "")
    return _pack(folder, [kernel.path.name], "", called="linux")


def agent_bundle() -> Bundle:
    """Pack the guest agent as the cache in which it is found without a compiler.

    Raises:
        HostError: there is none, or it cannot be read.
    """
    initrd = ensure_initrd()
    place = given_initrd()
    return _pack(initrd.parent, [initrd.name], str(place.parent))


def _files(folder: Path) -> list[str]:
    found = [
        path.relative_to(folder)
        for path in folder.rglob("*")
        if path.is_file() or path.is_symlink()
    ]
    return sorted(
        path.as_posix()
        for path in found
        if not _LEFT_OUT.intersection(path.parts) and path.suffix != ".pyc"
    )


def _pack(folder: Path, names: Iterable[str], prefix: str, *, called: str = "") -> Bundle:
    """Pack files; nothing of their times or owners."""
    memory = io.BytesIO()
    try:
        with tarfile.open(fileobj=memory, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for name in names:
                path = folder / name
                entry = tarfile.TarInfo("/".join(filter(None, [prefix, called or name])))
                if path.is_symlink():
                    entry.type, entry.linkname = tarfile.SYMTYPE, str(path.readlink())
                    tar.addfile(entry)
                    continue
                data = path.read_bytes()
                entry.size = len(data)
                entry.mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
                tar.addfile(entry, io.BytesIO(data))
    except OSError as error:
        raise HostError(f"cannot read {error.filename}: {error.strerror}") from error
    content = memory.getvalue()
    return Bundle(hashlib.sha256(content).hexdigest(), content)
