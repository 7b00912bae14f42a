# SPDX-License-Identifier: Apache-2.0
"""`windtunnel results`, as a user types it."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from cell_results import HEADER, cell, check, six_cells, thousand_cells
from windtunnel.model.result import CellState
from windtunnel.store.results_writer import ResultsWriter


def record(program, results, *, lab="transport", seed=7):
    header = {key: HEADER[key] for key in ("kernel", "planned")} | {"seed": seed}
    with ResultsWriter.create(
        program.folder / "runs", lab=lab, header=header, source_text=None
    ) as writer:
        for one in results:
            writer.append(one)
        writer.finish("failed", summary={})
    return writer.path


@pytest.fixture
def recorded(program):
    """Two results of a lab, the second with another failure, and slower."""
    record(program, six_cells())
    later = six_cells()
    bad = (check("throughput", passed=False, message="no answer"),)
    later[0] = replace(
        later[0], state=CellState.FAILED, checks=bad, finding="throughput on r1: no answer"
    )
    later[2] = replace(later[2], state=CellState.PASSED, checks=(), finding="")
    later[-1] = replace(later[-1], end_ns=later[-1].end_ns + 1, wall_host_s=9.0)
    record(program, later, seed=8)
    return program


SHOWN = """\
transport

cell              state   tries   virtual   host
cc=cubic,loss=5%  failed         30.000 s  1.2 s
cc=bbr,loss=1%    passed      2  30.000 s  1.2 s

1 cell: throughput on r1: 12 Mbit
      cc=cubic,loss=5%
  repeat the first: windtunnel replay runs/transport/0001/cells/cc=cubic,loss=5%

5 passed (1 after retries), 1 failed
seed            7
kernel          7.3.4
planned         6
"""

DIFFERENCE = """\
other seed: 7 → 8
new failures: 1
  cc=cubic,loss=0%: passed → failed
      throughput on r1: no answer
      windtunnel replay runs/transport/0001/cells/cc=cubic,loss=0%
fixed: 1
  cc=cubic,loss=5%: failed → passed
      throughput on r1: 12 Mbit
another virtual time: 1
  cc=bbr,loss=5%: 30 s → 30000000001 ns
another host time: 1
  cc=bbr,loss=5%: 1.2 s → 9.0 s
"""


def test_results_are_shown_by_what_went_wrong(recorded):
    done = recorded("results", "show", "transport/1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(SHOWN)
    every = recorded("results", "show", "transport/1", "--all").stdout
    assert "cc=bbr,loss=0%    passed" in every
    document = json.loads(recorded("results", "show", "transport/1", "--json").stdout)
    assert [found["state"] for found in document["cells"]].count("passed") == 5


def test_a_long_group_is_cut_and_says_how_to_see_all(program):
    record(program, thousand_cells())
    shown = program("results", "show", "latest").stdout
    assert "150 cells: throughput on r1: 3 Mbit is less than 20\n" in shown
    assert "      and 140 more (--all)\n" in shown


@pytest.mark.parametrize(
    ("name", "begin"),
    [
        ("junit", '<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="transport"'),
        ("html", "<!doctype html>\n"),
        ("json", '{\n "schema": 1,\n "lab": "transport"'),
        ("ktap", "KTAP version 1\n1..6\n"),
        ("tap", "TAP version 14\n1..6\n"),
        ("tap13", "TAP version 13\n1..6\n"),
    ],
)
def test_each_format_goes_to_a_file_or_to_standard_output(recorded, name, begin):
    recorded.environment["PYTHONIOENCODING"] = "ascii"  # the formats are UTF-8 whatever this says
    done = recorded("results", "export", "transport/1", "--format", name)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(begin)
    assert recorded(
        "results", "export", "transport/1", "-f", name, "-o", f"out/deep/results.{name}"
    ).stdout == ""  # fmt: skip
    written = (recorded.folder / f"out/deep/results.{name}").read_text(encoding="utf-8")
    expected = done.stdout.replace('"runs/transport', '"../../runs/transport')
    assert written == expected


@pytest.mark.parametrize("name", ["junit", "html", "json", "ktap", "tap", "tap13"])
def test_the_same_results_give_the_same_bytes_in_another_process(recorded, name):
    texts = set()
    for seed in ("1", "2"):
        recorded.environment["PYTHONHASHSEED"] = seed
        texts.add(recorded("results", "export", "transport/2", "--format", name).stdout)
    assert len(texts) == 1


def test_links_of_a_page_lead_from_where_it_lies_to_the_runs(recorded):
    recorded("results", "export", "transport/1", "-f", "html", "-o", "pages/index.html")
    page = (recorded.folder / "pages" / "index.html").read_text(encoding="utf-8")
    assert 'href="../runs/transport/0001/cells/cc%3Dcubic%2Closs%3D5%25/"' in page


def test_a_device_is_written_to_and_not_replaced(recorded):
    done = recorded("results", "export", "transport/1", "-f", "junit", "-o", "/dev/stdout")
    assert ET.fromstring(done.stdout).tag == "testsuites"


def test_new_failures_make_the_comparison_fail(recorded):
    done = recorded("results", "diff", "transport/1", "transport/2")
    assert (done.stdout, done.returncode) == (DIFFERENCE, 1)
    document = json.loads(
        recorded("results", "diff", "transport/1", "transport/2", "--json").stdout
    )
    assert [one["cell"] for one in document["new_failures"]] == ["cc=cubic,loss=0%"]
    assert document["conditions"] == [{"name": "seed", "before": 7, "after": 8}]
    assert document["virtual_times"] == [
        {"cell": "cc=bbr,loss=5%", "before_ns": 30_000_000_000, "after_ns": 30_000_000_001}
    ]


def test_results_without_new_failures_compare_well(recorded):
    done = recorded("results", "diff", "transport/2", "transport/2")
    assert done.returncode == 0
    assert done.stdout == (
        "still failing: 1\n"
        "  cc=cubic,loss=0%: failed → failed\n"
        "      throughput on r1: no answer\n"
        "      windtunnel replay runs/transport/0001/cells/cc=cubic,loss=0%\n"
        "no cell ends otherwise\n"
    )
    patient = recorded("results", "diff", "transport/1", "transport/2", "--host-ratio", "10")
    assert "host time" not in patient.stdout


def test_bad_words_are_refused_with_the_near_miss(recorded):
    done = recorded("results", "export", "transport/1", "--format", "junt")
    assert done.returncode == 2
    assert "'junit'" in done.stderr
    done = recorded("results", "show", "transprt/1")
    assert (done.returncode, "did you mean 'transport" in done.stderr) == (2, True)
    done = recorded("results", "export", "transport/1", "-f", "tap", "-o", "runs")
    assert done.returncode == 3
    assert "cannot write runs in .: Is a directory" in done.stderr


def test_output_of_a_guest_cannot_reach_the_terminal_as_it_is(program):
    record(program, [cell(0, CellState.FAILED, finding="\x1b[2J\x1b]0;title\x07 gone")])
    shown = program("results", "show", "latest").stdout
    assert "\\x1b[2J\\x1b]0;title\\x07 gone" in shown
    assert "\x1b" not in shown
