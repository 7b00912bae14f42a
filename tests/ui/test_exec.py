# SPDX-License-Identifier: Apache-2.0
# Processes of the host are waited for by the host's clock:
# ruff: noqa: TID251
"""`windtunnel exec` on a real kernel: any command, its output, its status."""

from __future__ import annotations

import os
import signal
import subprocess
import time


def test_output_and_status_are_the_commands_own(booting_program):
    done = booting_program("exec", "--", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (done.returncode, done.stdout, done.stderr) == (7, "out\n", "err\n")


def test_a_command_that_a_signal_killed_ends_with_128_and_its_number(booting_program):
    assert booting_program("exec", "--", "sh", "-c", "kill -9 $$").returncode == 137


def test_an_hour_of_sleep_takes_no_time(booting_program):
    done = booting_program("exec", "--", "sh", "-c", "sleep 3600; echo done")
    assert (done.returncode, done.stdout) == (0, "done\n")


def test_a_command_that_does_not_exist_is_explained(booting_program):
    done = booting_program("exec", "--", "no-such-program")
    assert (done.returncode, done.stdout) == (4, "")
    assert "cannot start 'no-such-program'" in done.stderr


def test_input_is_passed_on_when_asked_for(booting_program):
    with booting_program.start("exec", "--stdin", "--", "cat", stdin=subprocess.PIPE) as process:
        assert process.communicate("one\ntwo\n", timeout=60) == ("one\ntwo\n", "")


def test_on_a_slow_processor_the_same_commands_take_longer(booting_program):
    script = "a=$(date +%s%N); true; /bin/true; b=$(date +%s%N); echo $((b - a))"
    took_ns = []
    for speed in ("100", "1", "0.1"):
        done = booting_program("exec", "--cpu-speed", speed, "--", "sh", "-c", script)
        took_ns.append(int(done.stdout))
    assert took_ns[0] * 5 < took_ns[1]
    assert took_ns[1] * 5 < took_ns[2]


def test_a_speed_that_no_processor_has_is_refused(booting_program):
    for speed, said in (("0", "the speed is 0: give 0.01 to 100"), ("fast", "such as 0.5")):
        done = booting_program("exec", "--cpu-speed", speed, "--", "true")
        assert (done.returncode, done.stdout) == (2, "")
        assert said in done.stderr


def test_the_command_is_root_and_starts_in_the_current_folder(booting_program):
    booting_program.write("file", "seen\n")
    done = booting_program(
        "exec", "--env", "WORD=x", "--", "sh", "-c", "id -u; cat file; echo $WORD"
    )
    assert done.stdout == "0\nseen\nx\n"


def test_what_it_writes_is_gone_except_below_what_is_writable(booting_program):
    (booting_program.folder / "kept").mkdir()
    done = booting_program(
        "exec", "--writable", "kept", "--", "sh", "-c", "echo 1 > lost && echo 2 > kept/file"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert not (booting_program.folder / "lost").exists()
    assert (booting_program.folder / "kept" / "file").read_text() == "2\n"


def test_modprobe_finds_what_the_kernel_has_built_in(booting_program, need_program):
    modprobe = need_program("modprobe")
    for name, status in (("veth", 0), ("ip6-gre", 0), ("no_such_module", 1)):
        done = booting_program("exec", "--", str(modprobe), "-q", name)
        assert (name, done.returncode) == (name, status)


def test_a_command_whose_time_is_up_is_killed(booting_program):
    done = booting_program("exec", "--timeout", "10 s", "--", "sleep", "100")
    assert done.returncode == 137
    assert done.stderr == "windtunnel: killed after 10.000 s of virtual time (--timeout)\n"


def test_a_reader_that_goes_away_ends_it_quietly(booting_program):
    with booting_program.start("exec", "--", "yes") as process:
        assert process.stdout.read(2) == "y\n"
        process.stdout.close()
        assert process.wait(timeout=60) == 141
        assert process.stderr.read() == ""


def test_ctrl_c_ends_it(booting_program):
    command = "echo begun; while true; do sleep 0.1; done"
    with booting_program.start("exec", "--", "sh", "-c", command) as process:
        assert os.read(process.stdout.fileno(), 6) == b"begun\n"
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
        assert process.stderr.read() == "\nwindtunnel: interrupted\n"
