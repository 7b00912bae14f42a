# SPDX-License-Identifier: Apache-2.0
"""Sockets that are watched, and what happens when they close while others are served."""

from __future__ import annotations

import socket

import pytest

from windtunnel.engine.poller import Poller


@pytest.fixture
def poller():
    with_epoll = Poller()
    yield with_epoll
    with_epoll.close()


@pytest.fixture
def pair():
    """Makes connected sockets, and closes them."""
    made = []

    def make():
        made.extend(ends := socket.socketpair())
        return ends

    yield make
    for end in made:
        end.close()


def test_who_can_read_is_served(poller, pair):
    served = []
    for name in "ab":
        ours, theirs = pair()
        poller.watch(name, ours, lambda name=name: served.append(name))
        if name == "b":
            theirs.send(b"x")
    assert poller.wait(1)
    assert served == ["b"]


def test_nothing_to_read_is_said_when_the_time_is_over(poller, pair):
    poller.watch("a", pair()[0], pytest.fail)
    assert not poller.wait(0)


def test_another_socket_of_an_owner_replaces_the_first(poller, pair):
    first, to_first = pair()
    second, to_second = pair()
    served = []
    poller.watch("a", first, lambda: served.append(1))
    poller.watch("a", second, lambda: served.append(2))
    to_first.send(b"x")
    assert not poller.wait(0)
    to_second.send(b"x")
    assert poller.wait(1)
    assert served == [2]


def test_an_owner_that_is_forgotten_is_not_served(poller, pair):
    ours, theirs = pair()
    poller.watch("a", ours, pytest.fail)
    theirs.send(b"x")
    poller.watch("a", None, pytest.fail)
    poller.unwatch("a")
    assert not poller.wait(0)


def test_a_number_that_a_closed_socket_had_may_be_watched_for_another_owner(poller, pair):
    ours, _ = pair()
    number = ours.fileno()
    poller.watch("a", ours, pytest.fail)
    ours.close()
    other, theirs = pair()
    assert other.fileno() == number
    served = []
    poller.unwatch("a")
    poller.watch("b", other, lambda: served.append("b"))
    theirs.send(b"x")
    assert poller.wait(1)
    assert served == ["b"]


def test_who_is_forgotten_by_one_that_is_served_beside_it_is_called_all_the_same(poller, pair):
    """Whoever serves must know that its socket may be closed: what was ready is called."""
    served = []
    for name in "ab":
        ours, theirs = pair()

        def serve(name=name):
            served.append(name)
            poller.unwatch("a")
            poller.unwatch("b")

        poller.watch(name, ours, serve)
        theirs.send(b"x")
    assert poller.wait(1)
    assert sorted(served) == ["a", "b"]
    assert not poller.wait(0)
