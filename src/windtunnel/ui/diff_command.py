# SPDX-License-Identifier: Apache-2.0
"""`windtunnel diff`: what differs between a run and a good one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from windtunnel.errors import ExitStatus, UsageError, WindtunnelError
from windtunnel.model.event import KINDS
from windtunnel.model.nearmiss import hint_for
from windtunnel.ui import complete
from windtunnel.ui.options import RUNS, JsonOption, RunArgument, RunsOption, examples

EPILOG = examples(
    "windtunnel diff ospf-ring/3 ospf-ring/4",
    "windtunnel diff latest",
    "windtunnel diff ospf-ring/3 latest --node r1 --ignore counters",
)

OtherArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="OTHER",
        help="The other one. Default: RUN is compared with the nearest run that passed.",
        autocompletion=complete.runs,
    ),
]
IgnoreOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KIND",
        help="Leave out events of this kind, such as counters. May be given again.",
        autocompletion=lambda incomplete: [one for one in KINDS if one.startswith(incomplete)],
    ),
]


def diff(
    run: RunArgument,
    other: OtherArgument = None,
    *,
    node: Annotated[str, typer.Option(metavar="NAME", help="Only what concerns this node.")] = "",
    ignore: IgnoreOption = None,
    context: Annotated[
        int, typer.Option("--context", "-C", min=0, help="So many events before the first one.")
    ] = 10,
    runs: RunsOption = RUNS,
    json: JsonOption = False,
) -> int:
    """Show where two runs part, and all that differs.

    First what they were made from, where that differs; then the first event that one of
    them has and the other has not at its place, with those before it; then how they
    ended, checks, outputs, the kernels' logs, numbers of events, and counters.

    The exit status is 0 when nothing differs and 1 when something does.
    """
    # Imported here, so that other commands do not wait for it.
    from windtunnel.store.diff.events import Wanted  # noqa: PLC0415
    from windtunnel.store.diff.runs import diff_runs  # noqa: PLC0415
    from windtunnel.ui import diff_report, screen  # noqa: PLC0415

    for kind in ignore or ():
        if kind not in KINDS:
            raise UsageError(
                f"no event is of the kind {kind!r}", hint=hint_for(kind, KINDS, what="kinds")
            )
    a, b = _both(run, other, runs)
    _warn_of_newer(a, b)
    wanted = Wanted(frozenset(ignore or ()), node, context)
    with _progress() as progress:
        found = diff_runs(a, b, wanted, progress)
    if json:
        screen.print_json(diff_report.difference_json(a, b, found))
    else:
        diff_report.print_difference(a, b, found)
    return ExitStatus.PASSED if found.equal else ExitStatus.FAILED


def print_against_good(failed: Path) -> None:
    """Say where a failed run, or cell, parts from the nearest that passed, if there is one."""
    from windtunnel.store.diff.counterpart import nearest_good  # noqa: PLC0415
    from windtunnel.store.diff.runs import begin_of_difference  # noqa: PLC0415
    from windtunnel.ui import diff_report, screen  # noqa: PLC0415
    from windtunnel.ui.report import short  # noqa: PLC0415

    try:
        good = nearest_good(failed)
        if good is None:
            return
        changed, events = begin_of_difference(good, failed, context=3)
    except WindtunnelError:
        return  # the failure itself is what matters, and it is told
    console = screen.out()
    made = f" (other {', '.join(changed)})" if changed else ""
    console.print(f"\nagainst {short(good)}, which passed{made}:", end="")
    if events.equal:
        console.print(" no event differs")
    diff_report.print_first(console, events)
    console.print(f"  all of it: windtunnel diff {short(good)} {short(failed)}")


def _both(run: str, other: str | None, runs: Path) -> tuple[Path, Path]:
    """The two runs; the good one first where only one is named."""
    from windtunnel.store.diff.counterpart import nearest_good  # noqa: PLC0415
    from windtunnel.store.run_reader import find_record, is_results  # noqa: PLC0415

    first = find_record(run, runs)
    second = find_record(other, runs) if other is not None else None
    for path in (first, second):
        if path is not None and is_results(path):
            raise UsageError(
                f"{path} has the results of cells",
                hint="name a cell of it, LAB/NUMBER/CELL; 'windtunnel results diff' compares all",
            )
    if second is not None:
        return first, second
    good = nearest_good(first)
    if good is None:
        raise UsageError(
            f"there is no run that passed to compare {first} with", hint="name the other one"
        )
    return good, first


def _warn_of_newer(*paths: Path) -> None:
    """Say of a run that a newer version wrote that not all of it may be understood."""
    from windtunnel.store.layout import SCHEMA_VERSION  # noqa: PLC0415
    from windtunnel.store.run_reader import RunReader  # noqa: PLC0415
    from windtunnel.ui import screen  # noqa: PLC0415

    for path in paths:
        schema = RunReader(path).manifest.get("schema", SCHEMA_VERSION)
        if isinstance(schema, int) and schema > SCHEMA_VERSION:
            screen.err().print(
                f"windtunnel: {path}: recorded by a newer windtunnel (schema {schema}, this one "
                f"reads {SCHEMA_VERSION}): what this one does not know is not compared"
            )


@contextmanager
def _progress() -> Iterator[Callable[[int], None]]:
    """A line that counts events, on a terminal."""
    from windtunnel.ui import screen  # noqa: PLC0415

    console = screen.err()
    if not console.is_terminal:
        yield lambda _count: None
        return
    with console.status("comparing events") as status:
        yield lambda count: status.update(f"comparing events: {count:,}")
