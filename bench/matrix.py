# SPDX-License-Identifier: Apache-2.0
"""`python -m bench.matrix`: how fast matrices expand, count and give single variants.

`--reference DIR` names a folder with the package `virttest` of another program
that reads the same files: it then runs the same inputs in turn, in processes of
its own, and the ratio is printed. `--tree FILE` adds a file of your own, of which
the first `--first` variants are expanded.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

# Runs in a process of its own: prints variants, keys, CPU seconds and MB.
EXPAND = """
import itertools, json, resource, sys, time
source, file, first = sys.argv[1:4]
sys.path.insert(0, source)
if (sys.argv[4] == "reference"):
    from virttest.cartesian_config import Parser
else:
    from windtunnel.matrix import Parser
parser = Parser(file)
start = time.process_time()
count = keys = 0
for one in itertools.islice(parser.get_dicts(), int(first)):
    count += 1
    keys += len(one)
spent = time.process_time() - start
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
print(json.dumps([count, keys / max(count, 1), spent, memory]))
"""
SOURCE = Path(__file__).parents[1] / "src"


def axes(count: int, values: int, keys: int) -> str:
    """A matrix with so many axes, values for each, and keys for each value."""
    lines = ["base = 1", "image = /images/${base}", "mem = 1024"]
    for axis in range(count):
        lines.append(f"variants a{axis}:")
        for value in range(values):
            lines.append(f"    - v{axis}_{value}:")
            lines += [f"        k{axis}_{key} = value {value} of {key}" for key in range(keys)]
    return "\n".join(lines) + "\n"


PAIRS = "no v0_1..v11_3\nno v3_4..v7_5\nno v2_2..v9_9\nno v5_1..v6_2..v7_3\nonly v1_0, v1_1\n"


def expand(source: Path, file: Path, first: int, kind: str) -> tuple[int, float, float, int]:
    """Expand in a process of its own: variants, keys of each, CPU seconds, MB."""
    done = subprocess.run(
        [sys.executable, "-c", EXPAND, str(source), str(file), str(first), kind],
        check=True,
        capture_output=True,
        text=True,
    )
    count, keys, spent, memory = json.loads(done.stdout)
    return count, keys, spent, memory


def main() -> None:
    """Measure, and print one line for each input."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--reference", type=Path)
    options.add_argument("--tree", type=Path, action="append", default=[])
    options.add_argument("--first", type=int, default=20_000)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        inputs = []
        for name, text in (("10^5, 3 keys", axes(5, 10, 3)), ("3^10, 20 keys", axes(10, 3, 20))):
            file = Path(folder) / f"{len(inputs)}.cfg"
            file.write_text(text)
            inputs.append((name, file, 10**9))
        inputs += [(str(tree), tree, chosen.first) for tree in chosen.tree]
        print(f"{'input':40} {'variants':>9} {'keys':>5} {'CPU s':>8} {'per s':>9} {'MB':>5} ratio")
        for name, file, first in inputs:
            count, keys, spent, memory = expand(SOURCE, file, first, "ours")
            speed = f"{spent:8.2f} {count / spent:9.0f} {memory:5}"
            line = f"{name[-40:]:40} {count:9} {keys:5.0f} {speed}"
            if chosen.reference:
                other = expand(chosen.reference, file, first, "reference")
                assert other[0] == count, "both expand the same"
                line += f" {other[2] / spent:5.1f}  (reference {other[2]:.2f} s, {other[3]} MB)"
            print(line, flush=True)
    _pick()


def _pick() -> None:
    import time  # noqa: PLC0415 - only here

    sys.path.insert(0, str(SOURCE))
    from windtunnel.matrix import Matrix  # noqa: PLC0415

    found = Matrix.read(axes(12, 10, 3) + PAIRS, file="huge.cfg", read=lambda *_: ("", ""))
    start = time.process_time()
    count = found.count()
    counted = time.process_time()
    found.variant(count // 3)
    picked = time.process_time()
    print(
        f"count of {count:.3g} of 10^12: {(counted - start) * 1e3:.1f} ms CPU; "
        f"one variant: {(picked - counted) * 1e3:.1f} ms CPU"
    )


if __name__ == "__main__":
    main()
