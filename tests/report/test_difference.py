# SPDX-License-Identifier: Apache-2.0
"""Two results compared: by cell, exact in virtual time, patient with host time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cell_results import any_results, cell
from windtunnel.model.result import CellState
from windtunnel.report.difference import compare_results

FAILED = CellState.FAILED


def test_each_cell_is_named_where_it_belongs():
    before = [
        cell(0), cell(1, FAILED), cell(2, FAILED, finding="old"), cell(3), cell(4), cell(6),
    ]  # fmt: skip
    after = [
        cell(0, FAILED, finding="no answer"), cell(1), cell(2, CellState.LOST, finding="gone"),
        cell(3, FAILED), cell(3, attempt=2), cell(4, CellState.INTERRUPTED), cell(5, FAILED),
    ]  # fmt: skip
    difference = compare_results(before, after)
    assert [(one.cell, one.before, one.after) for one in difference.new_failures] == [
        ("x=0", "passed", "failed"),
        ("x=5", "", "failed"),
    ]
    new = difference.new_failures[0]
    assert (new.finding, new.repeat) == (
        "no answer",
        "windtunnel replay runs/transport/0001/cells/x=0",
    )
    assert [one.cell for one in difference.fixed] == ["x=1"]
    assert [(one.before, one.after, one.finding) for one in difference.still_failing] == [
        ("failed", "lost", "gone")
    ]
    assert difference.flaky == ("x=3",)
    assert [one.cell for one in difference.not_tried] == ["x=4"]
    assert (difference.only_before, difference.only_after) == (("x=6",), ("x=5",))
    assert not difference.same


def test_a_nanosecond_of_virtual_time_is_a_difference_and_host_time_needs_a_ratio():
    before = [cell(0, end_ns=5), cell(1, wall_host_s=2.0), cell(2, wall_host_s=0.1)]
    after = [cell(0, end_ns=6), cell(1, wall_host_s=3.9), cell(2, wall_host_s=0.9)]
    difference = compare_results(before, after)
    assert [(one.cell, one.before_ns, one.after_ns) for one in difference.virtual_times] == [
        ("x=0", 5, 6)
    ]
    assert difference.host_times == ()
    again = compare_results(before, after, host_ratio=1.9)
    assert [(one.before_host_s, one.after_host_s) for one in again.host_times] == [(2.0, 3.9)]


def test_host_times_alone_are_no_difference():
    assert compare_results([cell(0, wall_host_s=1.0)], [cell(0, wall_host_s=90.0)]).same


@given(any_results(), any_results())
def test_every_cell_that_fails_is_new_or_old_and_never_both(one, two):
    difference = compare_results(one[1], two[1])
    new = {change.cell for change in difference.new_failures}
    old = {change.cell for change in difference.still_failing}
    last = {}
    for result in sorted(two[1], key=lambda result: result.attempt):
        last[result.cell] = result.state
    not_failing = (CellState.PASSED, CellState.INTERRUPTED)
    assert new | old == {name for name, state in last.items() if state not in not_failing}
    assert not new & old


@given(any_results(), st.randoms())
def test_results_are_the_same_as_themselves_in_any_order(drawn, random):
    results = list(drawn[1])
    if len({(one.cell, one.attempt) for one in results}) < len(results):
        return  # of equal attempts the newest counts: there the order matters
    shuffled = list(results)
    random.shuffle(shuffled)
    difference = compare_results(results, shuffled)
    assert difference.same
    assert difference.host_times == ()
