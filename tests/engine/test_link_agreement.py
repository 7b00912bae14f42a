# SPDX-License-Identifier: Apache-2.0
"""Two links with the same settings, netem in a kernel and our model, fed with the same packets.

What has no chance in it must agree packet by packet; what has must come from the
same distribution. Each bound is four and a half standard deviations of the
difference of two samples, or Kolmogorov-Smirnov's at one in 10,000; all seeds
are fixed, so a bound that holds once holds always, until one of the two changes.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_right
from itertools import groupby

import pytest

from windtunnel.engine.world import World, WorldOptions
from windtunnel.images.kernels import Kernel
from windtunnel.model.impairment import DelayTable, Distribution, GilbertElliott, Impairment
from windtunnel.model.lab import Endpoint, LabSpec, LinkSpec, NodeSpec
from windtunnel.sim.link import Direction

MS = 1_000_000
PACKETS = 4000
PAYLOAD_BYTES = 58
FRAME_BYTES = 14 + 20 + 8 + PAYLOAD_BYTES  # 100

# The settings, how many packets are sent at once, and the pause after them in ns.
CASES = {
    "delay": (Impairment(7 * MS), 1, MS // 2),
    "rate": (Impairment(7 * MS, rate_bps=8_000_000), 7, MS),
    "slow": (Impairment(3 * MS, rate_bps=800_000), 1, MS // 2),
    "full": (Impairment(3 * MS, rate_bps=800_000, queue_packets=20), 40, 30 * MS),
    "line": (Impairment(10 * MS, queue_packets=15), 40, 25 * MS),
    "loss": (Impairment(MS, loss=0.07), 1, MS // 2),
    "bursts": (Impairment(MS, loss=GilbertElliott(0.03, 0.25, 0.9, 0.01)), 1, MS // 2),
    "twice": (Impairment(MS, duplicate=0.11, loss=0.2), 1, MS // 2),
    "reorder": (Impairment(10 * MS, reorder=0.2), 1, MS // 2),
    "corrupt": (Impairment(MS, corrupt=0.3), 1, MS // 2),
    "uniform": (Impairment(20 * MS, 5 * MS), 1, MS // 2),
    "normal": (Impairment(20 * MS, 5 * MS, Distribution.NORMAL), 1, MS // 2),
    "pareto": (Impairment(20 * MS, 5 * MS, Distribution.PARETO), 1, MS // 2),
    "table": (Impairment(20 * MS, 5 * MS, DelayTable((-20000, 0, 0, 9000))), 1, MS // 2),
    "both": (Impairment(20 * MS, 5 * MS, rate_bps=1_600_000), 1, MS // 2),
}
PORTS = {name: 5000 + number for number, name in enumerate(CASES)}

QUIET = (
    ("net.ipv6.conf.all.disable_ipv6", "1"),
    ("net.ipv6.conf.default.disable_ipv6", "1"),
    ("net.core.rmem_max", "50000000"),
    ("net.core.wmem_max", "50000000"),
)

# 32 and 33 are SO_SNDBUFFORCE and SO_RCVBUFFORCE, which Python has no names for.
RECEIVER = """
import json, socket, sys, time
receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
receiver.setsockopt(socket.SOL_SOCKET, 33, 50000000)
receiver.bind(("", int(sys.argv[1])))
receiver.settimeout(3)
found = []
try:
    while True:
        packet = receiver.recv(100)
        found.append((int(packet), time.monotonic_ns()))
except TimeoutError:
    print(json.dumps(found))
"""

SENDER = """
import json, socket, sys, time
address, port, packets, together, pause_ns, size = sys.argv[1], *map(int, sys.argv[2:])
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sender.setsockopt(socket.SOL_SOCKET, 32, 50000000)
sender.connect((address, port))
sent = []
for number in range(packets):
    sent.append(time.monotonic_ns())
    sender.send(b"%*d" % (size, number))
    if number % together == together - 1:
        time.sleep(pause_ns / 1e9)
