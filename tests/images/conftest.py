# SPDX-License-Identifier: Apache-2.0
"""A cache of its own for each test, and a kernel tree that builds in a blink."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from windtunnel.images.kernels import Kernel, load_recipe, write_kernel

# It knows CONFIG_NET and CONFIG_DEBUG_FS, and drops whatever else it is asked for.
# With net/broken it fails; with a named pipe net/gate it waits until that was opened.
MAKEFILE = """\
# SPDX-License-Identifier: GPL-2.0
VERSION = 7
PATCHLEVEL = 9
SUBLEVEL = 1
EXTRAVERSION = -rc2
NAME = A Tree In A Test

allnoconfig:
\t@mkdir -p $(O)
\t@printf '# CONFIG_NET is not set\\n# CONFIG_DEBUG_FS is not set\\n' > $(O)/.config
olddefconfig:
\t@grep -E 'CONFIG_(NET|DEBUG_FS)[ =]' $(O)/.config > $(O)/.config.new
\t@mv $(O)/.config.new $(O)/.config
linux:
\t@echo "  CC      net/a.o"
\t@echo "  AR      net/built-in.a"
\t@echo "  CC      net/b.o"
\t@echo "  AS      arch/um/c.o"
\t@test ! -e net/broken || { echo "net/a.c:3:5: error: expected ';'"; exit 1; }
\t@test ! -p net/gate || cat net/gate
\t@echo built >> $(O)/../../count
\t@cat net/greeting $(O)/.config > $(O)/linux
\t@echo kernel/net/veth.ko > $(O)/modules.builtin
mrproper:
\t@rm -rf include/config .config
"""
PATCH = """\
Subject: greet

---
--- a/net/greeting
+++ b/net/greeting
@@ -1 +1 @@
-good evening
+good morning
"""


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """An empty cache, which the code under test takes for the user's."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "windtunnel"


@pytest.fixture
def tree(tmp_path) -> Path:
    """A kernel source tree, as far as a build looks at one."""
    tree = tmp_path / "a tree"
    for folder in ("arch/um", "net", "include/config"):
        (tree / folder).mkdir(parents=True)
    (tree / "Makefile").write_text(MAKEFILE)
    (tree / "net/greeting").write_text("good evening\n")
    # built in place once, which kbuild does not like
    (tree / ".config").write_text("CONFIG_OLD=y\n")
    (tree / "net" / "link").symlink_to("greeting")
    return tree


@pytest.fixture
def ingredients(tmp_path) -> Path:
    """A folder like kernel/, for the tree above."""
    folder = tmp_path / "kernel"
    (folder / "patches").mkdir(parents=True)
    (folder / "config.fragment").write_text("CONFIG_NET=y\nCONFIG_NO_SUCH=y\n")
    (folder / "patches" / "0001-greet.patch").write_text(PATCH)
    return folder


@pytest.fixture
def put_kernel(cache):
    """A function that puts a finished kernel into the cache: `put_kernel("7.3.4", "00aa…")`."""

    def put(version: str, key: str, **facts) -> Kernel:
        facts.setdefault("recipe", load_recipe(facts.get("options", ())).digest)
        facts.setdefault("source", "debian linux-source-1.0 1.0-1")
        folder = cache / "kernels" / f"{version}-{key}"
        folder.mkdir(parents=True)
        kernel = Kernel(version=version, key=key, path=folder / "linux", **facts)
        kernel.path.write_text("a kernel")
        write_kernel(kernel, folder)
        return kernel

    return put


@pytest.fixture
def no_programs(tmp_path, monkeypatch):
    """No program can be found: what passes with this starts none."""
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    assert os.environ["PATH"]
