# SPDX-License-Identifier: Apache-2.0
"""Which options a kernel must have for its part of a lab.

Kernels of our configuration have them all. One of the user's own, or one that was
built with other options, is asked before it boots: without an option it would stop
somewhere in its boot, and nobody would know why.
"""

from __future__ import annotations

from collections.abc import Iterator

from windtunnel.engine.parts import Part
from windtunnel.errors import HostError
from windtunnel.images.embedded import embedded_config
from windtunnel.images.kernels import Kernel
from windtunnel.model.fault import MemoryLimit, NodePause
from windtunnel.model.lab import LabSpec

_AGENT = "the agent in it"
_ALWAYS = {
    "UML_TIME_TRAVEL_SUPPORT": "virtual time",
    "VIRTIO_UML": "devices of ours",
    "VIRTIO_CONSOLE": _AGENT,
    "BLK_DEV_INITRD": _AGENT,
    "PROC_FS": _AGENT,
    "SYSFS": _AGENT,
    "DEVTMPFS": _AGENT,
    "EPOLL": _AGENT,
    "SIGNALFD": _AGENT,
    "HOSTFS": "the host's files",
    "TMPFS": "files of nodes",
    "OVERLAY_FS": "files of nodes",
    "UNIX98_PTYS": "terminals",
    "NET": "networks",
    "INET": "networks",
}
_SHARED = {
    "UTS_NS": "nodes that share it",
    "IPC_NS": "nodes that share it",
    "PID_NS": "nodes that share it",
    "NET_NS": "nodes that share it",
}


def check_needs(kernel: Kernel, part: Part, lab: LabSpec) -> None:
    """Refuse a kernel that says that it lacks an option which its part of a lab needs.

    Args:
        kernel: of the part.
        part: what it is to be.
        lab: the whole lab, with its faults.

    Raises:
        HostError: it lacks some; the message names them and what they are for, the
            hint how to build it with them.
    """
    if kernel.key and not kernel.options:
        return
    options = embedded_config(kernel.path)
    if options is None:
        return
    missing = {name: why for name, why in _needs(part, lab) if options.get(name) != "y"}
    if not missing:
        return
    whose = "the lab" if part.node is None else f"node {part.node.name}"
    what = ", ".join(f"CONFIG_{name} (for {why})" for name, why in missing.items())
    source = "TREE" if not kernel.key else kernel.version
    raise HostError(
        f"the kernel {kernel.path} of {whose} lacks {what}",
        hint=f"build it with our configuration, and with what it lacks: windtunnel kernel build "
        f"--source {source} " + " ".join(f"--with {name}=y" for name in missing),
    )


def _needs(part: Part, lab: LabSpec) -> Iterator[tuple[str, str]]:
    """Each option, and what it is for."""
    yield from _ALWAYS.items()
    if part.node is None and part.spec.nodes:
        yield from _SHARED.items()
    if part.ports:
        yield "VIRTIO_NET", "cables to other kernels"
    if part.spec.links or part.spec.networks:
        yield "VETH", "links"
    if part.spec.networks:
        yield "BRIDGE", "networks"
    nodes = {node.name for node in part.spec.nodes}
    for fault in lab.faults:
        match fault.action:
            case MemoryLimit(node=node) if node in nodes:
                yield "MEMCG", "a memory limit"
            case NodePause(node=node) if node in nodes:
                yield "CGROUPS", "a pause"
