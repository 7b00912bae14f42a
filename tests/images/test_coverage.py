# SPDX-License-Identifier: Apache-2.0
"""Kernels that count lines: built of kept objects, their counts read by the real gcov.

The "kernel" is a program of three files, built by make and gcc as a kernel would be; when
it is run it leaves counts, as a guest would.
"""

import os
import shutil
import subprocess
from dataclasses import replace

import pytest

from windtunnel.errors import HostError, UsageError
from windtunnel.images.build import build_source
from windtunnel.images.coverage import coverage_notes, read_counts
from windtunnel.images.kernels import Phase, load_recipe, read_kernel
from windtunnel.images.sources import tree_source
from windtunnel.images.variant import parse_variant

# An object is compiled again when its flags have changed, as kbuild has it.
MAKEFILE = """\
VERSION = 7
PATCHLEVEL = 9
SUBLEVEL = 1

allnoconfig:
\t@mkdir -p $(O)
\t@echo '# CONFIG_GCOV_KERNEL is not set' > $(O)/.config
olddefconfig:
\t@true
linux:
\t@set -e; for name in net/a net/b init/main; do \\
\t  case " $(patsubst %,$(O)/%,$(GCOV_OBJECTS)) " in \\
\t    *" $(O)/$$name.o "*|*" $(O)/$${name%/*}/% "*) \\
\t      flags="--coverage -frandom-seed=$$name";; \\
\t    *) flags=-g0;; esac; \\
\t  mkdir -p $(O)/$${name%/*}; cd $(O); \\
\t  test "$$(cat $$name.cmd 2>/dev/null)" = "$$flags" || { \\
\t    echo "  CC      $$name.o"; \\
\t    gcc $$flags -I$(CURDIR)/include -c -o $$name.o $(CURDIR)/$$name.c; \\
\t    echo "$$flags" > $$name.cmd; }; \\
\tdone; gcc --coverage -o linux net/a.o net/b.o init/main.o
"""
SOURCES = {
    "Makefile": MAKEFILE,
    "arch/um/Kconfig": "",
    "include/half.h": "static inline int half(int n)\n{\n\treturn n / 2;\n}\n",
    "net/a.c": '#include "half.h"\nint a(int n)\n{\n\tif (n > 9)\n\t\treturn 0;\n'
    "\treturn half(n);\n}\n",
    "net/b.c": "int b(int n)\n{\n\treturn n + 1;\n}\n",
    "init/main.c": "int a(int), b(int);\nint main(void)\n{\n\treturn a(4) + b(1) - 4;\n}\n",
    "net/idle/c.c": "int c;\n",
}


@pytest.fixture
def source(tmp_path, need_program):
    need_program("gcc")
    need_program("make")
    tree = tmp_path / "linux"
    for name, text in SOURCES.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    return tree


@pytest.fixture
def recipe(tmp_path):
    folder = tmp_path / "kernel"
    for place in ("patches", "variants/coverage"):
        (folder / place).mkdir(parents=True)
    (folder / "config.fragment").write_text("")
    (folder / "variants/coverage/config.fragment").write_text("CONFIG_GCOV_KERNEL=y\n")
    return lambda *paths: load_recipe((), parse_variant(paths), folder=folder)


@pytest.fixture
def build(cache, source, recipe):
    """A function that builds, and gives the kernel and the objects that were compiled."""

    def run(*paths):
        compiled = []

        def progress(step):
            if step.phase is Phase.COMPILE:
                compiled.append(step.message)

        return build_source(tree_source(source), recipe(*paths), progress), compiled

    return run


def run_kernel(kernel, folder):
    """Run the program; its counts are then in the folder, by their objects' names."""
    objects = coverage_notes(kernel).objects
    environment = {**os.environ, "GCOV_PREFIX": str(folder / "all")}
    subprocess.run([kernel.path], env=environment, check=True)
    shutil.move(f"{folder}/all{objects}", folder / "counts")
    return folder / "counts"


def test_the_lines_that_ran_are_counted_and_only_in_what_was_asked_for(build, tmp_path):
    kernel, _ = build("net/a.c")
    counts = run_kernel(kernel, tmp_path)
    assert sorted(str(path.relative_to(counts)) for path in counts.rglob("*.gcda")) == [
        "net/a.gcda"
    ]
    found = {file.path: file for file in read_counts(coverage_notes(kernel), counts)}
    assert found["net/a.c"].lines == {2: 1, 4: 1, 5: 0, 6: 1}
    assert found["net/a.c"].functions == {(2, "a"): 1}
    assert found["include/half.h"].lines == {1: 1, 3: 1}


