# SPDX-License-Identifier: Apache-2.0
"""One run of one lab: start it, do its steps, judge it, record everything.

The life of a run: `run_lab` → `World` (boot, set-up, lab time zero) → captures →
`Timeline` (processes and steps, each at its time) → validations → expectations
→ verdict. All of it in virtual time; the host's clock only reaches the
manifest.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass

from windtunnel.engine.capture import Captures
from windtunnel.engine.counters import Counters
from windtunnel.engine.faults import Faults
from windtunnel.engine.judge import mismatch, not_found, process_mismatch
from windtunnel.engine.labprocess import LabProcess
from windtunnel.engine.process import Process, Result
from windtunnel.engine.recorder import Recorder
from windtunnel.engine.timeline import Task, Timeline, Wait
from windtunnel.engine.world import World, WorldOptions
from windtunnel.errors import GuestError, IdleError, ProtocolError, WindtunnelError
from windtunnel.model.lab import Command, LabSpec, LinkChange, Outcome, Step
from windtunnel.wire.junit import parse_junit

TRY_MAX_NS = 60_000_000_000
"""How long one try of a command may take, if nothing else limits it."""

SUITE_MAX_NS = 24 * 3_600_000_000_000
"""The same for a command that is a whole test suite: only what hangs takes a virtual day."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that a run found right or wrong.

    Attributes:
        name: of the step, process or validation.
        kind: "step", "process", "validate", "hook" for what is done at the end, or
            "kernel" for what a kernel has found in itself, or does not tell.
        node: where; empty for links.
        at_ns: lab time when it began.
        took_ns: virtual time until it was decided.
        passed: the verdict.
        message: why it failed; what it found otherwise.
        judged: whether it counts for the verdict of the run.
    """

    name: str
    kind: str
    node: str
    at_ns: int
    took_ns: int
    passed: bool
    message: str = ""
    judged: bool = True


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What a run found.

    Attributes:
        checks: in the order in which they were decided.
        end_ns: lab time when it ended.
        kernel_release: of the guest.
        grants: see `World.grants`.
    """

    checks: tuple[Check, ...]
    end_ns: int
    kernel_release: str
    grants: int

    @property
    def passed(self) -> bool:
        """Whether no check that counts has failed."""
        return all(check.passed or not check.judged for check in self.checks)


