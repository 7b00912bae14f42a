# SPDX-License-Identifier: Apache-2.0
"""Kernels that look for bugs in themselves find bugs that are planted (lkdtm), and no others."""

from __future__ import annotations

import json

import pytest

CLEAN = """\
name: clean
nodes: {a: {}, b: {}}
links: [{endpoints: [a, b], delay: 1 ms}]
steps:
  - {name: p, node: a, at: 1 s, cmd: ping -c 3 b}
"""
PLANTED = """\
name: planted
nodes: {a: {}}
steps:
  - name: plant
    node: a
    at: 1 s
    cmd: mount -t debugfs none /mnt && cd /mnt/provoke-crash && BUG
"""
BUGS = {
    "kasan": ("echo READ_AFTER_FREE > DIRECT", "KASAN: slab-use-after-free Read in lkdtm"),
    "ubsan": (
        "echo ARRAY_BOUNDS > DIRECT",
        "UBSAN: array-index-out-of-bounds in lkdtm_ARRAY_BOUNDS",
    ),
    # A lock that is held for ever: what its holder does next must not sleep.
    "lockdep": ("echo SPINLOCKUP > DIRECT", "WARNING: locking bug in"),
}


def kernel_checks(run):
    found = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    return [
        one["fields"] for one in found if one["kind"] == "check" and one["fields"]["of"] == "kernel"
    ]


@pytest.mark.needs_uml
@pytest.mark.parametrize("sanitizer", sorted(BUGS))
def test_a_planted_bug_is_a_failed_check_of_the_run(special_program, sanitizer):
    program = special_program(sanitizers=(sanitizer,))
    what, title = BUGS[sanitizer]
    (program.folder / "lab.yaml").write_text(PLANTED.replace("BUG", what))
    done = program("run", "lab.yaml")
    assert done.returncode == 1, done.stdout + done.stderr
    checks = kernel_checks(program.folder / "runs/planted/0001")
    assert any(one["name"].startswith(title) and not one["passed"] for one in checks), checks
    assert checks[0]["name"] in done.stdout
    assert "/source/" not in checks[0]["message"]  # where the kernel was built is the host's


@pytest.mark.needs_uml
@pytest.mark.parametrize("sanitizer", ["kasan", "kmemleak", "lockdep", "ubsan"])
def test_a_lab_without_bugs_passes_and_says_who_has_looked(special_program, sanitizer):
    program = special_program(sanitizers=(sanitizer,))
    (program.folder / "lab.yaml").write_text(CLEAN)
    done = program("run", "lab.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    [check] = kernel_checks(program.folder / "runs/clean/0001")
    assert sanitizer in check["name"]
    assert (check["passed"], check["message"]) == (True, "found nothing")
