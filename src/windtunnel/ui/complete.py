# SPDX-License-Identifier: Apache-2.0
"""What the shell offers when one presses Tab: lab files, matrices, runs, kernels."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

_SUFFIXES = (".yaml", ".yml")
_MATRIX_SUFFIXES = (".cfg",)
_CELLS_LOOKED_AT = 1000  # of a lab; who completes does not wait for 10^12


def labs(incomplete: str) -> list[str]:
    """Offer lab files, and folders that lead to some."""
    return _files(incomplete, _SUFFIXES)


def matrices(incomplete: str) -> list[str]:
    """Offer files of Cartesian configuration and labs, and folders that lead to some."""
    return _files(incomplete, (*_MATRIX_SUFFIXES, *_SUFFIXES))


def _files(incomplete: str, suffixes: tuple[str, ...]) -> list[str]:
    folder, _, start = incomplete.rpartition("/")
    if incomplete.startswith("/"):
        folder = folder or "/"
    try:
        entries = sorted(Path(folder or ".").iterdir())
    except OSError:
        return []
    found = []
    for entry in entries:
        hidden = entry.name.startswith(".") and not start.startswith(".")
        if not entry.name.startswith(start) or hidden:
            continue
        text = f"{incomplete[: len(incomplete) - len(start)]}{entry.name}"
        if entry.is_dir():
            found.append(f"{text}/")
        elif entry.suffix in suffixes:
            found.append(text)
    return found


def runs(incomplete: str) -> list[str]:
    """Offer the runs of the current directory as LAB/NUMBER."""
    from windtunnel.store.run_reader import list_records  # noqa: PLC0415 - only while completing

    names = ["latest", *(f"{run.parent.name}/{run.name}" for run in list_records(Path("runs")))]
    return [name for name in names if name.startswith(incomplete)]


def sanitizers(incomplete: str) -> list[str]:
    """Offer what a kernel can look for."""
    from windtunnel.images.variant import Sanitizer  # noqa: PLC0415 - only while completing

    return [name for name in Sanitizer if name.startswith(incomplete)]


def providers(incomplete: str) -> list[str]:
    """Offer the providers that the user has named."""
    from windtunnel.errors import WindtunnelError  # noqa: PLC0415
    from windtunnel.providers.registry import list_providers  # noqa: PLC0415

    try:
        names = [provider.name for provider in list_providers()]
    except WindtunnelError:
        return []
    return [name for name in names if name.startswith(incomplete)]


def kernels(incomplete: str) -> list[str]:
    """Offer the kernels that are built."""
    from windtunnel.images.kernels import NEWEST, list_kernels  # noqa: PLC0415

    names = [NEWEST, *(kernel.name for kernel in list_kernels())]
    return [name for name in names if name.startswith(incomplete)]


def cells(ctx: Any, incomplete: str) -> list[str]:
    """Offer the first cells of the lab that the command line names."""
    from windtunnel.engine.cells import read_cells  # noqa: PLC0415 - only while completing
    from windtunnel.errors import WindtunnelError  # noqa: PLC0415

    lab = ctx.params.get("lab") or next(iter(ctx.args), None)
    if lab is None:
        return []
    try:
        looked_at = islice(read_cells(Path(lab)), _CELLS_LOOKED_AT)
        return [cell.name for cell in looked_at if cell.name.startswith(incomplete)]
    except WindtunnelError:
        return []


def nodes(ctx: Any, incomplete: str) -> list[str]:
    """Offer the nodes of the lab that the command line names."""
    from windtunnel.engine.labfile import read_spec  # noqa: PLC0415 - only while completing
    from windtunnel.errors import WindtunnelError  # noqa: PLC0415

    # An option without its value ends the parsing: what stood before it is left as it was.
    lab = ctx.params.get("lab") or next(iter(ctx.args), None)
    if lab is None:
        return []
    try:
        spec = read_spec(Path(lab))
    except WindtunnelError:
        return []
    return [node.name for node in spec.nodes if node.name.startswith(incomplete)]