class LabRun:
    """A run in progress."""

    def __init__(
        self,
        world: World,
        recorder: Recorder,
        *,
        captures: Callable[[str], Callable[[bytes], None]],
        progress: Callable[[str], None],
        trace: Callable[[bytes], None] | None = None,
        coverage: Callable[[str, str, bytes], None] | None = None,
    ) -> None:
        """Prepare.

        Args:
            world: freshly started.
            recorder: the world's.
            captures: gives the sink of a capture by its name.
            progress: called with what the lab is doing now.
            trace: takes the lines of the trace; None forgets it.
            coverage: takes a kernel's node, the name of a file and its content, where
                kernels count their lines; None forgets it.
        """
        self._trace = trace
        self._coverage = coverage
        self._world = world
        self._spec = world.spec
        self._recorder = recorder
        self._captures = captures
        self._progress = progress
        self._processes = {
            (spec.node, spec.name): LabProcess(spec, world.node(spec.node))
            for spec in world.spec.processes
        }
        self._started: list[LabProcess] = []
        self._checks: list[Check] = []
        self._counters = Counters(world, recorder)

    def run(self) -> Outcomes:
        """Run to the end of the lab and judge it."""
        try:
            return self._run()
        except (WindtunnelError, KeyboardInterrupt):
            if self._world.tracing is not None and self._trace is not None:
                with suppress(WindtunnelError):  # what ended the run is told, not this
                    self._world.tracing.rescue(self._world.nodes, self._trace)
            raise

    def _run(self) -> Outcomes:
        captures = Captures(self._world, sink_of=self._captures)
        try:
            captures.start()
            self._run_timeline()
            self._judge_unended()
            self._run_validations()
            self._judge_processes()
            if self._spec.counters_ns is not None:
                self._counters.sample()
            self._clean_nodes()
            self._judge_kernels()
            captures.stop()
        finally:
            captures.close()
        end_ns = self._world.now_ns
        grants = self._world.grants
        # It takes a little time, which is none of the lab's.
        self._collect(end_ns)
        self._recorder.event(end_ns, "lab-end", passed=self._passed)
        return Outcomes(
            checks=self.checks,
            end_ns=end_ns,
            kernel_release=self._world.kernel_release,
            grants=grants,
        )

    def _collect(self, end_ns: int) -> None:
        """Take what the kernels have gathered; a check fails for what cannot be had."""
        tracing, trace = self._world.tracing, self._trace
        if tracing is not None and trace is not None:
            self._progress("reading the trace")  # some 20 us an event
            self._take("trace", end_ns, lambda: tracing.end(self._world.nodes, trace))
        counts, coverage = self._world.coverage, self._coverage
        if counts is not None and coverage is not None:
            self._take("coverage", end_ns, lambda: counts.collect(coverage))

    def _take(self, name: str, end_ns: int, take: Callable[[], None]) -> None:
        try:
            take()
        except (GuestError, ProtocolError) as error:
            self._decide(untold(name, error, end_ns), end_ns)

    @property
    def _passed(self) -> bool:
        return all(check.passed or not check.judged for check in self._checks)

    @property
    def checks(self) -> tuple[Check, ...]:
        """What has been decided so far."""
        return tuple(self._checks)

    def timeline(self) -> Timeline:
        """All that `tasks` gives, for whoever lets time pass."""
        return Timeline(self._world, self.tasks())

    def tasks(self) -> list[Task]:
        """All processes, faults and steps of the lab.

        What is due at one instant happens in this order.
        """
        tasks = [self._process_task(process) for process in self._processes.values()]
        faults = Faults(self._world, self._recorder, self._processes)
        tasks += faults.tasks(self._spec.faults)
        tasks += [self._step_task(step) for step in self._spec.steps]
        return tasks

    def _run_timeline(self) -> None:
        timeline = self.timeline()
        stop_ns, every_ns = self._spec.stop_ns, self._spec.counters_ns
        if stop_ns is None:
            # Such a lab ends when nothing is left to happen, so nothing may happen for ever.
            with suppress(IdleError):
                timeline.run()
            return
        sampling = self._counters.task(every_ns) if every_ns else None
        timeline.run(until_ns=stop_ns, beside=sampling)
        if every_ns:
            self._counters.sample_until(stop_ns, every_ns)
        self._world.run_until_ns(stop_ns)

    # ---- processes ----

    def _process_task(self, process: LabProcess) -> Task:
        spec = process.spec
        yield Wait(until_ns=spec.start_ns)
        process.start()
        self._started.append(process)
        if spec.timeout_ns is not None:
            yield Wait(
                condition=lambda: process.settled,
                until_ns=spec.start_ns + spec.timeout_ns,
            )
            if process.running:
                process.time_out()
        waits_for_it = spec.expect.outcome in (Outcome.EXITED, Outcome.KILLED)
        if waits_for_it and self._spec.stop_ns is None:
            yield Wait(condition=lambda: process.settled)

    def _judge_processes(self) -> None:
        for process in self._started:
            spec = process.spec
            if spec.expect.outcome is None and spec.expect.stdout is None:
                continue
            result = process.poll()
            if process.failure is not None:
                why: str | None = process.failure.message
            else:
                why = process_mismatch(result, process.stdout, spec.expect, down_by=process.down_by)
            end_ns = self._world.now_ns if result is None else result.end_ns
            self._decide(
                Check(
                    name=spec.name,
                    kind="process",
                    node=spec.node,
                    at_ns=spec.start_ns,
                    took_ns=end_ns - spec.start_ns,
                    passed=why is None,
                    message=why or "",
                )
            )

    # ---- steps ----

    def _step_task(self, step: Step) -> Task:
        yield Wait(until_ns=step.at_ns)
        self._progress(step.name)
        if isinstance(step.action, LinkChange):
            self._change_link(step, step.action)
        else:
            yield from self._command_task(step, step.action)

    def _change_link(self, step: Step, change: LinkChange) -> None:
        began_ns = self._world.now_ns
        link = self._world.link(change.link)
        if change.impairment is not None:
            link.impair(change.impairment, change.backward)
        if change.up is not None:
            link.up() if change.up else link.down()
        self._decide(
            Check(
                name=step.name,
                kind="step",
                node="",
                at_ns=began_ns,
                took_ns=self._world.now_ns - began_ns,
                passed=True,
            )
        )

    def _command_task(self, step: Step, command: Command, kind: str = "step") -> Task:
        began_ns = self._world.now_ns
        node = self._world.node(command.node)
        deadline_ns = None if command.within_ns is None else began_ns + command.within_ns
        while True:
            process = node.begin(command.command, name=step.name)
            most_ns = SUITE_MAX_NS if command.junit else TRY_MAX_NS
            limit_ns = self._world.now_ns + most_ns if deadline_ns is None else deadline_ns
            yield Wait(condition=lambda p=process: not p.running, until_ns=limit_ns)  # type: ignore[misc]
            if process.running:
                process.time_out()
                yield Wait(condition=lambda p=process: not p.running)  # type: ignore[misc]
            why = _command_mismatch(process, process.poll(), command)
            now_ns = self._world.now_ns
            if why is None or deadline_ns is None or now_ns >= deadline_ns:
                break
            yield Wait(until_ns=min(now_ns + command.every_ns, deadline_ns))
        if command.junit:
            unread = yield from self._test_cases(step, command, kind, began_ns)
            why = why or unread
        self._decide(
            Check(
                name=step.name,
                kind=kind,
                node=command.node,
                at_ns=began_ns,
                took_ns=now_ns - began_ns,
                passed=why is None,
                message=why or "",
                judged=step.check,
            )
        )

    def _judge_unended(self) -> None:
        """A command that the lab's end cut short has not passed."""
        decided = {check.name for check in self._checks}
        now_ns = self._world.now_ns
        for step in self._spec.steps:
            action = step.action
            if not isinstance(action, Command) or step.name in decided:
                continue
            if step.at_ns < now_ns or action.junit:
                self._decide(
                    Check(
                        name=step.name,
                        kind="step",
                        node=action.node,
                        at_ns=step.at_ns,
                        took_ns=max(now_ns - step.at_ns, 0),
                        passed=False,
                        message="it had not ended when the lab stopped",
                        judged=step.check,
                    )
                )

    def _test_cases(
        self, step: Step, command: Command, kind: str, began_ns: int
    ) -> Generator[Wait, None, str | None]:
        """Make a check of each test case that a command has left; why not, if it has none."""
        reply = self._world.node(command.node).begin_read(command.junit)
        yield Wait(condition=lambda: reply.done)
        if reply.failure is not None:
            return f"{reply.failure.text}: {os.strerror(reply.failure.errno)}"
        try:
            cases = parse_junit(bytes(reply.data))
        except ProtocolError as error:
            return f"{command.junit}: {error}"
        at_ns = began_ns
        for case in cases:
            self._decide(
                Check(
                    name=f"{step.name}: {case.name}",
                    kind=kind,
                    node=command.node,
                    at_ns=at_ns,
                    took_ns=case.took_ns,
                    passed=case.passed,
                    message=f"skipped: {case.message}" if case.skipped else case.message,
                    judged=step.check and not case.skipped,
                )
            )
            at_ns += case.took_ns
        return None if cases else f"{command.junit} has no test cases"

    def _run_validations(self) -> None:
        for step in self._spec.validations:
            self._progress(step.name)
            if isinstance(step.action, Command):
                task = self._command_task(step, step.action, kind="validate")
                Timeline(self._world, [task]).run()

    def _clean_nodes(self) -> None:
        """What the lab does in its nodes at the end, the last one first."""
        for node in reversed(self._spec.nodes):
            for hook in reversed(node.hooks.after):
                if hook.command and not (hook.keep and not self._passed):
                    self._progress(hook.name)
                    command = Command(node.name, hook.command)
                    step = Step(self._world.now_ns, hook.name, command)
                    task = self._command_task(step, command, kind="hook")
                    Timeline(self._world, [task]).run()

    def _judge_kernels(self) -> None:
        """What kernels that look for bugs in themselves have found."""
        for search in self._world.searches:
            self._progress("what the kernel has found")
            began_ns = self._world.now_ns
            findings = list(search.findings())
            names = ", ".join(search.sanitizers)
            for finding in findings:
                at_ns = began_ns
                if finding.time_ns is not None:
                    at_ns = self._world.lab_time(finding.time_ns)
                self._decide(
                    Check(
                        name=finding.title,
                        kind="kernel",
                        node=finding.kernel,
                        at_ns=at_ns,
                        took_ns=0,
                        passed=False,
                        message=finding.text,
                        judged=finding.blames,
                    )
                )
            if not findings:
                self._decide(
                    Check(
                        name=names,
                        kind="kernel",
                        node=search.kernel,
                        at_ns=began_ns,
                        took_ns=self._world.now_ns - began_ns,
                        passed=True,
                        message="found nothing",
                    )
                )

    def _decide(self, check: Check, time_ns: int | None = None) -> None:
        """Take note of a check, decided now or at `time_ns`."""
        self._checks.append(check)
        tell(self._recorder, check, self._world.now_ns if time_ns is None else time_ns)


