# SPDX-License-Identifier: Apache-2.0
"""Kernels that panic or hang leave a core, and what is recorded is the same as without one."""

from dataclasses import replace
from pathlib import Path

import pytest

from small_labs import EATER
from windtunnel.engine import core
from windtunnel.engine.inspecting import find_core, kernel_of
from windtunnel.engine.session import Session, SessionRequest, run_session
from windtunnel.engine.world import WorldOptions
from windtunnel.errors import GuestLostError, GuestStuckError, HostError, UsageError
from windtunnel.images.kernels import find_kernel
from windtunnel.model.lab import OWN, Command, LabSpec, NodeSpec, Step
from windtunnel.store.corefiles import cores_of

MIB = 1 << 20
SECOND_NS = 1_000_000_000
ELF = b"\x7fELF"
SPINNER = "exec python3 -c 'while True: pass'"


@pytest.fixture
def options(kernel_path: Path) -> WorldOptions:
    return WorldOptions(kernel=find_kernel(str(kernel_path)))


def step(command: str, *, node: str = "a", at_ns: int = SECOND_NS) -> Step:
    return Step(at_ns, f"at {at_ns}", Command(node, command))


def lab(*steps: Step, **fields) -> LabSpec:
    nodes = (NodeSpec("a"), NodeSpec("b"))
    return LabSpec("cores", **{"nodes": nodes, "steps": steps, "stop_ns": 9 * SECOND_NS, **fields})


def panicking(node: str = "b") -> LabSpec:
    arm = step("sysctl -w vm.panic_on_oom=2", node=node, at_ns=0)
    return lab(arm, step(EATER), memory_bytes=64 * MIB)


def record(spec: LabSpec, options: WorldOptions, folder: Path) -> Session:
    return run_session(SessionRequest(spec, options, output=folder))


def test_a_panic_leaves_a_core_and_a_passing_run_none(options, tmp_path):
    session = record(panicking(), options, tmp_path / "run")
    assert isinstance(session.error, GuestLostError)
    (found,) = cores_of(session.path)
    assert (found.path, found.node) == (session.path / "core", "")
    assert found.path.read_bytes()[:4] == ELF
    assert kernel_of(session.path, found).sha256 == options.kernel.sha256
    with pytest.raises(UsageError, match="has no core of node a") as error:
        find_core(session.path, "a")
    assert '"" (the kernel that nodes share)' in error.value.hint
    passing = record(lab(stop_ns=SECOND_NS), options, tmp_path / "passing")
    assert passing.state == "passed"
    with pytest.raises(UsageError, match="this run passed"):
        find_core(passing.path, None)


def test_a_kernel_that_hangs_leaves_a_core(options, tmp_path):
    options = replace(options, watchdog_host_s=2.0)
    session = record(lab(step(SPINNER)), options, tmp_path / "run")
    assert isinstance(session.error, GuestStuckError)
    assert find_core(session.path, None).path.read_bytes()[:4] == ELF


def test_the_core_of_a_nodes_own_kernel_has_its_name(options, tmp_path):
    own = NodeSpec("a", kernel=OWN, memory_bytes=64 * MIB)
    spec = replace(panicking("a"), nodes=(own, NodeSpec("b")))
    session = record(spec, options, tmp_path / "run")
    assert isinstance(session.error, GuestLostError)
    (found,) = cores_of(session.path)
    assert (found.path.name, found.node) == ("core-a", "a")
    assert kernel_of(session.path, found).sha256 == options.kernel.sha256


def test_a_core_that_cannot_be_taken_changes_nothing_but_says_why(options, tmp_path, monkeypatch):
    taken = record(panicking(), options, tmp_path / "taken")

    def refuse(pid, path, *, signal=0):
        raise HostError(f"cannot take the core of process {pid}: the disk is full")

    monkeypatch.setattr(core, "write_core", refuse)
    without = record(panicking(), options, tmp_path / "without")
    assert cores_of(without.path) == []
    with pytest.raises(UsageError, match=r"has no core: cannot take .*: the disk is full"):
        find_core(without.path, None)
    for name in ("events.jsonl", "console.log"):
        assert (without.path / name).read_bytes() == (taken.path / name).read_bytes()
    assert str(without.error) == str(taken.error)


def test_a_matrix_of_panics_leaves_only_so_many_cores(tmp_path, monkeypatch):
    taken = []
    monkeypatch.setattr(core, "write_core", lambda _pid, path, **_: taken.append(path))
    cells = tmp_path / "cells"
    for number in range(core.CELLS_MAX + 2):
        path = cells / f"n={number}" / "core"
        path.parent.mkdir(parents=True)
        core.GuestCore(path, MIB).take(1)
        if path in taken:
            path.touch()
    assert len(taken) == core.CELLS_MAX
    assert "10 other cells have left cores" in (cells / "n=11" / "core.failed").read_text()
    alone = tmp_path / "runs" / "core"
    alone.parent.mkdir()
    core.GuestCore(alone, MIB).take(1)
    assert alone in taken
