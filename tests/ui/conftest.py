# SPDX-License-Identifier: Apache-2.0
"""The real program in a process of its own, in an empty folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from repository import REPOSITORY

LIMIT_HOST_S = 120


class Program:
    """Starts `windtunnel` as a user would.

    Attributes:
        folder: where it is started; empty at first.
        environment: of the program.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        path = os.pathsep.join([str(REPOSITORY / "src"), os.environ.get("PYTHONPATH", "")])
        dropped = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "WINDTUNNEL_KERNEL", "TERM")
        self.environment = {
            name: value for name, value in os.environ.items() if name not in dropped
        } | {"PYTHONPATH": path.rstrip(os.pathsep), "TERM": "xterm-256color"}

    def start(self, *arguments: str, **options) -> subprocess.Popen:
        """Start it; what it prints is read through pipes."""
        return subprocess.Popen(
            [sys.executable, "-m", "windtunnel", *arguments],
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


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """The program, without any kernel and with an empty cache."""
    folder = tmp_path / "work"
    folder.mkdir()
    program = Program(folder)
    program.environment["XDG_CACHE_HOME"] = str(tmp_path / "cache")
    return program


@pytest.fixture
def booting_program(tmp_path: Path, kernel_path: Path) -> Program:
    """The program, with the kernel that is to be tested and the user's own cache."""
    folder = tmp_path / "work"
    folder.mkdir()
    program = Program(folder)
    program.environment["WINDTUNNEL_KERNEL"] = str(kernel_path)
    return program
