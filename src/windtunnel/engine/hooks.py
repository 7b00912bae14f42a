# SPDX-License-Identifier: Apache-2.0
"""What is done around labs and cells on the host: prepare and clean up.

A hook is a process of its own, run as the user, unconfined and outside of
virtual time. What it prints goes to a log; what it did becomes a check. When a
hook before fails, nothing after it is begun; hooks after it run nevertheless,
the last one first.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from windtunnel.errors import LabFileError
from windtunnel.machines.syscalls import PR_SET_PDEATHSIG, prctl
from windtunnel.model.hook import Hook
from windtunnel.model.lab import LabSpec
from windtunnel.model.result import CheckResult
from windtunnel.store.layout import host_errors

SHOWN_CHARACTERS = 400
"""How much of what a failed hook printed its message shows; the log has all of it."""

END_HOST_S = 5.0
"""How long a hook may take to end after it was told to."""

_CALL_PYTHON = (
    "import importlib.util, json, os, sys\n"
    "file, name = sys.argv[1], sys.argv[2]\n"
    "sys.path.insert(0, os.path.dirname(file))\n"
    "spec = importlib.util.spec_from_file_location('windtunnel_hook', file)\n"
    "module = importlib.util.module_from_spec(spec)\n"
    "sys.modules['windtunnel_hook'] = module\n"
    "spec.loader.exec_module(module)\n"
    "getattr(module, name)(json.loads(os.environ['WINDTUNNEL_CONTEXT']))\n"
)


@dataclass(frozen=True, slots=True)
class HookContext:
    """What a hook is told, as WINDTUNNEL_… in its environment, or as a dictionary.

    Attributes:
        lab: the lab's name.
        results: the folder of all results.
        directory: where the lab file is; hooks are run there.
        cell: its name; empty for what is around the lab.
        params: of the cell.
        run: the folder of the cell's run; hooks before it find nothing there.
        node: whose hook it is; empty for others.
        state: of the cell (or the lab) as far as it is known; empty before it.
    """

    lab: str
    results: Path
    directory: Path
    cell: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    run: Path | None = None
    node: str = ""
    state: str = ""

    def to_json(self) -> dict[str, object]:
        """Give it as JSON values, as a Python function gets it."""
        return {
            "lab": self.lab,
            "results": str(self.results),
            "cell": self.cell,
            "params": dict(self.params),
            "run": "" if self.run is None else str(self.run),
            "node": self.node,
            "state": self.state,
        }

    def environment(self) -> dict[str, str]:
        """Give it as variables of a command's environment."""
        values = self.to_json()
        text = {f"WINDTUNNEL_{key.upper()}": str(values[key]) for key in values if key != "params"}
        text["WINDTUNNEL_CONTEXT"] = json.dumps(values)
        for key, value in self.params.items():
            text[f"WINDTUNNEL_PARAM_{re.sub(r'[^A-Za-z0-9_]', '_', key)}"] = value
        return text


class Around(Protocol):
    """Something that is prepared before each try of a cell, and cleaned up after it.

    Hooks of the lab file are one; what provides images is another. Each is asked
    in the order of a runner's list, and in the reverse order afterwards.
    """

    def before(self, context: HookContext) -> list[CheckResult]:
        """Prepare. When a check of these fails, nothing is begun."""

    def after(self, context: HookContext) -> list[CheckResult]:
        """Clean up; `context.state` says what came of it. Called if `before` was."""


class HostHooks:
    """The hooks of a lab file, of its nodes too, around a try of a cell."""

    def __init__(self, spec: LabSpec, log: Path) -> None:
        """Create.

        Args:
            spec: of the cell.
            log: the file that gets what hooks print; made when there is something.
        """
        self._spec = spec
        self._log = log

    def before(self, context: HookContext) -> list[CheckResult]:
        """Run those of the cell, then those of its nodes, until one fails."""
        hooks = [("", hook) for hook in self._spec.hooks.before_cell]
        hooks += [(node.name, hook) for node in self._spec.nodes for hook in node.hooks.before]
        return run_before(hooks, context, self._log)

    def after(self, context: HookContext) -> list[CheckResult]:
        """Run those of its nodes, then those of the cell, the last one first."""
        hooks = [("", hook) for hook in self._spec.hooks.after_cell]
        hooks += [(node.name, hook) for node in self._spec.nodes for hook in node.hooks.after]
        return run_after([one for one in hooks if one[1].on_host], context, self._log)


