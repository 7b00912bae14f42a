# SPDX-License-Identifier: Apache-2.0
"""SQL over millions of events: made into Parquet once, then asked, in little memory.

``python -m bench.store`` writes the events of one long run, asks them in processes
of their own, and prints one table (about two minutes for ten million); the status
is 1 when a group-by takes longer than it may.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

EVENTS = 10_000_000
GROUP_BY_MAX_S = 3.0
MEMORY_BYTES = 512 << 20

NODES = 20
KINDS = ("output", "process-start", "process-exit", "check", "link")

# What is asked, and how long it may take: the first query makes the Parquet file.
QUERIES = (
    ("made into Parquet", "select count(*) from events", None),
    (
        "group by node, kind",
        "select node, kind, count(*), max(time_ns) from events group by all order by all",
        GROUP_BY_MAX_S,
    ),
    (
        "group by time",
        "select time_ns // 60000000000 as minute, count(*) from events group by all order by 1",
        GROUP_BY_MAX_S,
    ),
    (
        "group by a field",
        "select node, sum((fields->>'size_bytes')::bigint) from events group by all order by all",
        GROUP_BY_MAX_S,
    ),
    (
        "sorted, the last ten",
        "select time_ns, node, kind from events order by time_ns desc, sequence desc limit 10",
        None,
    ),
)

CHILD = """
import json, resource, sys, time
from windtunnel import open_runs
with open_runs(sys.argv[1], memory_bytes=int(sys.argv[3])) as runs:
    began = time.perf_counter()
    rows = runs.sql(sys.argv[2]).fetchall()
    took = time.perf_counter() - began
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps([took, peak, len(rows)]))
"""


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--events", type=int, default=EVENTS, help=f"default {EVENTS}")
    parser.add_argument("--folder", type=Path, help="of the runs; a temporary one by default")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="windtunnel-bench-") as temporary:
        base = options.folder or Path(temporary)
        run = base / "long" / "0001"
        if not run.exists():
            began = time.perf_counter()
            _write_run(run, options.events)
            size_mb = (run / "events.jsonl").stat().st_size >> 20
            took = time.perf_counter() - began
            print(f"{options.events} events, {size_mb} MiB of JSON, written in {took:.0f} s")
        print(f"{'query':22} {'s':>7} {'peak MiB':>9}  {'may take':>8}")
        late = False
        for name, query, limit_s in QUERIES:
            took, peak, _rows = _ask(base, query)
            late |= limit_s is not None and took > limit_s
            print(
                f"{name:22} {took:7.2f} {peak >> 20:9}  {'' if limit_s is None else limit_s:>8}",
                flush=True,
            )
        parquet = sum(path.stat().st_size for path in run.glob(".store/*.parquet"))
        print(f"Parquet: {parquet >> 20} MiB; a query may hold {MEMORY_BYTES >> 20} MiB")
    return int(late)


def _write_run(run: Path, count: int) -> None:
    run.mkdir(parents=True)
    (run / "manifest.json").write_text(json.dumps({"schema": 1, "lab": "long", "state": "passed"}))
    with (run / "events.jsonl").open("w") as file:
        for number in range(count):
            file.write(
                f'{{"fields":{{"process":"p{number % 7}","size_bytes":{number * 7919 % 1500},'
                f'"stream":"stdout"}},"kind":"{KINDS[number % 13 % 5]}",'
                f'"node":"r{number * 31 % NODES}","sequence":{number},'
                f'"time_ns":{number * 360_000 + number * 7 % 1000}}}\n'
            )


def _ask(base: Path, query: str) -> tuple[float, int, int]:
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(base), query, str(MEMORY_BYTES)],
        capture_output=True,
        text=True,
        check=True,
    )
    took, peak, rows = json.loads(done.stdout)
    return took, peak, rows


if __name__ == "__main__":
    sys.exit(main())
