# SPDX-License-Identifier: Apache-2.0
"""Loading labs in tests: files come from a mapping, not from a disk."""

from collections.abc import Callable, Mapping

import pytest

from windtunnel.errors import LabFileErrors
from windtunnel.model.lab import LabSpec
from windtunnel.model.load import load_lab


def load_text(text: str, files: Mapping[str, bytes] | None = None) -> LabSpec:
    known = files or {}

    def read(path: str) -> bytes:
        if path not in known:
            raise FileNotFoundError(2, "No such file or directory")
        return known[path]

    def list_directory(path: str) -> list[str]:
        found = [name[len(path) + 1 :] for name in known if name.startswith(path + "/")]
        if not found:
            raise FileNotFoundError(2, "No such file or directory")
        return found

    return load_lab(text, file="lab.yaml", read=read, list_directory=list_directory)


@pytest.fixture
def load() -> Callable[..., LabSpec]:
    return load_text


@pytest.fixture
def errors_of() -> Callable[..., list[str]]:
    """Load a lab that is wrong; returns its errors as the user sees them."""

    def run(text: str, files: Mapping[str, bytes] | None = None) -> list[str]:
        with pytest.raises(LabFileErrors) as caught:
            load_text(text, files)
        return [str(error) for error in caught.value.errors]

    return run
