# SPDX-License-Identifier: Apache-2.0
"""The process that tries a cell for another machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from repository import REPOSITORY


def start(folder, parent):
    return subprocess.run(
        [sys.executable, "-m", "windtunnel.engine.remotetry", str(folder), str(folder), parent],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / "src")},
        check=False,
        capture_output=True,
        text=True,
    )


def test_whatever_goes_wrong_with_us_is_told_to_the_sender(tmp_path):
    (tmp_path / "job").write_bytes(b"no pickle")
    done = start(tmp_path, str(os.getpid()))
    assert (done.returncode, done.stderr) == (0, "")
    assert "UnpicklingError" in json.loads((tmp_path / "result.json").read_text())["bug"]


def test_without_the_process_that_started_it_nothing_is_done(tmp_path):
    assert start(tmp_path, "1").returncode == 130
    assert list(tmp_path.iterdir()) == []
