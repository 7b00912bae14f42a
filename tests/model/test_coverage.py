# SPDX-License-Identifier: Apache-2.0
"""Counts of lines: adding them up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windtunnel.model.coverage import FileCoverage, add_up, percent

COUNTS = st.dictionaries(st.integers(1, 9), st.integers(0, 5), max_size=6)
FILES = st.lists(
    st.builds(
        FileCoverage,
        st.sampled_from(["a.c", "b.h"]),
        COUNTS,
        st.dictionaries(st.tuples(st.integers(1, 9), st.sampled_from(["f", "g"])), st.integers(0)),
    ),
    max_size=6,
)


def test_counts_of_one_file_are_added_and_files_sorted():
    a = FileCoverage("net/b.c", {7: 1, 9: 0}, {(6, "f"): 1})
    b = FileCoverage("net/b.c", {9: 2, 3: 0}, {(6, "f"): 2, (2, "g"): 0})
    c = FileCoverage("net/a.h", {1: 0}, {})
    assert add_up([a, b, c]) == (
        FileCoverage("net/a.h", {1: 0}, {}),
        FileCoverage("net/b.c", {3: 0, 7: 1, 9: 2}, {(2, "g"): 0, (6, "f"): 3}),
    )
    total = add_up([a, b])[0]
    assert list(total.lines) == [3, 7, 9]
    assert (total.lines_hit, total.functions_hit) == (2, 1)


def test_a_line_that_did_not_run_is_kept_for_it_has_code():
    assert add_up([FileCoverage("a.c", {1: 0}, {})])[0].lines == {1: 0}


@given(FILES, st.randoms(use_true_random=False))
def test_neither_order_nor_grouping_of_files_matters(files, random):
    whole = add_up(files)
    shuffled = list(files)
    random.shuffle(shuffled)
    assert add_up(shuffled) == whole
    half = len(files) // 2
    assert add_up([*add_up(files[:half]), *files[half:]]) == whole


@pytest.mark.parametrize(
    ("hit", "found", "text"),
    [(0, 0, "-"), (0, 3, "0.0 %"), (1, 3, "33.3 %"), (9999, 10000, "99.9 %"), (5, 5, "100.0 %")],
)
def test_only_all_is_a_hundred_percent(hit, found, text):
    assert percent(hit, found) == text
