# SPDX-License-Identifier: Apache-2.0
"""The console's behaviour over real virtqueues; the driver is the tests' own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driver import GUEST_BASE, Driver
from windtunnel.devices.console import ConsoleModel
from windtunnel.errors import ProtocolError
from windtunnel.wire.virtqueue import GuestMemory, Piece, Virtqueue

RECEIVE, TRANSMIT, CONTROL_RECEIVE, CONTROL_TRANSMIT = range(4)
READY = bytes.fromhex("ffffffff 0000 0100")  # VIRTIO_CONSOLE_BAD_ID, DEVICE_READY
PORT_ADD = bytes.fromhex("00000000 0100 0100")
PORT_READY = bytes.fromhex("00000000 0300 0100")
PORT_OPEN = bytes.fromhex("00000000 0600 0100")


class Console:
    """A console and its driver."""

    def __init__(self, size=8):
        memory = bytearray(1 << 18)
        guest = GuestMemory([Piece(GUEST_BASE, memoryview(memory))])
        self.drivers = [Driver(memory, size=size, at=index << 16) for index in range(4)]
        self.queues = [Virtqueue(guest, size=size, **driver.addresses()) for driver in self.drivers]
        self.received = []
        self.wishes = 0
        self.model = ConsoleModel(received=self.received.append, wants_flush=self.wish)

    def wish(self):
        self.wishes += 1

    def say(self, index, *parts):
        for part in parts:
            self.drivers[index].offer([part])
        self.model.kicked(index, self.queues[index])
        return len(self.drivers[index].collect())

    def flush(self):
        return self.model.flush(self.queues.__getitem__)

    def heard(self, index):
        return [data for _, data in self.drivers[index].collect()]


def test_the_device_is_a_console_with_one_port():
    console = Console()
    assert console.model.features == 2  # VIRTIO_CONSOLE_F_MULTIPORT
    assert console.model.configuration() == bytes.fromhex("0000 0000 01000000 00000000")


def test_what_the_guest_writes_arrives_and_its_buffers_are_given_back():
    console = Console()
    assert console.say(TRANSMIT, b"one", b"two") == 2
    assert console.received == [b"one", b"two"]
    assert console.wishes == 0


def test_a_port_is_added_and_opened():
    console = Console()
    console.drivers[CONTROL_RECEIVE].offer([], [64])
    console.drivers[CONTROL_RECEIVE].offer([], [64])
    assert console.say(CONTROL_TRANSMIT, READY) == 1
    assert console.flush() == [CONTROL_RECEIVE]
    assert console.heard(CONTROL_RECEIVE) == [PORT_ADD]
    console.say(CONTROL_TRANSMIT, PORT_READY)
    assert console.flush() == [CONTROL_RECEIVE]
    assert console.heard(CONTROL_RECEIVE) == [PORT_OPEN]
    assert console.wishes == 2
    console.say(CONTROL_TRANSMIT, PORT_OPEN)
    assert console.flush() == []
    assert console.wishes == 2


def test_a_control_message_of_garbage_raises_a_protocol_error():
    console = Console()
    with pytest.raises(ProtocolError, match="unknown control event 9"):
        console.say(CONTROL_TRANSMIT, bytes.fromhex("00000000 0900 0000"))


def test_what_is_sent_waits_for_a_flush():
    console = Console()
    console.drivers[RECEIVE].offer([], [16])
    console.model.send(b"hello")
    assert console.wishes == 1
    assert console.heard(RECEIVE) == []
    assert console.flush() == [RECEIVE]
    assert console.heard(RECEIVE) == [b"hello"]
    assert console.flush() == []


def test_control_messages_go_before_bytes():
    console = Console()
    for index in (RECEIVE, CONTROL_RECEIVE):
        console.drivers[index].offer([], [16])
    console.model.send(b"x")
    console.say(CONTROL_TRANSMIT, READY)
    assert console.flush() == [CONTROL_RECEIVE, RECEIVE]


def test_what_the_guest_has_no_room_for_waits_until_it_makes_room():
    console = Console()
    console.drivers[RECEIVE].offer([], [4])
    console.model.send(b"abcdef")
    console.model.send(b"gh")
    assert console.flush() == [RECEIVE]
    assert console.heard(RECEIVE) == [b"abcd"]
    assert console.flush() == []
    wishes = console.wishes
    for _ in range(3):
        console.drivers[RECEIVE].offer([], [4])
    console.model.kicked(RECEIVE, console.queues[RECEIVE])
    assert console.wishes == wishes + 1
    assert console.flush() == [RECEIVE]
    assert b"".join(console.heard(RECEIVE)) == b"efgh"


def test_room_without_anything_to_send_asks_for_no_flush():
    console = Console()
    console.drivers[RECEIVE].offer([], [4])
    console.model.kicked(RECEIVE, console.queues[RECEIVE])
    assert console.wishes == 0


def test_nothing_to_send_uses_no_buffer_of_the_guest():
    console = Console()
    console.drivers[RECEIVE].offer([], [4])
    console.model.send(b"")
    assert (console.wishes, console.flush()) == (0, [])


def test_what_is_sent_before_the_guest_has_queues_waits_for_them():
    console = Console()
    console.model.send(b"early")
    assert console.model.flush(lambda index: None) == []
    console.drivers[RECEIVE].offer([], [16])
    assert console.flush() == [RECEIVE]
    assert console.heard(RECEIVE) == [b"early"]


@given(
    sent=st.lists(st.binary(max_size=40), max_size=10),
    rooms=st.lists(st.lists(st.integers(0, 16), max_size=4), max_size=10),
)
def test_the_stream_arrives_whole_and_in_order_however_little_room_there_is(sent, rooms):
    console = Console()
    heard = b""
    for data in sent:
        console.model.send(data)
    for sizes in [*rooms, *[[16] * 8] * 6]:
        for size in sizes[: len(console.drivers[RECEIVE].free)]:
            console.drivers[RECEIVE].offer([], [size])
        console.flush()
        heard += b"".join(console.heard(RECEIVE))
    assert heard == b"".join(sent)
