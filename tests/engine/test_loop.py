# SPDX-License-Identifier: Apache-2.0
"""The calendar, with fake guests that behave in time as UML does."""

from __future__ import annotations

import os
import socket
from functools import partial

import pytest

from guests import Bench
from windtunnel.engine import loop
from windtunnel.engine.loop import SeatState
from windtunnel.errors import GuestLostError, GuestStuckError, InternalError
from windtunnel.sim.lookahead import Lookahead

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


def test_guests_that_can_reach_each_other_take_turns(bench):
    one = bench.fake("sleep:100", "sleep:100")
    two = bench.fake("sleep:150", "compute:40", "compute:40")
    bench.calendar.lookahead = Lookahead([(1, 2, 1), (2, 1, 1)])
    sleep_all(bench)
    assert one.grants() == [BOOTED_NS, BOOTED_NS + 100, BOOTED_NS + 200]
    assert two.grants() == [BOOTED_NS, BOOTED_NS + 150, BOOTED_NS + 230]


def test_guests_that_cannot_reach_each_other_run_on(bench):
    one = bench.fake("sleep:100", "sleep:100")
    two = bench.fake("sleep:150", "compute:40", "compute:40")
    sleep_all(bench)
    assert one.grants() == two.grants() == [BOOTED_NS]


def test_guests_run_on_as_far_as_the_way_between_them_is_long(bench):
    one = bench.fake("sleep:100", "sleep:100")
    bench.fake("sleep:500")
    bench.calendar.lookahead = Lookahead([(1, 2, 150), (2, 1, 150)])
    sleep_all(bench)
    assert one.grants() == [BOOTED_NS, BOOTED_NS + 200]


@pytest.mark.parametrize("parallel", [1, 2, 3])
def test_what_guests_send_each_other_arrives_the_same_way_however_many_run(make_bench, parallel):
    def history(bench):
        grants = []
        bench.calendar._grants_sink = lambda *move: grants.append(move)
        arrived = []
        guests = [bench.fake(*steps, console=True) for steps in STEPS]
        ways = [(a, b, 60 + a) for a in (1, 2, 3) for b in (1, 2, 3) if a != b]
        bench.calendar.lookahead = Lookahead(ways)

        def sent(sender, data):
            for target in guests:
                if target is not sender:
                    time_ns = sender.seat.now_ns + 60 + sender.seat.number
                    came = (time_ns, sender.seat.number, target.seat.number, data)
                    arrive = partial(arrived.append, came)
                    bench.calendar.post(sender.seat, target.seat, time_ns, arrive)

        for guest in guests:
            guest.model._received = partial(sent, guest)
        sleep_all(bench)
        return sorted(arrived), [guest.trace() for guest in guests], grants

    found = history(make_bench(parallel=parallel))
    assert len(found[0]) == 16
    assert found == history(make_bench())


def test_a_guest_waits_for_what_may_come_back_to_it(bench):
    one = bench.fake("sleep:1000", "say:x", "sleep:50", "sleep:100", console=True)
    bench.fake("forever")
    bench.calendar.lookahead = Lookahead([(1, 2, 70), (2, 1, 30)])
    one.model._received = lambda data: bench.calendar.post(
        one.seat, bench.guests[1].seat, one.seat.now_ns + 70, lambda: None
    )
    sleep_all(bench)
    # 70 ns there and 30 ns back: it stops before 100 ns, but need not stop before 50 ns.
    grants = one.grants()
    assert BOOTED_NS + 1050 not in grants
    assert grants[-1] == BOOTED_NS + 1150


def test_a_paused_guest_stands_still_and_is_late_afterwards(bench):
    guest, other = bench.fake("sleep:1000", "sleep:10"), bench.fake("sleep:1000")
    bench.calendar.run_until(BOOTED_NS + 500)
    bench.calendar.pause(guest.seat)
    bench.calendar.run_until(BOOTED_NS + 5000)
    assert other.trace()[-1] == f"{BOOTED_NS + 1000} step forever"
    assert guest.trace()[-1] == f"{BOOTED_NS} step sleep:1000"
    bench.calendar.resume(guest.seat)
    sleep_all(bench)
    assert guest.trace()[-2:] == [
        f"{BOOTED_NS + 5000} step sleep:10",
        f"{BOOTED_NS + 5010} step forever",
    ]


