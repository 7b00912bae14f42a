# SPDX-License-Identifier: Apache-2.0
"""What can be done to a node with a kernel of its own, seen from inside and by its peers.

In the lab, a shares the lab's kernel; b and c have their own.
"""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from small_labs import options
from star import MIB, interface, own_star, reaches
from windtunnel.engine.faults import KINDS
from windtunnel.engine.labfile import read_spec
from windtunnel.engine.recorder import NullRecorder
from windtunnel.engine.run import run_lab
from windtunnel.engine.world import World
from windtunnel.errors import GuestError, ImpossibleFaultError
from windtunnel.model.fault import (
    ClockDrift,
    ClockStep,
    Fault,
    MemoryLimit,
    NodeOff,
    NodePause,
    ProcessAction,
    ProcessFault,
)
from windtunnel.model.lab import (
    CaptureSpec,
    ProcessSpec,
)

SECOND_NS = 1_000_000_000
MS_NS = 1_000_000
CLOCKS = "python3 -c 'import time; print(time.time_ns(), time.monotonic_ns())'"


@pytest.fixture(scope="module", autouse=True)
def _programs(need_program):
    for program in ("ip", "ping", "python3"):
        need_program(program)


@pytest.fixture(scope="module")
def world(kernel_path):
    """For tests that leave it as it was."""
    with World(own_star(), options(kernel_path)) as running:
        yield running


@pytest.fixture
def fresh(kernel_path):
    with World(own_star(), options(kernel_path)) as running:
        yield running


def test_a_shared_node_has_links_of_both_kinds_in_any_order(kernel_path, tmp_path):
    # The kernel calls the card of the second link eth0, as the first link is called in b.
    path = tmp_path / "lab.yaml"
    path.write_text(
        "name: mixed\nnodes: {a: {}, b: {}, c: {kernel: own}}\nlinks: [[a, b], [b, c]]\n"
    )
    with World(read_spec(path), options(kernel_path)) as mixed:
        b = mixed.node("b")
        for number in (0, 1):
            assert interface(b, f"eth{number}")["operstate"] == "UP"
        mixed.sleep("3 s")
        assert b.run("ping -c 1 a && ping -c 1 c").ok
        b.power_off()
        b.power_on()
        mixed.sleep("3 s")
        assert b.run("ping -c 1 a && ping -c 1 c").ok


def clocks(node):
    """Wall clock and monotonic clock, in ns."""
    return tuple(map(int, node.run(CLOCKS).stdout.split()))


# ---- power ----


def test_peers_see_a_lost_and_regained_carrier_and_the_same_interface(fresh):
    a, b, c = fresh.nodes
    fresh.sleep("2 s")
    before = [interface(a, "right"), interface(c, "left")]
    watched = [node.popen("ip -o monitor link", name="watch") for node in (a, c)]
    b.power_off()
    fresh.sleep("2 s")
    for node, name in ((a, "right"), (c, "left")):
        assert interface(node, name)["operstate"] == "DOWN"
        assert "UP" in interface(node, name)["flags"]
        # a switch is not its member: its other members see nothing
        assert interface(node, "lan")["operstate"] == "UP"
        assert not reaches(node, "10.9.0.2")
    assert reaches(a, "10.9.0.3")
    b.power_on()
    fresh.sleep("2 s")
    for word in ("ifindex", "ifname", "address", "mtu", "operstate", "flags"):
        after = [interface(a, "right"), interface(c, "left")]
        assert [one[word] for one in after] == [one[word] for one in before], word
    for node, addresses in ((a, ("10.1.0.2", "10.9.0.2")), (c, ("10.2.0.1", "10.9.0.2"))):
        assert [reaches(node, address) for address in addresses] == [True, True]
    for process in watched:
        process.terminate()
        lines = process.wait().stdout.splitlines()
        assert [("NO-CARRIER" in line, "Deleted" in line) for line in lines] == [
            (True, False),
            (False, False),
        ]


