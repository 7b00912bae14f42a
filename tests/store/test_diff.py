# SPDX-License-Identifier: Apache-2.0
"""What differs between two recorded runs."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorded_runs import EVENTS, record
from windtunnel.errors import ProtocolError
from windtunnel.model.event import Event
from windtunnel.model.eventtext import event_text
from windtunnel.model.result import CellResult, CellState
from windtunnel.store.diff.counterpart import last_passing, nearest_passing
from windtunnel.store.diff.events import Wanted, compare_events, first_difference
from windtunnel.store.diff.runs import diff_runs
from windtunnel.store.results_writer import ResultsWriter


def quiet(_count):
    """Nobody watches."""


def events_of(folder, events):
    folder.mkdir()
    text = "".join(f"{event.to_line()}\n" for event in events)
    (folder / "events.jsonl").write_text(text)
    return folder


def numbered(events):
    return [replace(event, sequence=number) for number, event in enumerate(events)]


def test_equal_runs_and_a_run_and_itself_do_not_differ(tmp_path):
    a, b = record(tmp_path / "a"), record(tmp_path / "b")
    assert diff_runs(a, b, Wanted()).equal
    assert diff_runs(a, a, Wanted()).equal


def test_the_first_event_that_differs_comes_with_those_before_it(tmp_path):
    inserted = Event(4, 0, "process-start", "r2", {"process": "x", "command": "x", "pid": 9})
    a = events_of(tmp_path / "a", EVENTS)
    b = events_of(tmp_path / "b", numbered([*EVENTS[:4], inserted, *EVENTS[4:]]))
    found = compare_events(a, b, Wanted(context=2), quiet)
    assert found.before == EVENTS[2:4]
    assert found.a == EVENTS[4]
    assert found.b == replace(inserted, sequence=4)
    assert found.sides[1].counts["process-start", "r2"] == 1
    # Nothing is reported of what only moved on by one.
    assert found.sides[0].checks == found.sides[1].checks


def test_what_is_not_wanted_is_not_compared(tmp_path):
    other = replace(EVENTS[6], fields={"interfaces": [], "processes": []})
    a = events_of(tmp_path / "a", EVENTS)
    b = events_of(tmp_path / "b", [*EVENTS[:6], other, *EVENTS[7:]])
    assert not compare_events(a, b, Wanted(), quiet).equal
    assert compare_events(a, b, Wanted(ignore=frozenset({"counters"})), quiet).equal
    assert compare_events(a, b, Wanted(node="r2"), quiet).equal
    assert compare_events(a, b, Wanted(context=0), quiet).before == ()


def test_a_run_that_ends_earlier_says_so_and_a_cut_line_is_none(tmp_path):
    a = events_of(tmp_path / "a", EVENTS)
    b = events_of(tmp_path / "b", EVENTS[:3])
    with (b / "events.jsonl").open("a") as file:
        file.write('{"fields":{"cu')
    found = compare_events(a, b, Wanted(), quiet)
    assert (found.a, found.b) == (EVENTS[3], None)


def test_a_broken_line_in_the_middle_is_an_error_with_its_place(tmp_path):
    a = events_of(tmp_path / "a", EVENTS)
    b = events_of(tmp_path / "b", EVENTS)
    lines = (b / "events.jsonl").read_text().splitlines(keepends=True)
    (b / "events.jsonl").write_text("".join([*lines[:2], "rubbish\n", *lines[2:]]))
    with pytest.raises(ProtocolError, match=r"events\.jsonl:3: "):
        compare_events(a, b, Wanted(), quiet)


def test_what_stands_in_fields_is_not_taken_for_kind_or_node(tmp_path):
    sly = Event(1, 0, "output", "r1", {"process": '","kind":"check","node":"r9"', "kind": "x"})
    a = events_of(tmp_path / "a", [sly])
    found = compare_events(a, a, Wanted(), quiet)
    assert dict(found.sides[0].counts) == {("output", "r1"): 1}


def test_checks_counters_outputs_logs_and_files_are_told(tmp_path):
    check = replace(EVENTS[7], fields={**EVENTS[7].fields, "passed": True, "message": ""})
    counters = json.loads(json.dumps(dict(EVENTS[6].fields)))
    counters["interfaces"][0]["rx_bytes"] = 101
    events = [*EVENTS[:6], replace(EVENTS[6], fields=counters), check, *EVENTS[8:]]
    a, b = record(tmp_path / "a"), record(tmp_path / "b", events=events)
    (b / "nodes/r1").mkdir(parents=True, exist_ok=True)
    (b / "nodes/r1/zebra.stdout").write_text("first\nother\n")
    (a / "nodes/r1").mkdir(parents=True, exist_ok=True)
    (a / "nodes/r1/zebra.stdout").write_text("first\nsecond\n")
    (b / "console.log").write_text(
        (a / "console.log").read_text() + "[   12.000003][   T12] more\n"
    )
    (b / "extra.bin").write_bytes(b"x")
    found = diff_runs(a, b, Wanted())
    assert [(one.name, one.a, one.b) for one in found.counters] == [("r1 eth0 rx_bytes", 100, 101)]
    assert [(one.name, one.a["passed"], one.b["passed"]) for one in found.checks] == [
        ("validate r1 it pings", False, True)
    ]
    assert [(one.line, one.a, one.b) for one in found.outputs] == [(2, "second", "other")]
    assert [(one.only_a, one.only_b) for one in found.logs] == [((), ("more",))]
    assert ("extra.bin", None) in [(one.name, one.offset_bytes) for one in found.files]
    assert not found.equal


@given(
    st.lists(st.tuples(st.integers(0, 50), st.sampled_from("ab")), max_size=12),
    st.data(),
)
def test_the_first_difference_is_where_the_lists_part(events, data):
    import tempfile  # noqa: PLC0415 - hypothesis and tmp_path do not go together

    made = [Event(time, 0, "output", node, {"process": node}) for time, node in sorted(events)]
    at = data.draw(st.integers(0, len(made)))
    new = Event(99, 0, "finding", "c", {})
    with tempfile.TemporaryDirectory() as name:
        a = events_of(Path(name) / "a", numbered(made))
        b = events_of(Path(name) / "b", numbered([*made[:at], new, *made[at:]]))
        found = compare_events(a, b, Wanted(), quiet)
        fast = first_difference(Path(name) / "a", Path(name) / "b", 10)
    assert replace(found.b, sequence=0) == new
    assert [replace(one, sequence=0) for one in found.before] == made[max(0, at - 10) : at]
    # What run says by itself is read in another way, and is the same.
    assert (fast.before, fast.a, fast.b) == (found.before, found.a, found.b)


def test_an_event_is_one_short_line():
    text = event_text(
        Event(-1_500_000_000, 1, "output", "r1", {"process": "p", "text": "x\ny" * 99})
    )
    assert text.startswith("-1.500000000 s  r1  output p: text x y")
    assert "\n" not in text
    assert len(text) < 200


def test_the_good_run_is_the_last_that_passed_before_it(tmp_path):
    made = [record(tmp_path) for _ in range(3)]
    states = ("passed", "passed", "failed")
    for run, state in zip(made, states, strict=True):
        manifest = json.loads((run / "manifest.json").read_text())
        (run / "manifest.json").write_text(json.dumps({**manifest, "state": state}))
    assert last_passing(made[2]) == made[1]
    assert last_passing(made[0]) is None


def test_runs_are_counted_as_numbers_and_one_that_cannot_be_read_is_passed_over(tmp_path):
    for name in ("9999", "10000", "10001", "10002"):
        run = tmp_path / name
        run.mkdir()
        (run / "events.jsonl").touch()
        (run / "manifest.json").write_text("{" if name == "10001" else '{"state": "passed"}')
    assert last_passing(tmp_path / "10002") == tmp_path / "10000"


def test_a_first_difference_behind_long_lines_comes_with_those_before_it(tmp_path):
    made = numbered([Event(at, 0, "output", "r1", {"text": "x" * 9_000}) for at in range(8)])
    a = events_of(tmp_path / "a", made)
    b = events_of(tmp_path / "b", made[:6])
    found = first_difference(a, b, 3)
    assert (found.before, found.a, found.b) == (tuple(made[3:6]), made[6], None)
    assert first_difference(a, a, 3).equal
    assert first_difference(a, b, 0).before == ()
    with (b / "events.jsonl").open("a") as file:
        file.write('{"fields":{"cu')
    assert first_difference(a, b, 3) == found


def test_no_events_are_kept_where_none_before_the_first_are_wanted(tmp_path):
    made = numbered([Event(at, 0, "output", "r1", {"text": "x" * 1_000}) for at in range(4_000)])
    a = events_of(tmp_path / "a", made)
    tracemalloc.start()
    compare_events(a, a, Wanted(context=0), quiet)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 1 << 20  # the file has four times that


def test_of_a_kernel_log_the_time_of_the_lab_counts_and_no_addresses(tmp_path):
    a, b = record(tmp_path / "a"), record(tmp_path / "b")
    told = ((a, "64 MB", "00000000625a1c80"), (b, "65 MB", "00000000625a1d80"))
    for run, memory, address in told:
        with (run / "console.log").open("r+") as file:
            text = file.read()
            file.seek(0)
            file.write(f"[    0.000001][    T0] host has {memory}\n{text}")
            file.write(f"[   11.000002][   T12] skb {address} freed\n")
            file.write(f"[   99.000000][    T1] halted after {memory}\n")
    assert diff_runs(a, b, Wanted()).equal


def test_the_page_of_a_run_is_no_part_of_it_and_a_trace_is_shown_by_lines(tmp_path):
    a, b = record(tmp_path / "a"), record(tmp_path / "b")
    (a / "report.html").write_text("a page")
    for run, second in ((a, "two"), (b, "three")):
        (run / "files").mkdir(exist_ok=True)
        (run / "files/trace.jsonl").write_text(f"one\n{second}\n")
    found = diff_runs(a, b, Wanted()).files
    assert [(one.name, one.line, one.a, one.b) for one in found] == [
        ("files/trace.jsonl", 2, "two", "three")
    ]


def test_a_killed_run_is_compared_as_far_as_it_got(tmp_path):
    a, b = record(tmp_path / "a"), record(tmp_path / "b")
    text = (b / "events.jsonl").read_bytes()
    (b / "events.jsonl").write_bytes(text[: text.rfind(b"{")] + b'{"fie')
    for name in ("manifest.json", "lab.yaml", "console.log", "processes.json"):
        (b / name).unlink(missing_ok=True)
    found = diff_runs(a, b, Wanted())
    assert (found.events.a, found.events.b) == (EVENTS[-1], None)
    assert ("state", "killed") in [(one.name, one.b) for one in found.verdict]
    (b / "events.jsonl").write_bytes(b"")
    assert diff_runs(a, b, Wanted()).events.a == EVENTS[0]
    assert diff_runs(b, b, Wanted()).equal


def test_the_good_cell_is_the_one_with_the_fewest_parameters_otherwise(tmp_path):
    with ResultsWriter.create(tmp_path, lab="x", header={}, source_text=None) as writer:
        for index, (state, params) in enumerate(
            [
                (CellState.PASSED, {"a": "1", "b": "1"}),
                (CellState.PASSED, {"a": "1", "b": "2"}),
                (CellState.FAILED, {"a": "2", "b": "2"}),
                (CellState.PASSED, {"a": "2", "b": "3"}),
            ]
        ):
            (writer.path / f"cells/{index}").mkdir(parents=True)
            writer.append(
                CellResult(str(index), index, 1, state, params=params, run=f"cells/{index}")
            )
        writer.finish("failed", summary={})
    failed = CellResult("2", 2, 1, CellState.FAILED, params={"a": "2", "b": "2"}, run="cells/2")
    assert nearest_passing(writer.path, failed) == writer.path / "cells/1"
