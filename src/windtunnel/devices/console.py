# SPDX-License-Identifier: Apache-2.0
"""A virtio console with one port: a byte stream between us and the guest.

Queues: 0 to the guest, 1 from the guest, 2 and 3 the same for control
messages. What the driver has no room for waits here until it makes room.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from windtunnel.wire.virtio_console import FEATURE_MULTIPORT, Control, ControlEvent, configuration
from windtunnel.wire.virtqueue import Virtqueue

RECEIVE_QUEUE, TRANSMIT_QUEUE, CONTROL_RECEIVE_QUEUE, CONTROL_TRANSMIT_QUEUE = range(4)


class ConsoleModel:
    """The console's behaviour; see `windtunnel.devices.backend.Model`.

    It never interrupts by itself: whoever drives it calls `flush` while no
    guest runs, and interrupts the queues that `flush` names.
    """

    features = FEATURE_MULTIPORT

    def __init__(
        self, *, received: Callable[[bytes], None], wants_flush: Callable[[], None]
    ) -> None:
        """Create.

        Args:
            received: called with what the guest has written.
            wants_flush: called when `flush` has become worth calling, while
                the guest may be running.
        """
        self._received = received
        self._wants_flush = wants_flush
        self._waiting: deque[bytes] = deque()
        self._control_waiting: deque[bytes] = deque()

    def configuration(self) -> bytes:
        """One port."""
        return configuration(1)

    def send(self, data: bytes) -> None:
        """Queue bytes for the guest."""
        if data:
            self._waiting.append(data)
            self._wants_flush()

    def kicked(self, index: int, queue: Virtqueue) -> None:
        """Take what the guest has written, or note that it has made room."""
        if index == TRANSMIT_QUEUE:
            for data in _drain(queue):
                self._received(data)
        elif index == CONTROL_TRANSMIT_QUEUE:
            for data in _drain(queue):
                self._answer(Control.from_bytes(data))
        elif self._waiting or self._control_waiting:
            self._wants_flush()

    def _answer(self, message: Control) -> None:
        match message.event:
            case ControlEvent.DEVICE_READY:
                self._control_waiting.append(Control(0, ControlEvent.PORT_ADD, 1).to_bytes())
            case ControlEvent.PORT_READY:
                self._control_waiting.append(Control(0, ControlEvent.PORT_OPEN, 1).to_bytes())
            case _:
                return
        self._wants_flush()

    def flush(self, queue: Callable[[int], Virtqueue | None]) -> list[int]:
        """Move what waits into the guest's buffers; returns the queues to interrupt."""
        touched = []
        for index, waiting in (
            (CONTROL_RECEIVE_QUEUE, self._control_waiting),
            (RECEIVE_QUEUE, self._waiting),
        ):
            ring = queue(index)
            if waiting and ring is not None and _fill(ring, waiting):
                touched.append(index)
        return touched


def _drain(queue: Virtqueue) -> list[bytes]:
    drained = []
    while (chain := queue.pop()) is not None:
        drained.append(chain.read())
        queue.push(chain)
    return drained


def _fill(queue: Virtqueue, waiting: deque[bytes]) -> bool:
    filled = False
    while waiting and (chain := queue.pop()) is not None:
        data = waiting.popleft()
        count = chain.write(data)
        queue.push(chain, count)
        if count < len(data):
            waiting.appendleft(data[count:])
        filled = True
    return filled
