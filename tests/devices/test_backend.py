# SPDX-License-Identifier: Apache-2.0
"""The part of a device that all share, over a socket, without a calendar."""

from __future__ import annotations

import mmap
import os
import socket
import struct

import pytest

from driver import GUEST_BASE, Driver
from windtunnel.devices.backend import VhostUserBackend
from windtunnel.errors import ProtocolError, StateError
from windtunnel.wire.vhost_user import Message, Request, parse_messages

MEMORY_BYTES = 1 << 16


class Echo:
    """The simplest device: it remembers what it is told."""

    features = 1 << 5

    def __init__(self):
        self.heard = []

    def configuration(self):
        return b"\x07\x00"

    def kicked(self, index, queue):
        while (chain := queue.pop()) is not None:
            self.heard.append((index, chain.read()))
            queue.push(chain, chain.write(b"answer"))


class FrontEnd:
    """The guest's side: sends one message, lets the device work, reads the answer."""

    def __init__(self, device, path):
        self.device = device
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(5)
        self.socket.connect(str(path))
        self.work()
        self.memory = os.memfd_create("test")
        os.ftruncate(self.memory, MEMORY_BYTES)

    def work(self):
        if self.device.source is not None:
            self.device.receive()

    def send(self, request, payload=b"", *, files=(), need_reply=True):
        message = Message(request, payload, need_reply=need_reply)
        socket.send_fds(self.socket, [message.to_bytes()], list(files))
        self.work()

    def answer(self):
        messages, rest = parse_messages(self.socket.recv(4096))
        assert rest == b""
        return messages

    def ask(self, request, payload=b"", **options):
        self.send(request, payload, **options)
        (message,) = self.answer()
        assert (message.request, message.reply) == (request, True)
        return message.payload

    def tell_memory(self, size_bytes=MEMORY_BYTES):
        table = struct.pack("<IIQQQQ", 1, 0, GUEST_BASE, size_bytes, GUEST_BASE, 0)
        return self.ask(Request.SET_MEM_TABLE, table, files=[self.memory])

    def tell_queue(self, index, driver):
        at = driver.addresses()
        self.ask(Request.SET_VRING_NUM, struct.pack("<II", index, driver.size))
        self.ask(Request.SET_VRING_BASE, struct.pack("<II", index, driver.avail_index))
        address = struct.pack("<IIQQQQ", index, 0, at["desc"], at["used"], at["avail"], 0)
        return self.ask(Request.SET_VRING_ADDR, address)

    def close(self):
        self.socket.close()
        os.close(self.memory)


@pytest.fixture
def device(tmp_path):
    device = VhostUserBackend(tmp_path / "device", Echo())
    yield device
    device.close()


@pytest.fixture
def guest(device, tmp_path):
    guest = FrontEnd(device, tmp_path / "device")
    yield guest
    guest.close()


OK = bytes(8)


def test_the_device_offers_its_own_features_and_those_that_every_one_needs(guest):
    features = guest.ask(Request.GET_FEATURES, need_reply=False)
    assert int.from_bytes(features, "little") == 1 << 32 | 1 << 30 | 1 << 5
    protocol = guest.ask(Request.GET_PROTOCOL_FEATURES, need_reply=False)
    assert int.from_bytes(protocol, "little") == 0x4228


def test_the_configuration_is_the_devices_own(guest):
    request = struct.pack("<III", 0, 4, 0) + bytes(4)
    assert guest.ask(Request.GET_CONFIG, request, need_reply=False) == request[:12] + b"\7\0\0\0"


@pytest.mark.parametrize("request_number", [Request.SET_OWNER, Request.SET_FEATURES, 99])
def test_what_needs_no_action_is_acknowledged_when_that_is_wanted(guest, request_number):
    assert guest.ask(request_number) == OK
    guest.send(request_number, need_reply=False)
    assert int.from_bytes(guest.ask(Request.GET_FEATURES), "little")


def set_up(device, guest):
    """Memory, one queue that has wrapped, and the socket for interrupts."""
    assert guest.tell_memory() == OK
    driver = Driver(mmap.mmap(guest.memory, MEMORY_BYTES), size=4, index=65535)
    assert guest.tell_queue(1, driver) == OK
    assert not device.ready
    ours, theirs = socket.socketpair()
    ours.settimeout(5)
    assert guest.ask(Request.SET_BACKEND_REQ_FD, files=[theirs.fileno()]) == OK
    theirs.close()
    assert device.ready
    return driver, ours


