# SPDX-License-Identifier: Apache-2.0
"""Many random schedules of faults: none may hang, leave anything behind, or differ from itself.

    python -m bench.schedules                    1,000 seeds, two at a time
    python -m bench.schedules --seeds 1..40      or fewer

Each seed's lab has all kinds of faults at random, several a virtual second. All nodes
share a kernel, but with every fifth seed each has its own. After each run this
process must have no child, no open file and no scratch directory that it had not
before; the engine's assertions hold all along. Every twentieth seed runs twice, and its
two runs are compared byte for byte. Exits with 1 when anything was found.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from windtunnel.engine.kernel import default_kernel
from windtunnel.engine.labfile import read_spec
from windtunnel.engine.session import Session, SessionRequest, run_session
from windtunnel.engine.world import WorldOptions
from windtunnel.store.compare import compare_runs

LAB = """\
name: schedules
stop: 4 s
link-defaults: {{delay: 2 ms}}
defaults: {{{defaults}}}
nodes: {{a: {{}}, b: {{}}, c: {{}}, d: {{}}}}
links: [[a, b], [b, c], [c, a]]
networks: {{lan: {{members: [c, d, a]}}}}
run:
  - {{name: one, node: a, cmd: ping -i 0.05 b}}
  - {{name: two, node: c, cmd: ping -i 0.05 a}}
  - {{name: three, node: d, cmd: "while :; do echo x; sleep 0.03; done"}}
  - {{name: four, node: b, cmd: "dd if=/dev/zero of=/tmp/x bs=64k count=100; sleep 1000"}}
faults:
  - random:
      kinds:
        - down
        - one_way
        - partition
        - pause
        - "off"
        - {{"off": true, wipe: true}}
        - kill
        - stop
        - restart
        - {{degrade: {{loss: 20%, delay: 5 ms, jitter: 1 ms}}}}
        - {{flap: {{down: 3 ms, up: 5 ms}}}}
        - {{memory: 32 MB}}
{more}
      rate: 300/min
      for: [10 ms, 800 ms]
"""
OWN_DEFAULTS = "kernel: own, memory: 128 MiB, volumes: {data: {size: 16 MB, path: /data}}"
OWN_KINDS = """\
        - full
        - errors
        - {clock: +5 s}
        - {drift: 200 ppm}"""
OWN_EVERY = 5
TWICE_EVERY = 20
SAID_EVERY = 50
LIMIT_HOST_S = 300.0


@dataclass(frozen=True, slots=True)
class Found:
    """What came of one seed; `wrong` is empty when nothing is wrong."""

    seed: int
    wrong: str
    faults: Counter[str]
    wall_s: float
    cpu_s: float


def main() -> int:
    """Run, and print what was found."""
    parser = argparse.ArgumentParser(prog="python -m bench.schedules", description=__doc__)
    parser.add_argument("--seeds", default="1..1000", metavar="A..B", help="which seeds")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), metavar="N")
    arguments = parser.parse_args()
    first, _, last = arguments.seeds.partition("..")
    seeds = range(int(first), int(last or first) + 1)
    began_s = time.perf_counter()
    wrong: list[Found] = []
    kinds: Counter[str] = Counter()
    cpu_s = longest_s = 0.0
    with ProcessPoolExecutor(arguments.jobs) as pool:
        for count, found in enumerate(pool.map(one_seed, seeds), start=1):
            kinds += found.faults
            cpu_s += found.cpu_s
            longest_s = max(longest_s, found.wall_s)
            if found.wrong:
                wrong.append(found)
                print(f"\nseed {found.seed}: {found.wrong}", flush=True)
            if sys.stderr.isatty():
                print(f"\r{count} of {len(seeds)}", end="", file=sys.stderr)
            elif count % SAID_EVERY == 0:
                print(f"{count} of {len(seeds)}", file=sys.stderr, flush=True)
    wall_s = time.perf_counter() - began_s
    print(
        f"{len(seeds)} seeds, {sum(kinds.values())} faults, {len(wrong)} wrong; "
        f"{wall_s:.0f} s, {cpu_s:.0f} s of processor time, the longest run {longest_s:.1f} s"
    )
    for kind, count in sorted(kinds.items()):
        print(f"  {kind:20}{count:7}")
    return 1 if wrong else 0


def one_seed(seed: int) -> Found:
    """Run a seed's lab, twice if it is its turn, and look what is left."""
    own = seed % OWN_EVERY == 0
    text = LAB.format(
        defaults=OWN_DEFAULTS if own else "", more=OWN_KINDS if own else "        - kill"
    )
    before = _belongings()
    began_s, began_cpu_s = time.perf_counter(), _cpu_s()
    faults: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        lab = Path(folder) / "lab.yaml"
        lab.write_text(text)
        spec = read_spec(lab, seed=seed)
        faults.update(type(fault.action).__name__ for fault in spec.faults)
        options = WorldOptions(kernel=default_kernel(), parallel=1 + seed % 2)
        count = 2 if seed % TWICE_EVERY == 0 else 1
        try:
            runs = [
                run_session(SessionRequest(spec, options, output=Path(folder) / f"run{at}"))
                for at in range(count)
            ]
            wrong = [*_errors(runs), *_differences(runs)]
        except Exception:  # noqa: BLE001 - an assertion of the engine: the other seeds go on
            wrong = [traceback.format_exc()]
        wall_s = (time.perf_counter() - began_s) / count
    wrong += (f"left behind: {one}" for one in sorted(_belongings() - before))
    if wall_s > LIMIT_HOST_S:
        wrong.append(f"took {wall_s:.0f} s")
    return Found(seed, "; ".join(wrong), faults, wall_s, _cpu_s() - began_cpu_s)


def _errors(runs: Sequence[Session]) -> Iterator[str]:
    for session in runs:
        if session.error is not None:
            yield f"{type(session.error).__name__}: {session.error}"
        yield from (f"{one.name}: {one.message}" for one in session.checks if not one.passed)


def _differences(runs: Sequence[Session]) -> Iterator[str]:
    for other in runs[1:]:
        difference = compare_runs(runs[0].path, other.path)
        if difference is not None:
            yield difference.describe()


def _belongings() -> set[str]:
    """Children, open files (sockets and shared memory among them) and scratch directories."""
    me = Path("/proc/self")
    files = set()
    for file in (me / "fd").iterdir():
        try:
            files.add(f"file {file.name}: {file.readlink()}")
        except OSError:  # the one that lists them
            continue
    children = (me / "task" / str(os.getpid()) / "children").read_text().split()
    scratch = Path(tempfile.gettempdir()).glob(f"windtunnel-*/{os.getpid()}-*")
    return files | {f"process {pid}" for pid in children} | {f"folder {one}" for one in scratch}


def _cpu_s() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


if __name__ == "__main__":
    sys.exit(main())
