# SPDX-License-Identifier: Apache-2.0
"""Every example does what its text says, with other random numbers too, and twice the same."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace

import jsonschema
import pytest
import yaml

from repository import REPOSITORY
from windtunnel.engine.cells import read_cells
from windtunnel.engine.kernel import default_kernel
from windtunnel.engine.labfile import read_spec
from windtunnel.engine.session import SessionRequest, run_session
from windtunnel.engine.world import WorldOptions
from windtunnel.model.lab import OWN
from windtunnel.store.compare import compare_runs

EXAMPLES = REPOSITORY / "examples"
SECOND_NS = 1_000_000_000

PROGRAMS = {
    "bgp-three-as": ["zebra", "bgpd", "vtysh"],
    "election-bug": ["python3"],
    "ipv6-slaac": ["radvd"],
    "kernel-mix": ["iperf3"],
    "nat-and-firewall": ["nft"],
    "ospf-ring": ["zebra", "ospfd", "vtysh"],
    "redis-failover": ["redis-check-rdb"],
    "tcp-over-bad-link": ["iperf3"],
}
"""What each example runs that not every machine has."""

ABOUT_KERNELS = {"kernel-mix"}
"""Examples that say which kernels their nodes have."""

SHORTER_NS = {"ospf-ring": 71 * SECOND_NS}
"""Stop times instead of the examples' own; the demo shows the whole hour."""

LAB_FILES = sorted(str(path.relative_to(EXAMPLES)) for path in EXAMPLES.glob("*/*.yaml"))


def lab_file(name):
    return EXAMPLES / name / "lab.yaml"


def run(name, kernel_path, output, **changes):
    return run_file(lab_file(name), name, kernel_path, output, **changes)


def run_file(path, name, kernel_path, output, *, seed_change=0, own=False, parallel=None):
    spec = read_spec(path)
    spec = replace(
        spec,
        seed=spec.seed + seed_change,
        stop_ns=SHORTER_NS.get(name, spec.stop_ns),
        nodes=tuple(replace(node, kernel=OWN) for node in spec.nodes) if own else spec.nodes,
    )
    options = WorldOptions(kernel=default_kernel(str(kernel_path)), parallel=parallel)
    return run_session(SessionRequest(spec, options, output=output))


def failures(session):
    failed = [f"{check.name}: {check.message}" for check in session.checks if not check.passed]
    return [*failed, *([str(session.error)] if session.error else [])]


MATRICES = {"tcp-matrix"}
"""Examples with parameters, which are several labs."""


def test_every_example_is_known_here():
    found = {path.parent.name for path in EXAMPLES.glob("*/lab.yaml")}
    assert found == PROGRAMS.keys() | MATRICES


def test_every_cell_of_the_matrix_passes_and_a_second_run_leaves_the_same_bytes(
    kernel_path, need_program, tmp_path
):
    need_program("iperf3")
    cells = read_cells(lab_file("tcp-matrix"))
    assert cells.count() == 7
    options = WorldOptions(kernel=default_kernel(str(kernel_path)))
    for cell in cells:
        first, second = (
            run_session(
                SessionRequest(cells.spec(cell), options, output=tmp_path / f"{cell.index}-{which}")
            )
            for which in (1, 2)
        )
        assert failures(first) == [], cell.name
        difference = compare_runs(first.path, second.path)
        assert difference is None, difference.describe()


@pytest.mark.parametrize("name", LAB_FILES)
def test_an_editor_finds_nothing_wrong_in_an_example(name):
    schema = REPOSITORY / "src" / "windtunnel" / "model" / "lab.schema.json"
    document = yaml.safe_load((EXAMPLES / name).read_text())
    jsonschema.Draft202012Validator(json.loads(schema.read_text())).validate(document)


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_an_example_passes_and_a_second_run_leaves_the_same_bytes(
    name, kernel_path, need_program, tmp_path
):
    for program in PROGRAMS[name]:
        need_program(program)
    first = run(name, kernel_path, tmp_path / "first")
    second = run(name, kernel_path, tmp_path / "second")
    assert failures(first) == []
    assert first.state == second.state == "passed"
    difference = compare_runs(first.path, second.path)
    assert difference is None, difference.describe()


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_what_an_example_says_holds_for_other_random_numbers(
    name, kernel_path, need_program, tmp_path
):
    for program in PROGRAMS[name]:
        need_program(program)
    session = run(name, kernel_path, tmp_path / "run", seed_change=1)
    assert failures(session) == []
    assert session.state == "passed"


