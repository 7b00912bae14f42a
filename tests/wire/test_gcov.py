# SPDX-License-Identifier: Apache-2.0
"""What gcov prints, and lcov's format: read, written, and compared with their own programs."""

import json
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windtunnel.errors import ProtocolError
from windtunnel.model.coverage import FileCoverage, add_up
from windtunnel.wire.gcov import parse_gcov
from windtunnel.wire.lcov import lcov_text

PROGRAM = """\
#include "part.h"
static int twice(int n)
{
	if (n > 100)
		return 0;
	return 2 * n;
}
int never(void)
{
	return 7;
}
int main(void)
{
	int sum = 0;
	for (int i = 0; i < 5; i++)
		sum += twice(i) + half(i);
	return sum == 24 ? 0 : 1;
}
"""
PART = "static inline int half(int n)\n{\n\treturn n / 2;\n}\n"
DOCUMENT = {
    "format_version": "1",
    "files": [
        {
            "file": "/x/net/a.c",
            "functions": [
                {"name": "f", "start_line": 3, "execution_count": 2, "blocks": 4},
                {"name": "f", "start_line": 3, "execution_count": 1, "blocks": 4},
            ],
            "lines": [
                {"line_number": 4, "count": 2, "function_name": "f", "branches": []},
                {"line_number": 3, "count": 2, "function_name": "f", "branches": []},
                {"line_number": 4, "count": 1, "function_name": "f", "branches": []},
            ],
        }
    ],
}


def test_a_line_said_twice_counts_for_both():
    text = json.dumps(DOCUMENT) + "\n\n" + json.dumps({"files": []}) + "\n"
    assert list(parse_gcov(text)) == [FileCoverage("/x/net/a.c", {3: 2, 4: 3}, {(3, "f"): 3})]


@given(st.one_of(st.text(max_size=30), st.dictionaries(st.just("files"), st.lists(st.integers()))))
def test_garbage_is_a_protocol_error_or_nothing(value):
    text = value if isinstance(value, str) else json.dumps(value)
    try:
        assert list(parse_gcov(text)) == []
    except ProtocolError as error:
        assert "line " in error.message


def test_counts_are_written_in_lcovs_format():
    files = [
        FileCoverage("net/a.c", {3: 2, 4: 0}, {(3, "f"): 2, (9, "g"): 0}),
        FileCoverage("net/b.h", {1: 1}, {(1, "h"): 1, (5, "h"): 0}),
    ]
    assert lcov_text(files, test="tcp matrix-2") == (
        "TN:tcp_matrix_2\nSF:net/a.c\nFN:3,f\nFN:9,g\nFNDA:2,f\nFNDA:0,g\nFNF:2\nFNH:1\n"
        "DA:3,2\nDA:4,0\nLF:2\nLH:1\nend_of_record\n"
        "TN:tcp_matrix_2\nSF:net/b.h\nFN:1,h:1\nFN:5,h:5\nFNDA:1,h:1\nFNDA:0,h:5\nFNF:2\nFNH:1\n"
        "DA:1,1\nLF:1\nLH:1\nend_of_record\n"
    )


@pytest.fixture
def measured(tmp_path, need_program):
    """A program of which it is known which lines ran: its folder."""
    need_program("gcc")
    (tmp_path / "main.c").write_text(PROGRAM)
    (tmp_path / "part.h").write_text(PART)
    for command in (["gcc", "--coverage", "-O0", "-c", "main.c"], ["gcc", "--coverage", "main.o"]):
        subprocess.run(command, cwd=tmp_path, check=True)
    subprocess.run(["./a.out"], cwd=tmp_path, check=True)
    return tmp_path


def test_what_gcov_says_of_a_program_is_what_the_program_did(measured, need_program):
    gcov = need_program("gcov")
    done = subprocess.run(
        [gcov, "--json-format", "--stdout", "main.gcda"],
        cwd=measured, capture_output=True, text=True, check=True,
    )  # fmt: skip
    main, part = add_up(parse_gcov(done.stdout))
    assert main.lines == {
        2: 5, 4: 5, 5: 0, 6: 5, 8: 0, 10: 0, 12: 1, 14: 1, 15: 6, 16: 5, 17: 1,
    }  # fmt: skip
    assert main.functions == {(2, "twice"): 5, (8, "never"): 0, (12, "main"): 1}
    assert (part.path, part.lines) == ("part.h", {1: 5, 3: 5})


def test_lcov_itself_counts_the_same_and_takes_what_we_write(measured, need_program):
    gcov, lcov, genhtml = (need_program(name) for name in ("gcov", "lcov", "genhtml"))
    subprocess.run([lcov, "-q", "-c", "-d", ".", "-o", "theirs.info"], cwd=measured, check=True)
    done = subprocess.run(
        [gcov, "--json-format", "--stdout", "main.gcda"],
        cwd=measured, capture_output=True, text=True, check=True,
    )  # fmt: skip
    ours = lcov_text(add_up(parse_gcov(done.stdout)))
    theirs = (measured / "theirs.info").read_text()

    def facts(text):
        kinds = ("SF:", "DA:", "FN:", "FNDA:")  # geninfo leaves the totals to others
        found = [line for line in text.splitlines() if line.startswith(kinds)]
        return sorted(line.replace(f"{measured}/", "") for line in found)

    assert facts(ours) == facts(theirs)
    (measured / "ours.info").write_text(ours)
    subprocess.run([genhtml, "-q", "-o", "pages", "ours.info"], cwd=measured, check=True)
    page = (measured / "pages/index.html").read_text()
    assert f"{100 * 10 / 13:.1f}" in page  # 10 of 13 lines in main.c and part.h
