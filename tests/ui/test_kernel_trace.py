# SPDX-License-Identifier: Apache-2.0
"""What a real kernel traces, read as binary: the same events as in its own text."""

from __future__ import annotations

import re

import pytest

from windtunnel.wire.ftrace import parse_formats, parse_trace

pytestmark = pytest.mark.needs_uml

SCRIPT = """\
mkdir -p /tmp/t && mount -t tracefs none /tmp/t && cd /tmp/t || exit 9
echo 0 > tracing_on; echo > trace; echo 4096 > buffer_size_kb
for system in sched net tcp irq timer sock skb; do
  if [ -e events/$system/enable ]; then echo 1 > events/$system/enable; fi
done
cat events/*/*/format > "$1/formats"
echo 1 > tracing_on
ping -c 20 -i 0.01 127.0.0.1 > /dev/null
sh -c 'sleep 0.01; exit 3'
echo 0 > tracing_on
cat trace > "$1/text"
timeout 1 cat per_cpu/cpu0/trace_pipe_raw > "$1/raw"
true
"""
LINE = re.compile(r"\s*(.+)-(\d+)\s+\[\d+\] \S+\s+(\d+)\.(\d{6}): (\w+): ?(.*)")
NUMBERS = re.compile(r"\b(pid|prio|target_cpu|prev_pid|next_pid)=(\d+)")


def traced(program, name):
    folder = program.folder / name
    folder.mkdir()
    script = program.folder / "trace.sh"
    script.write_text(SCRIPT)
    done = program(
        "exec", "--writable", str(folder), "--", "sh", str(script), str(folder)
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    formats = parse_formats((folder / "formats").read_text())
    return list(parse_trace((folder / "raw").read_bytes(), formats)), (folder / "text").read_text()


def test_events_are_those_of_the_kernel_s_own_text_and_the_same_each_time(booting_program):
    events, text = traced(booting_program, "one")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert len(events) == len(lines) > 500
    for event, line in zip(events, lines, strict=True):
        found = LINE.fullmatch(line)
        micros = int(found[3]) * 1_000_000 + int(found[4])
        assert (found[5], int(found[2])) == (event.name, event.pid)
        # the kernel rounds what it writes
        assert abs(event.time_ns / 1000 - micros) <= 1
        if event.name in ("sched_waking", "sched_wakeup", "sched_switch"):
            for key, value in NUMBERS.findall(found[6]):
                assert event.fields[key] == int(value)
    assert not any(event.lost_before for event in events)
    assert "<...>" not in text
    again, _ = traced(booting_program, "two")
    assert [(one.time_ns, one.name, one.pid) for one in again] == [
        (one.time_ns, one.name, one.pid) for one in events
    ]
