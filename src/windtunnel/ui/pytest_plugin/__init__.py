# SPDX-License-Identifier: Apache-2.0
"""The pytest plugin: labs in tests, and lab files as tests.

pytest imports this at every start, of whatever tests: nothing that is slow to
import is imported before a test asks for a lab.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from windtunnel.engine.cells import LabCell
    from windtunnel.engine.lab import Lab
    from windtunnel.engine.session import Session
    from windtunnel.engine.world import World
    from windtunnel.ui.pytest_plugin.labtest import LabTest

CELLS_MAX = 1000
"""So many tests may one test become, unless the ini file says otherwise: more is a mistake."""

_MARKER = (
    "lab(file=None, *, seed=None, only=(), no=(), cover=None, kernel=None, stop=None, "
    "schedule=True): the windtunnel lab of this test; the file is looked for beside the test's own"
)
_RANDOM = "random"
_SEED = pytest.StashKey[int | None]()
_LAB_TEST = pytest.StashKey["LabTest"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add our options and settings."""
    group = parser.getgroup("windtunnel")
    group.addoption(
        "--windtunnel-seed",
        metavar="N|random",
        help="seed of all labs, in place of their own; what is random is printed",
    )
    group.addoption(
        "--windtunnel-kernel",
        metavar="NAME",
        help='kernel of all labs: "newest", a version, a key or a path',
    )
    group.addoption(
        "--windtunnel-runs",
        metavar="DIR",
        help="record runs there (also an ini setting); pytest's temporary folder otherwise",
    )
    group.addoption(
        "--windtunnel-trust-guest",
        action="store_true",
        help="run guests unconfined: they can do to your files what you can",
    )
    parser.addini("windtunnel_runs", "folder of all runs", default="")
    parser.addini("windtunnel_read", "more that guests may read", type="paths", default=[])
    parser.addini("windtunnel_labs", "lab files that are tests: glob patterns", type="args")
    parser.addini("windtunnel_cells_max", "cells that a test may have", default=str(CELLS_MAX))


def pytest_configure(config: pytest.Config) -> None:
    """Settle the seed, once for all workers of pytest-xdist."""
    config.addinivalue_line("markers", _MARKER)
    drawn: int | None = getattr(config, "workerinput", {}).get("windtunnel_seed")
    config.stash[_SEED] = _seed(config.getoption("--windtunnel-seed")) if drawn is None else drawn


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of pytest-xdist the seed."""
    node.workerinput["windtunnel_seed"] = node.config.stash[_SEED]


def _seed(text: str | None) -> int | None:
    if text is None:
        return None
    if text == _RANDOM:
        import secrets  # noqa: PLC0415, TID251 - the user asks for another one each time

        return secrets.randbits(32)
    if not text.isascii() or not text.isdecimal() or int(text) >= 1 << 64:
        raise pytest.UsageError(
            f'--windtunnel-seed {text!r}: a seed is a whole number from 0 to 2^64 - 1, or "random"'
        )
    return int(text)


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say which seed and kernel were asked for; nothing if none was."""
    seed, kernel = config.stash[_SEED], config.getoption("--windtunnel-kernel")
    said = [] if seed is None else [f"seed {seed} (--windtunnel-seed {seed})"]
    said += [] if kernel is None else [f"kernel {kernel}"]
    return f"windtunnel: {', '.join(said)}" if said else None


def option_seed(config: pytest.Config) -> int | None:
    """The seed that was asked for, in place of every lab's; None if none was."""
    return config.stash[_SEED]


def settings_words(config: pytest.Config) -> list[str]:
    """The options of ours, but the seed, that a command has to repeat."""
    words = []
    for option in ("--windtunnel-kernel", "--windtunnel-runs"):
        value = config.getoption(option)
        words += [] if value is None else [option, value]
    trust = "--windtunnel-trust-guest"
    return [*words, trust] if config.getoption(trust) else words


