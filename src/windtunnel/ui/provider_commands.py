# SPDX-License-Identifier: Apache-2.0
"""`windtunnel provider …`: labs that others wrote, from a folder or from Git."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from windtunnel.errors import ExitStatus, LabFileError, UsageError
from windtunnel.ui import complete
from windtunnel.ui.failures import say_on_stderr
from windtunnel.ui.options import JsonOption, examples

if TYPE_CHECKING:
    from windtunnel.providers.checkout import Tree
    from windtunnel.providers.description import Description
    from windtunnel.providers.registry import Provider

NameArgument = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="What you call the provider.", autocompletion=complete.providers
    ),
]
OptionalName = Annotated[
    str | None,
    typer.Argument(metavar="NAME", help="Which. Default: all.", autocompletion=complete.providers),
]

_WORST_FIRST = (
    ExitStatus.INTERNAL,
    ExitStatus.HOST,
    ExitStatus.GUEST,
    ExitStatus.USAGE,
    ExitStatus.FAILED,
)
_MEANING = {
    ExitStatus.PASSED: "passed",
    ExitStatus.FAILED: "failed",
    ExitStatus.USAGE: "wrong lab or command",
    ExitStatus.HOST: "this machine lacks something",
    ExitStatus.GUEST: "a guest was lost",
    ExitStatus.INTERNAL: "our bug",
    ExitStatus.INTERRUPTED: "interrupted",
}


def commands() -> typer.Typer:
    """Put the group together."""
    group = typer.Typer(
        help="Use labs that others wrote, from a folder or from Git.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    group.command(
        "add",
        epilog=examples(
            "windtunnel provider add mine ~/labs",
            "windtunnel provider add routing https://example.org/labs.git --ref v1.4",
        ),
    )(add)
    group.command("bootstrap", epilog=examples("windtunnel provider bootstrap"))(bootstrap)
    group.command(
        "list",
        epilog=examples("windtunnel provider list", "windtunnel provider list routing"),
    )(list_)
    group.command(
        "run",
        epilog=examples(
            "windtunnel provider run routing",
            "windtunnel provider run routing/ospf --jobs 2 --cover 2",
            "windtunnel provider run 'routing/bgp/*-loss' --retries 1",
        ),
        # what follows belongs to `windtunnel run`
        context_settings={"allow_extra_args": True, "allow_interspersed_args": False},
    )(run)
    group.command("remove", epilog=examples("windtunnel provider remove routing"))(remove)
    return group


def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What you will call it.")],
    uri: Annotated[
        str, typer.Argument(metavar="FOLDER|URI", help="A folder, or what git clone takes.")
    ],
    *,
    ref: Annotated[
        str, typer.Option(metavar="REF", help="A tag, a branch or a commit; of a folder, too.")
    ] = "",
    labs: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN",
            help="Which files are labs, such as 'ospf/**/*.yaml'. May be given "
            "again. Default: what the tree says, or all YAML files with nodes.",
        ),
    ] = None,
) -> None:
    """Name a source of labs.

    A folder is used as it is. Of a Git repository one commit is used: bootstrap brings it here.
    What stands in a tree's own windtunnel-provider.yaml (or .ini) says which files are labs
    and which programs they need.
    """  # fmt: skip
    # Imported here, as below, so that other commands do not wait for it.
    from windtunnel.providers.checkout import is_folder, local_path  # noqa: PLC0415
    from windtunnel.providers.description import Description  # noqa: PLC0415
    from windtunnel.providers.registry import add_provider  # noqa: PLC0415
    from windtunnel.ui import screen  # noqa: PLC0415

    folder = local_path(uri)
    if folder.is_dir():
        uri = str(folder.absolute())
    elif ":" not in uri:
        raise UsageError(
            f"there is no folder {uri!r}", hint="name a folder, or a URI that git clone takes"
        )
    provider = add_provider(name, Description(uri=uri, ref=ref, labs=tuple(labs or ())))
    screen.out().print(f"{name}: {provider.file}")
    if not is_folder(provider):
        screen.out().print(f"bring it here with: windtunnel provider bootstrap {name}")


def bootstrap(name: OptionalName = None, *, json: JsonOption = False) -> int:
    """Bring commits here, and check what the labs need.

    Again, it brings the newest commit of a branch. Runs that use an older one keep it.
    The exit status is 3 when a program is missing.
    """
    from windtunnel.providers.checkout import fetch_tree  # noqa: PLC0415
    from windtunnel.providers.labs import missing_programs  # noqa: PLC0415
    from windtunnel.ui import screen  # noqa: PLC0415

    rows = []
    missing_any = False
    for provider in _chosen(name):
        tree = fetch_tree(provider, partial(_say, provider.name))
        described, labs = _contents(provider, tree)
        missing = missing_programs(described.needs)
        missing_any = missing_any or bool(missing)
        rows.append((provider, tree, labs, missing))
    if json:
        screen.print_json(
            [
                _document(provider, tree, labs) | {"missing_programs": missing}
                for provider, tree, labs, missing in rows
            ]
        )
    else:
        screen.print_table(
            ["provider", "version", "labs", "missing programs"],
            [
                screen.Row((provider.name, tree.version, str(len(labs)), ", ".join(missing)))
                for provider, tree, labs, missing in rows
            ],
        )
    return ExitStatus.HOST if missing_any else ExitStatus.PASSED


def list_(name: OptionalName = None, *, json: JsonOption = False) -> None:
    """List providers, or the labs of one with their cells."""
    from windtunnel.providers.checkout import find_tree  # noqa: PLC0415
    from windtunnel.providers.registry import find_provider, list_providers  # noqa: PLC0415
    from windtunnel.ui import screen  # noqa: PLC0415

    if name is None:
        known = list_providers()
        trees = [_tree(provider) for provider in known]
        if json:
            screen.print_json(
                [_document(one, tree, None) for one, tree in zip(known, trees, strict=True)]
            )
            return
        screen.print_table(
            ["provider", "source", "ref", "version"],
            [
                screen.Row(
                    (
                        one.name,
                        one.description.uri,
                        one.description.ref,
                        tree.version if tree else "not here yet",
                    )
                )
                for one, tree in zip(known, trees, strict=True)
            ],
        )
        return
    provider = find_provider(name)
    tree = find_tree(provider)
    _, labs = _contents(provider, tree)
    found = [_lab(tree, lab) for lab in labs]
    if json:
        screen.print_json(_document(provider, tree, found))
        return
    screen.print_table(
        ["lab", "cells", ""],
        [screen.Row((one["lab"], str(one["cells"] or ""), one["error"] or "")) for one in found],
    )


def run(
    context: typer.Context,
    labs: Annotated[
        str,
        typer.Argument(
            metavar="NAME[/LABS]",
            help="A provider, and which of its labs: a folder, a path or a pattern.",
            autocompletion=complete.providers,
        ),
    ],
) -> int:
    """Run the labs of a provider, one after the other.

    Options that follow NAME are those of windtunnel run, and hold for each lab.
    The exit status is the worst of any lab.
    """
    from windtunnel.providers.checkout import find_tree  # noqa: PLC0415
    from windtunnel.providers.labs import choose_labs  # noqa: PLC0415
    from windtunnel.providers.registry import find_provider  # noqa: PLC0415

    name, _, wanted = labs.partition("/")
    provider = find_provider(name)
    tree = find_tree(provider)
    _, known = _contents(provider, tree)
    if not known:
        raise UsageError(f"{tree.path} has no labs", hint="say which files are: labs: [PATTERN]")
    outcomes: list[_Outcome] = []
    for lab in (chosen := choose_labs(known, wanted)):
        say_on_stderr(f"{name} {tree.version}: {lab} ({len(outcomes) + 1} of {len(chosen)})")
        outcomes.append(_run(tree.path / lab, lab, context.args))
        if outcomes[-1].status == ExitStatus.INTERRUPTED:
            break
    _print(outcomes, of=len(chosen))
    return _worst(outcomes)


def remove(name: NameArgument) -> None:
    """Forget a provider.

    What was fetched of it is removed; a folder of labs stays as it is.
    """
    from windtunnel.providers.checkout import remove_trees  # noqa: PLC0415
    from windtunnel.providers.registry import find_provider, remove_provider  # noqa: PLC0415

    provider = find_provider(name)
    remove_provider(provider)
    remove_trees(provider)


def _say(name: str, text: str) -> None:
    say_on_stderr(f"{name}: {text}")


@dataclass(frozen=True, slots=True)
class _Outcome:
    lab: str
    status: int
    wall_host_s: float


def _run(path: Path, lab: str, arguments: list[str]) -> _Outcome:
    """Run one lab in a process of its own, which shares the terminal and Ctrl-C with us."""
    from windtunnel.engine.hostclock import monotonic_host_s  # noqa: PLC0415

    start = monotonic_host_s()
    command = [sys.executable, "-m", "windtunnel", "run", str(path), *arguments]
    with subprocess.Popen(command) as process:
        while True:
            try:
                status = process.wait()
                break
            except KeyboardInterrupt:
                continue  # it has had the same, and cleans up
    return _Outcome(lab, status, monotonic_host_s() - start)


def _print(outcomes: list[_Outcome], *, of: int) -> None:
    from windtunnel.ui import screen  # noqa: PLC0415

    screen.print_table(
        ["lab", "outcome", "host s"],
        [
            screen.Row(
                (
                    one.lab,
                    _MEANING.get(one.status, f"exit status {one.status}"),
                    f"{one.wall_host_s:.1f}",
                )
            )
            for one in outcomes
        ],
    )
    if len(outcomes) < of:
        screen.out().print(f"{of - len(outcomes)} more were not run")


def _worst(outcomes: list[_Outcome]) -> int:
    statuses = {one.status for one in outcomes}
    if ExitStatus.INTERRUPTED in statuses:
        return ExitStatus.INTERRUPTED
    known = next((one for one in _WORST_FIRST if one in statuses), ExitStatus.PASSED)
    return max(statuses) if statuses - set(_MEANING) else known


def _chosen(name: str | None) -> list[Provider]:
    from windtunnel.providers.registry import find_provider, list_providers  # noqa: PLC0415

    found = list_providers() if name is None else [find_provider(name)]
    if not found:
        raise UsageError("there are no providers", hint="windtunnel provider add NAME URI")
    return found


def _contents(provider: Provider, tree: Tree) -> tuple[Description, list[str]]:
    """What a tree says of itself, and its labs; what the user says comes first."""
    from windtunnel.providers.labs import find_labs, own_description  # noqa: PLC0415

    own = own_description(tree.path)
    return own, find_labs(tree.path, provider.description.labs or own.labs)


def _tree(provider: Provider) -> Tree | None:
    from windtunnel.providers.checkout import find_tree  # noqa: PLC0415

    try:
        return find_tree(provider)
    except UsageError:
        return None


def _lab(tree: Tree, lab: str) -> dict[str, Any]:
    from windtunnel.engine.cells import read_cells  # noqa: PLC0415

    try:
        return {"lab": lab, "cells": read_cells(tree.path / lab).count(), "error": None}
    except LabFileError as error:
        return {"lab": lab, "cells": None, "error": str(error).partition("\n")[0]}


def _document(provider: Provider, tree: Tree | None, labs: list[Any] | None) -> dict[str, Any]:
    return {
        "name": provider.name,
        "uri": provider.description.uri,
        "ref": provider.description.ref or None,
        "path": str(tree.path) if tree else None,
        "commit": tree.commit or None if tree else None,
        "changed": tree.changed if tree else None,
        **({} if labs is None else {"labs": labs}),
    }
