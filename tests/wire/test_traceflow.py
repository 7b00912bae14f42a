# SPDX-License-Identifier: Apache-2.0
"""TCP flows of trace events, in the forms in which Linux 6.12 and 7.3 tell them."""

import pytest

from windtunnel.model.event import Event
from windtunnel.wire.traceflow import End, address_text, sight_of
from windtunnel.wire.tracetext import people_line, trace_cmd_line

V4 = {
    "family": 2,
    "saddr": [10, 0, 0, 1],
    "daddr": [10, 0, 0, 2],
    "saddr_v6": [0] * 10 + [255, 255, 10, 0, 0, 1],
    "daddr_v6": [0] * 10 + [255, 255, 10, 0, 0, 2],
    "sport": 5201,
    "dport": 36642,
}
V6 = {
    "family": 10,
    "saddr": [127, 0, 0, 6],
    "daddr": [127, 0, 0, 6],
    "saddr_v6": [253, *[0] * 14, 1],
    "daddr_v6": [253, *[0] * 14, 2],
    "sport": 80,
    "dport": 40000,
}


def sockaddr6(address: list[int], port: int) -> list[int]:
    return [10, 0, port >> 8, port & 255, 0, 0, 0, 0, *address, 0, 0, 0, 0]


def test_a_flow_is_the_same_from_both_ends():
    here = sight_of("tcp_rcv_space_adjust", V4)
    back = {**V4, "saddr": V4["daddr"], "daddr": V4["saddr"], "sport": 36642, "dport": 5201}
    there = sight_of("tcp_retransmit_skb", back)
    assert here is not None
    assert there is not None
    assert (here.here, here.there) == (End("10.0.0.1", 5201), End("10.0.0.2", 36642))
    assert here.here == there.there
    assert here.flow == there.flow
    assert str(here.here) == "10.0.0.1:5201"


def test_addresses_of_ipv6_and_whole_sockaddrs_are_read():
    sight = sight_of("tcp_destroy_sock", V6)
    assert sight is not None
    assert (str(sight.here), str(sight.there)) == ("[fd00::1]:80", "[fd00::2]:40000")
    probe = {
        **V6,
        "saddr": sockaddr6(V6["saddr_v6"], 80),
        "daddr": sockaddr6(V6["daddr_v6"], 40000),
    }
    assert sight_of("tcp_probe", probe) == sight
    whole = {
        **V4,
        "saddr": [2, 0, 20, 81, 10, 0, 0, 1, *[0] * 8],
        "daddr": [2, 0, 143, 34, 10, 0, 0, 2, *[0] * 8],
    }
    assert sight_of("tcp_probe", whole) == sight_of("tcp_probe", V4)
    mapped = {**V4, "family": 10, "saddr": [127, 0, 0, 6], "daddr": [127, 0, 0, 6]}
    assert sight_of("tcp_probe", mapped) == sight_of("tcp_probe", V4)


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("sched_switch", {"next_pid": 3}),
        ("inet_sock_set_state", {**V4, "protocol": 132}),
        ("inet_sock_set_state", {**V4, "protocol": 6, "dport": 0}),
        ("tcp_probe", {**V4, "sport": 0}),
        ("tcp_probe", {**V4, "saddr": [1, 2, 3]}),
        ("tcp_probe", {**V4, "saddr": "10.0.0.1"}),
    ],
)
def test_what_is_of_no_flow_is_of_none(kind, fields):
    assert sight_of(kind, fields) is None


def test_sockets_of_tcp_are_of_their_flow():
    assert sight_of("inet_sock_set_state", {**V4, "protocol": 6}) == sight_of("tcp_probe", V4)
    assert address_text(b"\1\2\3") is None


def event(kind: str, **fields) -> Event:
    fields = {"common_pid": 36, "task": "ping", **fields}
    return Event(3_000_012_345, 0, kind, "r1", fields, "", "trace")


def test_events_are_written_as_trace_cmd_and_the_kernel_do():
    switch = event(
        "sched_switch",
        prev_comm="ping",
        prev_pid=36,
        prev_prio=120,
        prev_state=0x101,
        next_comm="swapper/0",
        next_pid=0,
        next_prio=120,
    )
    assert trace_cmd_line(switch, 1) == (
        "r1:                  ping-36     [001]      3.000012345: sched_switch:         "
        "prev_comm=ping prev_pid=36 prev_prio=120 prev_state=S+ ==> "
        "next_comm=swapper/0 next_pid=0 next_prio=120"
    )
    wake = event("sched_wakeup", comm="x y", pid=7, prio=120, target_cpu=0)
    assert trace_cmd_line(wake, 0).endswith(
        "sched_wakeup:         comm=x y pid=7 prio=120 target_cpu=000"
    )
    other = event("tcp_probe", **V4, lost_before=3)
    assert "daddr=10.0.0.2 daddr_v6=10.0.0.2 dport=36642 family=2" in trace_cmd_line(other, 0)
    assert "lost_before" not in trace_cmd_line(other, 0)
    assert people_line(event("x", a=1, b=[1, 2])) == (
        "     3.000012345 r1                      ping-36  x: a=1 b=1.2"
    )