def test_a_node_comes_back_as_it_was_made_with_other_randomness(fresh):
    b = fresh.node("b")
    asks = (
        "ip -j addr | sed 's/\"preferred[^}]*//g'",
        "ip route; ip -6 route | grep -v fe80",
        "cat /proc/sys/net/ipv4/ip_forward; hostname; cat /etc/hosts /etc/given /var/tmp/log",
        "ls /dev; ls -A /tmp /root; cat /proc/cmdline | sed 's/um_seed=[^ ]*//'",
    )
    fresh.sleep("3 s")
    before = [b.run(ask).stdout for ask in asks]
    random = b.run("head -c 16 /dev/urandom | od -An -tx1").stdout
    for path in ("/etc/own", "/srv/own", "/var/tmp/own", "/etc/given"):
        b.write_file(path, "changed")
    b.power_off()
    b.power_on()
    fresh.sleep("3 s")
    assert [b.run(ask).stdout for ask in asks] == before
    assert "203.0.113.0/24" in before[1]
    assert "given" in before[2]
    assert b.run("ls /etc/own /srv/own /var/tmp/own").exit_status == 2
    assert b.run("head -c 16 /dev/urandom | od -An -tx1").stdout != random


def test_a_boot_takes_a_second_and_others_go_on_meanwhile(fresh):
    a, b, c = fresh.nodes
    steady = [
        node.popen(f"ping -n -i 0.1 -c 40 {to}", name="steady")
        for node, to in ((a, "10.9.0.3"), (c, "10.9.0.1"))
    ]
    b.power_off()
    began_ns = fresh.now_ns
    b.power_on()
    assert SECOND_NS <= fresh.now_ns - began_ns < SECOND_NS + 50 * MS_NS
    uptime_s = float(b.run("cat /proc/uptime").stdout.split()[0])
    assert 1.0 <= uptime_s < 1.1
    assert abs(clocks(b)[0] - clocks(c)[0]) < 10 * MS_NS
    for process in steady:
        assert "40 packets transmitted, 40 received" in process.wait().stdout


def test_the_console_of_each_boot_is_kept(kernel_path, tmp_path):
    console = tmp_path / "console.log"
    with World(own_star(), replace(options(kernel_path), console=console)) as world:
        b = world.node("b")
        for number in (1, 2, 3):
            assert b.run(f"echo '<3>boot {number}' > /dev/kmsg").ok
            b.power_off()
            b.power_on()
    said = re.findall(r"boot \d", (tmp_path / "console-b.log").read_text())
    assert said == ["boot 1", "boot 2", "boot 3"]


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
    cut_ns = fresh.now_ns
    b.power_off()
    assert fresh.now_ns == cut_ns
    assert (server.poll().signal, server.poll().end_ns) == (9, cut_ns)
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
        lambda: b.step_clock("+1 s"),
        lambda: b.drift_clock("5 ppm"),
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
    assert interface(b, "right")["operstate"] == "DOWN"
    c.power_on()
    fresh.sleep("2 s")
    assert interface(a, "right")["operstate"] == "DOWN"
    assert interface(b, "left")["operstate"] == "DOWN"
    before_ns = fresh.now_ns
    assert b.run("ping -n -q -c 1 10.2.0.2").ok
    assert 60 * MS_NS < fresh.now_ns - before_ns < 200 * MS_NS
    fresh.link("a-b").up()
    fresh.sleep("2 s")
    assert reaches(a, "10.1.0.2")


def test_a_shared_node_that_was_off_sees_what_became_of_its_cable(fresh):
    a, b, _ = fresh.nodes
    fresh.sleep("1 s")
    a.power_off()
    assert interface(b, "left")["operstate"] == "DOWN"
    fresh.link("a-b").down()
    a.power_on()
    fresh.sleep("2 s")
    assert interface(a, "right")["operstate"] == "DOWN"
    fresh.link("a-b").up()
    fresh.sleep("2 s")
    assert reaches(b, "10.1.0.1")


