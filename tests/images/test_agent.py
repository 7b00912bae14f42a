# SPDX-License-Identifier: Apache-2.0
"""Compiling the agent once, and finding it without a compiler."""

import os
import subprocess

import pytest

from windtunnel.errors import HostError
from windtunnel.images.agent import initrd_of

PROGRAM = "int main(void) { return 7; }\n"


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "guest"
    folder.mkdir()
    (folder / "agent.c").write_text(PROGRAM)
    return folder


def test_init_of_the_initrd_is_the_compiled_program(cache, source, need_program, tmp_path):
    need_program("cc")
    initrd = initrd_of(source)
    unpacked = tmp_path / "unpacked"
    unpacked.mkdir()
    cpio = [need_program("cpio"), "--quiet", "-i", "init"]
    subprocess.run(cpio, input=initrd.read_bytes(), cwd=unpacked, check=True)
    assert subprocess.run([unpacked / "init"], check=False).returncode == 7
    assert initrd.parent.parent == cache / "agents"


def test_a_second_look_compiles_nothing(cache, source, need_program):
    need_program("cc")
    first = initrd_of(source)
    written_ns = first.stat().st_mtime_ns
    assert initrd_of(source) == first
    assert first.stat().st_mtime_ns == written_ns


def test_an_initrd_outlives_its_compiler(cache, source, need_program, monkeypatch, tmp_path):
    need_program("cc")
    first = initrd_of(source)
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    assert initrd_of(source) == first


def test_another_source_or_header_is_another_initrd(cache, source, need_program):
    need_program("cc")
    found = [initrd_of(source)]
    (source / "agent.c").write_text("int main(void) { return 8; }\n")
    found.append(initrd_of(source))
    (source / "protocol.h").write_text("#define ANSWER 42\n")
    found.append(initrd_of(source))
    assert len(set(found)) == 3


def test_equal_programs_make_equal_initrds(cache, source, need_program, monkeypatch, tmp_path):
    need_program("cc")
    first = initrd_of(source).read_bytes()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another cache"))
    os.utime(source / "agent.c", (1, 1))
    assert initrd_of(source).read_bytes() == first


def test_an_agent_that_does_not_compile_shows_the_compilers_words(cache, source, need_program):
    need_program("cc")
    (source / "agent.c").write_text("int main(void) { retrun 7; }\n")
    with pytest.raises(HostError, match=r"(?s)compiling the guest agent failed.*retrun"):
        initrd_of(source)


def test_without_a_compiler_and_without_a_cache_the_error_says_what_to_install(
    cache, source, no_programs
):
    with pytest.raises(HostError) as caught:
        initrd_of(source)
    assert caught.value.hint == "sudo apt-get install -y gcc libc6-dev"
