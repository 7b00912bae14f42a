# SPDX-License-Identifier: Apache-2.0
"""What one sees while cells run: a live table on a terminal, a line for each elsewhere.

As for a single run no thread draws it: it is drawn when the runner calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from windtunnel.engine.cellpool import InFlight
from windtunnel.engine.hostclock import monotonic_host_s
from windtunnel.model.result import CellResult, CellState, CheckResult
from windtunnel.ui.report import state_text
from windtunnel.ui.screen import speed_text, time_text

_ROWS_MAX = 16  # of cells in flight: the table must fit on a small terminal
_MINUTE_S = 60


class CellsProgress:
    """A watcher of a runner; a context manager that wipes the table at its end."""

    def __init__(
        self, console: Console, *, lab: str, planned: int, left: int, jobs: int, show: bool
    ) -> None:
        """Prepare.

        Args:
            console: draws a table when it is a terminal.
            lab: the lab's name.
            planned: how many cells there are in all.
            left: how many of them are to be run.
            jobs: how many at the same time.
            show: whether to show anything.
        """
        self._console = console
        self._lab = lab
        self._planned = planned
        self._left = left
        self._jobs = jobs
        self._show = show
        self._done = 0
        self._failed = 0
        self._began_host_s = monotonic_host_s()
        self._live = (
            Live(console=console, auto_refresh=False, transient=True)
            if show and console.is_terminal
            else None
        )

    def ended(self, result: CellResult, *, again: bool) -> None:
        """Note a try; on a terminal only those that have not passed stay to be seen."""
        if not again:
            self._done += 1
            self._failed += not result.passed
        if self._show and (self._live is None or not result.passed):
            self._console.print(self._line(result))

    def hook(self, check: CheckResult) -> None:
        """Note a hook of the lab."""
        if self._show and not check.passed:
            self._console.print(Text(f"hook {check.name}: {check.message}", "bold red"))

    def beat(self, running: Sequence[InFlight]) -> None:
        """Draw what is being run."""
        if self._live is not None:
            self._live.update(Group(self._head(), self._table(running)), refresh=True)

    def _line(self, result: CellResult) -> Text:
        at = min(self._planned - self._left + self._done, self._planned)
        line = Text(f"{at:{len(str(self._planned))}}/{self._planned}  ", "dim")
        line.append(result.cell, "not dim").append("  ").append_text(state_text(result.state))
        if result.attempt > 1:
            line.append(f" at try {result.attempt}", "yellow")
        if result.end_ns is not None:
            line.append(f"  {time_text(result.end_ns)}", "not dim")
        if result.state is not CellState.INTERRUPTED:
            line.append(f"  {result.wall_host_s:.1f} s", "dim")
        if result.finding and not result.passed:
            line.append(f"  {result.finding}", "dim")
        return line

    def _head(self) -> Text:
        done = min(self._planned - self._left + self._done, self._planned)
        head = Text(f"{self._lab}  ", "bold", no_wrap=True, overflow="ellipsis")
        head.append(f"{done} of {self._planned} cells", "not bold")
        if self._failed:
            head.append(f", {self._failed} not passed", "bold red")
        if self._done:
            host_s = monotonic_host_s() - self._began_host_s
            left_s = host_s / self._done * max(self._left - self._done, 0)
            head.append(f", about {host_time_text(left_s)} left", "dim not bold")
        return head

    def _table(self, running: Sequence[InFlight]) -> Table:
        table = Table(box=None, pad_edge=False, show_header=True, header_style="dim")
        table.add_column("cell", no_wrap=True, overflow="ellipsis")
        table.add_column("state")
        table.add_column("virtual time", justify="right")
        table.add_column("speed", justify="right")
        for one in running[:_ROWS_MAX]:
            now_ns = one.beat.now_ns
            host_s = monotonic_host_s() - one.began_host_s
            state = "booting" if now_ns is None else "setting up" if now_ns < 0 else "running"
            shown = now_ns is not None and now_ns >= 0
            name = one.what.cell.name
            if one.what.attempt > 1:
                name += f" (try {one.what.attempt})"
            table.add_row(
                Text(name),
                Text(state, "cyan"),
                Text(time_text(now_ns) if shown and now_ns is not None else ""),
                Text(speed_text(now_ns, host_s) if shown and now_ns is not None else "", "dim"),
            )
        if len(running) > _ROWS_MAX:
            table.add_row(Text(f"and {len(running) - _ROWS_MAX} more", "dim"))
        return table

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


def host_time_text(host_s: float) -> str:
    """Write host time roughly: "40 s", "3 min", "2 h 10 min"."""
    if host_s < 2 * _MINUTE_S:
        return f"{host_s:.0f} s"
    minutes = round(host_s / _MINUTE_S)
    return f"{minutes} min" if minutes < 2 * _MINUTE_S else f"{minutes // 60} h {minutes % 60} min"
