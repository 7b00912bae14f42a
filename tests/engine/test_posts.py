# SPDX-License-Identifier: Apache-2.0
"""The calendar, with fake guests that send each other something."""

from __future__ import annotations

from functools import partial

import pytest

from guests import TIME_OF_DAY_NS, Bench
from windtunnel.engine.seat import SeatState
from windtunnel.errors import GuestLostError, InternalError
from windtunnel.sim.agenda import Agenda
from windtunnel.sim.lookahead import Lookahead

BOOTED_NS = 1_534_477
"""When a fake guest with seed 0 has booted."""

MS = 1_000_000


@pytest.fixture
def make_bench(tmp_path):
    made = []

    def make(**options):
        folder = tmp_path / str(len(made))
        folder.mkdir()
        made.append(Bench(folder, watchdog_host_s=20, **options))
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


def received(guest):
    """What a fake got, and when, by its own clock: (ns since it had booted, text)."""
    found = []
    for line in guest.trace():
        time_ns, what, *data = line.split()
        if what == "received":
            found.append((int(time_ns) - BOOTED_NS, bytes.fromhex(data[0]).decode()))
    return found


def grants(guest):
    return [time_ns - BOOTED_NS for time_ns in guest.grants()]


class Wire:
    """What a guest says comes out at another's console."""

    def __init__(self, bench, sender, target, latency_ns):
        self.calendar, self.sender, self.target = bench.calendar, sender, target
        self.latency_ns = latency_ns
        sender.model._received = self.send

    def send(self, data):
        time_ns = self.sender.seat.now_ns + self.latency_ns
        arrive = partial(self.target.model.send, data)
        self.calendar.post(self.sender.seat, self.target.seat, time_ns, arrive)


class Hub:
    """A place between guests: what one says comes out at all others."""

    number = -1

    def __init__(self, bench, to_ns, from_ns):
        self.bench, self.to_ns, self.from_ns = bench, to_ns, from_ns
        self.agenda = Agenda()
        self.forwarded = []
        bench.calendar.add_relay(self)
        numbers = [guest.seat.number for guest in bench.guests]
        ways = [(number, self.number, to_ns) for number in numbers]
        ways += [(self.number, number, from_ns) for number in numbers]
        bench.calendar.lookahead = Lookahead(ways)
        for guest in bench.guests:
            guest.model._received = partial(self.send, guest)

    def send(self, guest, data):
        guest.receive(data)
        time_ns = guest.seat.now_ns + self.to_ns
        self.bench.calendar.post(guest.seat, self, time_ns, partial(self.forward, guest, data))

    def forward(self, sender, data):
        now_ns = self.agenda.now_ns
        self.forwarded.append((now_ns - BOOTED_NS, data))
        for guest in self.bench.guests:
            if guest is not sender:
                time_ns = now_ns + self.from_ns
                self.bench.calendar.local(guest.seat, time_ns, partial(guest.model.send, data))


STEPS = [
    ("say:a", "sleep:100", "compute:70", "say:b", "sleep:1000", "say:c"),
    ("compute:170", "say:d", "sleep:3", "compute:500", "say:e", "sleep:497", "say:f"),
    ("say:g", "sleep:170", "compute:1", "say:h"),
]


def history_of(make_bench):
    """What was told, what passed the hub, what each guest did, and all moves in time."""
    log = []
    bench = make_bench(grants=lambda *move: log.append(move))
    for steps in STEPS:
        bench.fake(*steps, console=True)
    hub = Hub(bench, 70, 30)
    told = []
    for guest in bench.guests:
        guest.hear = lambda data, number=guest.seat.number: told.append(
            (bench.calendar.now_ns - BOOTED_NS, number, data)
        )
    sleep_all(bench)
    return told, hub.forwarded, [guest.trace() for guest in bench.guests], log, bench