# ---- cells ----


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one test of each cell of a lab that has parameters."""
    if "lab_cell" not in metafunc.fixturenames:
        return
    from windtunnel.errors import WindtunnelError  # noqa: PLC0415
    from windtunnel.ui.pytest_plugin import cells  # noqa: PLC0415

    try:
        chosen = cells.chosen_cells(metafunc.definition, metafunc.config.stash[_SEED])
    except WindtunnelError as error:
        from windtunnel.ui.pytest_plugin.explain import error_words  # noqa: PLC0415

        text = f"{metafunc.definition.nodeid}: the marker lab: {error_words(error)}"
        raise pytest.Collector.CollectError(text) from None
    if chosen is not None:
        ids = [cell.name for cell in chosen]
        metafunc.parametrize("lab_cell", chosen, ids=ids, indirect=True)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Take the lab files that the setting `windtunnel_labs` names for tests."""
    patterns = parent.config.getini("windtunnel_labs")
    if not patterns:
        return None
    from windtunnel.ui.pytest_plugin import labfiles  # noqa: PLC0415

    return labfiles.collect(file_path, parent, patterns)


# ---- fixtures ----


@pytest.fixture
def lab_cell(request: pytest.FixtureRequest) -> LabCell | None:
    """The cell of the marked lab file, with its `params`; None where no file is marked."""
    cell: LabCell | None = getattr(request, "param", None)
    if cell is None:
        from windtunnel.ui.pytest_plugin import cells  # noqa: PLC0415
        from windtunnel.ui.pytest_plugin.labtest import as_failure  # noqa: PLC0415

        with as_failure():
            return cells.single_cell(request.node, request.config.stash[_SEED])
    return cell


@pytest.fixture
def lab(lab_cell: LabCell | None, _lab_test: LabTest) -> Lab:
    """The marked lab file as a lab that can be edited, or an empty lab.

    Override it in a module to describe its lab: `start_lab`, `run_lab` and `world`
    take what it returns.
    """
    return _lab_test.read(lab_cell)


@pytest.fixture
def start_lab(_lab_test: LabTest) -> Callable[[Lab], World]:
    """Start a lab; its world ends with the test, and its run is recorded."""
    return _lab_test.start


@pytest.fixture
def world(lab: Lab, _lab_test: LabTest) -> World:
    """The lab, running; what the lab file does happens while the test lets time pass."""
    return _lab_test.start_described(lab)


@pytest.fixture
def run_lab(lab: Lab, _lab_test: LabTest) -> Callable[[], Session]:
    """Run the lab by its own schedule to its verdict; fails with its first finding."""
    return lambda: _lab_test.run(lab)


@pytest.fixture
def _lab_test(request: pytest.FixtureRequest) -> Iterator[LabTest]:
    test = begin(request.node)
    yield test
    test.end()


def begin(item: pytest.Item) -> LabTest:
    """Begin the labs of a test."""
    from windtunnel.ui.pytest_plugin.labtest import LabTest  # noqa: PLC0415

    test = LabTest(item, seed=item.config.stash[_SEED])
    item.stash[_LAB_TEST] = test
    return test


# ---- what a test came to ----


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    """Leave our own code out of tracebacks."""
    try:
        yield
    except Exception as error:
        _shorten_traceback(item, error)
        raise


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Fail a test whose lab has found something wrong; tracebacks as above."""
    try:
        yield
        if _LAB_TEST in item.stash:
            item.stash[_LAB_TEST].check()
    except Exception as error:
        _shorten_traceback(item, error)
        raise


# No context manager: that would put the traceback back.
def _shorten_traceback(item: pytest.Item, error: Exception) -> None:
    if _LAB_TEST in item.stash:
        from windtunnel.ui.pytest_plugin.labtest import without_our_frames  # noqa: PLC0415

        without_our_frames(error)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Say which lab it was, what was printed last and how to repeat it, if it failed."""
    report = yield
    test = item.stash.get(_LAB_TEST, None)
    if test is not None and call.when != "teardown":
        error = None if call.excinfo is None else call.excinfo.value
        if call.when == "call" or error is not None:
            test.note_verdict(error)
        if report.failed:
            test.explain(report)
    return report
