# SPDX-License-Identifier: Apache-2.0
"""What can be done to links and nodes that share a kernel: it does that, and is undone."""

from __future__ import annotations

import json

import pytest

from small_labs import options
from star import DELAY, MIB, interface, reaches, star
from windtunnel.engine.world import World
from windtunnel.errors import GuestError, StateError


@pytest.fixture(scope="module")
def world(kernel_path, need_program):
    for program in ("ip", "tc", "ping", "python3"):
        need_program(program)
    with World(star(), options(kernel_path)) as running:
        yield running


@pytest.fixture
def fresh(kernel_path):
    with World(star(), options(kernel_path)) as running:
        yield running


def queue(node, name):
    (found,) = json.loads(node.run(f"tc -j qdisc show dev {name}").stdout)
    return found["kind"], found["options"]


# ---- links ----


def test_a_link_that_loses_everything_keeps_its_carrier(world):
    a, link = world.node("a"), world.link("a-b")
    link.lose()
    assert not reaches(a, "10.1.0.2")
    assert interface(a, "right")["operstate"] == "UP"
    link.restore()
    assert reaches(a, "10.1.0.2")


def test_one_way_loss_loses_what_one_end_sends_and_nothing_else(world):
    a, b, link = world.node("a"), world.node("b"), world.link("a-b")
    count = "cat /sys/class/net/{}/statistics/rx_packets"
    link.lose("b")
    before = int(b.run(count.format("left")).stdout)
    assert not reaches(a, "10.1.0.2")
    assert int(b.run(count.format("left")).stdout) >= before + 2
    link.restore("b")
    assert reaches(a, "10.1.0.2")


def test_only_a_node_at_its_end_sends_over_a_link(world):
    with pytest.raises(StateError, match="link a-b has no end at a node 'c'"):
        world.link("a-b").lose("c")


def test_what_is_set_while_packets_are_lost_counts_afterwards(world):
    a, link = world.node("a"), world.link("a-b")
    link.lose("a")
    link.set(delay="7 ms")
    assert not reaches(a, "10.1.0.2")
    link.restore("a")
    assert queue(a, "right") == ("netem", {**queue(a, "right")[1], "limit": 1000})
    assert queue(a, "right")[1]["delay"]["delay"] == pytest.approx(0.007, abs=1e-6)
    link.impair(DELAY)


# ---- partitions ----


def test_groups_do_not_reach_each_other_over_links_or_networks(world):
    a, b, c = world.nodes
    watched = b.popen("ip monitor link", name="watch")
    world.partition([["a"], ["b", "c"]])
    assert [reaches(a, "10.1.0.2"), reaches(a, "10.9.0.2"), reaches(a, "10.9.0.3")] == [False] * 3
    assert [reaches(b, "10.2.0.2"), reaches(b, "10.9.0.3")] == [True] * 2
    # other groups replace the first
    world.partition([["a", "b"]])
    assert [reaches(a, "10.1.0.2"), reaches(a, "10.9.0.2")] == [True] * 2
    assert [reaches(c, "10.2.0.1"), reaches(c, "10.9.0.1"), reaches(c, "10.9.0.2")] == [False] * 3
    world.heal()
    assert [reaches(a, "10.9.0.3"), reaches(b, "10.2.0.2"), reaches(a, "10.1.0.2")] == [True] * 3
    watched.terminate()
    assert watched.wait().stdout == ""


def test_a_healed_network_has_its_one_bridge_again(world):
    world.partition([["a"], ["b"], ["c"]])
    bridges = [link["ifname"] for link in json.loads(world.base.run("ip -j link").stdout)]
    assert {"n0", "n0g1", "n0g2"} <= set(bridges)
    world.heal()
    links = {link["ifname"]: link for link in json.loads(world.base.run("ip -j link").stdout)}
    assert {name: link.get("master") for name, link in links.items() if name[0] == "n"} == {
        "n0": None,
        "n0p0": "n0",
        "n0p1": "n0",
        "n0p2": "n0",
    }


@pytest.mark.parametrize(
    ("groups", "why"),
    [([["a"], ["x"]], "no node 'x'"), ([["a"], ["a"]], "in two groups of a partition")],
)
def test_a_partition_names_nodes_of_the_lab_once_each(world, groups, why):
    with pytest.raises(StateError, match=why):
        world.partition(groups)


# ---- pause ----


def test_a_paused_node_stands_still_and_is_silent_and_goes_on(world):
    a, b = world.node("a"), world.node("b")
    ticking = b.popen("while sleep 0.1; do echo tick; done", name="tick")
    world.sleep("1050 ms")
    assert ticking.stdout.count("tick") == 10
    b.pause()
    begun_ns = world.now_ns
    assert not reaches(a, "10.1.0.2")
    assert not reaches(a, "10.9.0.2")
    world.sleep("5 s")
    assert world.now_ns > begun_ns + 5_000_000_000
    assert ticking.stdout.count("tick") == 10
    with pytest.raises(GuestError, match="the node is paused"):
        b.run("true")
    b.resume()
    world.sleep("1 s")
    assert 18 <= ticking.stdout.count("tick") <= 21
    assert reaches(a, "10.1.0.2")
    ticking.kill()
    ticking.wait()


