# SPDX-License-Identifier: Apache-2.0
"""A virtio network device: one end of a cable.

What the driver sends goes to `sent`, frame by frame; what arrives is given to
`deliver` while the guest waits, and the caller interrupts the queues that it
names. A frame for which the driver has no buffer is lost, as on a real card.
"""

from __future__ import annotations

from collections.abc import Callable

from windtunnel.wire import virtio_net
from windtunnel.wire.virtio_net import HEADER_SIZE_BYTES, RECEIVE_QUEUE, TRANSMIT_QUEUE
from windtunnel.wire.virtqueue import Chain, Virtqueue


class NetModel:
    """The device's behaviour; see `windtunnel.devices.backend.Model`."""

    def __init__(
        self,
        *,
        mac: bytes,
        mtu_bytes: int,
        link_up: bool,
        sent: Callable[[bytes], None],
        wants_interrupt: Callable[[int], None],
    ) -> None:
        """Create.

        Args:
            mac: 6 bytes.
            mtu_bytes: of the cable.
            link_up: whether its cable is plugged in.
            sent: called with each frame that the guest sends, while it runs.
            wants_interrupt: called with a queue that is to be interrupted at
                this instant, while the guest runs.
        """
        self.features = virtio_net.features(mtu_bytes)
        self._mac = mac
        self._mtu_bytes = mtu_bytes
        self._link_up = link_up
        self._sent = sent
        self._wants_interrupt = wants_interrupt

    @property
    def link_up(self) -> bool:
        """Whether its cable is plugged in."""
        return self._link_up

    def set_link(self, *, up: bool) -> None:
        """Plug the cable in or out; the guest learns of it by a change of configuration."""
        self._link_up = up

    def configuration(self) -> bytes:
        """Address, carrier and MTU."""
        return virtio_net.configuration(self._mac, self._mtu_bytes, link_up=self._link_up)

    def kicked(self, index: int, queue: Virtqueue) -> None:
        """Take what the guest sends; new buffers for what it receives need no answer."""
        if index != TRANSMIT_QUEUE:
            return
        taken = False
        while (chain := queue.pop()) is not None:
            frame = chain.read()[HEADER_SIZE_BYTES:]
            queue.push(chain)
            taken = True
            self._sent(frame)
        if taken and queue.wants_interrupt:
            self._wants_interrupt(TRANSMIT_QUEUE)

    def deliver(self, queue: Virtqueue | None, frame: bytes) -> bool:
        """Put a frame into the guest's next buffers; False when it has none."""
        if queue is None or (chain := queue.pop()) is None:
            return False
        room = chain.writable_bytes - HEADER_SIZE_BYTES
        if len(frame) <= room:
            queue.push(chain, chain.write(virtio_net.HEADER + frame))
            return True
        return self._deliver_merged(queue, chain, frame)

    def _deliver_merged(self, queue: Virtqueue, first: Chain, frame: bytes) -> bool:
        """Spread a frame over several buffers (VIRTIO 1.2, 5.1.6.4)."""
        chains = [first]
        room = first.writable_bytes - HEADER_SIZE_BYTES
        if self.features & virtio_net.FEATURE_MERGEABLE_BUFFERS:
            while room < len(frame) and (chain := queue.pop()) is not None:
                chains.append(chain)
                room += chain.writable_bytes
        if room < len(frame):
            for chain in chains:
                queue.push(chain)  # given back empty; the driver drops it
            return False
        rest = virtio_net.merged_header(len(chains)) + frame
        for chain in chains:
            written = chain.write(rest)
            queue.push(chain, written)
            rest = rest[written:]
        return True


__all__ = ["RECEIVE_QUEUE", "TRANSMIT_QUEUE", "NetModel"]
