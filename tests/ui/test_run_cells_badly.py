# SPDX-License-Identifier: Apache-2.0
# Processes of the host are waited for by the host's clock:
# ruff: noqa: TID251
"""What goes wrong while cells are run: nothing that was recorded is lost, and all of it is said."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from windtunnel.sim.seeds import derive
from windtunnel.store.layout import process_start_ticks
from windtunnel.store.results import read_results

MANY = """\
name: many
params: {n: [1, 2, 3, 4, 5, 6]}
nodes: {a: {}}
steps: [{at: 1 s, node: a, cmd: "for i in $(seq 60); do /bin/true; done; echo ${n}"}]
"""
TALKS = """\
name: talks
params: {kib: [1, 4000, 2]}
nodes: {a: {}}
steps: [{at: 1 s, node: a, cmd: "head -c ${kib}k /dev/zero"}]
"""
LUCK = """\
name: luck
params: {n: [1, 2]}
nodes: {a: {}}
hooks:
  before_cell: ["test $WINDTUNNEL_PARAM_n = 1 || test -e tried || { touch tried; exit 9; }"]
steps: [{at: 1 s, node: a, cmd: "true"}]
"""
WRONG = """\
name: wrong
params: {n: [1, x, 3]}
nodes: {a: {}}
stop: ${n} s
"""
KEEPS = """\
name: keeps
params: {n: [0, 1]}
nodes: {a: {}}
hooks:
  after_cell:
    - {host: "echo cleaned $WINDTUNNEL_CELL >> order", on_error: keep}
    - "echo always $WINDTUNNEL_CELL >> order"
steps: [{at: 1 s, node: a, cmd: "exit ${n}"}]
"""
STUCK_HOOK = """\
name: stuck
params: {n: [1]}
nodes: {a: {}}
hooks:
  before_cell: [{host: "sleep 60 & echo $! > pid; wait", limit: 1 s, name: waits}]
"""
NODES = """\
name: nodes
params: {n: [0, 1]}
nodes:
  a: {after: ["echo last", {cmd: "echo dump; exit ${n}", name: dump}]}
  b: {after: [{host: "echo $WINDTUNNEL_NODE $WINDTUNNEL_STATE >> order"}]}
