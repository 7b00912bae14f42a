# SPDX-License-Identifier: Apache-2.0
"""A lab of calls says the same as a lab file."""

import pytest

from windtunnel.engine.lab import Lab
from windtunnel.errors import UsageError
from windtunnel.model.lab import NodeSpec, VolumeSpec


def test_a_node_gets_a_kernel_of_its_own_and_volumes():
    lab = Lab("x")
    lab.node("a")
    lab.node(
        "b",
        kernel="own",
        memory="64 MiB",
        kernel_words=["quiet"],
        volumes={
            "data": {"size": "8 MB", "path": "/data"},
            "slow": {"size": "8 MB", "path": "/slow", "latency": "5 ms"},
        },
    )
    assert lab.spec().nodes == (
        NodeSpec("a"),
        NodeSpec(
            "b",
            kernel="own",
            memory_bytes=64 << 20,
            kernel_words=("quiet",),
            volumes=(
                VolumeSpec("data", "/data", 8_000_000),
                VolumeSpec("slow", "/slow", 8_000_000, latency_ns=5_000_000),
            ),
        ),
    )


@pytest.mark.parametrize("settings", [{}, {"size": "8 MB"}, {"size": "8 MB", "path": "/", "x": ""}])
def test_a_volume_that_lacks_something_is_an_error(settings):
    with pytest.raises(UsageError, match="the volume 'data' has"):
        Lab("x").node("a", volumes={"data": settings})
