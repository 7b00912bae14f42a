# SPDX-License-Identifier: Apache-2.0
"""The page about pytest, done as it is written: its files, its commands, and what they print."""

import os
import re
import subprocess
import sys

from repository import REPOSITORY

PAGE = REPOSITORY / "docs" / "howto" / "pytest.md"
FILE = re.compile(r"`(\S+)`:\n\n```(?:yaml|python|ini)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CONSOLE = re.compile(r"^```console\n\$ (.*?)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_every_test_of_the_page_does_what_the_page_shows(tmp_path, kernel_path, need_program):
    for program in ("curl", "pytest-3"):
        need_program(program)
    text = PAGE.read_text()
    for name, content in FILE.findall(text):
        (tmp_path / name).write_text(content)
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")},
        "PYTHONPATH": str(REPOSITORY / "src"),
        "WINDTUNNEL_KERNEL": str(kernel_path),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTEST_ADDOPTS": "-p windtunnel.ui.pytest_plugin -p no:cacheprovider",
        "PYTEST_DEBUG_TEMPROOT": str(tmp_path),
    }
    commands = CONSOLE.findall(text)
    for command, shown in commands:
        done = subprocess.run(
            [sys.executable, "-m", *command.split()],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        missing = [line for line in shown.splitlines() if line not in done.stdout]
        assert missing == [], f"$ {command}\n{done.stdout}{done.stderr}"
    assert len(commands) == 6
