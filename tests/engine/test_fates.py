# SPDX-License-Identifier: Apache-2.0
"""What a capture says became of each frame: records of a link's two ends in, comments out."""

from __future__ import annotations

from windtunnel.engine.fates import SLACK_NS, Fates, PastState
from windtunnel.model.impairment import Impairment
from windtunnel.wire.pcapng import Direction, Packet, parse_blocks
from windtunnel.wire.watch import Seen

MS_NS = 1_000_000
NOTHING = Impairment()
DELAY = Impairment(delay_ns=10 * MS_NS)
FRAME = bytes(range(60))


def state(since_ns=0, *, up=True, impairment=DELAY):
    return PastState(since_ns, up, (impairment, impairment))


def sent(time_ns, number, *, end=0, frame=FRAME):
    return Seen(time_ns, end, Direction.OUT, number, frame, len(frame), 0)


def arrived(time_ns, number, *, end=1, frame=FRAME, lost=0):
    return Seen(time_ns, end, Direction.IN, number, frame, len(frame), lost)


def told(records, *states, finish_ns=1000 * MS_NS, shown=(0, 1), **options):
    """(direction, time, comment) of all packets in the file, in its order."""
    history = (lambda: states) if states else None
    fates = Fates(history, shown=shown, **options)
    data = b"".join(part for record in records for part in fates.take(record))
    data += b"".join(fates.finish(finish_ns))
    blocks, rest = parse_blocks(data)
    assert rest == b""
    assert all(isinstance(block, Packet) for block in blocks)
    return [(block.direction, block.time_ns, block.comment) for block in blocks]


def comments(records, *states, **options):
    return [comment for _, _, comment in told(records, *states, **options)]


def test_what_arrives_needs_no_comment_and_order_stays():
    assert told([sent(0, 1), arrived(10 * MS_NS, 1)], state()) == [
        (Direction.OUT, 0, ""),
        (Direction.IN, 10 * MS_NS, ""),
    ]


def test_a_frame_is_written_as_soon_as_its_fate_is_known_and_no_sooner():
    fates = Fates(lambda: (state(),), shown=(0, 1))
    assert list(fates.take(sent(0, 1))) == []
    assert list(fates.take(sent(5 * MS_NS, 2))) == []
    assert len(list(fates.take(arrived(10 * MS_NS, 1)))) == 1
    assert len(list(fates.take(arrived(15 * MS_NS, 2)))) == 3


def test_where_one_end_is_watched_nothing_is_said_of_fates():
    assert comments([sent(0, 1), sent(1, 2)]) == ["", ""]


def test_a_frame_that_can_no_longer_arrive_was_lost_by_a_link_that_loses_some():
    lossy = state(impairment=Impairment(delay_ns=10 * MS_NS, loss=0.1))
    assert comments([sent(0, 1)], lossy) == ["lost on the link (loss)"]


def test_a_link_that_loses_nothing_is_not_blamed():
    assert comments([sent(0, 1)], state()) == ["never arrived"]


def test_what_may_still_come_is_under_way():
    end_ns = DELAY.delay_ns + SLACK_NS
    assert comments([sent(0, 1)], state(), finish_ns=end_ns) == ["under way when the capture ended"]
    assert comments([sent(0, 1)], state(), finish_ns=end_ns + 1) == ["never arrived"]


def test_jitter_and_the_rate_keep_a_frame_under_way_for_longer():
    slow = Impairment(delay_ns=10 * MS_NS, jitter_ns=2 * MS_NS, rate_bps=8_000)
    end_ns = 10 * MS_NS + 4 * 2 * MS_NS + SLACK_NS + len(FRAME) * MS_NS
    under_way = ["under way when the capture ended"]
    assert comments([sent(0, 1)], state(impairment=slow), finish_ns=end_ns) == under_way
    assert comments([sent(0, 1)], state(impairment=slow), finish_ns=end_ns + 1) != under_way


def test_a_second_arrival_is_a_duplicate():
    records = [sent(0, 1), arrived(10 * MS_NS, 1), arrived(11 * MS_NS, 1)]
    assert comments(records, state()) == ["", "", "a duplicate"]


def test_who_arrives_behind_a_later_one_was_overtaken():
    records = [sent(0, 1), sent(1, 2), arrived(10 * MS_NS, 2), arrived(11 * MS_NS, 1)]
    assert comments(records, state()) == ["", "", "", "overtaken on the way"]


def test_other_bytes_of_the_same_size_are_a_corruption():
    changed = bytes([255, *FRAME[1:]])
    records = [sent(0, 1), arrived(10 * MS_NS, 1, frame=changed)]
    assert comments(records, state()) == ["", "corrupted on the way"]


def test_a_cable_that_is_out_takes_nothing():
    assert comments([sent(0, 1)], state(up=False)) == ["dropped: the cable is out"]


def test_a_cable_that_is_pulled_out_loses_what_is_on_it():
    states = (state(), state(5 * MS_NS, up=False))
    assert comments([sent(0, 1)], *states) == ["lost on the way: the cable was pulled out"]


def test_what_waits_is_lost_with_the_queue():
    states = (state(), state(5 * MS_NS, impairment=NOTHING))
    assert comments([sent(0, 1)], *states) == ["lost on the way: its queue was taken away"]


def test_a_queue_that_is_full_drops_the_next_frame():
    short = state(impairment=Impairment(delay_ns=10 * MS_NS, queue_packets=2))
    records = [sent(0, 1), sent(1, 2), sent(2, 3)]
    records += [arrived(10 * MS_NS, 1), arrived(10 * MS_NS + 1, 2), sent(50 * MS_NS, 4)]
    full = "dropped: the queue is full (2 packets)"
    assert comments(records, short) == ["", "", full, "", "", "never arrived"]


def test_frames_of_the_other_end_and_of_strangers_are_not_mixed_up():
    records = [
        sent(0, 1),
        sent(0, 2, end=1),
        arrived(10 * MS_NS, 1),
        arrived(10 * MS_NS, 2, end=0),
        arrived(20 * MS_NS, 0),  # from a socket that no watched interface has
    ]
    assert comments(records, state()) == [""] * 5


def test_an_end_that_is_not_shown_still_tells_what_became_of_frames():
    lossy = state(impairment=Impairment(delay_ns=10 * MS_NS, loss=0.1))
    records = [sent(0, 1), sent(1, 2), arrived(10 * MS_NS, 2)]
    assert comments(records, lossy, shown=(0, None)) == ["lost on the link (loss)", ""]


def test_a_filter_leaves_frames_out_of_the_file_only():
    fits = lambda frame, size: frame[0] == 0 and size == len(FRAME)  # noqa: E731
    other = bytes([1, *FRAME[1:]])
    records = [sent(0, 1), sent(0, 2, frame=other), arrived(10 * MS_NS, 1)]
    assert len(told(records, state(), wanted=fits)) == 2


def test_records_that_did_not_fit_are_counted_once():
    fates = Fates(None, shown=(0, 1))
    records = [arrived(0, 1, lost=0), arrived(1, 2, lost=3), arrived(2, 3, lost=3)]
    data = b"".join(part for record in records for part in fates.take(record))
    assert [block.dropped for block in parse_blocks(data)[0]] == [None, 3, None]
