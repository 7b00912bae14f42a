# SPDX-License-Identifier: Apache-2.0
"""The planted bug of examples/election-bug is found, shrunk and repeated."""

from __future__ import annotations

import os
import re

from repository import REPOSITORY
from windtunnel.engine.kernel import default_kernel
from windtunnel.engine.labfile import LabFile
from windtunnel.engine.replay import ReplayRequest, replay
from windtunnel.engine.search import SearchRequest, search
from windtunnel.engine.shrink import ShrinkRequest, shrink
from windtunnel.engine.world import WorldOptions

FOLDER = REPOSITORY / "examples" / "election-bug"
SEED = 12
"""The first one that fails; README.md of the example shows what comes of it."""


def request(name, kernel_path, base, seeds):
    file = LabFile(FOLDER / name)
    options = WorldOptions(kernel=default_kernel(str(kernel_path)))
    jobs = len(os.sched_getaffinity(0))
    return SearchRequest("election", lambda seed: file.spec(seed=seed), seeds, options, base, jobs)


def test_the_two_labs_differ_in_one_setting():
    lines = []
    for name in ("lab.yaml", "lab-fixed.yaml"):
        text = (FOLDER / name).read_text()
        lines.append(re.sub(r"(?m) *#.*$", "", text).strip().splitlines())
    different = [(a, b) for a, b in zip(*lines, strict=True) if a != b]
    assert different == [
        ("name: election-bug", "name: election-fixed"),
        ("  env: {LEASE_FROM: answer}", "  env: {LEASE_FROM: asking}"),
    ]


def test_the_bug_is_found_shrunk_to_two_faults_and_repeated(kernel_path, tmp_path):
    searched = request("lab.yaml", kernel_path, tmp_path, range(SEED - 2, SEED + 3))
    (found,) = search(searched).found
    assert (found.seed, found.failure.checks) == (SEED, ("one leader at a time",))
    spec = searched.lab(SEED)
    shrunk = shrink(
        ShrinkRequest(spec, found.failure, found.end_ns, searched.options, tmp_path, searched.jobs)
    )
    assert shrunk.complete
    assert len(spec.faults) == 7
    assert len(shrunk.spec.faults) <= 2
    assert shrunk.spec.stop_ns < spec.stop_ns
    again = replay(ReplayRequest(shrunk.path, base=tmp_path))
    assert (again.difference, again.session.state) == (None, "failed")


def test_without_the_bug_the_same_faults_do_no_harm(kernel_path, tmp_path):
    result = search(request("lab-fixed.yaml", kernel_path, tmp_path, range(SEED, SEED + 6)))
    assert [(one.seed, str(one.failure)) for one in result.found] == []
    assert (result.tried, result.cut_short) == (6, None)
