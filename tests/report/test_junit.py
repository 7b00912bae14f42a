# SPDX-License-Identifier: Apache-2.0
"""JUnit XML: well-formed whatever guests print, valid by the schemas, and read as it is meant."""

from __future__ import annotations

import os
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hypothesis import example, given
from junitparser import Error, Failure, JUnitXml, Skipped
from junitparser.xunit2 import FlakyError, RerunError, RerunFailure
from junitparser.xunit2 import JUnitXml as SurefireXml

from cell_results import HEADER, any_results, cell, check, nasty_results, six_cells
from windtunnel.model.result import CellState
from windtunnel.report.junit import NOT_RUN, junit_xml

SCHEMAS = "WINDTUNNEL_JUNIT_SCHEMAS"
"""Paths of XML schemas with ":" between them, such as surefire-test-report.xsd and junit-10.xsd."""

# What both schemas allow: the attributes that an element must have and may have, and the order of
# those below it.
CASE_CHILDREN = (
    "failure", "rerunFailure", "flakyFailure", "skipped", "error", "rerunError", "flakyError",
    "system-out",
)  # fmt: skip
RERUNS = {"rerunFailure", "flakyFailure", "rerunError", "flakyError"}
SUITE_ATTRIBUTES = {"name", "tests", "failures", "errors", "skipped", "time"}


def assert_structure(root: ET.Element) -> None:
    assert root.tag == "testsuites"
    assert set(root.attrib) == SUITE_ATTRIBUTES - {"skipped"}
    (suite,) = root
    assert suite.tag == "testsuite"
    assert set(suite.attrib) == SUITE_ATTRIBUTES
    properties, *cases = suite
    assert [(one.tag, set(one.attrib)) for one in properties] == [
        ("property", {"name", "value"}) for _ in properties
    ]
    for case in cases:
        assert case.tag == "testcase"
        assert set(case.attrib) == {"name", "classname", "time"}
        assert case.get("time", "").rpartition(".")[2].isdigit()
        order = [CASE_CHILDREN.index(child.tag) for child in case]
        assert order == sorted(order)
        for child in case:
            wanted = {"skipped": {"message"}, "system-out": set()}
            assert set(child.attrib) == wanted.get(child.tag, {"message", "type"})
            inside = [one.tag for one in child]
            assert inside == (["stackTrace", "system-out"] if child.tag in RERUNS else [])
    states = [{child.tag for child in case} for case in cases]
    for tag, count in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        assert suite.get(count) == str(sum(tag in state for state in states))
    assert suite.get("tests") == str(len(cases))
    names = [case.get("name") for case in cases]
    assert len(set(names)) == len(names)


@given(any_results())
@example(nasty_results())
def test_any_results_give_well_formed_xml_with_the_structure_of_the_schemas(drawn):
    text = junit_xml(*drawn)
    assert_structure(ET.fromstring(text.encode()))
    assert text == junit_xml(*drawn)


def test_a_cell_is_a_case_and_its_failed_checks_are_in_its_failure():
    (suite,) = JUnitXml.fromstring(junit_xml(HEADER, six_cells()).encode())
    assert (suite.name, suite.tests, suite.failures, suite.errors) == ("transport", 6, 1, 0)
    assert suite.time == pytest.approx(7.5)
    assert {one.name: one.value for one in suite.properties()} == {
        "lab": "transport", "state": "failed", "seed": "7", "kernel": "7.3.4",
        "planned": "6",
    }  # fmt: skip
    failed = list(suite)[2]
    assert (failed.classname, failed.name, failed.time) == ("transport", "cc=cubic,loss=5%", 1.25)
    (failure,) = failed.result
    assert isinstance(failure, Failure)
    assert (failure.message, failure.type) == ("throughput on r1: 12 Mbit", "failed")
    assert failure.text == (
        "throughput on r1: 12 Mbit\n"
        "\n"
        "validate throughput on r1, at 12.000 s, took 3.000 ms\n"
        "    12 Mbit\n"
        "    is less than 20\n"
        "\n"
        "repeat it: windtunnel replay runs/transport/0001/cells/cc=cubic,loss=5%"
    )
    assert failed.system_out == (
        "repeat it: windtunnel replay runs/transport/0001/cells/cc=cubic,loss=5%\n"
        "run: cells/cc=cubic,loss=5%\n"
        "virtual time: 30.000 s\n"
        "seed: 7\n"
        "cc = cubic\n"
        "loss = 5%"
    )


