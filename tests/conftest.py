# SPDX-License-Identifier: Apache-2.0
"""What all tests share: which kernels to boot, and what to do about a missing tool.

A missing tool is a skip that one sees on a laptop, and an error where CI is set:
there it would hide that nothing was tested.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import settings

# Where Debian keeps programs that an ordinary user's PATH does not name.
PROGRAM_PATH = os.pathsep.join(
    [os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin", "/usr/lib/frr"]
)

# Equal examples on every run in CI; a laptop may find new ones. No deadline: a busy host is no bug.
settings.register_profile("windtunnel", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("windtunnel")

# A shell that starts the tests in the background has them ignore SIGINT, and
# every program that they start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser):
    parser.addoption(
        "--kernel",
        action="append",
        metavar="NAME",
        help='boot this kernel: "newest" (the default), "6.12" or a path; may be given again',
    )
    parser.addoption(
        "--update-golden", action="store_true", help="write the expected files of tests/logs anew"
    )


def pytest_generate_tests(metafunc):
    if "kernel" in metafunc.fixturenames:
        names = metafunc.config.getoption("--kernel") or ["newest"]
        metafunc.parametrize("kernel", names, indirect=True, scope="session")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        if "kernel" in item.fixturenames:
            item.add_marker("needs_uml")


def report_missing(what: str) -> NoReturn:
    """Skip the test, or fail it where CI is set."""
    if "CI" in os.environ:
        pytest.fail(f"{what}; CI may not skip what needs it", pytrace=False)
    pytest.skip(what)


@pytest.fixture(scope="session")
def need_program() -> Callable[[str], Path]:
    """A function that gives a program's path: `need_program("vtysh")`."""

    def find(name: str) -> Path:
        found = shutil.which(name, path=PROGRAM_PATH)
        if found is None:
            report_missing(f"the program {name!r} is not installed (see packages.txt)")
        return Path(found)

    return find


@pytest.fixture(scope="session")
def need_module() -> Callable[[str], None]:
    """A function that makes sure that a Python package is there: `need_module("ray")`."""

    def find(name: str) -> None:
        if find_spec(name) is None:
            report_missing(f"the Python package {name!r} is not installed")

    return find


@pytest.fixture(scope="session")
def kernel(request) -> str:
    """The kernel to boot, as `--kernel` takes it. Who asks for it is marked needs_uml."""
    return request.param


@pytest.fixture(scope="session")
def kernel_path(kernel: str) -> Path:
    """The program of the kernel to boot. `make kernels` builds it; a test never does."""
    # Only here: the tests of the pure rooms run without the room of images.
    from windtunnel.images.kernels import find_kernel  # noqa: PLC0415

    found = find_kernel(kernel)
    if found is None:
        report_missing(f"no kernel {kernel!r} is built (make kernels)")
    return found.path
