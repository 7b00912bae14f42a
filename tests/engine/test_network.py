# SPDX-License-Identifier: Apache-2.0
"""The network of a lab as a kernel has it: what `ip` and `tc` say, and what packets meet."""

from __future__ import annotations

import json
import re
import struct

import pytest

from windtunnel.engine.world import World, WorldOptions
from windtunnel.errors import GuestError
from windtunnel.images.kernels import Kernel
from windtunnel.model.impairment import Distribution, Impairment
from windtunnel.model.lab import Endpoint, LabSpec, LinkSpec, NetworkSpec, NodeSpec
from windtunnel.sim.seeds import derive

FULL = Impairment(
    delay_ns=20_000_000,
    jitter_ns=3_000_000,
    distribution=Distribution.NORMAL,
    loss=0.1,
    duplicate=0.01,
    reorder=0.25,
    corrupt=0.001,
    rate_bps=10_000_000,
    queue_packets=77,
)

LAB = LabSpec(
    "net",
    seed=5,
    nodes=(
        NodeSpec("a", addresses=("192.0.2.1/32", "fd00:1::1/128", "127.0.0.2/8")),
        NodeSpec("b"),
        NodeSpec("c"),
    ),
    links=(
        LinkSpec(
            "a-b",
            (
                Endpoint(
                    "a",
                    "right",
                    mac="02:00:00:00:00:0a",
                    addresses=("10.0.0.1/24", "fd00::1/64"),
                    impairment=FULL,
                ),
                Endpoint("b", "left", addresses=("10.0.0.2/24",)),
            ),
            mtu_bytes=1400,
        ),
        LinkSpec("cut", (Endpoint("b", "right"), Endpoint("c", "left")), up=False),
        LinkSpec("loop", (Endpoint("c", "x"), Endpoint("c", "y"))),
        LinkSpec("long", (Endpoint("a", "abcdefghijklmno"), Endpoint("c", "a.b-c@d"))),
    ),
    networks=(
        NetworkSpec(
            "lan",
            (
                Endpoint("a", "lan", addresses=("10.1.0.1/24",)),
                Endpoint("b", "lan", addresses=("10.1.0.2/24",)),
                Endpoint(
                    "c",
                    "lan",
                    addresses=("10.1.0.3/24",),
                    impairment=Impairment(delay_ns=5_000_000),
                ),
            ),
            mtu_bytes=1300,
        ),
    ),
)


@pytest.fixture(scope="module")
def start(kernel_path):
    """A function that starts a lab."""

    def begin(spec):
        kernel = Kernel(version="", key="", path=kernel_path)
        return World(spec, WorldOptions(kernel=kernel, read=(kernel_path.parent,)))

    return begin


@pytest.fixture(scope="module")
def world(start, need_program):
    need_program("ip")
    need_program("tc")
    with start(LAB) as running:
        # the kernel needs a second to notice a carrier, and duplicates are looked for so long
        running.sleep("3 s")
        yield running


def said(node, command):
    """What `ip -j` or `tc -j` says in a node."""
    result = node.run(command)
    assert result.ok, result.stderr
    return json.loads(result.stdout)


def links_of(node):
    return {link["ifname"]: link for link in said(node, "ip -d -j link")}


def pings(node, address, count):
    """Shortest and longest round trip in nanoseconds; ping says microseconds."""
    result = node.run(f"ping -q -i 0.2 -c {count} {address}")
    assert result.ok, result.stdout + result.stderr
    least, _, most, _ = re.search(
        r"= ([\d.]+)/([\d.]+)/([\d.]+)/([\d.]+) ms", result.stdout
    ).groups()
    return round(float(least) * 1e6), round(float(most) * 1e6)


# ---- what the kernel was told ----


@pytest.mark.parametrize(
    ("node", "interface", "index", "mtu"),
    [
        ("a", "right", 2, 1400),
        ("a", "abcdefghijklmno", 3, 1500),
        ("a", "lan", 4, 1300),
        ("b", "left", 2, 1400),
        ("b", "right", 3, 1500),
        ("b", "lan", 4, 1300),
        ("c", "left", 2, 1500),
        ("c", "x", 3, 1500),
        ("c", "y", 4, 1500),
        ("c", "a.b-c@d", 5, 1500),
        ("c", "lan", 6, 1300),
    ],
)
def test_an_interface_has_its_name_index_and_mtu(world, node, interface, index, mtu):
    link = links_of(world.node(node))[interface]
    assert (link["ifindex"], link["mtu"]) == (index, mtu)
    assert link["linkinfo"]["info_kind"] == "veth"
    assert "UP" in link["flags"]


def test_a_node_has_no_other_interfaces(world):
    found = {node.name: sorted(links_of(node)) for node in world.nodes}
    assert found == {
        "a": ["abcdefghijklmno", "lan", "lo", "right"],
        "b": ["lan", "left", "lo", "right"],
        "c": ["a.b-c@d", "lan", "left", "lo", "x", "y"],
    }


