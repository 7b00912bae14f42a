# SPDX-License-Identifier: Apache-2.0
# Processes of the host are waited for by the host's clock:
# ruff: noqa: TID251
"""`windtunnel run` of a lab with parameters, on a real kernel, as a user runs it."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from windtunnel.store.results import read_results

LAB = """\
name: matrix
seed: 5
params:
  loss: [0%, 100%]
  ms: [1, 20, 50]
nodes: {a: {}, b: {}}
links: [{endpoints: [a, b], delay: "${ms} ms", loss: "${loss}"}]
steps:
  - {name: ping, at: 3 s, node: a, cmd: ping -c 2 b, match: 2 received}
"""
SLEEPS = """\
name: sleeps
params: {n: [1, 2, 3, 4]}
nodes: {a: {}}
steps: [{at: 1 s, node: a, cmd: "sleep ${n}0"}]
"""


def results_of(program, name="matrix/latest"):
    return read_results(program.folder / "runs" / name)


def without_host(result):
    record = result.to_json()
    return {key: value for key, value in record.items() if not key.endswith("_host_s")}


def wait_until(condition, limit_host_s=60):
    until = time.monotonic() + limit_host_s
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def cell_lines(folder):
    file = folder / "cells.jsonl"
    return file.read_text().count("\n") if file.exists() else 0


def test_every_cell_is_run_and_those_that_fail_are_shown_with_their_command(booting_program):
    lab = booting_program.write("lab.yaml", LAB)
    done = booting_program("run", lab)
    assert done.returncode == 1
    assert "failed: 3 passed, 3 failed of 6 cells" in done.stdout
    results = results_of(booting_program)
    states = {one.cell: one.state.value for one in results.results}
    assert states == {
        f"loss={loss},ms={ms}": "passed" if loss == "0%" else "failed"
        for loss in ("0%", "100%")
        for ms in ("1", "20", "50")
    }
    one = next(one for one in results.results if one.cell == "loss=100%,ms=20")
    assert one.params == {"loss": "100%", "ms": "20"}
    assert f"repeat it: {one.repeat}" in done.stdout
    again = booting_program(*one.repeat.replace("'", "").split()[1:])
    assert again.returncode == 0
    assert "equal in every byte" in again.stdout


@pytest.mark.parametrize("jobs", ["1", "3"])
def test_results_are_the_same_bytes_at_any_number_of_jobs(booting_program, jobs):
    lab = booting_program.write("lab.yaml", LAB)
    booting_program.environment["PYTHONHASHSEED"] = jobs
    assert booting_program("run", lab, "--jobs", "2", "-q").returncode == 1
    assert booting_program("run", lab, "--jobs", jobs, "-q").returncode == 1
    first, second = (results_of(booting_program, f"matrix/000{number}") for number in (1, 2))

    def records(results):
        in_order = sorted(results.results, key=lambda one: one.index)
        return [
            {**without_host(one), "repeat": one.repeat.replace(str(results.path.name), "N")}
            for one in in_order
        ]

    assert records(first) == records(second)
    for one in first.results:
        events = [(each.path / one.run / "events.jsonl").read_bytes() for each in (first, second)]
        assert events[0] == events[1]
        assert len(events[0]) > 200


def test_filters_shards_samples_and_covers_choose(booting_program):
    lab = booting_program.write("lab.yaml", LAB)

    def chosen(*arguments):
        assert booting_program("run", lab, "-q", *arguments).returncode in (0, 1)
        return {one.cell for one in results_of(booting_program).results}

    assert chosen("--only", "loss=0%", "--no", "ms=1") == {"loss=0%,ms=20", "loss=0%,ms=50"}
    shards = [chosen("--shard", f"{number}/2") for number in (1, 2)]
    assert [len(shard) for shard in shards] == [3, 3]
    assert not shards[0] & shards[1]
    assert chosen("--cover", "2") == shards[0] | shards[1]
    assert len(chosen("--sample", "2", "--seed", "1")) == 2


def test_a_choice_that_leaves_nothing_says_why_and_runs_nothing(booting_program):
    lab = booting_program.write("lab.yaml", LAB)
    done = booting_program("run", lab, "--only", "loss=0%", "--no", "ms=*")
    assert done.returncode == 2
    assert "no cell is left after --no 'ms=*'" in done.stderr
    assert not (booting_program.folder / "runs").exists()


def test_only_those_that_failed_are_run_again(booting_program):
    lab = booting_program.write("lab.yaml", LAB)
    booting_program("run", lab, "-q")
    done = booting_program("run", lab, "--rerun-failed", "--retries", "1")
    assert done.returncode == 1
    tries = [(one.cell, one.attempt) for one in results_of(booting_program).results]
    assert sorted(tries) == sorted(
        (f"loss=100%,ms={ms}", attempt) for ms in (1, 20, 50) for attempt in (1, 2)
    )
    assert "failed: 3 failed of 3 cells" in done.stdout


def test_after_the_first_failure_no_more_are_begun(booting_program):
    lab = booting_program.write("lab.yaml", LAB.replace("[0%, 100%]", "[100%, 0%]"))
    done = booting_program("run", lab, "--fail-fast", "--jobs", "1")
    assert done.returncode == 1
    assert len(results_of(booting_program).results) == 1


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_what_was_cut_short_goes_on_without_repeating_what_has_ended(booting_program, how):
    slow = SLEEPS.replace('"sleep ${n}0"', '"for i in $(seq 200); do /bin/true; done; sleep ${n}0"')
    lab = booting_program.write("lab.yaml", slow)
    folder = booting_program.folder / "runs" / "sleeps" / "0001"
    with booting_program.start("run", lab, "--jobs", "1") as process:
        wait_until(lambda: cell_lines(folder) >= 1)
        process.send_signal(how)
        _, stderr = process.communicate(timeout=60)
    if how != signal.SIGKILL:
        assert process.returncode == 130 if how == signal.SIGINT else process.returncode != 0
    before = (folder / "cells.jsonl").read_bytes()
    ended = [one for one in read_results(folder).results if one.state.value == "passed"]
    assert 1 <= len(ended) < 4, stderr
    done = booting_program("run", lab, "--resume")
    assert done.returncode == 0, done.stderr
    results = read_results(folder)
    passed = [one.cell for one in results.results if one.state.value == "passed"]
    assert sorted(passed) == ["n=1", "n=2", "n=3", "n=4"]
    assert (folder / "cells.jsonl").read_bytes().startswith(before)
    assert results.state == "passed"


def test_a_lab_that_has_changed_is_not_gone_on_with(booting_program):
    lab = booting_program.write("lab.yaml", SLEEPS)
    booting_program("run", lab, "-q", "--only", "n=1")
    booting_program.write("lab.yaml", SLEEPS + "# another\n")
    done = booting_program("run", lab, "--resume")
    assert done.returncode == 2
    assert "lab.yaml has changed" in done.stderr


def test_a_cell_that_takes_too_long_is_ended_in_virtual_and_in_host_time(booting_program):
    lab = booting_program.write("lab.yaml", SLEEPS)
    done = booting_program("run", lab, "--cell-timeout", "25 s")
    assert done.returncode == 4
    states = {
        one.cell: one.state.value for one in results_of(booting_program, "sleeps/0001").results
    }
    assert states == {"n=1": "passed", "n=2": "passed", "n=3": "timeout", "n=4": "timeout"}
    spins = SLEEPS.replace("sleep ${n}0", "while :; do :; done")
    booting_program.write("lab.yaml", spins)
    done = booting_program("run", lab, "--only", "n=1", "--cell-timeout-host", "2")
    assert done.returncode == 4
    [one] = results_of(booting_program, "sleeps/0002").results
    assert one.state.value == "timeout"
    assert "2 s of host time" in one.finding


def test_a_worker_that_is_killed_is_lost_and_the_others_go_on(booting_program):
    spins = SLEEPS.replace("sleep ${n}0", "[ ${n} != 2 ] || while :; do :; done")
    lab = booting_program.write("lab.yaml", spins)
    folder = booting_program.folder / "runs" / "sleeps" / "0001"
    with booting_program.start("run", lab, "--jobs", "2") as process:
        wait_until(lambda: cell_lines(folder) == 3)
        [victim] = children(process.pid)
        os.kill(victim, signal.SIGKILL)
        process.communicate(timeout=60)
    assert process.returncode == 4
    states = {one.cell: one.state.value for one in read_results(folder).results}
    assert states == {"n=1": "passed", "n=2": "lost", "n=3": "passed", "n=4": "passed"}


def children(pid):
    return [
        int(child)
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if b"supervisor" not in Path(f"/proc/{child}/comm").read_bytes()
    ]


def test_two_runners_do_not_share_a_folder(booting_program):
    slow = SLEEPS.replace("sleep ${n}0", "while :; do :; done")
    lab = booting_program.write("lab.yaml", slow)
    folder = booting_program.folder / "runs" / "sleeps" / "0001"
    with booting_program.start("run", lab) as process:
        wait_until((folder / "results.json").exists)
        done = booting_program("run", lab, "--resume")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert done.returncode == 2
    assert "another" in done.stderr or "in use" in done.stderr


HOOKS = """\
hooks:
  before_lab: ["echo before lab >> order"]
  before_cell: ["echo before $WINDTUNNEL_CELL $WINDTUNNEL_PARAM_n >> order"]
  after_cell: ["echo after $WINDTUNNEL_STATE >> order", "echo last first >> order"]
  after_lab: [{python: "tidy.py:tidy"}]
