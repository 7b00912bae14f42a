# SPDX-License-Identifier: Apache-2.0
"""The contracts of pyproject.toml about imports, and that they notice a wrong one."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from repository import REPOSITORY

LIMIT_HOST_S = 60


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Check a copy of the package by itself, without what is installed."""
    program = (
        "import sys; sys.path.insert(0, 'src'); from importlinter.cli import lint_imports; "
        "sys.exit(lint_imports(no_cache=True))"
    )
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
        timeout=LIMIT_HOST_S,
    )


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    shutil.copytree(REPOSITORY / "src", tmp_path / "src")
    return tmp_path


def test_the_package_keeps_its_contracts():
    answer = lint_imports(REPOSITORY)
    assert answer.returncode == 0, answer.stdout


@pytest.mark.parametrize(
    ("room", "line", "contract"),
    [
        ("model", "import windtunnel.engine", "imports go down only"),
        ("sim", "import windtunnel.wire", "imports go down only"),
        ("wire", "import socket", "the pure rooms do no input or output"),
        ("thirteenth", "", "imports go down only"),
    ],
)
def test_a_wrong_import_and_an_unknown_room_are_caught(tree, room, line, contract):
    folder = tree / "src" / "windtunnel" / room
    folder.mkdir(exist_ok=True)
    (folder / "__init__.py").touch()
    (folder / "wrong.py").write_text(f"{line}\n")
    answer = lint_imports(tree)
    assert answer.returncode == 1
    assert f"{contract} BROKEN" in answer.stdout, answer.stdout + answer.stderr
