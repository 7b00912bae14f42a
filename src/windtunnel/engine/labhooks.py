# SPDX-License-Identifier: Apache-2.0
"""The hooks around a whole lab: before its first cell, and after its last one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from windtunnel.engine.hooks import HookContext, run_after, run_before
from windtunnel.errors import HostError
from windtunnel.model.hook import Hook, LabHooks
from windtunnel.model.result import CheckResult
from windtunnel.store.results_writer import ResultsWriter

Told = Callable[[CheckResult], None]


class HookError(HostError):
    """A hook of the lab failed: nothing was run, or something was not cleaned up."""


@dataclass(slots=True)
class LabOutcome:
    """What came of a lab, for its hooks afterwards.

    Attributes:
        passed: whether all cells have.
    """

    passed: bool = False


@contextmanager
def around_lab(
    hooks: LabHooks, context: HookContext, writer: ResultsWriter, *, told: Told
) -> Iterator[LabOutcome]:
    """Run the hooks before a lab, and, whatever happens in the block, those after it.

    Args:
        hooks: of the lab.
        context: what they are told.
        writer: knows where what they print goes.
        told: is told of each.

    Raises:
        HookError: one failed. If the block raises, that comes before what those
            after it do.
    """
    outcome = LabOutcome()
    try:
        log = writer.hook_log("before_lab")
        _check(run_before(_of_lab(hooks.before_lab), context, log), log, told)
        yield outcome
    except BaseException:
        _clean(hooks, replace(context, state="failed"), writer, told)
        raise
    state = "passed" if outcome.passed else "failed"
    failure = _clean(hooks, replace(context, state=state), writer, told)
    if failure is not None:
        raise failure


def _of_lab(hooks: tuple[Hook, ...]) -> list[tuple[str, Hook]]:
    return [("", hook) for hook in hooks]


def _clean(
    hooks: LabHooks, context: HookContext, writer: ResultsWriter, told: Told
) -> HookError | None:
    log = writer.hook_log("after_lab")
    try:
        _check(run_after(_of_lab(hooks.after_lab), context, log), log, told)
    except HookError as failure:
        return failure
    return None


def _check(done: list[CheckResult], log: Path, told: Told) -> None:
    for check in done:
        told(check)
    for check in done:
        if not check.passed:
            raise HookError(
                f"the hook {check.name!r} of the lab failed: {check.message}",
                hint=f"what it printed is in {log}",
            )
