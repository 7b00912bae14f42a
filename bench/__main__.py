# SPDX-License-Identifier: Apache-2.0
"""`python -m bench`: everything that was promised about speed, measured, in one table.

Targets are for an idle machine with two cores: look at the load beside them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
from pathlib import Path
from typing import Any

from bench import difference, kernels, native, routers, runner, volumes, worlds
from bench.measure import REPOSITORY, Measured, NotHereError, Row

from windtunnel.engine.kernel import default_kernel
from windtunnel.errors import WindtunnelError

ROWS: tuple[Row, ...] = (
    *worlds.ROWS,
    *kernels.ROWS,
    *routers.ROWS,
    *native.ROWS,
    *volumes.ROWS,
    *runner.ROWS,
    *difference.ROWS,
)
UNKNOWN = "unknown"
HEADINGS = (
    "name", "what", "median", "min - max", "n", "CPU s", "of guest", "virtual s", "x real",
    "target", "",
)  # fmt: skip


def main() -> int:
    """Measure and print."""
    arguments = _parser().parse_args()
    unknown = set(arguments.only) - {row.name for row in ROWS}
    if unknown:
        print(f"bench: no row {min(unknown)!r}", file=sys.stderr)
        print(f"  the rows are {', '.join(row.name for row in ROWS)}", file=sys.stderr)
        return 2
    os.chdir(REPOSITORY)
    # Before anything is measured: afterwards it would tell of our own load.
    machine = _machine()
    measured = []
    for row in ROWS:
        if arguments.only and row.name not in arguments.only:
            continue
        print(f"{row.name} …", file=sys.stderr)
        measured.append(_measure(row, arguments.times))
    if arguments.json:
        print(json.dumps({"machine": machine, "rows": [_to_json(one) for one in measured]}))
    else:
        for key, value in machine.items():
            print(f"{key:13}{value}")
        print()
        _print_table([HEADINGS, *(_cells(one) for one in measured)])
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="of a row")
    parser.add_argument("--times", type=int, metavar="N", help="how often each is measured")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    return parser


def _measure(row: Row, times: int | None) -> Measured:
    samples = []
    for _ in range(times or row.times):
        try:
            samples.append(row.work())
        except (NotHereError, WindtunnelError) as error:
            return Measured(row, (), str(error).splitlines()[0])
    return Measured(row, tuple(samples))


def _machine() -> dict[str, str]:
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    kernel = default_kernel()
    return {
        "processor": names[0] if names else platform.machine(),
        "cores": f"{len(os.sched_getaffinity(0))} that we may use",
        "load average": f"{load} (1, 5, 15 minutes) before the first measurement",
        "host": f"{platform.system()} {platform.release()}",
        "guest": str(kernel.path) if kernel.version == UNKNOWN else f"Linux {kernel.version}",
        "python": platform.python_version(),
    }


def _cells(one: Measured) -> tuple[str, ...]:
    row = one.row
    if not one.samples:
        return (row.name, row.what, one.failure)
    values = one.values()
    own = [sample.own_cpu_s for sample in one.samples]
    guest_s = statistics.median(sample.guest_cpu_s for sample in one.samples)
    own_s = statistics.median(part for part in own if part is not None) if None not in own else None
    virtual_ns = one.samples[0].virtual_ns
    wall_s = statistics.median(sample.wall_s for sample in one.samples)
    return (
        row.name,
        row.what,
        f"{statistics.median(values):.3f} {row.unit}",
        f"{min(values):.3f} - {max(values):.3f}",
        str(len(values)),
        f"{guest_s + (own_s or 0):.2f}",
        "" if own_s is None else f"{guest_s:.2f}",
        "" if virtual_ns is None else f"{virtual_ns / 1e9:.3f}",
        "" if virtual_ns is None else f"{virtual_ns / 1e9 / wall_s:.1f}",
        "" if row.target is None else f"{row.target:g} {row.unit}",
        {None: "", True: "met", False: "MISSED"}[one.met] + one.samples[0].note,
    )


def _print_table(table: list[tuple[str, ...]]) -> None:
    full = [cells for cells in table if len(cells) == len(HEADINGS)]
    widths = [max(len(cells[column]) for cells in full) for column in range(len(HEADINGS))]
    widths[:2] = [max(len(cells[column]) for cells in table) for column in range(2)]
    for cells in table:
        shown = [
            cell.ljust(width) if column < 2 or column == len(HEADINGS) - 1 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(cells, widths, strict=False))
        ]
        print("  ".join(shown).rstrip())


def _to_json(one: Measured) -> dict[str, Any]:
    return {
        "name": one.row.name,
        "what": one.row.what,
        "unit": one.row.unit,
        "target": one.row.target,
        "met": one.met,
        "failure": one.failure or None,
        "samples": [
            {
                "value": sample.wall_s if sample.value is None else sample.value,
                "wall_s": sample.wall_s,
                "own_cpu_s": sample.own_cpu_s,
                "guest_cpu_s": sample.guest_cpu_s,
                "virtual_ns": sample.virtual_ns,
                "note": sample.note,
            }
            for sample in one.samples
        ],
    }


sys.exit(main())
