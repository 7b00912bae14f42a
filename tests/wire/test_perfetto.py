# SPDX-License-Identifier: Apache-2.0
"""Traces for Perfetto, read again by its own protobuf messages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windtunnel.wire.perfetto import PerfettoWriter


@pytest.fixture(scope="module")
def parse(need_module):
    need_module("perfetto")
    from google.protobuf import unknown_fields  # noqa: PLC0415
    from perfetto.protos.perfetto.trace import perfetto_trace_pb2  # noqa: PLC0415

    def read(data):
        trace = perfetto_trace_pb2.Trace()
        trace.ParseFromString(data)
        packets = list(trace.packet)
        for packet in packets:
            for message in (packet, packet.track_event, packet.track_descriptor):
                assert not len(unknown_fields.UnknownFieldSet(message))
        return packets

    return read


def test_tracks_are_told_with_what_they_belong_to(parse):
    writer = PerfettoWriter()
    node, data = writer.process(7, "r1")
    thread, more = writer.thread(7, 4711, "ospfd")
    data += more + writer.rename_thread(thread, 7, 4711, "zebra")
    below, more = writer.track(node, "faults")
    data += more
    counter, more = writer.counter(node, "eth0 rx", "bytes")
    tracks = [packet.track_descriptor for packet in parse(data + more)]
    assert [track.uuid for track in tracks] == [node, thread, thread, below, counter]
    assert (tracks[0].process.pid, tracks[0].process.process_name) == (7, "r1")
    assert (tracks[1].thread.pid, tracks[1].thread.tid) == (7, 4711)
    assert [track.thread.thread_name for track in tracks[1:3]] == ["ospfd", "zebra"]
    assert (tracks[3].name, tracks[3].parent_uuid) == ("faults", node)
    assert (tracks[4].counter.unit_name, tracks[4].parent_uuid) == ("bytes", node)


def test_what_happens_stands_at_its_time_with_names_told_once(parse):
    writer = PerfettoWriter()
    track, data = writer.track(0, "lab")
    data += writer.begin(track, 5, "running", {"priority": 120, "who": "ö"})
    data += writer.end(track, 9)
    data += writer.instant(track, 9, "running", {"priority": -1})
    data += writer.value(track, 10, -5)
    _, *packets = parse(data)
    assert [packet.timestamp for packet in packets] == [5, 9, 9, 10]
    assert {packet.trusted_packet_sequence_id for packet in packets} == {1}
    assert [packet.sequence_flags for packet in packets] == [3, 2, 2, 2]
    begin, end, instant, value = (packet.track_event for packet in packets)
    kinds = type(begin)
    assert [begin.type, end.type] == [kinds.TYPE_SLICE_BEGIN, kinds.TYPE_SLICE_END]
    assert [instant.type, value.type] == [kinds.TYPE_INSTANT, kinds.TYPE_COUNTER]
    assert [one.name for one in packets[0].interned_data.event_names] == ["running"]
    assert [one.name for one in packets[0].interned_data.debug_annotation_names] == [
        *("priority", "who"),
    ]
    assert not packets[2].HasField("interned_data")
    assert instant.name_iid == begin.name_iid
    assert begin.debug_annotations[0].int_value == 120
    assert begin.debug_annotations[1].string_value == "ö"
    assert instant.debug_annotations[0].int_value == -1
    assert value.counter_value == -5


@given(
    time_ns=st.integers(0, 2**63 - 1),
    value=st.integers(-(2**63), 2**63 - 1),
    name=st.text(max_size=40),
)
def test_every_number_and_name_comes_back(parse, time_ns, value, name):
    writer = PerfettoWriter()
    track, data = writer.track(0, name)
    data += writer.instant(track, time_ns, "x", {name: value}) + writer.value(track, 0, value)
    described, instant, counter = parse(data)
    expected = name.encode("utf-8", "replace").decode()
    assert described.track_descriptor.name == expected
    assert instant.timestamp == time_ns
    assert instant.track_event.debug_annotations[0].int_value == value
    assert instant.interned_data.debug_annotation_names[0].name == expected
    assert counter.track_event.counter_value == value