def test_a_kick_is_answered_once_the_device_has_done_its_work(device, guest):
    driver, interrupts = set_up(device, guest)
    driver.offer([b"question"], [8])
    assert guest.ask(Request.VRING_KICK, struct.pack("<II", 1, 0)) == OK
    assert device._model.heard == [(1, b"question")]
    assert [data for _, data in driver.collect()] == [b"answer"]
    interrupts.close()


def test_a_kick_of_a_queue_that_is_not_set_up_is_only_acknowledged(device, guest):
    assert guest.ask(Request.VRING_KICK, struct.pack("<II", 0, 0)) == OK
    assert device.queue(0) is None


def test_a_message_may_arrive_in_pieces(device, guest):
    for byte in Message(Request.GET_FEATURES).to_bytes():
        guest.socket.send(bytes([byte]))
        guest.work()
    assert len(guest.answer()) == 1


def test_an_interrupt_is_told_and_not_answered(device, guest):
    _, interrupts = set_up(device, guest)
    device.call(1)
    assert interrupts.recv(100) == bytes.fromhex("04000000 01000000 08000000 0100000000000000")
    interrupts.close()


def test_a_change_of_configuration_is_told_as_an_interrupt_is(device, guest):
    _, interrupts = set_up(device, guest)
    device.call_for_configuration()
    assert interrupts.recv(100) == bytes.fromhex("02000000 01000000 00000000")
    interrupts.close()


def test_a_change_of_configuration_needs_a_device_that_is_set_up(device):
    with pytest.raises(StateError, match="has not set up its device"):
        device.call_for_configuration()


def test_an_interrupt_to_a_guest_that_has_died_does_nothing(device, guest):
    _, interrupts = set_up(device, guest)
    interrupts.close()
    device.call(1)
    assert device.ready


def test_an_interrupt_needs_a_device_that_is_set_up(device):
    with pytest.raises(StateError, match="has not set up its device"):
        device.call(0)


@pytest.mark.parametrize("unread", [False, True])
def test_a_guest_that_goes_away_closes_the_device(device, guest, unread):
    if unread:
        guest.send(Request.GET_FEATURES)
    guest.socket.close()
    guest.work()
    assert not device.ready
    assert device.source is None


def test_a_guest_that_dies_before_it_is_answered_closes_the_device(device, guest):
    guest.socket.send(Message(Request.GET_FEATURES).to_bytes())
    guest.socket.close()
    guest.work()
    guest.work()
    assert device.source is None


@pytest.mark.parametrize("size_bytes", [MEMORY_BYTES + 1, 2**62, 2**64 - 1])
def test_memory_that_its_file_does_not_hold_is_refused(guest, size_bytes):
    with pytest.raises(ProtocolError, match="guest memory is no file"):
        guest.tell_memory(size_bytes)


def test_memory_without_its_file_is_refused(guest):
    table = struct.pack("<IIQQQQ", 1, 0, GUEST_BASE, MEMORY_BYTES, GUEST_BASE, 0)
    with pytest.raises(ProtocolError, match="without its file descriptor"):
        guest.send(Request.SET_MEM_TABLE, table)


def test_a_queue_before_its_memory_is_refused(guest):
    with pytest.raises(ProtocolError, match="not guest memory"):
        guest.tell_queue(0, Driver(bytearray(MEMORY_BYTES), size=4))


def test_closing_gives_back_every_file_descriptor_and_may_be_done_again(tmp_path):
    before = set(os.listdir("/proc/self/fd"))
    device = VhostUserBackend(tmp_path / "closing", Echo())
    guest = FrontEnd(device, tmp_path / "closing")
    driver, interrupts = set_up(device, guest)
    driver.memory.close()
    guest.send(Request.SET_OWNER, files=[guest.memory])  # nobody asked for it
    interrupts.close()
    guest.close()
    device.close()
    device.close()
    assert set(os.listdir("/proc/self/fd")) <= before


def test_a_received_file_is_not_passed_on_to_programs_that_we_start(device, guest):
    set_up(device, guest)[1].close()
    assert not device._interrupts.get_inheritable()
