# SPDX-License-Identifier: Apache-2.0
"""A capture's filter: compiled by tcpdump in the node, applied by us."""

from __future__ import annotations

from collections.abc import Callable

from windtunnel.engine.node import PRIVATE
from windtunnel.engine.world import World
from windtunnel.errors import GuestError
from windtunnel.model.lab import CaptureSpec
from windtunnel.wire.bpf import matches, parse_program


def wanted_by(world: World, spec: CaptureSpec) -> Callable[[bytes, int], bool] | None:
    """Whether a capture's filter lets a frame of a size through; None without a filter.

    Raises:
        GuestError: tcpdump does not take the filter.
    """
    if not spec.filter:
        return None
    node = world.node(spec.node or world.link(spec.link).spec.ends[0].node)
    command = ["tcpdump", "-y", "EN10MB", "-ddd", spec.filter]
    result = node.run(command, name=PRIVATE + "filter")
    if not result.ok:
        raise GuestError(
            f"cannot capture {spec.name}: tcpdump does not take the filter "
            f"{spec.filter!r}: {result.stderr.strip()}",
            node=node.name,
            hint="pcap-filter(7) tells what a filter may be",
        )
    program = parse_program(result.stdout)
    return lambda frame, size_bytes: matches(program, frame, size_bytes)
