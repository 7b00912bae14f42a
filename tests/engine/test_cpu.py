# SPDX-License-Identifier: Apache-2.0
"""A node's processor takes its time, in virtual time, and the same every time."""

import re

import pytest

from windtunnel import Lab
from windtunnel.engine.kernel import default_kernel
from windtunnel.engine.world import WorldOptions

COPY = "dd if=/dev/zero of=/dev/null bs=1 count=5000"
"""Ten thousand syscalls, and little else."""

COPY_MORE = "dd if=/dev/zero of=/dev/null bs=1 count=15000"
"""Twenty thousand more; what dd costs before and after them is the same."""

COSTS = "cat /proc/sys/um/syscall_cost_ns /proc/sys/um/fault_cost_ns /proc/sys/um/switch_cost_ns"


@pytest.fixture
def start(kernel_path):
    """A function that starts two nodes, `a` and `b`, with 10 ms between them."""

    def begin(a=None, b=None):
        lab = Lab("cpu", seed=1)
        one, other = lab.node("a", **(a or {})), lab.node("b", **(b or {}))
        lab.link(one, other, delay="10 ms", ip=["10.0.0.1/24", "10.0.0.2/24"])
        return lab.start(options=WorldOptions(kernel=default_kernel(str(kernel_path))))

    return begin


def pings(world, options):
    """The shortest and the longest round trip, in ms, and all that ping prints."""
    node = world.node("a")
    assert node.run("ping -c 1 10.0.0.2").ok
    stdout = node.run(f"ping {options} 10.0.0.2").stdout
    shortest, longest = re.search(r"= ([\d.]+)/[\d.]+/([\d.]+)/", stdout).groups()
    return float(shortest), float(longest), stdout


def test_a_node_answers_later_by_what_a_packet_costs_it(start):
    with start(b={"packet_cost": "100 us"}) as world:
        first = pings(world, "-c 50 -i 0.02")
    with start(b={"packet_cost": "100 us"}) as world:
        again = pings(world, "-c 50 -i 0.02")
    assert first == again
    assert 20.100 <= first[0] <= first[1] <= 20.105


def test_what_a_packet_costs_one_node_is_nothing_to_another(start):
    with start(b={"packet_cost": "100 us"}) as world:
        costs = [
            world.node(name).run("cat /proc/sys/net/um/packet_cost_ns").stdout
            for name in ("a", "b")
        ]
    assert costs == ["0\n", "100000\n"]


def test_packets_that_come_at_once_wait_for_each_other_where_they_cost(start):
    trips_ms = []
    for cost in ("0 ns", "1 ms"):
        with start(b={"packet_cost": cost}) as world:
            shortest, longest, stdout = pings(world, "-q -c 100 -l 100")
        assert "100 received" in stdout
        trips_ms.append((shortest, longest))
    assert trips_ms[0] == pytest.approx((20.0, 20.0), abs=0.1)
    # the two share a processor: what `a` gets waits, too, while `b` is busy
    assert 21.0 <= trips_ms[1][0] <= 23.0
    assert trips_ms[1][1] == pytest.approx(120.0, abs=0.1)


def test_half_the_speed_takes_twice_the_time(start):
    with start(a={"speed": 1}, b={"speed": 0.5}) as world:
        fast, slow = (
            world.node(name).run(COPY_MORE).duration_ns - world.node(name).run(COPY).duration_ns
            for name in ("a", "b")
        )
    assert fast >= 20_000 * 100
    # the clock's ticks cost something, too, and do not fall alike into the four runs
    assert 1.98 <= slow / fast <= 2.02


def test_a_syscall_costs_100_ns_unless_that_is_switched_off(start):
    with start(b={"syscall_cost": "0 ns"}) as world:
        usual, free = (world.node(name).run(COPY).duration_ns for name in ("a", "b"))
    assert 10_000 * 100 <= usual - free <= 11_000 * 100


def test_children_and_theirs_inherit_the_costs(start):
    with start(a={"speed": 0.5}, b={"speed": 0.5, "syscall_cost": "3 us"}) as world:
        costs = [world.node(name).run(f"sh -c '({COSTS}); true'").stdout for name in ("a", "b")]
    assert costs == ["400\n2000\n4000\n", "3000\n2000\n4000\n"]


@pytest.mark.parametrize(
    ("kind", "command", "least"),
    [("fault", "exec /bin/true", 10), ("switch", "for i in 1 2 3 4 5; do sleep 0.01; done", 10)],
)
def test_page_faults_and_switches_cost_what_is_said(start, kind, command, least):
    with start(a={"syscall_cost": "0 ns"}) as world:
        free, dear = (
            world.node("a").run(f"echo {cost} > /proc/sys/um/{kind}_cost_ns; {command}").duration_ns
            for cost in (0, 100_000)
        )
    counted, rest = divmod(dear - free + 5_000, 100_000)
    assert least <= counted <= 1_000
    assert rest <= 10_000


def test_work_that_packets_interrupt_ends_later_and_the_same_every_time(start):
    outcomes = []
    for _ in range(2):
        with start(a={"syscall_cost": "50 us"}, b={"packet_cost": "100 us"}) as world:
            copy = world.node("b").popen(f"sh -c 'sleep 0.05; exec {COPY}'")
            _, longest, stdout = pings(world, "-q -c 200 -i 0.001")
            copy.wait()
            outcomes.append((stdout, copy.wait().duration_ns))
    assert outcomes[0] == outcomes[1]
    assert "200 received" in outcomes[0][0]
    assert longest < 21.0
