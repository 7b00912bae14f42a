# SPDX-License-Identifier: Apache-2.0
"""What a terminal shows while a lab runs: virtual time, speed, the present step.

No thread draws it: it is drawn when the engine calls, so that nothing runs
beside the one loop.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from windtunnel.engine.hostclock import monotonic_host_s
from windtunnel.ui.screen import speed_text, time_text

BAR_COLUMNS = 24
BOOTING = "booting"
"""What `run_lab` tells first."""
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
        # before time zero the picture says it in its own words
        self._doing = "" if doing == BOOTING else doing
        self._draw()

    def _draw(self) -> None:
        if self._live is not None:
            self._live.update(self._picture(), refresh=True)

    def _picture(self) -> Group:
        now_ns = self._now_ns
        head = Text(self._lab, "bold", no_wrap=True, overflow="ellipsis")
        if now_ns is None or now_ns < 0:
            return Group(head.append(f"  {BOOTING}" if now_ns is None else "  setting up", "dim"))
        if self._stop_ns:
            head.append("  ").append_text(_bar(now_ns, self._stop_ns))
            head.append(f"  {time_text(now_ns)} of {time_text(self._stop_ns)}", "not bold")
        else:
            head.append(f"  {time_text(now_ns)}", "not bold")
        below = Text("  ", no_wrap=True, overflow="ellipsis")
        below.append(self._speed(now_ns), "cyan").append(self._doing, "dim")
        return Group(head, below)

    def _speed(self, now_ns: int) -> str:
        if self._began_host_s is None:
            return ""
        host_s = monotonic_host_s() - self._began_host_s
        return f"{speed_text(now_ns, host_s)}  " if host_s > _SPEED_AFTER_HOST_S else ""

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


def _bar(now_ns: int, stop_ns: int) -> Text:
    done = min(BAR_COLUMNS, BAR_COLUMNS * now_ns // stop_ns)
    return Text("━" * done, "green").append("─" * (BAR_COLUMNS - done), "dim")
