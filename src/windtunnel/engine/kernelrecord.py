# SPDX-License-Identifier: Apache-2.0
"""What a run's manifest says of the kernels that it was made with, and finding them again.

A kernel is the same when its program is, byte by byte: a version or a key alone
could mean another build.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from windtunnel.errors import HostError
from windtunnel.images.kernels import Kernel, find_kernel
from windtunnel.model.lab import OWN, LabSpec


def kernel_facts(kernel: Kernel) -> dict[str, str]:
    """What a manifest says of a kernel; its path is a fact of the host."""
    return {"release": kernel.version, "key": kernel.key, "sha256": kernel.sha256}


def lab_kernel(manifest: Mapping[str, Any]) -> Kernel:
    """Find the kernel that a run's lab was made with.

    Args:
        manifest: of the run.

    Raises:
        HostError: it is not on this machine, or is another one now; the hint says
            what to do.
    """
    path = _mapping(manifest.get("host")).get("kernel_path", "")
    again = "or replay with another kernel: --kernel NAME"
    return _find(_mapping(manifest.get("kernel")), str(path), "the run", manifest, again)


def node_kernels_of(manifest: Mapping[str, Any], spec: LabSpec) -> dict[str, Kernel]:
    """Find the kernels that a run's nodes had for their own, but for those that had the lab's.

    Args:
        manifest: of the run.
        spec: its lab.

    Raises:
        HostError: as for `lab_kernel`; the message names the node.
    """
    recorded = _mapping(manifest.get("node_kernels"))
    paths = _mapping(_mapping(manifest.get("host")).get("node_kernel_paths"))
    return {
        node.name: _find(
            _mapping(recorded.get(node.name)),
            str(paths.get(node.name, "")),
            f"the node {node.name} of the run",
            manifest,
            "or give the node's `kernel` in the run's lab.yaml another value, and run that",
        )
        for node in spec.nodes
        if node.kernel not in (None, OWN)
    }


def _find(
    named: Mapping[str, Any], path: str, what: str, manifest: Mapping[str, Any], again: str
) -> Kernel:
    key, release = str(named.get("key", "")), str(named.get("release", ""))
    digest = str(named.get("sha256", ""))
    if key:
        found = find_kernel(key)
        if found is None:
            raise HostError(
                f"{what} was made with kernel {release}-{key}, which is not on this machine",
                hint=f"build it: windtunnel kernel build --source {release}   (with windtunnel "
                f"{manifest.get('windtunnel', '')}, whose patches and configuration it was "
                f"made from); {again}",
            )
        if digest and found.sha256 != digest:
            raise HostError(
                f"{what} was made with kernel {release}-{key}, and the program of that name "
                "on this machine is another",
                hint=f"its SHA-256 was {digest}, and is {found.sha256}: bring the old one back; "
                f"{again}",
            )
        return found
    with suppress(HostError):
        found = find_kernel(path) if "/" in path else None
        if found is not None and found.sha256 == digest:
            return found
    raise HostError(
        f"{what} was made with a kernel of the user's own, {path or 'unnamed'}, which is "
        "not there any more, or is another",
        hint=f"its SHA-256 is {digest or 'unknown'}: bring it back; {again}",
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
