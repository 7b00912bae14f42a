# SPDX-License-Identifier: Apache-2.0
"""`windtunnel matrix cover`: few rows that hold every pair, and the proof that they do."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from windtunnel.errors import ExitStatus, UsageError
from windtunnel.ui.failures import say_on_stderr
from windtunnel.ui.options import examples

if TYPE_CHECKING:
    from windtunnel.matrix.covercheck import Coverage
    from windtunnel.matrix.covermodel import Group, Model

EPILOG = examples(
    "windtunnel matrix cover model.txt",
    "windtunnel matrix cover model.txt --strength 3 --format csv > rows.csv",
    "windtunnel matrix cover model.txt --mixed 'os,browser,locale@3'",
    "# whether rows, of whatever origin, cover a model",
    "windtunnel matrix cover model.txt --strength 3 --check rows.csv",
)

MISSING_SHOWN_MAX = 20
"""So many missing tuples are shown; --format json has up to a thousand."""


class Format(Enum):
    """How rows are written."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def cover(
    model: Annotated[
        Path,
        typer.Argument(metavar="MODEL", help="A PICT model, or one of Avocado's cit varianter."),
    ],
    *,
    strength: Annotated[
        int, typer.Option("--strength", "-t", metavar="T", help="How many values at once: 1 to 6.")
    ] = 2,
    mixed: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME,…@T",
            help="A strength of their own for some parameters. May be given again.",
        ),
    ] = None,
    required: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Rows that must be there, whole or in part."),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(
            metavar="N", min=0, max=2**64 - 1, help="Another one gives other rows, maybe fewer."
        ),
    ] = 0,
    format_: Annotated[
        Format, typer.Option("--format", help="How to write rows, or what --check found.")
    ] = Format.TABLE,
    check: Annotated[
        Path | None,
        typer.Option(metavar="ROWS", help="Make no rows; say what these lack (CSV, tabs, JSON)."),
    ] = None,
    case_sensitive: Annotated[
        bool, typer.Option("--case-sensitive", help="In a PICT model, a and A are not the same.")
    ] = False,
) -> int:
    """Choose few rows that hold every combination of T values.

    Only combinations that the constraints allow count. The same call gives the
    same rows everywhere. --check counts with code of its own, names what is
    missing and rows that may not be, and exits with 1 if there are any.
    """
    # Imported here, so that other commands do not wait for it.
    from windtunnel.matrix.cover import cover_model  # noqa: PLC0415
    from windtunnel.matrix.rowtext import (  # noqa: PLC0415
        read_rows,
        row_texts,
        rows_to_csv,
        rows_to_json,
    )
    from windtunnel.ui import screen  # noqa: PLC0415

    found = _read_model(model, mixed or [], case_sensitive=case_sensitive)
    parameters = found.parameters
    if check is not None:
        return _check(found, check, strength, format_)
    wanted = (
        read_rows(_text(required), file=str(required), parameters=parameters) if required else []
    )
    rows = cover_model(found, strength, required=wanted, seed=seed)
    if format_ is Format.CSV:
        screen.out().print(rows_to_csv(parameters, rows), end="")
    elif format_ is Format.JSON:
        screen.print_json(rows_to_json(parameters, rows))
    else:
        screen.print_table(
            [parameter.name for parameter in parameters],
            [screen.Row(tuple(texts)) for texts in row_texts(parameters, rows)],
        )
    return ExitStatus.PASSED


def _text(path: Path) -> str:
    from windtunnel.engine.labfile import read_text  # noqa: PLC0415 - slow to import

    return read_text(path)


def _read_model(path: Path, mixed: list[str], *, case_sensitive: bool) -> Model:
    from windtunnel.matrix.cit import looks_like_cit, read_cit  # noqa: PLC0415
    from windtunnel.matrix.pict import read_pict  # noqa: PLC0415

    text = _text(path)
    if looks_like_cit(text):
        model = read_cit(text, file=str(path))
    else:
        reading = read_pict(text, file=str(path), case_sensitive=case_sensitive)
        for warning in reading.warnings:
            say_on_stderr(f"warning: {warning}")
        model = reading.model
    names = [parameter.name for parameter in model.parameters]
    return replace(model, groups=(*model.groups, *(_group(one, names) for one in mixed)))


def _group(text: str, names: list[str]) -> Group:
    from windtunnel.matrix.covermodel import Group  # noqa: PLC0415
    from windtunnel.model.nearmiss import hint_for  # noqa: PLC0415

    members, at, strength = text.rpartition("@")
    if not at or not strength.strip().isdecimal():
        raise UsageError(f"--mixed {text!r} has no strength", hint="such as: --mixed 'a,b,c@3'")
    numbers = []
    for name in (piece.strip() for piece in members.split(",")):
        if name not in names:
            raise UsageError(
                f"--mixed: there is no parameter {name!r}",
                hint=hint_for(name, names, what="parameters"),
            )
        if names.index(name) in numbers:
            raise UsageError(f"--mixed: {name!r} is there twice", hint="name it once")
        numbers.append(names.index(name))
    return Group(tuple(numbers), int(strength))


def _check(model: Model, path: Path, strength: int, format_: Format) -> int:
    from windtunnel.matrix.covercheck import check_model  # noqa: PLC0415
    from windtunnel.matrix.rowtext import read_rows, whole_rows  # noqa: PLC0415
    from windtunnel.ui import screen  # noqa: PLC0415

    if format_ is Format.CSV:
        raise UsageError("--check has no CSV", hint="--format json, or leave it out")
    rows = read_rows(_text(path), file=str(path), parameters=model.parameters)
    whole_rows(rows, file=str(path), parameters=model.parameters)
    coverage = check_model(model, rows, strength)
    if format_ is Format.JSON:
        screen.print_json(_document(model, coverage, len(rows)))
    else:
        console = screen.out()
        for index, why in coverage.invalid:
            console.print(f"row {index + 1} may not be: {why}")
        for pairs in coverage.missing[:MISSING_SHOWN_MAX]:
            console.print(f"missing: {', '.join(model.label(*pair) for pair in pairs)}")
        if coverage.missing_count > MISSING_SHOWN_MAX:
            console.print(f"missing: {coverage.missing_count - MISSING_SHOWN_MAX} more")
        right = len(rows) - len(coverage.invalid)
        console.print(
            f"{right} right rows of {len(rows)} cover {coverage.covered} of "
            f"{coverage.covered + coverage.missing_count} combinations; "
            f"{coverage.impossible} more are impossible"
        )
    return ExitStatus.PASSED if coverage.complete else ExitStatus.FAILED


def _document(model: Model, coverage: Coverage, count: int) -> dict[str, Any]:
    return {
        "rows": count,
        "covered": coverage.covered,
        "missing": coverage.missing_count,
        "impossible": coverage.impossible,
        "complete": coverage.complete,
        "missing_tuples": [
            {
                model.parameters[number].name: model.parameters[number].values[index].text
                for number, index in pairs
            }
            for pairs in coverage.missing
        ],
        "invalid_rows": [{"row": index + 1, "why": why} for index, why in coverage.invalid],
    }
