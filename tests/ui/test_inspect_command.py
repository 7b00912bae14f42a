# SPDX-License-Identifier: Apache-2.0
"""`windtunnel inspect` on a kernel that panicked while one task waited for the lock of another.

With the newest kernel only, for its symbols are another build; `make kernels` makes them.
"""

import json
import re
import shutil
import subprocess

import pytest

from conftest import report_missing
from program import LIMIT_HOST_S, Program
from windtunnel.images.kernels import find_kernel
from windtunnel.images.symbols import find_symbols

# `first` creates a file: it holds the folder's lock while its disk answers, 300 ms later.
# `second` wants to create another one there, and before either is done the kernel panics.
LAB = """\
name: locked
stop: 40 s
memory: 96 MiB
nodes:
  a:
    kernel: own
    volumes: {data: {size: 64 MB, path: /data, latency: 300 ms}}
    run:
      - {name: server, cmd: python3 -m http.server --bind 10.0.0.1 80}
      - {name: first, start: 20 s, cmd: touch /data/d/one}
      - {name: second, start: 20.01 s, cmd: touch /data/d/two}
  b: {}
links: [{endpoints: [a, b], subnet: 10.0.0.0/24, delay: 10 ms}]
steps:
  - name: make
    node: a
    at: 1 s
    cmd: mkdir /data/d && umount /data && mount /dev/vda /data
  - name: talk
    node: b
    at: 2 s
    cmd: bash -c "exec 3<>/dev/tcp/10.0.0.1/80; printf x >&3; sleep 25"
  - {name: arm, node: a, at: 3 s, cmd: sysctl -w vm.panic_on_oom=2}
  - name: eat
    node: a
    at: 20.75 s
    cmd: >-
      exec python3 -c 'import ctypes; ctypes.CDLL(None).mlockall(3);
      x = [bytearray(1 << 20) for _ in range(10000)]'
"""
PANIC = "Out of memory: compulsory panic_on_oom is enabled"


@pytest.fixture(scope="module")
def locked(tmp_path_factory) -> Program:
    """The program in a folder with two runs of the lab, 1 and 2."""
    kernel = find_kernel()
    if kernel is None or find_symbols(kernel) is None:
        report_missing("the newest kernel's symbols are not built (make kernels)")
    program = Program(tmp_path_factory.mktemp("work"))
    (program.folder / "lab.yaml").write_text(LAB)
    for jobs in ("1", "2"):
        done = program("run", "lab.yaml", "--parallel", jobs)
        assert done.returncode == 4, done.stderr
        assert f"look into it  windtunnel inspect runs/locked/000{jobs}" in done.stdout
    return program


