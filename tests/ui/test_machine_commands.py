# SPDX-License-Identifier: Apache-2.0
"""The commands about this machine: kernels and what is missing."""

from __future__ import annotations

import json

from windtunnel.images.doctor import check_machine


def test_without_a_kernel_the_list_says_how_to_build_one(program):
    done = program("kernel", "list")
    assert done.stdout == "no kernel fits this version of windtunnel: windtunnel kernel build\n"
    assert json.loads(program("kernel", "list", "--json").stdout) == []


def test_the_path_of_a_kernel_that_is_not_there_is_an_error_of_this_machine(program):
    done = program("kernel", "path")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == (
        "windtunnel: no kernel has been built on this machine yet\n"
        "  build one, about ten minutes: windtunnel kernel build\n"
    )


def test_the_path_of_a_program_is_its_own(program):
    program.write("linux", "")
    program.environment["WINDTUNNEL_KERNEL"] = "./linux"
    assert program("kernel", "path").stdout == f"{program.folder}/linux\n"


def test_the_doctor_looks_at_everything_and_names_a_remedy_for_what_is_missing(program):
    done = program("doctor")
    for check in check_machine():
        assert f"\n{check.name} " in done.stdout
    assert "\nto mend it:\n" in done.stdout
    assert "\n  windtunnel kernel build\n" in done.stdout


def test_the_doctors_status_is_3_when_something_required_is_missing(program):
    program.environment["PATH"] = "/nonexistent"
    done = program("doctor", "--json")
    document = json.loads(done.stdout)
    missing = [check["name"] for check in document["checks"] if not check["ok"]]
    assert (done.returncode, document["ok"]) == (3, False)
    assert {"gcc", "make", "flex"} <= set(missing)
    assert document["install"].startswith("sudo apt-get install -y ")


def test_a_run_without_a_kernel_says_that_it_builds_one_and_how_long_that_takes(program):
    program.write("lab.yaml", "name: x\nnodes: {a: {}}\n")
    program.environment["PATH"] = "/nonexistent"  # so that nothing is built here
    done = program("run", "lab.yaml")
    announced, problem, remedy = done.stderr.splitlines()
    assert done.returncode == 3
    assert announced == (
        "no kernel has been built for this version of windtunnel yet: building it, once, "
        "about 9 minutes"
    )
    assert problem.startswith("windtunnel: missing for build: ")
    assert remedy.startswith("  sudo apt-get install -y ")


def test_a_key_that_nobody_has_built_is_no_reason_to_build(program):
    program.write("lab.yaml", "name: x\nnodes: {a: {}}\n")
    done = program("run", "lab.yaml", "--kernel", "7.3.4-abcdef")
    assert done.returncode == 3
    assert done.stderr.startswith("windtunnel: no kernel '7.3.4-abcdef' has been built")
