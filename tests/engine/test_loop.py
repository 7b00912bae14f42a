# SPDX-License-Identifier: Apache-2.0
"""The calendar, with fake guests that behave in time as UML does."""

from __future__ import annotations

import os
import socket
import threading

import pytest

from guests import Bench
from windtunnel.engine import loop
from windtunnel.engine.loop import SeatState
from windtunnel.errors import GuestLostError, GuestStuckError, InternalError, ProtocolError
from windtunnel.sim.lookahead import Lookahead
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
    bench.calendar.run_until(1)
    assert guest.trace() == ["0 connected", "0 admitted 1893456000000000000"]
    assert guest.seat.state is SeatState.WAITING
    assert bench.calendar.now_ns == 1
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


def test_guests_without_a_way_between_them_do_not_take_turns(bench):
    one = bench.fake("sleep:100", "sleep:100")
    two = bench.fake("sleep:150", "compute:40", "compute:40")
    sleep_all(bench)
    assert one.grants() == [BOOTED_NS]
    assert two.grants() == [BOOTED_NS]


def test_guests_with_a_way_between_them_go_no_further_than_the_other_could_reach_them(bench):
    bench.calendar.lookahead = Lookahead([(1, 2, 120), (2, 1, 120)])
    one = bench.fake("sleep:100", "sleep:100")
    two = bench.fake("sleep:150", "compute:40", "compute:40")
    sleep_all(bench)
    assert one.grants() == [BOOTED_NS, BOOTED_NS + 200]
    assert two.grants() == [BOOTED_NS, BOOTED_NS + 150]


def test_a_way_in_one_direction_bounds_only_its_end(bench):
    bench.calendar.lookahead = Lookahead([(1, 2, 50)])
    one = bench.fake("sleep:100", "sleep:100")
    two = bench.fake("sleep:100", "sleep:100")
    sleep_all(bench)
    assert one.grants() == [BOOTED_NS]
    assert two.grants() == [BOOTED_NS, BOOTED_NS + 100]


