# SPDX-License-Identifier: Apache-2.0
"""The commands that read lab files and run nothing."""

from __future__ import annotations

import json

from windtunnel.engine.labfile import read_spec
from windtunnel.model.editorschema import editor_schema

GOOD = """\
name: two
seed: 7
stop: 10 s
nodes:
  a: {}
  b: {addresses: [1.1.1.1/32]}
links:
  - {endpoints: [a, b], delay: 10 ms, ip: [10.0.0.1/30, 10.0.0.2/30]}
run:
  - {name: server, node: b, cmd: sleep 100, expect: running}
steps:
  - {name: reach, at: 1 s, node: a, wait_for: ping -c 1 b, within: 5 s}
  - {name: cut, at: 2 s, link: a-b, down: true}
validate:
  - {name: end, node: a, cmd: "true"}
"""
BAD = """\
name: bad
nodes:
  a: {}
  b: {}
links:
  - [a, c]
stop: 5 s
steps:
  - {at: 10 s, node: a, cmd: "true"}
"""


def test_a_right_lab_is_summed_up_in_one_line(program):
    program.write("good.yaml", GOOD)
    done = program("lab", "check", "good.yaml")
    assert done.stdout == "good.yaml: ok: 2 nodes, 1 link, 1 process, 2 steps, 1 validation\n"
    assert (done.returncode, done.stderr) == (0, "")


def test_all_that_is_wrong_is_shown_with_its_place_its_text_and_its_remedy(program):
    program.write("bad.yaml", BAD)
    done = program("lab", "check", "bad.yaml")
    assert done.stderr == (
        "bad.yaml:6:9: no node 'c'\n"
        "    6 |   - [a, c]\n"
        "      |         ^\n"
        "  the nodes are a, b\n"
        "\n"
        "bad.yaml:9:10: the step is at 10 s, and the lab stops at 5 s\n"
        '    9 |   - {at: 10 s, node: a, cmd: "true"}\n'
        "      |          ^\n"
        "  make it earlier, or stop the lab later\n"
        "\n"
        "windtunnel: 2 errors in the lab (bad.yaml)\n"
    )
    assert (done.returncode, done.stdout) == (2, "")


def test_one_wrong_file_does_not_hide_the_others(program):
    program.write("good.yaml", GOOD)
    program.write("bad.yaml", BAD)
    done = program("lab", "check", "--json", "bad.yaml", "good.yaml")
    bad, good = json.loads(done.stdout)
    assert done.returncode == 2
    assert [(error["line"], error["column"]) for error in bad["errors"]] == [(6, 9), (9, 10)]
    assert good == {
        "file": "good.yaml", "ok": True, "errors": [], "nodes": 2, "links": 1, "networks": 0,
        "processes": 1, "steps": 2, "faults": 0, "validations": 1,
    }  # fmt: skip


def test_a_lab_is_shown_as_tables(program):
    program.write("good.yaml", GOOD)
    lines = program("lab", "show", "good.yaml").stdout.splitlines()
    assert lines[0] == "two, seed 7, stops at 10.000 s, memory 1 GiB"
    assert "a-b   10 ms            the same  up" in lines
    assert "server   b     0 s    sleep 100" in lines
    assert "2.000 s  cut    a-b           down" in lines


def test_a_flat_lab_is_the_same_lab(program):
    program.write("good.yaml", GOOD)
    flat = program("lab", "show", "--flat", "good.yaml").stdout
    program.write("flat.yaml", flat)
    assert read_spec(program.folder / "flat.yaml") == read_spec(program.folder / "good.yaml")


def test_a_lab_as_json_has_the_keys_of_the_flat_lab(program):
    program.write("good.yaml", GOOD)
    document = json.loads(program("lab", "show", "--json", "--seed", "9", "good.yaml").stdout)
    assert (document["name"], document["seed"]) == ("two", 9)
    assert document["links"][0]["delay"] == "10 ms"


def test_an_option_that_does_not_fit_to_the_lab_is_an_error(program):
    program.write("good.yaml", GOOD)
    done = program("lab", "show", "--stop", "1500 ms", "good.yaml")
    assert done.returncode == 2
    assert "the step is at 2 s, and the lab stops at 1500 ms\n" in done.stderr


def test_a_topology_is_drawn_into_a_file_or_to_stdout(program):
    program.write("good.yaml", GOOD)
    done = program("lab", "graph", "good.yaml", "-o", "good.svg")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    drawn = (program.folder / "good.svg").read_text()
    assert drawn.startswith("<svg ")
    assert program("lab", "graph", "good.yaml").stdout.rstrip() == drawn.rstrip()


def test_what_cannot_be_written_is_an_error_and_no_traceback(program):
    program.write("good.yaml", GOOD)
    done = program("lab", "graph", "good.yaml", "-o", "no/such/folder.svg")
    assert done.returncode == 2
    assert done.stderr.startswith("windtunnel: cannot write no/such/folder.svg: No such file")


def test_an_imported_topology_is_a_lab_and_what_is_left_out_is_said_on_stderr(program):
    program.write(
        "topo.clab.yml",
        "name: imported\n"
        "topology:\n"
        "  nodes:\n"
        "    a: {kind: linux, image: alpine}\n"
        "    b: {kind: vr-sros}\n"
        '  links: [{endpoints: ["a:eth1", "b:eth1"]}]\n',
    )
    done = program("lab", "import", "topo.clab.yml", "-o", "lab.yaml")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("warning: ")
    assert read_spec(program.folder / "lab.yaml").name == "imported"


def test_the_schema_is_the_models(program):
    assert json.loads(program("lab", "schema").stdout) == editor_schema()
