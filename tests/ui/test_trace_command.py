# SPDX-License-Identifier: Apache-2.0
"""Tracepoints of a lab, on real kernels: named, of the right node, the same each time."""

from __future__ import annotations

import json
import re

import pytest

LAB = """\
name: traced
nodes: {a: {}, b: {}, c: {kernel: own}}
links: [{endpoints: [a, b], delay: 1 ms}, {endpoints: [a, c], delay: 1 ms}]
trace: [sched, "net:net_dev_queue", "irq:softirq_raise"]
steps:
  - {name: p, node: a, at: 1 s, cmd: ping -c 2 b}
  - {name: q, node: c, at: 3 s, cmd: ping -c 2 127.0.0.1}
"""


@pytest.fixture
def traced(booting_program):
    (booting_program.folder / "lab.yaml").write_text(LAB)
    done = booting_program("run", "lab.yaml")
    assert done.returncode == 0, done.stderr
    return booting_program


def events(folder):
    text = (folder / "files/trace.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.needs_uml
def test_every_event_has_its_task_and_node_in_the_order_of_virtual_time(traced):
    found = events(traced.folder / "runs/traced/0001")
    assert len(found) > 100
    assert all(one["fields"]["task"] for one in found)
    times = [one["time_ns"] for one in found]
    assert times == sorted(times)
    assert times[0] >= 0
    assert [one["sequence"] for one in found] == list(range(len(found)))
    who = {(one["node"], one["fields"]["task"]) for one in found}
    assert {("a", "ping"), ("c", "ping")} <= who
    assert ("b", "ping") not in who
    assert not {task for _, task in who} & {"dd", "mount", "umount"}  # what we do ourselves
    kinds = {one["kind"] for one in found}
    assert {"sched_switch", "net_dev_queue", "softirq_raise", "sched_process_exec"} <= kinds
    assert not any("skbaddr" in one["fields"] for one in found)  # an address says nothing
    assert {one.get("kernel", "") for one in found} == {"", "c"}


@pytest.mark.needs_uml
def test_the_same_bytes_each_time_and_the_lab_s_own_times_as_without(traced):
    traced.environment["PYTHONHASHSEED"] = "77"
    assert traced("run", "lab.yaml", "--parallel", "1").returncode == 0
    (traced.folder / "plain.yaml").write_text(LAB.replace("trace:", "# trace:"))
    assert traced("run", "plain.yaml").returncode == 0
    runs = traced.folder / "runs/traced"
    one, two = ((runs / name / "files/trace.jsonl").read_bytes() for name in ("0001", "0002"))
    assert one == two
    assert not (runs / "0003/files").exists()

    def instants(name):
        lines = (runs / name / "events.jsonl").read_text().splitlines()
        read = map(json.loads, lines)
        return [(event["time_ns"], event["kind"], event["node"]) for event in read]

    assert instants("0001") == instants("0002") == instants("0003")
    assert traced("replay", "traced/1").returncode == 0


@pytest.mark.needs_uml
def test_a_trace_is_shown_by_node_event_and_task(traced):
    lines = traced("trace", "latest", "--node", "a", "--event", "sched_process_e*").stdout
    words = [line.split() for line in lines.splitlines()]
    assert [word[3] for word in words if word[2].startswith("ping")] == [
        "sched_process_exec:",
        "sched_process_exit:",
    ]
    assert {word[1] for word in words} == {"a"}
    assert words[0][0] == "1.000000000" or words[0][0].startswith("1.00000")
    only = traced("trace", "latest", "--task", "ping", "--json").stdout.splitlines()
    assert {json.loads(line)["fields"]["task"] for line in only} == {"ping"}


FLOWS = """\
name: flows
stop: 4 s
nodes:
  a:
    run:
      - {name: one, cmd: "python3 -m http.server --bind 10.0.0.1 80"}
      - {name: two, cmd: "python3 -m http.server --bind 10.0.0.1 81"}
  b: {}
links: [{endpoints: [a, b], subnet: 10.0.0.0/24, delay: 10 ms}]
trace: [sched, tcp, sock]
steps:
  - {name: p, node: b, at: 1 s, cmd: bash -c "exec 3<>/dev/tcp/10.0.0.1/80; echo hi >&3; cat <&3"}
  - {name: q, node: b, at: 2 s, cmd: bash -c "exec 3<>/dev/tcp/10.0.0.1/81; echo hi >&3"}
"""


@pytest.fixture
def flows(booting_program):
    (booting_program.folder / "lab.yaml").write_text(FLOWS)
    done = booting_program("run", "lab.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    return booting_program


@pytest.mark.needs_uml
def test_a_flow_is_followed_at_both_of_its_ends(flows):
    done = flows("trace", "latest", "--follow", "tcp", "--json")
    ports = [
        {one["fields"]["sport"], one["fields"]["dport"]}
        for one in map(json.loads, done.stdout.splitlines())
    ]
    assert len(ports) > 5
    assert all(pair == ports[0] and 80 in pair for pair in ports)
    assert {one["fields"]["sport"] for one in map(json.loads, done.stdout.splitlines())} == ports[0]
    assert "following 10.0.0.1:80 - 10.0.0.2:" in done.stderr
    other = flows("trace", "latest", "--follow", "tcp:10.0.0.1:81").stdout
    assert "sport=81" in other
    assert "sport=80" not in other
    done = flows("trace", "latest", "--follow", "tcp:10.0.0.9:1")
    assert done.returncode == 2
    assert "no TCP flow has the end 10.0.0.9:1" in done.stderr
    assert "there are: 10.0.0.1:8" in done.stderr
    assert flows("trace", "latest", "--follow", "udp").returncode == 2


@pytest.mark.needs_uml
def test_a_trace_is_written_for_other_programs(flows, need_module, tmp_path):
    need_module("perfetto")
    from perfetto.protos.perfetto.trace import perfetto_trace_pb2  # noqa: PLC0415

    text = flows("trace", "latest", "--format", "trace-cmd", "--event", "sched_switch").stdout
    line = (
        r"(\w+:)? +\S+-\d+ +\[000\] +\d+\.\d{9}: sched_switch: +prev_comm=\S+ prev_pid=\d+ .* ==> "
    )
    lines = text.splitlines()
    assert len(lines) > 50
    assert all(re.match(line, one) for one in lines)
    written = []
    for name in ("one", "two"):
        target = tmp_path / f"{name}.perfetto-trace"
        assert flows("export", "latest", "-o", str(target)).returncode == 0
        written.append(target.read_bytes())
        assert flows("replay", "flows/1").returncode == 0  # the next is of the same lab again
    assert written[0] == written[1]
    trace = perfetto_trace_pb2.Trace()
    trace.ParseFromString(written[0])
    tracks = [
        packet.track_descriptor for packet in trace.packet if packet.HasField("track_descriptor")
    ]
    assert {one.process.process_name for one in tracks if one.HasField("process")} >= {"a", "b"}
    assert "python3" in {one.thread.thread_name for one in tracks}
    names = {one.name for one in tracks}
    assert {"one", "two", "eth0 rx_bytes"} <= names
    assert any(name.startswith("cwnd 10.0.0.1:80 > 10.0.0.2:") for name in names)
    depth = {}
    last = {}
    for packet in trace.packet:
        event = packet.track_event
        if packet.HasField("track_event") and event.type in (1, 2):
            depth[event.track_uuid] = depth.get(event.track_uuid, 0) + (3 - 2 * event.type)
            assert depth[event.track_uuid] in (0, 1)
            assert packet.timestamp >= last.get(event.track_uuid, 0)
            last[event.track_uuid] = packet.timestamp


@pytest.mark.needs_uml
def test_a_trace_is_asked_by_sql(flows):
    query = "select event, count(*) from traces where task = 'python3' group by event"
    found = json.loads(flows("sql", query, "--json").stdout)
    rows = {row["event"]: row["count_star()"] for row in found}
    lines = flows("trace", "latest", "--task", "python3", "--json").stdout.splitlines()
    kinds = [json.loads(line)["kind"] for line in lines]
    assert rows == {kind: kinds.count(kind) for kind in set(kinds)}
    assert rows["sched_switch"] > 3


SYSCALLS = """\
name: calls
nodes: {a: {}, b: {}}
trace: [%s]
steps:
  - {name: p, node: a, at: 1 s, cmd: cat /etc/hostname /nowhere, exited: 1}
  - {name: q, node: b, at: 2 s, cmd: "true"}
"""


@pytest.mark.needs_uml
def test_syscalls_are_traced_with_their_names_and_results(booting_program):
    (booting_program.folder / "lab.yaml").write_text(SYSCALLS % "syscalls")
    for jobs in ("1", "2"):
        done = booting_program("run", "lab.yaml", "--parallel", jobs)
        assert done.returncode == 0, done.stdout + done.stderr
    runs = booting_program.folder / "runs/calls"
    one, two = ((runs / name / "files/trace.jsonl").read_bytes() for name in ("0001", "0002"))
    assert one == two
    found = [one for one in events(runs / "0001") if one["kind"] in ("sys_enter", "sys_exit")]
    assert {one["node"] for one in found} == {"a", "b"}  # and none of the agent's
    of_cat = [one["fields"] for one in found if one["fields"]["task"] == "cat"]
    names = [one["syscall"] for one in of_cat if "args" in one]
    assert names[0] in ("brk", "arch_prctl")  # what the dynamic linker begins with
    assert names[-1] == "exit_group"
    opened = [one["ret"] for one in of_cat if one["syscall"] == "openat" and "ret" in one]
    assert {-2, 3} <= set(opened)  # /nowhere, and all others, one after the other
    assert {"read", "write", "close"} <= set(names)
    lines = booting_program("trace", "latest", "--task", "cat", "--event", "openat").stdout
    assert "sys_exit: openat = -2 (ENOENT)" in lines
    assert re.search(r"sys_enter: openat\(ffffff9c, [0-9a-f]+, 0, 0, ", lines)
    assert " read" not in lines


@pytest.mark.needs_uml
def test_syscalls_are_slices_below_their_task(booting_program, need_module, tmp_path):
    need_module("perfetto")
    from perfetto.protos.perfetto.trace import perfetto_trace_pb2  # noqa: PLC0415

    (booting_program.folder / "lab.yaml").write_text(SYSCALLS % "syscalls, sched")
    assert booting_program("run", "lab.yaml").returncode == 0
    target = tmp_path / "x.perfetto-trace"
    assert booting_program("export", "latest", "-o", str(target)).returncode == 0
    trace = perfetto_trace_pb2.Trace()
    trace.ParseFromString(target.read_bytes())
    tracks = {
        packet.track_descriptor.uuid: packet.track_descriptor
        for packet in trace.packet
        if packet.HasField("track_descriptor")
    }
    nodes = {one.process.pid: one.process.process_name for one in tracks.values()}
    threads = {one.thread.thread_name: one for one in tracks.values() if one.HasField("thread")}
    cat = threads["cat"]
    assert nodes[cat.thread.pid] == "a"  # from its first moment on the processor
    (below,) = [one for one in tracks.values() if one.parent_uuid == cat.uuid]
    assert below.name == "syscalls"
    names, calls, depth = {}, [], 0
    for packet in trace.packet:
        names |= {one.iid: one.name for one in packet.interned_data.event_names}
        event = packet.track_event
        if packet.HasField("track_event") and event.track_uuid == below.uuid:
            depth += 3 - 2 * event.type
            assert depth in (0, 1)
            calls += [names[event.name_iid]] if event.type == 1 else []
    assert depth == 0
    assert {"openat", "read", "write"} <= set(calls)
    assert calls[-1] == "exit_group"


@pytest.mark.needs_uml
def test_only_some_syscalls_are_traced(booting_program):
    (booting_program.folder / "lab.yaml").write_text(SYSCALLS % "syscalls:openat, syscalls:execve")
    assert booting_program("run", "lab.yaml").returncode == 0
    found = events(booting_program.folder / "runs/calls/0001")
    calls = [one["fields"]["syscall"] for one in found if one["kind"].startswith("sys_")]
    assert set(calls) == {"openat", "execve"}


def test_a_syscall_that_there_is_not_is_told_with_its_place(program):
    (program.folder / "lab.yaml").write_text(SYSCALLS % "syscalls:opennat")
    done = program("lab", "check", "lab.yaml")
    assert done.returncode == 2
    assert "lab.yaml:3:9" in done.stderr
    assert "did you mean syscalls:openat?" in done.stderr


LONG = """\
name: long
nodes: {a: {cpu: {syscall_cost: 1 us}}, b: {}}  # so that the kernel has ticks meanwhile
trace: [syscalls]
steps:
  - {name: p, node: a, at: 1 s, cmd: dd if=/dev/zero of=/dev/null bs=1 count=%d}
  - {name: q, node: b, at: 2 s, cmd: "sysctl -w vm.panic_on_oom=2; %s"}
"""
EATS = (
    "python3 -c 'import ctypes; ctypes.CDLL(None).mlockall(2); s = [bytes(1 << 22) "
    "for _ in range(999)]'"
)
IN_THE_BUFFER_MAX = 16_000
"""Events that a kernel of these labs may have in its buffer: 3 per cent of it."""


@pytest.mark.needs_uml
def test_a_trace_is_larger_than_a_kernel_s_buffer(booting_program):
    copied = 90_000  # four events each, of 48 bytes on average: more than 16 MiB
    (booting_program.folder / "lab.yaml").write_text(LONG % (copied, "true"))
    assert booting_program("run", "lab.yaml").returncode == 0
    calls = ends = 0
    for event in events(booting_program.folder / "runs/long/0001"):
        fields = event["fields"]
        assert "lost_before" not in fields
        if fields["task"] == "dd" and fields.get("syscall") in ("read", "write"):
            calls += "args" in fields
            ends += fields.get("ret") == 1
    assert 2 * copied <= ends <= 2 * copied + 5  # dd has a last word to say
    assert calls >= ends


@pytest.mark.needs_uml
def test_what_had_left_a_kernel_that_dies_is_there(booting_program):
    for what in ("true", EATS):
        (booting_program.folder / "lab.yaml").write_text(LONG % (10_000, what))
        done = booting_program("run", "lab.yaml")
    assert done.returncode == 4, done.stdout
    runs = booting_program.folder / "runs/long"
    whole, left = (
        (runs / name / "files/trace.jsonl").read_bytes().splitlines() for name in ("0001", "0002")
    )
    assert IN_THE_BUFFER_MAX < len(whole) - IN_THE_BUFFER_MAX < len(left)
    assert whole[: len(left)] == left


@pytest.mark.needs_uml
@pytest.mark.parametrize(
    ("trace", "message"),
    [("tcpp", "did you mean 'tcp'?"), ("sched:sched_swich", "no tracepoints 'sched:sched_swich'")],
)
def test_tracepoints_that_there_are_not_are_an_error(booting_program, trace, message):
    (booting_program.folder / "lab.yaml").write_text(
        f'name: x\nnodes: {{a: {{}}}}\ntrace: ["{trace}"]\nstop: 1 s\n'
    )
    done = booting_program("run", "lab.yaml")
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_name_that_cannot_be_one_is_told_with_its_place(program):
    (program.folder / "lab.yaml").write_text('name: x\nnodes: {a: {}}\ntrace: [tcp, "../x"]\n')
    done = program("lab", "check", "lab.yaml")
    assert done.returncode == 2
    assert "lab.yaml:3:14" in done.stderr
    assert "names no tracepoints" in done.stderr


def test_a_spoilt_line_of_a_trace_is_named_and_what_was_cut_left_out(program):
    from recorded_runs import record  # noqa: PLC0415

    run = record(program.folder / "runs")
    line = (
        '{"fields":{"common_pid":1,"task":"sh"},"kind":"x","node":"a","sequence":0,"time_ns":5}\n'
    )
    (run / "files").mkdir(exist_ok=True)
    (run / "files/trace.jsonl").write_text(line + line + '{"fie')
    done = program("trace", "latest")
    assert (done.returncode, done.stdout.count("sh-1  x:")) == (0, 2)
    (run / "files/trace.jsonl").write_text(line + "rubbish\n" + line)
    for words in (("trace", "latest"), ("export", "latest", "-o", "x.pftrace")):
        done = program(*words)
        assert done.returncode == 4
        assert "files/trace.jsonl:2: not an event: 'rubbish\\n'" in done.stderr


def test_a_run_without_a_trace_says_how_to_get_one(program):
    from recorded_runs import record  # noqa: PLC0415

    record(program.folder / "runs")
    done = program("trace", "latest")
    assert done.returncode == 2
    assert "trace: [sched, tcp]" in done.stderr
