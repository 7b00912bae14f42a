# SPDX-License-Identifier: Apache-2.0
"""`windtunnel lab …`: look at lab files, and make them, without running anything."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from windtunnel.errors import ExitStatus, LabFileError, LabFileErrors, UsageError
from windtunnel.model.lab import LabSpec
from windtunnel.ui import complete, failures, matrix_lab
from windtunnel.ui.options import (
    CellOption,
    JsonOption,
    LabArgument,
    SeedOption,
    StopOption,
    examples,
)
from windtunnel.ui.run_command import check_seed, stop_time

OutOption = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="Write to this file instead of stdout."),
]

EDITOR = """\b
How to make an editor use it (any with the YAML language server):
  windtunnel lab schema > lab.schema.json
and as the first line of a lab file:
  # yaml-language-server: $schema=./lab.schema.json"""


CELLS_CHECKED_MAX = 1000
"""Of so many cells each one is checked; of more, some that have every pair of values."""


def commands() -> typer.Typer:
    """Put the group together."""
    group = typer.Typer(
        help="Check, show, draw and import lab files.", no_args_is_help=True, rich_markup_mode=None
    )
    add = group.command
    add("check", epilog=examples("windtunnel lab check examples/*/lab.yaml"))(check)
    add(
        "show",
        epilog=examples("windtunnel lab show lab.yaml", "windtunnel lab show lab.yaml --flat"),
    )(show)
    add("graph", epilog=examples("windtunnel lab graph lab.yaml -o lab.svg"))(graph)
    add("import", epilog=examples("windtunnel lab import topo.clab.yml -o lab.yaml"))(import_)
    add("schema", epilog=f"{examples('windtunnel lab schema > lab.schema.json')}\n\n{EDITOR}")(
        schema
    )
    return group


def check(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="LAB", help="Lab files.", autocompletion=complete.labs),
    ],
    *,
    json: JsonOption = False,
) -> int:
    """Say everything that is wrong with lab files.

    All that they name is checked as well. Each error comes with file, line and
    column, and with what would be right. The exit status is 0 when all files are right, else 2.
    """
    from windtunnel.ui import screen  # noqa: PLC0415 - slow to import

    documents: list[dict[str, Any]] = []
    wrong = False
    for file in files:
        if documents and not documents[-1]["ok"] and not json:
            failures.say_on_stderr("")
        try:
            spec, cells = _checked(file)
        except LabFileError as error:
            wrong = True
            documents.append({"file": str(file), "ok": False, "errors": _errors(error)})
            if not json:
                failures.print_error(error)
        else:
            counts = _counts(spec) | ({"cells": cells} if cells else {})
            documents.append({"file": str(file), "ok": True, "errors": [], **counts})
            if not json:
                screen.out().print(f"{file}: ok: {_counts_text(counts)}")
    if json:
        screen.print_json(documents)
    return ExitStatus.USAGE if wrong else ExitStatus.PASSED


def _lab_of(
    file: Path, cell: str | None, *, seed: int | None = None, stop: str | None = None
) -> LabSpec:
    """A lab, or one of its cells."""
    from windtunnel.engine.cells import read_cells  # noqa: PLC0415 - slow to import

    failures.remember_lab(file)
    check_seed(seed)
    cells = read_cells(file, seed=seed, stop_ns=stop_time(stop))
    if cell is None:
        cells.require_some()
        chosen = next(iter(cells))
        if cells.has_params:
            failures.say_on_stderr(f"{file}: the cell {chosen.name}, of {cells.count()}")
    else:
        chosen = cells.find(cell)
    return cells.spec(chosen)


def _checked(file: Path) -> tuple[LabSpec, int]:
    """The lab of the first cell, and how many cells there are; 0 for a lab without parameters.

    Raises:
        LabFileErrors: a cell is wrong.
    """
    from windtunnel.engine.cells import read_cells  # noqa: PLC0415 - slow to import

    failures.remember_lab(file)
    cells = read_cells(file)
    matrix_lab.print_doubts(cells.doubts())
    cells.require_some()
    count = cells.count()
    looked_at = cells if count <= CELLS_CHECKED_MAX else cells.cover(2, 0)
    if count > CELLS_CHECKED_MAX:
        looked_at = list(looked_at)
        failures.say_on_stderr(
            f"{file}: of {count} cells these are checked that have every pair of values: "
            f"{len(looked_at)}"
        )
    return cells.check(looked_at), count if cells.has_params else 0


