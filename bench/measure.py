# SPDX-License-Identifier: Apache-2.0
"""What a measurement is: wall time, processor time and virtual time of some work.

Processor time of guests is that of our children. The supervisor between us and
a guest reaps everything of it, so all of it has arrived once the world is closed.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent


class NotHereError(Exception):
    """This machine cannot do a measurement; the text says why."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement.

    Attributes:
        wall_s: what a user waits for.
        own_cpu_s: processor time of this process; None when it is in `guest_cpu_s`.
        guest_cpu_s: processor time of guests (of all children).
        virtual_ns: virtual time that passed; None when there is none.
        value: what was measured, where it is not the wall time.
        note: what a reader must know to compare it.
    """

    wall_s: float
    own_cpu_s: float | None
    guest_cpu_s: float
    virtual_ns: int | None = None
    value: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        name: for `--only`.
        what: was measured, for people.
        work: does it once.
        times: how often, if nobody says otherwise.
        target: what must be reached, in `unit`; None when nothing was promised.
        unit: "s" for wall time; otherwise that of `Sample.value`.
    """

    name: str
    what: str
    work: Callable[[], Sample]
    times: int = 5
    target: float | None = None
    unit: str = "s"


@dataclass(frozen=True, slots=True)
class Measured:
    """A row and its samples; `failure` says why there are none."""

    row: Row
    samples: tuple[Sample, ...]
    failure: str = ""

    def values(self) -> list[float]:
        """What the target is about, of each sample."""
        return [sample.wall_s if sample.value is None else sample.value for sample in self.samples]

    @property
    def met(self) -> bool | None:
        """Whether the median reaches the target; None when there is none."""
        if self.row.target is None or not self.samples:
            return None
        return statistics.median(self.values()) <= self.row.target


class Stopwatch:
    """Measures from its creation to `stop`."""

    def __init__(self) -> None:
        self._guest_s = _children_cpu_s()
        self._own_s = time.process_time()
        self._wall_s = time.perf_counter()

    def lap_s(self) -> float:
        """Wall time until now."""
        return time.perf_counter() - self._wall_s

    def stop(
        self,
        *,
        wall_s: float | None = None,
        virtual_ns: int | None = None,
        value: float | None = None,
        note: str = "",
    ) -> Sample:
        """Make the sample; call it when all children have ended."""
        return Sample(
            self.lap_s() if wall_s is None else wall_s,
            time.process_time() - self._own_s,
            _children_cpu_s() - self._guest_s,
            virtual_ns,
            value,
            note,
        )


def _children_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def of_process(argv: Sequence[str], *, folder: Path | None = None) -> tuple[Sample, str]:
    """Run a program to its end; its processor time holds ours and the guest's.

    Returns:
        The sample, and what it printed.

    Raises:
        NotHereError: it failed.
    """
    source = {"PYTHONPATH": str(REPOSITORY / "src")}
    watch = Stopwatch()
    done = subprocess.run(
        argv,
        cwd=folder or REPOSITORY,
        env={**os.environ, **source},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    sample = watch.stop()
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise NotHereError(f"status {done.returncode}: {said[-1] if said else 'no word'}")
    return Sample(sample.wall_s, None, sample.guest_cpu_s), done.stdout


def windtunnel(*arguments: str, folder: Path | None = None) -> tuple[Sample, str]:
    """Run our program as a user does."""
    return of_process([sys.executable, "-m", "windtunnel", *arguments], folder=folder)


def last_json(text: str) -> dict[str, object]:
    """The document that a command with `--json` printed."""
    document = json.loads(text)
    assert isinstance(document, dict)
    return document
