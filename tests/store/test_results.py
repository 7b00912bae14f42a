# SPDX-License-Identifier: Apache-2.0
"""The folder of a lab's results: whole whatever happens, one writer, every try in it."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from repository import REPOSITORY
from windtunnel.errors import HostError, ProtocolError, UsageError
from windtunnel.model.event import Event
from windtunnel.model.result import CellResult, CellState, CheckResult, last_results
from windtunnel.store.layout import cell_folder_name
from windtunnel.store.results import read_results, summarize
from windtunnel.store.results_writer import ResultsWriter
from windtunnel.store.run_dir import RunWriter
from windtunnel.store.run_reader import find_record, find_run, list_records, list_runs


def begin(base: Path, lab: str = "ring", **header) -> ResultsWriter:
    return ResultsWriter.create(base, lab=lab, header=header, source_text=f"name: {lab}\n")


def result(index: int, state: CellState = CellState.PASSED, attempt: int = 1) -> CellResult:
    checks = (CheckResult("reaches", "step", "a", 1000, 20, passed=state is CellState.PASSED),)
    return CellResult(f"x={index}", index, attempt, state, {"x": str(index)}, checks=checks)


def test_what_is_appended_is_read_again_with_every_try(tmp_path):
    with begin(tmp_path, planned=2, seed=7) as writer:
        tries = [result(0), result(1, CellState.FAILED), result(1, attempt=2)]
        for one in tries:
            writer.append(one)
        writer.finish("passed", summary={"counts": {"passed": 2}})
    assert writer.path == tmp_path / "ring" / "0001"
    assert (tmp_path / "ring" / "latest").resolve() == writer.path.resolve()
    results = read_results(writer.path)
    assert results.results == tries
    assert [one.attempt for one in last_results(results.results)] == [1, 2]
    assert (results.lab, results.state, results.header["planned"]) == ("ring", "passed", 2)
    assert (writer.path / "lab-source.yaml").read_text() == "name: ring\n"


def test_results_whose_runner_was_killed_say_so_and_can_be_gone_on_with(tmp_path):
    program = (
        "import sys, os, signal; sys.path[:0] = ['tests', 'tests/store']\n"
        "from test_results import begin, result; from pathlib import Path\n"
        f"writer = begin(Path({str(tmp_path)!r}), planned=3)\n"
        "writer.append(result(0)); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src")}
    subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, env=environment, check=False)
    path = tmp_path / "ring" / "0001"
    with (path / "cells.jsonl").open("ab") as lines:
        lines.write(b'{"cell":"x=1","index":1,"att')  # as a power cut may leave it
    killed = read_results(path)
    assert killed.state == "killed"
    assert killed.results == [result(0)]
    with ResultsWriter.resume(path) as writer:
        assert read_results(path).state == "running"
        writer.append(result(1))
        writer.finish("passed", summary={})
    assert read_results(path).results == [result(0), result(1)]


def test_two_runners_cannot_write_one_folder(tmp_path):
    with begin(tmp_path) as writer:
        with pytest.raises(UsageError, match=rf"another runner is at work .*process {os.getpid()}"):
            ResultsWriter.resume(writer.path)
        with pytest.raises(UsageError, match="another runner"):
            ResultsWriter.create_at(writer.path, lab="ring", header={}, source_text=None)
        writer.finish("passed", summary={})
    ResultsWriter.resume(writer.path).close()


def test_a_folder_with_something_in_it_is_left_alone(tmp_path):
    (tmp_path / "mine").write_text("precious")
    with pytest.raises(UsageError, match=r"not empty: 'mine' is in it"):
        ResultsWriter.create_at(tmp_path, lab="ring", header={}, source_text=None)
    with pytest.raises(UsageError, match="no results to go on with"):
        ResultsWriter.resume(tmp_path)


@pytest.mark.parametrize(("schema", "age"), [(0, "an older"), (2, "a newer")])
def test_results_of_another_version_are_refused_with_its_name(tmp_path, schema, age):
    with begin(tmp_path) as writer:
        writer.finish("passed", summary={})
    header = json.loads((writer.path / "results.json").read_text())
    (writer.path / "results.json").write_text(
        json.dumps({**header, "schema": schema, "windtunnel": "9.9"})
    )
    for use in (read_results, ResultsWriter.resume):
        with pytest.raises(UsageError, match=rf"was made by {age} windtunnel \(9\.9\)"):
            use(writer.path)


def test_a_damaged_line_in_the_middle_is_named(tmp_path):
    with begin(tmp_path) as writer:
        writer.append(result(0))
        with (writer.path / "cells.jsonl").open("a") as lines:
            lines.write('{"cell": 3}\n')
        writer.append(result(1))
        writer.finish("passed", summary={})
    with pytest.raises(ProtocolError, match=r"cells\.jsonl:2: no result of a cell"):
        read_results(writer.path)


def test_a_full_disk_keeps_what_was_recorded_and_leaves_no_half_line(tmp_path):
    writer = begin(tmp_path)
    writer.append(result(0))
    size_bytes = (writer.path / "cells.jsonl").stat().st_size
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes + 50, limits[1]))
    try:
        with pytest.raises(HostError, match=r"cannot write cells\.jsonl") as full, writer:
            writer.append(result(1))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "what was recorded until now can be read" in full.value.hint
    results = read_results(writer.path)
    assert results.results == [result(0)]
    assert (writer.path / "cells.jsonl").stat().st_size == size_bytes


def test_no_try_of_one_cell_is_in_the_folder_of_another(tmp_path):
    names = [
        cell_folder_name(cell, attempt) for cell in ("a", "a~2", "a%7E2") for attempt in (1, 2)
    ]
    assert names[:4] == ["a", "a~2", "a%7E2", "a%7E2~2"]
    assert len(set(names)) == len(names)
    with begin(tmp_path) as writer:
        folder = writer.run_folder("loss=1%", 2)
        folder.mkdir()
        (folder / "old").write_text("half of a run")
        assert not writer.run_folder("loss=1%", 2).exists()
        writer.finish("passed", summary={})


def test_a_single_run_is_read_as_results_with_one_cell(tmp_path):
    with RunWriter.create(
        tmp_path, lab="solo", lab_text="name: solo\n", source_text=None, manifest={"seed": 3}
    ) as writer:
        fields = {"name": "hears", "of": "step", "passed": False, "judged": True}
        fields |= {"at_ns": 5, "took_ns": 2, "message": "silence\nand more"}
        writer.event(Event(7, 0, "check", "b", fields))
        summary = {"end_ns": 9, "repeat": "windtunnel replay {run}", "host": {"wall_host_s": 1.5}}
        writer.finish("failed", summary=summary)
    results = read_results(writer.path)
    (one,) = results.results
    assert (one.cell, one.state, one.seed, one.end_ns) == ("solo", CellState.FAILED, 3, 9)
    assert one.finding == "hears on b: silence"
    assert one.checks == (
        CheckResult("hears", "step", "b", 5, 2, passed=False, message="silence\nand more"),
    )
    assert one.wall_host_s == 1.5
    assert str(writer.path) in one.repeat


def test_a_folder_without_results_is_named(tmp_path):
    with pytest.raises(UsageError, match="has no results"):
        read_results(tmp_path)


def test_the_try_that_decides_is_counted_and_a_retry_is_not_hidden():
    failed, passed = CellState.FAILED, CellState.PASSED
    summary = summarize(
        [
            result(2, failed),
            result(0, passed),
            result(1, CellState.INTERRUPTED),
            result(2, passed, attempt=2),
            result(3, failed),
            result(3, CellState.TIMEOUT, attempt=2),
            result(1, passed),  # done anew: it counts in place of the interrupted one
        ]
    )
    assert summary.counts == {"passed": 3, "timeout": 1}
    assert (summary.tries, summary.cells, summary.passed) == (7, 4, False)
    assert [(one.cell, one.state, one.checks) for one in summary.failures] == [
        ("x=3", CellState.TIMEOUT, ())
    ]
    assert [(one.cell, one.attempt) for one in summary.only_at_retry] == [("x=2", 2)]


@pytest.fixture
def records(tmp_path):
    """Results with the runs of two cells, a single run, and results with one cell."""
    with begin(tmp_path) as writer:
        for cell in ("loss=1%", "loss=2%"):
            run = writer.run_folder(cell, 1)
            RunWriter.create_at(run, lab="ring", lab_text="", source_text=None, manifest={}).close()
        writer.finish("passed", summary={})
    RunWriter.create(tmp_path, lab="ring", lab_text="", source_text=None, manifest={}).close()
    with begin(tmp_path, "solo") as writer:
        run = writer.run_folder("solo", 1)
        RunWriter.create_at(run, lab="solo", lab_text="", source_text=None, manifest={}).close()
        writer.finish("passed", summary={})
    return tmp_path


def test_runs_and_results_share_their_numbers_and_are_found_by_them(records):
    ring = records / "ring"
    assert list_records(records) == (ring / "0001", ring / "0002", records / "solo" / "0001")
    assert list_runs(records) == (ring / "0002",)
    assert find_record("ring/1", records) == ring / "0001"
    assert find_record("ring", records) == ring / "0002"
    assert find_record("solo", records) == records / "solo" / "0001"
    assert find_record(str(ring / "0001"), records) == ring / "0001"


def test_the_run_of_a_cell_is_found_by_its_name_and_by_its_folder(records):
    cell = records / "ring" / "0001" / "cells" / "loss=1%25"
    assert find_run("ring/1/loss=1%", records) == cell
    assert find_run("ring/0001/loss=1%25", records) == cell
    assert find_run(str(cell), records) == cell
    # of one cell there is nothing to choose
    assert find_run("solo", records).name == "solo"


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("ring/1", "has the results of 2 cells", "such as ring/0001/loss=1%"),
        ("ring/1/loss=3%", "no cell 'loss=3%' has a run", "'loss=2%'"),
        ("ring/2/loss=1%", "there is no run 'ring/2/loss=1%'", "are 0001 to 0002"),
        ("rong/1", "there is no run 'rong/1'", "ring"),
    ],
)
def test_a_run_that_is_not_there_is_told_from_those_that_are(records, name, message, hint):
    with pytest.raises(UsageError) as caught:
        find_run(name, records)
    assert message in caught.value.message
    assert hint in caught.value.hint
