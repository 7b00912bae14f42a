# SPDX-License-Identifier: Apache-2.0
"""The core of a guest that panicked or hangs, in the folder of its run.

`core` is the shared kernel's, `core-r1` that of node r1's own. Where none could be
taken, a file of that name with ".failed" at its end says why: what the host cannot do
must not change what the run records.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from windtunnel.errors import HostError
from windtunnel.machines.core import write_core
from windtunnel.store import layout
from windtunnel.store.corefiles import CORE, FAILED

CELLS_MAX = 10
"""How many cells of one result leave a core."""

_SPARE_BYTES = 256 << 20  # what a host keeps free, for the run itself to go on


def core_path(console: Path) -> Path:
    """Name the core that belongs to a console: "console-r1.log" and "core-r1"."""
    return console.with_name(console.stem.replace("console", CORE, 1))


class GuestCore:
    """Where a guest's core goes, once."""

    def __init__(self, path: Path, memory_bytes: int) -> None:
        """Prepare.

        Args:
            path: of the file.
            memory_bytes: of the guest: so much may be written.
        """
        self._path = path
        self._needed_bytes = memory_bytes + _SPARE_BYTES
        self._taken = False

    def take(self, pid: int, *, signal: int = 0) -> None:
        """Take it, unless that was done or tried before; the process goes on afterwards.

        Args:
            pid: of the guest's kernel.
            signal: that is ending it; 0 when it hangs.
        """
        if self._taken:
            return
        self._taken = True
        try:
            self._require_room()
            self._require_space()
            write_core(pid, self._path, signal=signal)
        except (HostError, OSError) as error:
            with suppress(OSError):  # a full disk: then nobody learns why
                self._path.with_name(f"{self._path.name}{FAILED}").write_text(f"{error}\n")

    def _require_room(self) -> None:
        """A matrix whose every cell panics shall not fill the disk."""
        cells = self._path.parent.parent
        if cells.name != layout.CELLS:
            return
        others = [one for one in cells.glob(f"*/{CORE}*") if one.suffix != FAILED]
        if len(others) >= CELLS_MAX:
            raise HostError(
                f"{CELLS_MAX} other cells have left cores, which is enough for a disk",
                hint="repeat this cell alone with its `windtunnel replay`",
            )

    def _require_space(self) -> None:
        free_bytes = layout.free_bytes(self._path.parent)
        if free_bytes < self._needed_bytes:
            raise HostError(
                f"the core may need {self._needed_bytes >> 20} MiB, and "
                f"{free_bytes >> 20} MiB are free",
                hint="free some space, and repeat the run",
            )
