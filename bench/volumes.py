# SPDX-License-Identifier: Apache-2.0
"""What a node's volume costs the host: bulk data, single requests, fsync."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from bench.measure import NotHereError, Row, Sample, Stopwatch

from windtunnel.engine.kernel import default_kernel
from windtunnel.engine.world import World, WorldOptions
from windtunnel.model.lab import OWN, LabSpec, NodeSpec, VolumeSpec

MEBIBYTES = 256
REQUESTS = 5000
SYNCS = 1000
WRITE = f"dd if=/dev/zero of=/data/x bs=1M count={MEBIBYTES} oflag=direct"
SYNC = (
    "python3 -c '\n"
    "import os\n"
    'file = os.open("/data/log", os.O_CREAT | os.O_WRONLY)\n'
    f"for _ in range({SYNCS}):\n"
    '    os.write(file, b"x" * 100)\n'
    "    os.fsync(file)\n"
    "'"
)


def volume(command: str, count: int, of_us: float, before: str = "true") -> Sample:
    """Host time of one of `count` things that a command does to a volume, in units of `of_us`."""
    spec = LabSpec(
        "volume",
        nodes=(NodeSpec("a", kernel=OWN, volumes=(VolumeSpec("data", "/data", 512_000_000),)),),
    )
    with World(spec, WorldOptions(kernel=default_kernel())) as world:
        node = world.node("a")
        node.run(before)
        watch = Stopwatch()
        result = node.run(command)
        wall_s = watch.lap_s()
    if not result.ok:
        raise NotHereError(result.stderr.strip())
    sample = watch.stop(wall_s=wall_s, virtual_ns=result.duration_ns)
    note = f", {count / wall_s:.0f} a second"
    return replace(sample, value=round(wall_s * 1e6 / of_us / count, 2), note=note)


ROWS = (
    Row(
        "volume-write",
        "1 MiB to a volume, O_DIRECT",
        partial(volume, WRITE, MEBIBYTES, 1000),
        3,
        None,
        "ms",
    ),
    Row(
        "volume-read",
        "4 KiB from a volume, one at a time",
        partial(
            volume,
            f"dd if=/data/x of=/dev/null bs=4k count={REQUESTS} iflag=direct",
            REQUESTS,
            1,
            WRITE,
        ),
        3,
        None,
        "us",
    ),
    Row(
        "volume-fsync",
        "an append and its fsync, ext4",
        partial(volume, SYNC, SYNCS, 1000),
        3,
        None,
        "ms",
    ),
)
