# SPDX-License-Identifier: Apache-2.0
# Processes of the host are waited for by the host's clock:
# ruff: noqa: TID251
"""`windtunnel search` on a real kernel: its statuses, its tables, its end by Ctrl-C."""

from __future__ import annotations

import json
import re
import signal
import time

import pytest

# A ping at 2.5 s, in 20 s of which cables are out: some seeds fail, and most pass.
LAB = """\
name: chancy
nodes: {a: {}, b: {}}
links: [{endpoints: [a, b], ip: [10.0.0.1/24, 10.0.0.2/24]}]
stop: 5 s
faults:
  - random: {kinds: [down, pause], rate: 60/min, for: [100 ms, 400 ms], between: [1 s, 5 s]}
steps:
  - {name: reached, at: 2500 ms, node: a, cmd: ping -c 1 -W 0.1 10.0.0.2}
"""
PASSES = "name: passes\nnodes: {a: {}}\nstop: 1 s\n"
ENDLESS = """\
name: endless
nodes: {a: {}}
stop: 1000 h
run:
  - {name: ticks, node: a, cmd: "while true; do echo tick; sleep 0.01; done"}
"""


def test_a_failure_is_found_shrunk_and_repeated_by_the_command_that_is_shown(booting_program):
    booting_program.write("lab.yaml", LAB)
    done = booting_program("search", "lab.yaml", "--seeds", "1..40", "--jobs", "2")
    assert (done.returncode, done.stderr) == (1, "")
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[0] == ["seed", "what", "failed", "recorded", "in"]
    assert lines[1][1:] == ["reached", "runs/chancy/0001"]
    seed = lines[1][0]
    assert re.search(rf"(?m)^seed {seed}, \d+ trials: \d faults shrunk to 1$", done.stdout)
    assert "its lab       runs/chancy/0002/lab.yaml\n" in done.stdout
    repeat = re.search(r"(?m)^repeat it +windtunnel (.*)  \(seed \d+\)$", done.stdout)[1]
    assert repeat == "replay runs/chancy/0002"
    again = booting_program(*repeat.split())
    assert again.returncode == 0
    assert "equal" in again.stdout
    failed = booting_program("run", "runs/chancy/0002/lab.yaml", "-q")
    assert (failed.returncode, "✗ failed" in failed.stdout) == (1, True)


def test_as_json_jobs_change_nothing(booting_program):
    booting_program.write("lab.yaml", LAB)
    found = []
    for jobs in ("1", "2"):
        done = booting_program(
            *("search", "lab.yaml", "--seeds", "1..40", "--stop-after", "2", "--json"),
            *("--jobs", jobs, "--runs", f"runs-{jobs}"),
        )
        assert (done.returncode, done.stderr) == (1, "")
        document = json.loads(done.stdout.replace(f"runs-{jobs}", "runs"))
        assert document.pop("wall_host_s") > 0
        found.append(document)
    assert found[0] == found[1]
    first, second = found[0]["failures"]
    assert first["seed"] < second["seed"] == found[0]["seeds"]["tried"]
    assert first["checks"] == second["checks"] == ["reached"]
    assert len(first["shrunk"]["faults"]) == 1
    assert second["shrunk"] is None  # it fails in the same way


def test_when_no_seed_fails_the_status_is_0(booting_program):
    booting_program.write("lab.yaml", PASSES)
    done = booting_program("search", "lab.yaml", "--seeds", "1..3", "--no-shrink")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"\nno seed fails: 3 seeds in \d+ s, \d+ a minute\n", done.stdout)
    assert not (booting_program.folder / "runs").exists()


def test_ctrl_c_ends_it_with_130_and_leaves_nothing(booting_program):
    booting_program.write("lab.yaml", ENDLESS)
    with booting_program.start("search", "lab.yaml") as process:
        folder = booting_program.folder / "runs" / "endless"
        for _ in range(600):
            if list(folder.glob("search-*/*/nodes/a/ticks.stdout")):
                break
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "no seed has failed so far: 0 seeds" in stdout
    assert "windtunnel: interrupted" in stderr
    assert not (booting_program.folder / "runs").exists()


@pytest.mark.parametrize(
    ("seeds", "said"),
    [
        ("many", "--seeds 'many' is no range of seeds"),
        ("9..1", "--seeds 9..1: there is no seed"),
        ("1..99999999999999999999", "out of range"),
    ],
)
def test_wrong_seeds_are_said_before_anything_starts(program, seeds, said):
    program.write("lab.yaml", PASSES)
    done = program("search", "lab.yaml", "--seeds", seeds)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_a_wrong_lab_is_said_before_a_kernel_is_looked_for(program):
    program.write("lab.yaml", "name: x\nnodes: {a: {}}\nfaults: [{at: 1 s, node: b, pause: 1 s}]\n")
    done = program("search", "lab.yaml")
    assert done.returncode == 2
    assert "no node 'b'" in done.stderr