def test_macs_are_the_given_ones_or_local_ones_of_the_seed(world):
    assert links_of(world.node("a"))["right"]["address"] == "02:00:00:00:00:0a"
    macs = [
        link["address"]
        for node in world.nodes
        for link in links_of(node).values()
        if link["ifname"] != "lo"
    ]
    assert len(set(macs)) == len(macs) == 11
    assert all(mac.startswith("02:") for mac in macs)


def test_a_link_that_begins_cut_has_no_carrier_at_either_end(world):
    states = {
        (node.name, name): link["operstate"]
        for node in world.nodes
        for name, link in links_of(node).items()
        if name != "lo"
    }
    assert {end for end, state in states.items() if state != "UP"} == {
        ("b", "right"),
        ("c", "left"),
    }
    assert states["b", "right"] == states["c", "left"] == "DOWN"
    assert "UP" in links_of(world.node("c"))["left"]["flags"]


def test_addresses_have_their_prefix_and_scope_and_are_no_longer_tentative(world):
    found = {
        (link["ifname"], entry["local"], entry["prefixlen"], entry["scope"])
        for link in said(world.node("a"), "ip -j addr")
        for entry in link["addr_info"]
        if not entry["local"].startswith("fe80")
    }
    assert found == {
        ("lo", "127.0.0.1", 8, "host"),
        ("lo", "127.0.0.2", 8, "host"),
        ("lo", "::1", 128, "host"),
        ("lo", "192.0.2.1", 32, "global"),
        ("lo", "fd00:1::1", 128, "global"),
        ("right", "10.0.0.1", 24, "global"),
        ("right", "fd00::1", 64, "global"),
        ("lan", "10.1.0.1", 24, "global"),
    }
    everything = said(world.node("a"), "ip -j addr")
    assert not [e for link in everything for e in link["addr_info"] if e.get("tentative")]


def test_tc_reads_every_setting_of_an_impairment(world):
    queues = {queue["dev"]: queue for queue in said(world.node("a"), "tc -j qdisc")}
    options = queues["right"]["options"]
    assert queues["right"]["kind"] == "netem"
    assert options["limit"] == 77
    # tc counts in ticks of 64 ns, and cuts
    assert options["delay"]["delay"] == pytest.approx(0.02, abs=1e-6)
    assert options["delay"]["jitter"] == pytest.approx(0.003, abs=1e-6)
    assert options["loss-random"]["loss"] == pytest.approx(0.1, abs=1e-9)
    assert options["duplicate"]["duplicate"] == pytest.approx(0.01, abs=1e-9)
    assert options["reorder"]["reorder"] == pytest.approx(0.25, abs=1e-9)
    assert options["corrupt"]["corrupt"] == pytest.approx(0.001, abs=1e-9)
    assert options["rate"]["rate"] == 1_250_000
    assert options["gap"] == 1
    others = {name: queue["kind"] for name, queue in queues.items() if name != "right"}
    assert others == {"lo": "noqueue", "abcdefghijklmno": "noqueue", "lan": "noqueue"}


# Prints TCA_OPTIONS of every netem queue in a node, as the kernel reports it (RTM_GETQDISC).
QUEUES = """
import socket, struct
kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
kernel.send(struct.pack("<IHHII", 36, 38, 0x301, 1, 0) + bytes(20))
answer = kernel.recv(1 << 20)
while answer:
    length, kind = struct.unpack_from("<IH", answer)
    message, answer = answer[36:length], answer[length:]
    parts = {}
    while kind == 36 and message:
        size, attribute = struct.unpack_from("<HH", message)
        parts[attribute], message = message[4:size], message[(size + 3) & ~3:]
    if parts.get(1) == b"netem\\0":
        print(parts[2].hex())
"""


def netem_in(node):
    """The attributes of a node's only netem queue, by number."""
    options = bytes.fromhex(node.run(["python3", "-c", QUEUES]).stdout)
    found, rest = {}, options[24:]
    while rest:
        size, kind = struct.unpack_from("<HH", rest)
        found[kind], rest = rest[4:size], rest[(size + 3) & ~3 :]
    return found


def test_the_kernel_has_delay_and_seed_to_the_last_bit(start, need_program):
    need_program("python3")
    fine = Impairment(delay_ns=1_234_567, jitter_ns=12_345, rate_bps=80_000_000_000)
    with start(lossy_lab(fine)) as world:
        queue = netem_in(world.node("a"))
        assert struct.unpack("<qq", queue[10] + queue[11]) == (1_234_567, 12_345)
        assert struct.unpack("<Q", queue[8]) == (10_000_000_000,)
        seed = struct.unpack("<Q", queue[14])[0]
        assert seed == derive(1, "netem", "a", "e")
        # a change keeps the stream of random numbers, and clears what it does not name
        world.link("l").impair(Impairment(delay_ns=1))
        queue = netem_in(world.node("a"))
        assert struct.unpack("<qq", queue[10] + queue[11]) == (1, 0)
        assert 8 not in queue
        assert struct.unpack("<Q", queue[14]) == (seed,)


