# SPDX-License-Identifier: Apache-2.0
"""What a search found, as it finds it, as tables and as JSON."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from windtunnel.engine.search import Found, SearchProgress, SearchRequest, SearchResult
from windtunnel.engine.shrink import ShrinkProgress, Shrunk
from windtunnel.errors import WindtunnelError
from windtunnel.model.fault import Fault
from windtunnel.model.faultwords import fault_words
from windtunnel.model.lab import LabSpec
from windtunnel.store.layout import LAB
from windtunnel.ui import screen
from windtunnel.ui.report import short
from windtunnel.ui.screen import Row, time_text

_NAME_COLUMNS = 14


class SearchReport:
    """Gathers what a search finds, and says it to people at once.

    Attributes:
        result: of the search; None until it has ended.
        cut_short: what ended it, or shrinking, before its time.
    """

    def __init__(self, request: SearchRequest, *, show: bool) -> None:
        """Begin.

        Args:
            request: what is searched.
            show: whether to write for people.
        """
        self._request = request
        self._show = show
        self._shrunk: dict[int, Shrunk] = {}
        self.result: SearchResult | None = None
        self.cut_short: KeyboardInterrupt | WindtunnelError | None = None

    @property
    def found(self) -> tuple[Found, ...]:
        """The seeds that fail."""
        return () if self.result is None else self.result.found

    def progress(self) -> Progress:
        """Give the live line of what goes on now."""
        return Progress(screen.err(), self._request, show=self._show)

    def searched(self, result: SearchResult) -> None:
        """Take what the search came to."""
        self.result = result
        self.cut_short = result.cut_short
        if self._show and result.found:
            screen.print_table(
                ("seed", "what failed", "recorded in"),
                [Row((str(one.seed), str(one.failure), short(one.path))) for one in result.found],
                right=(0,),
            )

    def to_shrink(self) -> list[Found]:
        """One failure of each kind; none if the search was cut short."""
        if self.cut_short is not None:
            return []
        first = {one.failure: one for one in reversed(self.found)}
        return sorted(first.values(), key=lambda one: one.seed)

    def shrunk_of(self, found: Found) -> Shrunk | None:
        """What a failure was shrunk to; None if it was not tried, or not to its end."""
        return self._shrunk.get(found.seed)

    def shrunk(self, found: Found, shrunk: Shrunk) -> None:
        """Take what a failure was shrunk to."""
        self._shrunk[found.seed] = shrunk
        if self._show:
            _print_shrunk(found, shrunk, self._request.lab(found.seed))

    def to_json(self) -> dict[str, Any]:
        """Give it as JSON values."""
        assert self.result is not None, "the search has ended"
        seeds = self._request.seeds
        return {
            "lab": self._request.name,
            "seeds": {"first": seeds[0], "last": seeds[-1], "tried": self.result.tried},
            "wall_host_s": round(self.result.wall_host_s, 3),
            "complete": self.cut_short is None,
            "failures": [self._failure_json(one) for one in self.found],
        }

    def _failure_json(self, found: Found) -> dict[str, Any]:
        shrunk = self.shrunk_of(found)
        return {
            "seed": found.seed,
            "checks": list(found.failure.checks),
            "error": found.failure.error,
            "path": str(found.path),
            "repeat": found.repeat,
            "shrunk": None if shrunk is None else _shrunk_json(shrunk),
        }


def _shrunk_json(shrunk: Shrunk) -> dict[str, Any]:
    return {
        "repeats": shrunk.path is not None,
        "trials": shrunk.trials,
        "complete": shrunk.complete,
        "stop_ns": shrunk.spec.stop_ns,
        "faults": [
            {
                "at_ns": fault.at_ns,
                "for_ns": fault.for_ns,
                "name": fault.name,
                "target": fault_words(fault.action)[0],
                "what": fault_words(fault.action)[1],
            }
            for fault in shrunk.spec.faults
        ],
        "path": None if shrunk.path is None else str(shrunk.path),
        "lab": None if shrunk.path is None else str(shrunk.path / LAB),
        "repeat": shrunk.repeat,
        "lapsed": shrunk.lapsed,
    }


def print_end(report: SearchReport) -> None:
    """Write what it all comes to."""
    result = report.result
    assert result is not None, "the search has ended"
    console = screen.out()
    count = "1 seed" if result.tried == 1 else f"{result.tried} seeds"
    rate = f"{result.wall_host_s:.0f} s, {_rate(result.tried, result.wall_host_s)}"
    console.print()
    if not result.found:
        verdict = "no seed fails" if report.cut_short is None else "no seed has failed so far"
        console.print(Text(f"{verdict}: {count} in {rate}", "bold green"))
        return
    failed = "1 seed fails" if len(result.found) == 1 else f"{len(result.found)} seeds fail"
    console.print(Text(f"{failed}: {count} in {rate}", "bold red"))
    for found in result.found:
        if report.shrunk_of(found) is None:
            _print_fact("repeat it", f"{found.repeat}  (seed {found.seed})")


def _print_shrunk(found: Found, shrunk: Shrunk, original: LabSpec) -> None:
    console = screen.out()
    console.print()
    if shrunk.path is None:
        console.print(Text(f"seed {found.seed} does not fail again: {shrunk.lapsed}", "bold red"))
        console.print(
            "Something of the host reaches this lab, so nothing can be shrunk; `windtunnel\n"
            "verify` names what differs. The run as it failed is kept."
        )
        _print_fact("recorded in", short(found.path))
        _print_fact("repeat it", found.repeat)
        return
    trials = "1 trial" if shrunk.trials == 1 else f"{shrunk.trials} trials"
    before, after = len(original.faults), len(shrunk.spec.faults)
    limit = "" if shrunk.complete else "; more trials may find less"
    console.print(f"seed {found.seed}, {trials}: {before} faults shrunk to {after}{limit}")
    if shrunk.spec.faults:
        console.print()
        screen.print_table(
            ("at", "fault", "of", "for"), [_fault(one) for one in shrunk.spec.faults], right=(0, 3)
        )
    console.print()
    _print_fact("what fails", str(found.failure))
    _print_fact("stops at", _stop(original, shrunk.spec))
    _print_fact("its lab", short(shrunk.path / LAB))
    _print_fact("repeat it", f"{shrunk.repeat}  (seed {found.seed})")


def _fault(fault: Fault) -> Row:
    target, what = fault_words(fault.action)
    lasts = "" if fault.for_ns is None else time_text(fault.for_ns)
    return Row((time_text(fault.at_ns), what, target, lasts))


def _stop(original: LabSpec, shrunk: LabSpec) -> str:
    def text(spec: LabSpec) -> str:
        return "its last step" if spec.stop_ns is None else time_text(spec.stop_ns)

    if original.stop_ns == shrunk.stop_ns:
        return text(shrunk)
    return f"{text(shrunk)}, instead of {text(original)}"


def _print_fact(name: str, value: str) -> None:
    screen.out().print(f"{name:{_NAME_COLUMNS}}{value}")


def _rate(count: int, host_s: float) -> str:
    return f"{count * 60 / host_s:.0f} a minute" if host_s > 0 else "at once"


class Progress:
    """A live line on a terminal; a context manager that wipes it at its end."""

    def __init__(self, console: Console, request: SearchRequest, *, show: bool) -> None:
        self._request = request
        self._live = (
            Live(console=console, auto_refresh=False, transient=True)
            if show and console.is_terminal
            else None
        )

    def search(self, now: SearchProgress) -> None:
        """Show how far the search has come."""
        seeds = self._request.seeds
        self._draw(
            f"seed {now.done} of {seeds.stop - seeds.start}, {now.failed} failed, "
            f"{_rate(now.done, now.wall_host_s)}"
        )

    def shrink(self, now: ShrinkProgress) -> None:
        """Show how far shrinking has come."""
        stop = "" if now.stop_ns is None else f", {time_text(now.stop_ns)}"
        self._draw(
            f"shrinking, trying {now.doing}: {now.trials} trials, {now.faults} faults left{stop}"
        )

    def _draw(self, text: str) -> None:
        if self._live is not None:
            head = Text(f"{self._request.name}  ", "bold", no_wrap=True, overflow="ellipsis")
            self._live.update(head.append(text, "not bold"), refresh=True)

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()
