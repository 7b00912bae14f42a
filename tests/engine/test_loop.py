# SPDX-License-Identifier: Apache-2.0
"""The calendar, with fake guests that behave in time as UML does."""

from __future__ import annotations

import os
import socket

import pytest

from guests import Bench
from windtunnel.engine import loop
from windtunnel.engine.loop import SeatState
from windtunnel.errors import GuestLostError, GuestStuckError, InternalError
from windtunnel.wire.timetravel import Message, Operation

BOOTED_NS = 1_534_477
"""When a fake guest with seed 0 has booted."""


@pytest.fixture
def make_bench(tmp_path):
    made = []

    def make(**options):
        folder = tmp_path / str(len(made))
        folder.mkdir()
        made.append(Bench(folder, **options))
        return made[-1]

    yield make
    for bench in made:
        bench.close()


@pytest.fixture
def bench(make_bench):
    return make_bench()


def sleep_all(bench):
    """Run until nobody has anything to do."""
    assert not bench.calendar.run(lambda: False)


def test_a_guest_begins_at_zero_and_knows_the_time_of_day(bench):
    guest = bench.fake()
    bench.calendar.run(lambda: guest.seat.state is SeatState.WAITING)
    assert guest.trace() == ["0 connected", "0 admitted 1893456000000000000"]
    assert bench.calendar.now_ns == 0
    assert bench.calendar.grants == 0


def test_a_guest_alone_runs_on_without_asking(bench):
    guest = bench.fake("sleep:1000", "sleep:2000")
    sleep_all(bench)
    assert guest.trace()[2:] == [
        f"{BOOTED_NS} run",
        f"{BOOTED_NS} step sleep:1000",
        f"{BOOTED_NS + 1000} step sleep:2000",
        f"{BOOTED_NS + 3000} step forever",
    ]


def test_two_guests_take_turns(bench):
    one = bench.fake("sleep:100", "sleep:100")
    two = bench.fake("sleep:150", "compute:40", "compute:40")
    sleep_all(bench)
    assert one.grants() == [BOOTED_NS, BOOTED_NS + 100, BOOTED_NS + 200]
    assert two.grants() == [BOOTED_NS, BOOTED_NS + 150, BOOTED_NS + 230]