def test_a_power_cut_during_a_boot_ends_that_boot(fresh):
    b = fresh.node("b")
    b.power_off()
    boot = b.machine.power_on("one")
    assert boot == 0
    boot = b.machine.power_on("by hand")
    assert b.machine.is_booting(boot)
    fresh.sleep("100 ms")
    with pytest.raises(GuestError, match="the node is booting"):
        b.run("true")
    b.power_off()
    assert not b.machine.is_booting(boot)
    assert not b.machine.finish_boot(boot)
    b.power_on()
    assert b.run("cat /var/tmp/log").stdout == "set up\n"


# ---- pause ----


def test_a_paused_node_stands_still_and_is_silent_and_goes_on(fresh):
    a, b, c = fresh.nodes
    ticking = b.popen("while sleep 0.1; do echo tick; done", name="tick")
    fresh.sleep("1050 ms")
    assert ticking.stdout.count("tick") == 10
    b.pause()
    assert not reaches(a, "10.1.0.2")
    assert not reaches(c, "10.9.0.2")
    assert interface(a, "right")["operstate"] == "UP"
    fresh.sleep("5 s")
    assert ticking.stdout.count("tick") == 10
    with pytest.raises(GuestError, match="the node is paused"):
        b.run("true")
    b.step_clock("+5 s")
    b.resume()
    fresh.sleep("1 s")
    assert 18 <= ticking.stdout.count("tick") <= 21
    assert reaches(a, "10.1.0.2")
    assert clocks(b)[0] - clocks(c)[0] == pytest.approx(5 * SECOND_NS, abs=MS_NS)


def test_a_node_that_loses_its_power_while_it_is_paused_boots_unpaused(fresh):
    b = fresh.node("b")
    b.pause()
    b.power_off()
    b.power_on()
    assert b.run("true").ok
    b.resume()


# ---- processes and memory ----


def test_all_processes_of_a_node_are_killed_and_nobody_elses(world):
    a, b, _ = world.nodes
    # one with a session of its own, whose parent has ended
    b.run("setsid sleep 1000 >/dev/null 2>&1 &")
    processes = [b.popen("sleep 1000") for _ in range(2)]
    other = a.popen("sleep 1000")
    b.kill_processes()
    assert [process.wait().signal for process in processes] == [9, 9]
    assert other.running
    assert b.run("pgrep sleep").stdout == ""
    assert reaches(a, "10.1.0.2")
    other.kill()
    other.wait()


def test_processes_are_killed_stopped_and_restarted(world):
    b = world.node("b")
    ticking = b.popen("while sleep 0.1; do echo tick; done", name="tick")
    world.sleep("550 ms")
    ticking.stop()
    world.sleep("3 s")
    assert ticking.stdout.count("tick") == 5
    ticking.cont()
    world.sleep("500 ms")
    assert ticking.stdout.count("tick") >= 9
    again = ticking.restart()
    world.sleep("350 ms")
    assert (ticking.poll().signal, again.stdout.count("tick")) == (9, 3)
    again.kill()
    assert again.wait().signal == 9


def test_a_memory_limit_kills_the_eater_and_outlasts_a_power_cut(fresh):
    b = fresh.node("b")
    eat = ["python3", "-c", f"x = b'x' * {48 * MIB}"]
    assert b.run(eat).exit_status == 0
    other = b.popen("sleep 1000")
    b.limit_memory("32 MiB")
    assert b.run(eat).signal == 9
    assert other.running
    b.power_off()
    b.power_on()
    assert b.run(eat).signal == 9
    b.limit_memory(None)
    assert b.run(eat).exit_status == 0


# ---- clocks ----


@pytest.mark.parametrize("step_ns", [5 * SECOND_NS, -3600 * SECOND_NS])
def test_a_step_moves_the_wall_clock_and_no_other(world, step_ns):
    b, c = world.node("b"), world.node("c")
    wall, monotonic = (mine - other for mine, other in zip(clocks(b), clocks(c), strict=True))
    adjtimex = (
        "import ctypes, struct; t = ctypes.create_string_buffer(256);"
        "ctypes.CDLL(None).adjtimex(t); print(struct.unpack_from('i', t, 40)[0] & 0x2000)"
    )
    b.step_clock(step_ns)
    later = [mine - other for mine, other in zip(clocks(b), clocks(c), strict=True)]
    # with several kernels we go on up to 1 ms after a command's end
    assert abs(later[0] - wall - step_ns) < 3 * MS_NS
    assert abs(later[1] - monotonic) < 3 * MS_NS
    # microseconds stay what programs are told by adjtimex(2)
    assert b.run(["python3", "-c", adjtimex]).stdout == "0\n"
    b.step_clock(-step_ns)


