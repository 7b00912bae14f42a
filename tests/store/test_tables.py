# SPDX-License-Identifier: Apache-2.0
"""Runs as tables: what is in them, and whatever is wrong with a folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorded_runs import CONSOLE, EVENTS, begin, capture, cell, record
from repository import REPOSITORY
from windtunnel.errors import HostError, StateError, UsageError
from windtunnel.model.event import Event
from windtunnel.store.processes import processes_from_events
from windtunnel.store.run_reader import RunReader
from windtunnel.store.tables import open_runs, parts, schema
from windtunnel.store.tables.sqlerror import SqlError, explain


def ask(base: Path, query: str, said: list[str] | None = None) -> list[tuple]:
    """Ask in a new handle; what cannot be read must be expected."""
    warnings: list[str] = []
    with open_runs(base, warn=warnings.append) as runs:
        rows = runs.sql(query).fetchall()
    if said is None:
        assert warnings == []
    else:
        said += warnings
    return rows


def stored(run: Path, table: str) -> list[Path]:
    return sorted((run / parts.FOLDER).glob(f"{table}.*.parquet"))


# ---- what is in them ----


def test_every_event_is_a_row(tmp_path):
    record(tmp_path)
    rows = ask(tmp_path, "select * from events order by sequence")
    assert rows == [
        (
            "ring/0001",
            event.time_ns,
            event.node,
            event.kernel,
            event.stream,
            event.sequence,
            event.kind,
            json.dumps(dict(event.fields), sort_keys=True, separators=(",", ":")),
        )
        for event in EVENTS
    ]


def test_a_run_is_a_row_and_a_cell(tmp_path):
    run = record(tmp_path)
    assert ask(tmp_path, "select * exclude folder from runs") == [
        (
            *("ring/0001", "ring", "failed", None, 2**64 - 1, "6.12.90"),
            *(5_000_000_000, 5_000_000_000, "0.1.0", 1.5, None),
            "windtunnel replay runs/ring/0001",
        )
    ]
    assert ask(tmp_path, "select folder from runs") == [(str(run),)]
    assert ask(tmp_path, "select results, cell, index, attempt, state, run from cells") == [
        ("ring/0001", "ring", 0, 1, "failed", "ring/0001")
    ]


def test_views_say_what_the_events_say(tmp_path):
    record(tmp_path)
    assert ask(tmp_path, "select name, kind, passed, judged, at_ns, message from checks") == [
        ("it pings", "validate", False, True, 6, "it exited with 1, not 0")
    ]
    assert ask(tmp_path, "select name, of, target, begin_ns, end_ns, failed from faults") == [
        ("cut", "link-cut", "a-b", 2, 5, None)
    ]
    assert ask(tmp_path, "select time_ns, of, name, pid, counter, value from counters") == [
        (6, "interface", "eth0", None, "rx_bytes", 100),
        (6, "interface", "eth0", None, "tx_bytes", 50),
        (6, "process", "zebra", 13, "waits", 3),
    ]
    assert ask(tmp_path, "select of, node, time_ns, title from findings order by time_ns") == [
        ("run", "r2", 8, "the kernel of r2 is gone"),
        (
            "crash",
            "",
            1_000_000_000,
            "BUG: unable to handle kernel NULL pointer dereference in corrupted",
        ),
    ]
    assert ask(
        tmp_path,
        "select process, command, start_ns, end_ns, outcome, status, user_ns, system_ns,"
        " rss_max_bytes, waits, preemptions from processes order by sequence",
    ) == [
        ("zebra", "zebra -d", 1, 3, "killed", 9, 5, 7, 4096, 2, 1),
        ("zebra", "zebra", 4, None, "running", None, 0, 0, None, None, None),
    ]


def test_lines_of_the_kernel_are_in_lab_time_with_their_owner(tmp_path):
    record(tmp_path)
    query = "select number, time_ns, owner, owner_name, text, confidence, lost from log_lines"
    assert ask(tmp_path, f"{query} order by number limit 2") == [
        (0, -10_000_000_000, "T0", "swapper", "Linux version 6.12", "sure", 0),
        (1, 0, "T12", "r1/zebra", "eth0: link up", "sure", 0),
    ]


def test_packets_of_all_captures_are_in_lab_time(tmp_path):
    record(tmp_path)
    packets = ask(tmp_path, "select * from packets order by time_ns, capture")
    assert packets[0] == (
        *("ring/0001", "a-b", 0, 1000, "a:eth0", "out", 55, 55, "lost", "tcp"),
        *("10.0.0.1", "10.0.0.2", 40000, 80, "PA", 7, 1),
    )
    assert [packet[1:5] for packet in packets[1:]] == [
        ("b-lo", 0, 2000, "b:lo"),
        ("a-b", 1, 3000, "a:eth0"),
        ("b-lo", 1, 3000, "b:lo"),
    ]


def test_cells_of_results_are_found_with_their_runs(tmp_path):
    results = tmp_path / "sweep" / "0001"
    (results / "cells").mkdir(parents=True)
    run = record(tmp_path / "elsewhere")
    run.rename(results / "cells" / "loss=1%25")
    shutil.rmtree(tmp_path / "elsewhere")
    (results / "cells.jsonl").write_text(
        cell(0, "passed", params={"loss": "0%"})
        + cell(1, "failed", run="cells/loss=1%25", seed=7, finding="it pings")
        + "rubbish\n"
        + '{"cell": "cut'
    )
    said: list[str] = []
    query = "select results, cell, state, params->>'loss', run, seed from cells order by index"
    assert ask(tmp_path, query, said) == [
        ("sweep/0001", "loss=0%", "passed", "0%", "", None),
        ("sweep/0001", "loss=1%", "failed", None, "sweep/0001/cells/loss=1%25", 7),
    ]
    assert said == [f"{results / 'cells.jsonl'}:3: not a result; left out"]
    assert ask(tmp_path, "select distinct run from events") == [("sweep/0001/cells/loss=1%25",)]
    joined = "select cell, name from cells join checks using (run)"
    assert ask(tmp_path, joined, []) == [("loss=1%", "it pings")]


def test_the_folder_of_one_run_can_be_asked_alone(tmp_path):
    record(tmp_path)
    run = record(tmp_path)
    assert ask(run, "select distinct run from events") == [("ring/0002",)]
    assert ask(run, "select run from runs") == [("ring/0002",)]


@settings(max_examples=30, deadline=None)
@given(
    kinds=st.lists(
        st.tuples(st.sampled_from(["process-start", "process-exit"]), st.sampled_from("ab")),
        max_size=8,
    )
)
def test_processes_are_paired_as_the_table_of_processes_pairs_them(tmp_path_factory, kinds):
    base = tmp_path_factory.mktemp("runs")
    events = [
        Event(number, number, kind, "n", {"process": name, "status": number, "command": "c"})
        for number, (kind, name) in enumerate(kinds)
    ]
    record(base, events)
    rows = ask(
        base,
        "select process, coalesce(command, ''), start_ns, end_ns, outcome, status"
        " from processes order by sequence",
    )
    assert rows == [
        (one.name, one.command, one.start_ns, one.end_ns, one.outcome, one.status)
        for one in processes_from_events(events)
    ]


def test_every_table_has_the_columns_and_types_that_are_documented(tmp_path):
    run = record(tmp_path)
    seen = Event(5, 0, "sched_wakeup", "r1", {"common_pid": 7, "task": "ping"}, "", "trace")
    (run / "files").mkdir(exist_ok=True)
    (run / "files/trace.jsonl").write_text(f"{seen.to_line()}\n")
    with open_runs(tmp_path) as runs:
        for table in schema.TABLES:
            rows = runs.sql(f"select * from {table.name}")
            assert rows.columns == tuple(column.name for column in table.columns), table.name
            assert rows.types == tuple(column.type for column in table.columns), table.name
            found = rows.fetchall()
            keys = [tuple(row[rows.columns.index(key)] for key in table.key) for row in found]
            assert found or table.name == "nothing", table.name
            assert len(set(keys)) == len(keys), table.name


# ---- the same bytes, and what is made when ----


def test_equal_runs_give_equal_files(tmp_path):
    first, second = record(tmp_path / "a"), record(tmp_path / "b" / "c")
    for base in (tmp_path / "a", tmp_path / "b" / "c"):
        with open_runs(base) as runs:
            for table in schema.TABLES:
                runs.sql(f"select * from {table.name}").fetchall()
    names = [path.name for path in sorted((first / parts.FOLDER).iterdir())]
    assert len(names) == 4
    for name in names:
        assert (first / parts.FOLDER / name).read_bytes() == (
            second / parts.FOLDER / name
        ).read_bytes(), name


def test_only_what_a_query_needs_is_made(tmp_path):
    run = record(tmp_path)
    ask(tmp_path, "select * from runs")
    assert not (run / parts.FOLDER).exists()
    ask(tmp_path, "with x as (select * from checks) select * from x, runs")
    assert [path.name.split(".")[0] for path in (run / parts.FOLDER).iterdir()] == ["events"]


@pytest.mark.parametrize(
    "query",
    [
        "select count(*) from checks join processes using (run)",
        "select (select count(*) from PROCESSES)",
        'with x as (from "checks") select count(*) from x, processes p',
    ],
)
def test_no_table_that_a_query_needs_is_missed(tmp_path, query):
    record(tmp_path)
    assert ask(tmp_path, query) == [(2,)]


def test_a_file_is_made_once(tmp_path):
    run = record(tmp_path)
    ask(tmp_path, "select * from events, packets, log_lines")
    before = {path: path.stat().st_mtime_ns for path in (run / parts.FOLDER).iterdir()}
    ask(tmp_path, "select * from events, packets, log_lines")
    assert {path: path.stat().st_mtime_ns for path in (run / parts.FOLDER).iterdir()} == before
    assert len(before) == 4  # lines and crashes come of one reading of the kernels' logs


@pytest.mark.parametrize(("first", "then"), [("log_lines", "crashes"), ("crashes", "log_lines")])
def test_logs_are_read_once_for_their_lines_and_their_crashes(tmp_path, first, then):
    run = record(tmp_path)
    ask(tmp_path, f"select * from {first}")
    made = {path: path.stat().st_mtime_ns for path in stored(run, then)}
    assert len(made) == 1
    rows = ask(tmp_path, f"select * from {then} order by number")
    assert {path: path.stat().st_mtime_ns for path in stored(run, then)} == made
    shutil.rmtree(run / parts.FOLDER)
    assert ask(tmp_path, f"select * from {then} order by number") == rows


def test_a_run_that_was_moved_has_its_new_name(tmp_path):
    run = record(tmp_path)
    ask(tmp_path, "select * from events")
    run.rename(run.with_name("0007"))
    assert ask(tmp_path, "select distinct run from events") == [("ring/0007",)]


def test_names_that_look_like_our_folder_are_names(tmp_path):
    record(tmp_path, lab="store")
    record(tmp_path, lab="it's")
    assert ask(tmp_path, "select distinct run from events order by run") == [
        ("it's/0001",),
        ("store/0001",),
    ]


def test_a_run_that_goes_on_is_read_as_far_as_it_is(tmp_path):
    with open_runs(tmp_path) as runs, begin(tmp_path) as writer:
        count = "select count(*), max(sequence) from events"
        assert runs.sql(count).fetchall() == [(0, None)]
        writer.event(EVENTS[0])
        assert runs.sql(count).fetchall() == [(1, 0)]
        for event in EVENTS[1:4]:
            writer.event(event)
        with (writer.path / "events.jsonl").open("a") as file:
            file.write(EVENTS[4].to_line()[:30])  # as a reader may meet it
        assert runs.sql(count).fetchall() == [(4, 3)]
        assert len(stored(writer.path, "events")) == 2
        with (writer.path / "events.jsonl").open("a") as file:
            file.write(EVENTS[4].to_line()[30:] + "\n")
        assert runs.sql(count).fetchall() == [(5, 4)]
        assert runs.sql("select state from runs").fetchall() == [("running",)]
        writer.finish("passed", summary={})
        assert runs.sql("select state from runs").fetchall() == [("passed",)]


def test_files_that_overlap_give_each_event_once(tmp_path):
    # Two writers that looked at a growing log at different moments.
    run = record(tmp_path)
    whole = (run / "events.jsonl").read_bytes()
    for lines in (2, 5, 7):
        (run / "events.jsonl").write_bytes(b"".join(whole.splitlines(keepends=True)[:lines]))
        ask(tmp_path, "select * from events")
        (path,) = stored(run, "events")[:1]
        for made in stored(run, "events"):
            made.rename(tmp_path / f"{lines}-{made.name}")
        assert path is not None
    (run / "events.jsonl").write_bytes(whole)
    for kept in tmp_path.glob("*-events.*"):
        kept.rename(run / parts.FOLDER / kept.name.split("-", 1)[1])
    assert len(stored(run, "events")) == 3
    assert ask(tmp_path, "select sequence from events order by all") == [(n,) for n in range(10)]


def test_two_writers_at_once_do_each_other_no_harm(tmp_path):
    for number in range(4):
        record(tmp_path, EVENTS if number % 2 else EVENTS[:5])
    program = (
        "import sys; from windtunnel import open_runs\n"
        "with open_runs(sys.argv[1]) as runs:\n"
        "    print(runs.sql('select count(*) from events').fetchall(),"
        " runs.sql('select count(*) from packets').fetchall(),"
        " runs.sql('select count(*) from log_lines').fetchall())\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src")}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path)],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    lines = CONSOLE.count("\n")
    said = {process.communicate(timeout=60)[0] for process in started}
    assert said == {f"[(30,)] [(16,)] [({4 * lines},)]\n"}
    assert list(tmp_path.glob("**/.making-*")) == []


# ---- what can be wrong with a folder ----


@pytest.mark.parametrize("kept", [0, 3, 100, -9, -1])
def test_a_half_written_file_is_made_anew(tmp_path, kept):
    run = record(tmp_path)
    ask(tmp_path, "select * from events")
    (path,) = stored(run, "events")
    good = path.read_bytes()
    path.write_bytes(good[:kept])
    assert ask(tmp_path, "select count(*) from events") == [(10,)]
    assert path.read_bytes() == good


@pytest.mark.parametrize("table", ["events", "packets", "log_lines"])
def test_a_file_with_a_spoilt_inside_is_made_anew(tmp_path, table):
    run = record(tmp_path)
    expected = ask(tmp_path, f"select * from {table} order by all")
    (path,) = stored(run, table)
    good = path.read_bytes()
    path.write_bytes(good[:-200] + b"\xff" * 190 + good[-10:])
    assert ask(tmp_path, f"select * from {table} order by all") == expected
    assert path.read_bytes() == good


def test_files_of_a_newer_version_are_left_alone(tmp_path):
    run = record(tmp_path)
    ask(tmp_path, "select * from events")
    (path,) = stored(run, "events")
    now, later = (f"events.{version}." for version in (schema.SCHEMA, schema.SCHEMA + 1))
    newer = path.with_name(path.name.replace(now, later))
    newer.write_bytes(b"of a later version")
    (run / "events.jsonl").write_bytes(b"")  # so that ours are made anew
    assert ask(tmp_path, "select count(*) from events") == [(0,)]
    assert newer.read_bytes() == b"of a later version"


def test_a_run_of_a_newer_version_is_left_out_and_named(tmp_path):
    run, old = record(tmp_path), record(tmp_path)
    manifest = json.loads((run / "manifest.json").read_text())
    (run / "manifest.json").write_text(json.dumps(manifest | {"schema": 2}))
    said: list[str] = []
    assert ask(tmp_path, "select distinct run from events", said) == [("ring/0002",)]
    assert said == [f"{run}: recorded by a newer windtunnel (schema 2, this one reads 1); left out"]
    assert ask(tmp_path, "select count(*) from runs", []) == [(2,)]
    assert RunReader(old).state == "failed"


def test_spoilt_lines_are_named_and_cost_nothing_else(tmp_path):
    run = record(tmp_path)
    lines = (run / "events.jsonl").read_bytes().splitlines(keepends=True)
    lines[3:3] = [b"rubbish\n", b'{"time_ns": 1}\n', b"\xff\xfe\n", b"[1]\n"]
    (run / "events.jsonl").write_bytes(b"".join(lines) + b'{"cut')
    said: list[str] = []
    assert len(ask(tmp_path, "select * from events", said)) == 10
    why = "4 lines are no events and are left out; line 4: not an event: 'rubbish\\n'"
    assert said == [f"{run / 'events.jsonl'}: {why}"]


def test_a_spoilt_line_is_named_by_its_place_in_the_file_when_that_has_grown(tmp_path):
    run = record(tmp_path)
    events = run / "events.jsonl"
    whole = events.read_bytes()
    events.write_bytes(b"".join(whole.splitlines(keepends=True)[:4]))
    said: list[str] = []
    assert len(ask(tmp_path, "select * from events", said)) == 4
    events.write_bytes(whole + b"rubbish\n")
    ask(tmp_path, "select * from events", said)
    assert said == [
        f"{events}: 1 lines are no events and are left out; line 11: not an event: 'rubbish\\n'"
    ]


def test_a_line_of_monstrous_length_costs_only_itself(tmp_path):
    record(tmp_path, [EVENTS[0], Event(1, 1, "output", "", {"text": "x" * (40 << 20)}), EVENTS[2]])
    said: list[str] = []
    assert ask(tmp_path, "select sequence from events order by 1", said) == [(0,), (2,)]
    assert len(said) == 1
    assert "line 2: a line of 4194" in said[0]


def test_names_that_are_no_text_are_shown_as_far_as_they_are(tmp_path):
    record(tmp_path, [Event(0, 0, "output", "n", {"process": "\udcff", "zero": "a\0b"})])
    assert ask(tmp_path, "select fields->>'process' from events") == [("?",)]


def test_old_runs_without_kernel_and_stream_are_read(tmp_path):
    run = record(tmp_path, [])
    (run / "events.jsonl").write_text(
        '{"fields":{"lab":"ring","seed":1},"kind":"lab-begin","node":"","sequence":0,"time_ns":0}\n'
    )
    assert ask(tmp_path, "select kernel, stream, kind from events") == [("", "", "lab-begin")]
    assert ask(tmp_path, "select time_ns from log_lines order by number")[1] == (0,)


def test_a_capture_that_is_cut_or_no_capture_is_read_as_far_as_it_goes(tmp_path):
    with begin(tmp_path) as writer:
        writer.append_file("cut.pcapng", capture("a:eth0", [1, 2, 3])[:-7])
        writer.append_file("not.pcapng", b"rubbish, and more of it")
        writer.append_file("empty.pcapng", b"")
        writer.finish("passed", summary={})
    said: list[str] = []
    query = "select capture, time_ns from packets order by all"
    assert ask(tmp_path, query, said) == [("cut", 1), ("cut", 2)]
    (text,) = said
    assert text.startswith(f"{writer.path}/files/not.pcapng: pcapng: block")


def test_a_symlink_in_place_of_our_folder_is_not_followed(tmp_path):
    run = record(tmp_path / "runs")
    (tmp_path / "aim").mkdir()
    (run / parts.FOLDER).symlink_to(tmp_path / "aim")
    assert ask(tmp_path / "runs", "select count(*) from events") == [(10,)]
    assert ask(tmp_path / "runs", "select distinct run from events") == [("ring/0001",)]
    assert list((tmp_path / "aim").iterdir()) == []


def test_runs_that_may_not_be_written_are_read(tmp_path):
    run = record(tmp_path)
    (run / parts.FOLDER).write_text("a file where the folder would be")
    assert ask(tmp_path, "select count(*) from events, runs") == [(10,)]


def test_a_manifest_that_is_no_json_costs_only_its_row(tmp_path):
    run = record(tmp_path)
    (run / "manifest.json").write_text("{")
    said: list[str] = []
    assert ask(tmp_path, "select state from runs", said) == [("unknown",)]
    assert said[0].startswith(f"{run / 'manifest.json'}: ")
    assert ask(tmp_path, "select count(*) from events") == [(10,)]


def test_no_folder_of_runs_is_said(tmp_path):
    with pytest.raises(UsageError, match=r"there is no folder .*/nowhere' with runs"):
        open_runs(tmp_path / "nowhere")
    assert ask(tmp_path, "select count(*) from runs, events") == [(0,)]


# ---- wrong queries ----


@pytest.mark.parametrize(
    ("query", "line", "column", "message", "hint"),
    [
        (
            "select nod from events",
            1,
            8,
            'Referenced column "nod" not found',
            "did you mean 'node'?",
        ),
        ("select *\nfrom event", 2, 6, "Table with name event does", "did you mean 'events'?"),
        ("selct 1", 1, 1, 'syntax error at or near "selct"', "did you mean 'select'?"),
        ("select tme_ns.x from events", 1, 8, 'table "tme_ns" not found', ""),
        ("select c.nam from checks c", 1, 8, 'have a column named "nam"', "did you mean 'name'?"),
        ("select '1x'::int", 1, 12, "Could not convert string '1x'", ""),
        ("select sum(node) from events", 1, 8, "'sum(VARCHAR)'", ""),
        ("select 'é' as x, nod from events", 1, 18, '"nod"', "did you mean 'node'?"),
        ("select count(*) from events where (", 1, 35, "syntax error", "the tables are runs,"),
    ],
)
def test_a_wrong_query_is_answered_with_the_place_and_the_near_miss(
    tmp_path, query, line, column, message, hint
):
    record(tmp_path)
    with open_runs(tmp_path) as runs, pytest.raises(SqlError) as caught:
        runs.sql(query).fetchall()
    error = caught.value
    assert message in error.message
    assert hint in error.hint
    assert (error.line, error.column) == (line, column)
    _, text, carets = error.message.split("\n")
    assert text == f"    {line} | {query.splitlines()[line - 1]}"
    assert carets.index("^") == len("    1 | ") + column - 1


def test_of_a_long_line_the_part_around_the_word_is_shown(tmp_path):
    query = f"select {', '.join(f'time_ns + {n}' for n in range(40))}, nod from events"
    with open_runs(tmp_path) as runs, pytest.raises(SqlError) as caught:
        runs.sql(query)
    _, text, carets = caught.value.message.split("\n")
    assert text[carets.index("^") :].startswith("nod from")
    assert query[caught.value.column - 1 :].startswith("nod from")
    assert len(text) < 100


def test_what_would_have_to_be_downloaded_is_refused(tmp_path):
    with open_runs(tmp_path) as runs, pytest.raises(SqlError, match="'spatial' is not used here"):
        runs.sql("select st_point(1, 2)")


@pytest.mark.parametrize("query", ["", " ; ", "select 1; select 2"])
def test_one_statement_is_asked_at_a_time(tmp_path, query):
    with open_runs(tmp_path) as runs, pytest.raises(SqlError, match="one statement"):
        runs.sql(query)


def test_a_statement_may_end_in_a_semicolon_and_a_comment(tmp_path):
    record(tmp_path)
    assert ask(tmp_path, "select count(*) -- all\nfrom events;\n") == [(10,)]


def test_describe_summarize_and_explain_work(tmp_path):
    record(tmp_path)
    assert ask(tmp_path, "describe checks")[0][:2] == ("run", "VARCHAR")
    assert ask(tmp_path, "summarize select time_ns from events")[0][:4] == (
        *("time_ns", "BIGINT", "0", "9"),
    )
    ((_, plan),) = ask(tmp_path, "explain select * from events")
    assert "PARQUET" in plan.upper()


def test_a_query_that_needs_more_memory_than_it_may_have_says_so(tmp_path):
    record(tmp_path)
    with (
        open_runs(tmp_path, memory_bytes=20 << 20) as runs,
        pytest.raises(HostError, match="needs more memory"),
    ):
        runs.sql("select list(i::varchar || i) from range(10000000) t(i)").fetchall()


def test_too_little_memory_for_a_log_is_said_at_once(tmp_path):
    run = record(tmp_path)
    with (
        open_runs(tmp_path, memory_bytes=8 << 20) as runs,
        pytest.raises(HostError, match="needs more memory"),
    ):
        runs.sql("select * from events")
    assert list((run / parts.FOLDER).iterdir()) == []


# ---- ways out ----


@pytest.mark.parametrize("ending", ["parquet", "csv", "json", "jsonl"])
def test_a_result_is_written_as_its_ending_says(tmp_path, ending):
    record(tmp_path)
    target = tmp_path / f"out.{ending}"
    with open_runs(tmp_path) as runs:
        runs.write("select sequence, kind from events order by sequence limit 2; ", target)
        again = f"select * from '{target}'"
        assert runs.sql(again).fetchall() == [(0, "lab-begin"), (1, "process-start")]
    if ending == "json":
        assert json.loads(target.read_text())[1] == {"sequence": 1, "kind": "process-start"}
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_result_that_cannot_be_written_leaves_what_was_there(tmp_path):
    record(tmp_path)
    target = tmp_path / "out.csv"
    target.write_text("before")
    with open_runs(tmp_path) as runs:
        with pytest.raises(SqlError, match="nod"):
            runs.write("select nod from events", target)
        with pytest.raises(UsageError, match=r"not written as '\.xls'"):
            runs.write("select 1", tmp_path / "out.xls")
        with pytest.raises(HostError, match="No such file"):
            runs.write("select 1", tmp_path / "nowhere" / "out.csv")
    assert target.read_text() == "before"


def test_results_are_given_as_data_frames(tmp_path):
    pytest.importorskip("pyarrow")
    pytest.importorskip("pandas")
    pytest.importorskip("polars")
    record(tmp_path)
    query = "select sequence, kind from events order by sequence limit 2"
    with open_runs(tmp_path) as runs:
        assert runs.sql(query).arrow().to_pydict() == {
            "sequence": [0, 1],
            "kind": ["lab-begin", "process-start"],
        }
        assert runs.sql(query).df()["kind"].tolist() == ["lab-begin", "process-start"]
        assert runs.sql(query).pl().rows() == [(0, "lab-begin"), (1, "process-start")]


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("windtunnel.store.tables.database.find_spec", lambda _name: None)
    with open_runs(tmp_path) as runs:
        for method, package in (("arrow", "pyarrow"), ("df", "pandas"), ("pl", "polars")):
            with pytest.raises(HostError, match=f"needs {package}") as caught:
                getattr(runs.sql("select 1"), method)()
            assert "windtunnel[frames]" in caught.value.hint


def test_temporary_files_are_gone_when_it_is_closed(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "runs").mkdir()
    record(tmp_path / "runs")
    with open_runs(tmp_path / "runs") as runs:
        runs.sql("select * from runs")
        assert len(list(tmp_path.glob("windtunnel-sql-*"))) == 1
    assert list(tmp_path.glob("windtunnel-sql-*")) == []


def test_a_result_is_read_once_and_while_its_handle_is_open(tmp_path):
    run = record(tmp_path)
    with open_runs(tmp_path) as runs:
        rows = runs.sql("select sequence from events order by sequence")
        assert rows.fetchmany(1) == [(0,)]
        assert len(rows.fetchall()) == len(EVENTS) - 1
        for again in (rows.fetchall, rows.df, rows.arrow, rows.pl, lambda: list(rows)):
            with pytest.raises(StateError, match="have been read"):
                again()
        late = runs.sql("select sequence from events")
        kept = stored(run, "events")
    for ask_late in (late.fetchall, lambda: runs.sql("select 1"), lambda: late.fetchmany(1)):
        with pytest.raises(StateError, match=r"is closed|have been read"):
            ask_late()
    assert stored(run, "events") == kept != []


def test_the_word_that_was_written_is_no_hint():
    said = 'Parser Error: syntax error at or near "from"\n\nLINE 1: select over from x\n       ^^^^'
    assert "did you mean" not in explain(said).hint