steps: [{at: 1 s, node: a, cmd: "true"}]
"""


def results_of(program, name):
    return read_results(program.folder / "runs" / name)


def wait_for_lines(folder, count, limit_host_s=60):
    file = folder / "cells.jsonl"
    until = time.monotonic() + limit_host_s
    while not (file.exists() and file.read_bytes().count(b"\n") >= count):
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.parametrize("seed", range(4))
def test_a_runner_that_is_killed_again_and_again_loses_no_cell_and_repeats_none(
    booting_program, seed
):
    lab = booting_program.write("lab.yaml", MANY)
    folder = booting_program.folder / "runs" / "many" / "0001"
    seen = {}
    lines = b""
    for kill in range(3):
        resume = ("--resume",) if kill else ()
        with booting_program.start("run", lab, *resume) as process:
            wait_for_lines(folder, lines.count(b"\n") + 1)
            time.sleep(derive(seed, "kill", str(kill)) % 150 / 1000)
            process.kill()
            process.communicate(timeout=60)
        # What has ended before a kill is not touched any more.
        now = (folder / "cells.jsonl").read_bytes()
        assert now.startswith(lines)
        lines = now
        for cell in (one.cell for one in read_results(folder).results):
            events = (folder / "cells" / cell / "events.jsonl").stat()
            assert seen.setdefault(cell, events.st_ino) == events.st_ino
    done = booting_program("run", lab, "--resume", "--json")
    assert (done.returncode, json.loads(done.stdout)["counts"]) == (0, {"passed": 6})
    results = read_results(folder)
    assert sorted(one.cell for one in results.results) == [f"n={n}" for n in range(1, 7)]
    assert {one.attempt for one in results.results} == {1}
    for cell, inode in seen.items():
        assert (folder / "cells" / cell / "events.jsonl").stat().st_ino == inode
    assert not list(folder.glob("**/.reserve"))


def test_a_full_disk_ends_it_with_what_was_recorded_kept(booting_program, tmp_path, need_program):
    need_program("unshare")
    lab = booting_program.write("lab.yaml", TALKS)
    disk = tmp_path / "disk"
    disk.mkdir()
    script = (
        f'mount -t tmpfs -o size=2m small {disk} && "$@"; s=$?; cp -r {disk}/. {disk}.kept; exit $s'
    )
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]
    command += [sys.executable, "-m", "windtunnel", "run", lab, "--jobs", "1", "--runs", str(disk)]
    ended = subprocess.run(
        command,
        cwd=booting_program.folder,
        env=booting_program.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    if "unshare:" in ended.stderr or "mount:" in ended.stderr:
        pytest.skip(f"no mounts for ordinary users here: {ended.stderr.strip()}")
    assert ended.returncode == 3, ended.stderr
    assert "the disk is full" in ended.stderr
    results = read_results(disk.with_name("disk.kept") / "talks" / "0001")
    assert [(one.cell, one.state.value) for one in results.results] == [
        ("kib=1", "passed"),
        ("kib=4000", "error"),
    ]
    assert results.state == "error"
    assert "disk is full" in results.header["error"]


def test_a_cell_that_passes_only_when_tried_again_is_shown_as_such(booting_program):
    lab = booting_program.write("lab.yaml", LUCK)
    done = booting_program("run", lab, "--hooks", "--retries", "2", "--jobs", "1")
    assert done.returncode == 0, done.stdout
    assert "passed: 2 passed of 2 cells" in done.stdout
    assert "passed only when tried again: n=2" in done.stdout
    tries = [
        (one.cell, one.attempt, one.state.value, one.run)
        for one in results_of(booting_program, "luck/0001").results
    ]
    assert tries == [
        ("n=1", 1, "passed", "cells/n=1"),
        ("n=2", 1, "error", ""),
        ("n=2", 2, "passed", "cells/n=2~2"),
    ]


def test_a_cell_whose_lab_is_wrong_is_its_own_error_and_the_others_are_run(booting_program):
    lab = booting_program.write("lab.yaml", WRONG)
    done = booting_program("run", lab)
    assert done.returncode == 4
    results = results_of(booting_program, "wrong/0001").results
    states = {one.cell: one.state.value for one in results}
    assert states == {"n=1": "passed", "n=x": "error", "n=3": "passed"}
    assert "lab.yaml:4:7: " in done.stdout
    assert "'x s' is not a duration" in done.stdout
    assert "run lab.yaml --only n=x" in done.stdout


def test_a_lab_whose_first_cell_is_wrong_says_so_before_anything_is_made(booting_program):
    lab = booting_program.write("lab.yaml", WRONG.replace("[1, x, 3]", "[x, 1]"))
    done = booting_program("run", lab)
    assert (done.returncode, done.stdout) == (2, "")
    assert "'x s' is not a duration" in done.stderr
    assert not (booting_program.folder / "runs").exists()


def test_what_keeps_is_left_out_where_something_went_wrong(booting_program):
    lab = booting_program.write("lab.yaml", KEEPS)
    assert booting_program("run", lab, "--hooks", "--jobs", "1", "-q").returncode == 1
    assert (booting_program.folder / "order").read_text().splitlines() == [
        "always n=0",
        "cleaned n=0",
        "always n=1",
    ]


def test_hooks_can_be_left_out(booting_program):
    lab = booting_program.write("lab.yaml", KEEPS)
    assert booting_program("run", lab, "--no-hooks", "-q").returncode == 1
    assert not (booting_program.folder / "order").exists()


def test_a_hook_that_takes_too_long_is_ended_with_all_that_it_started(booting_program):
    lab = booting_program.write("lab.yaml", STUCK_HOOK)
    done = booting_program("run", lab, "--hooks")
    assert done.returncode == 4
    assert "waits: it took longer than 1 s of host time" in done.stdout
    pid = int((booting_program.folder / "pid").read_text())
    assert process_start_ticks(pid) is None


def test_what_is_done_in_a_node_at_the_end_is_a_part_of_its_run(booting_program):
    lab = booting_program.write("lab.yaml", NODES)
    done = booting_program("run", lab, "--hooks", "--jobs", "1")
    assert done.returncode == 4
    results = {one.cell: one for one in results_of(booting_program, "nodes/0001").results}
    assert results["n=1"].state.value == "error"
    assert results["n=1"].finding == "dump on a: it exited with 1, not 0: dump"
    kinds = [(check.name, check.kind) for check in results["n=0"].checks]
    # the last one first, in the nodes and then on the host
    assert kinds[-3:-1] == [("dump", "hook"), ("echo last", "hook")]
    assert (booting_program.folder / "order").read_text().splitlines() == ["b passed", "b error"]
    again = booting_program("replay", "nodes/1/n=1")
    assert again.returncode == 0, again.stderr
    assert "equal in every byte" in again.stdout


def test_a_hook_before_the_lab_that_fails_ends_it_and_what_follows_is_cleaned_up(booting_program):
    hooks = 'hooks: {before_lab: ["echo alas; exit 3"], after_lab: ["echo after >> order"]}\n'
    lab = booting_program.write("lab.yaml", MANY + hooks)
    done = booting_program("run", lab, "--hooks")
    assert done.returncode == 3
    assert "the hook 'echo alas; exit 3' of the lab failed: it exited with 3: alas" in done.stderr
    assert "hooks/before_lab.log" in done.stderr
    assert results_of(booting_program, "many/0001").results == []
    assert (booting_program.folder / "order").read_text() == "after\n"


def test_a_lab_with_hooks_and_no_parameters_is_run_as_one_cell(booting_program):
    text = MANY.replace("params: {n: [1, 2, 3, 4, 5, 6]}\n", "").replace("; echo ${n}", "")
    lab = booting_program.write("lab.yaml", text + 'hooks: {before_cell: ["touch here"]}\n')
    assert booting_program("run", lab, "-q").returncode == 2
    done = booting_program("run", lab, "--hooks")
    assert (done.returncode, (booting_program.folder / "here").exists()) == (0, True)
    assert [one.cell for one in results_of(booting_program, "many/0001").results] == ["many"]
    # of one cell there is nothing to choose
    assert booting_program("replay", "many").returncode == 0


def test_ctrl_c_cleans_up_what_was_prepared_and_says_how_to_go_on(booting_program):
    spins = MANY.replace("for i in $(seq 60)", "while :").replace("; echo ${n}", "")
    hooks = 'hooks: {after_cell: ["sleep 0.3; echo cleaned $WINDTUNNEL_CELL >> order"]}\n'
    lab = booting_program.write("lab.yaml", spins + hooks)
    folder = booting_program.folder / "runs" / "many" / "0001"
    with booting_program.start(
        "run", lab, "--hooks", "--jobs", "2", start_new_session=True
    ) as process:
        until = time.monotonic() + 60
        while len(list(folder.glob("cells/*/events.jsonl"))) < 2:
            assert time.monotonic() < until
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of us
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted: 2 interrupted, 4 not run of 6 cells" in stdout
    assert "continue with windtunnel run lab.yaml --hooks --resume\n" in stdout
    assert "windtunnel: interrupted\n" in stderr
    assert sorted((booting_program.folder / "order").read_text().splitlines()) == [
        "cleaned n=1",
        "cleaned n=2",
    ]
    results = read_results(folder)
    assert results.state == "interrupted"
    assert [one.state.value for one in results.results] == ["interrupted"] * 2


def test_results_of_another_version_are_refused(booting_program):
    lab = booting_program.write("lab.yaml", MANY)
    booting_program("run", lab, "-q", "--only", "n=1")
    file = booting_program.folder / "runs" / "many" / "0001" / "results.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "schema": 99}))
    for arguments in (("run", lab, "--resume"), ("runs", "show", "many")):
        done = booting_program(*arguments)
        assert done.returncode == 2
        assert "was made by a newer windtunnel" in done.stderr


def test_a_resume_that_asks_for_other_things_is_refused(booting_program):
    lab = booting_program.write("lab.yaml", MANY)
    booting_program("run", lab, "-q", "--only", "n=1", "--seed", "4")
    same = booting_program("run", lab, "--resume", "--only", "n=1", "--seed", "4")
    assert same.returncode == 0
    assert "passed: 1 passed of 1 cell" in same.stdout
    for arguments, what in ((("--seed", "5"), "seed"), (("--only", "n=2"), "cells")):
        done = booting_program("run", lab, "--resume", *arguments)
        assert done.returncode == 2
        assert f"goes on with the {what} of" in done.stderr