@pytest.mark.parametrize("connecting", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_guests_are_let_run_by_number_in_whatever_order_they_connect(make_bench, connecting):
    log = []
    bench = make_bench(grants=lambda *move: log.append(move))
    guests = [bench.fake("sleep:10", "compute:10", "sleep:5", hold=True) for _ in range(3)]
    for number in connecting:
        guests[number].process.stdin.write(b"\n")
        guests[number].process.stdin.flush()
        while not guests[number].trace():
            os.sched_yield()
    sleep_all(bench)
    assert log == [
        ("wait", 0, "guest1"),
        ("wait", 0, "guest2"),
        ("wait", 0, "guest3"),
        ("run", BOOTED_NS, "guest1"),
        ("wait", BOOTED_NS + 25, "guest1"),
        ("run", BOOTED_NS, "guest2"),
        ("wait", BOOTED_NS + 25, "guest2"),
        ("run", BOOTED_NS, "guest3"),
        ("wait", BOOTED_NS + 25, "guest3"),
    ]
    assert [guest.trace() for guest in guests] == [guests[0].trace()] * 3


def heard_of(bench):
    """What guests tell from now on: (ns since they had booted, number, what)."""
    events = []

    def hear(guest):
        def note(data):
            time_ns = bench.calendar.now_ns - BOOTED_NS
            events.append((time_ns, guest.seat.number, data))

        return note

    for guest in bench.guests:
        guest.hear = hear(guest)
    return events


def test_at_one_instant_guests_report_by_their_numbers(bench):
    for _ in range(3):
        bench.fake("sleep:1000000", "say:x", console=True)
    events = heard_of(bench)
    sleep_all(bench)
    assert events == [(1_000_000, 1, b"x"), (1_000_000, 2, b"x"), (1_000_000, 3, b"x")]


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


def test_a_local_action_made_while_a_guest_runs_is_done_before_the_guest_goes_past_it(bench):
    events = []
    guest = bench.fake("say:one", "compute:1000", "say:two", console=True)

    def received(data):
        now_ns = guest.seat.now_ns
        events.append((now_ns, data))
        if data == b"one":
            action = lambda: events.append((guest.seat.now_ns, b"action"))  # noqa: E731
            bench.calendar.local(guest.seat, now_ns + 400, action)

    guest.model._received = received
    sleep_all(bench)
    assert events == [
        (BOOTED_NS, b"one"),
        (BOOTED_NS + 400, b"action"),
        (BOOTED_NS + 1000, b"two"),
    ]


def test_a_local_action_for_the_past_is_done_as_soon_as_the_guest_waits(bench):
    guest = bench.fake("compute:1000", "say:x", "compute:1000", console=True)
    seen = []
    guest.model._received = lambda data: bench.calendar.local(
        guest.seat, 10, lambda: seen.append(guest.seat.now_ns)
    )
    sleep_all(bench)
    assert seen == [BOOTED_NS + 1000]


def test_an_appointment_of_the_world_cannot_be_made_while_a_guest_runs(bench):
    guest = bench.fake("say:x", console=True)
    guest.model._received = lambda data: bench.calendar.at(0, lambda: None)
    with pytest.raises(InternalError, match="appointment of the world is made while guests run"):
        sleep_all(bench)


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
    with pytest.raises(GuestStuckError, match="the kernel of guest1 has not begun within 0 s"):
        sleep_all(bench)


STEPS = [
    ("sleep:100", "say:a", "compute:70", "say:b", "sleep:1000", "say:c"),
    ("compute:170", "say:d", "sleep:3", "compute:500", "say:e", "sleep:497", "say:f"),
    ("say:g", "sleep:170", "compute:1", "say:h"),
]


def history_of(make_bench):
    """All that three guests say, and when, what each of them did, and all moves in time."""
    log = []
    bench = make_bench(grants=lambda *move: log.append(move))
    for steps in STEPS:
        bench.fake(*steps, console=True)
    events = heard_of(bench)
    sleep_all(bench)
    return events, [guest.trace() for guest in bench.guests], log


def test_reports_are_told_by_their_times_and_the_same_way_every_time(make_bench):
    history = history_of(make_bench)
    assert history[0] == [
        (0, 3, b"g"),
        (100, 1, b"a"),
        (170, 1, b"b"),
        (170, 2, b"d"),
        (171, 3, b"h"),
        (673, 2, b"e"),
        (1170, 1, b"c"),
        (1170, 2, b"f"),
    ]
    assert history_of(make_bench) == history


def test_guests_that_take_turns_on_one_processor_do_the_same(make_bench, one_processor):
    together = history_of(make_bench)
    with one_processor():
        assert history_of(make_bench) == together


def test_nobody_may_interrupt_while_its_guest_runs(bench):
    guest = bench.fake("say:x", console=True)
    guest.model._received = lambda data: bench.calendar.interrupt(guest.device, 0)
    with pytest.raises(InternalError, match="interrupt while the guest runs"):
        sleep_all(bench)


def stranger_at(bench, name):
    """A connection to a seat, in place of its guest."""
    path = bench.folder / name
    seat = bench.calendar.seat(name, path, lambda: True)
    stranger = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    stranger.settimeout(5)
    stranger.connect(str(path))
    return seat, stranger


def test_who_asks_before_it_has_begun_is_answered_and_does_not_run(bench, impatient, monkeypatch):
    monkeypatch.setattr(loop, "BOOT_HOST_S", 0.1)
    seat, stranger = stranger_at(bench, "early")
    with stranger:
        stranger.sendall(Message(Operation.REQUEST, 5, 1).to_bytes())
        with pytest.raises(GuestStuckError, match="the kernel of early has not begun"):
            sleep_all(bench)
        assert stranger.recv(16) == Message(Operation.ACK, 5, 0).to_bytes()
    assert (seat.state, bench.calendar.grants) == (SeatState.STARTING, 0)


@pytest.mark.parametrize("number", [0, 1, 7, 2**63])
def test_a_guest_is_known_by_its_socket_whatever_number_it_says(bench, number):
    seat, stranger = stranger_at(bench, "any")
    answers = []

    def begin():
        stranger.sendall(Message(Operation.START, 5, number).to_bytes())
        answers.append(socket.recv_fds(stranger, 100, 2))
        stranger.sendall(Message(Operation.WAIT, 6, 2**64 - 1).to_bytes())

    with stranger:
        guest = threading.Thread(target=begin)
        guest.start()
        bench.calendar.run_until(1)
        guest.join()
    [(data, files, _, _)] = answers
    for file in files:
        os.close(file)
    assert data == Message(Operation.ACK, 5, 1).to_bytes()
    assert len(files) == 2
    assert seat.state is SeatState.WAITING


def test_what_is_no_message_is_a_broken_protocol(bench):
    _, stranger = stranger_at(bench, "garbage")
    with stranger:
        stranger.sendall(b"GET / HTTP/1.0\r\n\r\n")
        with pytest.raises(ProtocolError, match="time-travel: unknown operation 542393671"):
            sleep_all(bench)


def test_a_seat_is_for_one_guest_only(bench):
    guest = bench.fake("sleep:5")
    bench.calendar.run_until(1)
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as second,
        pytest.raises(ConnectionRefusedError),
    ):
        second.connect(str(bench.folder / "calendar-guest1"))
    sleep_all(bench)
    assert guest.trace()[-1] == f"{BOOTED_NS + 5} step forever"


def test_closing_again_closes_nothing_of_anybody_else(bench):
    bench.calendar.close()
    ends = os.pipe()
    bench.calendar.close()
    for end in ends:
        os.close(end)  # raises if it is closed already