def test_a_network_is_a_bridge_that_only_switches(world):
    links = links_of(world.base)
    bridge = links["n0"]["linkinfo"]["info_data"]
    assert (bridge["forward_delay"], bridge["stp_state"], bridge["mcast_snooping"]) == (0, 0, 0)
    assert links["n0"]["mtu"] == 1300
    ports = [name for name, link in links.items() if link.get("master") == "n0"]
    assert ports == ["n0p0", "n0p1", "n0p2"]
    assert {links[port]["operstate"] for port in ports} == {"UP"}


def test_an_impairment_of_a_member_holds_in_both_directions(world):
    # 5 ms from c into the network, and 5 ms from the network to c
    pings(world.node("a"), "10.1.0.3", 1)
    least, most = pings(world.node("a"), "10.1.0.3", 5)
    assert 10_000_000 <= least <= most <= 10_005_000


# ---- changes ----


def test_a_change_happens_at_one_instant_and_starts_no_process(start):
    spec = LabSpec(
        "pair",
        nodes=(NodeSpec("a"), NodeSpec("b")),
        links=(LinkSpec("l", (Endpoint("a", "e"), Endpoint("b", "e"))),),
    )
    with start(spec) as world:
        link = world.link("l")
        before_ns = world.now_ns
        link.down()
        link.up()
        link.set(delay="1234567 ns", loss="1%")
        link.impair(Impairment(delay_ns=5), Impairment(delay_ns=7))
        link.impair(Impairment())
        assert world.now_ns == before_ns
        assert [node.processes for node in world.nodes] == [[], []]


def test_a_link_goes_down_and_comes_back_with_both_ends(world):
    link = world.link("long")

    def states():
        world.sleep("2 s")
        ends = (("a", "abcdefghijklmno"), ("c", "a.b-c@d"))
        return [links_of(world.node(node))[name]["operstate"] for node, name in ends]

    link.down()
    assert states() == ["DOWN", "DOWN"]
    link.up()
    assert states() == ["UP", "UP"]


def test_a_link_can_be_impaired_changed_and_mended(world):
    link = world.link("loop")

    def options():
        queues = {queue["dev"]: queue for queue in said(world.node("c"), "tc -j qdisc")}
        return queues["x"]["kind"], queues["y"]["kind"], queues["y"]["options"]

    assert options() == ("noqueue", "noqueue", {})
    link.impair(FULL)
    assert options()[:2] == ("netem", "netem")
    # what is not named any more is gone, not kept
    link.impair(Impairment(loss=0.5))
    kind, _, left = options()
    assert kind == "netem"
    assert left["loss-random"]["loss"] == pytest.approx(0.5)
    assert {word for word in left if left[word]} == {"limit", "loss-random"}
    assert left["limit"] == 1000
    link.impair(Impairment())
    assert options() == ("noqueue", "noqueue", {})


def test_what_a_kernel_refuses_is_said_in_the_words_of_the_lab(start):
    spec = LabSpec(
        "twice",
        nodes=(NodeSpec("a"), NodeSpec("b")),
        links=(
            LinkSpec(
                "l",
                (
                    Endpoint("a", "eth0", addresses=("10.0.0.1/24", "10.0.0.1/24")),
                    Endpoint("b", "eth0"),
                ),
            ),
        ),
    )
    with pytest.raises(GuestError) as caught, start(spec):
        pass
    assert str(caught.value).startswith("node a: interface eth0, address 10.0.0.1/24: ")
    assert "already assigned" in str(caught.value)
    assert caught.value.node == "a"
    assert "interface lo, up\n" in caught.value.hint


def test_a_refused_change_leaves_the_link_as_it_was(start):
    spec = LabSpec(
        "gone",
        nodes=(NodeSpec("a"), NodeSpec("b")),
        links=(LinkSpec("l", (Endpoint("a", "eth0"), Endpoint("b", "eth0"))),),
    )
    with start(spec) as world:
        assert world.node("a").run("ip link del eth0").ok
        with pytest.raises(GuestError, match="interface eth0, delay 1 ms: No such device"):
            world.link("l").set(delay="1 ms")
        with pytest.raises(GuestError, match="interface eth0, pulled out: No such device"):
            world.link("l").down()
        assert world.link("l").is_up


# ---- what packets meet ----