def test_what_goes_through_a_hub_arrives_at_its_exact_time(make_bench):
    told, forwarded, _, _, bench = history_of(make_bench)
    assert told == [
        (0, 1, b"a"),
        (0, 3, b"g"),
        (170, 1, b"b"),
        (170, 2, b"d"),
        (171, 3, b"h"),
        (673, 2, b"e"),
        (1170, 1, b"c"),
        (1170, 2, b"f"),
    ]
    assert forwarded == [(time_ns + 70, data) for time_ns, _, data in told]
    assert received(bench.guests[2]) == [
        (100, "a"),
        (270, "bd"),  # of one instant: one interrupt, in the order of numbers
        (773, "e"),
        (1270, "cf"),
    ]
    assert [time_ns for time_ns, _ in received(bench.guests[0])] == [100, 270, 271, 773, 1270]


def test_who_goes_on_after_a_report_is_where_the_foremost_is_also_if_that_is_the_hub(make_bench):
    bench = make_bench()
    bench.fake("sleep:5", "forever", console=True)
    bench.fake(f"sleep:{MS - 10}", "say:a", "forever", console=True)
    last = bench.fake(f"sleep:{MS + 10}", "say:b", "forever", console=True)
    hub = Hub(bench, 70, 2 * MS)
    bench.calendar.run_until(BOOTED_NS)
    # From 5 ns on guests go up to 1 ms ahead; so "a" is on its way to the hub when "b" is not
    # said yet. What is said then is at the hub 70 ns later, so that was free to go on.
    assert last.wait(lambda: bool(last.received))
    assert hub.forwarded == [(MS + 60, b"a")]
    assert bench.calendar.now_ns == BOOTED_NS + MS + 60


def test_everything_is_the_same_however_many_guests_run_at_the_same_time(make_bench, one_processor):
    together = history_of(make_bench)[:-1]
    with one_processor():
        assert history_of(make_bench)[:-1] == together


def pair(bench, there_ns, back_ns, *steps):
    """A guest that begins alone after 5 ms and says something, and one that sleeps."""
    one = bench.fake(f"sleep:{5 * MS}", *steps, console=True)
    two = bench.fake("forever", console=True)
    ways = [(1, 2, there_ns)]
    if back_ns is not None:
        ways.append((2, 1, back_ns))
    bench.calendar.lookahead = Lookahead(ways)
    Wire(bench, one, two, there_ns)
    return one, two


def test_what_may_come_back_limits_who_has_sent_something(bench):
    one, two = pair(bench, 100, 90, "say:x", "sleep:150", "sleep:150", "sleep:150")
    sleep_all(bench)
    assert received(two) == [(5 * MS + 100, "x")]
    # Up to 190 behind what it said; its first timer is before that.
    assert grants(one)[-2:] == [5 * MS, 5 * MS + 300]


def test_who_sends_where_nothing_can_come_back_from_goes_on(bench):
    one, two = pair(bench, 100, None, "say:x", "sleep:150", "sleep:150", "sleep:150")
    sleep_all(bench)
    assert received(two) == [(5 * MS + 100, "x")]
    assert grants(one)[-1] == 5 * MS


def test_who_sends_faster_than_it_was_said_to_the_calendar_is_caught(bench):
    one, two = bench.fake("sleep:10", "say:x", console=True), bench.fake("sleep:60", console=True)
    bench.calendar.lookahead = Lookahead([(1, 2, 500), (2, 1, 500)])
    Wire(bench, one, two, 40)  # arrives at 50, when the other one is at 60
    with pytest.raises(InternalError, match=f"at {BOOTED_NS + 50} ns, but it is {BOOTED_NS + 60}"):
        sleep_all(bench)


