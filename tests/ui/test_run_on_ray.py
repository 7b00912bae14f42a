# SPDX-License-Identifier: Apache-2.0
# Machines are killed and waited for by the host's clock:
# ruff: noqa: TID251
"""Cells on a Ray cluster of several nodes on this machine: the same results, none lost."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path

import pytest

pytestmark = pytest.mark.needs_uml

LAB = """\
name: pair
params: {{loss: [0%, 30%], n: [{numbers}]}}
nodes: {{a: {{}}, b: {{}}}}
links: [{{endpoints: [a, b], delay: "${{n}} ms", loss: "${{loss}}"}}]
steps: [{{name: p, node: a, at: 3 s, cmd: ping -c 5 -W 1 b}}]
"""
LIMIT_HOST_S = 300  # on a busy host, with a kernel that is slow there
NOT_COMPARED = ("host", "writer", "repeat", "options")


@pytest.fixture(scope="module")
def cluster(need_module, tmp_path_factory):
    """A cluster of a head without processors and two workers, each with a cache of its own."""
    need_module("ray")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 - or whoever else computes is first
    from ray.cluster_utils import Cluster  # noqa: PLC0415

    memory = 80 << 20
    folder = tempfile.mkdtemp(prefix="ray-")  # short: sockets are in it
    found = Cluster(
        initialize_head=True,
        head_node_args={
            "num_cpus": 0,
            "object_store_memory": memory,
            "include_dashboard": False,
            "temp_dir": folder,
        },
    )
    found.caches = []
    found.workers = []

    def add_worker():
        cache = tmp_path_factory.mktemp("cache")
        found.caches.append(cache)
        found.workers.append(
            found.add_node(
                num_cpus=1,
                object_store_memory=memory,
                env_vars={"XDG_CACHE_HOME": str(cache)},
            )
        )
        return found.workers[-1]

    found.add_worker = add_worker
    add_worker()
    add_worker()
    yield found
    found.shutdown()
    shutil.rmtree(folder, ignore_errors=True)


def write_lab(booting_program, numbers):
    (booting_program.folder / "lab.yaml").write_text(
        LAB.format(numbers=", ".join(map(str, numbers)))
    )


def contents(results):
    """All that the cells of results came to, less what is the host's."""
    found = {}
    for file in sorted(Path(results).rglob("*")):
        if file.is_file() and file.name not in (".lock", "results.json", "cells.jsonl"):
            data = file.read_bytes()
            if file.name == "manifest.json":
                values = json.loads(data)
                data = {key: values[key] for key in values if key not in NOT_COMPARED}
            found[file.relative_to(results).as_posix()] = data
    return found


def lines(results):
    return [json.loads(line) for line in (results / "cells.jsonl").read_text().splitlines()]


def test_results_are_those_of_this_machine_byte_for_byte(booting_program, cluster):
    write_lab(booting_program, (1, 2, 3))
    local = booting_program("run", "lab.yaml", "--jobs", "2", "--output", "local")
    far = booting_program(
        "run", "lab.yaml", "--engine", f"ray:{cluster.address}", "--output", "far"
    )
    assert local.returncode == far.returncode == 0, far.stderr
    assert contents(booting_program.folder / "local") == contents(booting_program.folder / "far")
    by_cell = {one["cell"]: one for one in lines(booting_program.folder / "local")}
    for one in lines(booting_program.folder / "far"):
        same = by_cell.pop(one["cell"])
        for key in ("state", "checks", "end_ns", "params", "seed", "run", "attempt", "index"):
            assert one[key] == same[key]
        assert one["repeat"] == same["repeat"].replace("local", "far")
    assert not by_cell
    assert booting_program("replay", "far/cells/loss=30%25,n=2").returncode == 0
    # Each machine was sent the code, the agent and the kernel, once.
    for cache in cluster.caches:
        assert len(list((cache / "windtunnel/shipped").iterdir())) == 3


