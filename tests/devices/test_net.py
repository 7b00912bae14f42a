# SPDX-License-Identifier: Apache-2.0
"""The network device over real virtqueues; the driver is the tests' own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driver import GUEST_BASE, Driver
from windtunnel.devices.net import NetModel
from windtunnel.wire.virtqueue import GuestMemory, Piece, Virtqueue

RECEIVE, TRANSMIT = range(2)
MAC = bytes.fromhex("020000000001")
SENT_HEADER = bytes.fromhex("00000000000000000000 0000")
ONE_BUFFER = bytes.fromhex("00000000000000000000 0100")
TWO_BUFFERS = bytes.fromhex("00000000000000000000 0200")
THREE_BUFFERS = bytes.fromhex("00000000000000000000 0300")


class Card:
    """A network device and its driver."""

    def __init__(self, *, mtu_bytes=1500, link_up=True, size=8):
        memory = bytearray(1 << 17)
        guest = GuestMemory([Piece(GUEST_BASE, memoryview(memory))])
        self.drivers = [Driver(memory, size=size, at=index << 16) for index in range(2)]
        self.queues = [Virtqueue(guest, size=size, **driver.addresses()) for driver in self.drivers]
        self.sent = []
        self.wishes = []
        self.model = NetModel(
            mac=MAC,
            mtu_bytes=mtu_bytes,
            link_up=link_up,
            sent=self.sent.append,
            wants_interrupt=self.wishes.append,
        )

    def send(self, *requests):
        """Have the driver send frames, each in its parts."""
        for parts in requests:
            self.drivers[TRANSMIT].offer(parts)
        self.model.kicked(TRANSMIT, self.queues[TRANSMIT])

    def room(self, *sizes):
        """Have the driver offer buffers, one a request."""
        for size in sizes:
            self.drivers[RECEIVE].offer([], [size])

    def deliver(self, frame):
        return self.model.deliver(self.queues[RECEIVE], frame)

    def received(self):
        return [data for _, data in self.drivers[RECEIVE].collect()]


@pytest.mark.parametrize(
    ("mtu_bytes", "features"),
    [
        (68, 0x10028),  # VIRTIO_NET_F_MTU, _MAC, _STATUS
        (1500, 0x10028),
        (1501, 0x18028),  # and _MRG_RXBUF
        (65535, 0x18028),
    ],
)
def test_only_large_frames_need_several_buffers(mtu_bytes, features):
    assert Card(mtu_bytes=mtu_bytes).model.features == features


def test_the_configuration_tells_address_carrier_and_mtu():
    card = Card(mtu_bytes=1400)
    assert card.model.configuration() == bytes.fromhex("020000000001 0100 0100 7805")
    card.model.set_link(up=False)
    assert not card.model.link_up
    assert card.model.configuration() == bytes.fromhex("020000000001 0000 0100 7805")
    card.model.set_link(up=True)
    assert card.model.configuration() == bytes.fromhex("020000000001 0100 0100 7805")


def test_a_cable_may_be_out_from_the_beginning():
    assert Card(link_up=False).model.configuration()[6:8] == b"\0\0"


def test_what_the_guest_sends_comes_without_its_header_and_in_order():
    card = Card()
    card.send([SENT_HEADER + b"one"], [SENT_HEADER, b"t", b"wo"])
    assert card.sent == [b"one", b"two"]
    assert len(card.drivers[TRANSMIT].collect()) == 2


def test_frames_that_were_sent_together_are_told_as_taken_once():
    card = Card()
    card.send([SENT_HEADER + b"one"], [SENT_HEADER + b"two"])
    assert card.wishes == [TRANSMIT]


def test_a_guest_that_does_not_want_to_know_is_not_told_that_frames_were_taken():
    card = Card()
    card.drivers[TRANSMIT].want_interrupts(False)
    card.send([SENT_HEADER + b"one"])
    assert (card.sent, card.wishes) == ([b"one"], [])


def test_a_kick_without_a_frame_asks_for_nothing():
    card = Card()
    card.send()
    assert (card.sent, card.wishes) == ([], [])


def test_new_buffers_for_what_is_received_are_only_taken_note_of():
    card = Card()
    card.room(2000)
    card.model.kicked(RECEIVE, card.queues[RECEIVE])
    assert (card.sent, card.wishes, card.received()) == ([], [], [])


def test_a_frame_arrives_behind_its_header():
    card = Card()
    card.room(2000, 2000)
    assert card.deliver(b"frame")
    assert card.received() == [ONE_BUFFER + b"frame"]
    assert card.deliver(b"another")
    assert card.received() == [ONE_BUFFER + b"another"]


def test_a_frame_may_fill_its_buffer_to_the_last_byte():
    card = Card()
    card.room(12 + 5)
    assert card.deliver(b"frame")
    assert card.received() == [ONE_BUFFER + b"frame"]


def test_a_frame_goes_over_all_parts_of_one_request():
    card = Card()
    card.drivers[RECEIVE].offer([], [12, 2, 8])
    assert card.deliver(b"frame")
    assert card.received() == [ONE_BUFFER + b"frame"]


def test_a_frame_without_a_buffer_is_lost():
    card = Card()
    assert not card.deliver(b"frame")
    card.room(2000)
    assert card.received() == []
    assert card.deliver(b"next")
    assert card.received() == [ONE_BUFFER + b"next"]


def test_a_frame_before_the_guest_has_queues_is_lost():
    assert not Card().model.deliver(None, b"frame")


def test_a_frame_that_is_too_large_for_a_small_cards_buffer_is_lost_and_the_buffer_given_back():
    card = Card()
    card.room(12 + 4, 2000)
    assert not card.deliver(b"frame")
    assert card.received() == [b""]
    assert card.deliver(b"frame")
    assert card.received() == [ONE_BUFFER + b"frame"]


def test_a_large_frame_is_spread_over_as_many_buffers_as_it_needs():
    card = Card(mtu_bytes=9000)
    card.room(16, 4, 4, 4)
    assert card.deliver(b"0123456789")
    assert card.received() == [THREE_BUFFERS + b"0123", b"4567", b"89"]
    assert card.model.deliver(card.queues[RECEIVE], b"") is False  # 4 bytes hold no header
    assert card.received() == [b""]


def test_a_large_frame_may_fill_its_buffers_to_the_last_byte():
    card = Card(mtu_bytes=9000)
    card.room(16, 4, 4)
    assert card.deliver(b"01234567")
    assert card.received() == [TWO_BUFFERS + b"0123", b"4567"]


def test_a_large_frame_for_which_all_buffers_are_too_few_is_lost_and_they_are_given_back():
    card = Card(mtu_bytes=9000)
    card.room(16, 4)
    assert not card.deliver(b"0123456789")
    assert card.received() == [b"", b""]
    assert not card.deliver(b"x")


@given(
    frames=st.lists(st.binary(max_size=60), max_size=6),
    rooms=st.lists(st.integers(12, 40), max_size=8),
)
def test_every_frame_arrives_whole_or_not_at_all(frames, rooms):
    card = Card(mtu_bytes=9000)
    card.room(*rooms)
    arrived = [frame for frame in frames if card.deliver(frame)]
    heard = []
    pieces = iter([data for data in card.received() if data])
    for first in pieces:
        assert first[:10] == bytes(10)
        rest = [next(pieces) for _ in range(int.from_bytes(first[10:12], "little") - 1)]
        heard.append(first[12:] + b"".join(rest))
    assert heard == arrived
