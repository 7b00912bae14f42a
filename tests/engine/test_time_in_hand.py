# SPDX-License-Identifier: Apache-2.0
"""Time in the hand of a program: steps, predicates, pauses; none of them changes a result."""

from __future__ import annotations

import json
import threading
from dataclasses import replace

import pytest

from small_labs import SECOND_NS, busy_pair, options, pair
from windtunnel.engine.lab import Lab
from windtunnel.engine.run import LabRun
from windtunnel.engine.world import Halt, World
from windtunnel.errors import PausedError, StateError, UsageError
from windtunnel.model.lab import ProcessSpec

TICKS = "for i in 1 2 3 4 5; do sleep 0.1; echo tick $i; done"


class Story:
    """A recorder that keeps everything, and may do something at an event."""

    def __init__(self, at_event=None):
        self.lines = []
        self.at_event = at_event

    def event(self, time_ns, kind, node="", **fields):
        self.lines.append(json.dumps([time_ns, kind, node, fields], sort_keys=True))
        if self.at_event is not None:
            self.at_event(time_ns, kind, fields)

    def output(self, node, process, data, *, stderr):
        self.lines.append(f"{node} {process} {data!r} {stderr}")


@pytest.fixture
def start(kernel_path):
    """Start a world; it ends with the test."""
    worlds = []

    def start(spec=None, recorder=None, **more):
        world = World(spec or pair(), replace(options(kernel_path), **more), recorder)
        worlds.append(world)
        return world

    yield start
    for world in worlds:
        world.close()


def two_kernels(**node):
    lab = Lab("two", seed=3, memory="256 MiB")
    a, b = lab.node("a", **node), lab.node("b", kernel="own")
    lab.link(a, b, delay="2 ms", jitter="500 us", loss="5%")
    return lab.spec()


def peers(spec):
    """For each of the two nodes the address of the other one."""
    first, second = (end.addresses[0].split("/")[0] for end in spec.links[0].ends)
    return second, first


@pytest.fixture(params=["one kernel", "two kernels"])
def spec(request):
    return pair() if request.param == "one kernel" else two_kernels()


# ---- steps ----


def test_a_step_is_exact_to_the_nanosecond(start, spec):
    world = start(spec)
    assert world.now_ns == 0
    assert world.step(1) == 1
    assert world.now_ns == 1
    for step, reached_ns in ((0, 1), (999, 1000), ("1 us", 2000), (123_456_789, 123_458_789)):
        world.step(step)
        assert world.now_ns == reached_ns
    assert world.node("a").run("date +%s.%N").stdout.startswith("1893456000.1")
    with pytest.raises(UsageError, match="time does not go back"):
        world.step(-1)


def story_in_steps(start, spec, steps_ns, limit_ns=2 * SECOND_NS):
    """What a busy lab tells when time passes in steps of these sizes, again and again."""
    story = Story()
    world = start(spec, story)
    for node, peer in zip(world.nodes, peers(spec), strict=True):
        node.begin(f"ping -n -c 12 -i 0.05 {peer}")
        node.begin(TICKS)
        node.begin("head -c 16 /dev/urandom | od; date +%N; cat /proc/uptime; ip -s link")
    number = 0
    while world.now_ns < limit_ns:
        world.step(min(steps_ns[number % len(steps_ns)], limit_ns - world.now_ns))
        number += 1
    world.close()
    return story.lines


def test_odd_steps_give_the_same_bytes_as_one_run(start, spec):
    whole = story_in_steps(start, spec, [2 * SECOND_NS])
    assert sum("tick 5" in line for line in whole) == 2
    assert sum("bytes from" in line for line in whole) > 15
    assert story_in_steps(start, spec, [1, 7, 1_234_567, 33_333_333, 501, 99_999_999]) == whole


def test_a_whole_lab_in_odd_steps_gives_the_same_bytes(start):
    def story(step):
        told = Story()
        world = start(busy_pair(), told)
        run = LabRun(world, told, captures=lambda _name: lambda _data: None, progress=str)
        timeline = run.timeline()
        while world.now_ns < 2 * SECOND_NS:
            timeline.advance(lambda: False, until_ns=min(world.now_ns + step, 2 * SECOND_NS))
        world.close()
        return told.lines

    whole = story(2 * SECOND_NS)
    assert sum('"process-exit"' in line for line in whole) > 5
    assert story(7_654_321) == whole


# ---- predicates ----


def test_run_until_stops_at_the_very_instant_of_the_event(start):
    story = Story()
    world = start(pair(), story)
    process = world.node("a").popen(TICKS)
    assert world.run_until(lambda world: "tick 2" in process.stdout)
    told_ns = max(json.loads(one)[0] for one in story.lines if '"output"' in one)
    assert world.now_ns == told_ns
    assert "tick 3" not in process.stdout
    assert world.run_until(lambda world: True)
    assert world.now_ns == told_ns


def test_with_several_kernels_it_stops_within_a_millisecond(start):
    story = Story()
    world = start(two_kernels(), story)
    process = world.node("b").popen(TICKS)
    assert world.run_until(lambda world: "tick 2" in process.stdout)
    told_ns = max(json.loads(one)[0] for one in story.lines if '"output"' in one)
    assert told_ns <= world.now_ns <= told_ns + 1_000_000
    assert "tick 3" not in process.stdout


