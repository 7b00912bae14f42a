# SPDX-License-Identifier: Apache-2.0
"""The pytest plugin, by real test suites in a folder of their own."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import tomllib
import xml.etree.ElementTree as ET
from contextlib import suppress
from pathlib import Path

import pytest

from program import Program
from repository import REPOSITORY
from windtunnel.machines import sweep
from windtunnel.store.compare import digest_run
from windtunnel.store.run_reader import RunReader

PLUGIN = "windtunnel.ui.pytest_plugin"
FRAME = re.compile(r"\S+\.py:\d+")  # of a traceback

PAIR = """\
name: pair
seed: 7
memory: 128 MiB
stop: 3 s
addressing: ipv4
nodes: {a: {}, b: {}}
links: [{endpoints: [a, b], delay: 10 ms}]
run:
  - {node: a, name: ticks, cmd: "while sleep 0.5; do echo tick; done"}
  - {node: b, name: random, cmd: head -c 8 /dev/urandom | od -An -tx1}
steps:
  - {at: 2 s, name: four, node: b, cmd: echo 4, match: "4"}
"""
WRONG = PAIR.replace('match: "4"', 'match: "5"').replace("name: pair", "name: wrong")
CELLS = (
    PAIR.replace("delay: 10 ms", 'delay: "${delay}", rate: "${rate}"')
    .replace("name: pair", "name: cells")
    .replace("stop:", "params:\n  delay: [10 ms, 20 ms]\n  rate: [1 Gbit, 2 Gbit]\nstop:")
)


class Suite(Program):
    """A test suite; called, it is run."""

    def __init__(self, folder: Path):
        super().__init__(folder, module="pytest")
        # The plugin as a module, whether or not the installed package has its entry point.
        self.environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        self.environment["PYTEST_DEBUG_TEMPROOT"] = str(folder.parent)
        self.write("pair.yaml", PAIR)
        self.write("wrong.yaml", WRONG)
        self.write("cells.yaml", CELLS)

    def start(self, *arguments: str, **options):
        return super().start(
            *("-p", PLUGIN, "-p", "no:cacheprovider", "--windtunnel-runs", "runs"),
            *arguments,
            **options,
        )

    def tests(self, text: str) -> None:
        """Write the one file of tests."""
        self.write("test_it.py", f"import pytest\n\n{text}")

    def windtunnel(self, *arguments: str) -> subprocess.CompletedProcess:
        """Run the program itself beside the tests."""
        program = Program(self.folder)
        program.environment = self.environment
        return program(*arguments)

    def runs(self, lab: str) -> list[Path]:
        """The runs of a lab, in their order."""
        return sorted((self.folder / "runs" / lab).glob("0*"))

    def digests(self) -> dict[str, str]:
        """The digest of each test's run, by the test's name."""
        found = {}
        for case in ET.parse(self.folder / "junit.xml").iter("testcase"):
            for one in case.iter("property"):
                found[case.attrib["name"]] = digest_run(Path(one.attrib["value"]))
        return found


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    """A suite that boots no kernel."""
    folder = tmp_path / "work"
    folder.mkdir()
    suite = Suite(folder)
    suite.environment["XDG_CACHE_HOME"] = str(tmp_path / "cache")
    return suite


@pytest.fixture
def booting_suite(tmp_path: Path, kernel_path: Path) -> Suite:
    """A suite that boots the kernel that is to be tested."""
    folder = tmp_path / "work"
    folder.mkdir()
    suite = Suite(folder)
    suite.environment["WINDTUNNEL_KERNEL"] = str(kernel_path)
    return suite


def outcomes(done: subprocess.CompletedProcess) -> dict[str, int]:
    """What pytest counted: {"passed": 2}."""
    last = done.stdout.strip().splitlines()[-1]
    return {word: int(count) for count, word in re.findall(r"(\d+) (\w+)", last.split(" in ")[0])}


def working_below(part: str) -> list[str]:
    """All processes whose working directory, there or deleted, has this in its path."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            folder = os.readlink(f"/proc/{name}/cwd")
            if part in folder:
                found.append(f"{name} {folder}")
    return found


# ---- worlds ----


