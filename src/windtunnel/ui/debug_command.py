# SPDX-License-Identifier: Apache-2.0
"""`windtunnel debug`."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from windtunnel.errors import ExitStatus, LabFileError, UsageError
from windtunnel.ui import complete, failures
from windtunnel.ui.options import (
    CellOption,
    KernelOption,
    LabArgument,
    ParallelOption,
    ReadOption,
    SeedOption,
    TrustOption,
    WritableOption,
    examples,
)

if TYPE_CHECKING:
    from windtunnel.engine.debug import KernelDebugger
    from windtunnel.engine.world import WorldOptions
    from windtunnel.model.lab import LabSpec

EPILOG = examples(
    "windtunnel debug lab.yaml --node r1 --at 12.5s",
    "windtunnel debug lab.yaml --node r1 --at 12.5s --command bt",
    "windtunnel debug lab.yaml --node r1 --at 12.5s --process ospfd",
)

_NodeOption = Annotated[
    str,
    typer.Option(metavar="NAME", help="The node to look into.", autocompletion=complete.nodes),
]
_AtOption = Annotated[str, typer.Option(metavar="TIME", help='When, in virtual time: "12.5 s".')]
_ProcessOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="A process of the node in place of its kernel: its name in the lab's run, "
        "its program's name, or its number in the node.",
    ),
]
_CommandOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TEXT",
        help="Have gdb do this and end, with nobody typing. May be given again.",
    ),
]
_GoOnOption = Annotated[
    bool, typer.Option("--go-on", help="Let the lab go on to its end after gdb, and record it.")
]
_OutputOption = Annotated[
    Path | None, typer.Option(metavar="DIR", help="With --go-on: record in this new folder.")
]


@dataclass(frozen=True, slots=True)
class _Wish:
    """Where to look, when, and with which commands of gdb."""

    node: str
    at_ns: int
    commands: tuple[str, ...]


def debug(
    lab: LabArgument,
    *,
    node: _NodeOption,
    at: _AtOption,
    process: _ProcessOption = None,
    command: _CommandOption = None,
    go_on: _GoOnOption = False,
    output: _OutputOption = None,
    cell: CellOption = None,
    kernel: KernelOption = None,
    seed: SeedOption = None,
    read: ReadOption = None,
    writable: WritableOption = None,
    trust_guest: TrustOption = False,
    parallel: ParallelOption = None,
) -> int:
    """Stop a lab at a virtual time, and look into it with gdb.

    gdb attaches to the node's kernel, with its symbols; "bt" shows what it does.
    While gdb holds the kernel, time stands still for all nodes. "continue" lets the lab
    go on, to a breakpoint of gdb's for example, and Ctrl-C stops it again. The lab
    ends when gdb does, or goes on to its end with --go-on: the result is the same,
    byte for byte, as without gdb.

    With --process, gdb is a program in the node. What it does takes a little virtual
    time, so the lab is another one from there on, and ends with gdb.
    """
    # Imported here, so that other commands do not wait for it.
    from windtunnel.engine.debug import find_gdb  # noqa: PLC0415
    from windtunnel.engine.world import WorldOptions  # noqa: PLC0415
    from windtunnel.ui.build_progress import kernel_to_boot  # noqa: PLC0415
    from windtunnel.ui.run_command import read_lab  # noqa: PLC0415

    spec = read_lab(lab, seed=seed, cell=cell)
    wish = _Wish(node, _instant(at, spec), tuple(command or ()))
    _check_node(node, spec)
    if process is not None and go_on:
        raise UsageError(
            "--process and --go-on: gdb in a node takes time and process ids of its own, "
            "so what follows would be another lab",
            hint="leave out --go-on; or look at the kernel, which changes nothing",
        )
    if output is not None and not go_on:
        raise UsageError("--output without --go-on: the lab ends with gdb, and has no result")
    find_gdb()
    options = WorldOptions(
        kernel=kernel_to_boot(kernel),
        read=tuple(read or ()),
        write=tuple(writable or ()),
        trust_guest=trust_guest,
        parallel=parallel,
    )
    if process is not None:
        return _in_node(spec, options, wish, process)
    return _at_kernel(spec, options, wish, go_on=go_on, output=output)


def _instant(text: str, spec: LabSpec) -> int:
    from windtunnel.model.units import duration_text, parse_duration  # noqa: PLC0415

    try:
        at_ns = parse_duration(text)
    except LabFileError as error:
        raise UsageError(f"--at: {error.message}", hint=error.hint) from error
    if spec.stop_ns is not None and at_ns >= spec.stop_ns:
        raise UsageError(
            f"--at {text}: the lab stops at {duration_text(spec.stop_ns)}",
            hint="name an earlier time",
        )
    return at_ns


def _check_node(name: str, spec: LabSpec) -> None:
    from windtunnel.model.nearmiss import hint_for  # noqa: PLC0415

    names = [node.name for node in spec.nodes]
    if name not in names:
        raise UsageError(f"there is no node {name!r}", hint=hint_for(name, names, what="nodes"))


def _at_kernel(
    spec: LabSpec, options: WorldOptions, wish: _Wish, *, go_on: bool, output: Path | None
) -> int:
    from windtunnel.engine.debug import DebuggingOverError, KernelDebugger  # noqa: PLC0415
    from windtunnel.engine.recorder import NullRecorder  # noqa: PLC0415
    from windtunnel.engine.run import run_lab  # noqa: PLC0415
    from windtunnel.engine.world import Halt  # noqa: PLC0415

    debugger = KernelDebugger(wish.node, commands=wish.commands, go_on=go_on, say=_say)
    options = replace(options, halt=Halt(wish.node, wish.at_ns, debugger.attach))
    try:
        if go_on:
            return _recorded(spec, options, output, debugger)
        run_lab(spec, options, NullRecorder(), captures=lambda _name: lambda _data: None)
    except DebuggingOverError:
        pass
    finally:
        debugger.close()
    _check_reached(debugger)
    return debugger.status or ExitStatus.PASSED


def _recorded(
    spec: LabSpec, options: WorldOptions, output: Path | None, debugger: KernelDebugger
) -> int:
    from windtunnel.engine.session import SessionRequest, run_session  # noqa: PLC0415
    from windtunnel.ui.report import print_report, read_report  # noqa: PLC0415

    request = SessionRequest(spec, options, source_text=spec.source or None, output=output)
    session = run_session(request, begun=failures.remember_run)
    debugger.close()
    print_report(read_report(session.path), finding=False)
    if session.error is not None:
        failures.print_error(session.error)
        return session.error.exit_status
    _check_reached(debugger)
    return ExitStatus.PASSED if session.state == "passed" else ExitStatus.FAILED


def _check_reached(debugger: KernelDebugger) -> None:
    if not debugger.reached:
        raise UsageError(
            "the lab has ended before the time of --at, so there was nothing to look at",
            hint="name an earlier time; 'windtunnel run' says when the lab ends",
        )


def _in_node(spec: LabSpec, options: WorldOptions, wish: _Wish, process: str) -> int:
    from windtunnel.engine.debug import (  # noqa: PLC0415
        debugger_program,
        find_process,
        process_debugger,
    )
    from windtunnel.engine.shell import LabShell, ShellProgram  # noqa: PLC0415
    from windtunnel.engine.world import World  # noqa: PLC0415
    from windtunnel.model.units import format_duration  # noqa: PLC0415
    from windtunnel.ui.shell_command import run_on_terminal  # noqa: PLC0415

    if wish.commands:
        # The shell of the node is there as well, at its prompt; it does nothing.
        with LabShell(spec, options, node=wish.node, at_ns=wish.at_ns) as session:
            world = session.world
            pid = find_process(world, wish.node, process)
            done = world.node(wish.node).run(process_debugger(pid, wish.commands), name=".gdb")
            sys.stdout.write(done.stdout)
            sys.stderr.write(done.stderr)
            _say(f"gdb took {format_duration(done.duration_ns)} of virtual time")
            return done.exit_status

    def program(world: World, name: str) -> ShellProgram:
        return debugger_program(find_process(world, name, process))

    size = shutil.get_terminal_size()
    with LabShell(
        spec,
        options,
        node=wish.node,
        terminal=os.environ.get("TERM", "dumb"),
        size=(size.lines, size.columns),
        at_ns=wish.at_ns,
        program=program,
    ) as session:
        return run_on_terminal(session)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