def test_steps_of_less_than_a_reading_are_exact(world):
    b = world.node("b")
    read = "import time; a = time.time_ns() - time.monotonic_ns(); print(a)"

    def offset_ns():
        return int(b.run(["python3", "-c", read]).stdout)

    before = offset_ns()
    for step_ns, total_ns in ((7, 7), ("-3 ns", 4), (-4, 0)):
        b.step_clock(step_ns)
        # a reading takes 256 ns, and now and then twice as long
        assert (offset_ns() - before) % 256 == total_ns
        assert abs(offset_ns() - before) < 5000


def test_a_timer_of_the_wall_clock_follows_a_step_and_a_monotonic_one_does_not(world):
    b = world.node("b")
    program = (
        "import ctypes, struct, sys, time\n"
        "clock = int(sys.argv[1])\n"
        "when = time.clock_gettime_ns(clock) + 10 * 10**9\n"
        "until = ctypes.create_string_buffer(struct.pack('qq', *divmod(when, 10**9)))\n"
        "ctypes.CDLL(None).clock_nanosleep(clock, 1, until, None)\n"
    )
    began_ns = world.now_ns
    sleepers = [b.popen(["python3", "-c", program, clock], name="sleeper") for clock in "01"]
    world.sleep("1 s")
    b.step_clock("+5 s")
    ends = [(sleeper.wait().end_ns - began_ns) / SECOND_NS for sleeper in sleepers]
    assert ends == [pytest.approx(5, abs=0.1), pytest.approx(10, abs=0.1)]
    b.step_clock("-5 s")


@pytest.mark.parametrize("drift_ppm", [1, 200, -500, 12_345, 100_000, -100_000])
def test_a_drift_changes_both_clocks_and_ends(world, drift_ppm):
    b = world.node("b")
    # the raw monotonic clock does not drift
    read = "import time; print(time.time_ns(), time.monotonic_ns(), time.clock_gettime_ns(4))"

    def gained_ppm():
        """By how much the clocks of b go faster than the raw one."""
        before = [int(word) for word in b.run(["python3", "-c", read]).stdout.split()]
        world.sleep("100 s")
        after = [int(word) for word in b.run(["python3", "-c", read]).stdout.split()]
        wall, monotonic, raw = (late - early for early, late in zip(before, after, strict=True))
        return (wall - raw) / raw * 1e6, (monotonic - raw) / raw * 1e6

    b.drift_clock(f"{drift_ppm} ppm")
    # a tick that is off is off by 1 in 10^5
    assert gained_ppm() == pytest.approx((drift_ppm, drift_ppm), abs=0.1, rel=2e-5)
    b.drift_clock(None)
    assert gained_ppm() == pytest.approx((0, 0), abs=0.1)


def test_sleeping_follows_the_clock_that_drifts(world):
    b = world.node("b")
    # A kernel aims a timer by its clock as it goes, and finds that it goes too fast only when
    # something wakes it: an idle one sleeps a little too long.
    for drift, least_s, most_s in (("-100000 ppm", 11.10, 11.13), ("100000 ppm", 9.08, 9.5)):
        b.drift_clock(drift)
        began_ns = world.now_ns
        b.run("sleep 10")
        assert least_s < (world.now_ns - began_ns) / SECOND_NS < most_s
    b.drift_clock(None)


