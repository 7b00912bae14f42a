# SPDX-License-Identifier: Apache-2.0
"""Any command as guest root in a fresh kernel in virtual time.

The command sees the host's tree and the current directory, writes into a
private layer over them, and finds a whole system: the kernel's own network and
process ids, /proc, /sys, control groups. Nothing that it does stays, except
below the directories that the user made writable.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from windtunnel.engine.build import HostView
from windtunnel.engine.world import World, WorldOptions
from windtunnel.images.modules import FOLDER as KERNEL_LAYER
from windtunnel.model.lab import LabSpec

MEMORY_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class ExecRequest:
    """What to execute.

    Attributes:
        argv: the program and its arguments.
        options: how to run the kernel; its `read` and `write` are also shown.
        directory: where it starts; shown, and written only in the private layer.
        node_files: a directory whose tree is laid over the root; None for none.
        memory_bytes: of the kernel.
        seed: of all its randomness.
        env: added to the environment of guests.
        stdin: its input; None is /dev/null.
        timeout_ns: virtual time after which it is killed; None is never.
    """

    argv: Sequence[str]
    options: WorldOptions
    directory: Path
    node_files: Path | None = None
    memory_bytes: int = MEMORY_BYTES
    seed: int = 0
    env: Mapping[str, str] | None = None
    stdin: bytes | None = None
    timeout_ns: int | None = None


@dataclass(frozen=True, slots=True)
class ExecResult:
    """How it ended.

    Attributes:
        exit_status: of the command; 128 + N when signal N killed it.
        virtual_ns: how long it took in virtual time.
        timed_out: whether we killed it because its time was up.
    """

    exit_status: int
    virtual_ns: int
    timed_out: bool


def execute(request: ExecRequest, output: Callable[[bytes, bool], None]) -> ExecResult:
    """Run one command to its end.

    Args:
        request: what to run.
        output: called with what it prints as it comes, and whether on stderr.

    Raises:
        HostError: this machine lacks something.
        GuestError: the command could not be started, or the kernel died.
    """
    options = request.options
    layers = [] if request.node_files is None else [request.node_files.resolve()]
    modules = options.kernel.path.parent / KERNEL_LAYER
    if modules.is_dir():
        layers.append(modules)
    shown = (request.directory, *options.read)
    view = HostView(
        layers=tuple(str(path) for path in layers),
        shown=tuple(dict.fromkeys(str(path.resolve()) for path in shown)),
        writable=tuple(str(path.resolve()) for path in options.write),
    )
    # "ip tunnel" speaks to the fallback tunnels, which labs do without.
    words = ("fb_tunnels=initns", *options.kernel_words)
    options = replace(options, read=(*options.read, *layers), view=view, kernel_words=words)
    spec = LabSpec(name="exec", seed=request.seed, memory_bytes=request.memory_bytes)
    with World(spec, options) as world:
        process = world.base.begin(
            list(request.argv),
            stdin=request.stdin is not None,
            env={"PWD": str(request.directory), **(request.env or {})},
            directory=str(request.directory),
            sink=output,
        )
        if request.stdin is not None:
            process.write(request.stdin)
            process.close_stdin()
        process.wait_started()
        result = process.wait(request.timeout_ns)
        return ExecResult(result.exit_status, result.duration_ns, result.timed_out)
