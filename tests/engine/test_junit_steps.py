# SPDX-License-Identifier: Apache-2.0
"""A test suite inside of a node: each of its test cases is a check of the run."""

from __future__ import annotations

from dataclasses import replace

import pytest

import small_labs
from windtunnel.engine.session import SessionRequest, run_session
from windtunnel.model.lab import Command, FileSpec, Step

SECOND_NS = 1_000_000_000

TESTS = b"""\
import pathlib, pytest, time

def test_waits():
    time.sleep(3)

def test_fails():
    assert pathlib.Path("/etc/hostname").read_text() == "router"

@pytest.mark.skip(reason="not today")
def test_later(): ...
"""
PYTEST = "cd /srv && pytest-3 -q -p no:cacheprovider --junit-xml /tmp/out.xml"


@pytest.fixture
def run(kernel_path, tmp_path, need_program):
    """A function that runs one step in node a and gives the session."""
    need_program("pytest-3")
    options = small_labs.options(kernel_path)

    def do(command, *, check=True):
        action = Command("a", command, junit="/tmp/out.xml")
        spec = small_labs.pair(
            files=(FileSpec("/srv/test_it.py", TESTS),),
            steps=(Step(SECOND_NS, "tests", action, check=check),),
            stop_ns=60 * SECOND_NS,
        )
        spec = replace(spec, memory_bytes=512 << 20)
        number = len(list(tmp_path.iterdir()))
        return run_session(SessionRequest(spec, options, output=tmp_path / f"run{number}"))

    return do


def test_each_test_case_of_a_suite_in_a_node_is_a_check_with_its_virtual_time(run):
    session = run(PYTEST)
    assert session.state == "failed"
    waits, fails, later, step = session.checks
    assert [check.name for check in session.checks] == [
        "tests: test_it::test_waits",
        "tests: test_it::test_fails",
        "tests: test_it::test_later",
        "tests",
    ]
    assert (waits.passed, waits.node, waits.kind) == (True, "a", "step")
    assert waits.at_ns // SECOND_NS == 1
    assert 3 * SECOND_NS <= waits.took_ns < 4 * SECOND_NS
    assert (fails.passed, fails.judged, fails.at_ns) == (False, True, waits.at_ns + waits.took_ns)
    assert "AssertionError: assert 'a" in fails.message
    assert (later.passed, later.judged) == (True, False)
    assert later.message.startswith("skipped: ")
    assert "not today" in later.message
    assert not step.passed
    assert step.message.startswith("it exited with 1, not 0")


def test_a_suite_that_leaves_no_results_fails_its_step_and_says_why(run):
    (step,) = run("true").checks
    assert (step.name, step.passed) == ("tests", False)
    assert step.message == "opening /tmp/out.xml: No such file or directory"
    (step,) = run("echo nonsense > /tmp/out.xml").checks
    assert step.message.startswith("/tmp/out.xml: it is no XML")
    (step,) = run("echo '<testsuite/>' > /tmp/out.xml").checks
    assert step.message == "/tmp/out.xml has no test cases"


def test_a_suite_may_take_hours_but_not_longer_than_the_lab(run):
    late = "sleep 40; echo '<testsuite><testcase name=\"a\"/></testsuite>' > /tmp/out.xml"
    assert [check.passed for check in run(late).checks] == [True, True]
    (step,) = run(late.replace("40", "60")).checks
    assert (step.passed, step.took_ns) == (False, 59 * SECOND_NS)
    assert step.message == "it had not ended when the lab stopped"


def test_a_suite_whose_step_does_not_count_fails_nothing(run):
    session = run(PYTEST, check=False)
    assert session.state == "passed"
    assert [check.judged for check in session.checks] == [False] * 4
