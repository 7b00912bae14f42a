# SPDX-License-Identifier: Apache-2.0
"""The real program in a process of its own, in an empty folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from program import Program


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