def show(
    lab: LabArgument,
    *,
    cell: CellOption = None,
    flat: Annotated[
        bool,
        typer.Option("--flat", help="As a lab file in which nothing is left to be worked out."),
    ] = False,
    seed: SeedOption = None,
    stop: StopOption = None,
    json: JsonOption = False,
) -> None:
    """Show what a lab file comes to.

    Nodes, interfaces, addresses, links, processes, steps, faults and checks as tables.
    --flat writes a lab file without kinds, defaults and templates, which runs
    like the original; --json the same as JSON.
    """
    from windtunnel.model.flatten import lab_to_yaml  # noqa: PLC0415 - slow to import
    from windtunnel.ui import screen  # noqa: PLC0415
    from windtunnel.ui.lab_tables import print_lab  # noqa: PLC0415

    spec = _lab_of(lab, cell, seed=seed, stop=stop)
    if json:
        from windtunnel.model.yamltree import parse_yaml  # noqa: PLC0415

        screen.print_json(parse_yaml(lab_to_yaml(spec), file=str(lab)).root.value)
    elif flat:
        screen.out().print(lab_to_yaml(spec), end="")
    else:
        print_lab(spec)


def graph(lab: LabArgument, *, cell: CellOption = None, output: OutOption = None) -> None:
    """Draw a lab's topology as SVG."""
    from windtunnel.model.graph import lab_to_svg  # noqa: PLC0415 - slow to import

    _write(lab_to_svg(_lab_of(lab, cell)), output)


def import_(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="A containerlab topology.", autocompletion=complete.labs
        ),
    ],
    *,
    output: OutOption = None,
) -> None:
    """Turn a containerlab topology into a lab file.

    What has no equivalent is said on stderr, and left out.
    """
    from windtunnel.engine.labfile import read_text  # noqa: PLC0415 - slow to import
    from windtunnel.model.clab import import_clab  # noqa: PLC0415

    folder = file.parent
    found = import_clab(
        read_text(file), file=str(file), read=lambda name: (folder / name).read_bytes()
    )
    for warning in found.warnings:
        failures.say_on_stderr(f"warning: {warning}")
    _write(found.text, output)


def schema() -> None:
    """Print the JSON Schema, for editors.

    With it an editor completes and checks lab files while you type.
    """
    from windtunnel.model.editorschema import editor_schema  # noqa: PLC0415 - slow to import
    from windtunnel.ui import screen  # noqa: PLC0415

    screen.print_json(editor_schema())


def _write(text: str, output: Path | None) -> None:
    from windtunnel.ui import screen  # noqa: PLC0415 - slow to import

    if output is None:
        screen.out().print(text, end="" if text.endswith("\n") else "\n")
        return
    try:
        output.write_text(text)
    except OSError as error:
        raise UsageError(
            f"cannot write {output}: {error.strerror}", hint="name a file that you may write"
        ) from error


def _errors(error: LabFileError) -> list[dict[str, Any]]:
    errors = error.errors if isinstance(error, LabFileErrors) else (error,)
    return [
        {
            "file": one.where.file if one.where else None,
            "line": one.where.line if one.where else None,
            "column": one.where.column if one.where else None,
            "message": one.message,
            "hint": one.hint,
        }
        for one in errors
    ]


def _counts(spec: LabSpec) -> dict[str, int]:
    return {
        "nodes": len(spec.nodes),
        "links": len(spec.links),
        "networks": len(spec.networks),
        "processes": len(spec.processes),
        "steps": len(spec.steps),
        "faults": len(spec.faults),
        "validations": len(spec.validations),
    }


def _counts_text(counts: dict[str, int]) -> str:
    ones = {"processes": "process"}
    parts = []
    for name, count in counts.items():
        word = ones.get(name, name.removesuffix("s")) if count == 1 else name
        if count or name == "nodes":
            parts.append(f"{count} {word}")
    return ", ".join(parts)
