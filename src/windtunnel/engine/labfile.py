# SPDX-License-Identifier: Apache-2.0
"""Lab files on disk. Slow to import (schema, YAML); only loaded for lab files."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from windtunnel.errors import HostError, LabFileError
from windtunnel.model.lab import LabSpec
from windtunnel.model.load import load_lab

FILE_MAX_BYTES = 64 * 1024 * 1024
"""A lab of 10,000 nodes has 1 MiB; what is longer is some other file."""


def read_spec(path: Path, *, seed: int | None = None, stop_ns: int | None = None) -> LabSpec:
    """Read a lab file and everything that it names.

    Args:
        path: of the lab file.
        seed: used instead of the file's.
        stop_ns: used instead of the file's.

    Raises:
        LabFileErrors: it is wrong; every mistake with its place.
        LabFileError: it is not there, or not text.
        HostError: it cannot be read.
    """
    return LabFile(path).spec(seed=seed, stop_ns=stop_ns)


class LabFile:
    """A lab file, for one lab after the other: each file is read once, whatever is edited.

    Attributes:
        path: of the lab file.
        text: what stands in it.
    """

    def __init__(self, path: Path) -> None:
        """Read the lab file.

        Raises:
            LabFileError: it is not there, or not text.
            HostError: it cannot be read.
        """
        self.path = path
        self.text = read_text(path)
        self._read = functools.cache(_reader(path.parent))
        self._list_directory = functools.cache(_lister(path.parent))

    def spec(
        self,
        *,
        seed: int | None = None,
        stop_ns: int | None = None,
        params: Mapping[str, str] | None = None,
    ) -> LabSpec:
        """Give the lab.

        Args:
            seed: used instead of the file's.
            stop_ns: used instead of the file's.
            params: of the cell, for a lab with parameters.

        Raises:
            LabFileErrors: it is wrong; every mistake with its place.
        """
        return load_lab(
            self.text,
            file=str(self.path),
            read=self._read,
            list_directory=self._list_directory,
            seed=seed,
            stop_ns=stop_ns,
            params=params,
        )


def _reader(folder: Path) -> Callable[[str], bytes]:
    return lambda name: (folder / name).read_bytes()


def _lister(folder: Path) -> Callable[[str], Sequence[str]]:
    def list_directory(name: str) -> Sequence[str]:
        root = folder / name
        found = [
            os.path.relpath(os.path.join(top, file), root)  # noqa: PTH118 - os.walk's words
            for top, _, files in os.walk(root)
            for file in files
        ]
        if not found and not root.is_dir():
            raise NotADirectoryError(20, "not a directory", str(root))
        return sorted(found)

    return list_directory


def read_text(path: Path) -> str:
    """Read a file that a user wrote.

    Raises:
        LabFileError: it is not there, too long, or not UTF-8.
        HostError: it cannot be read.
    """
    try:
        data = path.read_bytes() if path.stat().st_size <= FILE_MAX_BYTES else None
    except FileNotFoundError:
        raise LabFileError(f"there is no file {str(path)!r}") from None
    except IsADirectoryError:
        raise LabFileError(f"{str(path)!r} is a folder", hint="name a lab file in it") from None
    except OSError as error:
        raise HostError(f"cannot read {path}: {error.strerror}") from error
    if data is None:
        raise LabFileError(f"{path} has more than {FILE_MAX_BYTES >> 20} MiB; it is no lab file")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise LabFileError(f"{path} is not UTF-8 text: {error.reason}") from error
