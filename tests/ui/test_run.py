# SPDX-License-Identifier: Apache-2.0
# Processes of the host are waited for by the host's clock:
# ruff: noqa: TID251
"""`windtunnel run` on a real kernel: its statuses, its report, its end by Ctrl-C."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

PASSES = """\
name: passes
seed: 3
nodes: {a: {}, b: {}}
links: [{endpoints: [a, b], delay: 10 ms}]
stop: 1 h
run:
  - {name: daemon, node: b, cmd: sleep 10000, expect: running}
steps:
  - {name: reached, at: 1 s, node: a, cmd: ping -c 1 b}
  - {name: cut, at: 60 s, link: a-b, down: true}
"""
FAILS = """\
name: fails
nodes: {a: {}}
stop: 10 s
run:
  - {name: daemon, node: a, cmd: exit 3, expect: running}
steps:
  - {name: right, at: 1 s, node: a, cmd: "true"}
  - {name: wrong, at: 2 s, node: a, cmd: "echo no luck; exit 5"}
"""
SPINS = """\
name: spins
nodes: {a: {}}
stop: 1 h
steps:
  - {name: spin, at: 5 s, node: a, cmd: "awk 'BEGIN { while (1); }'"}
"""
ENDLESS = """\
name: endless
nodes: {a: {}}
stop: 1000 h
run:
  - {name: ticks, node: a, cmd: "while true; do echo tick; sleep 0.01; done"}
"""
BEGUN_HOST_S = 60


def test_a_lab_that_passes_ends_with_0_and_a_table(booting_program):
    booting_program.write("lab.yaml", PASSES)
    done = booting_program("run", "lab.yaml")
    lines = [line.split() for line in done.stdout.splitlines()]
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("passes, seed 3")
    assert ["cut", "1", "min", "00", "s", "0", "s", "✓", "done"] in lines
    assert ["1", "process", "✓", "as", "expected"] in lines
    assert ["virtual", "time", "1", "h", "00", "min", "00", "s"] in lines
    assert ["recorded", "in", "runs/passes/0001"] in lines
    assert not any(line[:2] == ["repeat", "it"] for line in lines)


def test_a_lab_that_fails_ends_with_1_and_says_what_and_how_to_repeat_it(booting_program):
    booting_program.write("lab.yaml", FAILS)
    done = booting_program("run", "lab.yaml")
    assert (done.returncode, done.stderr) == (1, "")
    assert "      it exited with 5, not 0: no luck\n" in done.stdout
    assert "      expected it to be running, but it exited with 3\n" in done.stdout
    assert "\nfailed: 2 of 3\n" in done.stdout
    assert "\nrepeat it     windtunnel replay runs/fails/0001  (seed 0)\n" in done.stdout


def test_a_run_as_json_is_one_document(booting_program):
    booting_program.write("lab.yaml", FAILS)
    done = booting_program("run", "lab.yaml", "--json", "--seed", "5", "--output", "here")
    document = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (1, "")
    assert (document["state"], document["seed"], document["end_ns"]) == (
        "failed",
        5,
        10_000_000_000,
    )
    assert Path(document["path"]) == booting_program.folder / "here"
    assert [(check["name"], check["passed"]) for check in document["checks"]] == [
        ("right", True),
        ("wrong", False),
        ("daemon", False),
    ]


def test_quiet_says_nothing_when_all_is_well(booting_program):
    booting_program.write("lab.yaml", PASSES)
    done = booting_program("run", "-q", "lab.yaml", "--stop", "2 min")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_two_runs_do_not_share_a_folder(booting_program):
    booting_program.write("lab.yaml", FAILS)
    assert booting_program("run", "lab.yaml", "--output", "here").returncode == 1
    done = booting_program("run", "lab.yaml", "--output", "here")
    assert (done.returncode, done.stdout) == (2, "")
    assert "another run is or was in" in done.stderr


def test_a_program_that_spins_ends_the_run_with_4_and_its_name(booting_program):
    booting_program.write("lab.yaml", SPINS)
    done = booting_program("run", "lab.yaml", "--watchdog", "1")
    assert done.returncode == 4
    assert done.stderr.startswith("windtunnel: node a, at ")
    assert "virtual time has stood still for 1 s of host time: process 'awk'" in done.stderr
    assert "\nended by an error at " in done.stdout
    assert "\nrepeat it     windtunnel replay runs/spins/0001  (seed 0)\n" in done.stdout


def begin_endless(program):
    """Start a run that does not end, and wait until its lab has begun."""
    program.write("lab.yaml", ENDLESS)
    process = program.start("run", "lab.yaml")
    events = program.folder / "runs" / "endless" / "0001" / "events.jsonl"
    limit = time.monotonic() + BEGUN_HOST_S
    while not (events.exists() and b"lab-begin" in events.read_bytes()):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < limit
        time.sleep(0.05)
    return process


def test_ctrl_c_ends_a_run_in_good_order(booting_program):
    process = begin_endless(booting_program)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=30)
    assert (process.returncode, stdout) == (130, "")
    assert stderr == (
        "\nwindtunnel: interrupted\n"
        "  what was recorded until then: windtunnel runs show runs/endless/0001\n"
    )
    shown = json.loads(booting_program("runs", "show", "endless", "--json").stdout)
    assert shown["state"] == "interrupted"


def test_a_second_ctrl_c_ends_it_at_once_and_no_guest_stays(booting_program):
    process = begin_endless(booting_program)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert children, "the supervisor of the guest"
    process.send_signal(signal.SIGINT)
    time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=30)
    assert (process.returncode, stdout) == (130, "")
    # the first may have been so fast that the second found nothing to end
    assert "Traceback" not in stderr
    limit = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in children):
        assert time.monotonic() < limit, "the supervisor outlives us"
        time.sleep(0.05)


@pytest.mark.parametrize("name", ["TERM", "KILL"])
def test_a_killed_run_can_be_read(booting_program, name):
    process = begin_endless(booting_program)
    process.send_signal(getattr(signal, f"SIG{name}"))
    process.communicate(timeout=30)
    shown = json.loads(booting_program("runs", "show", "endless", "--json").stdout)
    assert shown["state"] == "killed"


def test_a_step_that_still_runs_when_the_lab_stops_has_not_passed(booting_program):
    text = "name: cut\nstop: 5 s\nnodes: {a: {}}\nsteps: [{at: 1 s, node: a, cmd: sleep 100}]\n"
    done = booting_program("run", booting_program.write("lab.yaml", text))
    assert done.returncode == 1
    assert "it had not ended when the lab stopped" in done.stdout
