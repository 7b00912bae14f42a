# SPDX-License-Identifier: Apache-2.0
"""The engine against the program that made the format known, where it is at hand.

`WINDTUNNEL_CARTESIAN_REFERENCE` names a folder with the package `virttest`
(unpacked from `avocado-framework-plugin-vt`), `WINDTUNNEL_CARTESIAN_TESTS` the
file of its unit tests. `WINDTUNNEL_CARTESIAN_COUNT` is how many random
configurations are compared, 2,000 if it is not set.
"""

from __future__ import annotations

import os
import random  # noqa: TID251 - one configuration for each seed
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from matrix_configs import write
from repository import REPOSITORY
from windtunnel.errors import MatrixFileError
from windtunnel.matrix import Parser

REFERENCE = os.environ.get("WINDTUNNEL_CARTESIAN_REFERENCE")
TESTS = os.environ.get("WINDTUNNEL_CARTESIAN_TESTS")
COUNT = int(os.environ.get("WINDTUNNEL_CARTESIAN_COUNT", "2000"))

# What its unit tests import.
ADAPTER = """
from windtunnel.matrix import LexerError, MissingIncludeError, Parser, ParserError
from windtunnel.matrix.filtertext import parse_filter as _parse_filter
from windtunnel.matrix.syntax import Label as _Label
LIndent = LOnly = None
def Label(*words):
    return _Label(words[-1], words[0] if len(words) == 2 else None)
class StrReader:
    def __init__(self, text):
        self.text = text
class Lexer:
    def __init__(self, reader):
        self.text = reader.text
    def set_prev_indent(self, indent):
        pass
    def get_next_check(self, kinds):
        pass
    def rest_line(self):
        return self.text.removeprefix("only ")
def parse_filter(lexer, text):
    return [[list(run) for run in runs] for runs in _parse_filter(text, None).alternatives]
"""


@pytest.fixture
def reference(monkeypatch):
    if not REFERENCE:
        pytest.skip("WINDTUNNEL_CARTESIAN_REFERENCE names no reference")
    monkeypatch.syspath_prepend(REFERENCE)
    with warnings.catch_warnings(action="ignore"):  # it is not ours to mend
        from virttest import cartesian_config  # noqa: PLC0415
    return cartesian_config.Parser


def expand(parser, text, defaults, axes):
    made = parser(defaults=defaults, expand_defaults=list(axes))
    made.parse_string(text)
    return [dict(one) for one in made.get_dicts()]


def test_random_configurations_expand_as_the_reference_does(reference):
    compared = 0
    for seed in range(COUNT):
        text, defaults, axes = write(random.Random(seed).randrange)
        try:
            wanted = expand(reference, text, defaults, axes)
        except ValueError:
            # A limit that is no number, also in a part of a join that has no partner; or
            # it cannot make one name of two that begin alike.
            continue
        try:
            found = expand(Parser, text, defaults, axes)
        except MatrixFileError as error:
            raise AssertionError((seed, text)) from error
        assert found == wanted, (seed, text)
        compared += 1
    assert compared > COUNT * 0.9


def test_the_reference_s_own_unit_tests_pass(tmp_path):
    if not TESTS:
        pytest.skip("WINDTUNNEL_CARTESIAN_TESTS names no file")
    for name, text in (
        ("avocado", "import unittest\nTest = unittest.TestCase\n"),
        ("virttest", ""),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(text)
    (tmp_path / "virttest" / "cartesian_config.py").write_text(ADAPTER)
    tests = Path(TESTS)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / tests.name).write_bytes(tests.read_bytes())
    (tmp_path / "tests" / "unittest_data").symlink_to(tests.parent / "unittest_data")
    done = subprocess.run(
        [sys.executable, "-m", "unittest", tests.stem],
        cwd=tmp_path / "tests",
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{REPOSITORY / 'src'}"},
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
