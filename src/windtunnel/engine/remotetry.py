# SPDX-License-Identifier: Apache-2.0
"""One try of a cell on another machine.

`python -m windtunnel.engine.remotetry FOLDER SHIPPED PARENT`: the folder has `job`, a
pickled `RemoteJob` of this very code, and gets `result.json` and `run.tar`, the run's
folder. Who can write the folder can run code here anyway.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import sys
import tarfile
import traceback
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from windtunnel.engine.cells import LabCell
from windtunnel.engine.celltry import CellTry, run_try
from windtunnel.engine.hooks import HookContext
from windtunnel.engine.session import kernel_paths
from windtunnel.engine.world import WorldOptions
from windtunnel.errors import ExitStatus
from windtunnel.machines.syscalls import PR_SET_PDEATHSIG, prctl
from windtunnel.model.lab import LabSpec
from windtunnel.store import layout

JOB, RESULT, RUN = "job", "result.json", "run.tar"


@dataclass(frozen=True, slots=True)
class RemoteJob:
    """What another machine is to do; all of it is data.

    Attributes:
        cell: which.
        attempt: 1 for the first try.
        spec: its lab, complete.
        options: how to run it; kernels are where the machine that sends it has them.
        run: the folder of the run, relative to that of the results.
        repeat: the command that runs the cell again.
        replay: the command that repeats the run.
        directory: the current directory of the sender.
        kernels: digests of kernels, by their paths on the sender's machine.
    """

    cell: LabCell
    attempt: int
    spec: LabSpec
    options: WorldOptions
    run: str
    repeat: str
    replay: str
    directory: str
    kernels: dict[str, str]


def run_job(folder: Path, shipped: Path) -> None:
    """Run a job.

    Args:
        folder: with the job; gets the result.
        shipped: has the kernels, each in a folder that is called by its digest.
    """
    job: RemoteJob = pickle.loads((folder / JOB).read_bytes())  # noqa: S301 - see above
    results = folder / "results"
    path = results / job.run
    path.parent.mkdir(parents=True)
    here = folder / "cwd"
    here.mkdir()
    # Guests may read the current directory: the sender's, where that is here as well.
    os.chdir(job.directory if Path(job.directory).is_dir() else here)
    what = CellTry(
        cell=job.cell,
        attempt=job.attempt,
        spec=lambda: job.spec,
        options=_at_home(job, shipped),
        path=path,
        context=HookContext(job.spec.name, results, results),
        around=lambda _spec: [],
        repeat=job.repeat,
        replay=job.replay,
    )
    told = run_try(what)
    _as_sent(path, job)
    with tarfile.open(folder / RUN, "w") as tar:
        if path.exists():
            tar.add(path, arcname=".")
    (folder / RESULT).write_text(json.dumps(told))


def _at_home(job: RemoteJob, shipped: Path) -> WorldOptions:
    """The options with kernels where they are on this machine."""

    def moved(kernel: Any) -> Any:
        return replace(kernel, path=shipped / job.kernels[str(kernel.path)] / "linux")

    options = job.options
    return replace(
        options,
        kernel=moved(options.kernel),
        node_kernels={node: moved(kernel) for node, kernel in options.node_kernels.items()},
    )


def _as_sent(path: Path, job: RemoteJob) -> None:
    """Have the run's record say what a replay at the sender's must know."""
    manifest = path / layout.MANIFEST
    if manifest.exists():
        values = json.loads(manifest.read_text())
        values["options"]["directory"] = job.directory
        values["host"] |= kernel_paths(job.options)  # a replay begins with the sender's
        manifest.write_bytes(layout.json_bytes(values))


def main() -> None:
    """Run the job of a folder, and end when the process that started us does."""
    folder, shipped, parent = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    prctl(PR_SET_PDEATHSIG, signal.SIGINT)
    if os.getppid() != parent:
        sys.exit(ExitStatus.INTERRUPTED)
    try:
        run_job(folder, shipped)
    except Exception:  # noqa: BLE001 - whatever it is: its sender is to tell of it, as of its own
        (folder / RESULT).write_text(json.dumps({"bug": traceback.format_exc()}))


if __name__ == "__main__":
    main()
