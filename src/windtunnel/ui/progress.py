# SPDX-License-Identifier: Apache-2.0
"""What a terminal shows while a lab runs: virtual time, speed, the present step.

No thread draws it: it is drawn when the engine calls, so that nothing runs
beside the one loop.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from windtunnel.engine.hostclock import monotonic_host_s
from windtunnel.ui.screen import speed_text, time_text

BAR_COLUMNS = 24
_SPEED_AFTER_HOST_S = 0.5  # a speed measured over less is only noise


class RunProgress:
    """The live lines of one run; a context manager that wipes them at its end."""

    def __init__(self, console: Console, *, lab: str, stop_ns: int | None) -> None:
        """Prepare.

        Args:
            console: draws only when it is a terminal.
            lab: the lab's name.
            stop_ns: when it ends; None when nobody knows.
        """
        self._lab = lab
        self._stop_ns = stop_ns
        self._now_ns: int | None = None
        self._doing = ""
        self._began_host_s: float | None = None
        self._live = (
            Live(console=console, auto_refresh=False, transient=True)
            if console.is_terminal
            else None
        )

    def beat(self, now_ns: int) -> None:
        """Show that lab time has come so far."""
        if now_ns >= 0 and self._began_host_s is None:
            self._began_host_s = monotonic_host_s()
        self._now_ns = now_ns
        self._draw()

    def step(self, doing: str) -> None:
        """Show what the lab does now."""
        self._doing = doing
        self._draw()

    def _draw(self) -> None:
        if self._live is not None:
            self._live.update(self._picture(), refresh=True)

    def _picture(self) -> Table:
        grid = Table.grid(padding=(0, 2))
        now_ns = self._now_ns
        if now_ns is None or now_ns < 0:
            state = "booting" if now_ns is None else "setting up"
            grid.add_row(Text(self._lab, "bold"), Text(state, "dim"))
            return grid
        cells: list[Text | ProgressBar] = [Text(self._lab, "bold")]
        if self._stop_ns:
            done = min(now_ns, self._stop_ns)
            cells.append(ProgressBar(total=self._stop_ns, completed=done, width=BAR_COLUMNS))
            time = f"{time_text(now_ns)} of {time_text(self._stop_ns)}"
        else:
            time = time_text(now_ns)
        grid.add_row(*cells, Text(time), Text(self._speed(now_ns), "cyan"))
        lines = Table.grid()
        lines.add_row(grid)
        lines.add_row(Text(f"  {self._doing}", "dim", overflow="ellipsis", no_wrap=True))
        return lines

    def _speed(self, now_ns: int) -> str:
        if self._began_host_s is None:
            return ""
        host_s = monotonic_host_s() - self._began_host_s
        return speed_text(now_ns, host_s) if host_s > _SPEED_AFTER_HOST_S else ""

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
            self._draw()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()