"""


def test_hooks_are_run_in_order_around_the_lab_and_its_cells(booting_program):
    lab = booting_program.write("lab.yaml", SLEEPS + HOOKS)
    booting_program.write(
        "tidy.py",
        "def tidy(context):\n"
        "    with open('order', 'a') as file:\n"
        "        file.write('tidy ' + context['lab'] + '\\n')\n",
    )
    done = booting_program("run", lab, "--only", "n=1")
    assert done.returncode == 2
    assert "--hooks" in done.stderr
    assert not (booting_program.folder / "order").exists()
    done = booting_program("run", lab, "--hooks", "--jobs", "1", "--only", "n=1")
    assert done.returncode == 0, done.stderr
    assert (booting_program.folder / "order").read_text().splitlines() == [
        "before lab",
        "before n=1 1",
        "last first",
        "after passed",
        "tidy sleeps",
    ]


def test_a_hook_that_fails_is_the_cells_error_and_what_follows_is_cleaned_up(booting_program):
    hooks = HOOKS.replace('["echo before $WINDTUNNEL_CELL', '["echo why; exit 3 #')
    lab = booting_program.write("lab.yaml", SLEEPS + hooks.replace("tidy.py:tidy", "tidy.py:t"))
    booting_program.write("tidy.py", "def t(context): pass\n")
    done = booting_program("run", lab, "--hooks", "--jobs", "1", "--only", "n=1")
    assert done.returncode == 4
    [one] = results_of(booting_program, "sleeps/latest").results
    assert one.state.value == "error"
    assert "why" in one.finding
    assert (booting_program.folder / "order").read_text().splitlines() == [
        "before lab",
        "last first",
        "after error",
    ]


def test_results_are_one_document_of_json_and_are_listed(booting_program):
    lab = booting_program.write("lab.yaml", SLEEPS)
    done = booting_program("run", lab, "--json")
    assert done.returncode == 0
    document = json.loads(done.stdout)
    assert [one["cell"] for one in document["cells"]] == ["n=1", "n=2", "n=3", "n=4"]
    listed = booting_program("runs", "list").stdout
    assert "sleeps/0001" in listed
    shown = booting_program("runs", "show", "sleeps").stdout
    assert "passed: 4 passed of 4 cells" in shown
    replayed = booting_program("replay", "runs/sleeps/0001/cells/n=3")
    assert replayed.returncode == 0, replayed.stderr