def untold(name: str, error: WindtunnelError, end_ns: int, *, judged: bool = True) -> Check:
    """Make the check that fails where kernels do not tell what they have gathered.

    Args:
        name: of what is missing, "trace".
        error: why.
        end_ns: lab time of the run's end.
        judged: whether it counts.
    """
    return Check(name, "kernel", "", end_ns, 0, passed=False, message=str(error), judged=judged)


def tell(recorder: Recorder, check: Check, time_ns: int) -> None:
    """Record a check that was decided at a lab time."""
    recorder.event(
        time_ns,
        "check" if check.kind != "step" or check.node else "step",
        check.node,
        name=check.name,
        of=check.kind,
        passed=check.passed,
        judged=check.judged,
        at_ns=check.at_ns,
        took_ns=check.took_ns,
        message=check.message,
    )


def _command_mismatch(process: Process, result: Result | None, command: Command) -> str | None:
    if process.failure is not None:
        return process.failure.message
    if result is None:
        return "it has no result"
    if result.timed_out:
        return "it took longer than it was given"
    if command.status is not None and result.exit_status != command.status:
        said = (result.stderr.strip() or result.stdout.strip())[-400:]
        what = f"it exited with {result.exit_status}, not {command.status}"
        return (f"{what}: {said}" if said else what) + not_found(result)
    return None if command.match is None else mismatch(result.stdout, command.match)


def run_lab(
    spec: LabSpec,
    options: WorldOptions,
    recorder: Recorder,
    *,
    captures: Callable[[str], Callable[[bytes], None]],
    progress: Callable[[str], None] = lambda _doing: None,
    trace: Callable[[bytes], None] | None = None,
    coverage: Callable[[str, str, bytes], None] | None = None,
) -> Outcomes:
    """Run a lab from its start to its verdict.

    Args:
        spec: the lab, checked.
        options: how to run it.
        recorder: is told everything.
        captures: gives the sink of a capture by its name.
        progress: called with what the lab is doing now.
        trace: takes the lines of the trace; None forgets it.
        coverage: takes what kernels have counted, see `Coverage.collect`; None forgets it.

    Raises:
        HostError, GuestError: it could not be run to its end; what was
            recorded stays.
    """
    progress("booting")
    with World(spec, options, recorder) as world:
        if spec.limits.virtual_ns is not None:
            world.end_by(spec.limits.virtual_ns)
        return LabRun(
            world,
            recorder,
            captures=captures,
            progress=progress,
            trace=trace,
            coverage=coverage,
        ).run()
