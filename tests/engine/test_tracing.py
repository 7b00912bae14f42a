# SPDX-License-Identifier: Apache-2.0
"""What is made of traces: losses are told, and what cannot be had is a check that fails."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from small_labs import pair
from windtunnel.engine.recorder import NullRecorder
from windtunnel.engine.run import run_lab
from windtunnel.engine.tracing import KernelTrace, Tracing
from windtunnel.errors import GuestError, ProtocolError
from windtunnel.model.lab import Command, Step
from windtunnel.wire.ftrace import TraceEvent


class Written(KernelTrace):
    """A kernel whose trace is given, as after `traced`."""

    def __init__(self, folder, *found):
        super().__init__(SimpleNamespace(kernel=""), str(folder))
        self.found = found

    def end(self):
        pass

    def traced(self):
        return iter(self.found)


@pytest.fixture
def written(tmp_path):
    made = []

    def write(*found, named=(5,)):
        kernel = Written(tmp_path, *found)
        made.append(kernel)
        for pid in named:
            kernel.tasks.learn(pid, "sh")
        lines = []
        tracing = Tracing([kernel], lambda: 1000)
        try:
            tracing.end([], lines.append)
        finally:
            read = [json.loads(line) for line in b"".join(lines).splitlines()]
            write.events = [(one["time_ns"], one["fields"].get("lost_before")) for one in read]
        return write.events

    yield write
    for kernel in made:
        kernel.close()


def seen(time_ns, lost=0, pid=5):
    return TraceEvent(time_ns, "tick", pid, {}, lost)


def test_a_loss_before_events_that_are_left_out_is_told_by_the_next_one(written):
    assert written(seen(900, 7), seen(950, 2), seen(1100), seen(1200)) == [(100, 9), (200, None)]
    # nobody knows how many, as soon as nobody knew once
    assert written(seen(900, -1), seen(1100, 3)) == [(100, -1)]


def test_a_task_without_a_name_is_an_error_unless_its_name_may_be_lost(written):
    with pytest.raises(ProtocolError, match="1 events of tasks that nothing has named"):
        written(seen(1100), seen(1200, pid=6))
    assert written.events == [(100, None), (200, None)]  # all are written
    assert written(seen(1100, 4), seen(1200, pid=6)) == [(100, 4), (200, None)]


def test_what_cuts_a_run_short_while_its_trace_is_written_leaves_no_event_twice(tmp_path):
    kernel = Written(tmp_path, seen(1100), seen(1200))
    kernel.tasks.learn(5, "sh")
    tracing = Tracing([kernel], lambda: 1000)
    lines = []

    def interrupted(data):
        lines.append(data)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tracing.end([], interrupted)
    tracing.rescue([], lines.append)
    kernel.close()
    assert len(b"".join(lines).splitlines()) == 2


@pytest.mark.needs_uml
@pytest.mark.parametrize("error", [ProtocolError("no name"), GuestError("no answer")])
def test_what_cannot_be_had_of_a_trace_is_a_check_that_fails(
    kernel_path, monkeypatch, error, tmp_path
):
    from small_labs import options  # noqa: PLC0415

    def fail(_self, _nodes, _write):
        raise error

    monkeypatch.setattr(Tracing, "end", fail)
    step = Step(0, "a step", Command("a", "true"))
    spec = replace(pair(steps=(step,)), trace=("task",))
    outcomes = run_lab(
        spec,
        options(kernel_path),
        NullRecorder(),
        captures=lambda _name: lambda _data: None,
        progress=lambda _doing: None,
        trace=lambda _lines: None,
    )
    assert [(one.name, one.kind, one.passed) for one in outcomes.checks] == [
        ("a step", "step", True),
        ("trace", "kernel", False),
    ]
    assert str(error) in outcomes.checks[-1].message
    assert not outcomes.passed
