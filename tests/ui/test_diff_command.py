# SPDX-License-Identifier: Apache-2.0
"""`windtunnel diff`, as a user types it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from recorded_runs import EVENTS, record

LAB = """\
name: pair
params: {loss: [0%, 100%], ms: [1, 5]}
nodes: {a: {}, b: {}}
links: [{endpoints: [a, b], delay: "${ms} ms", loss: "${loss}"}]
steps: [{name: p, node: a, at: 3 s, cmd: ping -c 3 -W 1 b}]
"""

REST = "preemptions 1, rss_max_bytes 4096, status {}, system_ns 7, user_ns 5, waits 2"
KILLED = f"outcome killed, {REST.format(9)}"
EXITED = f"outcome exited, {REST.format(0)}"
SHOWN = f"""\
a  runs/ring/0001
b  runs/ring/0002

the first event that differs, at 3 ns:
     0.000000001 s  r1  process-start zebra: command zebra -d, pid 12
     0.000000002 s  -  fault cut: of link-cut, phase begin, target a-b
  a  0.000000003 s  r1  process-exit zebra: {KILLED}
  b  0.000000003 s  r1  process-exit zebra: {EXITED}
"""


@pytest.fixture
def recorded(program):
    """Two runs that differ in how a process ended."""
    fields = {**EVENTS[3].fields, "outcome": "exited", "status": 0}
    record(program.folder / "runs")
    record(program.folder / "runs", [*EVENTS[:3], replace(EVENTS[3], fields=fields), *EVENTS[4:]])
    return program


def test_the_first_event_that_differs_is_shown_with_those_before_it(recorded):
    done = recorded("diff", "ring/1", "ring/2", "-C", "2")
    assert done.returncode == 1
    assert done.stdout == SHOWN
    assert done.stderr == ""
    told = json.loads(recorded("diff", "ring/1", "latest", "--json").stdout)
    assert told["first_event"]["a"]["fields"]["outcome"] == "killed"
    assert not told["equal"]
    assert told["counts"] == told["checks"] == []


def test_equal_runs_are_equal_and_what_is_ignored_is(recorded):
    done = recorded("diff", "ring/1", "ring/1")
    assert done.returncode == 0
    assert "nothing that was compared differs" in done.stdout
    assert recorded("diff", "ring/1", "ring/2", "--ignore", "process-exit").returncode == 0
    assert recorded("diff", "ring/1", "ring/2", "--node", "r2").returncode == 0


def test_the_same_bytes_whatever_the_hash_seed(recorded):
    said = set()
    for seed in ("0", "1", "77"):
        recorded.environment["PYTHONHASHSEED"] = seed
        said.add(recorded("diff", "ring/1", "ring/2").stdout)
        said.add(recorded("diff", "ring/1", "ring/2", "--json").stdout)
    assert len(said) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("ring/1", "ring/9"), "ring/9"),
        (("ring/1", "ring/2", "--ignore", "check-s"), "did you mean 'checks'?"),
        (("ring/1",), "there is no run that passed"),
        (("nowhere", "ring/1"), "nowhere"),
    ],
)
def test_what_cannot_be_compared_says_so(recorded, words, message):
    done = recorded("diff", *words)
    assert done.returncode == 2
    assert message.replace("checks", "check") in done.stderr
    assert "Traceback" not in done.stderr


def test_a_run_of_a_newer_version_is_compared_with_a_word_of_warning(recorded):
    file = recorded.folder / "runs/ring/0002/manifest.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "schema": 99}))
    done = recorded("diff", "ring/1", "ring/2")
    assert done.returncode == 1
    assert "ring/0002: recorded by a newer windtunnel (schema 99" in done.stderr
    assert "schema" in done.stdout


def test_a_broken_record_is_an_error_with_its_place(recorded):
    file = recorded.folder / "runs/ring/0002/events.jsonl"
    file.write_text(f"rubbish\n{file.read_text()}")
    done = recorded("diff", "ring/1", "ring/2")
    assert done.returncode != 0
    assert "events.jsonl:1:" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.needs_uml
def test_a_failed_cell_is_compared_with_the_nearest_that_passed(booting_program):
    (booting_program.folder / "lab.yaml").write_text(LAB)
    done = booting_program("run", "lab.yaml")
    assert done.returncode == 1
    assert "against runs/pair/0001/cells/loss=0%25,ms=1, which passed (other lab):" in done.stdout
    assert "the first event that differs, at 3." in done.stdout
    failed = "pair/1/loss=100%,ms=5"
    again = booting_program("diff", failed)
    assert again.returncode == 1
    assert again.stdout.startswith("a  runs/pair/0001/cells/loss=0%25,ms=5\n")
    results = booting_program("diff", "pair/1", failed)
    assert results.returncode == 2
    assert "windtunnel results diff" in results.stderr


@pytest.mark.needs_uml
def test_a_failed_run_is_compared_with_the_last_that_passed(booting_program):
    single = LAB.replace("params: {loss: [0%, 100%], ms: [1, 5]}\n", "").replace("${ms}", "1")
    for loss, status in (("0%", 0), ("100%", 1)):
        (booting_program.folder / "lab.yaml").write_text(single.replace("${loss}", loss))
        done = booting_program("run", "lab.yaml")
        assert done.returncode == status
    assert "against runs/pair/0001, which passed (other lab):" in done.stdout
    assert "windtunnel diff runs/pair/0001 runs/pair/0002" in done.stdout


PANICS = """\
name: pair
memory: 64 MiB
nodes: {a: {}}
steps:
  - {name: first, node: a, at: 1 s, cmd: sleep 1}
"""
EATER = """\
  - {name: arm, node: a, at: 2 s, cmd: sysctl -w vm.panic_on_oom=2}
  - name: eat
    node: a
    at: 3 s
    cmd: >-
      exec python3 -c 'import ctypes; ctypes.CDLL(None).mlockall(3);
      x = [bytearray(1 << 20) for _ in range(10000)]'
"""


@pytest.mark.needs_uml
def test_a_panic_is_explained_and_compared_with_the_last_run_that_passed(booting_program):
    file = booting_program.folder / "lab.yaml"
    file.write_text(PANICS)
    assert booting_program("run", "lab.yaml").returncode == 0
    file.write_text(PANICS + EATER)
    done = booting_program("run", "lab.yaml")
    assert done.returncode == 4
    assert "Kernel panic - not syncing: Out of memory" in done.stderr
    assert "against runs/pair/0001, which passed (other lab):" in done.stdout
    assert "the first event that differs, at " in done.stdout
