# SPDX-License-Identifier: Apache-2.0
"""`windtunnel kernel …`: build kernels, and find what has been built."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from windtunnel.errors import HostError
from windtunnel.ui import complete
from windtunnel.ui.options import (
    CoverageOption,
    JsonOption,
    QuietOption,
    SanitizeOption,
    examples,
)

NameArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="NAME",
        help='"newest", a version, a key or a path; the default kernel when it is left out.',
        autocompletion=complete.kernels,
    ),
]


def commands() -> typer.Typer:
    """Put the group together."""
    group = typer.Typer(
        help="Build kernels, and find them.", no_args_is_help=True, rich_markup_mode=None
    )
    add = group.command
    add(
        "build",
        epilog=examples(
            "windtunnel kernel build",
            "windtunnel kernel build --source 6.12",
            "windtunnel kernel build --source ~/linux/ --with DEBUG_INFO_DWARF5=y",
            "windtunnel kernel build --coverage net/ipv4 --coverage kernel/time/hrtimer.c",
            "windtunnel kernel build --sanitize kasan --sanitize ubsan",
        ),
    )(build)
    add("list", epilog=examples("windtunnel kernel list"))(list_)
    add("path", epilog=examples("windtunnel kernel path 6.12"))(path)
    add("source", epilog=examples('ls "$(windtunnel kernel source)/tools/testing/selftests"'))(
        source
    )
    return group


def build(
    *,
    source: Annotated[
        str,
        typer.Option(
            metavar="SOURCE",
            help='"newest" and versions such as "6.12" are Debian\'s source packages; '
            "a path (with a slash) is your own tree, which stays as it is.",
        ),
    ] = "newest",
    options: Annotated[
        list[str] | None,
        typer.Option(
            "--with", metavar="OPTION=y", help="A setting of .config more. May be given again."
        ),
    ] = None,
    coverage: CoverageOption = None,
    sanitize: SanitizeOption = None,
    keep_tree: Annotated[
        bool,
        typer.Option("--keep-tree", help="Keep source and objects beside the kernel (2.5 GB)."),
    ] = False,
    symbols: Annotated[
        bool,
        typer.Option(
            "--symbols",
            help="Also build its debug information, which `windtunnel inspect` reads.",
        ),
    ] = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Build a kernel for guests, unless it is there.

    It takes about ten minutes, once. Prints the path of the kernel's program.
    """
    # Imported here, so that other commands do not wait for it.
    from windtunnel.images.build import build_kernel  # noqa: PLC0415
    from windtunnel.images.symbols import ensure_symbols  # noqa: PLC0415
    from windtunnel.images.variant import parse_variant  # noqa: PLC0415
    from windtunnel.ui import screen  # noqa: PLC0415
    from windtunnel.ui.build_progress import build_shown  # noqa: PLC0415

    variant = parse_variant(coverage or (), sanitize or ())
    kernel = build_shown(
        lambda progress: build_kernel(
            source, options or (), progress, keep_tree=keep_tree, variant=variant
        ),
        quiet=quiet,
    )
    if symbols:
        build_shown(lambda progress: ensure_symbols(kernel, progress), quiet=quiet)
    if json:
        screen.print_json({**asdict(kernel), "name": kernel.name, "path": str(kernel.path)})
    else:
        screen.out().print(str(kernel.path))


def list_(*, json: JsonOption = False) -> None:
    """List the kernels that are built.

    "*" marks the one that runs boot by default.
    """
    from windtunnel.images.kernels import find_kernel, list_kernels  # noqa: PLC0415
    from windtunnel.ui import screen  # noqa: PLC0415

    kernels = list_kernels()
    default = find_kernel()
    if json:
        screen.print_json(
            [
                {
                    **asdict(kernel),
                    "name": kernel.name,
                    "path": str(kernel.path),
                    "default": kernel == default,
                }
                for kernel in kernels
            ]
        )
        return
    if kernels:
        screen.print_table(
            ("", "name", "source", "options", "built", "took"),
            [
                screen.Row(
                    (
                        "*" if kernel == default else "",
                        kernel.name,
                        kernel.source,
                        " ".join([*kernel.options, kernel.variant.describe()]).strip(),
                        kernel.built[:16].replace("T", " "),
                        f"{kernel.build_host_s / 60:.0f} min",
                    )
                )
                for kernel in kernels
            ],
            right=(5,),
        )
    if default is None:
        console = screen.out()
        console.print("no kernel fits this version of windtunnel: windtunnel kernel build")


def path(name: NameArgument = None) -> None:
    """Print the path of a kernel's program; build nothing."""
    from windtunnel.engine.kernel import default_kernel  # noqa: PLC0415
    from windtunnel.ui import screen  # noqa: PLC0415

    screen.out().print(str(default_kernel(name).path))


def source(name: NameArgument = None) -> None:
    """Print the path of a kernel's source.

    It is what the kernel was built from, unpacked, without our patches; fetched
    where it is missing. The kernel's own self-tests are in it.
    """
    from windtunnel.images.kernels import NEWEST, find_kernel  # noqa: PLC0415
    from windtunnel.images.sources import source_tree  # noqa: PLC0415
    from windtunnel.ui import screen  # noqa: PLC0415
    from windtunnel.ui.build_progress import phases_on_stderr  # noqa: PLC0415

    kernel = find_kernel(name)
    wanted = kernel.source if kernel else name or NEWEST
    if wanted.startswith("program "):
        raise HostError(
            f"nobody knows from which source {name} was built",
            hint="name a kernel of `windtunnel kernel list`",
        )
    screen.out().print(str(source_tree(wanted, phases_on_stderr())))