@pytest.mark.parametrize("name", sorted(PROGRAMS.keys() - ABOUT_KERNELS))
def test_an_example_says_the_same_when_every_node_has_a_kernel_of_its_own(
    name, kernel_path, need_program, tmp_path
):
    for program in PROGRAMS[name]:
        need_program(program)
    one, two = (
        run(name, kernel_path, tmp_path / str(parallel), own=True, parallel=parallel)
        for parallel in (1, 2)
    )
    # that every check passes where they share a kernel is tested above
    assert failures(one) == []
    assert one.state == "passed"
    difference = compare_runs(one.path, two.path)
    assert difference is None, difference.describe()


HISTORY_CHECK = "no acknowledged write is lost, and the register is linearizable"


def lost_of(session):
    """How many acknowledged writes the history checker of redis-failover found lost."""
    output = session.path / "nodes" / "bob" / f"{HISTORY_CHECK}.stdout"
    return int(re.search(r"lost +(\d+)$", output.read_text(), re.MULTILINE).group(1))


def test_redis_as_it_comes_loses_acknowledged_writes(kernel_path, need_program, tmp_path):
    need_program("redis-check-rdb")
    path = EXAMPLES / "redis-failover" / "unsafe.yaml"
    session = run_file(path, "redis-failover", kernel_path, tmp_path / "run")
    assert session.state == "failed"
    assert [check.name for check in session.checks if not check.passed] == [HISTORY_CHECK]
    assert lost_of(session) > 100


def test_redis_that_asks_for_replicas_loses_no_more_than_two_seconds_of_writes(
    kernel_path, need_program, tmp_path
):
    need_program("redis-check-rdb")
    shutil.copytree(EXAMPLES / "redis-failover", tmp_path / "lab")
    path = tmp_path / "lab" / "lab.yaml"
    path.write_text(path.read_text().replace(" --wait 1", ""))
    session = run_file(path, "redis-failover", kernel_path, tmp_path / "run")
    assert [check.name for check in session.checks if not check.passed] == [HISTORY_CHECK]
    # a client adds ten numbers a second
    assert 0 < lost_of(session) <= 30


@pytest.fixture(scope="module")
def readme():
    return (REPOSITORY / "README.md").read_text()


def test_the_readme_shows_the_python_example_as_it_is(readme):
    _, code = (EXAMPLES / "hello.py").read_text().split("from windtunnel", 1)
    assert f"```python\nfrom windtunnel{code}```" in readme


def test_the_python_example_prints_what_the_readme_shows(readme, kernel_path):
    shown = re.search(r"\$ \S*python examples/hello.py\n(.*?)```", readme, re.DOTALL)
    environment = {
        **os.environ,
        "PYTHONPATH": str(REPOSITORY / "src"),
        "WINDTUNNEL_KERNEL": str(kernel_path),
    }
    done = subprocess.run(
        [sys.executable, "examples/hello.py"],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    words, times_ms = parted(done.stdout)
    words_shown, times_shown_ms = parted(shown.group(1))
    assert words == words_shown
    # The README shows the newest kernel's: in another one ping makes other syscalls, 100 ns each.
    assert times_ms == pytest.approx(times_shown_ms, abs=0.002)


def parted(text):
    """The text without its numbers of milliseconds, and these."""
    found = re.compile(r"\d+\.\d{3}")
    return found.sub("_", text.strip()), [float(each) for each in found.findall(text)]
