# SPDX-License-Identifier: Apache-2.0
"""The cores in a run's folder: `core` is the shared kernel's, `core-r1` that of node r1's own.

Where none could be taken, a file of that name with ".failed" at its end says why.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from windtunnel.store.layout import host_errors
from windtunnel.wire.elfcore import HEAD_MAX_BYTES, whole_bytes

CORE = "core"
FAILED = ".failed"

_OWN = f"{CORE}-"


@dataclass(frozen=True, slots=True)
class RunCore:
    """A core in a run's folder.

    Attributes:
        path: of the file.
        node: whose own kernel it is of; empty for that which nodes share.
    """

    path: Path
    node: str


def cores_of(run: Path) -> list[RunCore]:
    """Find a run's cores, the shared kernel's first, then by the nodes' names."""
    return [
        RunCore(path, path.name.removeprefix(_OWN) if path.name != CORE else "")
        for path in sorted([*run.glob(CORE), *run.glob(f"{_OWN}*")])
        if path.suffix != FAILED and path.is_file()
    ]


def missing_bytes(core: Path) -> int:
    """Say how much of a core is missing at its end, as a full disk leaves it; 0 if it is whole.

    Raises:
        HostError: it cannot be read.
    """
    with host_errors(core, f"read {core.name}", hint=""), core.open("rb") as file:
        return max(whole_bytes(file.read(HEAD_MAX_BYTES)) - core.stat().st_size, 0)