def test_a_node_that_is_killed_loses_no_cell_and_runs_none_twice(booting_program, cluster):
    numbers = range(1, 11)
    write_lab(booting_program, numbers)
    victim = cluster.add_worker()
    with booting_program.start(
        "run", "lab.yaml", "--engine", f"ray:{cluster.address}", "--output", "far", "--jobs", "3"
    ) as process:
        file = booting_program.folder / "far/cells.jsonl"
        limit = time.monotonic() + LIMIT_HOST_S
        while not (file.exists() and len(file.read_text().splitlines()) >= 4):
            assert time.monotonic() < limit, process.communicate()
            time.sleep(0.05)
        cluster.remove_node(victim, allow_graceful=False)
        stdout, stderr = process.communicate(timeout=LIMIT_HOST_S)
    assert process.returncode == 0, stderr
    found = lines(booting_program.folder / "far")
    passed = Counter(one["cell"] for one in found if one["state"] == "passed")
    assert len(passed) == 2 * len(numbers)
    assert set(passed.values()) == {1}
    assert all(one["state"] in ("passed", "lost") for one in found)
    assert f"{2 * len(numbers)} passed" in stdout


def test_ctrl_c_ends_the_cells_on_the_cluster_too(booting_program, cluster):
    (booting_program.folder / "lab.yaml").write_text(
        "name: long\nparams: {n: [1, 2]}\nstop: 1000 h\n"
        "nodes: {a: {run: [{cmd: 'ping -q -i 0.002 127.0.0.1'}]}}\n"
    )
    with booting_program.start(
        "run", "lab.yaml", "--engine", f"ray:{cluster.address}", "--output", "far"
    ) as process:
        limit = time.monotonic() + LIMIT_HOST_S
        while not cells_running():
            assert time.monotonic() < limit
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=LIMIT_HOST_S)
    assert process.returncode == 130, stderr
    assert {one["state"] for one in lines(booting_program.folder / "far")} == {"interrupted"}
    limit = time.monotonic() + LIMIT_HOST_S
    while cells_running():
        assert time.monotonic() < limit
        time.sleep(0.1)


def cells_running():
    found = subprocess.run(
        ["pgrep", "-f", "windtunnel.engine.remotetry"], check=False, capture_output=True, text=True
    )
    return found.stdout.split()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--engine", "ray:"), "no place to run cells"),
        (("--engine", "slurm"), "local, ray or ray:HOST:PORT"),
        (("--engine", "ray:127.0.0.1:1"), "no Ray cluster answers"),
    ],
)
def test_what_cannot_be_reached_says_so(booting_program, cluster, words, message):
    write_lab(booting_program, (1,))
    done = booting_program("run", "lab.yaml", *words)
    assert done.returncode in (2, 3)
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_lab_that_is_wrong_and_hooks_are_told_before_anything_is_sent(booting_program, cluster):
    (booting_program.folder / "lab.yaml").write_text(
        "name: pair\nparams: {n: [1, x]}\nnodes: {a: {}, b: {}}\n"
        'links: [{endpoints: [a, b], delay: "${n} ms"}]\nsteps: [{node: a, at: 1 s, cmd: "true"}]\n'
    )
    done = booting_program(
        "run", "lab.yaml", "--engine", f"ray:{cluster.address}", "--output", "far"
    )
    assert done.returncode == 4
    assert {one["cell"]: one["state"] for one in lines(booting_program.folder / "far")} == {
        "n=1": "passed",
        "n=x": "error",
    }
    (booting_program.folder / "lab.yaml").write_text(
        "name: pair\nparams: {n: [1]}\nnodes: {a: {}}\nhooks: {before_cell: ['true']}\n"
    )
    done = booting_program("run", "lab.yaml", "--engine", "ray", "--hooks")
    assert done.returncode == 2
    assert "hooks run on this machine" in done.stderr
