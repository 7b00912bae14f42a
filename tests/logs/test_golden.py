# SPDX-License-Identifier: Apache-2.0
"""Whole logs, and what is read from them.

The first line of each log says where it comes from. After a change:
`pytest tests/logs --update-golden`, and look at what git shows.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from windtunnel.logs.printk import Line
from windtunnel.logs.reading import read_log

FOLDER = Path(__file__).parent / "golden"
LOGS = sorted(FOLDER.glob("*.log"))
MARKS = {1: "?", 2: "~", 3: " "}


def shown(entry):
    """One string for a line, so that a difference is one line of git's."""
    if not isinstance(entry, Line):
        return f"--- {entry.count}: {entry.why}"
    name = f"{entry.owner} {entry.owner_name}".strip()
    doubts = "".join(f" [{doubt}]" for doubt in entry.doubts)
    return f"{MARKS[entry.confidence]} {entry.first_micros} {name}| {entry.text}{doubts}"


def read(path):
    log = read_log([path.read_bytes()])
    return {
        "reports": [found.to_json() for found in log.reports],
        "lines": [shown(entry) for entry in log.entries],
    }


def test_there_are_logs_and_each_says_where_it_comes_from():
    assert len(LOGS) >= 10
    assert [path.name for path in LOGS if not path.read_bytes().startswith(b"# ")] == []


@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.stem)
def test_a_log_reads_as_it_did(path, update_golden):
    expected = path.with_suffix(".json")
    if update_golden:
        expected.write_text(json.dumps(read(path), indent=1, ensure_ascii=False) + "\n")
    assert read(path) == json.loads(expected.read_text())
