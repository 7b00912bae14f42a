# SPDX-License-Identifier: Apache-2.0
"""How well crash reports are named: `python -m bench.crash_corpus FOLDER`.

FOLDER holds logs with their expected titles, in the format of syzkaller's
pkg/report/testdata/linux/report (Apache-2.0): header lines "TITLE: …", "ALT: …",
"TYPE: …", "CORRUPTED: Y", "PANICKED: Y", an empty line, the log, and perhaps the
expected extract after a line "REPORT:". None of it is kept here. The rules were made
on the files with even numbers; `--parity odd` shows what they are worth on others.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from windtunnel.logs.report import Report, find_reports

FIELDS = ("title", "aliases", "kind", "corrupted", "panicked")
SPEED_ROUNDS = 3


@dataclass(slots=True)
class Case:
    """One file of the corpus."""

    name: str
    log: str
    expected: dict[str, object]

    @property
    def title(self) -> str:
        """The expected title; empty when the log reports nothing."""
        return str(self.expected["title"])


@dataclass(slots=True)
class Tally:
    """Counts of one family of titles."""

    cases: int = 0
    exact: int = 0
    right: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FIELDS, 0))


def read_case(path: Path) -> Case:
    """Read one file."""
    text = path.read_bytes().decode("utf-8", "replace").replace("\r", "")
    header, _, log = text.partition("\n\n") if text[:1] != "\n" else ("", "", text[1:])
    log = re.split(r"(?m)^\nREPORT:\n", log)[0]
    values: dict[str, list[str]] = defaultdict(list)
    for line in header.splitlines():
        if not line.startswith("#"):
            key, _, value = line.partition(": ")
            values[key].append(value)
    expected: dict[str, object] = {
        "title": "".join(values["TITLE"]),
        "aliases": tuple(sorted(values["ALT"])),
        "kind": "".join(values["TYPE"]),
        "corrupted": values["CORRUPTED"] == ["Y"],
        "panicked": values["PANICKED"] == ["Y"],
    }
    return Case(path.name, log, expected)


def found_in(report: Report | None) -> dict[str, object]:
    """Put a report into the form of what is expected."""
    if report is None:
        return {"title": "", "aliases": (), "kind": "", "corrupted": False, "panicked": False}
    return {
        "title": report.title,
        "aliases": report.aliases,
        "kind": str(report.kind),
        "corrupted": bool(report.corrupted),
        "panicked": report.panicked,
    }


def first_report(log: str) -> Report | None:
    """Give the first report that blames the kernel: the corpus asks for no others."""
    return next((report for report in find_reports(log) if not report.mishap), None)


def family_of(title: str) -> str:
    """Give a title's family: what it says before the function."""
    return re.sub(r" in \S+.*$", "", title)


def differences(cases: Sequence[Case]) -> Iterator[tuple[Case, dict[str, object], list[str]]]:
    """Give each case with what was found and the fields that differ."""
    for case in cases:
        found = found_in(first_report(case.log))
        yield case, found, [name for name in FIELDS if found[name] != case.expected[name]]


def main() -> int:
    """Print a table."""
    parser = argparse.ArgumentParser(prog="python -m bench.crash_corpus", description=__doc__)
    parser.add_argument("folder", type=Path, help="with files named by numbers")
    parser.add_argument("--parity", choices=("even", "odd", "all"), default="even")
    parser.add_argument("--failures", action="store_true", help="print what differs")
    arguments = parser.parse_args()
    wanted = {"even": (0,), "odd": (1,), "all": (0, 1)}[arguments.parity]
    paths = [path for path in arguments.folder.iterdir() if path.name.isdecimal()]
    paths = sorted(
        (path for path in paths if int(path.name) % 2 in wanted), key=lambda path: int(path.name)
    )
    if not paths:
        sys.stderr.write(f"no files with {arguments.parity} numbers in {arguments.folder}\n")
        return 2
    cases = [read_case(path) for path in paths]
    tallies: dict[str, Tally] = defaultdict(Tally)
    found_count = false_count = 0
    for case, found, wrong in differences(cases):
        if not case.title:
            if found["title"]:
                false_count += 1
        else:
            found_count += bool(found["title"])
            for tally in (tallies["all"], tallies[family_of(case.title)]):
                tally.cases += 1
                tally.exact += not wrong
                for name in FIELDS:
                    tally.right[name] += name not in wrong
        if arguments.failures and wrong:
            print(f"{case.name}: {case.title}")
            for name in wrong:
                print(f"    {name}: {case.expected[name]!r}\n    found: {found[name]!r}")
    print_table(tallies)
    crashes = tallies["all"].cases
    print(
        f"detected {found_count} of {crashes}; false alarms {false_count} of {len(cases) - crashes}"
    )
    print(f"exact {tallies['all'].exact} of {crashes}: {tallies['all'].exact / crashes:.1%}")
    print_speed(cases)
    return 0


def print_table(tallies: dict[str, Tally]) -> None:
    """Print a line for each family, the largest first."""
    print(f"{'family':<58}{'files':>6}{'exact':>6}" + "".join(f"{name:>10}" for name in FIELDS))
    for name, tally in sorted(tallies.items(), key=lambda item: (-item[1].cases, item[0])):
        right = "".join(f"{tally.right[name]:>10}" for name in FIELDS)
        print(f"{name[:57]:<58}{tally.cases:>6}{tally.exact:>6}{right}")


def print_speed(cases: Sequence[Case]) -> None:
    """Measure how fast all reports are found, in processor time."""
    logs = [case.log for case in cases]
    for what, texts in (("each log", logs), ("one log of all", ["\n".join(logs)])):
        size = sum(len(text.encode()) for text in texts)
        took = []
        for _ in range(SPEED_ROUNDS):
            begin = time.process_time()
            count = sum(1 for text in texts for _ in find_reports(text))
            took.append(time.process_time() - begin)
        print(f"{what}: {size / min(took) / 1e6:.1f} MB/s, {count} reports in {size / 1e6:.1f} MB")


if __name__ == "__main__":
    sys.exit(main())
