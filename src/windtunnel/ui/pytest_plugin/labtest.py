# SPDX-License-Identifier: Apache-2.0
"""One test's labs: their runs from the first to the last, and what to say of them."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType

import pytest

import windtunnel
from windtunnel.engine.cells import LabCell, LabCells
from windtunnel.engine.driven import DrivenRun
from windtunnel.engine.hooks import host_hooks
from windtunnel.engine.kernel import default_kernel
from windtunnel.engine.lab import Lab
from windtunnel.engine.run import Check
from windtunnel.engine.session import RUNS, Session, SessionRequest, run_session
from windtunnel.engine.world import World, WorldOptions
from windtunnel.errors import InternalError, UsageError, WindtunnelError
from windtunnel.model.lab import LabSpec
from windtunnel.model.units import format_duration
from windtunnel.ui.pytest_plugin import settings_words
from windtunnel.ui.pytest_plugin.cells import marked_cells
from windtunnel.ui.pytest_plugin.explain import Told, error_words, explanation
from windtunnel.ui.pytest_plugin.marker import LabMark, lab_mark

_OURS = str(Path(windtunnel.__file__).parent) + os.sep


class LabTest:
    """The labs of one test."""

    def __init__(self, item: pytest.Item, *, seed: int | None) -> None:
        """Begin.

        Args:
            item: the test.
            seed: in place of the labs' own.
        """
        self._item = item
        self._seed = seed
        self._driven: list[DrivenRun] = []
        self._told: list[Told] = []
        self._cell: LabCell | None = None
        self._verdict: BaseException | None = KeyboardInterrupt()  # until it is known

    # ---- what a test does ----

    def read(self, cell: LabCell | None) -> Lab:
        """Read the marked lab file, or begin an empty lab."""
        with as_failure():
            mark = lab_mark(self._item)
            cells = marked_cells(self._item, self._seed)
            if cells is not None and cell is not None:
                self._cell = cell
                return Lab.from_spec(cells.spec(cell))
            seed = mark.seed if self._seed is None else self._seed
            return Lab(_lab_name(self._item), seed=seed or 0)

    def start_described(self, lab: Lab) -> World:
        """Start a lab before the test begins, if it has been described."""
        with as_failure():
            if not lab.spec().nodes:
                raise UsageError(
                    "this test asks for a world and has no lab",
                    hint='mark it, @pytest.mark.lab("lab.yaml"), '
                    "or describe its lab in a fixture `lab`",
                )
            return self.start(lab)

    def start(self, lab: Lab) -> World:
        """Start a lab; it ends with the test.

        Raises:
            WindtunnelError: as `Lab.start`.
        """
        mark = lab_mark(self._item)
        command = self.pytest_command(lab)
        request = replace(self._request(lab, mark), repeat=command, driver="pytest")
        run = DrivenRun(
            request,
            schedule=mark.schedule,
            begun=lambda path: self._note(path, request.spec, None, [command]),
        )
        self._driven.append(run)
        self._told[-1] = replace(self._told[-1], end=run.world)
        return run.world

    def run(self, lab: Lab) -> Session:
        """Run a lab by its own schedule; fail the test with its first finding.

        Raises:
            WindtunnelError: the lab could not be run to its end.
        """
        request = self._request(lab, lab_mark(self._item))
        session = run_session(request)
        end_ns = None if session.outcomes is None else session.outcomes.end_ns
        commands = [self.pytest_command(lab), session.repeat]
        self._note(session.path, request.spec, end_ns, commands)
        if session.error is not None:
            raise session.error
        failed = [check for check in session.checks if check.judged and not check.passed]
        if failed:
            pytest.fail(findings_text(failed), pytrace=False)
        return session

    def run_cell(self, cells: LabCells, cell: LabCell) -> Session:
        """Run one cell of a lab file; as `run`."""
        self._cell = cell
        return self.run(Lab.from_spec(cells.spec(cell)))

    def check(self) -> None:
        """Fail a test that has passed while a check of its lab file failed."""
        failed = [check for run in self._driven for check in run.failed_checks]
        if failed:
            pytest.fail(findings_text(failed), pytrace=False)

    # ---- what it is run with ----

    def _request(self, lab: Lab, mark: LabMark) -> SessionRequest:
        spec = lab.spec()
        if mark.schedule and host_hooks(spec):
            raise UsageError(
                f"the lab {spec.name} has hooks on this machine, and tests do not run them",
                hint="do in a fixture what they do, and mark the test schedule=False; "
                "or run it with: windtunnel run --hooks",
            )
        if self._seed is not None:
            spec = replace(spec, seed=self._seed)
        config = self._item.config
        wanted = config.getoption("--windtunnel-kernel") or mark.kernel
        options = WorldOptions(
            kernel=default_kernel(wanted),
            read=tuple(config.getini("windtunnel_read")),
            trust_guest=config.getoption("--windtunnel-trust-guest"),
        )
        return SessionRequest(
            spec, options, source_text=spec.source or None, base=_runs_folder(config)
        )

    def pytest_command(self, lab: Lab) -> str:
        """The command that repeats this test with a lab's seed."""
        config = self._item.config
        path = os.path.relpath(self._item.path, config.invocation_params.dir)
        names = str(self._item.nodeid).partition("::")[2]
        seed = lab.spec().seed if self._seed is None else self._seed
        words = [f"{path}::{names}", "--windtunnel-seed", str(seed), *settings_words(config)]
        return shlex.join(["pytest", *words])

    # ---- how it ended ----

    def note_verdict(self, error: BaseException | None) -> None:
        """Take note of what the test failed with; None if it did not."""
        skipped = isinstance(error, pytest.skip.Exception)
        self._verdict = None if skipped else error

    def end(self) -> None:
        """End all worlds, each whatever happens to another."""
        with as_failure(), ExitStack() as stack:
            for run in self._driven:
                stack.callback(run.end, self._verdict)

    def explain(self, report: pytest.TestReport) -> None:
        """Add to a failure's report what the labs did."""
        longrepr = report.longrepr
        for told in self._told:
            title, text = "windtunnel", explanation(told)
            # Not among report.sections, which --show-capture=no hides.
            if isinstance(longrepr, str):
                report.longrepr = longrepr = f"{longrepr}\n{title:-^80}\n{text}"
                continue
            add = getattr(longrepr, "addsection", None)
            if add is None:
                report.sections.append((title, text))
            else:
                add(title, text)

    def _note(
        self, path: Path, spec: LabSpec, end: World | int | None, commands: list[str]
    ) -> None:
        cell = "" if self._cell is None or not self._cell.params else self._cell.name
        self._told.append(Told(path, spec.name, spec.seed, cell, end, tuple(commands)))
        self._item.user_properties.append(("windtunnel_run", str(path)))


