# SPDX-License-Identifier: Apache-2.0
"""Who printed a line of a run's kernel: by starts, exits, samples of counters, and traces."""

from __future__ import annotations

from windtunnel.logs.printk import Line
from windtunnel.model.event import Event
from windtunnel.store import layout
from windtunnel.store.diff.files import compare_logs
from windtunnel.store.kernel_log import before_our_end, kernel_logs
from windtunnel.store.run_dir import RunWriter

S = 1_000_000_000


def run_of(base, events, seconds_and_tasks, trace=()):
    with RunWriter.create(
        base, lab="ring", lab_text="name: ring\n", source_text=None, manifest={}
    ) as writer:
        for sequence, (time_ns, kind, fields) in enumerate(events):
            writer.event(Event(time_ns, sequence, kind, "r1", fields))
        # Lab time zero is 10 s after the kernel began.
        lines = [f"[   {10 + at}.000000][   T{task}] x\n" for at, task in seconds_and_tasks]
        writer.console_path.write_text("".join(lines))
        for event in trace:
            writer.append_file(layout.TRACE, f"{event.to_line()}\n".encode())
        writer.finish("passed", summary={})
    return writer.path


def owners(run):
    ((_, log),) = kernel_logs(run)
    return [entry.owner_name for entry in log.entries if isinstance(entry, Line)]


def test_a_name_ends_with_its_process(tmp_path):
    run = run_of(
        tmp_path,
        [
            (S, "process-start", {"process": "sh", "pid": 7}),
            (3 * S, "process-exit", {"process": "sh", "outcome": "exited", "status": 0}),
            (5 * S, "process-start", {"process": "ip", "pid": 7}),
        ],
        [(2, 7), (3, 7), (4, 7), (6, 7)],
    )
    assert owners(run) == ["r1/sh", "r1/sh", "", "r1/ip"]


def test_what_a_process_forked_is_named_by_samples_and_by_a_trace(tmp_path):
    sample = {"interfaces": [], "processes": [{"name": "ospfd", "pid": 8}]}
    fork = {"child_pid": 9, "child_comm": "ospfd", "common_pid": 8}
    rename = {"pid": 9, "oldcomm": "ospfd", "newcomm": "insmod"}
    own = {"pid": 7, "oldcomm": "sh", "newcomm": "other"}
    run = run_of(
        tmp_path,
        [(S, "process-start", {"process": "start", "pid": 7}), (2 * S, "counters", sample)],
        [(3, 8), (4, 9), (6, 9), (7, 7), (7, 99)],
        [
            Event(3 * S, 0, "sched_process_fork", "r1", fork, "", "trace"),
            Event(4 * S, 1, "sched_switch", "r1", {"next_pid": 99, "next_comm": "no"}, "", "trace"),
            Event(5 * S, 2, "task_rename", "r1", rename, "", "trace"),
            Event(6 * S, 3, "task_rename", "r1", own, "", "trace"),
        ],
    )
    assert owners(run) == ["r1/ospfd", "r1/ospfd", "r1/insmod", "r1/start", ""]


def test_a_spoilt_record_costs_names_and_no_lines(tmp_path):
    run = run_of(tmp_path, [(S, "process-start", {"process": "sh", "pid": 7})], [(2, 7), (3, 8)])
    with (run / layout.EVENTS).open("a") as file:
        file.write("no event\n")
    trace = run / layout.FILES / layout.TRACE
    trace.parent.mkdir(exist_ok=True)
    trace.write_text('{"kind":"task_rename"\n')
    assert owners(run) == ["r1/sh", ""]


GONE = """\
[   13.000000][    T7] BUG: kernel NULL pointer dereference, address: 0000000000000008
agent: reading from the port: No such device
[   14.000000][    T1] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100
[   14.000000][    T1] CPU: 0 UID: 0 PID: 1 Comm: init Not tainted 7.3.4 #1 VOLUNTARY
"""


def with_console(base, text):
    run = run_of(base, [], [])
    (run / layout.CONSOLE).write_text(text)
    return run


def reports(run):
    ((_, log),) = kernel_logs(run)
    return [found.report.title for found in before_our_end(log).reports]


def test_what_a_kernel_printed_because_we_were_killed_is_no_event_of_the_lab(tmp_path):
    one = with_console(tmp_path, GONE)
    other = with_console(tmp_path, GONE.splitlines(keepends=True)[0])
    assert reports(one) == reports(other) != []
    assert compare_logs(one, other) == []
    ((_, log),) = kernel_logs(one)
    assert len(log.entries) == 4  # all of it can be read


def test_an_init_that_is_killed_by_the_lab_is_a_crash(tmp_path):
    fault = "exitcode=0x0000000b"
    for text in (
        GONE.replace("agent: reading from the port: No such device\n", ""),
        GONE.replace("exitcode=0x00000100", fault),
    ):
        assert "Attempted to kill init" in reports(with_console(tmp_path, text))[-1]
