# SPDX-License-Identifier: Apache-2.0
"""Building a kernel in front of the user: a bar on terminals, a line for each phase elsewhere."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from windtunnel.engine.kernel import KERNEL_VARIABLE, default_kernel
from windtunnel.errors import UsageError
from windtunnel.images.kernels import (
    NEWEST,
    Kernel,
    Phase,
    Progress,
    ProgressCallback,
    ensure_kernel,
    estimate_build_host_s,
    find_kernel,
    find_variant,
)
from windtunnel.images.variant import ORDINARY, Variant, parse_variant
from windtunnel.ui import screen

_MESSAGE_COLUMNS = 40
_Built = TypeVar("_Built")
_VERSION = re.compile(r"\d+(\.\d+)*")


def kernel_to_boot(
    name: str | None,
    *,
    coverage: Sequence[str] | None = None,
    sanitize: Sequence[str] | None = None,
    quiet: bool = False,
) -> Kernel:
    """Return the kernel that a command boots; build it, and say so, where it is missing.

    Args:
        name: as `--kernel` has it; None is the default kernel.
        coverage: as `--coverage` has it.
        sanitize: as `--sanitize` has it.
        quiet: do not show the progress of a build.

    Raises:
        UsageError: no kernel can do what is asked for.
        HostError: there is none, and it cannot be built.
    """
    wanted = name or os.environ.get(KERNEL_VARIABLE)
    variant = parse_variant(coverage or (), sanitize or ())
    if variant != ORDINARY:
        return _special(wanted or NEWEST, variant, quiet=quiet)
    kernel = find_kernel(wanted)
    if kernel is not None:
        return kernel
    if wanted and wanted != NEWEST and not _VERSION.fullmatch(wanted):
        return default_kernel(name)  # a key, which says that there is none
    minutes = max(1, round(estimate_build_host_s() / 60))
    what = f"no kernel {wanted}" if wanted else "no kernel"
    sys.stderr.write(
        f"{what} has been built for this version of windtunnel yet: building it, once, "
        f"about {minutes} minutes\n"
    )
    return build_shown(lambda show: ensure_kernel(wanted or NEWEST, (), show), quiet=quiet)


def _special(wanted: str, variant: Variant, *, quiet: bool) -> Kernel:
    """The kernel of a variant; built where it is missing."""
    options = variant.describe()
    if wanted != NEWEST and not _VERSION.fullmatch(wanted):
        found = find_kernel(wanted)
        if found is not None and found.variant == variant:
            return found
        raise UsageError(
            f"{options}: the kernel {wanted} was not built so",
            hint='name a version ("6.12") or none, and it is built; of your own tree: '
            f"windtunnel kernel build --source TREE/ {options}, then --kernel with its key alone",
        )
    kernel = find_variant(wanted, variant)
    if kernel is not None:
        return kernel
    minutes = max(1, round(estimate_build_host_s() / 60))
    again = ", less where one for other files was built before" if variant.coverage else ""
    sys.stderr.write(
        f"no kernel with {options} has been built yet: building it, once, about {minutes} "
        f"minutes{again}\n"
    )
    return build_shown(lambda show: ensure_kernel(wanted, (), show, variant=variant), quiet=quiet)


def build_shown(build: Callable[[ProgressCallback], _Built], *, quiet: bool = False) -> _Built:
    """Build a kernel, or its symbols, and show how far it has come, on stderr.

    Args:
        build: builds, and reports to what it is given.
        quiet: show nothing.
    """
    console = screen.err()
    if quiet:
        return build(lambda _progress: None)
    if not console.is_terminal:
        return build(phases_on_stderr())
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[message]}", style="dim"),
    )
    # No thread draws: see windtunnel.ui.progress.
    with Bars(*columns, console=console, auto_refresh=False, transient=True) as bars:
        task = bars.add_task("", total=None, message="")

        def show(progress: Progress) -> None:
            if progress.phase is Phase.WARNING:
                console.print(f"{progress.phase.value}: {progress.message}")
            bars.update(
                task,
                description=progress.phase.value,
                completed=progress.done,
                total=progress.total or None,
                message=progress.message[-_MESSAGE_COLUMNS:],
                refresh=True,
            )

        return build(show)


def phases_on_stderr() -> ProgressCallback:
    """Give a callback that says each phase once, on stderr."""
    return _Lines().show


class _Lines:
    """Says each phase once, where there is no terminal to draw on."""

    def __init__(self) -> None:
        self._said: tuple[Phase, str] | None = None

    def show(self, progress: Progress) -> None:
        """Write a line when the phase has changed."""
        message = "" if progress.phase is Phase.COMPILE else progress.message
        if self._said != (progress.phase, message):
            self._said = (progress.phase, message)
            text = f"{progress.phase.value}: {message}" if message else progress.phase.value
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()