@contextmanager
def as_failure() -> Iterator[None]:
    """Fail with an error's message alone: its traceback has nothing but our own code."""
    __tracebackhide__ = True
    try:
        yield
    except InternalError:
        raise
    except WindtunnelError as error:
        raise pytest.fail.Exception(error_words(error), pytrace=False) from None


def without_our_frames(error: BaseException | None) -> None:
    """Take our own code out of the traceback of an error that is not our bug."""
    while error is not None:
        if isinstance(error, WindtunnelError) and not isinstance(error, InternalError):
            error.__traceback__ = _others(error.__traceback__) or error.__traceback__
            error.__cause__, error.__suppress_context__ = None, True
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _others(trace: TracebackType | None) -> TracebackType | None:
    """A traceback without the frames of this package."""
    if trace is None:
        return None
    rest = _others(trace.tb_next)
    if trace.tb_frame.f_code.co_filename.startswith(_OURS):
        return rest
    return TracebackType(rest, trace.tb_frame, trace.tb_lasti, trace.tb_lineno)


def findings_text(failed: Sequence[Check]) -> str:
    """Word what a lab found: the first check that failed, and how many more there are."""
    first = failed[0]
    where = f"node {first.node}, " if first.node else ""
    time_ns = first.at_ns + first.took_ns
    head = f"{where}at {format_duration(time_ns) if time_ns else '0 s'}: {first.name}"
    lines = [f"{head}: {first.message}" if first.message else head]
    if len(failed) > 1:
        lines.append(f"and {len(failed) - 1} more: {', '.join(one.name for one in failed[1:])}")
    return "\n".join(lines)


def _lab_name(item: pytest.Item) -> str:
    """A name for the lab that a test describes itself: the test's own, as a lab's may be."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", item.name).strip("-.") or "lab"


def _runs_folder(config: pytest.Config) -> Path:
    given = config.getoption("--windtunnel-runs")
    if given is not None:
        return Path(config.invocation_params.dir, given)
    setting = config.getini("windtunnel_runs")
    factory: pytest.TempPathFactory | None = getattr(config, "_tmp_path_factory", None)
    if setting or factory is None:
        return Path(config.rootpath, setting or RUNS)
    return factory.getbasetemp() / "windtunnel"