@pytest.mark.parametrize("other", [False, True])
def test_a_guest_that_begins_later_begins_then_with_its_own_clock_at_zero(bench, other):
    if other:
        bench.fake("sleep:20000000")
    bench.calendar.run_until(7 * MS)
    guest = bench.fake("sleep:1000", "say:x", "compute:500", console=True)
    told = []
    guest.hear = lambda data: told.append((bench.calendar.now_ns, data))
    bench.calendar.run(lambda: bool(told))
    bench.calendar.run_until(9 * MS)
    assert guest.trace()[:2] == ["0 connected", f"0 admitted {TIME_OF_DAY_NS + 7 * MS}"]
    assert guest.trace()[-1] == f"{BOOTED_NS + 1500} step forever"
    assert told == [(7 * MS + BOOTED_NS + 1000, b"x")]
    guest.model.send(b"late")
    bench.calendar.run_until(10 * MS)
    assert received(guest) == [(2 * MS - BOOTED_NS, "late")]
    assert guest.seat.now_ns == 9 * MS


def test_when_a_wait_ends_nobody_has_anything_left_to_do_before_now(bench):
    heard = []
    one = bench.fake("sleep:100", "say:x", *["sleep:400000"] * 9, console=True)
    one.hear = heard.append
    two = bench.fake(*["sleep:300000"] * 9)
    assert bench.calendar.run(lambda: bool(heard))
    # The second one had come to 900000 when the first one stopped at what it said.
    assert bench.calendar.now_ns == BOOTED_NS + 900_000
    assert one.seat.now_ns == BOOTED_NS + 800_100
    assert one.seat.next_ns == BOOTED_NS + 1_200_100
    assert two.seat.next_ns == BOOTED_NS + 1_200_000


def test_guests_stay_near_each_other_while_somebody_waits_and_not_otherwise(make_bench):
    steps = ["sleep:300000"] * 9
    far = make_bench()
    guests = [far.fake(*steps), far.fake(*steps)]
    far.calendar.run_until(1000 * MS)
    assert [grants(guest) for guest in guests] == [[0], [0]]
    near = make_bench()
    guests = [near.fake(*steps), near.fake(*steps)]
    sleep_all(near)
    assert [grants(guest) for guest in guests] == [[0, 1_200_000, 2_400_000]] * 2


def test_reports_and_what_they_make_the_world_do_come_in_the_order_of_time(bench):
    events = []
    calendar = bench.calendar

    def note(what):
        events.append((calendar.now_ns - BOOTED_NS, what))

    def hear(data):
        note(data)
        calendar.at(calendar.now_ns + 50, lambda: note("action"))

    bench.fake("sleep:100", "say:x", "sleep:1000", console=True).hear = hear
    bench.fake("sleep:200", "say:y", "sleep:1000", console=True).hear = note
    sleep_all(bench)
    assert events == [(100, b"x"), (150, "action"), (200, b"y")]


def test_a_guest_may_report_twice_at_one_instant(bench):
    told = []
    for _ in range(2):
        guest = bench.fake("say:a", "sleep:0", "say:b", console=True)
        guest.hear = lambda data, number=guest.seat.number: told.append(
            (bench.calendar.now_ns - BOOTED_NS, number, data)
        )
    sleep_all(bench)
    assert told == [(0, 1, b"a"), (0, 1, b"b"), (0, 2, b"a"), (0, 2, b"b")]


def test_what_a_guest_said_before_it_died_is_told_first(bench):
    told = []
    guest = bench.fake("say:last words", "die", console=True)
    guest.hear = told.append
    with pytest.raises(GuestLostError) as lost:
        bench.calendar.run_until(100 * MS)
    assert told == [b"last words"]
    assert lost.value.time_ns == BOOTED_NS
    assert guest.seat.state is SeatState.GONE


def test_of_guests_that_die_in_one_round_the_first_one_is_named(bench):
    bench.fake("sleep:200", "say:x", "die", console=True)
    bench.fake("sleep:100", "say:x", "die", console=True)
    with pytest.raises(GuestLostError, match="the kernel of guest2 has died") as lost:
        bench.calendar.run_until(100 * MS)
    assert lost.value.time_ns == BOOTED_NS + 100
