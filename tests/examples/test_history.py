# SPDX-License-Identifier: Apache-2.0
"""The history checker of examples/redis-failover, on histories with known verdicts."""

import importlib.util
import itertools
import json
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from repository import REPOSITORY

SCRIPT = REPOSITORY / "examples" / "redis-failover" / "history.py"
MS = 1_000_000


@pytest.fixture(scope="module")
def history():
    specification = importlib.util.spec_from_file_location("history", SCRIPT)
    module = importlib.util.module_from_spec(specification)
    sys.modules["history"] = module  # dataclasses look there
    specification.loader.exec_module(module)
    yield module
    del sys.modules["history"]


def entries(*rows):
    """Lines of a history: rows of client, begin and end in ms, kind, value and outcome."""
    lines = []
    for number, (client, begin, end, kind, value, outcome) in enumerate(rows):
        common = {"client": client, "operation": number, "do": kind}
        asked = None if kind in ("read", "journal") else value
        lines.append(common | {"phase": "invoke", "time_ns": begin * MS, "value": asked})
        if outcome is not None:
            lines.append(common | {"phase": outcome, "time_ns": end * MS, "value": value})
    return lines


ADDITIONS = (
    ("a", 0, 1, "add", 1, "ok"),
    ("b", 0, 1, "add", 2, "ok"),
    ("a", 2, 3, "add", 3, "fail"),
    ("b", 2, 3, "add", 4, "info"),
    ("a", 4, 5, "add", 5, "info"),
    ("b", 4, 0, "add", 6, None),
)


def check_journal(history, *rows):
    return history.check_journal(history.operations(entries(*rows)))


def values(done):
    return [one.value for one in done]


def test_a_journal_with_all_that_was_acknowledged_is_good(history):
    journal = check_journal(history, *ADDITIONS, ("a", 10, 11, "journal", [1, 4, 2], "ok"))
    assert values(journal.acknowledged) == [1, 2]
    assert values(journal.refused) == [3]
    assert values(journal.unknown) == [4, 5, 6]
    assert values(journal.recovered) == [4]
    assert journal.good


def test_an_acknowledged_number_that_is_missing_is_lost(history):
    journal = check_journal(history, *ADDITIONS, ("a", 10, 11, "journal", [2], "ok"))
    assert values(journal.lost) == [1]
    assert not journal.good


def test_a_number_that_is_added_while_the_journal_is_read_may_be_missing(history):
    late = ("b", 9, 11, "add", 7, "ok")
    journal = check_journal(history, late, ("a", 10, 12, "journal", [], "ok"))
    assert values(journal.acknowledged) == [7]
    assert journal.lost == []


@pytest.mark.parametrize("number", [3, 99])
def test_a_number_that_was_refused_or_never_added_is_unexpected(history, number):
    journal = check_journal(history, *ADDITIONS, ("a", 10, 11, "journal", [1, 2, number], "ok"))
    assert journal.unexpected == [number]
    assert not journal.good


def test_a_number_that_is_there_twice_is_doubled(history):
    journal = check_journal(history, *ADDITIONS, ("a", 10, 11, "journal", [1, 2, 1], "ok"))
    assert journal.doubled == [1]
    assert not journal.good


def test_the_last_reading_counts_and_failed_ones_do_not(history):
    journal = check_journal(
        history,
        *ADDITIONS,
        ("a", 10, 11, "journal", [], "ok"),
        ("b", 12, 13, "journal", [1, 2], "ok"),
        ("a", 14, 15, "journal", None, "info"),
    )
    assert journal.reading.client == "b"
    assert journal.good


def test_a_journal_that_nobody_could_read_is_not_good(history):
    journal = check_journal(history, *ADDITIONS)
    assert journal.lost == []
    assert not journal.good