print(json.dumps(sent))
"""


def lab():
    links, neighbours = [], []
    for number, (name, (impairment, _, _)) in enumerate(CASES.items()):
        mac = f"02:00:00:00:01:{number:02x}"
        ends = (
            Endpoint("a", name, addresses=(f"10.0.{number}.1/24",), impairment=impairment),
            Endpoint("b", name, mac=mac, addresses=(f"10.0.{number}.2/24",)),
        )
        links.append(LinkSpec(name, ends))
        neighbours.append(f"ip neigh add 10.0.{number}.2 lladdr {mac} dev {name} nud permanent")
    nodes = (
        NodeSpec("a", sysctls=QUIET[:2], exec=tuple(neighbours)),
        NodeSpec("b", sysctls=QUIET[:2]),
    )
    return LabSpec("agree", seed=3, nodes=nodes, links=tuple(links))


@pytest.fixture(scope="module")
def netem(kernel_path, need_program):
    """For each case when packets were sent, and (number, when) of those that came."""
    need_program("ip")
    need_program("python3")
    options = WorldOptions(
        kernel=Kernel(version="", key="", path=kernel_path), read=(kernel_path.parent,)
    )
    found = {}
    with World(lab(), options) as world:
        for at, (name, (_, together, pause_ns)) in enumerate(CASES.items()):
            listening = world.node("b").popen(["python3", "-c", RECEIVER, str(PORTS[name])])
            world.sleep("500 ms")
            numbers = (PORTS[name], PACKETS, together, pause_ns, PAYLOAD_BYTES)
            sending = world.node("a").run(
                ["python3", "-c", SENDER, f"10.0.{at}.2", *map(str, numbers)]
            )
            assert sending.ok, sending.stderr
            result = listening.wait()
            assert result.ok, result.stderr
            found[name] = (json.loads(sending.stdout), json.loads(result.stdout))
    return found


def modelled(name, sent):
    """The same packets over our model: (number, when) of those that arrive, in order."""
    cable = Direction(CASES[name][0], seed=3, names=("a", name), mtu_bytes=1500)
    come = []
    for number, time_ns in enumerate(sent):
        frame = number.to_bytes(4, "big") * (FRAME_BYTES // 4)
        deliveries, _ = cable.send(time_ns, frame)
        # What a flipped bit spoils in a UDP packet: all but the sender's Ethernet address.
        come += [
            (number, one.time_ns)
            for one in deliveries
            if one.frame[:6] + one.frame[12:] == frame[:6] + frame[12:]
        ]
    return sorted(come, key=lambda one: one[1])


@pytest.fixture(scope="module")
def both(netem):
    """A function that gives for a case: when sent, what netem let through, what the model does."""

    def find(name):
        sent, come = netem[name]
        return sent, come, modelled(name, sent)

    return find


def delays(sent, come):
    return [time_ns - sent[number] for number, time_ns in come]


def share_bound(share, count):
    """Four and a half sigma of the difference of two binomial shares."""
    return 4.5 * math.sqrt(2 * share * (1 - share) / count)


def distance(one, other):
    """Kolmogorov and Smirnov's: the most by which two empirical distributions differ."""
    one, other = sorted(one), sorted(other)
    # Behind each value: equal values are one step, of both.
    return max(
        abs(bisect_right(one, value) / len(one) - bisect_right(other, value) / len(other))
        for value in {*one, *other}
    )


