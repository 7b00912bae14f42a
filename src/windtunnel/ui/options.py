# SPDX-License-Identifier: Apache-2.0
"""Arguments and options that several commands share, and the look of their help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from windtunnel.errors import UsageError
from windtunnel.ui import complete

LabArgument = Annotated[
    Path,
    typer.Argument(metavar="LAB", help="A lab file.", autocompletion=complete.labs),
]
RunArgument = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        help='A run: LAB (its latest), LAB/NUMBER, "latest", or a run\'s folder.',
        autocompletion=complete.runs,
    ),
]
RecordArgument = Annotated[
    str,
    typer.Argument(
        metavar="RUN|RESULTS",
        help='A run or results: LAB (its latest), LAB/NUMBER, "latest", or a folder.',
        autocompletion=complete.runs,
    ),
]
KernelOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help='The kernel to boot: "newest", a version, a key, or the path of a program.',
        autocompletion=complete.kernels,
    ),
]
SeedOption = Annotated[
    int | None,
    typer.Option(metavar="N", help="Of all randomness, in place of the lab's; 0 to 2^64 - 1."),
]
CellOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Which cell of a lab with parameters: its name or its number.",
        autocompletion=complete.cells,
    ),
]
StopOption = Annotated[
    str | None,
    typer.Option(
        metavar="TIME", help='End at this virtual time, such as "2 min", in place of the lab\'s.'
    ),
]
RunsOption = Annotated[Path, typer.Option(metavar="DIR", help="The folder of all runs.")]
ReadOption = Annotated[
    list[Path] | None,
    typer.Option(metavar="DIR", help="Let guests read this too. May be given again."),
]
WritableOption = Annotated[
    list[Path] | None,
    typer.Option(metavar="DIR", help="Let guests change this, as you could. May be given again."),
]
TrustOption = Annotated[
    bool,
    typer.Option(
        "--trust-guest", help="Run guests unconfined: they can do to your files what you can."
    ),
]
WatchdogOption = Annotated[
    float | None,
    typer.Option(
        min=0.1,
        metavar="SECONDS",
        help="End the run when virtual time stands still for so long (host time).",
    ),
]
ParallelOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="How many of the lab's kernels run at the same time; the result is the same. "
        "Default: one for each processor.",
    ),
]
CoverageOption = Annotated[
    list[str] | None,
    typer.Option(
        "--coverage", metavar="PATH",
        help='With a kernel that counts which lines of this folder or .c file run, such as '
        '"net/ipv4"; built once. May be given again. See windtunnel coverage.',
    ),
]  # fmt: skip
SanitizeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--sanitize", metavar="NAME",
        help="With a kernel that looks for bugs in itself: kasan (memory), lockdep (locks), "
        "kmemleak (leaks) or ubsan (what C leaves undefined); built once. May be given again.",
        autocompletion=complete.sanitizers,
    ),
]  # fmt: skip
JsonOption = Annotated[
    bool, typer.Option("--json", help="One JSON document instead of text for people.")
]
QuietOption = Annotated[
    bool, typer.Option("--quiet", "-q", help="Only what went wrong, and the exit status.")
]
OnlyOption = Annotated[
    list[str] | None,
    typer.Option(metavar="FILTER", help='Keep what matches: "a..b.c, d". May be given again.'),
]
NoOption = Annotated[
    list[str] | None,
    typer.Option("--no", metavar="FILTER", help="Drop what matches. May be given again."),
]
ShardOption = Annotated[
    str | None, typer.Option(metavar="K/N", help="Only the K-th of N parts, K from 1.")
]

RUNS = Path("runs")


def examples(*lines: str) -> str:
    """Write the end of a command's help: what one would type.

    Args:
        lines: commands; a line that begins with "#" explains the next one.
    """
    title = "Example" if len(lines) == 1 else "Examples"
    # \b keeps the lines of a paragraph as they are
    return "\n".join(["\b", f"{title}:", *(f"  {line}" for line in lines)])


def parse_shard(text: str) -> tuple[int, int]:
    """Read what `--shard` says: "2/8".

    Raises:
        UsageError: it is no part.
    """
    number, _, total = text.partition("/")
    if not (number.isdecimal() and total.isdecimal()):
        raise UsageError(f"--shard {text!r} is no part", hint="such as: --shard 2/8")
    return int(number), int(total)
