# SPDX-License-Identifier: Apache-2.0
"""Kernels of nodes' own fail and boot in the same way, however many run at the same time."""

from __future__ import annotations

import pytest

import small_labs
from windtunnel.engine.session import SessionRequest, run_session
from windtunnel.engine.verify import VerifyRequest, verify
from windtunnel.store.run_reader import RunReader


@pytest.fixture(autouse=True)
def _programs(need_program):
    for program in ("ping", "ip"):
        need_program(program)


def test_faults_of_nodes_with_own_kernels_repeat_at_any_parallelism(kernel_path, tmp_path):
    spec, options = small_labs.own_kernels(), small_labs.options(kernel_path)
    found = verify(VerifyRequest(spec, options, tmp_path, times=2))
    assert {run.conditions.parallel for run in found} == {1, 2}
    assert len({run.conditions.hash_seed for run in found}) == 2
    assert [run.difference.describe() for run in found if run.difference] == []
    assert [run.grants.describe() for run in found if run.grants] == []
    assert len({run.digest for run in found}) == 1
    # equal runs leave no folder: one more, to see that the faults were there
    reader = RunReader(run_session(SessionRequest(spec, options, output=tmp_path / "run")).path)
    phases = [event.fields["phase"] for event in reader.events() if event.kind == "fault"]
    assert (phases.count("begin"), phases.count("end"), phases.count("failed")) == (8, 8, 0)
    lives = [reader.read_output("b", name) for name in ("random", "random.2", "random.3")]
    assert all(lives)
    assert len({life[:24] for life in lives}) == 3
