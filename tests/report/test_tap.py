# SPDX-License-Identifier: Apache-2.0
"""TAP and KTAP, read by parsers of others: tap.py, perl's prove, and the kernel's own."""

from __future__ import annotations

import functools
import importlib.util
import inspect
import io
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from tap.parser import Parser

from cell_results import HEADER, any_results, cell, check, nasty_results, six_cells
from conftest import report_missing
from windtunnel.images.cache import cache_folder
from windtunnel.model.result import CellState, last_results
from windtunnel.report.tap import ktap, tap13, tap14

FAILING = {CellState.FAILED, CellState.ERROR, CellState.TIMEOUT, CellState.LOST}

KTAP = """\
KTAP version 1
1..3
# lab: lab
  KTAP version 1
  1..3
  ok 1 step up on a
  # validate routes on b: failed at 12.000 s, took 3.000 ms
  #   Subtest: none
  #   of them \\x23 agree
  not ok 2 validate routes on b
  # validate slow on r1: failed at 12.000 s, took 3.000 ms
  #   why
  ok 3 validate slow on r1 # SKIP it failed, and is not judged: why
# try 1: lost: its worker died
# finding: routes on b: none
# repeat it: windtunnel replay runs/transport/0001/cells/x=0
not ok 1 x=0 # try 2, after 1 that did not pass
# finding: took more than 60 s
# repeat it: windtunnel replay runs/transport/0001/cells/x=1
not ok 2 x=1 # TIMEOUT took more than 60 s
ok 3 x=2 # SKIP Ctrl-C
"""


def three_cells():
    checks = (
        check("up", node="a", kind="step"),
        check("routes", node="b", passed=False, message="Subtest: none\nof them # agree"),
        check("slow", passed=False, judged=False, message="why"),
    )
    return [
        cell(0, CellState.LOST, finding="its worker died"),
        cell(0, CellState.FAILED, attempt=2, checks=checks, finding="routes on b: none"),
        cell(1, CellState.TIMEOUT, finding="took more than 60 s"),
        cell(2, CellState.INTERRUPTED, finding="Ctrl-C", checks=checks),
    ]


KUNIT = Path("tools/testing/kunit")
KUNIT_FILES = ("kunit_parser.py", "kunit_printer.py")


@pytest.fixture(scope="session")
def kernel_parsers(tmp_path_factory):
    """The parsers of the kernels in our cache, by their sources: each version has its own."""
    sources = cache_folder("sources")
    trees = sorted(sources.glob(f"*/tree/{KUNIT}"))
    if not trees:
        archives = sorted(sources.glob("*/*.tar.xz"))
        if not archives:
            report_missing("the kernel's source is not in the cache (make kernels)")
        folder = tmp_path_factory.mktemp("kunit")
        members = [f"*/{KUNIT}/{name}" for name in KUNIT_FILES]
        subprocess.run(
            ["tar", "-xJf", archives[-1], "-C", folder, "--strip-components=4",
             "--wildcards", "--occurrence=1", *members],
            check=True,
        )  # fmt: skip
        trees = [folder]
    return {str(tree): load_parser(tree) for tree in trees}


def load_parser(folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "dont_write_bytecode", True)  # the tree is not ours
        patch.setattr(sys, "stdout", io.StringIO())  # Linux 6.12 keeps it for its own printing
        for file in reversed(KUNIT_FILES):  # the parser imports the printer
            name = file.removesuffix(".py")
            spec = importlib.util.spec_from_file_location(name, folder / file)
            module = importlib.util.module_from_spec(spec)
            patch.setitem(sys.modules, name, module)
            spec.loader.exec_module(module)
        parse = module.parse_run_tests
        if "printer" in inspect.signature(parse).parameters:
            parse = functools.partial(parse, printer=module.Printer(output=io.StringIO()))
        return parse


def shape(test):
    return (test.name, test.status.name, [shape(inner) for inner in test.subtests])


def test_ktap_is_what_the_specification_shows():
    assert ktap({}, three_cells()) == KTAP


def test_the_kernels_parsers_read_any_ktap_as_it_was_meant(kernel_parsers):
    for kernel_parser in kernel_parsers.values():
        assert_reads_any_ktap(kernel_parser)


