# SPDX-License-Identifier: Apache-2.0
"""Symbols of kernels, with a "kernel" that the real compiler makes in a blink."""

import subprocess
from dataclasses import replace

import pytest

from windtunnel.errors import HostError
from windtunnel.images import kernels, symbols
from windtunnel.images.build import build_source
from windtunnel.images.kernels import Phase, load_recipe
from windtunnel.images.sources import tree_source
from windtunnel.images.symbols import ensure_symbols, find_symbols

# gcc numbers the label, as some of the kernel's, and otherwise with -g than without.
C_LINES = """\
int jiffies;
int main(void) { int local = jiffies; asm volatile("label_%=:" ::); return local; }
"""
# In place of the tree's "linux": a program, and the addresses of its symbols.
LINUX = """\
linux:
\t@echo "  CC      init/main.o"
\t@echo built >> $(O)/../../count
\t@gcc -O2 -no-pie $(KCFLAGS) -o $(O)/linux init/main.c
\t@nm -n $(O)/linux > $(O)/System.map
mrproper:
"""


@pytest.fixture
def built(cache, tree, ingredients, monkeypatch, need_program):
    """A kernel that was built without debug information."""
    for name in ("gcc", "nm", "objcopy"):
        need_program(name)
    monkeypatch.setattr(kernels, "kernel_folder", lambda: ingredients)
    (tree / "init").mkdir()
    (tree / "init/main.c").write_text(C_LINES)
    makefile = tree / "Makefile"
    makefile.write_text(makefile.read_text().partition("linux:\n")[0] + LINUX)
    return build_source(tree_source(tree), load_recipe())


def gdb(need_program, built, *commands):
    words = [word for command in commands for word in ("-ex", command)]
    done = subprocess.run(
        [
            need_program("gdb"),
            "-nx",
            "-q",
            "-batch",
            *words,
            built.path.with_name(symbols.SYMBOLS),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_symbols_of_a_kernel_are_built_once_beside_it(cache, built, need_program):
    before = built.path.read_bytes()
    assert find_symbols(built) is None
    steps = []
    found = ensure_symbols(built, steps.append)
    assert found == built.path.with_name("linux.debug") == find_symbols(built)
    assert Phase.COMPILE in [step.phase for step in steps]
    said = gdb(need_program, built, "info scope main", "info line main")
    assert "Symbol local is multi-location" in said
    assert 'Line 2 of "init/main.c"' in said
    # It names sources as the kernel itself does: from the place where both were built.
    assert f".building-{built.key}/source" in gdb(need_program, built, "list main", "info source")
    assert built.path.read_bytes() == before
    assert ensure_symbols(built) == found
    assert (cache / "kernels/count").read_text() == "built\n" * 2
    assert not list((cache / "kernels").glob(".building-*"))


def test_a_twin_whose_symbols_lie_elsewhere_is_refused(built, tree):
    # A compiler that makes other code with -g than without would do that.
    makefile = tree / "Makefile"
    moved = makefile.read_text().replace("$(KCFLAGS) -o", "$(KCFLAGS) $(if $(KCFLAGS),-O0) -o")
    makefile.write_text(moved)
    changed = replace(built, source=tree_source(tree).identity)
    with pytest.raises(HostError, match="has its symbols at other addresses") as error:
        ensure_symbols(changed)
    assert "System.map.twin" in error.value.hint
    assert find_symbols(built) is None
    assert built.path.with_name("System.map.twin").is_file()


def test_a_source_or_a_compiler_that_has_changed_is_named(built, tree, ingredients):
    (tree / "init/main.c").write_text("int main(void) { return 7; }\n")
    with pytest.raises(HostError, match=r"changed since it was built: source\n"):
        ensure_symbols(built)
    (ingredients / "config.fragment").write_text("CONFIG_NET=n\n")
    with pytest.raises(HostError, match=r"source, settings or patches, compiler\n"):
        ensure_symbols(replace(built, compiler="gcc 2.95"))


def test_a_program_of_the_users_own_needs_its_own_symbols(built):
    own = replace(built, key="", source="program /srv/linux")
    with pytest.raises(HostError, match="nobody knows how") as error:
        ensure_symbols(own)
    assert "--symbols-file" in error.value.hint
