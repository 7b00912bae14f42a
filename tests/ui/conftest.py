# SPDX-License-Identifier: Apache-2.0
"""The real program in a process of its own, in an empty folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import report_missing
from program import Program
from windtunnel.images.kernels import list_kernels, load_recipe
from windtunnel.images.variant import parse_variant


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


@pytest.fixture
def special_program(tmp_path: Path):
    """A function that gives the program with a special kernel, the newest that is built.

    `special_program(covers="net/ipv4/icmp.c")`, `special_program(sanitizers=("kasan",))`.
    `make kernels` builds one of each; a test never does.
    """

    def find(*, covers: str = "", sanitizers: tuple[str, ...] = ()) -> Program:
        wanted = parse_variant([covers] if covers else [], sanitizers)
        fitting = [
            one
            for one in list_kernels()
            if one.recipe == load_recipe(one.options, one.variant).digest
            and (one.variant.covers(covers) if covers else _finds(one.variant, wanted))
        ]
        if not fitting:
            report_missing(
                f"no such kernel is built: make kernels, or windtunnel kernel build "
                f"{wanted.describe()}"
            )
        folder = tmp_path / "work"
        folder.mkdir()
        program = Program(folder)
        # One without settings of its own is nearest to the ordinary kernel.
        program.environment["WINDTUNNEL_KERNEL"] = min(fitting, key=_settings).key
        return program

    return find


def _settings(kernel) -> int:
    return len(kernel.options)


def _finds(variant, wanted) -> bool:
    return set(wanted.sanitizers) <= set(variant.sanitizers)
