# SPDX-License-Identifier: Apache-2.0
"""Random choices by name, for all that runs a lab.

`derive` is the model's, because a lab's random faults are drawn before it runs.
"""

from __future__ import annotations

from windtunnel.model.seeds import SEED_MAX, derive

__all__ = ["SEED_MAX", "derive", "mac_address"]


def mac_address(seed: int, node: str, interface: str) -> str:
    """A stable MAC address for an interface: "02:…", locally administered, unicast."""
    tail = derive(seed, "mac", node, interface).to_bytes(8, "little")[:5]
    return ":".join(f"{byte:02x}" for byte in (2, *tail))