def test_a_paused_process_can_be_killed_and_its_node_lives_on(world):
    b = world.node("b")
    process = b.popen("sleep 1000")
    b.pause()
    process.kill()
    assert process.wait().signal == 9
    b.resume()
    assert b.run("true").ok


# ---- processes ----


def test_all_processes_of_a_node_are_killed_and_nobody_elses(world):
    a, b = world.node("a"), world.node("b")
    # one with a session of its own, whose parent has ended
    b.run("setsid sleep 1000 >/dev/null 2>&1 &")
    processes = [b.popen("sleep 1000") for _ in range(2)]
    other = a.popen("sleep 1000")
    b.kill_processes()
    assert [process.wait().signal for process in processes] == [9, 9]
    assert other.running
    assert b.run("pgrep sleep").stdout == ""
    other.kill()
    other.wait()


def test_a_stopped_process_stands_still_until_it_goes_on(world):
    ticking = world.node("a").popen("while sleep 0.1; do echo tick; done", name="tick")
    world.sleep("550 ms")
    ticking.stop()
    world.sleep("3 s")
    assert ticking.stdout.count("tick") == 5
    ticking.cont()
    world.sleep("500 ms")
    assert ticking.stdout.count("tick") >= 9
    ticking.kill()
    ticking.wait()


def test_a_process_that_is_restarted_has_the_same_command_and_a_new_life(world):
    first = world.node("a").popen("echo $HELLO; exec sleep 1000", env={"HELLO": "hi"}, name="web")
    world.sleep("1 s")
    second = first.restart()
    world.sleep("1 s")
    assert (first.poll().signal, second.running) == (9, True)
    assert (first.name, second.name) == ("web", "web.2")
    assert (first.stdout, second.stdout) == ("hi\n", "hi\n")
    assert first.pid != second.pid
    second.kill()
    second.wait()


# ---- memory ----


def eater(mebibytes, *, slowly):
    pause = "time.sleep(0.001)" if slowly else "pass"
    program = (
        f"import time\nx = []\nfor i in range({mebibytes}):\n x.append(b'x' * {MIB})\n {pause}\n"
        "print('ate', flush=True)\ntime.sleep(1000)"
    )
    return ["python3", "-c", program]


def test_a_memory_limit_kills_the_eater_and_only_it(world):
    a, b = world.node("a"), world.node("b")
    other, elsewhere = b.popen("sleep 1000"), a.popen(eater(60, slowly=False), name="elsewhere")
    b.limit_memory("32 MiB")
    assert b.popen(eater(60, slowly=True), name="eater").wait().signal == 9
    assert (other.running, elsewhere.running) == (True, True)
    b.limit_memory(None)
    unlimited = b.popen(eater(60, slowly=True), name="eater")
    world.sleep("2 s")
    assert unlimited.stdout == "ate\n"
    for process in (other, elsewhere, unlimited):
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("busy", "most_ns"), [("time.sleep(1000)", 1_000_000), ("None", 50_000_000)]
)
def test_a_limit_below_what_is_in_use_kills_the_eater(world, busy, most_ns):
    b = world.node("b")
    other, eating = b.popen("sleep 1000"), b.popen(eater(60, slowly=False), name="eater")
    world.sleep("1 s")
    assert eating.stdout == "ate\n"
    # a program that never sleeps may delay the kernel's work, and no more
    clock = f"import time\nwhile True: time.monotonic(), {busy}"
    neighbour = world.node("a").popen(["python3", "-c", clock], name="neighbour")
    world.sleep("20 ms")
    before_ns = world.now_ns
    b.limit_memory("32 MiB")
    assert eating.wait().signal == 9
    assert world.now_ns - before_ns < most_ns
    assert (other.running, neighbour.running) == (True, True)
    assert b.run("true").ok
    before_ns = world.now_ns
    b.limit_memory(None)
    assert world.now_ns - before_ns < 50_000_000
    for process in (other, neighbour):
        process.kill()
        process.wait()


def test_files_in_memory_count_and_outlast_a_limit_that_is_too_small(world):
    b = world.node("b")
    assert b.run("head -c 60M /dev/zero > /tmp/big").ok
    b.limit_memory("32 MiB")
    b.limit_memory(None)
    assert b.run("wc -c < /tmp/big; rm /tmp/big").stdout == f"{60 * MIB}\n"


# ---- power ----


