# SPDX-License-Identifier: Apache-2.0
"""The lab that tests of faults break, and how they look at it."""

from __future__ import annotations

import json
from dataclasses import replace

from windtunnel.model.impairment import Impairment
from windtunnel.model.lab import (
    OWN,
    Endpoint,
    FileSpec,
    LabSpec,
    LinkSpec,
    NetworkSpec,
    NodeSpec,
)

DELAY = Impairment(delay_ns=2_000_000)
MIB = 1 << 20


def star(**changes):
    """Nodes a, b and c: links a-b and b-c, and a network of all three."""
    fields = {
        "seed": 3,
        "memory_bytes": 256 * MIB,
        "nodes": (
            NodeSpec("a"),
            NodeSpec(
                "b",
                addresses=("192.0.2.2/32",),
                sysctls=(("net.ipv4.ip_forward", "1"),),
                files=(FileSpec("/etc/given", b"given"),),
                exec=("echo set up >> /var/tmp/log", "ip route add 203.0.113.0/24 via 10.1.0.1"),
            ),
            NodeSpec("c"),
        ),
        "links": (
            LinkSpec("a-b", (end("a", "right", "10.1.0.1"), end("b", "left", "10.1.0.2"))),
            LinkSpec("b-c", (end("b", "right", "10.2.0.1"), end("c", "left", "10.2.0.2"))),
        ),
        "networks": (
            NetworkSpec(
                "lan",
                tuple(end(node, "lan", f"10.9.0.{at}") for at, node in enumerate("abc", 1)),
            ),
        ),
    }
    return LabSpec("star", **{**fields, **changes})


def end(node, interface, address):
    return Endpoint(node, interface, addresses=(f"{address}/24",), impairment=DELAY)


def own_star(**changes):
    """The same, with kernels of their own for b and c."""
    a, b, c = star().nodes
    nodes = (
        a,
        replace(b, kernel=OWN, memory_bytes=96 * MIB),
        replace(c, kernel=OWN, memory_bytes=64 * MIB),
    )
    return star(**{"memory_bytes": 128 * MIB, "nodes": nodes, **changes})


def reaches(node, address):
    """Whether one of two pings is answered."""
    return node.run(f"ping -n -q -c 2 -i 0.2 -W 0.5 {address}").ok


def interface(node, name):
    (found,) = json.loads(node.run(f"ip -j -d link show {name}").stdout)
    return found
