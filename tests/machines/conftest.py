# SPDX-License-Identifier: Apache-2.0
"""Kernels and folders that an ordinary user may reach; pytest's own are for one user only."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def open_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="windtunnel-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def open_kernel(kernel_path: Path) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="windtunnel-test-kernel-"))
    folder.chmod(0o755)
    path = folder / "linux"
    shutil.copy(kernel_path, path)
    path.chmod(0o755)
    yield path
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def open_folders() -> Iterator[Iterator[Path]]:
    made = []

    def make() -> Iterator[Path]:
        while True:
            made.append(Path(tempfile.mkdtemp(prefix="windtunnel-test-")))
            made[-1].chmod(0o755)
            yield made[-1]

    yield make()
    for folder in made:
        shutil.rmtree(folder)


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """An empty folder for a guest to work in."""
    folder = tmp_path.resolve() / "scratch"
    folder.mkdir()
    return folder
