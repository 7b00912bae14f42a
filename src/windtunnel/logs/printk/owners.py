# SPDX-License-Identifier: Apache-2.0
"""Names of the tasks that print: what "T123" was called when it printed.

Numbers of tasks are used again, and a task changes its name when it executes a
program, so a name holds from the time when it was learned.
"""

from __future__ import annotations

import re
from bisect import bisect_right, insort

# The kernel's reports say who is running: "CPU: 0 PID: 367 Comm: sh Not tainted …". Since
# Linux 6.11 there is a user's number between; names of up to 15 bytes may hold blanks.
_WHO = re.compile(
    r"PID: (\d{1,10}) (?:UID: \d+ )?Comm: (.{1,15}?) (?:Not tainted|Tainted: )", re.ASCII
)
_IDLE = "swapper"  # one for each processor, all with number 0


class Owners:
    """Names of tasks by number and time."""

    def __init__(self) -> None:
        self._names: dict[int, list[tuple[int, str]]] = {}

    def learn(self, task: int, name: str, since_micros: int) -> None:
        """Take a fact: a fork, an exec, a table of processes.

        Args:
            task: its number in the kernel's first namespace.
            name: as in /proc/PID/comm.
            since_micros: microseconds since boot from which on it is so called.
        """
        insort(self._names.setdefault(task, []), (since_micros, name))

    def learn_from(self, text: str, micros: int) -> None:
        """Take what a line of the log says about who runs."""
        if "Comm: " in text and (match := _WHO.search(text)):
            self.learn(int(match[1]), match[2], micros)

    def name(self, caller: str, micros: int) -> str:
        """Name a caller.

        A name that was learned only later is given too: there is none better.

        Args:
            caller: "T123" or "C0".
            micros: when it printed.

        Returns:
            Empty when nothing is known, and for processors.
        """
        if not caller.startswith("T"):
            return ""
        task = int(caller[1:])
        names = self._names.get(task)
        if not names:
            return _IDLE if task == 0 else ""
        at = bisect_right(names, micros, key=lambda known: known[0])
        return names[max(at - 1, 0)][1]
