# SPDX-License-Identifier: Apache-2.0
"""Other people's test suites, untouched, inside one guest.

    python -m bench.yardsticks                      the kernel's own selftests
    python -m bench.yardsticks --topotests DIR      and FRR's topotests

The selftests come from the source that the guest was built from; `nettest`, which
fib_rule_tests.sh asks for, is compiled by their own Makefile into a temporary
folder. The topotests are those of the FRR release that is installed
(frr-X.Y.Z/tests/topotests). Debian's FRR has no pim6d, which their harness asks
for: a link in its place satisfies it (`--node-files`). What all of them need of
Debian stands in packages.txt, under "bench".
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import windtunnel

SELFTESTS = ("fib_rule_tests.sh", "fib_tests.sh", "rtnetlink.sh")
TOPOTESTS = ("rip_topo1", "ospf_topo1")
LIMIT_HOST_S = 3600
PASSED = re.compile(r"\[ OK \]|^PASS", re.MULTILINE)
FAILED = re.compile(r"\[FAIL\]|^FAIL", re.MULTILINE)
SKIPPED = re.compile(r"^.*(?:\bSKIP\b|[Ss]kipping).*$", re.MULTILINE)


@dataclass(frozen=True)
class Output:
    """What one command did.

    Attributes:
        text: what it printed.
        status: its exit status.
        wall_host_s: how long it took.
        cpu_host_s: processor time of it and of the guest.
    """

    text: str
    status: int
    wall_host_s: float
    cpu_host_s: float


@dataclass(frozen=True)
class Run:
    """How one suite went.

    Attributes:
        name: of the suite.
        passed, failed: counted in what it printed.
        skipped: the lines that say what was skipped, and why.
        ok: whether all went well, and something passed.
        output: of the whole command.
    """

    name: str
    passed: int
    failed: int
    skipped: tuple[str, ...]
    ok: bool
    output: Output


def execute(arguments: list[str], directory: Path, log: Path) -> Output:
    """Run `windtunnel exec` with arguments; what it prints appears in `log` meanwhile."""
    # a relative PYTHONPATH would name something else in that directory
    environment = os.environ | {"PYTHONPATH": str(Path(windtunnel.__file__).parents[1])}
    began, used = time.monotonic(), os.times()
    with log.open("wb") as file:
        done = subprocess.run(
            [sys.executable, "-m", "windtunnel", "exec", *arguments],
            cwd=directory,
            env=environment,
            stdout=file,
            stderr=subprocess.STDOUT,
            timeout=LIMIT_HOST_S,
            check=False,
        )
    wall_s, now = time.monotonic() - began, os.times()
    cpu_s = now.children_user + now.children_system - used.children_user - used.children_system
    return Output(log.read_text(errors="replace"), done.returncode, wall_s, cpu_s)


def compile_nettest(tree: Path, folder: Path) -> None:
    """Compile the selftests' nettest into folder/usr/bin; the tree stays as it is."""
    programs = folder / "usr/bin"
    programs.mkdir(parents=True)
    subprocess.run(
        ["make", "--quiet", f"OUTPUT={programs}", str(programs / "nettest")],
        cwd=tree / "tools/testing/selftests/net",
        stdout=sys.stderr,
        check=True,
    )


def selftest(name: str, tree: Path, kernel: list[str], log: Path) -> Run:
    """Run one of the kernel's network selftests."""
    root = tree / "tools/testing/selftests"
    with tempfile.TemporaryDirectory() as folder:
        compile_nettest(tree, Path(folder))
        # Scripts count on it that starting a program takes a while: fib_tests.sh flushes what
        # is older than a hundredth of a second.
        options = ["--cpu-speed", "1", "--read", str(root), "--node-files", folder]
        output = execute([*kernel, *options, "--", f"./{name}"], root / "net", log)
    passed, failed = len(PASSED.findall(output.text)), len(FAILED.findall(output.text))
    # rtnetlink.sh ends with 4 (skip) when its last test was skipped.
    ok = output.status in (0, 4) and passed > 0 and failed == 0
    return Run(name, passed, failed, tuple(SKIPPED.findall(output.text)), ok, output)


def topotest(name: str, tree: Path, kernel: list[str], log: Path) -> Run:
    """Run one of FRR's topotests."""
    with tempfile.TemporaryDirectory() as folder:
        frr = Path(folder) / "usr/lib/frr"
        frr.mkdir(parents=True)
        (frr / "pim6d").symlink_to("pimd")
        output = execute(
            [
                *(*kernel, "--read", str(tree), "--node-files", folder, "--"),
                *("python3", "-m", "pytest", "-rs", "-p", "no:cacheprovider"),
                f"{name}/test_{name}.py",
            ],
            tree,
            log,
        )
    found = re.findall(r"(\d+) (passed|failed|error)", output.text)
    counts = {word: int(number) for number, word in found}
    return Run(
        name=name,
        passed=counts.get("passed", 0),
        failed=counts.get("failed", 0) + counts.get("error", 0),
        skipped=tuple(re.findall(r"^SKIPPED .*$", output.text, re.MULTILINE)),
        ok=output.status == 0 and counts.get("passed", 0) > 0,
        output=output,
    )


def kernel_tree(kernel: str | None) -> Path:
    """The source that the kernel was built from."""
    command = [sys.executable, "-m", "windtunnel", "kernel", "source"]
    done = subprocess.run(
        [*command, *([kernel] if kernel else [])], stdout=subprocess.PIPE, check=True
    )
    return Path(done.stdout.decode().strip())


def suites(arguments: argparse.Namespace, logs: Path) -> dict[str, Callable[[], Run]]:
    """What to run, by name."""
    kernel = ["--kernel", arguments.kernel] if arguments.kernel else []
    jobs: dict[str, Callable[[], Run]] = {}
    if arguments.topotests:
        topotests = arguments.topotests.resolve()
        for name in TOPOTESTS:
            jobs[name] = lambda n=name: topotest(n, topotests, kernel, logs / f"{n}.log")
    for name in SELFTESTS:
        jobs[name] = lambda n=name: selftest(
            n, kernel_tree(arguments.kernel), kernel, logs / f"{n}.log"
        )
    if arguments.only:
        return {name: job for name, job in jobs.items() if name in arguments.only}
    return jobs


def main() -> int:
    """Run what was asked for and print a table; 1 if anything failed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kernel", help="which kernel to boot")
    parser.add_argument("--topotests", type=Path, help="FRR's tests/topotests")
    parser.add_argument("--only", action="append", help="only the suite of this name; repeatable")
    parser.add_argument("--logs", type=Path, help="keep what the suites print in this folder")
    parser.add_argument("--verbose", action="store_true", help="print what the suites print")
    arguments = parser.parse_args()
    good = True
    with tempfile.TemporaryDirectory() as temporary:
        logs = (arguments.logs or Path(temporary)).resolve()
        logs.mkdir(parents=True, exist_ok=True)
        print(f"{'suite':20} {'passed':>7} {'failed':>7} {'skipped':>8} {'wall':>8} {'cpu':>8}")
        for job in suites(arguments, logs).values():
            run = job()
            good = good and run.ok
            counts = f"{run.passed:7} {run.failed:7} {len(run.skipped):8}"
            times = f"{run.output.wall_host_s:6.1f} s {run.output.cpu_host_s:6.1f} s"
            print(f"{run.name:20} {counts} {times}  {'ok' if run.ok else 'FAILED'}", flush=True)
            for line in run.skipped:
                print(f"    {line.strip()}", flush=True)
            if arguments.verbose or not run.ok:
                print(run.output.text, flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
