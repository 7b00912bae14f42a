# SPDX-License-Identifier: Apache-2.0
"""gdb at a kernel and at a process in a node, real ones, at a virtual time."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import subprocess
import sys
import termios

import pytest

LAB = """\
name: looked-into
stop: 3 s
nodes: {r1: {}, r2: {kernel: KERNEL}}
links: [{endpoints: [r1, r2], delay: 3 ms}]
run:
  - {node: r1, name: ping, cmd: "ping -4 -n -c 8 -i 0.3 r2"}
  - {node: r1, name: random, cmd: "head -c 16 /dev/urandom | od; date +%s.%N", start: 2 s}
  - {node: r2, name: wait, cmd: "sleep 2.5; echo over"}
"""
BUSY_LAB = """\
name: busy
stop: 10000 h
nodes: {r1: {}}
run: [{node: r1, name: busy, cmd: "while sleep 0.02; do :; done"}]
"""
LIMIT_HOST_S = 60


@pytest.fixture
def debug(booting_program, need_program):
    """The program with a lab: `debug("--node", "r1", …)`."""
    need_program("gdb")

    def debug(*arguments, kernel="shared"):
        booting_program.write("lab.yaml", LAB.replace("KERNEL", kernel))
        return booting_program("debug", "lab.yaml", *arguments)

    debug.program = booting_program
    return debug


class Typist:
    """Someone at a terminal of the program."""

    def __init__(self, program, *arguments):
        self.ours, theirs = pty.openpty()
        program.environment["TERM"] = "dumb"
        self.process = program.start(
            *arguments,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            # else Ctrl-C is no signal
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(theirs)
        self.shown = ""

    def expect(self, text):
        """Wait until the terminal shows a text; gives what came before and with it."""
        while text not in self.shown:
            ready, _, _ = select.select([self.ours], [], [], LIMIT_HOST_S)
            assert ready, f"{text!r} never came: {self.shown!r}"
            try:
                part = os.read(self.ours, 4096)
            except OSError:
                part = b""
            assert part, f"{text!r} never came: {self.shown!r}"
            self.shown += part.decode(errors="replace").replace("\r\n", "\n")
        before, found, self.shown = self.shown.partition(text)
        return before + found

    def type(self, text):
        os.write(self.ours, text.encode())

    def end(self):
        """Its exit status, and the rest of what it shows."""
        while True:
            try:
                part = os.read(self.ours, 4096)
            except OSError:
                break
            if not part:
                break
            self.shown += part.decode(errors="replace").replace("\r\n", "\n")
        os.close(self.ours)
        return self.process.wait(LIMIT_HOST_S), self.shown


@pytest.fixture
def typist(debug):
    typists = []

    def typist(*arguments, kernel="shared"):
        debug.program.write("lab.yaml", LAB.replace("KERNEL", kernel))
        debug.program.write("busy.yaml", BUSY_LAB)
        typists.append(Typist(debug.program, *arguments))
        return typists[-1]

    yield typist
    for one in typists:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()


# ---- the kernel ----


def frames(text):
    return re.findall(r"^#\d+ .* in (\w+) \(\)", text, re.MULTILINE)


@pytest.mark.parametrize("kind", ["shared", "own"])
def test_a_backtrace_of_a_nodes_kernel_is_complete(debug, kind):
    done = debug("--node", "r2", "--at", "1.5 s", "--command", "bt", kernel=kind)
    assert done.returncode == 0, done.stderr
    assert "start_kernel" in frames(done.stdout)
    assert "time_travel_handle_message" in frames(done.stdout)
    shared = ", which 2 nodes share," if kind == "shared" else ""
    assert f"time stands still: the kernel of r2{shared} is process " in done.stderr


def test_several_commands_are_done_in_their_order(debug):
    words = ["--command", "print 6*7", "--command", "print jiffies"]
    done = debug("--node", "r1", "--at", "0 s", *words)
    assert "$1 = 42\n" in done.stdout, done.stderr


def files(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("manifest.json", "lock", "grants.log")
    }


@pytest.mark.parametrize("kind", ["shared", "own"])
def test_a_lab_that_goes_on_after_gdb_gives_the_same_bytes(debug, kind):
    done = debug(
        *("--node", "r2", "--at", "1.234567891 s", "--command", "bt"),
        *("--command", "info registers", "--go-on", "--output", "looked"),
        kernel=kind,
    )
    assert done.returncode == 0, done.stderr
    assert "passed" in done.stdout
    assert debug.program("run", "lab.yaml", "--output", "plain").returncode == 0
    folder = debug.program.folder
    plain = files(folder / "plain")
    assert b"bytes from" in b"".join(plain.values())
    assert files(folder / "looked") == plain


def test_gdb_lets_the_lab_go_on_to_a_breakpoint_and_holds_it_there(typist):
    user = typist("debug", "lab.yaml", "--node", "r2", "--at", "1 s", kernel="own")
    user.expect("(gdb) ")
    user.type("break icmp_rcv\n")
    user.expect("Breakpoint 1 at ")
    user.expect("(gdb) ")
    user.type("continue\n")
    user.expect("Breakpoint 1, ")
    user.expect("(gdb) ")
    user.type("bt\n")
    assert "ip_local_deliver" in user.expect(" in ?? ()")
    user.type("quit\n")
    status, rest = user.end()
    assert status == 0
    assert "Traceback" not in rest


def test_ctrl_c_stops_a_lab_that_gdb_lets_go_on(typist):
    user = typist("debug", "busy.yaml", "--node", "r1", "--at", "100 ms")
    user.expect("(gdb) ")
    user.type("continue\n")
    user.expect("Continuing.")
    select.select([], [], [], 1)  # the lab runs for a while; it would for days
    user.type("\x03")
    user.expect("(gdb) ")
    user.type("bt 1\n")
    user.expect("#0 ")
    user.type("quit\n")
    assert user.end()[0] == 0


def test_after_gdb_the_lab_goes_on_to_its_end_with_the_same_bytes(typist, debug):
    words = ["--node", "r1", "--at", "1 s", "--go-on", "--output", "held"]
    user = typist("debug", "lab.yaml", *words)
    user.expect("(gdb) ")
    user.type("\x03")
    user.expect("(gdb) ")
    user.type("break icmp_rcv\n")
    user.expect("(gdb) ")
    user.type("continue\n")
    user.expect("Breakpoint 1, ")
    user.type("delete\n")
    user.expect("(gdb) ")
    user.type("quit\n")
    status, text = user.end()
    assert (status, "passed" in text) == (0, True), text
    assert debug.program("run", "lab.yaml", "--output", "plain").returncode == 0
    assert files(debug.program.folder / "held") == files(debug.program.folder / "plain")


def test_no_watchdog_counts_while_gdb_holds_the_kernel(debug):
    # The limit of `run` in the library is far above; here one tries it.
    debug.program.write("lab.yaml", LAB.replace("KERNEL", "own"))
    code = (
        "import sys\n"
        "from dataclasses import replace\n"
        "from pathlib import Path\n"
        "from windtunnel.engine import run, world, kernel, recorder, debug, labfile\n"
        "d = debug.KernelDebugger('r1', commands=['shell sleep 2', 'print 6*7'],"
        " go_on=True, say=print)\n"
        "o = world.WorldOptions(kernel=kernel.default_kernel(), watchdog_host_s=0.9,"
        " halt=world.Halt('r1', 10**9, d.attach))\n"
        "out = run.run_lab(labfile.read_spec(Path('lab.yaml')), o, recorder.NullRecorder(),"
        " captures=lambda n: lambda b: None)\n"
        "print(out.end_ns, d.status)\n"
    )
    debug.program.write("watchdog.py", code)

    done = subprocess.run(
        [sys.executable, "watchdog.py"],
        cwd=debug.program.folder,
        env=debug.program.environment,
        capture_output=True,
        text=True,
        timeout=LIMIT_HOST_S,
        check=False,
    )
    assert "$1 = 42" in done.stdout, done.stderr
    assert done.stdout.endswith("3000000000 0\n")


# ---- a process in a node ----


@pytest.mark.parametrize("kind", ["shared", "own"])
def test_gdb_in_a_node_shows_a_process_of_the_lab(debug, kind):
    words = ["--process", "wait", "--command", "bt", "--command", "info inferiors"]
    done = debug("--node", "r2", "--at", "1.5 s", *words, kernel=kind)
    assert done.returncode == 0, done.stderr
    assert "wait4" in done.stdout
    assert "detached" in done.stdout
    took = re.search(r"gdb took ([\d.]+) ms of virtual time", done.stderr)
    assert took is not None, done.stderr


def test_a_process_is_found_by_its_program_and_by_its_number(debug):
    done = debug("--node", "r2", "--at", "1.5 s", "--process", "sleep", "--command", "bt")
    assert "nanosleep" in done.stdout, done.stderr
    (number,) = re.findall(r"\(process (\d+)\) detached", done.stdout)
    again = debug("--node", "r2", "--at", "1.5 s", "--process", number, "--command", "bt")
    assert again.stdout == done.stdout


def test_one_types_to_gdb_in_a_node_while_time_stands_still(typist):
    user = typist("debug", "lab.yaml", "--node", "r2", "--at", "1.5 s", "--process", "sleep")
    begin = user.expect(" (gdb) ").splitlines()[-1]
    user.type("bt\n")
    assert "nanosleep" in user.expect(" (gdb) ")
    user.type("print 6*7\n")
    text = user.expect(" (gdb) ")
    assert "$1 = 42" in text
    assert re.fullmatch(r"r2 1\.5\d\d s \(gdb\)", text.splitlines()[-1].strip()), (begin, text)
    user.type("quit\n")
    assert user.end()[0] == 0


# ---- what is wrong ----


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--node", "r3", "--at", "1 s"], "there is no node 'r3'"),
        (["--node", "r1", "--at", "1"], "--at: "),
        (["--node", "r1", "--at", "3 s"], "--at 3 s: the lab stops at 3 s"),
        (["--node", "r1", "--at", "1 s", "--output", "x"], "--output without --go-on"),
        (
            ["--node", "r1", "--at", "1 s", "--process", "ping", "--go-on"],
            "what follows would be another lab",
        ),
        (
            ["--node", "r2", "--at", "1 s", "--process", "slep", "--command", "bt"],
            "node r2 has no process 'slep' at this time",
        ),
        (["--node", "r2", "--at", "1 s", "--process", "999", "--command", "bt"], "no process 999"),
    ],
)
def test_a_wrong_wish_is_refused_in_words(debug, words, said):
    done = debug(*words)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_machine_without_gdb_says_how_to_get_it(program):
    program.write("lab.yaml", LAB.replace("KERNEL", "shared"))
    program.environment["PATH"] = ""
    code = "from windtunnel.images import doctor\ndoctor.SYSTEM_FOLDERS = ''\n"
    program.write("sitecustomize.py", code)
    program.environment["PYTHONPATH"] = f"{program.folder}:{program.environment['PYTHONPATH']}"
    done = program("debug", "lab.yaml", "--node", "r1", "--at", "1 s")
    assert done.returncode == 3
    assert "gdb is not installed" in done.stderr
    assert "apt-get install -y gdb" in done.stderr
