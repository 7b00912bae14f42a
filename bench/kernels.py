# SPDX-License-Identifier: Apache-2.0
"""What is measured between kernels: pings, TCP, frames, many routers on one or two lanes."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import partial

from bench.measure import NotHereError, Row, Sample, Stopwatch

from windtunnel.engine.kernel import default_kernel
from windtunnel.engine.world import World, WorldOptions
from windtunnel.model.impairment import Impairment
from windtunnel.model.lab import OWN, Endpoint, LabSpec, LinkSpec, NodeSpec

MILLISECOND_NS = 1_000_000
SECOND_NS = 1_000_000_000
SEGMENT_BYTES = 1448
"""Of TCP's data in a full frame: an MTU of 1500 without IP, TCP and the time stamps."""

FRAME_BYTES = 1514
"""On the cable, as the link model counts them."""


def options(parallel: int | None = None) -> WorldOptions:
    """The kernel that a user would get."""
    return WorldOptions(kernel=default_kernel(), parallel=parallel)


def two_kernels(impairment: Impairment) -> LabSpec:
    """Two kernels with a cable between them."""
    return LabSpec(
        "two-kernels",
        nodes=tuple(NodeSpec(name, kernel=OWN) for name in ("a", "b")),
        links=(
            LinkSpec(
                "a-b",
                tuple(
                    Endpoint(name, "eth0", None, (f"10.0.0.{at}/24",), impairment)
                    for at, name in enumerate(("a", "b"), start=1)
                ),
            ),
        ),
    )


def ping() -> Sample:
    """A minute of pings, one a second; the wall time of that minute alone."""
    with World(two_kernels(Impairment(delay_ns=10 * MILLISECOND_NS)), options()) as world:
        world.node("a").run("ping -c 1 10.0.0.2")  # asks for the hardware address
        watch = Stopwatch()
        result = world.node("a").run("ping -c 60 -i 1 10.0.0.2")
        wall_s = watch.lap_s()
    found = re.search(r" = ([\d.]+)/[\d.]+/([\d.]+)/", result.stdout)
    if found is None or "60 received" not in result.stdout:
        raise NotHereError(result.stdout.strip() or result.stderr.strip())
    worst_us = max(abs(float(text) - 20) for text in found.groups()) * 1000
    return watch.stop(
        wall_s=wall_s, virtual_ns=result.duration_ns, note=f", {worst_us:.0f} us off 20.000 ms"
    )


def iperf3(spec: LabSpec, arguments: str, parallel: int | None) -> tuple[Sample, float, int]:
    """Run iperf3 from a to b; the sample's wall time is that of the transfer alone.

    Returns:
        The sample, the rate at the receiver in bits a second, and the frames on the cable.
    """
    with World(spec, options(parallel)) as world:
        a, b = world.node("a"), world.node("b")
        server = b.popen("iperf3 -s -1")
        world.sleep("1 s")
        watch = Stopwatch()
        result = a.run(f"iperf3 -c 10.0.0.2 --json {arguments}")
        wall_s = watch.lap_s()
        server.wait()
        frames = sum(one.sent for one in world.outside.statistics().values())
    if not result.ok:
        raise NotHereError(result.stdout.strip() or result.stderr.strip())
    rate_bps = json.loads(result.stdout)["end"]["sum_received"]["bits_per_second"]
    return watch.stop(wall_s=wall_s, virtual_ns=result.duration_ns), rate_bps, frames


def tcp() -> Sample:
    """How far TCP's goodput is below what a cable of 100 Mbit can carry, in per cent."""
    impairment = Impairment(delay_ns=10 * MILLISECOND_NS, rate_bps=100_000_000)
    sample, rate_bps, frames = iperf3(two_kernels(impairment), "-t 20", None)
    ideal_bps = 100e6 * SEGMENT_BYTES / FRAME_BYTES
    note = f", {frames} frames in {sample.wall_s:.1f} s"
    below = round(100 * (1 - rate_bps / ideal_bps), 2)
    return replace(sample, value=below, note=note)


def frames(arguments: str, parallel: int | None) -> Sample:
    """Host microseconds of a frame: from a program through two kernels and our cable."""
    spec = two_kernels(Impairment(delay_ns=10 * MILLISECOND_NS, queue_packets=100_000))
    sample, rate_bps, count = iperf3(spec, arguments, parallel)
    note = f", {count} frames, {count / sample.wall_s:.0f} a second, {rate_bps / 1e6:.0f} Mbit/s"
    return replace(sample, value=round(sample.wall_s * 1e6 / count, 1), note=note)


ROWS = (
    Row("kernels-ping", "a minute of pings between two kernels", ping, 3, 1),
    Row("kernels-tcp", "TCP below the ideal of 100 Mbit, 10 ms", tcp, 1, 3, "%"),
    Row(
        "kernels-frame-udp",
        "one frame between two kernels, UDP at 200 Mbit/s",
        partial(frames, "-u -b 200M -l 1400 -t 5", 1),
        3,
        33.3,
        "us",
    ),
    Row(
        "kernels-frame-tcp",
        "one frame between two kernels, TCP without a rate",
        partial(frames, "-t 5", 1),
        3,
        33.3,
        "us",
    ),
)
