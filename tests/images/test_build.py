# SPDX-License-Identifier: Apache-2.0
"""Building, with a tree that takes a blink. The real thing is `make kernels`."""

import os
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from windtunnel.errors import HostError, UsageError
from windtunnel.images.build import build_source, failure_lines, sweep_dead_builds
from windtunnel.images.kernels import Phase, list_kernels, load_recipe
from windtunnel.images.sources import tree_source

SIGNAL_LIMIT_HOST_S = 30
KERNEL = "good morning\n# CONFIG_DEBUG_FS is not set\nCONFIG_NET=y\n"

BUILDER = """
import pathlib, sys
from windtunnel.images import build, kernels, sources
build.build_source(
    sources.tree_source(pathlib.Path(sys.argv[1])),
    kernels.load_recipe(folder=pathlib.Path(sys.argv[2])),
    lambda step: print(step.message, flush=True),
)
"""


def build(tree, ingredients, options=(), progress=lambda _step: None, **how):
    return build_source(
        tree_source(tree), load_recipe(options, folder=ingredients), progress, **how
    )


def snapshot(tree):
    found = {}
    for path in tree.rglob("*"):
        status = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
        found[path.name] = (content, status.st_mode, status.st_mtime_ns)
    return found


def test_a_build_leaves_kernel_configuration_log_and_record(cache, tree, ingredients):
    kernel = build(tree, ingredients)
    folder = cache / "kernels" / f"7.9.1-rc2-{kernel.key}"
    assert sorted(path.name for path in folder.iterdir()) == [
        "build.log",
        "config",
        "guest-root",
        "kernel.json",
        "linux",
    ]
    assert kernel.path == folder / "linux"
    assert kernel.path.read_text() == KERNEL
    modules = folder / "guest-root/usr/lib/modules/7.9.1-rc2"
    assert (modules / "modules.builtin").read_text() == "kernel/net/veth.ko\n"
    assert (folder / "config").read_text() == "# CONFIG_DEBUG_FS is not set\nCONFIG_NET=y\n"
    assert "  CC      net/b.o\n" in (folder / "build.log").read_text()
    assert (kernel.version, kernel.objects, kernel.size_bytes) == ("7.9.1-rc2", 3, 55)
    assert kernel.unavailable == ("CONFIG_NO_SUCH=y",)
    assert list_kernels() == [kernel]


def test_a_users_tree_stays_as_it_was(cache, tree, ingredients):
    before = snapshot(tree)
    build(tree, ingredients)
    assert snapshot(tree) == before


def test_what_is_cached_is_not_built_again(cache, tree, ingredients):
    first = build(tree, ingredients)
    assert build(tree, ingredients) == first
    assert (cache / "kernels/count").read_text() == "built\n"


def test_other_options_make_another_kernel(cache, tree, ingredients):
    first = build(tree, ingredients)
    other = build(tree, ingredients, ["DEBUG_FS=y"])
    assert other.key != first.key
    assert other.options == ("CONFIG_DEBUG_FS=y",)
    assert "CONFIG_DEBUG_FS=y\n" in other.path.read_text()


def test_an_option_that_the_kernel_does_not_honour_is_an_error(cache, tree, ingredients):
    with pytest.raises(UsageError) as caught:
        build(tree, ingredients, ["NO_SUCH=y"])
    assert caught.value.message == "Linux 7.9.1-rc2 does not honour CONFIG_NO_SUCH=y"
    assert list_kernels() == []


def test_progress_counts_objects_and_warns_of_lost_settings(cache, tree, ingredients):
    steps = []
    build(tree, ingredients, progress=steps.append)
    assert [step.phase.name for step in steps] == [
        "EXTRACT",
        "PATCH",
        "CONFIGURE",
        "WARNING",
        "COMPILE",
        "COMPILE",
        "COMPILE",
        "DONE",
    ]
    compiling = [step for step in steps if step.phase is Phase.COMPILE]
    assert [step.message for step in compiling] == ["net/a.o", "net/b.o", "arch/um/c.o"]
    assert [step.done for step in compiling] == [1, 2, 3]
    assert all(step.done <= step.total for step in compiling)


def test_the_next_build_expects_as_many_objects_as_the_last(cache, tree, ingredients):
    build(tree, ingredients)
    steps = []
    build(tree, ingredients, ["DEBUG_FS=y"], progress=steps.append)
    assert {step.total for step in steps if step.phase is Phase.COMPILE} == {3}


def test_an_error_of_the_compiler_is_shown_and_its_log_is_kept(cache, tree, ingredients):
    (tree / "net/broken").touch()
    with pytest.raises(HostError) as caught:
        build(tree, ingredients)
    assert "Linux 7.9.1-rc2 does not build: `make linux` ended with" in caught.value.message
    assert "net/a.c:3:5: error: expected ';'" in caught.value.message
    [log] = (cache / "kernels").glob("failed-*.log")
    assert str(log) in caught.value.hint
    assert "  CC      net/a.o\n" in log.read_text()
    assert list((cache / "kernels").glob(".building-*")) == []


def test_a_patch_that_is_in_the_tree_already_is_skipped(cache, tree, ingredients):
    (tree / "net/greeting").write_text("good morning\n")
    assert build(tree, ingredients).path.read_text() == KERNEL


def test_a_patch_that_does_not_apply_is_named(cache, tree, ingredients):
    (tree / "net/greeting").write_text("something else\n")
    with pytest.raises(UsageError, match=r"0001-greet\.patch does not apply"):
        build(tree, ingredients)


