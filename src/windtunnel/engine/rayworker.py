# SPDX-License-Identifier: Apache-2.0
"""What runs on the machines of a Ray cluster. It is sent there, so it needs Python alone.

Our own package arrives like everything else: as a bundle, unpacked once, called by its
digest. Nothing here may import it.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_CHUNK_BYTES = 4 << 20
_LINES_SHOWN = 20


def run_remote(
    job: bytes, bundles: dict[str, tuple[str, list[Any]]], fetch: Callable[[Any], bytes]
) -> Iterator[bytes]:
    """Run one job.

    Args:
        job: a pickled `RemoteJob`.
        bundles: "code", "agent" and a name for each kernel: its digest, and a
            reference to its content in a list.
        fetch: gives the content of a reference.

    Yields:
        First JSON: `status` of the process, `machine`, and `result` or `error`; then the
        run's folder as a tar file, piece by piece.
    """
    shipped = _shipped()
    places = {name: _unpacked(shipped, *one, fetch) for name, one in bundles.items()}
    folder = Path(tempfile.mkdtemp(prefix="windtunnel-cell-"))
    try:
        (folder / "job").write_bytes(job)
        status, error = _run(folder, shipped, places)
        result = folder / "result.json"
        told: dict[str, Any] = {"status": status, "machine": os.uname().nodename, "error": error}
        if result.exists():
            told["result"] = json.loads(result.read_text())
        yield json.dumps(told).encode()
        run = folder / "run.tar"
        if result.exists() and run.exists():
            with run.open("rb") as file:
                while chunk := file.read(_CHUNK_BYTES):
                    yield chunk
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _shipped() -> Path:
    base = os.environ.get("XDG_CACHE_HOME", "")
    root = Path(base) if base.startswith("/") else Path.home() / ".cache"
    folder = root / "windtunnel" / "shipped"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _unpacked(
    shipped: Path, digest: str, reference: list[Any], fetch: Callable[[Any], bytes]
) -> Path:
    """Where a bundle is; it appears by one rename, so whatever is there is whole."""
    place = shipped / digest
    if place.is_dir():
        return place
    content = fetch(reference[0])
    found = hashlib.sha256(content).hexdigest()
    if found != digest:
        raise RuntimeError(f"what arrived has the digest {found}, and {digest} was sent")
    new = Path(tempfile.mkdtemp(prefix=".new-", dir=shipped))
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        # It is ours, by its digest. The option `filter` came with Python 3.11.4 only.
        tar.extraction_filter = lambda member, _path: member
        tar.extractall(new)  # noqa: S202 - see above
    try:
        new.rename(place)
    except OSError:  # another worker of this machine was first
        shutil.rmtree(new, ignore_errors=True)
    return place


def _run(folder: Path, shipped: Path, places: dict[str, Path]) -> tuple[int, str]:
    """Run the job in a process of its own, which ends when this one does."""
    words = [str(folder), str(shipped), str(os.getpid())]
    command = [sys.executable, "-m", "windtunnel.engine.remotetry", *words]
    environment = os.environ | {
        "PYTHONPATH": str(places["code"]),
        "XDG_CACHE_HOME": str(places["agent"]),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    with (folder / "log").open("w+") as log:
        with subprocess.Popen(
            command,
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        ) as process:
            try:
                status = process.wait()
            except BaseException:
                process.send_signal(signal.SIGINT)
                raise
        log.seek(0)
        return status, "".join(log.readlines()[-_LINES_SHOWN:])
