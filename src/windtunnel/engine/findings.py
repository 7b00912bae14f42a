# SPDX-License-Identifier: Apache-2.0
"""What kernels that look for bugs have found: reports on their consoles, and leaks.

Such a kernel prints a report and goes on, so nothing of a lab would fail by itself. At
the lab's end its console is read, and memory that nothing points to is searched for,
which takes some seconds of virtual time: kmemleak believes nothing that is younger.

Source: Documentation/dev-tools/kasan.rst, kmemleak.rst; Documentation/locking/lockdep-design.rst
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from windtunnel.engine.kernelshell import KernelShell, in_file_system
from windtunnel.errors import GuestError
from windtunnel.images.variant import Sanitizer
from windtunnel.logs.reading import read_log
from windtunnel.logs.report import find_reports

MESSAGE_CHARACTERS_MAX = 4_000
"""Of a report in a check; the console has all of it."""

LEAKS_MAX = 20
"""Leaks that become checks of their own; one that is found a thousand times is one bug."""

_PLACE = "/tmp/.windtunnel-kmemleak"  # noqa: S108 - a guest's
# A block must be 5 s old (MSECS_MIN_AGE in mm/kmemleak.c), and the same in two searches.
_SEARCH = "echo scan > kmemleak && sleep 6 && echo scan > kmemleak && cat kmemleak || exit 9"
# UBSAN tells files by the names that the compiler was given, with the place of the build.
_BUILD_PLACE = re.compile(r"/\S*/\.building-[0-9a-f]+/source/")
_LEAK = re.compile(r"(?m)^unreferenced object ")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a kernel has found in itself.

    Attributes:
        kernel: the node whose own kernel it is; empty for the shared one.
        title: what, the same for each report of one bug.
        time_ns: the kernel's time of it; None where it does not say.
        text: the report, from its first line.
        blames: whether the kernel is to blame, as far as one can tell.
    """

    kernel: str
    title: str
    time_ns: int | None
    text: str
    blames: bool


class KernelSearch:
    """One kernel that looks for bugs in itself."""

    def __init__(self, shell: KernelShell, sanitizers: Sequence[Sanitizer], console: Path) -> None:
        """Create; nothing is asked.

        Args:
            shell: of the kernel.
            sanitizers: what it looks for.
            console: what it has printed.
        """
        self._shell = shell
        self.kernel = shell.kernel
        self.sanitizers = tuple(sanitizers)
        self._console = console

    def findings(self) -> Iterator[Finding]:
        """Give what it has found since it began. With kmemleak 6 s of virtual time pass.

        Raises:
            GuestError: it cannot be searched for leaks.
        """
        leaks = self._leaks() if Sanitizer.KMEMLEAK in self.sanitizers else ""
        for found in read_log([self._console.read_bytes()]).reports:
            report, micros = found.report, found.headline.first_micros
            yield Finding(
                self.kernel,
                report.title,
                None if micros is None else micros * 1000,
                _BUILD_PLACE.sub("", report.extract)[:MESSAGE_CHARACTERS_MAX],
                not report.mishap,
            )
        yield from leaks_in(leaks, self.kernel)

    def _leaks(self) -> str:
        script = in_file_system("debugfs", _PLACE, _SEARCH)
        _, result, output = self._shell.run(script, "kmemleak")
        if result.exit_status != 0:
            raise GuestError(
                f"the kernel cannot be searched for leaks: {result.exit_status}",
                hint="its console may say why: kmemleak switches itself off when it lacks memory",
            )
        return output.decode(errors="replace")


def leaks_in(text: str, kernel: str = "") -> Iterator[Finding]:
    """Read what /sys/kernel/debug/kmemleak says; leaks with one title are one finding.

    Args:
        text: of the file.
        kernel: for the findings.
    """
    starts = [match.start() for match in _LEAK.finditer(text)]
    seen: dict[str, int] = {}
    first: dict[str, str] = {}
    for start, end in zip(starts, [*starts, len(text)][1:], strict=True):
        leak = text[start:end]
        # the line with which reports of leaks begin, where other programs collect them
        report = next(iter(find_reports(f"BUG: memory leak\n{leak}")), None)
        title = report.title if report else "memory leak"
        seen[title] = seen.get(title, 0) + 1
        first.setdefault(title, leak)
    for title in list(first)[:LEAKS_MAX]:
        times = f"{seen[title]} blocks; the first:\n" if seen[title] > 1 else ""
        yield Finding(kernel, title, None, (times + first[title])[:MESSAGE_CHARACTERS_MAX], True)