def test_peers_see_a_lost_and_regained_carrier_and_the_same_interface(fresh):
    a, b, _ = fresh.nodes
    fresh.sleep("2 s")
    before = interface(a, "right")
    watched = a.popen("ip -o monitor link", name="watch")
    goodbyes = a.popen("ip -o monitor neigh", name="neighbours")
    b.power_off()
    fresh.sleep("2 s")
    assert interface(a, "right")["operstate"] == "DOWN"
    assert "UP" in interface(a, "right")["flags"]
    # a switch is not its member: its other members see nothing
    assert interface(a, "lan")["operstate"] == "UP"
    assert not reaches(a, "10.9.0.2")
    b.power_on()
    fresh.sleep("2 s")
    after = interface(a, "right")
    for word in ("ifindex", "ifname", "address", "mtu", "operstate", "flags"):
        assert after[word] == before[word], word
    assert reaches(a, "10.1.0.2")
    assert reaches(a, "10.9.0.2")
    watched.terminate()
    goodbyes.terminate()
    lines = watched.wait().stdout.splitlines()
    assert [("NO-CARRIER" in line, "Deleted" in line) for line in lines] == [
        (True, False),
        (False, False),
    ]


def test_a_node_comes_back_as_it_was_made(fresh):
    b = fresh.node("b")
    asks = (
        'ip -j addr | sed \'s/"link_netnsid":[0-9]*,//g; s/"preferred[^}]*//g\'',
        "ip route; ip -6 route | grep -v fe80",
        "cat /proc/sys/net/ipv4/ip_forward; hostname; cat /etc/hosts",
        "tc qdisc | sed 's/netem [0-9a-f]*:/netem/'",
        "ls /dev /proc/self/ns",
    )
    # Whether its own IPv6 addresses are taken by others, a node asks for up to three seconds.
    fresh.sleep("5 s")
    before = [b.run(ask).stdout for ask in asks]
    b.power_off()
    b.power_on()
    fresh.sleep("5 s")
    assert [b.run(ask).stdout for ask in asks] == before
    assert "203.0.113.0/24" in before[1]


@pytest.mark.parametrize("wipe", [False, True])
def test_files_are_kept_or_wiped(fresh, wipe):
    b = fresh.node("b")
    for path in ("/etc/own", "/root/.own", "/var/tmp/own", "/tmp/own", "/run/own", "/etc/given"):
        b.write_file(path, "changed")
    b.power_off(wipe=wipe)
    b.power_on()
    left = b.run("cat /etc/own /root/.own /var/tmp/own /tmp/own /run/own 2>/dev/null").stdout
    assert left == ("" if wipe else "changed" * 3)
    assert b.read_file("/etc/given") == (b"given" if wipe else b"changed")
    # the lines of `exec` have run again
    assert b.read_file("/var/tmp/log") == (b"set up\n" if wipe else b"set up\n" * 2)


def test_a_power_cut_says_goodbye_to_nobody(fresh):
    a, b, _ = fresh.nodes
    server = b.popen("python3 -m http.server 80", name="server")
    fresh.sleep("2 s")
    program = (
        "import socket\ns = socket.create_connection(('10.9.0.2', 80))\n"
        "print('in', flush=True)\ns.settimeout(5)\n"
        "try:\n print(s.recv(1))\nexcept TimeoutError:\n print('silence')"
    )
    client = a.popen(["python3", "-c", program], name="client")
    fresh.sleep("1 s")
    assert client.stdout == "in\n"
    b.power_off()
    assert server.poll().signal == 9
    assert client.wait().stdout == "in\nsilence\n"


def test_nothing_can_be_done_in_a_node_without_power(fresh):
    b = fresh.node("b")
    b.power_off()
    assert not b.is_on
    for attempt in (
        lambda: b.run("true"),
        lambda: b.read_file("/etc/given"),
        lambda: b.write_file("/x", ""),
        b.pause,
        b.kill_processes,
    ):
        with pytest.raises(GuestError, match="off"):
            attempt()
    b.power_off()
    b.power_on()
    assert b.is_on
    assert b.run("true").ok


def test_what_happens_to_links_while_a_node_is_off_holds_when_it_is_back(fresh):
    a, b, c = fresh.nodes
    b.power_off()
    fresh.link("a-b").down()
    fresh.link("b-c").set(delay="30 ms")
    c.power_off()
    b.power_on()
    c.power_on()
    fresh.sleep("2 s")
    assert interface(a, "right")["operstate"] == "DOWN"
    assert interface(b, "left")["operstate"] == "DOWN"
    for node, name in ((b, "right"), (c, "left")):
        assert queue(node, name)[1]["delay"]["delay"] == pytest.approx(0.03, abs=1e-6)
    fresh.link("a-b").up()
    fresh.sleep("2 s")
    assert reaches(a, "10.1.0.2")


def test_a_node_that_is_paused_and_loses_its_power_boots_unpaused(fresh):
    a, b, _ = fresh.nodes
    b.pause()
    b.power_off()
    b.power_on()
    fresh.sleep("2 s")
    assert reaches(a, "10.1.0.2")
    b.resume()
    assert b.run("true").ok


def test_a_memory_limit_outlasts_a_power_cut(fresh):
    b = fresh.node("b")
    b.limit_memory("32 MiB")
    b.power_off()
    b.power_on()
    assert b.popen(eater(60, slowly=True), name="eater").wait().signal == 9


def test_the_base_node_is_the_kernel_and_cannot_fail_alone(world):
    with pytest.raises(StateError, match="the node base cannot fail by itself"):
        world.base.pause()