def host_hooks(spec: LabSpec) -> list[Hook]:
    """Give all hooks of a lab that run on the host, in the order of the file."""
    hooks = spec.hooks
    found = [*hooks.before_lab, *hooks.before_cell, *hooks.after_cell, *hooks.after_lab]
    for node in spec.nodes:
        found += [*node.hooks.before, *node.hooks.after]
    return [hook for hook in found if hook.on_host]


def check_hooks(spec: LabSpec, directory: Path) -> None:
    """See that the files of Python hooks are there.

    Raises:
        LabFileError: one is not.
    """
    for hook in host_hooks(spec):
        file = hook.python.rpartition(":")[0]
        if file and not (directory / file).is_file():
            raise LabFileError(
                f"there is no file {str(directory / file)!r} for the hook {hook.name!r}",
                hint="write its path relative to the lab file",
            )


def run_before(
    hooks: Iterable[tuple[str, Hook]], context: HookContext, log: Path
) -> list[CheckResult]:
    """Run hooks in their order, until one fails.

    Args:
        hooks: each with its node, or "".
        context: what they are told.
        log: gets what they print.
    """
    done = []
    for node, hook in hooks:
        done.append(_run(hook, context, node, log))
        if not done[-1].passed:
            break
    return done


def run_after(
    hooks: Sequence[tuple[str, Hook]], context: HookContext, log: Path
) -> list[CheckResult]:
    """Run hooks in reverse order, whatever fails; those that keep only if all went well."""
    wrong = context.state != "passed"
    return [
        _run(hook, context, node, log)
        for node, hook in reversed(hooks)
        if not (hook.keep and wrong)
    ]


def _run(hook: Hook, context: HookContext, node: str, log: Path) -> CheckResult:
    told = {**context.environment(), "WINDTUNNEL_NODE": node}
    values = {**context.to_json(), "node": node}
    told["WINDTUNNEL_CONTEXT"] = json.dumps(values)
    argv = ["/bin/sh", "-c", hook.host]
    if hook.python:
        file, _, function = hook.python.rpartition(":")
        argv = [sys.executable, "-c", _CALL_PYTHON, str(context.directory / file), function]
    with host_errors(log.parent, "record what a hook prints"):
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            output.write(f"== {hook.name}\n".encode())
            output.flush()
            begin = output.tell()
            why = _run_process(argv, hook, context, told, output.fileno())
        said = "" if why is None else _tail(log, begin)
    if why is not None:
        why = f"{why}: {said}" if said else why
    return CheckResult(hook.name, "hook", node, 0, 0, passed=why is None, message=why or "")


def _run_process(
    argv: list[str], hook: Hook, context: HookContext, told: dict[str, str], output_fd: int
) -> str | None:
    """Run it to its end; say why it failed, None when it did not."""
    try:
        # A session of its own: Ctrl-C reaches it by us alone. What it leaves in the
        # background stays: a server for the cell, that a hook after it ends.
        process = subprocess.Popen(
            argv,
            cwd=context.directory,
            env={**os.environ, **told},
            stdin=subprocess.DEVNULL,
            stdout=output_fd,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=lambda: prctl(PR_SET_PDEATHSIG, signal.SIGTERM),  # noqa: PLW1509 - no threads
        )
    except OSError as error:
        return f"cannot be started: {error.strerror}"
    try:
        status = process.wait(hook.limit_host_s)
    except subprocess.TimeoutExpired:
        return f"it took longer than {hook.limit_host_s:g} s of host time"
    finally:
        _end(process)
    if status < 0:
        return f"it was killed by signal {-status}"
    return f"it exited with {status}" if status else None


def _end(process: subprocess.Popen[bytes]) -> None:
    """End what still runs of it."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(END_HOST_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _tail(log: Path, begin: int) -> str:
    with log.open("rb") as file:
        size_bytes = file.seek(0, os.SEEK_END)
        file.seek(max(begin, size_bytes - 4 * SHOWN_CHARACTERS))
        text = file.read().decode(errors="replace").strip()
    return text[-SHOWN_CHARACTERS:]
