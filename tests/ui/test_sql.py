# SPDX-License-Identifier: Apache-2.0
"""`windtunnel sql` and `windtunnel export`, as a user meets them."""

from __future__ import annotations

import csv
import json
import os
import pty
import re

import pytest

from recorded_runs import record


@pytest.fixture
def runs(program):
    """Two recorded runs below the program's folder."""
    for _ in range(2):
        record(program.folder / "runs")
    return program


def test_rows_are_a_table_with_numbers_at_the_right(runs):
    answer = runs("sql", "select run, count(*) as events from events group by all order by run")
    assert (answer.returncode, answer.stderr) == (0, "")
    assert answer.stdout == "run        events\nring/0001      10\nring/0002      10\n"


def test_json_is_one_document_with_nested_fields(runs):
    query = "select sequence, fields from events where kind = 'lab-begin' order by run"
    answer = runs("sql", "--json", query)
    fields = {"kernel_ns": 10_000_000_000, "lab": "ring", "seed": 1}
    assert json.loads(answer.stdout) == [{"sequence": 0, "fields": fields}] * 2
    assert json.loads(runs("sql", "--json", "select 1 limit 0").stdout) == []


def test_csv_has_names_and_quotes(runs):
    answer = runs("sql", "--csv", "select message, finding from checks, runs limit 1")
    assert list(csv.reader(answer.stdout.splitlines())) == [
        ["message", "finding"],
        ["it exited with 1, not 0", ""],
    ]


def test_a_query_is_read_from_stdin(runs):
    (runs.folder / "query.sql").write_text("select count(*) as n from checks;\n")
    with open(runs.folder / "query.sql") as stdin:
        assert runs("sql", "-", stdin=stdin).stdout == "n\n2\n"


def test_a_result_is_written_to_a_file(runs):
    answer = runs("sql", "from checks order by run", "-o", "out.json")
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "", "")
    assert len(json.loads((runs.folder / "out.json").read_text())) == 2


def test_without_a_query_the_tables_are_listed(runs):
    shown = runs("sql").stdout
    assert re.match(r"table +one row is\nruns +A run, ", shown)
    listed = json.loads(runs("sql", "--json").stdout)
    assert listed[0]["table"] == "runs"
    assert listed[0]["columns"]["seed"] == "UBIGINT"


def test_a_wrong_query_points_at_the_word_and_exits_with_2(runs):
    answer = runs("sql", "select run,\n  nod from events")
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr == (
        'windtunnel: Referenced column "nod" not found in FROM clause\n'
        "    2 |   nod from events\n"
        "      |   ^^^\n"
        "  did you mean 'node'?\n"
    )


def test_what_cannot_be_read_is_said_once_and_the_rest_is_shown(runs):
    with (runs.folder / "runs/ring/0001/events.jsonl").open("a") as file:
        file.write("rubbish\n")
    answer = runs("sql", "select count(*) as n from events")
    assert (answer.returncode, answer.stdout) == (0, " n\n20\n")
    assert answer.stderr.count("1 lines are no events") == 1


def test_controls_of_a_guest_do_not_reach_the_terminal(runs):
    shown = runs("sql", "select chr(27) || '[2J' || chr(10) || 'é' as x").stdout
    assert shown == "x\n\\x1b[2J\\né\n"


def test_one_way_out_at_a_time_and_a_folder_of_runs_are_asked_for(runs):
    answer = runs("sql", "--json", "--csv", "select 1")
    assert (answer.returncode, "choose one" in answer.stderr) == (2, True)
    answer = runs("sql", "--runs", "nowhere", "select 1")
    assert (answer.returncode, "there is no folder 'nowhere'" in answer.stderr) == (2, True)


def test_a_reader_that_goes_away_ends_it_quietly(runs):
    query = "select i from range(1000000) t(i)"
    with runs.start("sql", "--csv", query) as process:
        process.stdout.readline()
        process.stdout.close()
        process.wait(timeout=60)
        assert process.stderr.read() == ""
        assert process.returncode == 141


def test_the_width_of_a_terminal_is_kept(runs):
    leader, follower = pty.openpty()
    environment = runs.environment | {"COLUMNS": "60"}
    runs.environment = environment
    query = "select run, message, message as again, message as more from checks"
    with runs.start("sql", query, stdout=follower) as process:
        os.close(follower)
        shown = b""
        try:
            while piece := os.read(leader, 65536):
                shown += piece
        except OSError:
            pass  # how a terminal says that nobody writes any more
        process.wait(timeout=60)
    os.close(leader)
    assert process.returncode == 0
    lines = re.sub(r"\x1b\[[0-9;]*m", "", shown.decode()).splitlines()
    assert [len(line) <= 60 for line in lines] == [True] * 3
    assert lines[1].startswith("ring/0001")


@pytest.mark.parametrize(
    ("arguments", "file"),
    [
        (("--to", "otlp"), "x.log"),
        ((), "x.jsonl"),
        ((), "x.pcapng"),
        ((), "x.xlsx"),
    ],
)
def test_a_run_is_exported_as_asked_or_as_the_ending_says(runs, arguments, file):
    if file.endswith(".xlsx"):
        pytest.importorskip("xlsxwriter")
    answer = runs("export", "ring/1", *arguments, "-o", file)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert answer.stdout == f"written to {file}\n"
    assert (runs.folder / file).stat().st_size > 100


def test_an_export_without_a_format_or_a_place_is_refused(runs):
    answer = runs("export", "ring", "-o", "x.foo")
    assert answer.returncode == 2
    assert "says no format" in answer.stderr
    answer = runs("export", "ring", "-o", "nowhere/x.jsonl")
    assert (answer.returncode, "cannot write x.jsonl in nowhere" in answer.stderr) == (3, True)
