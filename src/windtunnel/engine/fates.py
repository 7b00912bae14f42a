# SPDX-License-Identifier: Apache-2.0
"""What became of each frame of a link: arrived, lost and why, doubled, overtaken, changed.

That a frame never arrived is certain once it can no longer be under way. Why is
concluded from what the link did at that time: whether its cable was in, how many
frames were in its queue, whether it loses some. Pure: records in, a file out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from windtunnel.model.impairment import Impairment
from windtunnel.wire import pcapng
from windtunnel.wire.pcapng import Direction
from windtunnel.wire.rtnetlink import NETEM_LIMIT_PACKETS
from windtunnel.wire.watch import Seen

SECOND_NS = 1_000_000_000

SLACK_NS = 1_000_000
"""How much later than its delay a frame may come; packets wait for a processor, too."""

JITTERS_MAX = 4
"""No distribution of netem goes beyond so many times the jitter: 32767 of 8192."""


@dataclass(frozen=True, slots=True)
class PastState:
    """What a link does, from a time on.

    Attributes:
        since_ns: nanoseconds since 1970 UTC.
        up: whether its cable is in.
        impairments: of what each end sends.
    """

    since_ns: int
    up: bool
    impairments: tuple[Impairment, Impairment]


History = Callable[[], Sequence[PastState]]
"""Gives all states of a link so far, the oldest first; the first is from the beginning."""


@dataclass(eq=False, slots=True)
class _Entry:
    """A frame on its way into the file.

    Attributes:
        seen: the record.
        order: its place among all records.
        horizon_ns: when it can no longer be under way, if it has been sent.
        arrivals: places of the records of its arrivals.
        comment: what is to be said of it.
        settled: whether that is all.
    """

    seen: Seen
    order: int
    horizon_ns: int = 0
    arrivals: list[int] = field(default_factory=list)
    comment: str = ""
    settled: bool = False


class Fates:
    """Turns the records of one link into the packets of a file."""

    def __init__(
        self,
        history: History | None,
        *,
        shown: Sequence[int | None],
        wanted: Callable[[bytes, int], bool] | None = None,
    ) -> None:
        """Create.

        Args:
            history: of the link; None where the other end is not watched, and nothing
                can be said of fates.
            shown: for each watched interface its number in the file; None is not shown.
            wanted: whether a frame (and its size) is to be in the file; None is all.
        """
        self._history = history
        self._shown = shown
        self._wanted = wanted
        self._order = 0
        self._lost = 0
        self._queue: deque[_Entry] = deque()
        # By number; a frame is kept until it can no longer arrive, in any way.
        self._sent: dict[int, _Entry] = {}
        self._last_arrived = [0, 0]
        # Of frames whose fate is not known yet, by the end that sent them.
        self._waiting_bytes = [0, 0]
        self._largest_bytes = 0

    def take(self, seen: Seen) -> Iterator[bytes]:
        """Take the next record; gives the packets of which all is known by now."""
        self._order += 1
        entry = _Entry(seen, self._order)
        if self._history is None:
            entry.settled = True
        elif seen.direction is Direction.OUT:
            self._largest_bytes = max(self._largest_bytes, seen.size_bytes)
            entry.horizon_ns = self._horizon_ns(seen)
            self._waiting_bytes[seen.end] += seen.size_bytes
            self._sent[seen.number] = entry
        else:
            self._arrive(entry)
        self._queue.append(entry)
        return self._ready(seen.time_ns)

    def finish(self, time_ns: int) -> Iterator[bytes]:
        """Give all that is left; nothing was recorded after `time_ns`."""
        yield from self._ready(time_ns)
        while self._queue:
            entry = self._queue.popleft()
            if not entry.settled:
                entry.comment = "under way when the capture ended"
            yield from self._packet(entry)

    def _arrive(self, entry: _Entry) -> None:
        entry.settled = True
        seen = entry.seen
        sent = self._sent.get(seen.number)
        if sent is None or sent.seen.end == seen.end:
            return
        words = []
        if sent.arrivals:
            words.append("a duplicate")
        elif seen.number < self._last_arrived[seen.end]:
            words.append("overtaken on the way")
        if seen.size_bytes == sent.seen.size_bytes and seen.frame != sent.seen.frame:
            words.append("corrupted on the way")
        entry.comment = ", ".join(words)
        sent.arrivals.append(entry.order)
        self._settle(sent)
        self._last_arrived[seen.end] = max(self._last_arrived[seen.end], seen.number)

    def _settle(self, entry: _Entry) -> None:
        if not entry.settled:
            entry.settled = True
            self._waiting_bytes[entry.seen.end] -= entry.seen.size_bytes

    # ---- what never arrived ----

    def _states(self) -> Sequence[PastState]:
        assert self._history is not None, "somebody watches both ends"
        return self._history()

    def _state_at(self, time_ns: int) -> PastState:
        states = self._states()
        return next((one for one in reversed(states) if one.since_ns <= time_ns), states[0])

    def _horizon_ns(self, seen: Seen) -> int:
        """When a frame that is sent now has arrived, or will never."""
        impairment = self._state_at(seen.time_ns).impairments[seen.end]
        longest_ns = impairment.delay_ns + JITTERS_MAX * impairment.jitter_ns + SLACK_NS
        if impairment.rate_bps:
            # More than the limit cannot wait, however many were sent.
            most_bytes = (_limit(impairment) + 1) * self._largest_bytes
            waiting_bytes = min(self._waiting_bytes[seen.end] + seen.size_bytes, most_bytes)
            longest_ns += -(-8 * waiting_bytes * SECOND_NS // impairment.rate_bps)
        return seen.time_ns + longest_ns

    def _ready(self, now_ns: int) -> Iterator[bytes]:
        """The packets at the head of the queue of which all is known."""
        while self._queue:
            entry = self._queue[0]
            if not entry.settled:
                if entry.horizon_ns >= now_ns:
                    break
                entry.comment = self._reason(entry)
                self._settle(entry)
            self._queue.popleft()
            yield from self._packet(entry)
        self._forget(now_ns)

    def _forget(self, now_ns: int) -> None:
        """Drop what can arrive no more, and was in no queue when the next frame was sent."""
        if self._queue:
            now_ns = min(now_ns, self._queue[0].seen.time_ns)
        while self._sent:
            number, entry = next(iter(self._sent.items()))
            if not entry.settled or entry.horizon_ns >= now_ns:
                return
            del self._sent[number]

    def _reason(self, entry: _Entry) -> str:
        sent_ns, end = entry.seen.time_ns, entry.seen.end
        state = self._state_at(sent_ns)
        impairment = state.impairments[end]
        if not state.up:
            return "dropped: the cable is out"
        limit = _limit(impairment)
        if impairment != Impairment() and self._in_queue(entry) >= limit:
            return f"dropped: the queue is full ({limit} packets)"
        later = [one for one in self._states() if sent_ns <= one.since_ns <= entry.horizon_ns]
        if not all(one.up for one in later):
            return "lost on the way: the cable was pulled out"
        if impairment != Impairment() and any(
            one.impairments[end] == Impairment() for one in later
        ):
            return "lost on the way: its queue was taken away"
        return "lost on the link (loss)" if impairment.loss else "never arrived"

    def _in_queue(self, entry: _Entry) -> int:
        """How many frames of the same end were under way when a frame was sent.

        Those before it are settled by now: they arrived later, or they never waited.
        """
        return sum(
            sum(arrival > entry.order for arrival in one.arrivals)
            for one in self._sent.values()
            if one.seen.end == entry.seen.end and one.order < entry.order
        )

    def _packet(self, entry: _Entry) -> Iterator[bytes]:
        seen = entry.seen
        shown = self._shown[seen.end]
        if shown is None or not (self._wanted is None or self._wanted(seen.frame, seen.size_bytes)):
            return
        dropped = seen.lost - self._lost
        self._lost = seen.lost
        yield pcapng.packet(
            shown,
            seen.time_ns,
            seen.frame,
            direction=seen.direction,
            comment=entry.comment,
            size_bytes=seen.size_bytes,
            dropped=dropped or None,
        )


def _limit(impairment: Impairment) -> int:
    packets = impairment.queue_packets
    return NETEM_LIMIT_PACKETS if packets is None else packets
