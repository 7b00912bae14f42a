# SPDX-License-Identifier: Apache-2.0
"""Repeat a run from its folder alone, and compare.

The folder has the lab flattened, the seed, the kernel's key and what guests were
let see. A run that was killed or interrupted is compared as far as it was
recorded: a longer record that begins in the same way is equal.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from windtunnel.engine.kernelrecord import lab_kernel, node_kernels_of
from windtunnel.engine.session import RUNS, Session, SessionRequest, run_session
from windtunnel.engine.world import WorldOptions
from windtunnel.errors import HostError, StateError, UsageError
from windtunnel.images.kernels import find_kernel
from windtunnel.model.lab import LabSpec
from windtunnel.model.load import flat_spec
from windtunnel.store import layout
from windtunnel.store.compare import Difference, compare_runs, compared_files
from windtunnel.store.run_reader import RunReader

_CUT_SHORT = ("killed", "interrupted")
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class ReplayRequest:
    """What to repeat.

    Attributes:
        run: the folder of the run.
        base: the folder of all runs, for the new one.
        output: a folder of the user's choice for the new one; None numbers it.
        kernel: in place of the lab's that the run names, as `find_kernel` takes it.
        trust_guest: see `WorldOptions`.
        watchdog_host_s: see `WorldOptions`; None is the default.
        parallel: see `WorldOptions`.
        heartbeat: see `WorldOptions`.
    """

    run: Path
    base: Path = RUNS
    output: Path | None = None
    kernel: str | None = None
    trust_guest: bool = False
    watchdog_host_s: float | None = None
    parallel: int | None = None
    heartbeat: Callable[[int], None] | None = None


@dataclass(frozen=True, slots=True)
class Replay:
    """How the repetition compares with the run.

    Attributes:
        session: the new run.
        difference: the first one; None when they are equal.
        until_ns: lab time until which they were compared, when the run was cut
            short; None when it had ended by itself.
    """

    session: Session
    difference: Difference | None
    until_ns: int | None


def replay(
    request: ReplayRequest,
    *,
    progress: Callable[[str], None] = lambda _doing: None,
    begun: Callable[[Path], None] = lambda _path: None,
) -> Replay:
    """Repeat a run.

    Args:
        request: which, and how.
        progress: called with what the lab is doing.
        begun: called with the new run's folder as soon as it is there.

    Raises:
        UsageError: the folder has no run, or no lab.
        StateError: the run has not ended yet.
        HostError: a kernel of it is not here, or is another now; the hint says how
            to build it.
    """
    reader = RunReader(request.run)
    state = reader.state
    if state == "running":
        raise StateError(
            f"the run in {request.run} has not ended yet",
            state=state,
            required="ended",
            hint="wait for its end, or end it",
        )
    manifest = reader.manifest
    if manifest.get("driver"):
        raise UsageError(
            f"{manifest['driver']} drove the run in {request.run}, whose folder has only its lab",
            hint=f"repeat it with: {manifest.get('repeat')}",
        )
    lab_text = reader.lab_text
    if not lab_text:
        raise UsageError(f"the run in {request.run} was killed before its lab was recorded")
    spec = flat_spec(lab_text, file=str(request.run / layout.LAB))
    session = run_session(
        SessionRequest(
            spec=spec,
            options=_options(request, manifest, spec),
            source_text=_source_text(request.run),
            base=request.base,
            output=request.output,
            log_grants=(request.run / layout.GRANTS).is_file(),
        ),
        progress=progress,
        begun=begun,
    )
    if state in _CUT_SHORT:
        difference, until_ns = _compare_beginning(request.run, session.path)
        return Replay(session, difference, until_ns)
    return Replay(session, compare_runs(request.run, session.path), None)


def _options(request: ReplayRequest, manifest: Mapping[str, Any], spec: LabSpec) -> WorldOptions:
    kernel = lab_kernel(manifest) if request.kernel is None else find_kernel(request.kernel)
    if kernel is None:
        raise HostError(
            f"there is no kernel {request.kernel!r}", hint="`windtunnel kernel list` lists them"
        )
    recorded = _mapping(manifest.get("options"))
    options = WorldOptions(
        kernel=kernel,
        node_kernels=node_kernels_of(manifest, spec),
        read=_paths(recorded.get("read")),
        write=_paths(recorded.get("write")),
        kernel_words=tuple(map(str, recorded.get("kernel_words") or ())),
        trust_guest=request.trust_guest,
        parallel=request.parallel,
        heartbeat=request.heartbeat,
    )
    directory = recorded.get("directory")
    if isinstance(directory, str) and Path(directory).is_dir() and Path(directory) != Path.cwd():
        # Guests of that run could read its current directory, unless it was one too wide.
        options = replace(options, read=(*options.read, *_project(Path(directory))))
    if request.watchdog_host_s is not None:
        options = replace(options, watchdog_host_s=request.watchdog_host_s)
    return options


def _project(directory: Path) -> tuple[Path, ...]:
    # Only here: a replay in the same folder does not need it.
    from windtunnel.machines.confine import default_read_paths  # noqa: PLC0415

    return tuple(path for path in default_read_paths(directory) if path.parent != Path("/"))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _paths(value: Any) -> tuple[Path, ...]:
    return tuple(Path(str(path)) for path in value or ())


def _source_text(run: Path) -> str | None:
    try:
        return (run / layout.LAB_SOURCE).read_text()
    except (OSError, UnicodeDecodeError):
        return None


# ---- runs that were cut short ----


def _compare_beginning(run: Path, again: Path) -> tuple[Difference | None, int | None]:
    """Compare what a run recorded with as much of its repetition."""
    last_ns = None
    for event in RunReader(run).events():
        last_ns = event.time_ns
    with tempfile.TemporaryDirectory(prefix="windtunnel-replay-") as folder:
        cut = Path(folder)
        # How it ended is what must not be compared: it was ended from outside.
        if (run / layout.MANIFEST).is_file():
            shutil.copyfile(run / layout.MANIFEST, cut / layout.MANIFEST)
        for name in (*compared_files(run), layout.GRANTS):
            _copy_beginning(again / name, cut / name, _size_bytes(run / name))
        return compare_runs(run, cut, logs=False), last_ns


def _size_bytes(path: Path) -> int | None:
    try:
        return path.lstat().st_size
    except FileNotFoundError:
        return None


def _copy_beginning(source: Path, target: Path, size_bytes: int | None) -> None:
    if size_bytes is None or not os.path.lexists(source):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_symlink():
        target.symlink_to(source.readlink())
        return
    with source.open("rb") as reading, target.open("wb") as writing:
        while size_bytes > 0 and (chunk := reading.read(min(size_bytes, _CHUNK_BYTES))):
            writing.write(chunk)
            size_bytes -= len(chunk)
