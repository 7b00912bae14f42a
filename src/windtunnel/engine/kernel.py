# SPDX-License-Identifier: Apache-2.0
"""Which kernel to boot."""

from __future__ import annotations

import os
from collections.abc import Mapping

from windtunnel.errors import HostError
from windtunnel.images.kernels import Kernel, find_kernel
from windtunnel.model.lab import OWN, LabSpec

KERNEL_VARIABLE = "WINDTUNNEL_KERNEL"
"""Names a kernel as `--kernel` does; for test suites that run under several."""


def default_kernel(name: str | None = None) -> Kernel:
    """The kernel called `name`, or the newest that is built.

    Args:
        name: a version, a key, or a path of a UML program.

    Raises:
        HostError: there is none; the hint says how to build it.
    """
    wanted = name or os.environ.get(KERNEL_VARIABLE)
    kernel = find_kernel(wanted)
    if kernel is None:
        what = f"no kernel {wanted!r}" if wanted else "no kernel"
        raise HostError(
            f"{what} has been built on this machine yet",
            hint="build one, about ten minutes: windtunnel kernel build",
        )
    return kernel


def node_kernels(
    spec: LabSpec, kernel: Kernel, found: Mapping[str, Kernel] | None = None
) -> dict[str, Kernel]:
    """The kernel of each node that has one of its own, in the order of the lab.

    Args:
        spec: the lab.
        kernel: the lab's.
        found: of nodes whose kernels are known already.

    Raises:
        HostError: there is none for a node; the hint says how to build it.
    """
    found = found or {}
    return {
        node.name: found.get(node.name)
        or (kernel if node.kernel == OWN else _node_kernel(node.name, node.kernel))
        for node in spec.nodes
        if node.kernel is not None
    }


def _node_kernel(node: str, name: str) -> Kernel:
    kernel = find_kernel(name)
    if kernel is None:
        raise HostError(
            f"node {node} wants a kernel {name!r} of its own, "
            "and none has been built on this machine yet",
            hint=f"build it, about ten minutes: windtunnel kernel build --source {name}",
        )
    return kernel
