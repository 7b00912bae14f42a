# SPDX-License-Identifier: Apache-2.0
"""Delays and timers are exact: what real hosts smear, virtual time does not."""

import re
import subprocess
from pathlib import Path

import pytest

from windtunnel import Lab
from windtunnel.engine.kernel import default_kernel
from windtunnel.engine.world import WorldOptions

CLOCK_READS_NS = 1_800
"""What a program's own calls around a wait take: five at most, each of which reads the
clock (256 ns) and is a syscall (100 ns)."""

FREE_CLOCK_READS_NS = 1_500
"""The same where a syscall costs nothing."""

SPIN_MAX_NS = 65_536
"""How late the absorption of busy waiting may make a task that only asks the time."""


@pytest.fixture
def start(kernel_path):
    """A function that starts two nodes, `a` and `b`, with 10 ms between them."""

    def begin(*kernel_words, syscall_cost=None):
        lab = Lab("exact", seed=1)
        a = lab.node("a", syscall_cost=syscall_cost)
        lab.link(a, lab.node("b"), delay="10 ms", ip=["10.0.0.1/24", "10.0.0.2/24"])
        kernel = default_kernel(str(kernel_path))
        return lab.start(options=WorldOptions(kernel=kernel, kernel_words=kernel_words))

    return begin


def round_trip_ms(stdout):
    """The shortest and the longest round trip; ping prints single ones less exactly."""
    shortest, longest = re.search(r"= ([\d.]+)/[\d.]+/([\d.]+)/", stdout).groups()
    return float(shortest), float(longest)


@pytest.mark.parametrize("address", ["10.0.0.2", "fd00:0:0:1::2"])
def test_every_ping_over_a_link_of_10_ms_takes_20_ms(start, address):
    with start() as world:
        a = world.node("a")
        assert a.run(f"ping -c 1 {address}").ok
        stdout = a.run(f"ping -c 200 -i 0.02 {address}").stdout
    shortest, longest = round_trip_ms(stdout)
    assert "200 received" in stdout
    assert shortest == 20.000
    assert longest <= 20.005


def test_only_the_first_ping_waits_for_the_neighbours_address_too(start):
    with start() as world:
        first = world.node("a").run("ping -c 1 10.0.0.2").stdout
        second = world.node("a").run("ping -c 1 10.0.0.2").stdout
    assert round_trip_ms(first) == pytest.approx((40.0, 40.0), abs=0.005)
    assert round_trip_ms(second) == pytest.approx((20.0, 20.0), abs=0.005)


def test_a_hundred_pings_a_second_apart_take_99_seconds(start):
    with start() as world:
        result = world.node("a").run("ping -c 100 -i 1 10.0.0.2")
    assert "100 received, 0% packet loss, time 99000ms" in result.stdout
    assert 99_020_000_000 <= result.duration_ns <= 99_021_000_000


def test_an_hour_of_sleep_takes_an_hour(start):
    with start() as world:
        result = world.node("a").run("sleep 3600")
    assert 3600_000_000_000 <= result.duration_ns <= 3600_000_200_000


@pytest.fixture(scope="module")
def timers(need_program, tmp_path_factory):
    """The program of timers.c."""
    program = tmp_path_factory.mktemp("timers") / "timers"
    source = Path(__file__).with_name("timers.c")
    gcc = need_program("gcc")
    subprocess.run([gcc, "-O2", "-Wall", "-Werror", "-static", "-o", program, source], check=True)
    return program.read_bytes()


def lateness(world, timers):
    """How late every wait of timers.c ended: (way, length_ns, late_ns)."""
    node = world.node("a")
    node.write_file("/tmp/timers", timers, mode=0o755)
    lines = node.run("/tmp/timers").stdout.splitlines()
    return [(way, int(length), int(late)) for way, length, late in map(str.split, lines)]


@pytest.mark.parametrize("words", [(), ("um_spin_max=0",)], ids=["absorbing", "not absorbing"])
def test_timers_of_every_kind_are_right_to_the_microsecond(start, timers, words):
    with start(*words) as world:
        waits = [wait for wait in lateness(world, timers) if wait[0] != "spin"]
    assert len({way for way, _, _ in waits}) == 7
    assert [wait for wait in waits if not 0 <= wait[2] <= CLOCK_READS_NS] == []


def test_timers_are_exact_to_the_reads_of_the_clock_where_a_syscall_costs_nothing(start, timers):
    with start(syscall_cost="0 ns") as world:
        waits = [wait for wait in lateness(world, timers) if wait[0] != "spin"]
    assert [wait for wait in waits if not 0 <= wait[2] <= FREE_CLOCK_READS_NS] == []


def test_a_task_that_only_asks_the_time_is_late_by_no_more_than_is_promised(start, timers):
    with start() as world:
        absorbed = [late for way, _, late in lateness(world, timers) if way == "spin"]
    assert max(absorbed) <= SPIN_MAX_NS + CLOCK_READS_NS


def test_packets_are_exact_beside_a_task_that_spins(start):
    with start() as world:
        a, b = world.node("a"), world.node("b")
        assert a.run("ping -c 1 10.0.0.2").ok
        # it asks the time, and whether an answer has come, between two packets
        spinning = b.popen("ping -q -i 0.005 127.0.0.1")
        shortest, longest = round_trip_ms(a.run("ping -c 200 -i 0.02 10.0.0.2").stdout)
        assert spinning.running
    assert shortest == 20.000
    assert longest <= 20.005


def test_without_absorption_a_busy_wait_ends_in_time(start, timers):
    with start("um_spin_max=0") as world:
        exact = [late for way, _, late in lateness(world, timers) if way == "spin"]
    assert max(exact) <= CLOCK_READS_NS
