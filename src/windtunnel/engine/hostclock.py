# SPDX-License-Identifier: Apache-2.0
"""The host's clocks. The only module that may read them.

Nothing that is read here may reach a result: it serves watchdogs, progress and
the manifest's record of when and how fast a run was.
"""

from __future__ import annotations

import os
import time


def monotonic_host_s() -> float:
    """Seconds since some point, never going back."""
    return time.monotonic()


def cpu_host_s() -> float:
    """Processor seconds of this process and the children that it has reaped, and theirs."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