@pytest.mark.parametrize("name", ["delay", "rate", "slow", "full", "line"])
def test_without_chance_each_packet_has_the_same_fate_at_the_same_time(both, name):
    _, come, model = both(name)
    # A place in a full queue may become free at the very instant when a packet comes: then
    # either this one gets it or the next.
    assert len(come) == len(model)
    assert max(abs(a - b) for (a, _), (b, _) in zip(come, model, strict=True)) <= 1
    # A clock read costs 256 ns, and packets that come together are read one by one.
    differences = [there - here for (_, there), (_, here) in zip(come, model, strict=True)]
    assert min(differences) >= -1000
    assert max(differences) <= 50_000
    assert sorted(differences)[len(differences) // 2] <= 15_000


@pytest.mark.parametrize(("name", "lost"), [("full", 0.5), ("line", 0.5)])
def test_these_queues_do_overflow(both, name, lost):
    sent, come, _ = both(name)
    assert len(sent) - len(come) >= len(sent) * lost


def test_throughput_is_the_rate(both):
    _, come, model = both("slow")
    # 100 bytes at 800 kbit: a packet in 1 ms
    for found in (come, model):
        assert (found[999][1] - found[0][1]) / 999 == pytest.approx(MS, rel=1e-4)


@pytest.mark.parametrize(
    ("name", "arrive"),
    [
        ("loss", 0.93),
        # bad for 0.03 / 0.28 of the time, when 0.1 arrive; else 0.99
        ("bursts", 0.1 * 0.03 / 0.28 + 0.99 * 0.25 / 0.28),
        # all but those whose six bytes of Ethernet address took the bit
        ("corrupt", 1 - 0.3 * 94 / 100),
    ],
)
def test_the_same_share_arrives(both, name, arrive):
    sent, come, model = both(name)
    bound = share_bound(arrive, PACKETS)
    if name == "bursts":  # fates hang together: some 1 / r packets count as one
        bound *= math.sqrt(2 / 0.25)
    shares = [len({number for number, _ in found}) / len(sent) for found in (come, model)]
    assert shares == [pytest.approx(arrive, abs=bound)] * 2


def test_bursts_of_losses_are_as_long(both):
    lengths = []
    for found in both("bursts")[1:]:
        came = {number for number, _ in found}
        fates = [number in came for number in range(PACKETS)]
        lengths.append([len(list(run)) for arrived, run in groupby(fates) if not arrived])
    here, there = (sum(one) / len(one) for one in lengths)
    # nearly geometric; the longest mean that they can have is that of 1 / r
    sigma = math.sqrt(1 - 0.25) / 0.25 * math.sqrt(sum(1 / len(one) for one in lengths))
    assert here == pytest.approx(there, abs=4.5 * sigma)
    assert distance(*lengths) <= 2.2 * math.sqrt(sum(1 / len(one) for one in lengths))
    assert here > 2  # losses that know nothing of each other: 1.1


def test_as_many_come_twice_and_a_loss_takes_one_of_two(both):
    _, *found = both("twice")
    for come in found:
        times = [0] * PACKETS
        for number, _ in come:
            times[number] += 1
        # not copied and lost; copied, and neither of two losses
        assert times.count(0) / PACKETS == pytest.approx(
            0.89 * 0.2, abs=share_bound(0.178, PACKETS)
        )
        assert times.count(2) / PACKETS == pytest.approx(
            0.11 * 0.8 * 0.8, abs=share_bound(0.0704, PACKETS)
        )
        assert times.count(1) + times.count(0) + times.count(2) == PACKETS


def test_as_many_pass_the_others(both):
    sent, *found = both("reorder")
    for come in found:
        early = sum(delay < 5 * MS for delay in delays(sent, come))
        assert early / PACKETS == pytest.approx(0.2, abs=share_bound(0.2, PACKETS))
        assert len(come) == PACKETS


@pytest.mark.parametrize(
    ("name", "deviation"),
    [("uniform", 5 / math.sqrt(3)), ("normal", 5), ("pareto", 4.105), ("table", 5 * 1.309)],
)
def test_delays_are_spread_alike(both, name, deviation):
    sent, *found = both(name)
    here, there = (delays(sent, come) for come in found)
    assert len(here) == len(there) == PACKETS
    means = [sum(one) / PACKETS / MS for one in (here, there)]
    assert means[0] == pytest.approx(means[1], abs=4.5 * deviation * math.sqrt(2 / PACKETS))
    spreads = [
        math.sqrt(sum((delay / MS - mean) ** 2 for delay in one) / PACKETS)
        for one, mean in zip((here, there), means, strict=True)
    ]
    assert spreads == [pytest.approx(deviation, rel=0.06)] * 2
    # one in 10,000: 2.22 * sqrt(2 / n); a table's steps are blurred by what a clock read costs
    rounded = ([round(delay / MS, 1) for delay in one] for one in (here, there))
    assert distance(*rounded) <= 2.23 * math.sqrt(2 / PACKETS)


def test_a_rate_keeps_the_order_that_jitter_would_change(both):
    sent, *found = both("both")
    for come in found:
        assert [number for number, _ in come] == sorted({number for number, _ in come})
    here, there = (delays(sent, come) for come in found)
    assert sum(here) / len(here) == pytest.approx(sum(there) / len(there), rel=0.05)