def assert_reads_any_ktap(kernel_parser):
    read = kernel_parser(ktap(HEADER | {"planned": 0}, three_cells()).splitlines())
    assert read.counts.errors == 0
    assert shape(read)[2] == [
        ("x=0", "FAILURE", [
            ("step up on a", "SUCCESS", []),
            ("validate routes on b", "FAILURE", []),
            ("validate slow on r1", "SKIPPED", []),
        ]),
        ("x=1", "FAILURE", []),
        ("x=2", "SKIPPED", []),
    ]  # fmt: skip
    # Cells without a result are missed.
    lost = kernel_parser(ktap(HEADER | {"planned": 5}, three_cells()).splitlines())
    assert (lost.counts.crashed, lost.counts.errors) == (2, 2)

    @given(any_results())
    @example(nasty_results())
    def any_text_is_read(drawn):
        header, results = drawn
        header["planned"] = 0
        text = ktap(header, results)
        assert text == ktap(header, results)
        read = kernel_parser(text.encode().decode().splitlines())
        last = last_results(results)
        if not last:
            assert read.status.name == "NO_TESTS"
            return
        assert read.counts.errors == 0, text
        wanted = {CellState.PASSED: "SUCCESS", CellState.INTERRUPTED: "SKIPPED"}
        assert len(read.subtests) == len(last)
        for one, test in zip(last, read.subtests, strict=True):
            shown = 0 if one.state is CellState.INTERRUPTED else len(one.checks)
            assert len(test.subtests) == shown
            assert test.status.name == wanted.get(one.state, "FAILURE")
        names = [test.name for test in read.subtests]
        assert len(set(names)) == len(names)

    any_text_is_read()


@pytest.mark.parametrize("write", [tap13, tap14])
@given(drawn=any_results())
@example(drawn=nasty_results())
def test_tap_py_reads_any_results_as_they_were_meant(write, drawn):
    header, results = drawn
    text = write(header, results)
    lines = list(Parser().parse_text(text))
    found = [line for line in lines if line.category == "test"]
    last = last_results(results)
    assert [line.ok for line in found] == [one.state not in FAILING for one in last]
    assert [line.skip for line in found] == [one.state is CellState.INTERRUPTED for one in last]
    assert not any(line.todo for line in found)
    assert all(line.yaml_block for line in found if not line.ok)
    (plan,) = (line for line in lines if line.category == "plan")
    assert plan.expected_tests == max(len(last), header.get("planned", 0))
    assert len({line.description for line in found}) == len(found)


def test_a_failed_cell_says_why_in_yaml():
    lines = list(Parser().parse_text(tap14(HEADER, six_cells())))
    (failed,) = (line for line in lines if line.category == "test" and not line.ok)
    assert failed.yaml_block == {
        "message": "throughput on r1: 12 Mbit",
        "severity": "fail",
        "run": "cells/cc=cubic,loss=5%",
        "repeat": "windtunnel replay runs/transport/0001/cells/cc=cubic,loss=5%",
        "virtual_time": "30.000 s",
    }


def test_in_tap_14_checks_are_subtests_under_the_name_of_their_cell():
    text = tap14({}, three_cells()[:2])
    assert (
        "# try 1: lost: its worker died\n"
        "# Subtest: x=0\n"
        "    1..3\n"
        "    ok 1 - step up on a\n"
        "    # validate routes on b: failed at 12.000 s, took 3.000 ms\n"
    ) in text
    assert "SKIP it failed, and is not judged: why\nnot ok 1 - x=0 # try 2, after 1" in text


@pytest.mark.parametrize(("count", "status"), [(1, 0), (2, 1)])
def test_perls_prove_agrees_with_the_verdict(count, status, tmp_path, need_program):
    results = [cell(0), cell(1, CellState.FAILED, finding="a # SKIP b")][:count]
    file = tmp_path / "results.tap"
    file.write_text(tap13({}, results))
    command = [need_program("prove"), "-e", "cat", file]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, "Parse errors" in done.stdout) == (status, False), done.stdout


def test_no_host_time_reaches_a_line(tmp_path: Path):
    slow = [cell(at, wall_host_s=9.0 + at, cpu_host_s=3.0) for at in range(3)]
    quick = [cell(at) for at in range(3)]
    assert [write({}, slow) for write in (ktap, tap13, tap14)] == [
        write({}, quick) for write in (ktap, tap13, tap14)
    ]