def test_a_clock_that_has_booted_is_right_but_drifts_on(fresh):
    b, c = fresh.node("b"), fresh.node("c")
    b.step_clock("+1 h")
    b.drift_clock("100000 ppm")
    b.power_off()
    b.power_on()
    first = clocks(b)[0] - clocks(c)[0]
    assert abs(first) < 10 * MS_NS
    fresh.sleep("10 s")
    assert clocks(b)[0] - clocks(c)[0] - first == pytest.approx(SECOND_NS, rel=0.01)


def test_a_clock_cannot_go_before_the_birth_of_its_kernel(world):
    b = world.node("b")
    with pytest.raises(GuestError, match="ADJ_SETOFFSET: Invalid argument") as error:
        b.step_clock(-70 * 365 * 86400 * SECOND_NS)
    assert error.value.node == "b"
    with pytest.raises(GuestError, match="ADJ_TICK: Invalid argument"):
        b.drift_clock("200000 ppm")
    assert b.run("true").ok


def test_a_node_of_the_shared_kernel_has_no_clock_of_its_own(world):
    with pytest.raises(ImpossibleFaultError, match="shares its kernel") as error:
        world.node("a").step_clock("+1 s")
    assert "kernel: own" in error.value.hint


# ---- faults of a lab ----


class Listener(NullRecorder):
    """A recorder that keeps everything."""

    def __init__(self):
        self.events = []
        self.outputs = {}

    def event(self, time_ns, kind, node="", **fields):
        self.events.append((time_ns, kind, node, fields))

    def output(self, node, process, data, *, stderr):
        self.outputs.setdefault((node, process), b"")
        self.outputs[node, process] += data

    def lines(self, node, process):
        return self.outputs.get((node, process), b"").decode().splitlines()

    def faults(self):
        """Each fault's name and phase, at whole milliseconds."""
        return [
            (time_ns // MS_NS, fields["name"], fields["phase"])
            for time_ns, kind, _, fields in self.events
            if kind == "fault"
        ]


@pytest.fixture
def run(kernel_path):
    """A function that runs the star with faults: listener."""

    def do(*faults, seconds=8, processes=(), captures=()):
        spec = own_star(
            faults=faults,
            stop_ns=seconds * SECOND_NS,
            processes=tuple(processes),
            captures=tuple(captures),
        )
        listener = Listener()
        sinks = {}

        def sink_of(name):
            sinks[name] = bytearray()
            return sinks[name].extend

        run_lab(spec, options(kernel_path), listener, captures=sink_of)
        listener.captures = sinks
        return listener

    return do


def at(seconds, action, *, lasts=None):
    kind = KINDS[type(action)]
    return Fault(
        round(seconds * SECOND_NS),
        f"{kind} at {seconds}",
        action,
        None if lasts is None else round(lasts * SECOND_NS),
    )


TICK = "while sleep 0.1; do echo $(($(date +%s) - 1893456000)); done"


def test_what_ran_in_a_node_runs_again_when_it_has_booted(run):
    listener = run(
        at(2, NodeOff("b"), lasts=2),
        processes=[ProcessSpec("tick", "b", TICK), ProcessSpec("late", "b", TICK, 3 * SECOND_NS)],
    )
    assert listener.faults() == [
        (2000, "node-off at 2", "begin"),
        (5000, "node-off at 2", "end"),
    ]
    assert listener.lines("b", "tick")[-1] == "1"
    assert set(listener.lines("b", "tick.2")) == {"5", "6", "7"}
    assert set(listener.lines("b", "late")) == {"5", "6", "7"}
    ends = [
        (time_ns, node, fields["process"], fields["outcome"], fields["status"])
        for time_ns, kind, node, fields in listener.events
        if kind == "process-exit" and not fields["process"].startswith("exec")
    ]
    assert ends == [(2 * SECOND_NS, "b", "tick", "killed", 9)]


def test_faults_of_a_node_overlap_as_they_do_in_a_shared_kernel(run):
    listener = run(
        at(1, NodeOff("b"), lasts=3),
        at(2, NodeOff("b"), lasts=4),
        at(2.5, NodePause("b"), lasts=1),
        at(7.5, NodeOff("b"), lasts=2),
        processes=[ProcessSpec("tick", "b", TICK)],
        seconds=9,
    )
    assert listener.faults() == [
        (1000, "node-off at 1", "begin"),
        (2000, "node-off at 2", "begin"),
        (2500, "node-pause at 2.5", "begin"),
        (2500, "node-pause at 2.5", "failed"),
        (4000, "node-off at 1", "end"),
        (7000, "node-off at 2", "end"),
        (7500, "node-off at 7.5", "begin"),
    ]
    assert set(listener.lines("b", "tick.2")) == {"7"}


def test_a_node_that_loses_its_power_while_it_boots_is_off(run):
    listener = run(
        at(1, NodeOff("b"), lasts=1),
        at(2.5, NodeOff("b"), lasts=1),
        processes=[ProcessSpec("tick", "b", TICK)],
    )
    assert (4500, "node-off at 2.5", "end") in listener.faults()
    assert set(listener.lines("b", "tick.2")) == {"4", "5", "6", "7"}
    assert listener.lines("b", "tick.3") == []


def test_processes_and_memory_fail_on_time(run):
    eat = f"exec python3 -c \"import time; x = b'x' * {48 * MIB}; time.sleep(100)\""
    listener = run(
        at(1, ProcessFault("b", "tick", ProcessAction.STOP), lasts=2),
        at(4, ProcessFault("b", "tick", ProcessAction.RESTART)),
        at(5, ProcessFault("b", "tick", ProcessAction.KILL), lasts=1),
        at(3, MemoryLimit("b", 32 * MIB), lasts=2),
        processes=[ProcessSpec("tick", "b", TICK), ProcessSpec("eat", "b", eat)],
    )
    assert [phase for _, _, phase in listener.faults()].count("failed") == 0
    assert set(listener.lines("b", "tick")) >= {"0", "3"}
    assert not {"1", "2"} & set(listener.lines("b", "tick")[12:])
    assert set(listener.lines("b", "tick.2")) == {"4"}
    assert set(listener.lines("b", "tick.3")) == {"6", "7"}
    killed = [
        time_ns // MS_NS
        for time_ns, kind, _, fields in listener.events
        if kind == "process-exit" and fields["process"] == "eat"
    ]
    assert killed == [3000]


def test_clock_faults_are_undone_and_never_reach_records(run):
    listener = run(
        at(2, ClockStep("b", 100 * SECOND_NS), lasts=2),
        at(4.5, ClockDrift("b", 100_000), lasts=2),
        at(6.6, ClockStep("b", -50 * SECOND_NS)),
        processes=[
            ProcessSpec("tick", "b", TICK),
            ProcessSpec("ping", "b", "ping -n -i 1 -c 5 10.2.0.2", start_ns=SECOND_NS),
        ],
        captures=[CaptureSpec("b", "right")],
    )
    assert [(name, phase) for _, name, phase in listener.faults()] == [
        ("clock-step at 2", "begin"),
        ("clock-step at 2", "end"),
        ("clock-drift at 4.5", "begin"),
        ("clock-drift at 4.5", "end"),
        ("clock-step at 6.6", "begin"),
    ]
    seen = [int(line) for line in listener.lines("b", "tick")]
    stepped = [second for second in seen if second > 50]
    assert (min(stepped), max(stepped)) == (102, 103)
    # what the drift has gained stays: 0.2 s
    assert seen[-1] == 8 - 50
    # events are in virtual time, and its order, whatever a node's clock says
    times = [time_ns for time_ns, *_ in listener.events]
    assert times == sorted(times)
    assert max(times) <= 8 * SECOND_NS
    assert listener.captures


def test_a_step_is_not_undone_in_a_clock_that_has_booted_since(run):
    listener = run(
        at(1, ClockStep("b", 100 * SECOND_NS), lasts=5),
        at(2, NodeOff("b"), lasts=1),
        processes=[ProcessSpec("tick", "b", TICK)],
    )
    assert [phase for _, name, phase in listener.faults() if "clock" in name] == ["begin", "end"]
    assert set(listener.lines("b", "tick.2")) == {"4", "5", "6", "7"}
