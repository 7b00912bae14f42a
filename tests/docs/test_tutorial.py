# SPDX-License-Identifier: Apache-2.0
"""The tutorial, done as it is written: its files, its commands, and what they print."""

import os
import re
import subprocess
import sys

import pytest

from repository import REPOSITORY

BLOCK = re.compile(r"^```(yaml|python|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HOST_FACTS = re.compile(r"^wall time |^first, seed 1, Linux ")
"""Lines that differ from computer to computer."""

WAITED = re.compile(r"  10\.\d{3} s  ✗ failed$")
"""How long `ping` waits for what is lost depends on the kernel's version: its timers are coarse."""


def lines(text):
    return [WAITED.sub("  10.… s  ✗ failed", line.rstrip()) for line in text]


@pytest.fixture
def shell(tmp_path, kernel_path):
    """A function that runs a command line in an empty folder, as a reader would."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, words in (("windtunnel", "-m windtunnel"), ("python", "")):
        (programs / name).write_text(f'#!/bin/sh\nexec {sys.executable} {words} "$@"\n')
        (programs / name).chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(REPOSITORY / "src"),
        "WINDTUNNEL_KERNEL": str(kernel_path),
        "STATUS": "0",
    }
    folder = tmp_path / "work"
    folder.mkdir()

    def run(command):
        # $? in the next command is the exit status of this one, as in a real shell.
        done = subprocess.run(
            ["/bin/sh", "-c", f"(exit $STATUS); {command}"],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        environment["STATUS"] = str(done.returncode)
        return done.stdout

    run.folder = folder
    return run


def test_every_command_of_the_tutorial_prints_what_it_shows(shell):
    commands = 0
    for kind, text in BLOCK.findall((REPOSITORY / "docs/tutorial/index.md").read_text()):
        if kind == "yaml":
            with (shell.folder / "first.yaml").open("a") as file:
                file.write(text)
        elif kind == "python":
            (shell.folder / "first.py").write_text(text)
        else:
            for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
                command, *shown = part.splitlines()
                printed = lines(shell(command).splitlines())
                wanted = [line for line in lines(shown) if line and not HOST_FACTS.match(line)]
                missing = [line for line in wanted if line not in printed]
                assert missing == [], f"$ {command}\n" + "\n".join(printed)
                commands += 1
    assert commands == 11