@pytest.fixture(scope="module")
def found(locked):
    done = locked("inspect", "locked/1", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_it_tells_the_panic_and_who_crashed_with_lines_and_variables(found):
    assert (found["node"], found["panic"], found["doubts"]) == ("a", PANIC, [])
    crashed = found["crashed"]
    assert (crashed["name"], crashed["node"], crashed["state"]) == ("python3", "a", "R")
    calls = {frame["function"]: frame for frame in crashed["stack"]}
    assert re.fullmatch(r"kernel/panic\.c:\d+", calls["vpanic"]["source"])
    assert any(frame["source"].startswith("mm/oom_kill.c:") for frame in crashed["stack"])
    said = [one["value"] for one in calls["vpanic"]["variables"] if one["name"] == "buf"]
    assert PANIC in said[0]


def test_it_tells_all_tasks_and_where_the_blocked_ones_wait(found):
    named = [(task["name"], task["node"], task["state"]) for task in found["tasks"]]
    assert named.count(("touch", "a", "D")) == 2
    assert ("python3", "a", "S") in named
    assert ("kthreadd", "", "S") in named
    blocked = [task for task in found["tasks"] if task["state"] == "D" and task["name"] == "touch"]
    waits = [{frame["function"] for frame in task["stack"]} for task in blocked]
    assert any("io_schedule" in calls for calls in waits)
    assert any(call.startswith("rwsem_down_write") for calls in waits for call in calls)


def test_it_tells_whose_lock_a_task_waits_for(found):
    (lock,) = found["locks"]
    touches = sorted(task["pid"] for task in found["tasks"] if task["name"] == "touch")
    assert lock["kind"] == "rwsem"
    assert [lock["owner"], lock["waiting"]] == [f"touch[{pid}]" for pid in touches]


def test_it_tells_sockets_and_queues(found):
    tcp = {one["state"]: one for one in found["sockets"] if one["state"]}
    assert tcp["listen"]["local"].endswith(":80")
    assert tcp["established"]["local"].endswith(":80")
    assert re.fullmatch(r"\S+\d:\d+", tcp["established"]["remote"])
    assert tcp["listen"]["task"] == tcp["established"]["task"]
    assert {one["node"] for one in tcp.values()} == {"a"}
    (qdisc,) = found["qdiscs"]
    assert (qdisc["node"], qdisc["interface"], qdisc["kind"]) == ("a", "eth0", "pfifo_fast")


def test_it_tells_the_log_with_its_owners(found):
    eater = found["crashed"]["pid"]
    record = next(one for one in found["records"] if PANIC in one["text"])
    assert (record["owner"], record["level"]) == (f"python3[{eater}]", 0)
    assert found["records"][0]["text"].startswith("Linux version ")


def test_two_runs_of_a_seed_leave_the_same_in_their_cores(locked, found):
    again = json.loads(locked("inspect", "locked/2", "--json", "--stacks", "*").stdout)
    first = json.loads(locked("inspect", "locked/1", "--json", "--stacks", "*").stdout)
    assert {**again, "run": ""} == {**first, "run": ""}
    assert {**found, "tasks": [], "run": ""} == {**first, "tasks": [], "run": ""}


def test_people_read_it_from_the_top(locked):
    done = locked("inspect", "locked/1", "--stacks", "kthreadd")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("runs/locked/0001: the kernel of a, Linux ")
    assert lines[1] == f"panic: {PANIC}"
    assert re.search(r"^python3\[\d+\] of a ran at the end$", done.stdout, re.MULTILINE)
    assert re.search(r"^  #\d+ +vpanic +kernel/panic.c:\d+$", done.stdout, re.MULTILINE)
    assert re.search(r"^kthreadd\[2\] sleeps, state S$", done.stdout, re.MULTILINE)
    assert re.search(r"^touch\[\d+\] of a is blocked$", done.stdout, re.MULTILINE)
    assert re.search(r"^rwsem +\S+ +touch\[\d+\] +touch\[\d+\]$", done.stdout, re.MULTILINE)
    assert re.search(r"^ +20\.750\d+ +python3\[\d+\] +Kernel panic", done.stdout, re.MULTILINE)


def test_without_symbols_it_tells_the_calls_of_who_crashed(locked):
    done = locked("inspect", "locked/1", "--no-symbols")
    assert done.returncode == 0, done.stderr
    assert re.search(r"^  #\d+ +out_of_memory\.cold$", done.stdout, re.MULTILINE)
    assert "mm/oom_kill.c" not in done.stdout


def test_drgn_can_be_asked(locked):
    asks = "print('comm is', prog['init_task'].comm.string_().decode())\n"
    with locked.start("inspect", "locked/1", "--repl", stdin=subprocess.PIPE) as process:
        said, complaints = process.communicate(asks, timeout=LIMIT_HOST_S)
    assert process.returncode == 0, complaints
    assert "comm is swapper" in said


def test_a_core_that_was_cut_is_told_and_looked_into(locked, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(locked.folder / "runs/locked/0001", run)
    whole = locked("inspect", str(run))
    assert "not whole" not in whole.stderr
    with (run / "core-a").open("r+b") as core:
        core.truncate(core.seek(0, 2) * 9 // 10)
    done = locked("inspect", str(run))
    assert done.returncode == 0, done.stderr
    assert re.search(r"core-a is not whole: [\d,]+ bytes are missing at its end", done.stderr)
    assert PANIC in done.stdout


def test_what_is_no_core_is_said_to_be_none(locked, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(locked.folder / "runs/locked/0001", run)
    (run / "core-a").write_bytes(b"\x7fELF" + bytes(100))
    done = locked("inspect", str(run))
    assert done.returncode == 2
    assert "core-a is not the core of a kernel" in done.stderr
    (run / "core-a").unlink()
    done = locked("inspect", str(run))
    assert done.returncode == 2
    assert "has no core: a kernel leaves one when it panics or hangs" in done.stderr


def test_a_core_of_another_build_is_refused(locked, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(locked.folder / "runs/locked/0001", run)
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["kernel"]["sha256"] = "0" * 64
    (run / "manifest.json").write_text(json.dumps(manifest))
    done = locked("inspect", str(run))
    assert done.returncode == 3
    assert "the program of that name on this machine is another" in done.stderr
    manifest["kernel"]["key"] = "0" * 12
    (run / "manifest.json").write_text(json.dumps(manifest))
    done = locked("inspect", str(run))
    assert done.returncode == 3
    assert "which is not on this machine" in done.stderr
    assert "windtunnel kernel build --source 7" in done.stderr
