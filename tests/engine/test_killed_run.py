# SPDX-License-Identifier: Apache-2.0
"""`windtunnel run`, killed or interrupted at any moment: nothing of it stays, and its record reads.

These tests are about the host's processes and the host's time.
"""
# ruff: noqa: TID251

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from repository import REPOSITORY
from windtunnel.machines import sweep
from windtunnel.sim.seeds import derive
from windtunnel.store.run_dir import RunReader

SEED = 2026
MOMENTS = 50
GONE_HOST_S = 2.0
BEGUN_HOST_S = 60.0

LAB = """\
name: busy
memory: 64 MiB
nodes: {a: {}, b: {}}
links: [{endpoints: [a, b], delay: 10 ms}]
stop: 1000 h
run:
  - {name: ticks, node: a, cmd: "while :; do echo tick; sleep 0.01; done"}
  - {name: pings, node: b, cmd: ping -i 0.1 a}
"""


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    path = tmp_path / "lab.yaml"
    path.write_text(LAB)
    return path


def ours(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(REPOSITORY / "src"), **more}


def start(lab: Path, kernel: Path, run: Path, **options) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "windtunnel", "run", str(lab), "--output", str(run)],
        cwd=lab.parent,
        env=ours(WINDTUNNEL_KERNEL=str(kernel)),
        stdin=subprocess.DEVNULL,
        **{"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **options},
    )


def scratches_of(pid: int) -> list[Path]:
    """The scratch directories of a process, alive or dead."""
    return [path for base in sweep._bases() for path in base.glob(f"{pid}-*") if path.is_dir()]


def working_in(folders: list[Path]) -> list[str]:
    """All processes whose working directory is one of the folders."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            folder = os.readlink(f"/proc/{name}/cwd").removesuffix(" (deleted)")
            # Each guest has a folder of its own in it.
            if {Path(folder), Path(folder).parent} & set(folders):
                found.append(f"{name} {os.readlink(f'/proc/{name}/exe')}")
        except OSError:
            continue
    return found


def waited_for(reached, limit_host_s: float) -> bool:
    end = time.monotonic() + limit_host_s
    while not reached():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def moments(begun_host_s: float) -> Iterator[tuple[str, float]]:
    """Half of them in the start and the set-up, half anywhere in the first second of running.

    Args:
        begun_host_s: how long a run takes on this host at present until a process of it runs.
    """
    for attempt in range(MOMENTS):
        share = derive(SEED, "moment", str(attempt)) % 1_000_000 / 1e6
        after_s = share * begun_host_s if attempt % 2 else begun_host_s + share
        yield f"seed {SEED}, attempt {attempt}", after_s


def test_a_run_killed_at_any_moment_leaves_nothing_and_can_be_read(lab, kernel_path, tmp_path):
    began_host_s = time.monotonic()
    with begin(lab, kernel_path, tmp_path / "measured") as process:
        begun_host_s = time.monotonic() - began_host_s
        process.kill()
    states = []
    for number, (where, delay_host_s) in enumerate(moments(begun_host_s)):
        run = tmp_path / f"run{number}"
        with start(lab, kernel_path, run) as process:
            time.sleep(delay_host_s)
            process.kill()
        scratches = scratches_of(process.pid)
        assert waited_for(lambda: not working_in(scratches), GONE_HOST_S), (  # noqa: B023
            where,
            working_in(scratches),
        )
        # A supervisor that was just being born may hold the lock for a moment longer.
        assert waited_for(
            lambda: sweep.sweep() is not None and not scratches_of(process.pid),
            GONE_HOST_S,
        ), where
        if (run / "manifest.json").exists():
            reader = RunReader(run)
            assert reader.state == "killed", where
            states.append([event.kind for event in reader.events()][:1])
    assert ["lab-begin"] in states, "no run was killed while it ran"


def begin(lab: Path, kernel: Path, run: Path, **options) -> subprocess.Popen:
    process = start(lab, kernel, run, **options)
    events = run / "events.jsonl"
    assert waited_for(
        lambda: events.exists() and b"process-start" in events.read_bytes(), BEGUN_HOST_S
    )
    return process


@pytest.mark.parametrize("times", [1, 2], ids=["once", "twice"])
def test_ctrl_c_leaves_nothing(times, lab, kernel_path, tmp_path):
    run = tmp_path / "run"
    with begin(lab, kernel_path, run, stderr=subprocess.PIPE, text=True) as process:
        scratches = scratches_of(process.pid)
        assert working_in(scratches) != []
        for _ in range(times):
            process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in said
    assert waited_for(lambda: not working_in(scratches), GONE_HOST_S)
    sweep.sweep()
    assert scratches_of(process.pid) == []
    assert RunReader(run).state in (["interrupted"] if times == 1 else ["interrupted", "killed"])


def test_the_next_start_sweeps_what_a_killed_run_left(lab, kernel_path, tmp_path):
    with begin(lab, kernel_path, tmp_path / "killed") as killed:
        killed.kill()
    assert len(scratches_of(killed.pid)) == 1
    with begin(lab, kernel_path, tmp_path / "next") as following:
        assert scratches_of(killed.pid) == []
        following.send_signal(signal.SIGINT)
    assert RunReader(tmp_path / "killed").state == "killed"
