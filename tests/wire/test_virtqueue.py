# SPDX-License-Identifier: Apache-2.0
"""The device's side of a virtqueue against a driver written from the standard."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driver import GUEST_BASE, INDIRECT, NEXT, WRITE, Driver
from windtunnel.errors import ProtocolError
from windtunnel.wire.virtqueue import GuestMemory, Piece, Virtqueue

MEMORY_BYTES = 1 << 16


def pair(size=8, index=0, **settings):
    """A driver and a device on the same memory."""
    memory = bytearray(MEMORY_BYTES)
    driver = Driver(memory, size=size, index=index)
    guest = GuestMemory([Piece(GUEST_BASE, memoryview(memory))])
    return driver, Virtqueue(guest, size=size, base=index, **(driver.addresses() | settings))


requests = st.tuples(
    st.lists(st.binary(max_size=16), max_size=3),
    st.lists(st.integers(0, 16), max_size=3),
    st.booleans(),
).filter(lambda request: request[0] or request[1])


def test_an_empty_queue_has_no_request():
    _, queue = pair()
    assert queue.pop() is None


def test_a_request_is_read_and_answered():
    driver, queue = pair()
    head = driver.offer([b"ab", b"c"], [2, 3])
    chain = queue.pop()
    assert (chain.head, chain.read(), chain.writable_bytes) == (head, b"abc", 5)
    assert chain.write(b"wxyz") == 4
    assert driver.collect() == []
    queue.push(chain, 4)
    assert driver.collect() == [(head, b"wxyz")]
    assert queue.pop() is None


def test_more_than_fits_is_not_written():
    driver, queue = pair()
    driver.offer([], [2, 1])
    chain = queue.pop()
    assert chain.write(b"abcdef") == 3
    queue.push(chain, 3)
    assert driver.collect()[0][1] == b"abc"


@given(offered=st.lists(st.lists(requests, min_size=1, max_size=2), max_size=12))
def test_every_request_arrives_whole_and_in_order(offered):
    driver, queue = pair(size=16, index=65530)
    for batch in offered:
        heads = [driver.offer(read, write, indirect=inner) for read, write, inner in batch]
        taken = []
        while (chain := queue.pop()) is not None:
            taken.append(chain)
        assert [chain.head for chain in taken] == heads
        assert [chain.read() for chain in taken] == [b"".join(read) for read, _, _ in batch]
        assert [chain.writable_bytes for chain in taken] == [sum(write) for _, write, _ in batch]
        for chain in taken:
            queue.push(chain, chain.write(b"0123456789"))
        expected = [b"0123456789"[: sum(write)] for _, write, _ in batch]
        assert driver.collect() == list(zip(heads, expected, strict=True))


@pytest.mark.parametrize("size", [1, 4])
def test_the_indices_wrap_around_at_16_bits(size):
    driver, queue = pair(size=size, index=65534)
    for number in range(5):
        head = driver.offer([bytes([number])])
        chain = queue.pop()
        assert chain.read() == bytes([number])
        queue.push(chain)
        assert driver.collect() == [(head, b"")]
    assert driver.avail_index == driver.used_index == 3


def test_a_full_queue_can_be_answered_out_of_order():
    driver, queue = pair(size=2)
    first, second = driver.offer([], [1]), driver.offer([], [1])
    one, two = queue.pop(), queue.pop()
    queue.push(two, two.write(b"2"))
    queue.push(one, one.write(b"1"))
    assert driver.collect() == [(second, b"2"), (first, b"1")]


def test_an_indirect_table_may_be_longer_than_the_queue():
    driver, queue = pair(size=2)
    driver.offer([bytes([value]) for value in range(20)], indirect=True)
    assert queue.pop().read() == bytes(range(20))


def test_an_interrupt_is_wanted_unless_the_driver_says_no():
    driver, queue = pair()
    assert queue.wants_interrupt
    driver.want_interrupts(False)
    assert not queue.wants_interrupt
    driver.want_interrupts(True)
    assert queue.wants_interrupt


def test_a_loop_of_descriptors_ends():
    driver, queue = pair(size=4)
    at = driver.place(b"x")
    driver.write_descriptor(driver.desc, 0, at, 1, NEXT, 1)
    driver.write_descriptor(driver.desc, 1, at, 1, NEXT, 0)
    driver.publish(0)
    with pytest.raises(ProtocolError, match="without an end"):
        queue.pop()


def test_a_chain_may_use_every_descriptor_of_the_queue():
    driver, queue = pair(size=4)
    driver.offer([b"a", b"b", b"c", b"d"])
    assert queue.pop().read() == b"abcd"


def test_a_descriptor_outside_the_table_is_refused():
    driver, queue = pair(size=4)
    driver.publish(4)
    with pytest.raises(ProtocolError, match="descriptor 4 of a table of 4"):
        queue.pop()


def test_more_requests_than_the_queue_holds_are_refused():
    driver, queue = pair(size=2)
    for _ in range(3):
        driver.publish(0)
    with pytest.raises(ProtocolError, match="3 requests in a queue of 2"):
        queue.pop()


@pytest.mark.parametrize("length", [0, 8, 24, 16 * 32769])
def test_an_indirect_table_of_a_wrong_size_is_refused(length):
    driver, queue = pair()
    driver.write_descriptor(driver.desc, 0, driver.place(bytes(32)), length, INDIRECT)
    driver.publish(0)
    with pytest.raises(ProtocolError, match=f"bad indirect table of {length} bytes"):
        queue.pop()


def test_an_indirect_table_inside_another_is_refused():
    driver, queue = pair()
    inner = driver.place(bytes(16))
    driver.write_descriptor(inner, 0, inner, 16, INDIRECT)
    driver.write_descriptor(driver.desc, 0, inner, 16, INDIRECT)
    driver.publish(0)
    with pytest.raises(ProtocolError, match="bad indirect table of 16 bytes"):
        queue.pop()


@pytest.mark.parametrize("address", [-1, MEMORY_BYTES - 3, MEMORY_BYTES, 2**40])
def test_an_address_outside_of_guest_memory_is_refused(address):
    driver, queue = pair()
    driver.write_descriptor(driver.desc, 0, address, 4, WRITE)
    driver.publish(0)
    with pytest.raises(ProtocolError, match=r"4 bytes at 0x[0-9a-f]+ are not guest memory"):
        queue.pop()


def test_the_last_bytes_of_guest_memory_belong_to_it():
    driver, queue = pair()
    driver.memory[-4:] = b"last"
    driver.write_descriptor(driver.desc, 0, MEMORY_BYTES - 4, 4, 0)
    driver.publish(0)
    assert queue.pop().read() == b"last"


def test_memory_in_two_pieces_is_found_but_never_across_their_border():
    low, high = bytearray(b"low."), bytearray(b"high")
    memory = GuestMemory([Piece(0x1000, memoryview(low)), Piece(0x1004, memoryview(high))])
    assert memory.view(0x1000, 4) == b"low."
    assert memory.view(0x1005, 3) == b"igh"
    with pytest.raises(ProtocolError, match="2 bytes at 0x1003"):
        memory.view(0x1003, 2)


@pytest.mark.parametrize("size", [0, 3, 65536])
def test_a_size_that_the_standard_does_not_know_is_refused(size):
    memory = GuestMemory([Piece(0, memoryview(bytearray(16)))])
    with pytest.raises(ProtocolError, match=f"size {size} is not a power of two"):
        Virtqueue(memory, size=size, desc=0, avail=0, used=0)


@pytest.mark.parametrize("part", ["desc", "avail", "used"])
def test_a_ring_outside_of_guest_memory_is_refused(part):
    with pytest.raises(ProtocolError, match="not guest memory"):
        pair(**{part: GUEST_BASE + MEMORY_BYTES - 4})


@given(garbage=st.binary(min_size=300, max_size=300), base=st.integers(0, 2**16 - 1))
def test_a_ring_of_garbage_raises_nothing_but_a_protocol_error(garbage, base):
    driver = Driver(bytearray(512), size=8, base=0)
    driver.memory[:300] = garbage
    guest = GuestMemory([Piece(0, memoryview(driver.memory))])
    queue = Virtqueue(guest, size=8, base=base, **driver.addresses())
    try:
        for _ in range(9):
            chain = queue.pop()
    except ProtocolError:
        return
    assert chain is None