def test_the_limit_comes_first_at_its_instant(start, spec):
    world = start(spec)
    begin_ns = world.now_ns
    assert world.run_until(lambda world: False, "1500 us") is False
    assert world.now_ns == begin_ns + 1_500_000


def test_a_predicate_may_not_let_time_pass(start):
    world = start()
    world.node("a").begin(TICKS)
    with pytest.raises(StateError, match="time passes already"):
        world.run_until(lambda world: bool(world.node("a").processes[0].stdout) and world.step(1))
    assert world.node("a").run("echo alive").stdout == "alive\n"


# ---- pauses ----


def test_a_pause_while_nothing_runs_does_nothing(start):
    world = start()
    assert world.pause() is False
    assert world.step("1 ms") == 1_000_000


@pytest.mark.parametrize("how", ["step", "run_until"])
def test_a_recorder_pauses_at_the_event_and_all_goes_on_afterwards(start, how):
    def pause_at_output(time_ns, kind, _fields):
        if kind == "output":
            told.append(time_ns)
            assert world.pause()

    told = []
    world = start(pair(), Story(pause_at_output))
    process = world.node("a").popen(TICKS)
    for number in range(1, 6):
        if how == "step":
            assert world.step("1 min") < 60 * SECOND_NS
        else:
            assert world.run_until(lambda world: False, "1 min") is False
        assert (len(told), told[-1]) == (number, world.now_ns)
    assert process.wait().stdout.count("tick") == 5


def test_whoever_expects_no_pause_is_told_of_it_and_may_wait_again(start):
    def pause_once(_time_ns, kind, _fields):
        if kind == "output" and not done:
            done.append(world.pause())

    done = []
    world = start(pair(), Story(pause_once))
    process = world.node("a").popen(TICKS)
    with pytest.raises(PausedError, match=r"before the end of 'for i in") as caught:
        process.wait()
    assert caught.value.time_ns == world.now_ns
    assert process.wait().stdout.count("tick") == 5
    assert done == [True]


def test_a_sleep_that_is_paused_says_so(start):
    world = start(pair(), Story(lambda _time_ns, kind, _fields: kind == "output" and world.pause()))
    world.node("a").begin("sleep 1; echo now")
    with pytest.raises(PausedError):
        world.sleep("1 h")
    assert world.now_ns < 2 * SECOND_NS


def test_another_thread_can_pause(start):
    world = start()
    world.node("a").begin("while sleep 0.001; do :; done")
    begun = threading.Event()

    def pause():
        begun.wait(60)
        while not world.pause():
            pass

    thread = threading.Thread(target=pause)
    thread.start()
    begun.set()
    assert world.step("100 h") < 360_000 * SECOND_NS
    thread.join()
    assert world.node("a").run("echo alive").stdout == "alive\n"


def test_a_pause_changes_nothing_in_the_lab(start):
    def story(pauses):
        def at_event(_time_ns, kind, _fields):
            if pauses and kind in ("output", "process-exit"):
                world.pause()

        told = Story(at_event)
        world = start(pair(), told)
        for node in world.nodes:
            node.begin(TICKS)
            node.begin("ping -n -c 5 -i 0.07 10.0.0.1")
        while world.now_ns < SECOND_NS:
            world.step(SECOND_NS - world.now_ns)
        world.close()
        return told.lines

    plain = story(pauses=False)
    assert len(plain) > 20
    assert story(pauses=True) == plain


# ---- halts ----


def halted_story(start, spec, halt=None, parallel=1):
    told = Story()
    world = start(spec, told, halt=halt, parallel=parallel)
    run = LabRun(world, told, captures=lambda _name: lambda _data: None, progress=str)
    run.run()
    world.close()
    return told.lines


@pytest.mark.parametrize("at_ns", [0, 1, SECOND_NS + 43_210, 1_999_999_999])
def test_a_halt_changes_no_byte_and_comes_when_the_kernel_is_there(start, at_ns):
    def act(world):
        seat, zero_ns = world.guest_of("a").seat, -world.lab_time(0)
        seen.append((seat.now_ns - zero_ns, seat.next_ns - zero_ns))

    seen = []
    plain = halted_story(start, busy_pair())
    assert halted_story(start, busy_pair(), Halt("a", at_ns, act)) == plain
    ((last_ns, next_ns),) = seen
    assert last_ns <= at_ns <= next_ns


@pytest.mark.parametrize("parallel", [1, 2])
@pytest.mark.parametrize("node", ["a", "b"])
def test_a_halt_among_several_kernels_changes_no_byte(start, node, parallel):
    processes = tuple(
        ProcessSpec(f"ping-{name}", name, f"ping -n -c 9 -i 0.11 {peer}")
        for name, peer in zip("ab", peers(two_kernels()), strict=True)
    )
    spec = replace(two_kernels(), processes=processes, stop_ns=2 * SECOND_NS)
    seen = []
    plain = halted_story(start, spec)
    assert sum("bytes from" in line for line in plain) > 10
    for at_ns in (330_000_001, 500_500_500):
        halt = Halt(node, at_ns, lambda world: seen.append(world.now_ns))
        assert halted_story(start, spec, halt, parallel) == plain
    assert len(seen) == 2
