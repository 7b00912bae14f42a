# SPDX-License-Identifier: Apache-2.0
"""What is wrong is said in a few lines and an exit status; never in a traceback."""

from __future__ import annotations

import contextvars
import re
from pathlib import Path

import pytest

from windtunnel.errors import (
    GuestError,
    HostError,
    InternalError,
    LabFileError,
    ReplayError,
    UsageError,
    Where,
)
from windtunnel.ui import failures


@pytest.fixture
def guard():
    """`failures.guard` with a run folder and a lab folder of its own."""

    def guarded(body, *, run: Path | None = None, lab: Path | None = None) -> int:
        def inner() -> int:
            if run is not None:
                failures.remember_run(run)
            if lab is not None:
                failures.remember_lab(lab)
            return failures.guard(body)

        return contextvars.Context().run(inner)

    return guarded


def raising(error):
    def body():
        raise error

    return body


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ReplayError("x"), 1),
        (UsageError("x"), 2),
        (LabFileError("x"), 2),
        (HostError("x"), 3),
        (GuestError("x"), 4),
        (InternalError("x"), 70),
        (ZeroDivisionError("x"), 70),
        (KeyboardInterrupt(), 130),
        (BrokenPipeError(), 141),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_kind_of_failure_has_its_exit_status(guard, error, status, capfd):
    assert guard(raising(error)) == status
    assert "Traceback" not in capfd.readouterr().err


def test_an_error_is_its_message_and_below_it_the_remedy(guard, capsys):
    guard(raising(HostError("the disk is full", hint="remove old runs")))
    assert capsys.readouterr().err == "windtunnel: the disk is full\n  remove old runs\n"


def test_a_guests_error_says_where_and_when(guard, capsys):
    guard(raising(GuestError("it spins", node="r1", time_ns=1_500_000_000, hint="stop it")))
    assert capsys.readouterr().err == "windtunnel: node r1, at 1.500000000 s: it spins\n  stop it\n"


def test_what_was_noted_on_an_errors_way_stands_below_its_remedy(guard, capsys):
    error = HostError("no", hint="yes")
    error.add_note("on the way")
    guard(raising(error))
    assert capsys.readouterr().err == "windtunnel: no\n  yes\n  on the way\n"


def test_a_bug_of_ours_says_so_and_leaves_its_traceback_in_a_file(guard, capsys):
    guard(lambda: 1 // 0)
    text = capsys.readouterr().err
    assert text.startswith(
        "windtunnel: this is our bug, not yours: ZeroDivisionError: "
        "integer division or modulo by zero\n  the traceback is in "
    )
    file = Path(re.search(r"the traceback is in (.*)", text)[1])
    assert "guard(lambda: 1 // 0)" in file.read_text()
    file.unlink()


def test_a_bug_during_a_run_leaves_its_traceback_in_the_runs_folder(guard, capsys, tmp_path):
    guard(lambda: 1 // 0, run=tmp_path)
    assert f"the traceback is in {tmp_path}/traceback.txt\n" in capsys.readouterr().err
    assert "ZeroDivisionError" in (tmp_path / "traceback.txt").read_text()


def test_an_interrupted_run_says_how_to_look_at_what_was_recorded(guard, capsys):
    guard(raising(KeyboardInterrupt()), run=Path("runs/x/0001").absolute())
    assert capsys.readouterr().err == (
        "\nwindtunnel: interrupted\n"
        "  what was recorded until then: windtunnel runs show runs/x/0001\n"
    )


def test_a_caret_stands_below_the_place_even_after_tabs(guard, capsys, tmp_path):
    lab = tmp_path / "lab.yaml"
    lab.write_text("name: x\n\tnodes: {}\n")
    guard(raising(LabFileError("bad", where=Where(str(lab), 2, 9))), lab=lab)
    assert capsys.readouterr().err == f"{lab}:2:9: bad\n    2 | \tnodes: {{}}\n      | \t       ^\n"


def test_a_very_long_line_is_cut_around_the_place(guard, capsys, tmp_path):
    lab = tmp_path / "lab.yaml"
    lab.write_text("a" * 500 + "HERE" + "b" * 500)
    guard(raising(LabFileError("bad", where=Where(str(lab), 1, 501))), lab=lab)
    source, caret = capsys.readouterr().err.splitlines()[1:]
    assert source == "    1 | " + "a" * 50 + "HERE" + "b" * 46
    assert caret == "      | " + " " * 50 + "^"


def test_a_file_that_the_lab_names_is_found_beside_it(guard, capsys, tmp_path):
    (tmp_path / "t.j2").write_text("one\ntwo\n")
    guard(raising(LabFileError("bad", where=Where("t.j2", 2))), lab=tmp_path / "lab.yaml")
    assert capsys.readouterr().err == "t.j2:2: bad\n    2 | two\n"


def test_a_place_beyond_the_file_is_no_second_error(guard, capsys, tmp_path):
    lab = tmp_path / "lab.yaml"
    lab.write_text("")
    assert guard(raising(LabFileError("bad", where=Where(str(lab), 7, 1))), lab=lab) == 2
    assert capsys.readouterr().err == f"{lab}:7:1: bad\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["runn"], "Error: No such command 'runn'."),
        (["run"], "Error: Missing argument 'LAB'."),
        (["run", "--foo"], "Error: No such option: --foo"),
        (["run", "lab.yaml"], "windtunnel: there is no file 'lab.yaml'\n"),
        (["run", "."], "windtunnel: '.' is a folder\n  name a lab file in it\n"),
        (["exec"], "windtunnel: no command is given\n"),
        (["exec", "--foo", "--", "true"], "windtunnel: unrecognized arguments: --foo\n"),
        (
            ["exec", "--seed", "-1", "--", "true"],
            "windtunnel: argument --seed: a seed is 0 to 2^64",
        ),
        (
            ["exec", "--env", "x", "--kernel", "/", "--", "a"],
            "windtunnel: --env 'x' is no NAME=VALUE",
        ),
        (
            ["exec", "--mem", "5", "--kernel", "/", "--", "a"],
            "windtunnel: --mem: the size '5' has no",
        ),
        (["exec", "--node-files", "x", "--", "a"], "windtunnel: --node-files 'x' is no folder\n"),
        (["runs", "show", "x"], "windtunnel: there is no run 'x'\n"),
        (["kernel", "build", "--with", "what"], "windtunnel: "),
    ],
    ids=" ".join,
)
def test_a_wrong_command_line_is_explained_with_status_2(program, arguments, says):
    done = program(*arguments)
    assert says in done.stderr
    assert (done.returncode, done.stdout) == (2, "")


def test_a_reader_that_goes_away_is_no_error(program):
    with program.start("lab", "schema") as process:
        assert process.stdout.read(1) == "{"
        process.stdout.close()
        assert process.stderr.read() == ""
