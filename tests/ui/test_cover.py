# SPDX-License-Identifier: Apache-2.0
"""`windtunnel matrix cover`, as a user calls it."""

from __future__ import annotations

import json

MODEL = """\
os: linux, windows, macos
browser: firefox, chrome, safari
cpus: 1, 4

IF [browser] = "safari" THEN [os] = "macos";
"""


def test_rows_are_made_and_proven(program):
    model = program.write("model.txt", MODEL)
    made = program("matrix", "cover", model, "--format", "csv")
    assert (made.returncode, made.stderr) == (0, "")
    assert made.stdout.startswith("os,browser,cpus\n")
    assert made.stdout == program("matrix", "cover", model, "--format", "csv").stdout
    rows = program.write("rows.csv", made.stdout)
    checked = program("matrix", "cover", model, "--check", rows)
    assert checked.returncode == 0
    assert "rows of 8 cover 19 of 19 combinations; 2 more are impossible" in checked.stdout


def test_what_is_missing_and_what_may_not_be_is_named(program):
    model = program.write("model.txt", MODEL)
    rows = program.write("rows.csv", "os,browser,cpus\nlinux,safari,1\nlinux,chrome,4\n")
    done = program("matrix", "cover", model, "--check", rows)
    assert done.returncode == 1
    assert "row 1 may not be: it breaks the constraint IF [browser]" in done.stdout
    assert "missing: os=linux, browser=firefox\n" in done.stdout
    document = json.loads(
        program("matrix", "cover", model, "--check", rows, "--format", "json").stdout
    )
    assert (document["covered"], document["missing"], document["complete"]) == (3, 16, False)
    assert document["missing_tuples"][0] == {"os": "linux", "browser": "firefox"}
    assert document["invalid_rows"][0]["row"] == 1


def test_strength_groups_and_required_rows(program):
    model = program.write("model.txt", "a: 1, 2, 3\nb: 1, 2, 3\nc: 1, 2, 3\n")
    rows = program.write("rows.csv", "c,a\n3,3\n")
    arguments = ["--mixed", "a, b@2", "-t", "1", "--required", rows, "--format", "json"]
    done = program("matrix", "cover", model, *arguments)
    document = json.loads(done.stdout)
    assert len(document) == 9
    assert (document[0]["a"], document[0]["c"]) == ("3", "3")
    table = program("matrix", "cover", model, "--strength", "1", "--seed", "4")
    assert table.stdout.splitlines()[0].split() == ["a", "b", "c"]
    assert len(table.stdout.splitlines()) == 4


def test_a_model_of_avocados_varianter_is_known_by_its_heading(program):
    model = program.write(
        "model.cit", "PARAMETERS\na [1, 2]\nb [1, 2]\nCONSTRAINTS\na != 1 || b != 1\n"
    )
    assert len(program("matrix", "cover", model).stdout.splitlines()) == 4


CONFIGURATION = """\
variants os:
    - linux:
        variants distro:
            - debian:
            - fedora:
    - win:
variants disk:
    - ide:
    - virtio:
        no win
variants cpus:
    - 1:
    - 4:
    - 64:
no 64..win
"""


def test_of_a_cartesian_configuration_what_its_filters_leave_is_covered(program):
    matrix = program.write("tests.cfg", CONFIGURATION)
    made = program("matrix", "cover", matrix, "--format", "csv")
    assert (made.returncode, made.stderr) == (0, "")
    assert made.stdout.splitlines()[0] == "cpus,disk,os,distro"
    rows = program.write("rows.csv", made.stdout)
    checked = program("matrix", "cover", matrix, "--check", rows)
    assert checked.returncode == 0
    # 4 are impossible: virtio and 64 with win; win with either distro
    assert "cover 26 of 26 combinations; 4 more are impossible" in checked.stdout
    first = program.write("first.csv", "os,cpus,disk,distro\nwin,4,ide,\n")
    more = program(
        "matrix", "cover", matrix, "--required", first, "--mixed", "cpus,disk,os@3", "-t", "1",
        "--format", "json",
    )  # fmt: skip
    document = json.loads(more.stdout)
    assert document[0] == {"cpus": "4", "disk": "ide", "os": "win"}
    assert len({(row["cpus"], row["disk"], row["os"]) for row in document}) == 8
    lacking = program("matrix", "cover", matrix, "--check", first)
    assert lacking.returncode == 1
    assert "missing: cpus=1, disk=ide\n" in lacking.stdout


def test_mistakes_are_said_with_their_place(program):
    model = program.write("model.txt", 'a: x, y\nb: 1\n[a] = "z";\n[c] = 1;\n')
    done = program("matrix", "cover", model)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("model.txt:4:1: there is no parameter 'c'\n")
    good = program.write("good.txt", 'a: x, y\nb: 1\nNOT [a] = "z";\n')
    warned = program("matrix", "cover", good)
    assert warned.returncode == 0
    assert warned.stderr.startswith("warning: good.txt:3:11: 'a' has no value 'z'; ")
    for arguments, message in (
        (["--mixed", "a,b"], "--mixed 'a,b' has no strength"),
        (["--mixed", "a,c@2"], "--mixed: there is no parameter 'c'"),
        (["--mixed", "a,a@2"], "--mixed: 'a' is there twice"),
        (["--mixed", "a,b@3"], "a group of 2 parameters cannot have the strength 3"),
        (["--strength", "9"], "the strength is 9"),
        (["--check", good, "--format", "csv"], "--check has no CSV"),
        (["--required", "nowhere.csv"], "nowhere.csv"),
    ):
        done = program("matrix", "cover", good, *arguments)
        assert done.returncode == 2, arguments
        assert message in done.stderr
        assert "Traceback" not in done.stderr


def test_of_a_lab_few_cells_are_listed_that_have_every_pair(program):
    text = "name: lab\nparams: {x: [a, b], y: [c, d], z: [e, f]}\nnodes: {n: {}}\n"
    lab = program.write("lab.yaml", text)
    rows = json.loads(program("matrix", "cover", lab, "--format", "json").stdout)
    pairs = {
        (one, row["params"][one], two, row["params"][two])
        for row in rows
        for one, two in (("x", "y"), ("x", "z"), ("y", "z"))
    }
    assert (len(rows), len(pairs)) == (4, 12)
    listed = program("matrix", "cover", lab).stdout.splitlines()
    assert [line.split()[1] for line in listed] == [row["name"] for row in rows]
    done = program("matrix", "cover", lab, "--check", "rows.csv")
    assert done.returncode == 2
    assert "--cover 2" in done.stderr


def test_a_matrix_of_which_nothing_is_left_says_which_filter_did_it(program):
    program.write("tests.cfg", "variants:\n    - a:\n    - b:\nno c\nonly a\nno a\n")
    done = program("matrix", "cover", "tests.cfg")
    assert (done.returncode, done.stdout) == (2, "")
    assert "warning: tests.cfg:4:1: 'no c': no variant is called 'c'" in done.stderr
    assert "nothing is left after 'no a'" in done.stderr
    program.write("none.cfg", "a = 1\n")
    done = program("matrix", "cover", "none.cfg")
    assert done.returncode == 2
    assert "has no variants to choose from" in done.stderr


def test_a_strength_of_a_lab_that_cannot_be_is_an_error(program):
    program.write("lab.yaml", "name: x\nparams: {n: [1, 2]}\nnodes: {a: {}}\n")
    done = program("matrix", "cover", "lab.yaml", "-t", "9")
    assert done.returncode == 2
    assert "the strength is 9" in done.stderr
    assert len(program("matrix", "cover", "lab.yaml", "-t", "6").stdout.splitlines()) == 2
