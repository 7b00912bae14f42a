# SPDX-License-Identifier: Apache-2.0
"""Where the files are that ship with us but are no Python.

In a checkout they stand at the repository's root, in an installed package
beside the modules (pyproject.toml, force-include).
"""

from __future__ import annotations

from pathlib import Path

from windtunnel.errors import HostError

_PACKAGE = Path(__file__).resolve().parent.parent
_CHECKOUT = _PACKAGE.parent.parent


def kernel_folder() -> Path:
    """Find the folder with the kernel's config fragment and patches.

    Raises:
        HostError: the installation is incomplete; install again.
    """
    return _shipped(_PACKAGE / "_kernel", _CHECKOUT / "kernel")


def packages_file() -> Path:
    """Find the list of system packages that we use.

    Raises:
        HostError: the installation is incomplete; install again.
    """
    return _shipped(_PACKAGE / "packages.txt", _CHECKOUT / "packages.txt")


def agent_source() -> Path:
    """Find the C source of the guest agent.

    Raises:
        HostError: the installation is incomplete; install again.
    """
    return _shipped(_PACKAGE / "machines" / "guest")


def _shipped(*places: Path) -> Path:
    for place in places:
        if place.exists():
            return place
    raise HostError(
        f"{places[0]} is missing: this installation of windtunnel is incomplete",
        hint="install the package again",
    )
