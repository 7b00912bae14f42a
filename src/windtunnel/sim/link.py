# SPDX-License-Identifier: Apache-2.0
"""What a cable between two kernels does to each frame, and when it arrives.

The order of things is netem's: duplicate, loss, corrupt, queue, delay, rate;
each setting means what it means in sch_netem.c, so a lab sees the same link
whether its ends share a kernel or not. Where the model differs:

- No frame arrives sooner than `LEAST_LATENCY_NS` after it was sent.
- Each choice has a stream of its own (netem draws all from one), so a link with
  another loss keeps its delays.
- Frames come one by one; netem takes up to 64 kB of one TCP stream as one packet.
- A link that loses its impairments keeps what is under way.
- `Buffer` has no counterpart in netem: see `windtunnel.sim.queue`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from windtunnel.model.impairment import Impairment
from windtunnel.sim.discipline import Drop
from windtunnel.sim.jitter import delays, least_delay_ns
from windtunnel.sim.loss import losses
from windtunnel.sim.queue import SECOND_NS, DelayLine, RateBuffer, rate_bytes_per_s
from windtunnel.sim.streams import draws, threshold

__all__ = [
    "LEAST_LATENCY_NS",
    "Delivery",
    "Direction",
    "Drop",
    "Statistics",
]

LEAST_LATENCY_NS = 1_000
"""No cable between kernels is shorter: a kernel may run ahead of its neighbours by
the latency of its cables, and by nothing at all if that is nothing."""

ETHERNET_HEADER_BYTES = 14
VLAN_TAG_BYTES = 4


@dataclass(frozen=True, slots=True)
class Delivery:
    """A frame that arrives at the other end.

    Attributes:
        time_ns: when.
        frame: its bytes, from the destination's address on.
    """

    time_ns: int
    frame: bytes


@dataclass(frozen=True, slots=True)
class Statistics:
    """What one direction has done so far. `sent + duplicated == delivered + lost`.

    Attributes:
        sent: frames given to it.
        sent_bytes: of these frames.
        delivered: frames that arrived, or are under way.
        lost: frames that never arrive, by reason; only reasons that there were.
        duplicated: copies made.
        corrupted: frames with a bit flipped.
        reordered: frames sent at once instead of after the delay.
        queue_most_packets: the most that were in its queue.
    """

    sent: int
    sent_bytes: int
    delivered: int
    lost: Mapping[Drop, int]
    duplicated: int
    corrupted: int
    reordered: int
    queue_most_packets: int

    @property
    def lost_frames(self) -> int:
        """How many were lost, for whatever reason."""
        return sum(self.lost.values())


class Direction:
    """One direction of a cable; it belongs to the end that sends."""

    def __init__(
        self, impairment: Impairment, *, seed: int, names: tuple[str, ...], mtu_bytes: int
    ) -> None:
        """Make one that has sent nothing.

        Args:
            impairment: what it does to frames; `check_spec` has accepted it.
            seed: the lab's.
            names: what its random choices belong to, from the general to the
                particular: the sender's node and interface.
            mtu_bytes: 68 to 65535. A header and a VLAN tag may come on top, as with veth.
        """
        self._seed = seed
        self._names = names
        self._streams: dict[str, Iterator[int]] = {}
        self._size_max = mtu_bytes + ETHERNET_HEADER_BYTES + VLAN_TAG_BYTES
        self._is_cut = False
        self._now_ns = 0
        self._sent = self._sent_bytes = self._delivered = 0
        self._duplicated = self._corrupted = self._reordered = 0
        self._lost: dict[Drop, int] = {}
        self._queue_most = 0
        self._queue: DelayLine | RateBuffer = DelayLine(Impairment())
        self._set(impairment)

    @property
    def impairment(self) -> Impairment:
        """What it does to frames at present."""
        return self._impairment

    @property
    def least_latency_ns(self) -> int:
        """What any frame takes at least from now on, under the present impairment.

        At least `LEAST_LATENCY_NS`. `change` may lower it, for frames sent after that.
        """
        return self._least_latency_ns

    def send(self, now_ns: int, frame: bytes) -> tuple[Sequence[Delivery], Drop | None]:
        """Send a frame.

        Args:
            now_ns: when; never less than in an earlier call.
            frame: from the destination's address on, without its check sequence.

        Returns:
            When and how it arrives: twice if it was duplicated, in no order of
            time; or nothing, and the reason.
        """
        assert now_ns >= self._now_ns, "time never goes back"
        self._now_ns = now_ns
        size = len(frame)
        self._sent += 1
        self._sent_bytes += size
        if self._is_cut or not ETHERNET_HEADER_BYTES <= size <= self._size_max:
            return self._refused(size)
        if self._duplicate and next(self._duplicate_numbers) <= self._duplicate:
            return self._send_twice(now_ns, frame)
        if self._is_lost is not None and self._is_lost():
            return self._drop(Drop.LOSS)
        if self._corrupt and next(self._corrupt_numbers) <= self._corrupt:
            frame = self._with_flipped_bit(frame)
        reason = self._queue.refuse(now_ns, size)
        if reason is not None:
            return self._drop(reason)
        return (self._deliver(now_ns, frame, size),), None

    def change(self, now_ns: int, impairment: Impairment) -> None:
        """Change what is done to frames that are sent from now on.

        What is under way stays under way, random streams go on, and a link with
        losses in bursts is good again, as with netem.
        """
        assert now_ns >= self._now_ns, "time never goes back"
        self._now_ns = now_ns
        self._set(impairment)

    def cut(self, under_way: int = 0) -> None:
        """Pull the cable out: what waits is lost, and so is all that is sent.

        Args:
            under_way: how many of the frames that were to arrive do not: whoever
                holds the deliveries knows it, and drops them.
        """
        assert 0 <= under_way <= self._delivered, "no more is under way than was sent"
        self._is_cut = True
        self._queue.empty()
        if under_way:
            self._delivered -= under_way
            self._lost[Drop.CUT] = self._lost.get(Drop.CUT, 0) + under_way

    def join(self) -> None:
        """Plug the cable in again."""
        self._is_cut = False

    def statistics(self) -> Statistics:
        """Count what has happened so far."""
        return Statistics(
            sent=self._sent,
            sent_bytes=self._sent_bytes,
            delivered=self._delivered,
            lost={reason: self._lost[reason] for reason in Drop if reason in self._lost},
            duplicated=self._duplicated,
            corrupted=self._corrupted,
            reordered=self._reordered,
            queue_most_packets=max(self._queue_most, self._queue.most_packets),
        )

    def _set(self, impairment: Impairment) -> None:
        """Work out once what `send` needs for every frame."""
        self._impairment = impairment
        self._duplicate, self._corrupt, self._reorder = (
            threshold(share)
            for share in (impairment.duplicate, impairment.corrupt, impairment.reorder)
        )
        self._duplicate_numbers = self._numbers("duplicate")
        self._corrupt_numbers = self._numbers("corrupt")
        self._reorder_numbers = self._numbers("reorder")
        self._is_lost = losses(impairment.loss, self._numbers("loss"))
        self._delay_ns = impairment.delay_ns
        delay = (impairment.delay_ns, impairment.jitter_ns, impairment.distribution)
        self._draw_delay = delays(*delay, self._numbers("jitter")) if delay[1] else None
        least_ns = 0 if self._reorder else max(least_delay_ns(*delay), 0)
        if impairment.rate_bps is not None and not self._reorder:
            rate = rate_bytes_per_s(impairment.rate_bps)
            least_ns = self._least_with_rate(rate, least_delay_ns(*delay))
        self._least_latency_ns = max(least_ns, LEAST_LATENCY_NS)
        self._set_queue(impairment)

    def _least_with_rate(self, rate: int, delay_ns: int) -> int:
        """A frame of nothing but a header takes this long; netem adds it to the delay."""
        return delay_ns + ETHERNET_HEADER_BYTES * SECOND_NS // rate

    def _set_queue(self, impairment: Impairment) -> None:
        """Change the queue, or begin an empty one of the other kind."""
        old = self._queue
        if isinstance(old, RateBuffer) == (impairment.buffer is not None):
            old.change(impairment)
            return
        self._queue_most = max(self._queue_most, old.most_packets)
        if impairment.buffer is None:
            self._queue = DelayLine(impairment)
        else:
            self._queue = RateBuffer(impairment, self._numbers("red"))
        self._queue.last_ns = old.last_ns

    def _numbers(self, what: str) -> Iterator[int]:
        if what not in self._streams:
            self._streams[what] = draws(self._seed, f"link {what}", *self._names)
        return self._streams[what]

    def _deliver(self, now_ns: int, frame: bytes, size: int) -> Delivery:
        """Place a frame that the queue has room for."""
        self._delivered += 1
        if self._reorder and next(self._reorder_numbers) <= self._reorder:
            self._reordered += 1
            time_ns = self._queue.overtake(now_ns, size)
        else:
            delay_ns = self._delay_ns if self._draw_delay is None else self._draw_delay()
            time_ns = self._queue.place(now_ns, size, delay_ns)
        least_ns = now_ns + LEAST_LATENCY_NS
        return Delivery(max(time_ns, least_ns), frame)

    def _send_twice(self, now_ns: int, frame: bytes) -> tuple[Sequence[Delivery], Drop | None]:
        """Go on with a frame and its copy, in netem's order.

        A loss takes one of the two. The copy begins anew (it can be lost and
        corrupted, but not duplicated) and stands in front of the original, for
        which the queue had room before.
        """
        self._duplicated += 1
        is_lost = self._is_lost
        if is_lost is not None and is_lost():
            self._drop(Drop.LOSS)
            copies = []
        else:
            copies = [frame]
        if self._corrupt and next(self._corrupt_numbers) <= self._corrupt:
            frame = self._with_flipped_bit(frame)
        size = len(frame)
        reason = self._queue.refuse(now_ns, size)
        if reason is not None:
            for _ in copies:
                self._drop(reason)
            return self._drop(reason)
        deliveries = []
        for copied in copies:
            if is_lost is not None and is_lost():
                self._drop(Drop.LOSS)
                continue
            copy = copied
            if self._corrupt and next(self._corrupt_numbers) <= self._corrupt:
                copy = self._with_flipped_bit(copied)
            refused = self._queue.refuse(now_ns, size)
            if refused is None:
                deliveries.append(self._deliver(now_ns, copy, size))
            else:
                self._drop(refused)
        deliveries.append(self._deliver(now_ns, frame, size))
        return deliveries, None

    def _with_flipped_bit(self, frame: bytes) -> bytes:
        self._corrupted += 1
        numbers = self._corrupt_numbers
        offset, bit = next(numbers) * len(frame) >> 32, next(numbers) >> 29
        return frame[:offset] + bytes((frame[offset] ^ 1 << bit,)) + frame[offset + 1 :]

    def _refused(self, size: int) -> tuple[Sequence[Delivery], Drop | None]:
        if self._is_cut:
            return self._drop(Drop.CUT)
        return self._drop(Drop.RUNT if size < ETHERNET_HEADER_BYTES else Drop.SIZE)

    def _drop(self, reason: Drop) -> tuple[Sequence[Delivery], Drop | None]:
        self._lost[reason] = self._lost.get(reason, 0) + 1
        return (), reason