def test_a_world_is_the_marked_lab_whose_schedule_goes_on_while_the_test_waits(booting_suite):
    booting_suite.tests("""
@pytest.mark.lab("pair.yaml")
class TestPair:
    def test_ticks(self, world):
        assert world.now_ns == 0
        assert world.node("a").run("ping -n -c 1 b").ok
        world.run_until_ns(2_250_000_000)
        assert world.node("a").processes[0].stdout == "tick\\n" * 4

    @pytest.mark.lab("pair.yaml", schedule=False, seed=9)
    def test_silence(self, world):
        world.sleep("10 s")
        assert world.spec.seed == 9
        assert world.node("a").processes == []
""")
    done = booting_suite()
    assert outcomes(done) == {"passed": 2}, done.stdout
    first, second = map(RunReader, booting_suite.runs("pair"))
    assert [one.state for one in (first, second)] == ["passed", "passed"]
    assert first.read_output("a", "ticks") == b"tick\n" * 4
    checks = [event for event in first.events() if event.kind == "check"]
    assert [(one.time_ns // 10**9, one.fields["name"]) for one in checks] == [(2, "four")]
    assert [event.kind for event in second.events()] == ["lab-begin", "lab-end"]
    assert first.manifest["repeat"] == (
        "pytest test_it.py::TestPair::test_ticks --windtunnel-seed 7 --windtunnel-runs runs"
    )


def test_a_failure_says_when_what_was_printed_where_the_run_is_and_how_to_repeat_it(booting_suite):
    booting_suite.tests("""
@pytest.mark.lab("pair.yaml")
def test_answer(world):
    world.sleep("1250 ms")
    answer = world.node("b").run("echo 42; echo oh >&2").stdout
    assert answer == "43"
""")
    done = booting_suite("--windtunnel-seed", "5", "--show-capture=no")
    assert outcomes(done) == {"failed": 1}
    assert "windtunnel: seed 5 (--windtunnel-seed 5)" in done.stdout
    assert "assert '42\\n' == '43'" in done.stdout  # rewritten by pytest
    (run,) = booting_suite.runs("pair")
    report = done.stdout.partition("- windtunnel -")[2].splitlines()
    wanted = f"""\
lab           pair
seed          5
recorded in   {run}
-- a: ticks
  tick
  tick
-- b: echo
  42
-- b: echo, stderr
  oh"""
    assert [line for line in wanted.splitlines() if line not in report] == []
    (time,) = [line for line in report if line.startswith("virtual time")]
    assert re.fullmatch(r"virtual time  1\.25\d{7} s", time)
    manifest = RunReader(run).manifest
    assert (manifest["state"], manifest["driver"]) == ("failed", "pytest")
    assert manifest["finding"].startswith("AssertionError: assert '42")

    (line,) = [line for line in report if line.startswith("repeat it")]
    words = shlex.split(line.removeprefix("repeat it"))
    assert words[0] == "pytest"
    again = booting_suite(*words[1:])
    assert outcomes(again) == {"failed": 1}
    digests = [digest_run(one) for one in booting_suite.runs("pair")]
    assert digests[0] == digests[1]


def test_what_a_guest_fails_with_is_shown_with_node_and_time_and_no_code_of_ours(booting_suite):
    booting_suite.tests("""
@pytest.mark.lab("pair.yaml")
def test_wait(world):
    world.node("a").wait_for("echo no", match="yes", within="2 s")
""")
    done = booting_suite()
    assert outcomes(done) == {"failed": 1}
    assert re.search(
        r"^E +windtunnel\.errors\.GuestError: node a, at 2\.0\d+ s: 'echo no' did not match 'yes'",
        done.stdout,
        re.MULTILINE,
    )
    assert "test_it.py:6: GuestError" in done.stdout
    assert FRAME.findall(done.stdout) == ["test_it.py:6"]
    (run,) = map(RunReader, booting_suite.runs("pair"))
    assert run.state == "error"
    assert [event.kind for event in run.events()][-2:] == ["lab-end", "finding"]


def test_a_crash_of_the_kernel_is_in_the_report_of_the_test(booting_suite):
    booting_suite.tests("""
EATER = (
    "exec python3 -c 'import ctypes; ctypes.CDLL(None).mlockall(3);"
    "a = [bytearray(1 << 20) for _ in range(1 << 16)]'"
)

@pytest.mark.lab("pair.yaml")
def test_eat(world):
    world.base.run("sysctl -w vm.panic_on_oom=2")
    world.node("b").run(EATER)
""")
    done = booting_suite()
    assert outcomes(done) == {"failed": 1}
    assert "windtunnel.errors.GuestLostError: node b, at 0." in done.stdout
    report = done.stdout.partition("- windtunnel -")[2]
    assert re.search(r"^-- the kernel: .*panic_on_oom", report, re.MULTILINE), report
    assert "  python3 invoked oom-killer" in report  # what led to it


def test_a_step_of_the_lab_that_fails_fails_the_test_that_let_its_time_come(booting_suite):
    booting_suite.tests("""
@pytest.mark.lab("wrong.yaml")
def test_long(world):
    world.sleep("2500 ms")

@pytest.mark.lab("wrong.yaml")
def test_short(world):
    world.sleep("1500 ms")
""")
    done = booting_suite()
    assert outcomes(done) == {"failed": 1, "passed": 1}
    assert "node b, at 2.000 s: four: '5' is not in '4'" in done.stdout.replace("\n\n", "\n")
    assert [RunReader(run).state for run in booting_suite.runs("wrong")] == ["failed", "passed"]


def test_a_skipped_test_and_an_expected_failure_are_what_they_are(booting_suite):
    booting_suite.tests("""
@pytest.mark.lab("pair.yaml")
def test_skip(world):
    pytest.skip("not today")

@pytest.mark.xfail(reason="known", strict=True)
@pytest.mark.lab("pair.yaml")
def test_known(world):
    world.node("a").wait_for("false", within="1 s")
""")
    done = booting_suite()
    assert outcomes(done) == {"skipped": 1, "xfailed": 1}
    assert [RunReader(run).state for run in booting_suite.runs("pair")] == ["passed", "error"]


# ---- labs ----


def test_a_test_describes_its_lab_itself_or_edits_the_file_or_overrides_the_fixture(booting_suite):
    booting_suite.tests("""
def test_own(lab, start_lab):
    a, b = lab.node("a"), lab.node("b")
    lab.link(a, b, delay="30 ms")
    world = start_lab(lab)
    assert world.spec.name == "test_own"
    assert "time=60.0 ms" in world.node("a").run("ping -n -c 2 b").stdout.splitlines()[2]

@pytest.mark.lab("pair.yaml")
def test_more(lab, start_lab):
    lab.node("c")
    assert [node.name for node in start_lab(lab).nodes] == ["a", "b", "c"]

class TestOverridden:
    @pytest.fixture
    def lab(self, lab):
        lab.node("only")
        return lab

    def test_world(self, world, lab_cell):
        assert [node.name for node in world.nodes] == ["only"]
        assert lab_cell is None
""")
    done = booting_suite()
    assert outcomes(done) == {"passed": 3}, done.stdout


def test_run_lab_runs_the_lab_as_the_command_does_and_fails_with_its_first_finding(booting_suite):
    booting_suite.tests("""
@pytest.mark.lab("pair.yaml")
def test_right(run_lab):
    session = run_lab()
    assert session.state == "passed"
    assert [check.name for check in session.checks] == ["four"]

@pytest.mark.lab("wrong.yaml")
def test_wrong(run_lab):
    run_lab()
""")
    done = booting_suite()
    assert outcomes(done) == {"failed": 1, "passed": 1}
    assert "\nnode b, at 2.000 s: four: '5' is not in '4'\n" in done.stdout
    (run,) = booting_suite.runs("wrong")
    replay = f"or            windtunnel replay {run.relative_to(booting_suite.folder)}"
    assert replay in done.stdout.splitlines()
    booting_suite.windtunnel("run", "wrong.yaml", "--output", "by-command")
    assert digest_run(run) == digest_run(booting_suite.folder / "by-command")


def test_a_run_that_a_test_drove_is_repeated_by_the_test_and_not_by_replay(booting_suite):
    booting_suite.tests("""
@pytest.mark.lab("pair.yaml")
def test_it(world):
    pass
""")
    booting_suite()
    done = booting_suite.windtunnel("replay", "pair")
    assert done.returncode == 2
    assert done.stderr == (
        "windtunnel: pytest drove the run in runs/pair/0001, whose folder has only its lab\n"
        "  repeat it with: pytest test_it.py::test_it --windtunnel-seed 7 --windtunnel-runs runs\n"
    )


def test_lab_files_are_tests_where_the_ini_file_says_so(booting_suite):
    booting_suite.write("pytest.ini", "[pytest]\nwindtunnel_labs = w*.yaml cells.yaml\n")
    done = booting_suite("-v", "-k", "wrong or 10")
    assert re.findall(r"^(\S+\.yaml::.*?) (PASSED|FAILED)", done.stdout, re.MULTILINE) == [
        ("cells.yaml::delay=10 ms,rate=1 Gbit", "PASSED"),
        ("cells.yaml::delay=10 ms,rate=2 Gbit", "PASSED"),
        ("wrong.yaml::wrong", "FAILED"),
    ]
    assert "\nnode b, at 2.000 s: four: '5' is not in '4'\n" in done.stdout
    assert "repeat it     pytest wrong.yaml::wrong --windtunnel-seed 7" in done.stdout


# ---- cells ----


def test_a_lab_with_parameters_is_a_test_for_each_cell(booting_suite):
    booting_suite.tests("""
@pytest.mark.lab("cells.yaml", only="rate=1 Gbit")
def test_delay(world, lab_cell):
    assert lab_cell.params["rate"] == "1 Gbit"
    line = world.node("a").run("ping -n -c 2 b").stdout.splitlines()[2]
    assert f"time={2 * int(lab_cell.params['delay'].split()[0])}" in line
    assert lab_cell.params["delay"] == "10 ms"
""")
    done = booting_suite("-v")
    assert re.findall(r"^test_it\.py::(.*?) (PASSED|FAILED) ", done.stdout, re.MULTILINE) == [
        ("test_delay[delay=10 ms,rate=1 Gbit]", "PASSED"),
        ("test_delay[delay=20 ms,rate=1 Gbit]", "FAILED"),
    ]
    assert "cell          delay=20 ms,rate=1 Gbit" in done.stdout
    (line,) = [one for one in done.stdout.splitlines() if one.startswith("repeat it")]
    assert "'test_it.py::test_delay[delay=20 ms,rate=1 Gbit]' --windtunnel-seed 7" in line
    again = booting_suite(*shlex.split(line.removeprefix("repeat it     pytest")))
    assert outcomes(again) == {"failed": 1}


def test_filters_and_cover_choose_cells_and_no_kernel_is_needed_to_list_them(suite):
    suite.tests("""
@pytest.mark.lab("cells.yaml", only=["delay=10 ms"], no="rate=2 Gbit")
def test_one(world): ...

@pytest.mark.lab("cells.yaml", cover=1)
def test_some(lab): ...

@pytest.mark.lab("cells.yaml")
def test_not_of_the_lab(): ...
""")
    done = suite("--collect-only", "-q")
    names = [line for line in done.stdout.splitlines() if "::" in line]
    assert names[0] == "test_it.py::test_one[delay=10 ms,rate=1 Gbit]"
    assert len([name for name in names if "test_some[" in name]) == 2
    assert names[-1] == "test_it.py::test_not_of_the_lab"


def test_too_many_cells_are_refused_and_may_be_allowed(suite):
    more = "".join(f"  x{name}: [{', '.join(map(str, range(10)))}]\n" for name in "abc")
    text = "x-all: [{xa}, {xb}, {xc}]\nstop:".replace("{", '"${').replace("}", '}"')
    suite.write("many.yaml", CELLS.replace("stop:", more + text))
    suite.tests("""
@pytest.mark.lab("many.yaml")
def test_many(world): ...
""")
    done = suite("--collect-only", "-q")
    assert done.returncode == 2
    assert "many.yaml has 4,000 cells, and more than 1000 tests of one are a mistake" in done.stdout
    assert "windtunnel_cells_max = N" in done.stdout
    allowed = suite("--collect-only", "-q", "-o", "windtunnel_cells_max=4000")
    assert outcomes(allowed) == {"tests": 4000}


# ---- what is said of mistakes ----

MISTAKES = {
    '"pairs.yaml"': ["there is no file 'pairs.yaml' in", "did you mean 'pair.yaml'?"],
    '"pair.yaml", sed=3': ["there is no option 'sed'", "did you mean 'seed'?"],
    '"pair.yaml", seed="3"': ["seed='3'; a seed is a whole number from 0 to 2^64 - 1"],
    '"pair.yaml", stop="3"': ["stop='3': "],
    '"pair.yaml", only=3': ["only=3; it is a filter, or a list of filters"],
    '"pair.yaml", "wrong.yaml"': ["it has 2 arguments without a name", "seed=7"],
    '"cells.yaml", cover=7': ["cover=7; it is a whole number from 1 to 6"],
    '"cells.yaml", only="delay=1 ms"': [
        "the axis 'delay' has no value '1 ms'",
        "did you mean '10 ms'?",
    ],
    '"pair.yaml", only="delay=1 ms"': ["pair.yaml has no parameters to filter"],
    "only='a'": ["only, no, cover and stop are about a lab file, and none is named"],
    '"pair.yaml", schedule=1': ["schedule=1; it is True or False"],
}


@pytest.mark.parametrize("arguments", MISTAKES)
def test_a_mistake_in_a_marker_is_named_with_its_test_before_anything_runs(suite, arguments):
    suite.tests(f"""
@pytest.mark.lab({arguments})
def test_mistaken(world): ...
""")
    done = suite()
    assert done.returncode == 2
    assert "\ntest_it.py::test_mistaken: the marker lab: " in done.stdout
    assert [words for words in MISTAKES[arguments] if words not in done.stdout] == []
    assert "Traceback" not in done.stdout + done.stderr
    assert FRAME.findall(done.stdout) == []


def test_a_mistake_in_a_lab_file_is_shown_with_its_place(suite):
    suite.write("broken.yaml", "name: broken\nnods: {a: {}}\n")
    suite.tests("""
@pytest.mark.lab("broken.yaml")
def test_mistaken(world): ...
""")
    done = suite("-o", "windtunnel_labs=broken.yaml")
    assert outcomes(done) == {"failed": 1, "error": 1}
    assert (
        len(re.findall(r"broken\.yaml:2:1: .*'nods'.*\n.*\n.*\n.*did you mean", done.stdout)) == 2
    )
    assert FRAME.findall(done.stdout) == []


def test_a_test_without_a_lab_that_asks_for_a_world_is_told_how_to_get_one(booting_suite):
    booting_suite.tests("def test_nothing(world): ...\n")
    done = booting_suite()
    assert outcomes(done) == {"error": 1}
    assert "this test asks for a world and has no lab" in done.stdout
    assert '@pytest.mark.lab("lab.yaml")' in done.stdout
    assert "Traceback" not in done.stdout
    assert FRAME.findall(done.stdout) == []


def test_a_lab_with_hooks_on_the_host_is_refused_rather_than_run_without_them(suite):
    suite.write("hooks.yaml", PAIR + "hooks: {before_cell: [make ready]}\n")
    suite.tests("""
@pytest.mark.lab("hooks.yaml")
def test_hooked(world): ...
""")
    done = suite()
    assert outcomes(done) == {"error": 1}
    assert "the lab pair has hooks on this machine, and tests do not run them" in done.stdout
    assert FRAME.findall(done.stdout) == []


def test_a_kernel_that_is_not_there_is_an_error_without_a_traceback(suite):
    suite.tests("""
@pytest.mark.lab("pair.yaml", kernel="1.2.3")
def test_old(world): ...
""")
    done = suite()
    assert outcomes(done) == {"error": 1}
    assert "no kernel '1.2.3' has been built on this machine yet" in done.stdout
    assert FRAME.findall(done.stdout) == []


def test_a_seed_that_is_none_is_refused_and_a_random_one_is_printed(suite):
    suite.tests("def test_nothing(): ...\n")
    done = suite("--windtunnel-seed", "many")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "--windtunnel-seed 'many': a seed is a whole number" in done.stderr
    seeds = {
        re.search(r"seed (\d+) \(--windtunnel-seed \1\)", suite(*words).stdout)[1]
        for words in [("--windtunnel-seed", "random")] * 2
    }
    assert len(seeds) == 2


# ---- what surrounds it ----


def test_the_same_tests_leave_the_same_runs_whatever_the_hash_seed_and_the_workers(booting_suite):
    booting_suite.tests("""
@pytest.mark.lab("cells.yaml")
def test_ping(world):
    world.node("a").run("ping -n -c 3 -i 0.2 b")
    assert world.node("b").run("head -c 8 /dev/urandom | od -An -tx1").ok

@pytest.mark.lab("pair.yaml")
def test_run(run_lab):
    run_lab()
""")
    found = []
    for hash_seed, words in (("1", ()), ("2", ("-p", "xdist", "-n", "2"))):
        booting_suite.environment["PYTHONHASHSEED"] = hash_seed
        done = booting_suite("--junit-xml", "junit.xml", *words)
        assert outcomes(done) == {"passed": 5}, done.stdout
        found.append(booting_suite.digests())
    assert len(found[0]) == 5
    assert found[0] == found[1]
    assert len(set(found[0].values())) == 5


def test_workers_share_one_random_seed(booting_suite):
    booting_suite.tests("""
@pytest.mark.lab("pair.yaml")
@pytest.mark.parametrize("number", [1, 2])
def test_seed(world, number): ...
""")
    done = booting_suite("-p", "xdist", "-n", "2", "--windtunnel-seed", "random")
    assert outcomes(done) == {"passed": 2}, done.stdout
    seeds = {RunReader(run).manifest["seed"] for run in booting_suite.runs("pair")}
    assert seeds == {int(re.search(r"windtunnel: seed (\d+)", done.stdout)[1])}


def test_ctrl_c_ends_all_guests_and_the_run_says_so(booting_suite):
    booting_suite.tests("""
import os, signal

@pytest.mark.lab("pair.yaml")
def test_long(world):
    os.system("ls -l /proc/[0-9]*/cwd > folders 2> /dev/null")
    world.run_until(lambda w: w.now_ns > 10**9 and os.kill(os.getpid(), signal.SIGINT))
""")
    process = booting_suite.start()
    output, _ = process.communicate(timeout=60)
    assert process.returncode == pytest.ExitCode.INTERRUPTED, output
    assert "KeyboardInterrupt" in output
    (run,) = map(RunReader, booting_suite.runs("pair"))
    assert run.state == "interrupted"
    assert [path for base in sweep._bases() for path in base.glob(f"{process.pid}-*")] == []
    assert f"/{process.pid}-" in (booting_suite.folder / "folders").read_text()
    assert working_below(f"/{process.pid}-") == []


def test_a_run_is_in_pytests_own_temporary_folder_unless_somebody_says_otherwise(booting_suite):
    booting_suite.tests("""
@pytest.mark.lab("pair.yaml")
def test_it(world): ...
""")
    start = Program.start  # without --windtunnel-runs
    words = ("-p", PLUGIN, "-p", "no:cacheprovider", "--junit-xml", "junit.xml")
    for more, where in (
        ((), "pytest-of-"),
        (("-o", "windtunnel_runs=kept"), "/work/kept/pair/0001"),
    ):
        start(booting_suite, *words, *more).communicate(timeout=60)
        xml = (booting_suite.folder / "junit.xml").read_text()
        assert where in re.search(r'"windtunnel_run" value="(.*?)"', xml)[1]
    assert not (booting_suite.folder / "runs").exists()


def test_tests_without_a_lab_import_nothing_that_is_slow(suite):
    suite.tests("""
import json, sys

def test_nothing():
    with open("modules.json", "w") as file:
        json.dump(sorted(sys.modules), file)
""")
    assert outcomes(suite()) == {"passed": 1}
    modules = json.loads((suite.folder / "modules.json").read_text())
    assert {name for name in modules if name.startswith("windtunnel")} == {
        "windtunnel",
        "windtunnel.ui",
        "windtunnel.ui.pytest_plugin",
        "windtunnel.version",
    }
    assert {"pydantic", "rich", "typer", "yaml", "jinja2"}.isdisjoint(modules)


def test_the_package_tells_pytest_of_its_plugin():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"windtunnel": PLUGIN}


def test_pytest_lists_the_marker_and_the_fixtures(suite):
    assert "@pytest.mark.lab(file=None, *, seed=None" in suite("--markers").stdout
    listed = suite("--fixtures").stdout
    for name in ("world", "lab", "lab_cell", "start_lab", "run_lab"):
        assert re.search(rf"^{name} -- ", listed, re.MULTILINE), name
