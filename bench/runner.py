# SPDX-License-Identifier: Apache-2.0
"""What running many cells costs beside the cells themselves: time for each, and memory for all."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.measure import REPOSITORY, NotHereError, Row, Sample, Stopwatch, last_json

LAB = """\
name: trivial
params: {{cell: [{cells}]}}
nodes: {{a: {{}}}}
steps:
  - {{at: 0 s, node: a, cmd: "true", name: "cell ${{cell}}"}}
"""
WARM = 100
"""After so many cells the memory of the runner is taken for the first time."""

_LINE = re.compile(r"\s*(\d+)/\d+ ")


@dataclass(frozen=True, slots=True)
class Ran:
    """How a runner did.

    Attributes:
        sample: of the whole process.
        results: what it printed with `--json`.
        warm_kib, last_kib: its own resident memory after WARM cells, and after the last.
    """

    sample: Sample
    results: dict[str, object]
    warm_kib: int
    last_kib: int


def ran(cells: int, *options: str) -> Ran:
    """Run so many cells of which each does nothing."""
    with tempfile.TemporaryDirectory(prefix="windtunnel-bench-") as folder:
        numbers = ", ".join(map(str, range(cells)))
        (Path(folder) / "lab.yaml").write_text(LAB.format(cells=numbers))
        argv = [sys.executable, "-m", "windtunnel", "run", "lab.yaml", "--json", *options]
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src")}
        resident_kib = [0, 0]
        with (Path(folder) / "out").open("w+") as out:
            watch = Stopwatch()
            with subprocess.Popen(
                argv, cwd=folder, env=environment, stdout=out, stderr=subprocess.PIPE, text=True
            ) as process:
                for line in process.stderr or ():
                    match = _LINE.match(line)
                    if match:
                        kib = _resident_kib(process.pid) or resident_kib[1]
                        resident_kib[1] = kib
                        if int(match[1]) <= WARM:
                            resident_kib[0] = kib
            sample = watch.stop()
            out.seek(0)
            text = out.read()
        if process.returncode:
            raise NotHereError(f"the runner ended with status {process.returncode}")
        results = last_json(text)
    counts = results["counts"]
    if counts != {"passed": cells}:
        raise NotHereError(f"of {cells} cells came {counts}")
    return Ran(sample, results, *resident_kib)


def _resident_kib(pid: int) -> int | None:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    found = re.search(r"VmRSS:\s*(\d+) kB", status)
    return int(found[1]) if found else None


def for_each(cells: int) -> Sample:
    """Wall time of the runner for each cell, one at a time."""
    found = ran(cells, "--jobs", "1")
    sample = found.sample
    return Sample(sample.wall_s, None, sample.guest_cpu_s, value=round(sample.wall_s / cells, 3))


def grown(cells: int) -> Sample:
    """How much the runner's own memory grows between cell WARM and the last, in MiB."""
    found = ran(cells)
    sample = found.sample
    value = round((found.last_kib - found.warm_kib) / 1024, 2)
    rate = f", {cells / sample.wall_s:.1f} cells a second, {found.last_kib / 1024:.0f} MiB in all"
    return Sample(sample.wall_s, None, sample.guest_cpu_s, value=value, note=rate)


ROWS = (
    Row("runner-cell", "a trivial cell, of 50, one at a time", partial(for_each, 50), 3, 0.3),
    Row("runner-memory", "memory that 1,000 cells add", partial(grown, 1000), 1, 4.0, "MiB"),
)
