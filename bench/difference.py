# SPDX-License-Identifier: Apache-2.0
"""`python -m bench.difference`: two runs of a million events each, compared.

In the first pair one event near the end differs; in the second every event is a
nanosecond later. Prints processor time and memory of the whole process, and of reading
both files without looking at them. The first pair is a row of `python -m bench` as well.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.measure import Row, Sample

CHILD = """
import resource, sys
from pathlib import Path
from windtunnel.store.diff.runs import diff_runs
from windtunnel.store.diff.events import Wanted
found = diff_runs(Path(sys.argv[1]), Path(sys.argv[2]), Wanted())
used = resource.getrusage(resource.RUSAGE_SELF)
print(used.ru_utime + used.ru_stime, used.ru_maxrss // 1024, found.events.equal)
"""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--events", type=int, default=1_000_000)
    count = parser.parse_args().events
    with tempfile.TemporaryDirectory(prefix="windtunnel-bench-") as name:
        base = Path(name)
        a = _write(base / "a", count)
        for what, b in (
            ("one event near the end", _write(base / "b", count, other=count - 10)),
            ("each a nanosecond later", _write(base / "c", count, shift_ns=1)),
        ):
            cpu_s, peak_mb = _compared(a, b)
            print(f"{what:26} 2 x {count:,} events  {cpu_s:6.1f} CPU s  {peak_mb:>5} MiB")
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        subprocess.run(["cmp", "-s", a / "events.jsonl", b / "events.jsonl"], check=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        print(f"{'cmp of the two files':26} {after - before:.2f} CPU s")


def compared() -> Sample:
    """Compare two runs of a million events that differ near the end."""
    count = 1_000_000
    with tempfile.TemporaryDirectory(prefix="windtunnel-bench-") as name:
        a = _write(Path(name) / "a", count)
        b = _write(Path(name) / "b", count, other=count - 10)
        began = time.monotonic()
        cpu_s, peak_mb = _compared(a, b)
        wall_s = time.monotonic() - began
    return Sample(wall_s, cpu_s, 0.0, value=cpu_s, note=f", {peak_mb} MiB")


ROWS = (Row("diff", "two runs of 1,000,000 events, compared", compared, 3, 10.0, "CPU s"),)


def _compared(a: Path, b: Path) -> tuple[float, int]:
    """Processor time and memory in MiB of a process that compares two runs."""
    cpu_s, peak_mb, _ = subprocess.run(
        [sys.executable, "-c", CHILD, str(a), str(b)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    return float(cpu_s), int(peak_mb)


def _write(run: Path, count: int, *, other: int = -1, shift_ns: int = 0) -> Path:
    run.mkdir()
    (run / "manifest.json").write_text(json.dumps({"lab": "long", "state": "passed"}))
    with (run / "events.jsonl").open("w") as file:
        for number in range(count):
            node, size = number % 20, 7 if number == other else number % 97
            file.write(
                f'{{"fields":{{"process":"p","size_bytes":{size},"stream":"stdout"}},'
                f'"kind":"output","node":"r{node}","sequence":{number},'
                f'"time_ns":{number * 1000 + shift_ns}}}\n'
            )
    return run


if __name__ == "__main__":
    main()
