# SPDX-License-Identifier: Apache-2.0
"""What the shell offers on Tab."""

from __future__ import annotations

import pytest

from windtunnel.ui import complete


def offered(program, *words):
    """What bash would offer for the last of these words."""
    program.environment |= {
        "_WINDTUNNEL_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(["windtunnel", *words]),
        "COMP_CWORD": str(len(words)),
    }
    return program().stdout.split()


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["ru"], ["run", "runs"]),
        (["ex"], ["exec", "export"]),
        (["run", "l"], ["lab.yaml", "labs/"]),
        (["run", "labs/"], ["labs/deep.yml"]),
        (["lab", "check", "labs/d"], ["labs/deep.yml"]),
        (["matrix", "list", "t"], ["tests.cfg"]),
        (["runs", "show", "la"], ["latest"]),
        (["run", "--kernel", "n"], ["newest"]),
    ],
    ids=" ".join,
)
def test_the_shell_is_offered_what_fits(program, words, found):
    program.write("lab.yaml", "")
    program.write("list.txt", "")
    program.write("tests.cfg", "")
    (program.folder / "labs").mkdir()
    program.write("labs/deep.yml", "")
    assert offered(program, *words) == found


@pytest.mark.parametrize(("start", "found"), [("", ["left", "right"]), ("r", ["right"])])
def test_the_nodes_of_the_lab_are_offered(program, start, found):
    program.write("lab.yaml", "name: x\nnodes: {left: {}, right: {}}\n")
    assert offered(program, "debug", "lab.yaml", "--node", start) == found
    assert offered(program, "debug", "none.yaml", "--node", start) == []


def test_hidden_files_and_missing_folders_are_not_offered(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".hidden.yaml").touch()
    assert complete.labs("") == []
    assert complete.labs(".h") == [".hidden.yaml"]
    assert complete.labs("no/such/folder/") == []
    assert "/tmp/" in complete.labs("/tm")
