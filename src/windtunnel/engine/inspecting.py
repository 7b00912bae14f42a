# SPDX-License-Identifier: Apache-2.0
"""Which core of a run to look into, and which kernel it is of."""

from __future__ import annotations

from pathlib import Path

from windtunnel.engine.kernelrecord import lab_kernel, node_kernels_of
from windtunnel.errors import UsageError
from windtunnel.images.kernels import Kernel
from windtunnel.model.load import flat_spec
from windtunnel.store import layout
from windtunnel.store.corefiles import FAILED, RunCore, cores_of
from windtunnel.store.run_reader import RunReader


def find_core(run: Path, node: str | None) -> RunCore:
    """Find the core to look into.

    Args:
        run: its folder.
        node: whose own kernel; "" for the shared one; None for the only one, or the first.

    Raises:
        UsageError: there is none; it says why.
    """
    found = cores_of(run)
    chosen = [one for one in found if node is None or one.node == node]
    if chosen:
        return chosen[0]
    if found:
        names = ", ".join(one.node or '"" (the kernel that nodes share)' for one in found)
        raise UsageError(
            f"{run} has no core of node {node}", hint=f"there are cores of: {names} (--node)"
        )
    reasons = [path.read_text(errors="replace").strip() for path in sorted(run.glob(f"*{FAILED}"))]
    if reasons:
        raise UsageError(f"{run} has no core: {reasons[0]}", hint="run the lab again")
    state = RunReader(run).state
    raise UsageError(
        f"{run} has no core: a kernel leaves one when it panics or hangs, and this run {state}",
        hint="look into a lab that runs with `windtunnel debug LAB --node NAME --at TIME`",
    )


def kernel_of(run: Path, core: RunCore) -> Kernel:
    """Find the kernel that a core is of, byte by byte the same.

    Raises:
        HostError: it is not on this machine, or another one by now; the hint says what to do.
    """
    reader = RunReader(run)
    manifest = reader.manifest
    if core.node and reader.lab_text:
        spec = flat_spec(reader.lab_text, file=str(run / layout.LAB))
        own = node_kernels_of(manifest, spec)
        if core.node in own:
            return own[core.node]
    return lab_kernel(manifest)
