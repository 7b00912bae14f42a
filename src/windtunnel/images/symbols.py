# SPDX-License-Identifier: Apache-2.0
"""Symbols of a kernel: which source line and which variable an address is.

A kernel is built without debug information, in minutes and 25 MB. Who wants to look
into one that has crashed needs it, and gets a *twin*: the same source, settings and
compiler once more, with `-g`, which by gcc's own rule changes no instruction. It never
runs; what is kept of it are its debug sections, `linux.debug` beside the program. That
the two have every symbol at the same address is checked, not believed: System.map of
both must be equal, but for the numbers of labels (gcc's `%=` in assembler text counts
what it has read, debug information too) and for the kernel's own compressed list of
symbols, which has those labels in it.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from windtunnel.errors import HostError
from windtunnel.images.build import Build, build_folder, compiler_version, locked_build
from windtunnel.images.doctor import require_programs
from windtunnel.images.kernels import (
    Kernel,
    Phase,
    Progress,
    ProgressCallback,
    Recipe,
    ignore_progress,
    load_recipe,
)
from windtunnel.images.sources import Source, run_step, source_of

SYMBOLS = "linux.debug"
"""Beside the program of a kernel: its debug information."""

_FLAGS = "-gdwarf-5"
_MAP = "System.map"
_NUMBERED = re.compile(rb"_\d+$", re.MULTILINE)
_OWN_LIST = re.compile(rb"^\S+ \S kallsyms_\w+\n", re.MULTILINE)


def find_symbols(kernel: Kernel) -> Path | None:
    """Find the symbols of a kernel; None when they have not been built."""
    path = kernel.path.with_name(SYMBOLS)
    return path if path.is_file() else None


def ensure_symbols(kernel: Kernel, progress: ProgressCallback = ignore_progress) -> Path:
    """Return the symbols of a cached kernel, or build them: that takes minutes, once.

    Args:
        kernel: one of ours.
        progress: called with each step of a build.

    Returns:
        The file, to be given to a debugger for exactly this kernel.

    Raises:
        HostError: it is a program of the user's own, its source or compiler is not
            there any more, or it does not build.
    """
    found = find_symbols(kernel)
    if found is not None:
        return found
    source, recipe = _ingredients(kernel)
    require_programs("build")
    with locked_build(kernel.key, progress) as held:
        found = find_symbols(kernel)  # somebody else has built them meanwhile
        if found is None:
            found = _build(kernel, source, recipe, progress, held)
    progress(Progress(Phase.DONE, f"the symbols of {kernel.name} are built"))
    return found


def _ingredients(kernel: Kernel) -> tuple[Source, Recipe]:
    """What a kernel was made from, as it is to be had now."""
    source = source_of(kernel.source)
    if source is None or not kernel.key:
        raise HostError(
            f"nobody knows how {kernel.path} was built, and so its symbols cannot be built",
            hint="name a file that has its debug information: --symbols-file FILE",
        )
    recipe = load_recipe(kernel.options, kernel.variant)
    compiler = compiler_version()
    changed = [
        what
        for what, before, now in (
            ("source", kernel.source, source.identity),
            ("settings or patches", kernel.recipe, recipe.digest),
            ("compiler", kernel.compiler, compiler),
        )
        if before != now
    ]
    if changed:
        raise HostError(
            f"the symbols of {kernel.name} cannot be built: changed since it was built: "
            f"{', '.join(changed)}",
            hint="`windtunnel kernel build` builds a kernel from what is here; run the lab "
            "with that one",
        )
    return source, recipe


def _build(
    kernel: Kernel, source: Source, recipe: Recipe, progress: ProgressCallback, held: int
) -> Path:
    folder = kernel.path.parent
    # In the place of the first build: its path is in some of the kernel's messages.
    with build_folder(kernel.key, source) as work:
        build = Build(source, recipe, progress, work, held, flags=_FLAGS)
        build.compile()
        if _addresses(build.objects / _MAP) != _addresses(folder / _MAP):
            kept = folder / f"{_MAP}.twin"
            shutil.copyfile(build.objects / _MAP, kept)
            raise HostError(
                f"a second build of {kernel.name} has its symbols at other addresses, "
                "and so does not explain the first",
                hint=f"compare {folder / _MAP} and {kept}; "
                "`windtunnel kernel build --keep-tree` builds the kernel anew",
            )
        half = work / SYMBOLS
        run_step(
            [
                *("objcopy", "--only-keep-debug", "--compress-debug-sections=zlib"),
                *(str(build.objects / "linux"), str(half)),
            ],
            "taking the debug information",
        )
        return half.rename(folder / SYMBOLS)


def _addresses(system_map: Path) -> bytes:
    """What a System.map says of code and variables."""
    return _NUMBERED.sub(b"_", _OWN_LIST.sub(b"", system_map.read_bytes()))
