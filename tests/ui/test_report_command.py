# SPDX-License-Identifier: Apache-2.0
"""`windtunnel report`, as a user types it."""

from __future__ import annotations

import json

import page_runs
from cell_results import HEADER, cell
from page_runs import MS, PINGS, S, capture
from windtunnel.model.result import CellState
from windtunnel.store import layout
from windtunnel.store.results_writer import ResultsWriter
from windtunnel.store.run_dir import RunWriter


def a_run(program, **more):
    captures = {"a-b": capture(*PINGS)}
    return page_runs.record(program.folder / "runs", captures=captures, **more)


def some_results(program, *cells):
    """Results of cells, each with a run that has ended so."""
    with ResultsWriter.create(
        program.folder / "runs", lab="pair", header=dict(HEADER), source_text=None
    ) as writer:
        for number, state in enumerate(cells):
            run = f"cells/x={number}"
            with RunWriter.create_at(
                writer.path / run,
                lab="pair",
                lab_text=page_runs.LAB,
                source_text=None,
                manifest=page_runs.MANIFEST,
            ) as one:
                one.finish(state.value, summary={"end_ns": S})
            params = {"x": str(number)}
            writer.append(cell(number, state, run=run, params=params, finding="bad"))
        writer.finish("failed", summary={})
    return writer.path


def test_the_page_of_a_run_is_in_its_folder(program):
    run = a_run(program)
    done = program("report", "pair")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"written to runs/pair/0001/{layout.REPORT}\n"
    assert "<h1>pair</h1>" in (run / layout.REPORT).read_text()
    assert program("report", "pair/1", "-o", "new/x.html", "--quiet").stdout == ""
    assert (program.folder / "new/x.html").read_text() == (run / layout.REPORT).read_text()


def test_the_page_does_not_depend_on_the_order_of_hashes(program):
    a_run(program)
    pages = []
    for seed in ("1", "2"):
        program.environment["PYTHONHASHSEED"] = seed
        done = program("report", "pair", "-o", f"{seed}.html")
        assert done.returncode == 0, done.stderr
        pages.append((program.folder / f"{seed}.html").read_bytes())
    assert pages[0] == pages[1]


def test_two_real_runs_have_equal_pages(booting_program, need_program):
    program = booting_program
    for name in ("tcpdump", "ping"):
        need_program(name)
    (program.folder / "lab.yaml").write_text(
        "name: pings\nseed: 3\nstop: 3 s\ncounters: 1 s\nnodes: {a: {}, b: {}}\n"
        "links: [{endpoints: [a, b], delay: 5 ms}]\ncapture: [{link: a-b}]\n"
        "faults: [{name: cut, at: 1 s, for: 1 s, link: a-b, down: true}]\n"
        "run: [{name: ping, node: a, cmd: ping -c 8 -i 0.3 10.0.0.2}]\n"
        "validate: [{name: no, node: b, cmd: 'echo why >&2; exit 4'}]\n"
    )
    pages = []
    for hash_seed in ("1", "2"):
        program.environment["PYTHONHASHSEED"] = hash_seed
        done = program("run", "lab.yaml")
        assert done.returncode == 1, done.stderr
        asked = f"windtunnel report runs/pings/000{hash_seed}"
        assert f"look at it    {asked}\n" in done.stdout
        assert program(*asked.split()[1:]).returncode == 0
        page = program.folder / "runs/pings/latest" / layout.REPORT
        pages.append(page.read_text())
    assert pages[0] == pages[1]
    data = json.loads(pages[0].split('id="data">')[1].split("</script>")[0])
    (trips,) = [one for one in data["roundTrips"] if one["name"].startswith("a:eth0, icmp")]
    assert all(10 * MS <= point[1] < 11 * MS for point in trips["points"])
    downs = [one["t"] for one in data["moments"] if one["states"].get("link:a-b") == "down"]
    assert downs == [1 * S]
    assert "exited with 4" in pages[0]


def test_results_have_a_page_with_links_to_those_of_failed_runs(program):
    path = some_results(program, CellState.PASSED, CellState.FAILED, CellState.ERROR)
    done = program("report", "pair/latest")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"written to runs/pair/0001/{layout.REPORT}, and the pages of 2 runs\n"
    page = (path / layout.REPORT).read_text()
    assert 'href="./cells/x%3D1/report.html"' in page
    assert "x%3D0/report.html" not in page
    made = sorted(file.parent.name for file in path.glob(f"cells/*/{layout.REPORT}"))
    assert made == ["x=1", "x=2"]
    failed = (path / "cells/x=1" / layout.REPORT).read_text()
    assert "Where it parts from x=0, the nearest run that passed" in failed
    assert "the pages of 3 runs" in program("report", "pair", "--all").stdout


def test_json_names_the_files(program):
    some_results(program, CellState.PASSED, CellState.FAILED)
    assert json.loads(program("report", "pair", "--json").stdout) == {
        "page": f"runs/pair/0001/{layout.REPORT}",
        "runs": [f"runs/pair/0001/cells/x=1/{layout.REPORT}"],
        "unreadable": 0,
    }


def test_empty_results_and_results_whose_runs_are_gone_have_a_page(program):
    some_results(program)
    assert program("report", "pair").stdout.endswith(f"0001/{layout.REPORT}\n")
    path = some_results(program, CellState.FAILED)
    (path / "cells/x=0" / layout.EVENTS).unlink()
    done = program("report", "pair/2")
    assert (done.returncode, done.stderr) == (0, "")
    assert "report.html" not in (path / layout.REPORT).read_text().split('id="data"')[0]


def test_what_cannot_be_read_is_said(program):
    run = a_run(program)
    (run / layout.LAB).unlink()
    done = program("report", "pair")
    assert done.returncode == 0
    assert done.stderr == (
        "windtunnel: 1 thing of runs/pair/0001 cannot be read; the page names them\n"
    )


def test_wrong_uses_say_what_would_be_right(program):
    a_run(program)
    done = program("report", "pear")
    assert done.returncode == 2
    assert "there is no run 'pear'" in done.stderr
    (program.folder / "file").touch()
    done = program("report", "pair", "-o", "file/x.html")
    assert done.returncode == 3
    assert "cannot write x.html in file: " in done.stderr
    some_results(program, CellState.FAILED)
    done = program("report", "pair/2", "--against", "pair/1")
    assert done.returncode == 2
    assert "windtunnel results diff pair/1 pair/2" in done.stderr


def test_against_another_run_the_first_difference_is_shown(program):
    a_run(program)
    a_run(program, outputs={("a", "ready"): b"bad\n"})
    done = program("report", "pair/2", "--against", "pair/1", "-o", "x.html")
    assert (done.returncode, done.stderr) == (0, "")
    assert "output of ready on a, stdout, line 1" in (program.folder / "x.html").read_text()
