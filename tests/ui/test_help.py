# SPDX-License-Identifier: Apache-2.0
"""Every command explains itself, with an example, in 80 columns."""

from __future__ import annotations

import subprocess
import sys

import pytest
import typer

from repository import REPOSITORY
from windtunnel.ui import app
from windtunnel.version import VERSION


def command_names(command=None, path=()):
    """Every command and group, such as ("lab", "check")."""
    command = command or typer.main.get_command(app.build())
    found = [path]
    for name, inner in getattr(command, "commands", {}).items():
        found += command_names(inner, (*path, name))
    return found


COMMANDS = [path for path in command_names() if path != ("exec",)]


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert app.run([*path, "--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"Usage: {' '.join(['windtunnel', *path])}")
    is_group = "\nCommands:" in text
    assert is_group or f"\n    {' '.join(['windtunnel', *path])}" in text or "$(windtunnel" in text
    assert "..." not in text.partition("\nCommands:")[2], "a summary was cut"
    assert [line for line in text.splitlines() if len(line) > 80] == []


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_option_and_argument_is_explained(path):
    command = typer.main.get_command(app.build())
    for name in path:
        command = command.commands[name]
    silent = [option.name for option in command.params if not getattr(option, "help", "")]
    assert [name for name in silent if name != "help"] == []


def test_exec_explains_itself_although_it_has_a_parser_of_its_own(program):
    done = program("exec", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: windtunnel exec [OPTIONS] -- COMMAND [ARGUMENT]…\n")
    assert "\n  windtunnel exec -- sleep 3600\n" in done.stdout


def test_the_list_of_commands_has_exec_too(program):
    listed = " ".join(program("--help").stdout.split())
    assert " exec Run any command in a fresh kernel, as root. verify " in listed


@pytest.mark.parametrize("arguments", [["--version"], ["--version", "run"]])
def test_the_version_is_one_line(program, arguments):
    done = program(*arguments)
    assert (done.returncode, done.stdout) == (0, f"windtunnel {VERSION}\n")


def test_what_must_start_fast_imports_nothing_slow():
    code = (
        "import sys, windtunnel.ui.main, windtunnel.ui.exec_command; "
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(REPOSITORY / "src")},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(done.stdout.split())
    assert "windtunnel" in loaded
    assert loaded & {"typer", "rich", "click", "pydantic", "jinja2", "yaml"} == set()
