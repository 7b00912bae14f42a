# SPDX-License-Identifier: Apache-2.0
"""`verify` finds what lets the host in, and names it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, replace

import pytest

import small_labs
from windtunnel.engine.grants import GrantsLog
from windtunnel.engine.hostload import host_load
from windtunnel.engine.once import OnceRequest, read_request
from windtunnel.engine.verify import VerifyRequest, _all_conditions, runs_folder, verify
from windtunnel.errors import ExitStatus, HostError, WindtunnelError

COUNTER_NS = 1_000_000_000


def test_half_of_the_runs_are_loaded_and_no_two_conditions_are_the_same():
    conditions = list(_all_conditions(5))
    assert [each.loaded for each in conditions] == [False, False, False, True, True]
    assert [each.number for each in conditions] == [1, 2, 3, 4, 5]
    assert len({each.hash_seed for each in conditions}) == 5
    assert len({str(each.environment) for each in conditions}) == 5


def test_a_request_survives_its_way_to_another_process():
    request = OnceRequest(
        "name: x\n", "/out", "/k/linux", read=("/a",), processors=(1, 0), log_grants=True
    )
    assert read_request(json.dumps(asdict(request))) == request


def test_a_log_of_grants_has_one_line_for_each_and_is_never_overwritten(tmp_path):
    log = GrantsLog(tmp_path / "grants.log")
    log.add("run", 12, "shared")
    log.add("wait", 13, "shared")
    log.close()
    log.close()
    assert (tmp_path / "grants.log").read_text() == "run 12 shared\nwait 13 shared\n"
    with pytest.raises(HostError, match="cannot create"):
        GrantsLog(tmp_path / "grants.log")


def test_a_folder_for_runs_goes_when_nothing_is_left_in_it(tmp_path):
    with runs_folder(tmp_path / "runs", "lab") as folder:
        assert folder.parent == tmp_path / "runs" / "lab"
    assert not (tmp_path / "runs").exists()
    with runs_folder(tmp_path / "runs", "lab") as folder:
        (folder / "0001").mkdir()
    assert (folder / "0001").is_dir()


def loads():
    """Processes of load on this machine, and their parents; others may run a load as well."""
    listed = subprocess.run(
        ["ps", "axww", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=False
    )
    found = [line.split(None, 2) for line in listed.stdout.splitlines()]
    return {int(pid): int(parent) for pid, parent, args in found if "engine.hostload" in args}


def test_load_ends_with_the_block():
    with host_load():
        ours: set[int] = set()
        for _ in range(200):  # a fork has our own name until it has called exec
            ours = ours or {pid for pid, parent in loads().items() if parent == os.getpid()}
            if ours:
                break
        ours |= {pid for pid, parent in loads().items() if parent in ours}
    assert ours
    assert not ours & loads().keys()


def test_load_ends_with_whoever_started_it():
    script = (
        "import os, time\n"
        "from windtunnel.engine.hostload import host_load\n"
        "with host_load():\n"
        "    print(flush=True)\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        check=False,
        timeout=20,
    )
    # Its output ends only when nobody of the load holds it any more.
    assert process.returncode == -9


def test_equal_runs_leave_nothing_behind(kernel_path, tmp_path):
    request = VerifyRequest(
        small_labs.busy_pair(), small_labs.options(kernel_path), tmp_path, times=3, jobs=2
    )
    seen = []
    found = verify(request, finished=seen.append)
    assert [run.equal for run in found] == [True, True, True]
    assert [run.conditions.number for run in found] == [1, 2, 3]
    assert seen[0].conditions.number == 1
    assert list(tmp_path.iterdir()) == []


def test_a_clock_of_the_host_is_found_and_named_with_node_file_and_time(kernel_path, tmp_path):
    found = verify(VerifyRequest(small_labs.counter(), small_labs.options(kernel_path), tmp_path))
    difference = found[1].difference
    assert not found[1].equal
    assert difference.node == "a"
    assert difference.file == "nodes/a/counter.stdout"
    assert difference.exact
    assert COUNTER_NS <= difference.time_ns < COUNTER_NS + 100_000_000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0001", "0002"]


def test_what_changes_only_the_time_is_found_too(kernel_path, tmp_path):
    found = verify(
        VerifyRequest(small_labs.counter("sleep"), small_labs.options(kernel_path), tmp_path)
    )
    difference = found[1].difference
    assert (difference.node, difference.file) == ("a", "events.jsonl")
    assert COUNTER_NS <= difference.time_ns < 2 * COUNTER_NS
    assert (found[0].path / "grants.log").read_text().startswith("wait 0 shared\n")


def test_a_lab_that_fails_the_same_way_each_time_is_equal(kernel_path, tmp_path):
    found = verify(VerifyRequest(small_labs.failing(), small_labs.options(kernel_path), tmp_path))
    assert [run.equal for run in found] == [True, True]
    assert [run.report.state for run in found] == ["failed", "failed"]


def test_what_the_machine_lacks_is_said_once_with_its_exit_status(kernel_path, tmp_path):
    options = replace(small_labs.options(kernel_path), read=(tmp_path / "not-there",))
    with pytest.raises(WindtunnelError, match="not-there") as caught:
        verify(VerifyRequest(small_labs.pair(), options, tmp_path))
    assert caught.value.exit_status == ExitStatus.USAGE