@pytest.mark.parametrize("connecting", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_guests_are_admitted_by_number_in_whatever_order_they_connect(bench, connecting):
    guests = [bench.fake("sleep:10", "compute:10", "sleep:5", hold=True) for _ in range(3)]
    for number in connecting:
        guests[number].process.stdin.write(b"\n")
        guests[number].process.stdin.flush()
        while not guests[number].trace():
            os.sched_yield()
    admitted = []

    def until():
        waiting = [guest.seat.number for guest in guests if guest.seat.state is SeatState.WAITING]
        if waiting not in admitted:
            admitted.append(waiting)
        return bench.calendar.grants > 0

    assert bench.calendar.run(until)
    assert admitted == [[], [1], [1, 2], [1, 2, 3]]
    sleep_all(bench)
    assert [guest.trace() for guest in guests] == [guests[0].trace()] * 3


def test_at_one_instant_guests_go_by_their_numbers(bench):
    order = []
    for _ in range(3):
        guest = bench.fake("sleep:1000000", "say:x", console=True)
        guest.receive = lambda data, guest=guest: order.append(
            (bench.calendar.now_ns, guest.seat.number)
        )
        guest.model._received = guest.receive
    sleep_all(bench)
    assert [number for _, number in order] == [1, 2, 3]
    assert len({time_ns for time_ns, _ in order}) == 1


def test_at_one_instant_the_agenda_goes_before_the_guests(bench):
    guest = bench.fake("forever")
    seen = []
    bench.calendar.at(BOOTED_NS, lambda: seen.append((bench.calendar.now_ns, guest.grants())))
    sleep_all(bench)
    assert seen == [(BOOTED_NS, [])]
    assert guest.grants() == [BOOTED_NS]


def test_time_stops_at_the_instant_that_was_asked_for(bench):
    guest = bench.fake("sleep:10000000", "sleep:10000000")
    bench.calendar.run_until(5_000_000)
    assert bench.calendar.now_ns == 5_000_000
    assert guest.grants() == [BOOTED_NS]
    bench.calendar.run_until(5_000_000)
    assert bench.calendar.now_ns == 5_000_000
    bench.calendar.run_until(30_000_000)
    assert bench.calendar.now_ns == 30_000_000
    assert guest.trace()[-1] == f"{BOOTED_NS + 20_000_000} step forever"


def test_an_action_added_while_a_guest_runs_is_done_before_the_guest_goes_past_it(bench):
    events = []
    guest = bench.fake("say:one", "compute:1000", "say:two", console=True)

    def received(data):
        events.append((bench.calendar.now_ns, data))
        if data == b"one":
            later_ns = bench.calendar.now_ns + 400
            bench.calendar.at(later_ns, lambda: events.append((bench.calendar.now_ns, b"action")))

    guest.model._received = received
    sleep_all(bench)
    said_ns = events[0][0]
    assert events == [(said_ns, b"one"), (said_ns + 400, b"action"), (said_ns + 1000, b"two")]


def test_an_action_for_the_past_is_done_at_once(bench):
    bench.calendar.run_until(1000)
    seen = []
    bench.calendar.at(10, lambda: seen.append(bench.calendar.now_ns))
    sleep_all(bench)
    assert seen == [1000]


def test_a_cancelled_action_does_not_happen(bench):
    appointment = bench.calendar.at_once(lambda: pytest.fail("it was cancelled"))
    appointment.cancel()
    sleep_all(bench)
    assert bench.calendar.now_ns == 0


def test_for_ever_is_never_granted_and_the_world_says_that_it_is_idle(bench):
    guests = [bench.fake("forever"), bench.fake("sleep:5")]
    sleep_all(bench)
    idle_ns = bench.calendar.now_ns
    sleep_all(bench)
    assert bench.calendar.now_ns == idle_ns
    assert guests[0].grants() == [BOOTED_NS]
    assert [guest.process.poll() for guest in guests] == [None, None]


def test_a_guest_that_sleeps_for_ever_wakes_at_an_interrupt(bench):
    guest = bench.fake(console=True)
    sleep_all(bench)
    assert guest.agent.release == "fake"
    reply = guest.agent.read_file(1, "/nothing")
    assert guest.wait(lambda: reply.done)
    assert reply.failure.text == "bad request to read a file"


def test_a_guest_that_has_computed_since_its_last_kick_is_not_told_an_earlier_time(bench):
    guest = bench.fake("say:x", "compute:500000", console=True)
    guest.model._received = lambda data: None
    sleep_all(bench)
    guest.model.send(b"hi")
    sleep_all(bench)
    received = [line.split(" ", 1) for line in guest.trace() if "received" in line]
    assert [what for _, what in received] == ["received 6869"]
    assert int(received[0][0]) >= BOOTED_NS + 500_000


def test_a_guest_alone_is_heard_of_every_second_of_its_time(bench):
    guest = bench.fake(*["sleep:400000000"] * 6)
    bench.calendar.run(lambda: bench.calendar.now_ns >= BOOTED_NS + 1_000_000_000)
    assert guest.grants() == [BOOTED_NS]
    sleep_all(bench)
    assert guest.grants() == [BOOTED_NS, BOOTED_NS + 1_200_000_000, BOOTED_NS + 2_400_000_000]


def test_a_guest_that_dies_while_it_runs_is_lost(bench):
    bench.fake("sleep:1000", "die")
    with pytest.raises(GuestLostError, match="the kernel of guest1 has died") as lost:
        sleep_all(bench)
    assert lost.value.time_ns == BOOTED_NS
    with pytest.raises(GuestLostError):
        sleep_all(bench)


@pytest.mark.parametrize("steps", [("sleep:1000",), ("forever",)])
def test_a_guest_that_dies_asleep_is_lost(bench, steps):
    guest = bench.fake(*steps)
    bench.fake("sleep:500")
    bench.calendar.run(lambda: bench.calendar.grants == 2)
    guest.stop()
    with pytest.raises(GuestLostError, match="the kernel of guest1 has died"):
        sleep_all(bench)


def test_a_guest_that_dies_when_it_is_interrupted_is_lost(bench):
    guest = bench.fake(console=True)
    sleep_all(bench)
    guest.stop()
    guest.agent.power_off()
    with pytest.raises(GuestLostError, match="the kernel of guest1 has died"):
        sleep_all(bench)


def test_a_guest_that_never_began_is_lost(bench):
    guest = bench.fake(hold=True)
    guest.stop()
    with pytest.raises(GuestLostError, match="the kernel of guest1 has died"):
        sleep_all(bench)


def test_a_guest_that_was_told_to_end_is_no_loss(bench):
    guest, other = bench.fake(console=True), bench.fake("sleep:10000000")
    guest.wait(lambda: guest.agent.release is not None)
    bench.calendar.forget(guest.seat)
    guest.stop()
    bench.calendar.run_until(5_000_000)
    sleep_all(bench)
    assert other.trace()[-1] == f"{BOOTED_NS + 10_000_000} step forever"


@pytest.fixture
def impatient(monkeypatch):
    """Look often, so that a test of the watchdog takes no second."""
    monkeypatch.setattr(loop, "POLL_HOST_S", 0.01)


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("task:7:spinner:35:1", "process 'spinner' (pid 7 of the kernel), inside nanosleep"),
        (
            "task:8:busy:228:0",
            "process 'busy' (pid 8 of the kernel), in its own code since clock_gettime",
        ),
        ("task:9:new:-1:0", "process 'new' (pid 9 of the kernel), before its first syscall"),
        ("sleep:0", "nothing is known of what it runs"),
    ],
)
def test_a_guest_that_computes_for_ever_is_named_with_its_task(
    make_bench, impatient, step, expected
):
    bench = make_bench(watchdog_host_s=0.3)
    bench.fake(step, "spin")
    with pytest.raises(GuestStuckError) as stuck:
        sleep_all(bench)
    assert expected in stuck.value.message
    assert (stuck.value.node, stuck.value.time_ns) == ("guest1", BOOTED_NS)