def test_sources_are_kept_with_the_kernel(build, source, cache):
    kernel, _ = build("net/a.c")
    shutil.rmtree(source)
    for tree in (cache / "kernels").glob(".tree-*"):
        shutil.rmtree(tree)
    notes = coverage_notes(kernel)
    assert notes.source_text("net/a.c") == SOURCES["net/a.c"]
    assert notes.source_text("include/half.h") == SOURCES["include/half.h"]
    assert notes.source_text("net/b.c") == ""
    assert read_kernel(kernel.path.parent) == kernel


def test_another_choice_of_files_compiles_only_what_it_concerns(build):
    first, compiled = build("net/a.c")
    assert compiled == ["net/a.o", "net/b.o", "init/main.o"]
    second, compiled = build("net")
    assert compiled == ["net/b.o"]
    third, compiled = build("net/b.c")
    assert compiled == ["net/a.o"]
    assert len({first.key, second.key, third.key}) == 3
    assert build("net/a.c") == (first, [])
    assert [sorted(coverage_notes(one).names) for one in (first, second, third)] == [
        ["net/a"],
        ["net/a", "net/b"],
        ["net/b"],
    ]


def test_a_kernel_of_kept_objects_is_the_one_of_a_fresh_build(build, cache):
    build("net/b.c")
    kept, _ = build("net/a.c")
    content = kept.path.read_bytes()
    shutil.rmtree(cache / "kernels")
    fresh, compiled = build("net/a.c")
    assert len(compiled) == 3
    assert fresh.path.read_bytes() == content


def test_objects_of_a_build_that_was_killed_are_not_trusted(build, cache):
    build("net/a.c")
    [tree] = (cache / "kernels").glob(".tree-*")
    (tree / "whole").unlink()  # as a build leaves it while make works
    _, compiled = build("net")
    assert compiled == ["net/a.o", "net/b.o", "init/main.o"]


def test_a_wrong_path_costs_no_build(build, cache):
    with pytest.raises(UsageError, match="no such folder or file"):
        build("net/x.c")
    [tree] = (cache / "kernels").glob(".tree-*")
    assert (tree / "whole").exists()
    assert not list((tree / "objects").rglob("*.o"))


def test_a_path_of_which_nothing_is_compiled_is_refused(build):
    with pytest.raises(UsageError, match="nothing of it is compiled") as caught:
        build("net/idle", "net/a.c")
    assert "--with OPTION=y" in caught.value.hint


def test_counts_of_another_kernel_are_refused_not_taken_for_nothing(build, source, tmp_path):
    kernel, _ = build("net/a.c")
    counts = run_kernel(kernel, tmp_path)
    (source / "net/a.c").write_text("int a(int n)\n{\n\treturn n / 2 + 0 * n;\n}\n")
    other, _ = build("net/a.c")
    assert other.key != kernel.key
    with pytest.raises(HostError, match="gcov cannot read the counts"):
        list(read_counts(coverage_notes(other), counts))


def test_damaged_counts_are_an_error(build, tmp_path):
    kernel, _ = build("net/a.c")
    (tmp_path / "net").mkdir()
    (tmp_path / "net/a.gcda").write_bytes(b"no counts\n")
    with pytest.raises(HostError, match="gcov cannot read the counts"):
        list(read_counts(coverage_notes(kernel), tmp_path))


def test_names_of_a_guest_are_taken_only_for_objects_that_count(build):
    notes = coverage_notes(build("net/a.c")[0])
    inside = f".{notes.objects}/net/a.gcda"
    assert notes.name_of(inside) == "net/a"
    for other in (f"./x{notes.objects}/net/a.gcda", "./net/a.gcda", f".{notes.objects}/net/b.gcda"):
        assert notes.name_of(other) is None
    assert notes.name_of(f".{notes.objects}/../../etc/passwd.gcda") is None


def test_an_ordinary_kernel_has_no_counts(put_kernel):
    with pytest.raises(UsageError, match="does not count"):
        coverage_notes(put_kernel("7.3.4", "00aa00aa00aa"))


def test_notes_that_are_gone_are_an_error_that_says_how_to_get_them(build):
    kernel, _ = build("net/a.c")
    (kernel.path.parent / "coverage/build.json").unlink()
    with pytest.raises(HostError, match="cannot be read") as caught:
        coverage_notes(replace(kernel))
    assert "windtunnel kernel build --coverage net/a.c" in caught.value.hint
