# SPDX-License-Identifier: Apache-2.0
import pytest

from windtunnel.errors import LabFileErrors
from windtunnel.model.impairment import Distribution, Impairment
from windtunnel.model.lab import Endpoint, LinkSpec

RING = """
name: ring
seed: 42
stop: 1 h
link-defaults: {delay: 5 ms}
nodes: {r1: , r2: , r3: }
links:
  - [r1, r2]
  - {endpoints: [r2, r3], delay: 10 ms, jitter: 1 ms, distribution: normal, loss: 1%,
     rate: 100 Mbit, queue: 50, forward: {delay: 20 ms}}
  - {endpoints: ["r3:wan0", "r1"], name: back, ip: [192.0.2.1/30, 192.0.2.2/30],
     mac: ["02:00:00:00:00:01", null], mtu: 9000, up: false}
"""


def test_links_of_a_ring_have_names_addresses_and_impairments(load):
    lab = load(RING)
    slow = Impairment(
        delay_ns=10_000_000,
        jitter_ns=1_000_000,
        distribution=Distribution.NORMAL,
        loss=0.01,
        rate_bps=100_000_000,
        queue_packets=50,
    )
    slower = Impairment(
        delay_ns=20_000_000,
        jitter_ns=1_000_000,
        distribution=Distribution.NORMAL,
        loss=0.01,
        rate_bps=100_000_000,
        queue_packets=50,
    )
    default = Impairment(delay_ns=5_000_000)
    assert lab.links == (
        LinkSpec(
            "r1-r2",
            (
                Endpoint("r1", "eth0", None, ("10.0.0.1/30", "fd00:0:0:1::1/64"), default),
                Endpoint("r2", "eth0", None, ("10.0.0.2/30", "fd00:0:0:1::2/64"), default),
            ),
        ),
        LinkSpec(
            "r2-r3",
            (
                Endpoint("r2", "eth1", None, ("10.0.0.5/30", "fd00:0:0:2::1/64"), slower),
                Endpoint("r3", "eth0", None, ("10.0.0.6/30", "fd00:0:0:2::2/64"), slow),
            ),
        ),
        LinkSpec(
            "back",
            (
                Endpoint(
                    "r3",
                    "wan0",
                    "02:00:00:00:00:01",
                    ("192.0.2.1/30", "fd00:0:0:3::1/64"),
                    default,
                ),
                Endpoint("r1", "eth1", None, ("192.0.2.2/30", "fd00:0:0:3::2/64"), default),
            ),
            mtu_bytes=9000,
            up=False,
        ),
    )


def test_the_lab_itself_has_its_seed_and_times(load):
    lab = load(RING + "clock: 2031-01-01T00:00:00Z\nmemory: 256 MiB\n")
    assert lab.name == "ring"
    assert lab.seed == 42
    assert lab.stop_ns == 3_600_000_000_000
    assert lab.clock_ns == 1_924_992_000_000_000_000
    assert lab.memory_bytes == 268_435_456
    assert lab.source.startswith("\nname: ring")


@pytest.mark.parametrize(
    ("text", "counters_ns"),
    [("", 120_000_000_000), ("1.5 s", 1_500_000_000), ("end", 0), ("never", None)],
)
def test_counters_are_sampled_as_said(load, text, counters_ns):
    assert load(RING + (f"counters: {text}\n" if text else "")).counters_ns == counters_ns


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("0 s", "counters cannot be sampled all the time", "an interval, 'end' or 'never'"),
        ("10 us", "counters every 10 us", "sample every 1 ms at most"),
        ("often", "'often'", ""),
    ],
)
def test_an_interval_that_makes_no_sense_is_refused_where_it_stands(load, text, message, hint):
    with pytest.raises(LabFileErrors) as caught:
        load(RING + f"counters: {text}\n")
    (error,) = caught.value.errors
    assert message in error.message
    assert hint in error.hint
    assert error.where.line == RING.count("\n") + 1
