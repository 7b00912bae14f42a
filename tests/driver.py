# SPDX-License-Identifier: Apache-2.0
"""The driver's side of a split virtqueue, over a bytearray that stands for guest memory.

The oracle for `windtunnel.wire.virtqueue`: written from VIRTIO 1.2, section 2.7
alone, and with nothing of ours. A driver of a real guest does the same.
"""

from __future__ import annotations

import struct

NEXT, WRITE, INDIRECT = 1, 2, 4
GUEST_BASE = 0x60000000
"""Where guest memory begins in addresses; not 0, so that a forgotten base is seen."""


class Driver:
    """One queue of `size` descriptors at the front of `memory`, buffers behind it."""

    def __init__(self, memory, *, size, at=0, base=GUEST_BASE, index=0):
        self.memory = memory
        self.size = size
        self.base = base
        self.desc = at
        self.avail = at + 16 * size
        self.used = self.avail + 6 + 2 * size + (-(6 + 2 * size)) % 4
        self.heap = self.used + 6 + 8 * size
        self.free = list(range(size))
        self.avail_index = self.used_index = index
        self.chains = {}  # head -> (descriptors, where the writable part lies)
        self._put("<H", self.avail + 2, index)
        self._put("<H", self.used + 2, index)

    def _put(self, layout, at, *values):
        struct.pack_into(layout, self.memory, at, *values)

    def _get(self, layout, at):
        return struct.unpack_from(layout, self.memory, at)

    def addresses(self):
        """The three addresses that a device is told."""
        return {
            "desc": self.base + self.desc,
            "avail": self.base + self.avail,
            "used": self.base + self.used,
        }

    def place(self, data):
        """Put bytes into fresh memory: where they lie."""
        at = self.heap
        self.heap += len(data)
        assert self.heap <= len(self.memory), "the test's memory is too small"
        self.memory[at : at + len(data)] = data
        return at

    def write_descriptor(self, table, index, address, length, flags, following=0):
        self._put("<QIHH", table + 16 * index, self.base + address, length, flags, following)

    def offer(self, readable=(), writable=(), *, indirect=False):
        """Offer a request: bytes to tell, and sizes to be filled. Returns its head."""
        parts = [(self.place(data), len(data), 0) for data in readable]
        room = [(self.place(bytes(size)), size, WRITE) for size in writable]
        parts += room
        if indirect:
            table = self.place(bytes(16 * len(parts)))
            self._chain(table, list(range(len(parts))), parts)
            heads = [self.free.pop(0)]
            self.write_descriptor(self.desc, heads[0], table, 16 * len(parts), INDIRECT)
        else:
            heads = [self.free.pop(0) for _ in parts]
            self._chain(self.desc, heads, parts)
        self.chains[heads[0]] = (heads, room)
        self.publish(heads[0])
        return heads[0]

    def _chain(self, table, indices, parts):
        for place, (address, length, flags) in enumerate(parts):
            last = place + 1 == len(parts)
            following = 0 if last else indices[place + 1]
            more = 0 if last else NEXT
            self.write_descriptor(table, indices[place], address, length, flags | more, following)

    def publish(self, head):
        """Put a head into the available ring, then its index."""
        self._put("<H", self.avail + 4 + 2 * (self.avail_index % self.size), head)
        self.avail_index = (self.avail_index + 1) % 2**16
        self._put("<H", self.avail + 2, self.avail_index)

    def want_interrupts(self, wanted):
        self._put("<H", self.avail, 0 if wanted else 1)

    def collect(self):
        """Take back what the device has used: (head, what it wrote), in its order."""
        done = []
        (index,) = self._get("<H", self.used + 2)
        while self.used_index != index:
            head, length = self._get("<II", self.used + 4 + 8 * (self.used_index % self.size))
            self.used_index = (self.used_index + 1) % 2**16
            heads, room = self.chains.pop(head)
            self.free += heads
            filled = b"".join(bytes(self.memory[at : at + size]) for at, size, _ in room)
            done.append((head, filled[:length]))
        return done
