# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C: once ends the command in good order, twice ends it at once.

Guests die with us whatever we do, and the next start sweeps files: ending at
once leaves nothing behind.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

from windtunnel.errors import ExitStatus

_SHOW_CURSOR = b"\x1b[?25h"


def install() -> None:
    """Handle SIGINT from now on, unless whoever started us has it ignored."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _first)


def install_for_all() -> None:
    """Handle SIGTERM and SIGHUP in the same way: for a command that has much to put in order."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _first)


def _first(_number: int, _frame: FrameType | None) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == _first:
            signal.signal(number, _second)
    raise KeyboardInterrupt


def _second(_number: int, _frame: FrameType | None) -> None:
    # No Python clean-up: it is what the user does not want to wait for.
    if sys.stderr.isatty():
        os.write(2, _SHOW_CURSOR)
    os.write(2, b"\nwindtunnel: ended at once\n")
    os._exit(ExitStatus.INTERRUPTED)