REGISTERS = {
    "nothing was written": ([("a", 0, 1, "read", None, "ok")], None),
    "a read of what was written": (
        [("a", 0, 1, "write", 1, "ok"), ("b", 2, 3, "read", 1, "ok")],
        None,
    ),
    "a read of what was overwritten before": (
        [
            ("a", 0, 1, "write", 1, "ok"),
            ("a", 2, 3, "write", 2, "ok"),
            ("b", 4, 5, "read", 1, "ok"),
        ],
        2,
    ),
    "a read of nothing after a write": (
        [("a", 0, 1, "write", 1, "ok"), ("b", 2, 3, "read", None, "ok")],
        1,
    ),
    "both values are right while they are written": (
        [
            ("a", 0, 9, "write", 1, "ok"),
            ("b", 1, 2, "read", None, "ok"),
            ("b", 3, 4, "read", 1, "ok"),
            ("b", 5, 6, "read", 1, "ok"),
        ],
        None,
    ),
    "a value that was seen does not go away again": (
        [
            ("a", 0, 9, "write", 1, "ok"),
            ("b", 1, 2, "read", 1, "ok"),
            ("b", 3, 4, "read", None, "ok"),
        ],
        2,
    ),
    "a write of unknown end takes effect late": (
        [
            ("a", 0, 1, "write", 1, "info"),
            ("b", 2, 3, "write", 2, "ok"),
            ("b", 4, 5, "read", 2, "ok"),
            ("b", 6, 7, "read", 1, "ok"),
        ],
        None,
    ),
    "but not twice": (
        [
            ("a", 0, 1, "write", 1, "info"),
            ("b", 2, 3, "read", 1, "ok"),
            ("b", 4, 5, "write", 2, "ok"),
            ("b", 6, 7, "read", 1, "ok"),
        ],
        3,
    ),
    "a write that never ended": (
        [("a", 0, 0, "write", 1, None), ("b", 2, 3, "read", 1, "ok")],
        None,
    ),
    "a refused write has no effect": (
        [("a", 0, 1, "write", 1, "fail"), ("b", 2, 3, "read", 1, "ok")],
        1,
    ),
    "two readers see two writes in opposite orders": (
        [
            ("a", 0, 9, "write", 1, "ok"),
            ("b", 0, 9, "write", 2, "ok"),
            ("c", 1, 2, "read", 1, "ok"),
            ("c", 3, 4, "read", 2, "ok"),
            ("d", 5, 6, "read", 1, "ok"),
        ],
        4,
    ),
    "touching operations may have overlapped": (
        [("a", 0, 1, "write", 1, "ok"), ("b", 1, 2, "read", None, "ok")],
        None,
    ),
}


@pytest.mark.parametrize("case", sorted(REGISTERS))
def test_the_register_is_judged(history, case):
    rows, culprit = REGISTERS[case]
    wrong = history.check_register(history.operations(entries(*rows)))
    expected = None if culprit is None else rows[culprit]
    found = wrong and (wrong.client, wrong.begin_ns // MS, wrong.kind)
    assert found == (expected and (expected[0], expected[1], expected[3]))


def has_an_order(done):
    """The definition itself: some order that time allows gives every read its value."""
    certain = [one for one in done if one.outcome == "ok"]
    unknown = [one for one in done if one.outcome == "info" and one.kind == "write"]
    for size in range(len(unknown) + 1):
        for happened in itertools.combinations(unknown, size):
            for order in itertools.permutations([*certain, *happened]):
                if allowed(order) and explains(order):
                    return True
    return False


def allowed(order):
    return not any(
        later.outcome == "ok" and later.end_order < earlier.begin_order
        for earlier, later in itertools.combinations(order, 2)
    )


def explains(order):
    value = None
    for one in order:
        if one.kind == "read" and one.value != value:
            return False
        value = one.value
    return True


@st.composite
def register_rows(draw):
    rows = []
    for number in range(draw(st.integers(1, 5))):
        begin = draw(st.integers(0, 9))
        end = begin + draw(st.integers(0, 6))
        if draw(st.booleans()):
            value, outcome = number, draw(st.sampled_from(["ok", "info", "fail"]))
            rows.append((f"c{number}", begin, end, "write", value, outcome))
        else:
            value = draw(st.sampled_from([None, 0, 1, 2, 3]))
            rows.append((f"c{number}", begin, end, "read", value, "ok"))
    return rows


@settings(max_examples=300)
@given(rows=register_rows())
def test_the_register_is_judged_as_by_trying_all_orders(history, rows):
    done = history.operations(entries(*rows))
    assert (history.check_register(done) is None) == has_an_order(done)


def write_lines(path, lines):
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return str(path)


def test_the_table_names_the_first_loss_and_the_status_tells_of_it(history, tmp_path, capsys):
    alice = entries(("a", 0, 1, "add", 1, "ok"), ("a", 2, 3, "write", 2, "ok"))
    bob = entries(
        ("b", 10, 11, "read", None, "ok"),
        ("b", 20, 21, "journal", [], "ok"),
    )
    sources = [write_lines(tmp_path / "alice", alice), write_lines(tmp_path / "bob", bob)]
    assert history.main(sources) == 1
    assert capsys.readouterr().out == (
        "journal: acknowledged         1\n"
        "         lost                 1\n"
        "         refused              0\n"
        "         unknown              0\n"
        "         of these kept        0\n"
        "         unexpected           0\n"
        "         doubled              0\n"
        "register: done                2\n"
        "          linearizable       no\n"
        "first lost: add 1 by a, 0.000 s to 0.001 s; read at 0.020 s\n"
        "last lost: add 1 by a, 0.000 s to 0.001 s\n"
        "no order explains: read None by b, 0.010 s to 0.011 s\n"
        "       before it: write 2 by a, 0.002 s to 0.003 s\n"
    )


@pytest.mark.parametrize("text", ["no JSON\n", "{}\n", "[1]\n"])
def test_what_is_no_history_is_an_error_without_a_traceback(history, tmp_path, capsys, text):
    (tmp_path / "wrong").write_text(text)
    assert history.main([str(tmp_path / "wrong")]) == 2
    assert "cannot check this history" in capsys.readouterr().err
