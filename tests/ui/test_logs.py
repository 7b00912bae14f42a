# SPDX-License-Identifier: Apache-2.0
"""`windtunnel logs`: from a file, from stdin, from a run; and what is wrong with them."""

from __future__ import annotations

import gzip
import json

import pytest

from windtunnel.model.event import Event
from windtunnel.store.run_dir import RunWriter

KMSG = """\
6,1,1000000,-,caller=T7;eth0: link (
6,2,1000010,-,caller=T8;random: ready
12,3,1000020,c,caller=T7; up)
4,6,2000000,-,caller=T7;traps: node[7] trap invalid opcode ip:55d0 sp:7ffc error:0
"""
SHOWN = """\
       1.000000 T7               eth0: link ( up)
?      1.000010 T8               random: ready
--- 2 records are missing ---
       2.000000 T7               traps: node[7] trap invalid opcode ip:55d0 sp:7ffc error:0

mishap: trap in node: invalid opcode
  kind: SEGFAULT
  by: T7
  at: 2.000000 s
"""


def test_a_file_is_shown_with_owners_losses_and_reports(program):
    answer = program("logs", program.write("log", KMSG))
    assert (answer.returncode, answer.stderr) == (0, "")
    assert answer.stdout.replace("?      1.000000 T7  ", "       1.000000 T7  ") == SHOWN


def test_stdin_is_read_and_joined_only_as_surely_as_asked(program):
    console = "[    1.000000][    T7] a:\n[    1.000001][    T8] b\n[    1.000002][    T7]  c\n"
    (program.folder / "log").write_text(console)
    shown = {}
    for how in ("guess", "likely"):
        with open(program.folder / "log") as stdin:
            shown[how] = program("logs", "-", "--min-confidence", how, stdin=stdin).stdout
    assert "T7               a: c\n" in shown["guess"]
    assert "a: c" not in shown["likely"]


def test_a_packed_log_and_one_from_a_pipe_are_read(program):
    whole = program("logs", program.write("log", KMSG)).stdout
    packed = gzip.compress(KMSG.encode() * 1)
    (program.folder / "log.gz").write_bytes(packed)
    assert program("logs", "log.gz").stdout == whole
    with open(program.folder / "log.gz") as stdin:
        assert program("logs", "-", stdin=stdin).stdout == whole
    (program.folder / "cut.gz").write_bytes(packed[:-9])
    answer = program("logs", "cut.gz")
    assert answer.returncode == 0
    assert answer.stderr.startswith("windtunnel: cut.gz: its compressed data is cut; what is")
    (program.folder / "core").write_bytes(b"\x7fELF")
    answer = program("logs", "core")
    assert (answer.returncode, answer.stdout) == (2, "")
    assert "core: an ELF file, perhaps an image of memory, and no log" in answer.stderr


def test_a_log_of_the_journal_keeps_its_dates(program):
    text = "Nov 26 00:44:10 web1 kernel: a\n-- Reboot --\nNov 26 00:53:10 web1 kernel: b\n"
    answer = program("logs", program.write("log", text))
    assert [line.split() for line in answer.stdout.splitlines()] == [
        ["?", "Nov", "26", "00:44:10", "a"],
        ["---", "another", "boot", "---"],
        ["Nov", "26", "00:53:10", "b"],
    ]


def test_json_has_the_same(program):
    (log,) = json.loads(program("logs", program.write("log", KMSG), "--json").stdout)
    assert log["kernel"] == ""
    assert log["lines"][0]["pieces"] == ["eth0: link (", " up)"]
    assert log["lines"][2] == {"lost": 2, "why": "2 records are missing"}
    assert log["reports"][0]["title"] == "trap in node: invalid opcode"


def test_only_reports_can_be_asked_for(program):
    shown = program("logs", program.write("log", KMSG), "--reports").stdout
    assert shown.startswith("\nmishap: trap in node")
    assert "  | traps: node[7] trap invalid" in shown
    answer = program("logs", program.write("none", "x\n"), "--reports")
    assert answer.stdout == "no crash report\n"
    assert answer.stderr == (
        "windtunnel: none: no line of it begins as a kernel's do; is it a kernel's log?\n"
    )
    assert program("logs", program.write("none", "")).stderr == "windtunnel: none: it is empty\n"


@pytest.fixture
def run(program):
    """A run with two kernels, on which process 7 was another one."""
    base = program.folder / "runs"
    with RunWriter.create(
        base, lab="ring", lab_text="name: ring\n", source_text=None, manifest={}
    ) as writer:
        for sequence, node in enumerate(("r1", "r2")):
            fields = {"process": "daemon", "pid": 7, "command": "x"}
            writer.event(Event(0, sequence, "process-start", node, fields))
        line = "[   11.000000][    T7] bad\n"
        writer.console_path.write_text(line)
        (writer.path / "console-r2.log").write_text(line)
        writer.finish("passed", summary={})
    return base


def test_a_runs_kernels_are_shown_with_its_processes_as_owners(program, run):
    assert program("logs", "ring/latest").stdout == (
        "== the shared kernel ==\n"
        "      11.000000 T7 r1/daemon     bad\n"
        "== r2 ==\n"
        "      11.000000 T7 r2/daemon     bad\n"
    )


def test_what_is_neither_file_nor_run_is_said(program, run):
    answer = program("logs", "rong")
    assert answer.returncode == 2
    assert "there is no run 'rong', and no file of this name" in answer.stderr
    (run / "ring" / "0001" / "console.log").unlink()
    (run / "ring" / "0001" / "console-r2.log").unlink()
    answer = program("logs", "ring/1")
    assert answer.returncode == 2
    assert "has no console" in answer.stderr
