# SPDX-License-Identifier: Apache-2.0
"""A lab in the hands of a program, with its run folder."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import pytest

import small_labs
from windtunnel.engine.driven import DrivenRun
from windtunnel.engine.session import SessionRequest
from windtunnel.errors import HostError, OverdueError, StateError
from windtunnel.model.hook import Limits
from windtunnel.store.compare import digest_run
from windtunnel.store.run_reader import RunReader
from windtunnel.store.tracefile import trace_events

MIB = 1 << 20


def request(spec, kernel_path, folder):
    return SessionRequest(
        spec, small_labs.options(kernel_path), output=folder, repeat="me", driver="a test"
    )


def test_the_schedule_is_that_of_the_lab_with_its_captures(kernel_path, tmp_path):
    with DrivenRun(request(small_labs.captured(), kernel_path, tmp_path / "run")) as run:
        run.world.sleep("1500 ms")
        assert run.world.node("a").processes[0].poll().ok
    reader = RunReader(run.path)
    assert reader.state == "passed"
    assert reader.manifest["repeat"] == "me"
    assert reader.manifest["end_ns"] // 10**6 == 1500
    assert b"3 received" in reader.read_output("a", "ping")
    assert (run.path / "files" / "b-eth0.pcapng").stat().st_size > 500


def test_equal_programs_leave_equal_runs(kernel_path, tmp_path):
    digests = set()
    for name in ("one", "two"):
        with DrivenRun(request(small_labs.busy_pair(), kernel_path, tmp_path / name)) as run:
            run.world.node("b").run("head -c 8 /dev/urandom | od -An -tx1")
            run.world.sleep("1 s")
        digests.add(digest_run(run.path))
    assert len(digests) == 1


def test_a_trace_is_kept_whether_the_program_fails_or_not(kernel_path, tmp_path):
    spec = replace(small_labs.pair(), trace=("task",))
    for name, fails in (("one", False), ("two", True)):
        run = DrivenRun(request(spec, kernel_path, tmp_path / name), schedule=False)
        with suppress(ValueError), run:
            run.world.node("b").run("exit 0")
            if fails:
                raise ValueError("wrong")
    one, two = ((tmp_path / name / "files/trace.jsonl").read_text() for name in ("one", "two"))
    assert one == two
    assert {(event.node, event.fields["task"]) for event in trace_events(tmp_path / "one")} > {
        ("b", "sh")
    }


def test_a_failed_step_is_the_verdict_and_the_end_comes_once(kernel_path, tmp_path):
    run = DrivenRun(request(small_labs.failing(), kernel_path, tmp_path / "run"))
    assert run.failed_checks == ()
    run.world.sleep("1500 ms")
    assert [check.name for check in run.failed_checks] == ["the impossible"]
    run.end()
    run.end(ValueError("too late"))
    assert RunReader(run.path).state == "failed"
    with pytest.raises(StateError, match="the world has ended"):
        run.world.sleep("1 s")


def test_a_lab_takes_no_more_virtual_time_than_it_may(kernel_path, tmp_path):
    spec = replace(small_labs.pair(), limits=Limits(virtual_ns=3_000_000_000))
    with pytest.raises(OverdueError), DrivenRun(request(spec, kernel_path, tmp_path / "a")) as run:
        run.world.sleep("1 h")
    assert RunReader(run.path).state == "timeout"
    asked = request(spec, kernel_path, tmp_path / "b")
    with DrivenRun(asked, schedule=False) as run:
        run.world.sleep("1 h")
    assert RunReader(run.path).state == "passed"


def test_what_the_program_fails_with_is_the_finding_in_one_line(kernel_path, tmp_path):
    run = DrivenRun(request(small_labs.pair(), kernel_path, tmp_path / "run"), schedule=False)
    with pytest.raises(ValueError, match="wrong"), run:
        raise ValueError("wrong\nat length")
    manifest = RunReader(run.path).manifest
    assert (manifest["state"], manifest["finding"]) == ("failed", "ValueError: wrong")


def test_a_lab_that_does_not_boot_leaves_a_folder_that_says_so(kernel_path, tmp_path):
    spec = replace(small_labs.pair(), memory_bytes=8 * MIB)
    begun = []
    with pytest.raises(HostError, match="Too few physical memory"):
        DrivenRun(request(spec, kernel_path, tmp_path / "run"), begun=begun.append)
    assert begun == [tmp_path / "run"]
    reader = RunReader(tmp_path / "run")
    assert reader.state == "error"
    assert "Too few physical memory" in reader.manifest["finding"]
