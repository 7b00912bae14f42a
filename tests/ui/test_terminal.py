# SPDX-License-Identifier: Apache-2.0
"""What a terminal shows, and what a pipe gets instead."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import termios

import pytest

LONG = "a step with a name that is a good deal longer than anybody would like it to be"
LAB = f"""\
name: x
nodes: {{a: {{}}}}
steps:
  - {{name: {LONG}, at: 1 s, node: a, cmd: "true"}}
"""


def on_a_terminal(program, *arguments, columns, **environment):
    """Run the program on a terminal of its own, and give what it shows there."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    program.environment |= environment
    with program.start(*arguments, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        shown = bytearray()
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:  # EIO: the last of theirs is closed
                break
            shown += part
            if not part:
                break
    os.close(ours)
    return process.returncode, shown.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("columns", [80, 120])
def test_a_table_is_cut_to_the_terminals_width(program, columns):
    program.write("lab.yaml", LAB)
    _, text = on_a_terminal(program, "lab", "show", "lab.yaml", columns=columns, NO_COLOR="1")
    lines = [line.replace("\x1b[1m", "").replace("\x1b[0m", "") for line in text.splitlines()]
    assert [line for line in lines if len(line) > columns] == []
    assert any("…" in line for line in lines) == (columns == 80)


def test_in_a_pipe_nothing_is_cut_or_coloured(program):
    program.write("lab.yaml", LAB)
    text = program("lab", "show", "lab.yaml").stdout
    assert f"1.000 s  {LONG}  a             true\n" in text
    assert "\x1b" not in text


@pytest.mark.parametrize(("environment", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_an_error_is_red_on_a_terminal_unless_colours_are_unwanted(program, environment, coloured):
    status, text = on_a_terminal(program, "run", "x", columns=80, **environment)
    assert status == 2
    assert ("\x1b[1;31mwindtunnel:\x1b[0m there is no file 'x'" in text) == coloured
    assert ("windtunnel: there is no file 'x'" in text) == (not coloured)


def test_tables_have_colours_on_a_terminal(program):
    _, text = on_a_terminal(program, "doctor", columns=120)
    assert "\x1b[32m✓ ok\x1b[0m" in text
    _, text = on_a_terminal(program, "doctor", columns=120, NO_COLOR="1")
    assert "\x1b[3" not in text


def test_a_run_draws_its_progress_and_wipes_it(booting_program):
    booting_program.write(
        "lab.yaml",
        "name: drawn\n"
        "stop: 1 h\n"
        "nodes: {a: {}}\n"
        "steps:\n"
        '  - {name: busy, at: 1 s, node: a, cmd: "for i in $(seq 2000); do sleep 0.01; done"}\n',
    )
    status, text = on_a_terminal(booting_program, "run", "lab.yaml", columns=80)
    drawn, _, rest = text.rpartition("\x1b[?25h")
    assert status == 0
    assert drawn.startswith("\x1b[?25l")
    assert "booting" in drawn
    assert " of 1 h 00 min 00 s" in drawn
    assert "busy" in drawn
    assert "passed: 1 of 1" not in drawn
    assert "passed: 1 of 1" in rest


def test_cells_are_a_live_table_that_is_wiped_and_failures_stay(booting_program):
    booting_program.write(
        "lab.yaml",
        "name: cells\n"
        "params: {n: [1, 2, 3]}\n"
        "nodes: {a: {}}\n"
        "steps:\n"
        "  - name: busy\n"
        "    at: 1 s\n"
        "    node: a\n"
        '    cmd: "for i in $(seq 1500); do sleep 0.01; done; test ${n} != 2"\n',
    )
    status, text = on_a_terminal(
        booting_program, "run", "lab.yaml", "--jobs", "2", columns=80, NO_COLOR="1"
    )
    drawn, _, rest = re.sub(r"\x1b\[[0-9;]*m", "", text).rpartition("\x1b[?25h")
    assert status == 1
    for part in ("0 of 3 cells", "2 of 3 cells", " left", "virtual time", "running"):
        assert part in drawn, part
    assert "1 not passed" in drawn
    assert "x real time" in drawn
    # the one that has failed was printed above the table, and is in the summary
    assert "n=2  failed" in drawn
    assert "n=1  passed" not in drawn
    assert "failed: 2 passed, 1 failed of 3 cells" in rest
    assert "n=2" in rest