@pytest.mark.parametrize(("before", "applied"), [("7.9", False), ("7.10", True)])
def test_a_patch_that_newer_kernels_do_without_is_for_older_ones(
    cache, tree, ingredients, before, applied
):
    patch = ingredients / "patches" / "0001-greet.patch"
    patch.write_text(f"Subject: greet people\nBefore: {before}\n\n---\n" + patch.read_text())
    seen = []

    def look(step):
        if step.phase is Phase.CONFIGURE:
            [greeting] = (cache / "kernels").glob(".building-*/source/net/greeting")
            seen.append(greeting.read_text())

    build(tree, ingredients, progress=look)
    assert seen == ["good morning\n" if applied else "good evening\n"]


def test_of_two_builders_one_builds_and_the_other_waits_and_says_so(cache, tree, ingredients):
    second_waits = threading.Event()
    first_compiles = threading.Event()

    def first(step):
        if step.phase is Phase.COMPILE:
            first_compiles.set()
            assert second_waits.wait(SIGNAL_LIMIT_HOST_S)

    def second(step):
        if step.phase is Phase.WAIT:
            second_waits.set()

    with ThreadPoolExecutor() as pool:
        one = pool.submit(build, tree, ingredients, progress=first)
        assert first_compiles.wait(SIGNAL_LIMIT_HOST_S)
        other = pool.submit(build, tree, ingredients, progress=second)
        assert one.result() == other.result()
    assert (cache / "kernels/count").read_text() == "built\n"


def test_a_killed_builders_compilers_keep_the_next_builder_out(cache, tree, ingredients):
    gate = tree / "net/gate"
    os.mkfifo(gate)
    command = [sys.executable, "-c", BUILDER, str(tree), str(ingredients)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as builder:
        # after its last line of output, so that no broken pipe ends its make
        while builder.stdout.readline() != "arch/um/c.o\n":
            assert builder.poll() is None
        builder.kill()
    # the make lives on, and waits at the gate in the folder that we will need
    phases = []

    def open_the_gate(step):
        phases.append(step.phase)
        if step.phase is Phase.WAIT or step.message == "arch/um/c.o":
            gate.write_text("")

    kernel = build(tree, ingredients, progress=open_the_gate)
    assert phases[0] is Phase.WAIT
    assert list_kernels() == [kernel]
    assert list((cache / "kernels").glob(".building-*")) == []


def test_the_next_build_removes_what_dead_builders_left(cache, tree, ingredients):
    dead = cache / "kernels" / ".building-000000000000"
    (dead / "source").mkdir(parents=True)
    (cache / "kernels" / ".locks").mkdir()
    (cache / "kernels" / ".locks" / "000000000000").touch()
    build(tree, ingredients)
    assert not dead.exists()


def test_sweeping_leaves_a_running_build_alone(cache, tree, ingredients):
    def sweep(step):
        if step.phase is Phase.CONFIGURE:
            sweep_dead_builds()

    assert build(tree, ingredients, progress=sweep).objects == 3


def test_a_callback_that_raises_ends_the_build_and_leaves_nothing(cache, tree, ingredients):
    def interrupt(step):
        if step.phase is Phase.COMPILE:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(tree, ingredients, progress=interrupt)
    assert list((cache / "kernels").glob(".building-*")) == []
    assert build(tree, ingredients).version == "7.9.1-rc2"


def test_the_tree_can_be_kept(cache, tree, ingredients):
    build(tree, ingredients)
    kept = build(tree, ingredients, keep_tree=True)
    assert (kept.path.parent / "source/net/greeting").read_text() == "good morning\n"
    assert (kept.path.parent / "objects/.config").exists()


def test_the_users_environment_does_not_reach_the_build(cache, tree, ingredients, monkeypatch):
    plain = build(tree, ingredients)
    monkeypatch.setenv("MAKEFLAGS", "--no-such-flag")
    monkeypatch.setenv("KBUILD_BUILD_USER", "me")
    again = build(tree, ingredients, keep_tree=True)
    assert again.sha256 == plain.sha256


def test_a_cache_that_cannot_be_written_is_an_error_of_the_host(tree, ingredients, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/no-such-place")
    with pytest.raises(HostError) as caught:
        build(tree, ingredients)
    assert caught.value.message.startswith("cannot use /proc/no-such-place")
    assert "XDG_CACHE_HOME" in caught.value.hint


def test_failure_lines_are_those_that_report_an_error():
    log = [
        "  CC      net/a.o\n",
        "net/a.c:3:5: warning: unused\n",
        "net/a.c:9:1: error: expected ';'\n",
        "  CC      net/b.o\n",
        "make[2]: *** [net/a.o] Error 1\n",
        "make: Leaving directory\n",
    ]
    assert failure_lines(log) == [
        "net/a.c:9:1: error: expected ';'",
        "make[2]: *** [net/a.o] Error 1",
    ]


def test_a_log_without_errors_shows_its_last_twenty_lines():
    assert failure_lines(f"line {number}\n" for number in range(100)) == [
        f"line {number}" for number in range(80, 100)
    ]


def test_a_machine_without_a_compiler_is_told_what_to_install(
    cache, tree, ingredients, no_programs
):
    with pytest.raises(HostError) as caught:
        build(tree, ingredients)
    assert caught.value.hint == "sudo apt-get install -y gcc libc6-dev"
