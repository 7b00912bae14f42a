# SPDX-License-Identifier: Apache-2.0
"""`windtunnel inspect`: look into a kernel that has panicked or hangs."""

from __future__ import annotations

from dataclasses import asdict
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from windtunnel.errors import ExitStatus, UsageError
from windtunnel.ui.failures import say_on_stderr
from windtunnel.ui.options import RUNS, JsonOption, QuietOption, RunArgument, RunsOption, examples

if TYPE_CHECKING:
    from windtunnel.cores.image import Image
    from windtunnel.images.kernels import Kernel

EPILOG = examples(
    "windtunnel inspect latest",
    "windtunnel inspect ring/3 --node r1 --stacks 'ospfd*'",
    "windtunnel inspect latest --repl",
)

_NodeOption = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Of several cores, that of this node's own kernel."),
]
_StacksOption = Annotated[
    str,
    typer.Option(
        metavar="PATTERN",
        help="Also the calls of sleeping tasks of this name; '*' is all. "
        "Those of blocked ones (D) are always shown.",
    ),
]
_SymbolsOption = Annotated[
    bool,
    typer.Option(
        "--symbols/--no-symbols",
        help="Build the kernel's symbols if they are not there: minutes, once. Without "
        "them only the calls of who crashed are shown, with no source lines.",
    ),
]
_SymbolsFileOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="The debug information of a kernel of your own: its unstripped program.",
    ),
]


def inspect(
    run: RunArgument,
    *,
    node: _NodeOption = None,
    stacks: _StacksOption = "",
    symbols: _SymbolsOption = True,
    symbols_file: _SymbolsFileOption = None,
    repl: Annotated[
        bool, typer.Option("--repl", help="Ask drgn yourself: Python, with `prog` the kernel.")
    ] = False,
    runs: RunsOption = RUNS,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Look into the core of a kernel that panicked or hangs.

    It tells the panic, the task that crashed with its calls, source lines and local
    variables, all tasks, who waits for whose lock, sockets and queues, and the end of the
    kernel's log. Nothing runs in the dead kernel. The first time for a kernel its symbols
    are built.
    """
    _require_drgn()
    # Imported here, so that other commands do not wait for it.
    from windtunnel.cores.image import Image  # noqa: PLC0415
    from windtunnel.engine.inspecting import find_core, kernel_of  # noqa: PLC0415
    from windtunnel.store.corefiles import cores_of, missing_bytes  # noqa: PLC0415
    from windtunnel.store.run_reader import find_run  # noqa: PLC0415

    path = find_run(run, runs)
    core = find_core(path, node)
    kernel = kernel_of(path, core)
    known = symbols_file or _symbols(kernel, build=symbols, quiet=quiet)
    missing = missing_bytes(core.path)
    if missing:
        say_on_stderr(
            f"warning: {core.path} is not whole: {missing:,} bytes are missing at its end; what "
            "was there cannot be told"
        )
    image = Image(core.path, kernel.path, known)
    others = [one.node or "the shared kernel" for one in cores_of(path) if one != core]
    if others and not quiet:
        say_on_stderr(f"there are more cores: {', '.join(others)} (--node)")
    if repl:
        return _ask(image, core.path)
    _show(image, path, core.node, stacks=stacks, json=json)
    return ExitStatus.PASSED


def _show(image: Image, run: Path, node: str, *, stacks: str, json: bool) -> None:
    from windtunnel.cores.look import look  # noqa: PLC0415 - as above
    from windtunnel.store.lablog import lab_time  # noqa: PLC0415
    from windtunnel.ui import inspect_report, screen  # noqa: PLC0415

    found = look(image, stacks=lambda task: bool(stacks) and fnmatchcase(task.name, stacks))
    if json:
        screen.print_json({"run": str(run), "node": node, **asdict(found)})
    else:
        inspect_report.print_inspection(run, node, found, lab_time(run))


def _symbols(kernel: Kernel, *, build: bool, quiet: bool) -> Path | None:
    """The file with a kernel's symbols, built if it may be; None without them."""
    from windtunnel.images.symbols import ensure_symbols, find_symbols  # noqa: PLC0415 - as above
    from windtunnel.ui.build_progress import build_shown  # noqa: PLC0415

    found = find_symbols(kernel)
    if not build:
        return None
    if found is not None:
        return found
    say_on_stderr(f"building the symbols of {kernel.name}, once; without them: --no-symbols")
    return build_shown(lambda progress: ensure_symbols(kernel, progress), quiet=quiet)


def _ask(image: Image, core: Path) -> int:
    """Give drgn's prompt."""
    from drgn.cli import run_interactive  # noqa: PLC0415 - as above

    run_interactive(
        image.program,
        banner_func=lambda _banner: (
            f"drgn: `prog` is {core}; "
            "prog.crashed_thread().stack_trace() says where it ended. Ctrl-D ends."
        ),
    )
    return ExitStatus.PASSED


def _require_drgn() -> None:
    """See that drgn is there.

    Raises:
        UsageError: it is an extra, and not installed.
    """
    from importlib.util import find_spec  # noqa: PLC0415

    if find_spec("drgn") is None:
        raise UsageError(
            "drgn, which reads cores, is not installed",
            hint="pip install 'windtunnel[inspect]'",
        )
