# SPDX-License-Identifier: Apache-2.0
"""A block device's behaviour over real virtqueues; the driver is the tests' own."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driver import GUEST_BASE, Driver
from windtunnel.devices.block import BlockModel
from windtunnel.devices.disk import Disk
from windtunnel.errors import ProtocolError
from windtunnel.wire.virtqueue import GuestMemory, Piece, Virtqueue

IN, OUT, FLUSH, GET_ID, DISCARD, WRITE_ZEROES = 0, 1, 4, 8, 11, 13
OK, IO_ERROR, UNSUPPORTED = b"\0", b"\1", b"\2"
SECTORS = 64


def header(kind, sector=0):
    return struct.pack("<IIQ", kind, 0, sector)


class Machine:
    """A block device, its driver and a clock."""

    def __init__(self, folder, *, latency_ns=100_000, size=8):
        memory = bytearray(1 << 18)
        guest = GuestMemory([Piece(GUEST_BASE, memoryview(memory))])
        self.driver = Driver(memory, size=size)
        self.queue = Virtqueue(guest, size=size, **self.driver.addresses())
        self.disk = Disk(folder / "disk", 512 * SECTORS)
        self.now_ns = 0
        self.due_ns = []
        self.model = BlockModel(
            self.disk,
            serial="data",
            latency_ns=latency_ns,
            now_ns=lambda: self.now_ns,
            complete_at=self.due_ns.append,
        )

    def kick(self):
        self.model.kicked(0, self.queue)

    def finish(self):
        """Let all batches end; what came back, and how often the driver is told."""
        told = 0
        while self.due_ns:
            self.now_ns = self.due_ns.pop(0)
            told += self.model.complete(self.queue)
        return [data for _, data in self.driver.collect()], told

    def ask(self, kind, sector=0, *, data=(), room=(), **options):
        """One request from beginning to end; what the device has filled in."""
        self.driver.offer([header(kind, sector), *data], [*room, 1], **options)
        self.kick()
        ((answer,), told) = self.finish()
        assert told
        return answer


@pytest.fixture
def machine(tmp_path):
    machine = Machine(tmp_path)
    yield machine
    machine.disk.close()


def test_the_device_has_a_cache_that_can_be_flushed_and_tells_its_size(machine):
    assert machine.model.features == 0x10006244
    assert machine.model.configuration()[:8] == struct.pack("<Q", SECTORS)


@pytest.mark.parametrize("indirect", [False, True])
def test_what_is_written_is_read_in_whatever_pieces(machine, indirect):
    data = bytes(range(256)) * 4
    assert machine.ask(OUT, 3, data=[data[:1], data[1:]], indirect=indirect) == OK
    assert machine.ask(IN, 3, room=[700, 324], indirect=indirect) == data + OK
    assert machine.ask(IN, 4, room=[512]) == data[512:] + OK
    assert machine.ask(IN, 5, room=[512]) == bytes(512) + OK


def test_a_request_may_be_cut_into_pieces_anywhere(machine):
    whole = header(OUT, 1) + b"x" * 512
    machine.driver.offer([whole[:5], whole[5:20], whole[20:]], [1])
    machine.kick()
    assert machine.finish() == ([OK], 1)
    # data and status in one piece
    machine.driver.offer([header(IN, 1)[:8], header(IN, 1)[8:]], [513])
    machine.kick()
    assert machine.finish() == ([b"x" * 512 + OK], 1)


@pytest.mark.parametrize(
    ("kind", "sector", "data", "room"),
    [
        (IN, SECTORS, (), (512,)),
        (IN, SECTORS - 1, (), (1024,)),
        (IN, 2**64 - 1, (), (512,)),
        (IN, 0, (), (511,)),
        (IN, 0, (), ()),
        (OUT, SECTORS, (bytes(512),), ()),
        (OUT, 2**63, (bytes(512),), ()),
        (OUT, 0, (bytes(513),), ()),
        (OUT, 0, (), ()),
        (DISCARD, 0, (struct.pack("<QII", SECTORS, 1, 0),), ()),
        (WRITE_ZEROES, 0, (struct.pack("<QII", 0, 2**32 - 1, 0),), ()),
        (WRITE_ZEROES, 0, (struct.pack("<QII", 0, 0, 0),), ()),
        (GET_ID, 0, (), (19,)),
    ],
)
def test_what_is_not_on_the_disk_is_an_error(machine, kind, sector, data, room):
    machine.driver.offer([header(kind, sector), *data], [*room, 1])
    machine.kick()
    machine.finish()
    status_at = machine.driver.heap - 1
    assert bytes(machine.driver.memory[status_at : status_at + 1]) == IO_ERROR
    assert machine.disk.unflushed == 0


@pytest.mark.parametrize("kind", [2, 5, 14, 99, 2**32 - 1])
def test_what_the_device_does_not_know_it_says_so_of(machine, kind):
    assert machine.ask(kind) == UNSUPPORTED


def test_it_has_a_serial_number(machine):
    assert machine.ask(GET_ID, room=[20]) == b"data".ljust(20, b"\0") + OK


@pytest.mark.parametrize("kind", [DISCARD, WRITE_ZEROES])
def test_sectors_are_zeroed(machine, kind):
    assert machine.ask(OUT, 0, data=[b"x" * 2048]) == OK
    assert machine.ask(kind, data=[struct.pack("<QII", 1, 2, 1)]) == OK
    assert machine.ask(IN, 0, room=[2048]) == b"x" * 512 + bytes(1024) + b"x" * 512 + OK


def test_what_is_submitted_together_comes_back_together_after_transfer_and_latency(machine):
    machine.now_ns = 1_000_000
    machine.driver.offer([header(OUT), bytes(1024)], [1])
    machine.driver.offer([header(OUT, 2), bytes(1024)], [1])
    machine.kick()
    assert machine.driver.collect() == []
    # 2048 bytes at 500 MB/s are 4.096 us
    assert machine.due_ns == [1_000_000 + 4096 + 100_000]
    assert machine.finish() == ([OK, OK], 1)


def test_a_batch_waits_for_the_transfer_of_the_one_before_and_not_for_its_latency(machine):
    machine.driver.offer([header(OUT), bytes(1024)], [1])
    machine.kick()
    machine.now_ns = 48
    machine.driver.offer([header(IN)], [1024, 1])
    machine.kick()
    machine.driver.offer([header(FLUSH)], [1])
    machine.kick()
    assert machine.due_ns == [102_048, 104_096, 104_096]
    assert machine.finish() == ([OK, bytes(1024) + OK, OK], 3)


def test_a_driver_that_does_not_want_to_know_is_not_told(machine):
    machine.driver.want_interrupts(False)
    machine.driver.offer([header(FLUSH)], [1])
    machine.kick()
    assert machine.finish() == ([OK], 0)


def test_a_kick_without_a_request_and_of_another_queue_does_nothing(machine):
    machine.kick()
    machine.driver.offer([header(FLUSH)], [1])
    machine.model.kicked(1, machine.queue)
    assert machine.due_ns == []


def test_a_flush_counts_when_it_comes_back_for_what_was_written_before(machine):
    assert machine.ask(OUT, 0, data=[b"a" * 512]) == OK
    machine.driver.offer([header(FLUSH)], [1])
    machine.kick()
    machine.driver.offer([header(OUT, 1), b"b" * 512], [1])
    machine.kick()
    assert machine.disk.unflushed == 2
    machine.finish()
    assert machine.disk.unflushed == 1


def test_a_failing_disk_answers_with_errors_and_still_tells_who_it_is(machine):
    assert machine.ask(OUT, 0, data=[b"a" * 512]) == OK
    machine.disk.failing = True
    assert machine.ask(IN, 0, room=[512]) == b"\0"  # one byte: the status lies behind the data
    assert machine.ask(OUT, 0, data=[b"b" * 512]) == IO_ERROR
    assert machine.ask(FLUSH) == IO_ERROR
    assert machine.ask(DISCARD, data=[struct.pack("<QII", 0, 1, 0)]) == IO_ERROR
    assert machine.ask(GET_ID, room=[20])[20:] == OK
    machine.disk.failing = False
    assert machine.ask(IN, 0, room=[512]) == b"a" * 512 + OK


def test_a_batch_of_a_guest_that_has_died_is_forgotten(machine):
    machine.driver.offer([header(FLUSH)], [1])
    machine.kick()
    assert not machine.model.complete(None)


@pytest.mark.parametrize(
    ("readable", "writable", "message"),
    [
        ([bytes(15)], [1], "request of 15 bytes"),
        ([], [1], "request of 0 bytes"),
        ([header(IN)], [], "no place for its status"),
        ([header(DISCARD), bytes(15)], [1], "ranges of 15 bytes"),
    ],
)
def test_a_request_that_makes_no_sense_raises_a_protocol_error(
    machine, readable, writable, message
):
    machine.driver.offer(readable, writable)
    with pytest.raises(ProtocolError, match=message):
        machine.kick()


@given(
    readable=st.lists(st.binary(max_size=600), max_size=3),
    writable=st.lists(st.integers(0, 600), max_size=3),
)
def test_garbage_raises_nothing_but_a_protocol_error(tmp_path_factory, readable, writable):
    machine = Machine(tmp_path_factory.mktemp("garbage"))
    try:
        if readable or writable:
            machine.driver.offer(readable, writable)
        machine.kick()
        answers, _ = machine.finish()
        assert len(answers) == bool(readable or writable)
    except ProtocolError:
        assert machine.due_ns == []
    finally:
        machine.disk.close()