@pytest.mark.parametrize("delay_ns", [10_000_000, 3_000_000, 1_234_567])
def test_a_delay_is_exact(start, delay_ns):
    slow = Impairment(delay_ns=delay_ns)
    ends = tuple(
        Endpoint(node, "e", addresses=(f"10.0.0.{at}/24",), impairment=slow)
        for at, node in ((1, "a"), (2, "b"))
    )
    spec = LabSpec("delay", nodes=(NodeSpec("a"), NodeSpec("b")), links=(LinkSpec("l", ends),))
    with start(spec) as world:
        pings(world.node("a"), "10.0.0.2", 1)  # finds out the other's MAC
        least, most = pings(world.node("a"), "10.0.0.2", 20)
    # ping itself reads the clock a few times, and prints microseconds, cut
    assert 2 * delay_ns - 1000 < least <= most <= 2 * delay_ns + 5000


PACKETS = 10_000

RECEIVER = """
import socket
found = []
receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
receiver.bind(("10.0.0.2", 9))
receiver.settimeout(10)
try:
    while True:
        found.append(int(receiver.recv(64)))
except TimeoutError:
    print(*found)
"""

SENDER = f"""
import socket, time
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for number in range({PACKETS}):
    sender.sendto(b"%d" % number, ("10.0.0.2", 9))
    if number % 20 == 19:
        time.sleep(0.001)
"""

QUIET = (
    # nothing but the test's own packets may draw from the link's random numbers
    ("net.ipv6.conf.all.disable_ipv6", "1"),
    ("net.ipv6.conf.default.disable_ipv6", "1"),
)


def lossy_lab(impairment, *, seed=1, other_link=False):
    neighbour = ("ip neigh add 10.0.0.2 lladdr 02:00:00:00:00:02 dev e nud permanent",)
    nodes = (NodeSpec("a", sysctls=QUIET, exec=neighbour), NodeSpec("b", sysctls=QUIET))
    links = (
        LinkSpec(
            "l",
            (
                Endpoint("a", "e", addresses=("10.0.0.1/24",), impairment=impairment),
                Endpoint("b", "e", mac="02:00:00:00:00:02", addresses=("10.0.0.2/24",)),
            ),
        ),
    )
    if other_link:
        nodes = (NodeSpec("c"), *nodes)
        ends = (
            Endpoint("c", "f", impairment=impairment),
            Endpoint("a", "f", impairment=impairment),
        )
        links = (LinkSpec("other", ends), *links)
    return LabSpec("lossy", seed=seed, nodes=nodes, links=links)


def received(start, spec):
    """The numbers of the packets that came, in the order in which they came."""
    with start(spec) as world:
        receiver = world.node("b").popen(["python3", "-c", RECEIVER])
        world.sleep("1 s")
        assert world.node("a").run(["python3", "-c", SENDER]).ok
        result = receiver.wait()
    assert result.ok, result.stderr
    return [int(word) for word in result.stdout.split()]


def test_a_tenth_is_lost_and_another_link_changes_nobody_elses_losses(start, need_program):
    need_program("python3")
    loss = Impairment(loss=0.1)
    alone = received(start, lossy_lab(loss))
    # binomial: 1000 of 10,000, sigma 30
    assert abs(PACKETS - len(alone) - 1000) <= 120
    assert alone == sorted(set(alone))
    assert received(start, lossy_lab(loss, other_link=True)) == alone
    assert received(start, lossy_lab(loss, seed=2)) != alone


def test_jitter_is_spread_as_the_named_distribution(start, need_program):
    need_program("python3")
    # one-way delays in ns: both nodes read the same clock
    sender = SENDER.replace('b"%d" % number', 'b"%d" % time.monotonic_ns()').replace(
        "number % 20 == 19", "True"
    )
    receiver = RECEIVER.replace("import socket", "import socket, time").replace(
        "int(receiver.recv(64))", "-int(receiver.recv(64)) + time.monotonic_ns()"
    )
    wide = Impairment(delay_ns=100_000_000, jitter_ns=10_000_000, distribution=Distribution.NORMAL)
    with start(lossy_lab(wide)) as world:
        listening = world.node("b").popen(["python3", "-c", receiver])
        world.sleep("1 s")
        assert world.node("a").run(["python3", "-c", sender]).ok
        result = listening.wait()
    delays = [int(word) / 1e6 for word in result.stdout.split()]
    assert len(delays) == PACKETS
    mean = sum(delays) / PACKETS
    deviation = (sum((delay - mean) ** 2 for delay in delays) / PACKETS) ** 0.5
    # sigma of the mean: 10 ms / sqrt(10,000); of the deviation: 10 ms / sqrt(20,000)
    assert mean == pytest.approx(100, abs=0.4)
    assert deviation == pytest.approx(10, abs=0.3)
    beyond = sum(abs(delay - mean) > 20 for delay in delays) / PACKETS
    assert beyond == pytest.approx(0.0455, abs=0.0085)
