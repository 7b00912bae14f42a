# SPDX-License-Identifier: Apache-2.0
"""Cores of running processes, read again by gdb, which knows nothing of us."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from windtunnel.errors import HostError
from windtunnel.machines.core import parse_mappings, write_core
from windtunnel.wire.elfcore import EXECUTE, READ, WRITE

# It holds 16 known bytes, and a file of 256 MiB with two pages in it, mapped as a guest's
# memory is; then it waits for a line, to show that it lives.
HOLDER = """
import ctypes, mmap, os, sys
known = ctypes.create_string_buffer(bytes(range(1, 17)))
file = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
os.unlink(sys.argv[1])
os.ftruncate(file, 256 << 20)
memory = mmap.mmap(file, 256 << 20)
memory[100 << 20:(100 << 20) + 4] = b"wind"
memory[-4:] = b"last"
shared = ctypes.addressof(ctypes.c_char.from_buffer(memory))
print(hex(ctypes.addressof(known)), hex(shared), os.fstat(file).st_blocks, flush=True)
sys.stdin.readline()
print("alive", os.fstat(file).st_blocks, flush=True)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    words = [sys.executable, "-c", HOLDER, str(tmp_path / "memory")]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        yield process, process.stdout.readline().split()
        process.kill()


def gdb(program: Path, core: Path, *commands: str) -> str:
    words = [word for command in commands for word in ("-ex", command)]
    done = subprocess.run(
        [program, "-nx", "-q", "-batch", *words, "-core", core],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_gdb_finds_memory_and_registers_and_the_process_goes_on(holder, tmp_path, need_program):
    process, (known, shared, blocks) = holder
    core = tmp_path / "core"
    written = write_core(process.pid, core, signal=6)
    text = gdb(
        need_program("gdb"),
        core,
        f"x/16xb {known}",
        f"x/s {shared}+(100<<20)",
        f"x/4cb {shared}+(256<<20)-4",
        f"x/2xg {shared}",
        "p $_siginfo.si_signo",
        "info registers rip rsp",
        "info proc mappings",
    )
    assert Path(sys.executable).resolve().name in text
    assert "0x01\t0x02\t0x03\t0x04\t0x05\t0x06\t0x07\t0x08" in text
    assert '"wind"' in text
    assert "108 'l'\t97 'a'\t115 's'\t116 't'" in text
    assert "0x0000000000000000\t0x0000000000000000" in text
    assert re.search(r"= 6\b|terminated with signal SIGABRT", text)
    stack = int(re.search(r"rsp +(0x\w+)", text)[1], 16)  # type: ignore[index]
    with Path(f"/proc/{process.pid}/maps").open() as maps:
        ends = next(line.split()[0].split("-") for line in maps if "[stack]" in line)
    assert int(ends[0], 16) <= stack < int(ends[1], 16)
    # Holes stay holes: in the core, and in the file that the process maps.
    assert core.stat().st_size > 256 << 20
    assert core.stat().st_blocks * 512 < written + (4 << 20) < 64 << 20
    assert process.stdin
    assert process.stdout
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.readline().split() == ["alive", blocks]


def test_a_process_that_is_gone_is_the_hosts_error(tmp_path):
    gone = subprocess.Popen(["/bin/true"])
    gone.wait()
    with pytest.raises(HostError, match=f"cannot take the core of process {gone.pid}"):
        write_core(gone.pid, tmp_path / "core")
    assert not (tmp_path / "core").exists()


def test_a_process_that_a_debugger_holds_is_left_alone(holder, tmp_path, need_program):
    process, _ = holder
    need_program("gdb")
    words = ["gdb", "-nx", "-q", "-p", str(process.pid)]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as debugger:
        assert debugger.stdin
        while "TracerPid:\t0" in Path(f"/proc/{process.pid}/status").read_text():
            os.sched_yield()
        with pytest.raises(HostError, match="Operation not permitted") as error:
            write_core(process.pid, tmp_path / "core")
        debugger.communicate("detach\nquit\n")
    assert "a debugger may hold the process" in error.value.hint
    assert not (tmp_path / "core").exists()


def test_a_folder_that_is_not_there_leaves_the_process_as_it_was(holder, tmp_path):
    process, _ = holder
    with pytest.raises(HostError, match="No such file or directory"):
        write_core(process.pid, tmp_path / "no" / "core")
    assert "TracerPid:\t0" in Path(f"/proc/{process.pid}/status").read_text()
    assert process.poll() is None


def test_mappings_are_read_with_their_rights_and_what_is_the_hosts_is_left_out():
    text = """\
60000000-60001000 r-xp 00001000 fe:00 77                                 /opt/a file/linux
61800000-a0000000 rwxs 01800000 00:1b 88133                              /dev/shm/#88133 (deleted)
a0000000-a0001000 ---p 00000000 00:00 0
7ffff7ff7000-7ffff7ffb000 r--p 00000000 00:00 0                          [vvar]
7ffffffde000-7ffffffff000 rw-p 00000000 00:00 0                          [stack]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
"""
    found = parse_mappings(text)
    assert [
        (one.piece.start, one.piece.rights, one.piece.path, one.piece.offset_bytes) for one in found
    ] == [
        (0x60000000, READ | EXECUTE, "/opt/a file/linux", 0x1000),
        (0x61800000, READ | WRITE | EXECUTE, "/dev/shm/#88133 (deleted)", 0x1800000),
        (0x7FFFFFFDE000, READ | WRITE, "", 0),
    ]
    assert [one.shared_inode for one in found] == [0, 88133, 0]