def test_the_node_of_a_task_that_computes_for_ever_is_asked_for(make_bench, impatient):
    bench = make_bench(
        watchdog_host_s=0.3, describe=lambda seat, task: f"{seat.name}/{task.pid_namespace:x}"
    )
    bench.fake("task:7:spinner:35:1", "spin")
    with pytest.raises(GuestStuckError) as stuck:
        sleep_all(bench)
    assert stuck.value.node == "guest1/effffffc"


def test_a_guest_that_does_not_begin_is_not_waited_for_for_ever(bench, impatient, monkeypatch):
    monkeypatch.setattr(loop, "BOOT_HOST_S", 0.1)
    bench.fake(hold=True)
    with pytest.raises(GuestStuckError, match="no guest has begun"):
        sleep_all(bench)


STEPS = [
    ("sleep:100", "say:a", "compute:70", "say:b", "sleep:1000", "say:c"),
    ("compute:170", "say:d", "sleep:3", "compute:500", "say:e", "sleep:497", "say:f"),
    ("say:g", "sleep:170", "compute:1", "say:h"),
]


def events_of(bench):
    """All that three guests say, and when, and all that each of them did."""
    events = []
    for steps in STEPS:
        guest = bench.fake(*steps, console=True)
        guest.model._received = lambda data, guest=guest: events.append(
            (bench.calendar.now_ns - BOOTED_NS, guest.seat.number, data)
        )
    sleep_all(bench)
    return events, [guest.trace() for guest in bench.guests], bench.calendar.grants


def test_guests_interleave_by_their_times_and_the_same_way_every_time(make_bench):
    events, traces, grants = events_of(make_bench())
    assert events == [
        (0, 3, b"g"),
        (100, 1, b"a"),
        (170, 1, b"b"),
        (170, 2, b"d"),
        (171, 3, b"h"),
        (673, 2, b"e"),
        (1170, 1, b"c"),
        (1170, 2, b"f"),
    ]
    assert events_of(make_bench()) == (events, traces, grants)


def test_nobody_may_interrupt_while_a_guest_runs(bench):
    guest = bench.fake("say:x", console=True)
    guest.model._received = lambda data: bench.calendar.call(guest.device, 0)
    with pytest.raises(InternalError, match="interrupt while a guest runs"):
        sleep_all(bench)


@pytest.mark.parametrize(
    "message",
    [
        Message(Operation.REQUEST, 1, 1),  # before any START
        Message(Operation.START, 1, 7),  # nobody has that number
        Message(Operation.START, 1, 0),  # the calendar's own
    ],
)
def test_who_does_not_begin_with_a_start_and_a_known_number_is_sent_away(bench, message):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stranger:
        stranger.connect(str(bench.folder / "calendar"))
        stranger.sendall(message.to_bytes())
        bench.fake("sleep:5")
        sleep_all(bench)
        assert stranger.recv(16) == b""


def test_a_number_is_given_to_one_guest_only(bench):
    bench.fake("sleep:5")
    bench.calendar.run(lambda: bench.calendar.grants == 1)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as second:
        second.connect(str(bench.folder / "calendar"))
        second.sendall(Message(Operation.START, 1, 1).to_bytes())
        bench.fake("sleep:5")
        sleep_all(bench)
        assert second.recv(16) == b""


def test_closing_again_closes_nothing_of_anybody_else(bench):
    bench.calendar.close()
    ends = os.pipe()
    bench.calendar.close()
    for end in ends:
        os.close(end)  # raises if it is closed already


def test_there_are_at_most_1023_guests(bench):
    for number in range(1, 1024):
        assert bench.calendar.seat("one of many", lambda: True).number == number
    with pytest.raises(InternalError, match="more than 1024 guests"):
        bench.calendar.seat("one too many", lambda: True)
