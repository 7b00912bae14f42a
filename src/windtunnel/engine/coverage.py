# SPDX-License-Identifier: Apache-2.0
"""Counts of a lab's kernels: set to zero before lab time zero, read after its end.

The kernels' own files are used (debugfs, gcov), from outside of the nodes, so that the
lab happens at the same instants as with a kernel that does not count.

Source: Documentation/dev-tools/gcov.rst
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator, Sequence

from windtunnel.engine.kernelshell import KernelShell, in_file_system
from windtunnel.errors import GuestError
from windtunnel.images.coverage import COUNTS_SUFFIX, CoverageNotes

_PLACE = "/tmp/.windtunnel-coverage"  # noqa: S108 - a guest's
_RESET = "cd gcov || exit 9\necho 1 > reset"
# The files say that they are empty, so tar would take nothing of them: they are copied first.
_COLLECT = f"""\
cd gcov || exit 9
copy={_PLACE}-copy
mkdir "$copy" || exit 9
find . -name '*{COUNTS_SUFFIX}' | while read -r file; do
  mkdir -p "$copy/${{file%/*}}" && cat "$file" > "$copy/$file" || exit 9
done
tar -C "$copy" --sort=name --mtime=@0 -cf - . || exit 9
rm -r "$copy" """


class KernelCoverage:
    """The counts of one kernel."""

    def __init__(self, shell: KernelShell, notes: CoverageNotes) -> None:
        """Create; nothing is asked.

        Args:
            shell: of the kernel.
            notes: which objects it counts in.
        """
        self._shell = shell
        self.kernel = shell.kernel
        self._notes = notes

    def reset(self) -> None:
        """Set all counts to zero. Time passes.

        Raises:
            GuestError: the kernel has none.
        """
        self._run(_RESET)

    def collect(self) -> Iterator[tuple[str, bytes]]:
        """Give the counts of each object, in the order of their names. Time passes.

        Raises:
            GuestError: the kernel has none, or the guest lacks tar.
        """
        archive = self._run(_COLLECT)
        try:
            with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as files:
                for member in files:
                    name = self._notes.name_of(member.name)
                    content = files.extractfile(member) if member.isreg() else None
                    if name is not None and content is not None:
                        yield f"{name}{COUNTS_SUFFIX}", content.read()
        except tarfile.TarError as error:
            raise GuestError(f"the counts of {self._whose} are damaged: {error}") from error

    @property
    def _whose(self) -> str:
        return f"the kernel of {self.kernel}" if self.kernel else "the lab's kernel"

    def _run(self, script: str) -> bytes:
        """Run a script where the kernel's counts are."""
        _, result, output = self._shell.run(in_file_system("debugfs", _PLACE, script), "gcov")
        if result.exit_status != 0:
            said = result.stderr.strip()[-400:]
            raise GuestError(
                f"the counts of {self._whose} cannot be read, exit status "
                f"{result.exit_status}" + (f": {said}" if said else ""),
                hint="guests see the host's programs: find, tar and mount must be there",
            )
        return output


class Coverage:
    """The counts of all kernels of a world that count."""

    def __init__(self, kernels: Sequence[KernelCoverage]) -> None:
        self._kernels = kernels

    def reset(self) -> None:
        """Set all counts to zero. Time passes."""
        for kernel in self._kernels:
            kernel.reset()

    def collect(self, write: Callable[[str, str, bytes], None]) -> None:
        """Read all counts. Time passes.

        Args:
            write: takes the kernel, the name of a file and its content.
        """
        for kernel in self._kernels:
            for name, data in kernel.collect():
                write(kernel.kernel, name, data)
