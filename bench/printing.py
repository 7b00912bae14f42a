# SPDX-License-Identifier: Apache-2.0
"""`python -m bench.printing`: how many lines of a real kernel are put together rightly.

A module (printing.c) prints lines in pieces from several threads and from a timer's
interrupt at the same time, and each line says itself what it must be. It is built
against the sources of our kernel and loaded in a guest; the kernel's log is read in two
ways, with callers and with these taken away. Prints how many lines are right, and how
many of the wrong ones are not marked as uncertain, which none may be. The status is 1
when fewer than 99 % are right with callers, or a wrong one is not marked.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from windtunnel.engine.kernel import default_kernel
from windtunnel.images.kernels import Kernel, is_for, load_recipe
from windtunnel.images.sources import copy_source, find_source
from windtunnel.logs.printk import Confidence, Line
from windtunnel.logs.reading import read_log

MODULE = Path(__file__).with_suffix(".c")
RIGHT_MIN = 0.99
_SELF_CHECKING = re.compile(r"W(\d+) line (\d+):(?: ([a-y])\2)* end\2")
_BEGUN = re.compile(r"W(\d+) line (\d+):")
_HEAD = re.compile(rb"(?m)^[^;\n]*;W\d+ line \d+:")
_CALLER = re.compile(rb"(?m)^(\d+,\d+,\d+,[^,;]*),caller=[^;]*;")


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--lines", type=int, default=400, help="of each context")
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--module", type=Path, help="a module that was built before")
    options = parser.parse_args()
    good = True
    with tempfile.TemporaryDirectory(prefix="windtunnel-bench-") as name:
        module = options.module or build(default_kernel(), Path(name))
        head = ("seed", "log", "lines", "right", "share", "wrong, not marked")
        print("{:>4} {:18} {:>6} {:>6} {:>7} {:>18}".format(*head))
        for seed in range(1, options.seeds + 1):
            kmsg = record(module, options.lines, options.threads, seed)
            # What the kernel's buffer had no room for is not there to be put together.
            expected = len(_HEAD.findall(kmsg))
            for what, text in (
                ("with callers", kmsg),
                ("without callers", _CALLER.sub(rb"\1;", kmsg)),
            ):
                right, unmarked = judge(text)
                share = right / expected
                print(f"{seed:4} {what:18} {expected:6} {right:6} {share:7.2%} {unmarked:18}")
                good = good and not unmarked and (share >= RIGHT_MIN or what != "with callers")
    return 0 if good else 1


def judge(kmsg: bytes) -> tuple[int, int]:
    """How many lines are right, and how many are wrong without being marked."""
    log = read_log([kmsg], join_from=Confidence.GUESS)
    right: set[tuple[str, str]] = set()
    unmarked = 0
    for entry in log.entries:
        if not isinstance(entry, Line):
            continue
        whole = _SELF_CHECKING.fullmatch(entry.text)
        if whole:
            right.add((whole[1], whole[2]))
        elif _BEGUN.match(entry.text) or re.search(r"\bend\d+$", entry.text):
            unmarked += entry.confidence is Confidence.SURE
    return len(right), unmarked


def record(module: Path, lines: int, threads: int, seed: int) -> bytes:
    """Load the module in a guest; give what /dev/kmsg then has."""
    words = f"insmod {module} lines={lines} threads={threads} seed={seed}"
    with tempfile.TemporaryDirectory(prefix="windtunnel-bench-") as name:
        log = Path(name) / "kmsg"
        command = f"{words} && timeout 1 cat /dev/kmsg > {log}; test -s {log}"
        subprocess.run(
            [
                sys.executable, "-m", "windtunnel", "exec",
                "--read", str(module.parent), "--writable", name, "--", "sh", "-c", command,
            ],
            check=True,
            cwd=module.parent,
        )  # fmt: skip
        return log.read_bytes()


def build(kernel: Kernel, work: Path) -> Path:
    """Build the module for a kernel of our cache: a minute, for no kernel is built."""
    tree, objects, folder = work / "source", work / "objects", work / "module"
    source = find_source(".".join(kernel.version.split(".")[:2]))
    copy_source(source, tree, lambda _progress: None)
    for patch in load_recipe(()).patches:
        if is_for(patch, kernel.version):
            _run(["patch", "-p1", "--batch", "--forward", "-i", str(patch)], tree)
    objects.mkdir()
    shutil.copy(kernel.path.with_name("config"), objects / ".config")
    folder.mkdir()
    shutil.copy(MODULE, folder)
    (folder / "Makefile").write_text("obj-m := printing.o\n")
    make = ["make", "-s", "-C", str(tree), "ARCH=um", f"O={objects}", f"-j{os.cpu_count()}"]
    _run([*make, "olddefconfig", "modules_prepare"], work)
    # There is no list of what the kernel exports: whoever loads the module will see.
    _run([*make, f"M={folder}", "KBUILD_MODPOST_WARN=1", "modules"], work)
    return folder / "printing.ko"


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


if __name__ == "__main__":
    sys.exit(main())
