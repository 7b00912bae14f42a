# SPDX-License-Identifier: Apache-2.0
"""`windtunnel matrix …` as one types it."""

from __future__ import annotations

import json

import pytest

TEXT = """\
mem = 512
cmd = boot ${nope}
variants os:
    - linux:
        mem = 1024
    - windows: linux
        no virtio
variants disk:
    - ide:
    - virtio:
"""


@pytest.fixture
def matrix(program):
    program.write("tests.cfg", TEXT)
    return lambda command, *words: program("matrix", command, "tests.cfg", *words)


@pytest.mark.parametrize(
    ("words", "numbers"),
    [
        ([], ["0", "1", "2"]),
        (["--only", "linux"], ["0", "1"]),
        (["--no", "ide"], ["0"]),
        (["--shard", "2/3"], ["1"]),
        (["--sample", "2", "--seed", "4"], ["1", "2"]),
    ],
    ids=str,
)
def test_variants_are_listed_with_their_numbers(matrix, words, numbers):
    done = matrix("list", *words)
    assert done.returncode == 0, done.stderr
    listed = [line.split()[0] for line in done.stdout.splitlines()]
    assert len(listed) == len(numbers)
    if "--sample" not in words:
        assert listed == numbers


def test_the_list_as_json(matrix):
    found = json.loads(matrix("list", "--json").stdout)
    assert [one["name"] for one in found] == [
        "(disk=ide).(os=linux)", "(disk=ide).(os=windows)", "(disk=virtio).(os=linux)",
    ]  # fmt: skip
    assert found[1] == {
        "number": 1, "name": "(disk=ide).(os=windows)", "short_name": "ide.windows",
        "needs": ["(disk=ide).linux"],
        "params": {"cmd": "boot ${nope}", "disk": "ide", "mem": "512", "os": "windows"},
    }  # fmt: skip


def test_variants_are_counted(matrix):
    assert matrix("count").stdout == "3\n"
    assert json.loads(matrix("count", "--json").stdout) == {"file": "tests.cfg", "count": 3}
    done = matrix("count", "--only", "windows", "--no", "ide")
    assert (done.returncode, done.stdout) == (0, "0\n")
    assert "nothing is left after 'no ide'" in done.stderr


def test_a_variant_is_shown_by_number_or_name(matrix):
    by_number, by_name = matrix("show", "1"), matrix("show", "ide.windows")
    assert by_number.stdout.splitlines()[0] == "(disk=ide).(os=windows) (number 1)"
    assert by_number.stdout.splitlines()[1:] == by_name.stdout.splitlines()[1:]
    assert "  mem = 512\n" in by_name.stdout
    assert json.loads(matrix("show", "1", "--json").stdout)[0]["number"] == 1
    dropped = matrix("show", "virtio.windows")
    assert (dropped.returncode, "filters drop" in dropped.stderr) == (2, True)


def test_a_variant_is_explained(matrix):
    done = matrix("explain", "virtio.windows")
    assert "dropped by 'no virtio', tests.cfg:7:9" in done.stdout
    found = json.loads(matrix("explain", "virtio.linux", "--json").stdout)
    assert found[0]["there"]
    assert [one["where"] for one in found[0]["keys"]["mem"]] == ["tests.cfg:1:1", "tests.cfg:5:9"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["list", "tests.cfg", "--only", "linx"], "did you mean 'linux'?"),
        (["list", "tests.cfg", "--only", "a...b"], "joins nothing"),
        (["list", "tests.cfg", "--strict"], "tests.cfg:2:1"),
        (["list", "tests.cfg", "--shard", "x"], "--shard 2/8"),
        (["list", "tests.cfg", "--shard", "9/8"], "no shard 9/8"),
        (["list", "tests.cfg", "--shard", "1/8", "--sample", "2"], "take one of them"),
        (["show", "tests.cfg", "99"], "no variant 99"),
        (["explain", "tests.cfg", "windos"], "did you mean 'windows'"),
        (["list", "nowhere.cfg"], "nowhere.cfg"),
    ],
    ids=str,
)
def test_what_is_wrong_is_said_without_a_traceback(matrix, program, words, says):
    done = program("matrix", *words)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_many_warnings_are_cut(program):
    program.write("many.cfg", "".join(f"no x{at}\n" for at in range(30)))
    assert "and 10 more of this kind" in program("matrix", "count", "many.cfg").stderr


def test_an_option_that_means_nothing_for_a_lab_is_an_error(program):
    program.write("lab.yaml", "name: x\nparams: {n: [1, 2]}\nnodes: {a: {}}\n")
    for command in (["list"], ["count"], ["show", "0"], ["explain", "0"]):
        done = program("matrix", command[0], "lab.yaml", *command[1:], "--defaults")
        assert done.returncode == 2
        assert "--defaults with lab.yaml, which is a lab" in done.stderr
