# SPDX-License-Identifier: Apache-2.0
"""The agenda against a sorted list."""

from __future__ import annotations

from itertools import permutations, product

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from windtunnel.errors import InternalError
from windtunnel.sim.agenda import Agenda

times_ns = st.integers(0, 5)


class AgendaMachine(RuleBasedStateMachine):
    """Whatever is done to an agenda, a list of (time, number) tells what comes next."""

    appointments = Bundle("appointments")

    def __init__(self):
        super().__init__()
        self.agenda = Agenda()
        self.expected = []  # (time, number) of what is still to happen
        self.done = []
        self.now_ns = 0
        self.count = 0

    @rule(target=appointments, delay_ns=times_ns)
    def add(self, delay_ns):
        number = self.count
        self.count += 1
        time_ns = self.now_ns + delay_ns
        self.expected.append((time_ns, number))
        return number, self.agenda.add(time_ns, lambda: self.done.append(number))

    @rule(appointment=consumes(appointments))
    def cancel(self, appointment):
        number, entry = appointment
        entry.cancel()
        self.expected = [known for known in self.expected if known[1] != number]

    @rule()
    def take(self):
        action = self.agenda.take()
        if not self.expected:
            assert action is None
            return
        time_ns, number = min(self.expected)
        self.expected.remove((time_ns, number))
        self.now_ns = max(self.now_ns, time_ns)
        action()
        assert self.done.pop() == number

    @rule(delay_ns=times_ns)
    def advance(self, delay_ns):
        self.now_ns += delay_ns
        self.agenda.advance(self.now_ns)

    @invariant()
    def the_clock_is_right(self):
        assert self.agenda.now_ns == self.now_ns

    @invariant()
    def the_next_time_is_right(self):
        assert self.agenda.next_ns() == min(self.expected, default=(None, 0))[0]


TestAgenda = AgendaMachine.TestCase


def taken(agenda):
    order = []
    while (action := agenda.take()) is not None:
        order.append((agenda.now_ns, action()))
    return order


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_actions_come_by_time_in_whatever_order_they_were_added(order):
    agenda = Agenda()
    for time_ns in order:
        agenda.add(time_ns, lambda time_ns=time_ns: time_ns)
    assert taken(agenda) == [(0, 0), (1, 1), (2, 2), (3, 3)]


@pytest.mark.parametrize("times", list(product(range(3), repeat=4)))
def test_actions_of_one_instant_come_in_the_order_of_their_adding(times):
    agenda = Agenda()
    for number, time_ns in enumerate(times):
        agenda.add(time_ns, lambda number=number: number)
    expected = sorted((time_ns, number) for number, time_ns in enumerate(times))
    assert taken(agenda) == expected


@pytest.mark.parametrize("cancelled", list(product([False, True], repeat=4)))
def test_what_is_cancelled_does_not_happen_and_the_rest_does(cancelled):
    agenda = Agenda()
    entries = [agenda.add(0, lambda number=number: number) for number in range(4)]
    for entry, gone in zip(entries, cancelled, strict=True):
        if gone:
            entry.cancel()
    assert taken(agenda) == [(0, number) for number in range(4) if not cancelled[number]]


def test_an_action_can_add_one_for_its_own_instant():
    agenda = Agenda()
    agenda.add(3, lambda: agenda.add(3, lambda: "second") and "first")
    agenda.add(3, lambda: "before")
    assert taken(agenda) == [(3, "first"), (3, "before"), (3, "second")]


def test_cancelling_what_has_happened_has_no_effect():
    agenda = Agenda()
    entry = agenda.add(1, lambda: "it")
    assert agenda.take()() == "it"
    entry.cancel()
    assert agenda.take() is None
    assert agenda.now_ns == 1


def test_what_is_overdue_happens_now_and_time_stays():
    agenda = Agenda()
    agenda.add(1, lambda: "late")
    agenda.advance(5)
    assert taken(agenda) == [(5, "late")]


def test_time_does_not_go_back():
    agenda = Agenda()
    agenda.advance(5)
    with pytest.raises(InternalError, match="from 5 to 4 ns"):
        agenda.advance(4)
    with pytest.raises(InternalError, match="appointment at 4 ns, but it is 5 ns"):
        agenda.add(4, lambda: None)
    assert agenda.now_ns == 5
    assert agenda.next_ns() is None
