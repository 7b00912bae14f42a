# SPDX-License-Identifier: Apache-2.0
"""Every query of the manual runs, and finds something in a run that has it."""

import re

import pytest

from recorded_runs import EVENTS, cell, record
from repository import REPOSITORY
from windtunnel.model.event import Event
from windtunnel.store.tables import open_runs

PAGE = (REPOSITORY / "docs" / "howto" / "sql.md").read_text()
QUERIES = re.findall(r"^```sql\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
PYTHON = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    base = tmp_path_factory.mktemp("work") / "runs"
    again = Event(
        1_000_000_006,
        len(EVENTS),
        "counters",
        "r1",
        {"interfaces": [{"name": "eth0", "rx_bytes": 1, "tx_bytes": 1050}], "processes": []},
    )
    record(base, [*EVENTS, again])
    (base / "sweep" / "0001").mkdir(parents=True)
    (base / "sweep" / "0001" / "cells.jsonl").write_text(
        cell(0, "passed", params={"loss": "0%"}) + cell(1, "failed", params={"loss": "1%"})
    )
    return base


def test_there_are_ten():
    assert len(QUERIES) == 10


@pytest.mark.parametrize("number", range(10))
def test_a_query_of_the_guide_finds_something(base, number):
    with open_runs(base, warn=pytest.fail) as runs:
        rows = runs.sql(QUERIES[number]).fetchall()
    assert rows


def test_the_throughput_is_that_of_the_counters(base):
    (query,) = [query for query in QUERIES if "bytes_per_s" in query]
    with open_runs(base) as runs:
        rows = runs.sql(query).fetchall()
    assert [row[-1] for row in rows] == [None, 1000.0]


def test_the_program_of_the_guide_runs(base, monkeypatch, capsys):
    monkeypatch.chdir(base.parent)
    (program,) = PYTHON
    exec(compile(program, "sql.md", "exec"), {})
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "ring/0001 it pings"
    assert shown[1:3] == ["node", "r1    100"]
