# SPDX-License-Identifier: Apache-2.0
"""`windtunnel exec`: the one command whose start is counted in milliseconds.

So it has a parser of its own, from the standard library, and imports nothing
that it may not need.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from windtunnel.engine.execute import ExecRequest, execute
from windtunnel.engine.kernel import KERNEL_VARIABLE
from windtunnel.engine.world import WorldOptions
from windtunnel.errors import HostError, LabFileError, UsageError
from windtunnel.images.kernels import Kernel, find_kernel
from windtunnel.model.cpu import CpuSpec
from windtunnel.model.units import format_duration, parse_duration, parse_size

SUMMARY = "Run any command in a fresh kernel, as root."
_DESCRIPTION = f"""{SUMMARY}

Time is virtual: what only waits takes none. The command sees this machine's
programs and the current directory. What it writes is gone when it ends, except
below what --writable names. Its output and exit status are passed on; 128 + N
says that signal N killed it."""
_EXAMPLES = """examples:
  windtunnel exec -- sleep 3600
  windtunnel exec --mem 2GiB --writable results -- ./run-tests.sh --all
  windtunnel exec --stdin -- sh < script.sh"""


def run(arguments: Sequence[str]) -> int:
    """Run the command.

    Args:
        arguments: what follows "exec".

    Returns:
        The exit status of the command that was run.

    Raises:
        UsageError: an option is wrong.
        HostError: this machine lacks something.
        GuestError: the command could not be started, or the kernel was lost.
    """
    options = _parser().parse_args(list(arguments))
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not command:
        raise UsageError("no command is given", hint="windtunnel exec -- COMMAND ARGUMENT…")
    node_files = _folder(options.node_files)
    memory_bytes = _quantity("--mem", options.mem, parse_size)
    timeout_ns = None
    if options.timeout:
        timeout_ns = _quantity("--timeout", options.timeout, parse_duration)
    env = dict(_setting(text) for text in options.env)
    world = WorldOptions(
        kernel=_kernel(options.kernel),
        read=tuple(options.read),
        write=tuple(options.writable),
        trust_guest=options.trust_guest,
        base_cpu=CpuSpec(speed=options.cpu_speed),
    )
    if options.watchdog is not None:
        world = replace(world, watchdog_host_s=options.watchdog)
    request = ExecRequest(
        argv=command,
        options=world,
        directory=Path.cwd(),
        node_files=node_files,
        memory_bytes=memory_bytes,
        seed=options.seed,
        env=env,
        stdin=sys.stdin.buffer.read() if options.stdin else None,
        timeout_ns=timeout_ns,
    )
    result = execute(request, _write)
    if result.timed_out:
        limit = format_duration(result.virtual_ns)
        sys.stderr.write(f"windtunnel: killed after {limit} of virtual time (--timeout)\n")
    return result.exit_status


class _Parser(argparse.ArgumentParser):
    """Raises our error for a wrong command line, instead of ending the process."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, hint="windtunnel exec --help")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="windtunnel exec",
        usage="windtunnel exec [OPTIONS] -- COMMAND [ARGUMENT]…",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--node-files", metavar="DIR", help="lay this folder's tree over the root")
    add("--mem", default="1 GiB", metavar="SIZE", help='of the kernel, "1 GiB" by default')
    add(
        "--writable", action="append", default=[], type=Path, metavar="DIR",
        help="let the command change this folder, as you could; may be given again",
    )  # fmt: skip
    add(
        "--read", action="append", default=[], type=Path, metavar="DIR",
        help="let the command read this too; may be given again",
    )  # fmt: skip
    add("--env", action="append", default=[], metavar="NAME=VALUE", help="may be given again")
    add("--stdin", action="store_true", help="read our input to its end and pass it on")
    add(
        "--cpu-speed", type=_speed, metavar="X",
        help="let computing take time: 1 as on a server's core, 0.1 as on a small router",
    )  # fmt: skip
    add("--timeout", metavar="TIME", help='kill it after so much virtual time, such as "10 min"')
    add("--seed", type=_seed, default=0, metavar="N", help="of all randomness, 0 by default")
    add("--kernel", metavar="NAME", help='"newest", a version, a key or a program\'s path')
    add(
        "--watchdog", type=float, metavar="SECONDS",
        help="give up when virtual time stands still for so long (host time)",
    )  # fmt: skip
    add(
        "--trust-guest", action="store_true",
        help="unconfined: the command can do to your files what you can",
    )  # fmt: skip
    add("command", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return parser


def _kernel(name: str | None) -> Kernel:
    kernel = find_kernel(name or os.environ.get(KERNEL_VARIABLE))
    if kernel is None:
        # the slow way, with its progress bars, only where there is something to build
        from windtunnel.ui.build_progress import kernel_to_boot  # noqa: PLC0415

        return kernel_to_boot(name)
    return kernel


def _folder(name: str | None) -> Path | None:
    if name is None:
        return None
    if not Path(name).is_dir():
        raise UsageError(f"--node-files {name!r} is no folder", hint="name a folder that exists")
    return Path(name)


def _seed(text: str) -> int:
    seed = int(text)
    if not 0 <= seed < 1 << 64:
        raise argparse.ArgumentTypeError("a seed is 0 to 2^64 - 1")
    return seed


def _speed(text: str) -> float:
    try:
        speed = float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError("a speed is a number, such as 0.5") from error
    for _, what, range_of_it in CpuSpec(speed=speed).problems():
        raise argparse.ArgumentTypeError(f"{what}: {range_of_it}")
    return speed


def _quantity(option: str, text: str, parse: Callable[[str], int]) -> int:
    try:
        return parse(text)
    except LabFileError as error:
        raise UsageError(f"{option}: {error.message}", hint=error.hint) from error


def _setting(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not name or not sign:
        raise UsageError(f"--env {text!r} is no NAME=VALUE", hint="write --env LANG=C")
    return name, value


def _write(data: bytes, stderr: bool) -> None:
    """Pass on what the command printed, at once."""
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(2 if stderr else 1, rest) :]
        except BlockingIOError:
            continue  # somebody has made our terminal non-blocking
        except BrokenPipeError:
            raise
        except OSError as error:
            raise HostError(f"cannot write the command's output: {error.strerror}") from error
