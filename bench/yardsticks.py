# SPDX-License-Identifier: Apache-2.0
"""Other people's test suites, untouched, inside one guest.

    python -m bench.yardsticks                      the kernel's own selftests
    python -m bench.yardsticks --topotests DIR      and FRR's topotests

The selftests come from the source that the guest was built from. The topotests
are those of the FRR release that is installed (frr-X.Y.Z/tests/topotests); they
need Debian's python3-pytest, python3-pexpect and kmod, and rtnetlink.sh needs
uuid-runtime. Debian's FRR has no pim6d, which their
harness asks for: a link in its place satisfies it (`--node-files`).
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

SELFTESTS = ("fib_rule_tests.sh", "fib_tests.sh", "rtnetlink.sh")
TOPOTESTS = ("rip_topo1", "ospf_topo1")
LIMIT_HOST_S = 1800


@dataclass(frozen=True)
class Run:
    """How one suite went.

    Attributes:
        name: of the suite.
        passed, failed, skipped: counted in what it printed.
        ok: whether it said that all went well.
        wall_host_s: of the whole command.
        text: what it printed.
    """

    name: str
    passed: int
    failed: int
    skipped: int
    ok: bool
    wall_host_s: float
    text: str


def execute(arguments: list[str], directory: Path) -> tuple[str, int, float]:
    """Run `windtunnel exec` with arguments; returns what was printed, status, seconds."""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "windtunnel", "exec", *arguments],
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=LIMIT_HOST_S,
        check=False,
    )
    return done.stdout.decode(errors="replace"), done.returncode, time.monotonic() - began


def selftest(name: str, tree: Path, kernel: list[str]) -> Run:
    """Run one of the kernel's network selftests."""
    root = tree / "tools/testing/selftests"
    text, status, seconds = execute([*kernel, "--read", str(root), "--", f"./{name}"], root / "net")
    # rtnetlink.sh ends with 4 (skip) when its last test was skipped.
    return Run(
        name=name,
        passed=len(re.findall(r"\[ OK \]|^PASS", text, re.MULTILINE)),
        failed=len(re.findall(r"\[FAIL\]|^FAIL", text, re.MULTILINE)),
        skipped=len(re.findall(r"^SKIP|skipping", text, re.MULTILINE)),
        ok=status in (0, 4) and not re.search(r"\[FAIL\]|^FAIL", text, re.MULTILINE),
        wall_host_s=seconds,
        text=text,
    )


def topotest(name: str, tree: Path, kernel: list[str]) -> Run:
    """Run one of FRR's topotests."""
    with tempfile.TemporaryDirectory() as folder:
        frr = Path(folder) / "usr/lib/frr"
        frr.mkdir(parents=True)
        (frr / "pim6d").symlink_to("pimd")
        text, status, seconds = execute(
            [
                *(*kernel, "--read", str(tree), "--node-files", folder, "--"),
                *("python3", "-m", "pytest", "-p", "no:cacheprovider", f"{name}/test_{name}.py"),
            ],
            tree,
        )
    found = re.findall(r"(\d+) (passed|failed|skipped)", text)
    counts = {word: int(number) for number, word in found}
    return Run(
        name=name,
        passed=counts.get("passed", 0),
        failed=counts.get("failed", 0),
        skipped=counts.get("skipped", 0),
        ok=status == 0,
        wall_host_s=seconds,
        text=text,
    )


def kernel_tree(kernel: str | None) -> Path:
    """The source that the kernel was built from."""
    command = [sys.executable, "-m", "windtunnel", "kernel", "source"]
    done = subprocess.run(
        [*command, *([kernel] if kernel else [])], stdout=subprocess.PIPE, check=True
    )
    return Path(done.stdout.decode().strip())


def main() -> int:
    """Run what was asked for and print a table; 1 if anything failed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kernel", help="which kernel to boot")
    parser.add_argument("--topotests", type=Path, help="FRR's tests/topotests")
    parser.add_argument("--only", help="only the suite of this name")
    parser.add_argument("--verbose", action="store_true", help="print what the suites print")
    arguments = parser.parse_args()
    kernel = ["--kernel", arguments.kernel] if arguments.kernel else []
    jobs = []
    if arguments.topotests:
        topotests = arguments.topotests.resolve()
        jobs += [(name, lambda n=name: topotest(n, topotests, kernel)) for name in TOPOTESTS]
    tree = kernel_tree(arguments.kernel)
    jobs += [(name, lambda n=name: selftest(n, tree, kernel)) for name in SELFTESTS]
    print(f"{'suite':20} {'passed':>7} {'failed':>7} {'skipped':>8} {'wall':>8}")
    good = True
    for name, job in jobs:
        if arguments.only not in (None, name):
            continue
        run = job()
        good = good and run.ok
        counts = f"{run.passed:7} {run.failed:7} {run.skipped:8} {run.wall_host_s:6.1f} s"
        print(f"{run.name:20} {counts}  {'ok' if run.ok else 'FAILED'}", flush=True)
        if arguments.verbose or not run.ok:
            print(run.text)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
