# SPDX-License-Identifier: Apache-2.0
"""Programs of ours in a process of their own, as users start them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from repository import REPOSITORY

LIMIT_HOST_S = 120


class Program:
    """Starts `windtunnel` as a user would.

    Attributes:
        folder: where it is started; empty at first.
        environment: of the program.
        module: that is run, "windtunnel" or "pytest".
    """

    def __init__(self, folder: Path, module: str = "windtunnel"):
        self.folder = folder
        self.module = module
        path = os.pathsep.join([str(REPOSITORY / "src"), os.environ.get("PYTHONPATH", "")])
        # pytest shortens no line where CI is set, so it would say more in one place than here.
        dropped = ("CI", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "WINDTUNNEL_KERNEL", "TERM")
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if name not in dropped and not name.startswith("PYTEST_")
        } | {"PYTHONPATH": path.rstrip(os.pathsep), "TERM": "xterm-256color"}

    def start(self, *arguments: str, **options) -> subprocess.Popen:
        """Start it; what it prints is read through pipes."""
        return subprocess.Popen(
            [sys.executable, "-m", self.module, *arguments],
            cwd=self.folder,
            env=self.environment,
            **{
                "stdin": subprocess.DEVNULL,
                "stdout": subprocess.PIPE,
                "stderr": subprocess.PIPE,
                "text": True,
                **options,
            },
        )

    def __call__(self, *arguments: str, **options) -> subprocess.CompletedProcess:
        """Run it to its end."""
        with self.start(*arguments, **options) as process:
            try:
                stdout, stderr = process.communicate(timeout=LIMIT_HOST_S)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        return subprocess.CompletedProcess(arguments, process.returncode, stdout, stderr)

    def write(self, name: str, text: str) -> str:
        """Write a file into its folder."""
        (self.folder / name).write_text(text)
        return name