def test_a_cell_that_passed_at_its_second_try_is_flaky_as_surefire_writes_it():
    (suite,) = SurefireXml.fromstring(junit_xml(HEADER, six_cells()).encode())
    flaky = list(suite)[4]
    assert (flaky.name, flaky.is_passed) == ("cc=bbr,loss=1%", True)
    (first,) = flaky.flaky_errors()
    assert isinstance(first, FlakyError)
    assert (first.message, first.type) == ("try 1: took more than 60 s", "timeout")
    assert first.stack_trace.startswith("took more than 60 s")
    assert "tries: 2" in flaky.system_out


def test_tries_before_the_last_of_a_cell_that_fails_are_reruns():
    tries = [
        cell(0, CellState.LOST, attempt=1, finding="its worker died"),
        cell(0, CellState.FAILED, attempt=2, finding="no route"),
        cell(0, CellState.INTERRUPTED, attempt=2, finding="Ctrl-C"),
        cell(0, CellState.FAILED, attempt=3, finding="no answer"),
    ]
    (suite,) = SurefireXml.fromstring(junit_xml(HEADER, tries).encode())
    (case, _) = suite
    assert [one.message for one in case.result] == ["no answer"]
    assert [(type(one), one.message) for one in case.rerun_failures()] == [
        (RerunFailure, "try 2: no route")
    ]
    assert [(type(one), one.message) for one in case.rerun_errors()] == [
        (RerunError, "try 1: its worker died")
    ]


def test_what_was_not_tried_is_skipped_and_what_a_killed_runner_left_out_is_an_error():
    results = [cell(0), cell(1, CellState.INTERRUPTED, finding="Ctrl-C")]
    header = {**HEADER, "planned": 5, "state": "interrupted"}
    (suite,) = JUnitXml.fromstring(junit_xml(header, results).encode())
    assert [(one.name, [type(why) for why in one.result]) for one in suite] == [
        ("x=0", []), ("x=1", [Skipped]), (NOT_RUN, [Skipped]),
    ]  # fmt: skip
    killed = junit_xml({**header, "state": "killed"}, results)
    (suite,) = JUnitXml.fromstring(killed.encode())
    (why,) = list(suite)[2].result
    assert isinstance(why, Error)
    assert why.message == "3 of the planned cells were not run: the runner is killed"
    assert (suite.errors, suite.skipped) == (1, 1)


def test_output_of_a_guest_cannot_end_an_element_and_a_long_one_loses_its_middle():
    message = "]]></failure>\x00\x1b[31mred\ufffe" + "x" * 50_000
    checks = (check("a", passed=False, message=message),)
    text = junit_xml(HEADER, [cell(0, CellState.FAILED, checks=checks, finding=message)])
    failure = ET.fromstring(text.encode()).find(".//failure")
    assert "]]></failure>\\x00\\x1b[31mred\\ufffexxx" in failure.text
    assert "[…30023 characters left out…]" in failure.text
    assert len(text) < 25_000


@pytest.mark.parametrize("schema", os.environ.get(SCHEMAS, "").split(":"))
def test_the_published_schemas_find_it_valid(schema, tmp_path, need_program):
    if not schema:
        pytest.skip(f"{SCHEMAS} names no schema; the test of the structure says the same")
    tries = [*six_cells(), *(cell(6 + at, state, attempt=try_, finding="\x00")
             for at, state in enumerate(CellState) for try_ in (1, 2))]  # fmt: skip
    root = ET.fromstring(junit_xml({**HEADER, "planned": 99}, tries).encode())
    # Surefire's files have one suite each.
    whole = 'name="testsuites"' in Path(schema).read_text(encoding="utf-8")
    file = tmp_path / "junit.xml"
    file.write_bytes(ET.tostring(root if whole else root[0]))
    command = [need_program("xmllint"), "--noout", "--schema", schema, file]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
