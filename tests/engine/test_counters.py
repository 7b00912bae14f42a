# SPDX-License-Identifier: Apache-2.0
"""What interfaces and processes have used, sampled in virtual time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import small_labs
from windtunnel.engine.labfile import read_spec
from windtunnel.engine.session import SessionRequest, run_session
from windtunnel.store.run_reader import RunReader

SECOND_NS = 1_000_000_000
LAB = """\
name: counted
stop: 3 s
nodes: {a: {}, b: {}, c: {kernel: own}}
links: [[b, c], [a, b]]
run:
  - {node: a, name: pings, cmd: ping -n -c 2 -i 0.5 -s 92 10.0.0.6, start: 100 ms}
  - {node: b, name: sleeps, cmd: exec sleep 60}
  - {node: c, name: forks, cmd: sleep 60 & sleep 60}
"""


def samples(tmp_path: Path, kernel: Path, lab: str, *, parallel: int | None = None):
    (tmp_path / "lab.yaml").write_text(lab)
    spec = read_spec(tmp_path / "lab.yaml")
    options = replace(small_labs.options(kernel), parallel=parallel)
    session = run_session(SessionRequest(spec, options, base=tmp_path / "runs"))
    assert session.error is None
    return [one for one in RunReader(session.path).events() if one.kind == "counters"]


def by_name(things: list[dict]) -> dict[str, dict]:
    return {thing["name"]: thing for thing in things}


def test_counters_are_sampled_at_their_interval_and_at_the_end(tmp_path, kernel_path):
    found = samples(tmp_path, kernel_path, LAB.replace("stop: 3 s", "stop: 3 s\ncounters: 1 s"))
    times = {node: [one.time_ns for one in found if one.node == node] for node in "abc"}
    # With several kernels an answer may come up to 1 ms later, and the end is sampled, too.
    for node in "abc":
        assert [time_ns // SECOND_NS for time_ns in times[node]][:2] == [1, 2]
        assert all(time_ns % SECOND_NS < 2_000_000 for time_ns in times[node])
        assert times[node][-1] >= 3 * SECOND_NS
    assert {one.kernel for one in found if one.node == "c"} == {"c"}
    assert {one.kernel for one in found if one.node in "ab"} == {""}


def test_counters_say_what_has_passed_and_who_runs(tmp_path, kernel_path):
    found = samples(tmp_path, kernel_path, LAB)
    assert [one.node for one in found] == ["a", "b", "c"]  # three seconds: only at the end
    a, b, c = (one.fields for one in found)
    sent = by_name(a["interfaces"])["eth0"]
    received = by_name(b["interfaces"])["eth1"]
    # Two echo requests of 134 bytes, and what ARP and IPv6 add; all that a sends arrives at b.
    assert sent["tx_bytes"] >= 2 * 134
    assert received["rx_bytes"] == sent["tx_bytes"]
    assert received["rx_packets"] == sent["tx_packets"]
    assert sent["tx_errors"] == sent["rx_errors"] == 0
    assert list(by_name(a["processes"])) == []  # ping has ended
    assert list(by_name(b["processes"])) == ["sleeps"]
    assert sorted(one["name"] for one in c["processes"]) == ["forks", "sleep", "sleep"]
    for process in c["processes"] + b["processes"]:
        assert process["rss_bytes"] > 0
        assert process["rss_bytes"] % 4096 == 0
        assert process["waits"] >= 1


def test_the_end_of_a_process_says_what_it_has_used(tmp_path, kernel_path):
    (tmp_path / "lab.yaml").write_text(LAB)
    request = SessionRequest(
        read_spec(tmp_path / "lab.yaml"), small_labs.options(kernel_path), base=tmp_path / "runs"
    )
    session = run_session(request)
    (ended,) = [
        one.fields
        for one in RunReader(session.path).events()
        if one.kind == "process-exit" and one.fields["process"] == "pings"
    ]
    assert ended["rss_max_bytes"] > 500_000
    assert ended["waits"] >= 2
    assert ended["preemptions"] >= 0


def test_a_lab_may_ask_for_no_counters(tmp_path, kernel_path):
    lab = LAB.replace("stop: 3 s", "stop: 3 s\ncounters: never")
    assert samples(tmp_path, kernel_path, lab) == []


def test_a_lab_without_a_stop_ends_as_before_and_is_sampled_then(tmp_path, kernel_path):
    lab = (
        "name: short\ncounters: 100 ms\nnodes: {a: {}}\n"
        "run: [{node: a, name: s, cmd: sleep 1, expect: {exited: 0}}]\n"
    )
    (one,) = samples(tmp_path, kernel_path, lab)
    assert SECOND_NS <= one.time_ns < 2 * SECOND_NS


def test_a_node_that_is_off_has_no_counters(tmp_path, kernel_path):
    lab = LAB + "faults: [{at: 500 ms, node: b, off: true}, {at: 500 ms, node: c, off: true}]\n"
    found = samples(tmp_path, kernel_path, lab)
    assert [one.node for one in found] == ["a"]


def test_equal_runs_have_equal_counters(tmp_path, kernel_path):
    lab = LAB.replace("stop: 3 s", "stop: 3 s\ncounters: 100 ms")
    lines = []
    for parallel in (1, 2):
        folder = tmp_path / str(parallel)
        folder.mkdir()
        found = samples(folder, kernel_path, lab, parallel=parallel)
        lines.append([one.to_line() for one in found])
    assert lines[0] == lines[1]
    assert len(lines[0]) >= 3 * 29
