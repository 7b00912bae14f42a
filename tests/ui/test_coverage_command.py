# SPDX-License-Identifier: Apache-2.0
"""Which lines of the kernel ran, on a real kernel that counts: exact, the same each time.

How often a function runs is known here from what the lab does: a node that is asked by
ping five times answers five times.
"""

from __future__ import annotations

import json

import pytest

LAB = """\
name: counted
nodes: {a: {}, b: {}}
links: [{endpoints: [a, b], delay: 1 ms, jitter: 500 us}]
steps:
  - {name: p, node: a, at: 1 s, cmd: "ping -4 -c COUNT b"}
"""
ANSWER = "icmp_echo"  # net/ipv4/icmp.c: called for each echo request that arrives


@pytest.fixture
def counting(special_program):
    program = special_program(covers="net/ipv4/icmp.c")

    def run(name, text, *words):
        (program.folder / f"{name}.yaml").write_text(text.replace("name: counted", f"name: {name}"))
        done = program("run", f"{name}.yaml", *words)
        assert done.returncode == 0, done.stderr
        return program.folder / "runs" / name

    program.lab = run
    return program


def calls(program, record, function=ANSWER):
    """How often a function was called, by what lcov's format says."""
    done = program("coverage", record, "--lcov", "x.info")
    assert done.returncode == 0, done.stderr
    lines = (program.folder / "x.info").read_text().splitlines()
    [found] = [line for line in lines if line.startswith("FNDA:") and line.endswith(f",{function}")]
    return int(found.removeprefix("FNDA:").partition(",")[0])


@pytest.mark.needs_uml
def test_a_function_is_counted_as_often_as_it_was_called_and_not_before_lab_time_zero(counting):
    counting.lab("three", LAB.replace("COUNT", "3"))
    counting.lab("five", LAB.replace("COUNT", "5"))
    counting.lab("none", LAB.replace("ping -4 -c COUNT b", "sleep 1"))
    assert [calls(counting, name) for name in ("three", "five", "none")] == [3, 5, 0]


@pytest.mark.needs_uml
def test_the_same_seed_gives_the_same_counts_and_another_number_of_pings_does_not(counting):
    text = LAB.replace("COUNT", "4")
    for seed in ("1", "22"):
        counting.environment["PYTHONHASHSEED"] = seed
        counting.lab("same", text)
        assert counting("coverage", "same", "--lcov", f"{seed}.info").returncode == 0
    infos = [(counting.folder / f"{seed}.info").read_bytes() for seed in ("1", "22")]
    assert infos[0] == infos[1]
    counting.lab("other", LAB.replace("COUNT", "5"))
    assert counting("coverage", "other", "--lcov", "other.info").returncode == 0
    assert (counting.folder / "other.info").read_bytes() != infos[0]


@pytest.mark.needs_uml
def test_verify_compares_counts_too(counting):
    (counting.folder / "lab.yaml").write_text(LAB.replace("COUNT", "2"))
    done = counting("verify", "lab.yaml", "--times", "3", "--jobs", "2")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.needs_uml
def test_a_lab_with_a_kernel_that_counts_is_the_lab_without(counting):
    from windtunnel.images.kernels import find_kernel  # noqa: PLC0415 - after the skip

    one = counting.lab("counted", LAB.replace("COUNT", "3")) / "0001"
    version = json.loads((one / "manifest.json").read_text())["kernel"]["release"]
    plain = find_kernel(version)
    if plain is None:
        pytest.skip(f"no ordinary kernel {version} is built")
    two = counting.lab("counted", LAB.replace("COUNT", "3"), "--kernel", plain.key) / "0002"
    assert not (two / "coverage").exists()
    assert events(one) == events(two)


def events(run):
    """The events of a run, but for numbers of processes, which our own commands shift."""
    found = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    for one in found:
        one["fields"].pop("pid", None)
    return found


@pytest.mark.needs_uml
def test_cells_and_kernels_of_their_own_are_added_up(counting):
    text = LAB.replace("b: {}", "b: {kernel: own}").replace("COUNT", "${n}")
    counting.lab("cells", text + "params: {n: [2, 3]}\n")
    cell = counting.folder / "runs/cells/0001/cells/n=2"
    assert (cell / "coverage-b/net/ipv4/icmp.gcda").is_file()
    assert (cell / "coverage/net/ipv4/icmp.gcda").is_file()
    assert calls(counting, "cells/1/n=2") == 2
    assert calls(counting, "cells/1") == 5


@pytest.mark.needs_uml
def test_the_headline_numbers_are_those_of_lcov(counting, need_program):
    need_program("genhtml")
    counting.lab("three", LAB.replace("COUNT", "3"))
    done = counting("coverage", "three", "--json", "--lcov", "x.info", "--html", "pages")
    document = json.loads(done.stdout)
    assert 0 < document["lines_hit"] < document["lines"]
    info = (counting.folder / "x.info").read_text()
    hits = [int(line.removeprefix("LH:")) for line in info.splitlines() if line.startswith("LH:")]
    assert sum(hits) == document["lines_hit"]
    page = (counting.folder / "pages/net/ipv4/icmp.c.html").read_text()
    assert "static enum skb_drop_reason icmp_echo(struct sk_buff *skb)" in page