def test_reports_are_told_in_the_order_of_their_times_with_their_times(bench):
    told = []
    guests = [bench.fake(*steps, console=True) for steps in (("sleep:900", "say:b"), ("say:a",))]
    for guest in guests:
        guest.hear = lambda data: told.append((bench.calendar.now_ns - BOOTED_NS, data))
    sleep_all(bench)
    assert told == [(0, b"a"), (900, b"b")]


def test_when_a_wait_ends_nobody_is_behind_the_present(bench):
    one, two = bench.fake("say:x", console=True), bench.fake(*["sleep:1000"] * 900)
    bench.calendar.run(lambda: bool(one.received))
    now_ns = bench.calendar.now_ns
    assert now_ns < BOOTED_NS + loop.AHEAD_NS
    assert all(guest.seat.next_ns is None or guest.seat.next_ns >= now_ns for guest in (one, two))


def test_nobody_makes_an_appointment_of_the_world_while_guests_run(bench):
    guest = bench.fake("say:x", console=True)
    guest.model._received = lambda data: bench.calendar.at(5, lambda: None)
    with pytest.raises(InternalError, match="while guests run"):
        sleep_all(bench)


@pytest.mark.parametrize("connecting", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_guests_are_admitted_in_one_round_in_whatever_order_they_connect(bench, connecting):
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
    assert admitted == [[], [1, 2, 3]]
    sleep_all(bench)
    assert [guest.trace() for guest in guests] == [guests[0].trace()] * 3


def test_at_one_instant_guests_go_by_their_numbers(bench):
    order = []
    for _ in range(3):
        guest = bench.fake("sleep:1000000", "say:x", console=True)
        guest.hear = lambda data, guest=guest: order.append(
            (bench.calendar.now_ns, guest.seat.number)
        )
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
        events.append((guest.seat.now_ns, data))
        if data == b"one":
            later_ns = guest.seat.now_ns + 400
            action = lambda: events.append((guest.seat.now_ns, b"action"))  # noqa: E731
            bench.calendar.local(guest.seat, later_ns, action)

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
    appointment = bench.calendar.at(0, lambda: pytest.fail("it was cancelled"))
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
    assert guest.grants() == [BOOTED_NS, BOOTED_NS + 1_200_000_000]
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
    with pytest.raises(GuestStuckError, match="the kernel of guest1 has not begun"):
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
        guest.hear = lambda data, guest=guest: events.append(
            (bench.calendar.now_ns - BOOTED_NS, guest.seat.number, data)
        )
    sleep_all(bench)
    return events, [guest.trace() for guest in bench.guests], bench.calendar.grants


def test_what_guests_say_is_told_by_its_time_and_the_same_way_every_time(make_bench):
    events, traces, grants = events_of(make_bench())
    assert events == [
        (0, 3, b"g"),
        (100, 1, b"a"),
        (170, 2, b"d"),
        (170, 1, b"b"),
        (171, 3, b"h"),
        (673, 2, b"e"),
        (1170, 1, b"c"),
        (1170, 2, b"f"),
    ]
    assert events_of(make_bench()) == (events, traces, grants)


def test_nobody_may_interrupt_while_a_guest_runs(bench):
    guest = bench.fake("say:x", console=True)
    guest.model._received = lambda data: bench.calendar.interrupt(guest.device, 0)
    with pytest.raises(InternalError, match="interrupt while the guest runs"):
        sleep_all(bench)


def test_a_seat_is_taken_once(bench):
    guest = bench.fake("sleep:5")
    bench.calendar.run(lambda: bench.calendar.grants == 1)
    second = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with second, pytest.raises(ConnectionRefusedError):
        second.connect(str(bench.folder / "calendar-guest1"))
    assert guest.process.poll() is None


def test_closing_again_closes_nothing_of_anybody_else(bench):
    bench.calendar.close()
    ends = os.pipe()
    bench.calendar.close()
    for end in ends:
        os.close(end)  # raises if it is closed already
