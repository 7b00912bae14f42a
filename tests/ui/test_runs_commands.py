# SPDX-License-Identifier: Apache-2.0
"""What runs have left, whether they ended or not."""

from __future__ import annotations

import json

import pytest

from windtunnel.model.event import Event
from windtunnel.store.run_dir import RunWriter

SECOND_NS = 1_000_000_000


def check(sequence, name, *, at_s, took_ns, passed, message="", node="r1", of="step"):
    fields = {
        "name": name, "of": of, "passed": passed, "judged": True,
        "at_ns": at_s * SECOND_NS, "took_ns": took_ns, "message": message,
    }  # fmt: skip
    return Event(at_s * SECOND_NS + took_ns, sequence, "check", node, fields)


@pytest.fixture
def runs(program):
    """A run that has failed and one that goes on: its writer is this test."""
    arguments = {
        "lab": "ring",
        "lab_text": "name: ring\n",
        "source_text": None,
        "manifest": {
            "seed": 42,
            "kernel": {"release": "7.3.4"},
            "repeat": "windtunnel replay {run}",
        },
    }
    base = program.folder / "runs"
    with RunWriter.create(base, **arguments) as failed:
        failed.event(check(0, "converged", at_s=1, took_ns=20_030_000_000, passed=True))
        failed.event(
            check(1, "healed", at_s=60, took_ns=1_000, passed=False, message="no answer\nat all")
        )
        failed.event(check(2, "zebra", at_s=0, took_ns=1, passed=True, of="process"))
        failed.event(check(3, "ospfd", at_s=0, took_ns=1, passed=True, of="process"))
        failed.finish(
            "failed",
            summary={
                "end_ns": 3600 * SECOND_NS,
                "finding": None,
                "repeat": "windtunnel replay runs/ring/0001",
                "host": {"wall_host_s": 20.0, "cpu_host_s": 18.25},
            },
        )
    going_on = RunWriter.create(base, **arguments)
    going_on.event(check(0, "converged", at_s=1, took_ns=5 * SECOND_NS, passed=True))
    yield base
    going_on.close()


FAILED = """\
ring, seed 42, Linux 7.3.4

step or check  node           at      took  verdict
converged      r1        1.000 s  20.030 s  ✓ passed
healed         r1    1 min 00 s  1.000 us  ✗ failed
      no answer
      at all
2 processes                                ✓ as expected

failed: 1 of 4
virtual time  1 h 00 min 00 s
wall time     20.0 s: 180 x real time, 18.2 s of processor time
recorded in   runs/ring/0001
repeat it     windtunnel replay runs/ring/0001  (seed 42)
look at it    windtunnel report runs/ring/0001
"""


def test_a_failed_run_is_a_table_its_facts_and_the_command_that_repeats_it(program, runs):
    done = program("runs", "show", "ring/1")
    assert " ".join(done.stdout.split()) == " ".join(FAILED.split())
    assert done.stdout.splitlines()[5:8] == FAILED.splitlines()[5:8]
    assert done.returncode == 0


def test_columns_stand_below_their_headings(program, runs):
    head, first, second = program("runs", "show", "ring/1").stdout.splitlines()[2:5]
    for heading, cells in (("node", ("r1", "r1")), ("verdict", ("✓ passed", "✗ failed"))):
        at = head.index(heading)
        assert (first[at:].startswith(cells[0]), second[at:].startswith(cells[1])) == (True, True)
    assert head.index("at") + 2 == first.index("1.000 s") + 7 == second.index("1 min") + 10


def test_a_run_that_goes_on_can_be_looked_at(program, runs):
    text = program("runs", "show", "ring").stdout
    assert "\nstill running\nvirtual time  6.000 s\nrecorded in   runs/ring/0002\n" in text


def test_all_runs_are_listed(program, runs):
    lines = program("runs", "list").stdout.splitlines()
    assert [line.split() for line in lines] == [
        ["run", "state", "failed", "cells", "seed", "virtual", "host"],
        ["ring/0001", "failed", "1", "42", "1", "h", "00", "min", "00", "s", "20.0", "s"],
        ["ring/0002", "running", "42", "6.000", "s"],
    ]


def test_no_runs_are_no_error(program):
    done = program("runs", "list")
    assert (done.returncode, done.stdout) == (0, "no runs in runs\n")


def test_reports_are_json_too(program, runs):
    listed = json.loads(program("runs", "list", "--json").stdout)
    shown = json.loads(program("runs", "show", "ring/1", "--json").stdout)
    assert [report["state"] for report in listed] == ["failed", "running"]
    assert listed[0]["checks"] == shown["checks"]
    assert (shown["seed"], shown["end_ns"], shown["speed"]) == (42, 3_600_000_000_000, 180.0)
    assert shown["checks"][1]["message"] == "no answer\nat all"


def test_a_run_without_a_writer_reads_as_killed(program, runs):
    run = runs / "ring" / "0001"
    manifest = json.loads((run / "manifest.json").read_text())
    manifest |= {"state": "running", "repeat": "windtunnel replay {run}", "end_ns": None}
    manifest["writer"] = {"pid": 1, "start_ticks": 0, "boot_id": "another"}
    del manifest["host"]
    (run / "manifest.json").write_text(json.dumps(manifest))
    text = program("runs", "show", "ring/1").stdout
    assert "\nkilled at 1 min 00 s: nobody was left to say why\n" in text
    assert "\nrepeat it     windtunnel replay runs/ring/0001  (seed 42)\n" in text
