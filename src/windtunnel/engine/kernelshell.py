# SPDX-License-Identifier: Apache-2.0
"""Scripts in a kernel, outside of its nodes: no part of the lab, and no event.

What they are for are file systems of the kernel's own, tracefs and debugfs, of which
nodes see nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from windtunnel.engine.node import PRIVATE, Node
from windtunnel.engine.process import Process, Result
from windtunnel.engine.witness import Sink


class KernelShell:
    """One kernel, from outside of its nodes.

    Attributes:
        kernel: the node whose own kernel it is; empty for the shared one.
    """

    def __init__(self, base: Node, kernel: str) -> None:
        """Create; nothing is asked.

        Args:
            base: what stands for the kernel itself; told to nobody.
            kernel: as the attribute.
        """
        self._base = base
        self.kernel = kernel

    def run(self, script: str, name: str) -> tuple[Process, Result, bytes]:
        """Run a script of the shell. Time passes.

        Args:
            script: the words.
            name: for the process.

        Returns:
            The process, how it ended, and what it wrote to stdout; all of it, whatever
            its size.
        """
        output = bytearray()

        def take(data: bytes, stderr: bool) -> None:
            output.extend(b"" if stderr else data)

        process = self._base.begin(["/bin/sh", "-c", script], name=f"{PRIVATE}{name}", sink=take)
        return process, process.wait(), bytes(output)

    def begin_own(self, words: Sequence[str], name: str, sink: Sink) -> Process:
        """Start a program of the agent's own; it begins when time next passes.

        Args:
            words: which, and its arguments (machines/guest/agent.c).
            name: for the process.
            sink: takes what it prints, as it comes.
        """
        # The agent's own program, which a process of the base node is born from.
        command = ["/proc/self/exe", *words]
        return self._base.begin(command, name=f"{PRIVATE}{name}", sink=sink)


def in_file_system(kind: str, place: str, script: str) -> str:
    """Put a script between mounting and unmounting; it begins in the file system's top.

    Args:
        kind: of the file system: "tracefs", "debugfs".
        place: a folder of the guest's, made and removed.
        script: leaves the folder mounted where it fails with status 9, as mounting does.
    """
    begin = f"mkdir -p {place} && mount -t {kind} none {place} && cd {place} || exit 9"
    return f"{begin}\n{script}\ncd / && umount {place} && rmdir {place}\n"
