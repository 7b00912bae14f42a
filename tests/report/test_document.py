# SPDX-License-Identifier: Apache-2.0
"""JSON holds all there is; groups and counts are the same in every format."""

from __future__ import annotations

import json

from hypothesis import example, given

from cell_results import HEADER, any_results, cell, nasty_results, six_cells
from windtunnel.model.result import CellResult, CellState
from windtunnel.report.document import json_document
from windtunnel.report.overview import cells_of, failure_groups, overview_of
from windtunnel.report.text import shown, shown_line, shown_name


@given(any_results())
@example(nasty_results())
def test_json_gives_each_try_that_counts_back(drawn):
    header, results = drawn
    text = json_document(header, results)
    text.encode()
    assert text == json_document(header, results)
    read = json.loads(text)
    tries = [CellResult.from_json(one) for found in read["cells"] for one in found["tries"]]
    wanted = [one for found in cells_of(results) for one in (*found.earlier, found.last)]
    assert tries == wanted
    assert read["header"] == header
    assert sum(read["counts"][state] for state in CellState) == len(read["cells"])


def test_counts_say_what_is_flaky_and_what_is_missing():
    counts = json.loads(json_document({**HEADER, "planned": 9}, six_cells()))["counts"]
    assert counts == {
        "passed": 5, "failed": 1, "error": 0, "timeout": 0, "lost": 0, "interrupted": 0,
        "flaky": 1, "missing": 3,
    }  # fmt: skip
    assert overview_of(HEADER, six_cells()).verdict() == "5 passed (1 after retries), 1 failed"


def test_findings_that_differ_in_numbers_only_are_one_group_and_the_largest_is_first():
    results = [
        cell(0, CellState.ERROR, finding="the disk is full"),
        cell(1, CellState.FAILED, finding="rtt is 12.5 ms"),
        cell(2, CellState.FAILED, finding="rtt is 9.25 ms"),
        cell(3, CellState.TIMEOUT, finding="rtt is 1.1 ms"),
        cell(4),
        cell(5, CellState.INTERRUPTED),
    ]
    groups = failure_groups(cells_of(results))
    assert [(one.finding, [found.name for found in one.cells]) for one in groups] == [
        ("rtt is 12.5 ms", ["x=1", "x=2"]),
        ("the disk is full", ["x=0"]),
        ("rtt is 1.1 ms", ["x=3"]),
    ]


def test_an_interrupted_try_is_none_unless_there_is_no_other():
    one = cells_of([cell(0, CellState.INTERRUPTED), cell(0)])
    assert (one[0].earlier, one[0].flaky, one[0].state) == ((), False, CellState.PASSED)
    two = cells_of([cell(0, CellState.FAILED), cell(0, CellState.INTERRUPTED, attempt=2)])
    assert (len(two[0].earlier), two[0].state) == (1, CellState.INTERRUPTED)


def test_what_cannot_be_shown_is_written_as_an_escape():
    assert shown("a\tb\r\nc\x00\x1b\ud800\u2028\ufeff🙂") == (
        "a\tb\nc\\x00\\x1b\\ud800\\u2028\\ufeff🙂"
    )
    assert shown_line(" a\n\n b\tc ") == "a b c"
    assert shown_name(" a\n") == "\\x20a\\x0a"
    assert shown_name("\\x00") != shown_name("\x00")
