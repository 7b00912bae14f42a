# SPDX-License-Identifier: Apache-2.0
"""`windtunnel matrix cover`: few rows that hold every pair, and the proof that they do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from windtunnel.errors import ExitStatus, UsageError
from windtunnel.ui import matrix_lab
from windtunnel.ui.failures import say_on_stderr
from windtunnel.ui.options import examples

if TYPE_CHECKING:
    from windtunnel.matrix.cells import Cell, CellSpace
    from windtunnel.matrix.covercheck import Coverage
    from windtunnel.matrix.covermodel import Group, Model, Parameter

EPILOG = examples(
    "windtunnel matrix cover model.txt",
    "windtunnel matrix cover model.txt --strength 3 --format csv > rows.csv",
    "windtunnel matrix cover model.txt --mixed 'os,browser,locale@3'",
    "windtunnel matrix cover tests.cfg --strength 2",
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
        typer.Argument(
            metavar="MODEL",
            help="A PICT model, a cit model of Avocado, a Cartesian FILE.cfg, or a lab.",
        ),
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
    # Imported where they are needed, so that other commands do not wait for it.
    from windtunnel.matrix.rowtext import read_rows  # noqa: PLC0415

    if matrix_lab.is_lab(model):
        if mixed or required or check:
            raise UsageError(
                "--mixed, --required and --check are for models and .cfg files",
                hint=f"windtunnel run {model} --cover {strength} runs what is listed without them",
            )
        _write_cells(model, strength, seed, format_)
        return ExitStatus.PASSED
    if model.suffix == ".cfg":
        subject = _matrix(model, mixed or [])
    else:
        subject = _model(model, mixed or [], case_sensitive=case_sensitive)
    if check is not None:
        return _check(subject, check, strength, format_)
    wanted = (
        read_rows(_text(required), file=str(required), parameters=subject.parameters)
        if required
        else []
    )
    _write(subject.parameters, subject.cover(strength, wanted, seed), format_)
    return ExitStatus.PASSED


def _write_cells(lab: Path, strength: int, seed: int, format_: Format) -> None:
    """Write the cells that `run --cover` would run."""
    from windtunnel.ui import screen  # noqa: PLC0415

    cells = matrix_lab.cells_of(lab, None, None)
    cells.require_some()
    rows = [matrix_lab.document(cell) for cell in cells.cover(strength, seed)]
    if format_ is Format.JSON:
        screen.print_json(rows)
        return
    separator = "," if format_ is Format.CSV else "  "
    for row in rows:
        name = f'"{row["name"]}"' if format_ is Format.CSV else row["name"]
        screen.out().print(f"{row['number']}{separator}{name}")


def _write(parameters: Sequence[Parameter], rows: list[Cell], format_: Format) -> None:
    from windtunnel.matrix.rowtext import row_texts, rows_to_csv, rows_to_json  # noqa: PLC0415
    from windtunnel.ui import screen  # noqa: PLC0415

    if format_ is Format.CSV:
        screen.out().print(rows_to_csv(parameters, rows), end="")
    elif format_ is Format.JSON:
        screen.print_json(rows_to_json(parameters, rows))
    else:
        screen.print_table(
            [parameter.name for parameter in parameters],
            [screen.Row(tuple(texts)) for texts in row_texts(parameters, rows)],
        )


# What is covered, wherever it was read.
@dataclass(frozen=True, slots=True)
class _Subject:
    parameters: Sequence[Parameter]
    cover: Callable[[int, list[Cell], int], list[Cell]]  # strength, required rows, seed
    check: Callable[[list[Cell], int], Coverage]  # rows, strength
    whole: Callable[[list[Cell], str], list[Cell]]  # rows with nothing open, their file


def _text(path: Path) -> str:
    from windtunnel.engine.labfile import read_text  # noqa: PLC0415 - slow to import

    return read_text(path)


def _model(path: Path, mixed: list[str], *, case_sensitive: bool) -> _Subject:
    from windtunnel.matrix.cit import looks_like_cit, read_cit  # noqa: PLC0415
    from windtunnel.matrix.cover import cover_model  # noqa: PLC0415
    from windtunnel.matrix.covercheck import check_model  # noqa: PLC0415
    from windtunnel.matrix.pict import read_pict  # noqa: PLC0415
    from windtunnel.matrix.rowtext import whole_rows  # noqa: PLC0415

    text = _text(path)
    if looks_like_cit(text):
        found = read_cit(text, file=str(path))
    else:
        reading = read_pict(text, file=str(path), case_sensitive=case_sensitive)
        for warning in reading.warnings:
            say_on_stderr(f"warning: {warning}")
        found = reading.model
    names = [parameter.name for parameter in found.parameters]
    groups = (*found.groups, *(_group(one, names) for one in mixed))
    model: Model = replace(found, groups=groups)
    return _Subject(
        model.parameters,
        lambda strength, required, seed: cover_model(model, strength, required=required, seed=seed),
        lambda rows, strength: check_model(model, rows, strength),
        lambda rows, file: whole_rows(rows, file=file, parameters=model.parameters),
    )


def _matrix(path: Path, mixed: list[str]) -> _Subject:
    from windtunnel.matrix.cover import cover_space  # noqa: PLC0415
    from windtunnel.matrix.covercheck import check_space  # noqa: PLC0415
    from windtunnel.matrix.covermodel import Parameter, Value  # noqa: PLC0415
    from windtunnel.matrix.matrix import Matrix  # noqa: PLC0415
    from windtunnel.matrix.parser import read_beside  # noqa: PLC0415
    from windtunnel.matrix.rowtext import whole_cells  # noqa: PLC0415

    matrix = Matrix.read(_text(path), file=str(path), read=read_beside)
    matrix_lab.print_doubts(matrix.doubts())
    if not matrix.count():
        raise matrix.why_empty()
    if not matrix.chooses:
        raise UsageError(f"{path} has no variants to choose from", hint="write a variants block")
    space: CellSpace = matrix.cells()
    parameters = [
        Parameter(axis.name, tuple(Value(text) for text in axis.values)) for axis in space.axes
    ]
    groups = [_group(one, [axis.name for axis in space.axes]) for one in mixed]
    return _Subject(
        parameters,
        lambda strength, required, seed: cover_space(
            space, strength, groups=groups, required=required, seed=seed
        ),
        lambda rows, strength: check_space(space, rows, strength, groups),
        lambda rows, file: whole_cells(rows, file=file, space=space),
    )


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


def _check(subject: _Subject, path: Path, strength: int, format_: Format) -> int:
    from windtunnel.matrix.rowtext import read_rows  # noqa: PLC0415
    from windtunnel.ui import screen  # noqa: PLC0415

    if format_ is Format.CSV:
        raise UsageError("--check has no CSV", hint="--format json, or leave it out")
    rows = read_rows(_text(path), file=str(path), parameters=subject.parameters)
    coverage = subject.check(subject.whole(rows, str(path)), strength)
    if format_ is Format.JSON:
        screen.print_json(_document(subject.parameters, coverage, len(rows)))
    else:
        console = screen.out()
        for index, why in coverage.invalid:
            console.print(f"row {index + 1} may not be: {why}")
        for pairs in coverage.missing[:MISSING_SHOWN_MAX]:
            console.print(f"missing: {_tuple_text(subject.parameters, pairs)}")
        if coverage.missing_count > MISSING_SHOWN_MAX:
            console.print(f"missing: {coverage.missing_count - MISSING_SHOWN_MAX} more")
        right = len(rows) - len(coverage.invalid)
        console.print(
            f"{right} right rows of {len(rows)} cover {coverage.covered} of "
            f"{coverage.covered + coverage.missing_count} combinations; "
            f"{coverage.impossible} more are impossible"
        )
    return ExitStatus.PASSED if coverage.complete else ExitStatus.FAILED


def _tuple_text(parameters: Sequence[Parameter], pairs: Sequence[tuple[int, int]]) -> str:
    return ", ".join(parameters[number].label(index) for number, index in pairs)


def _document(parameters: Sequence[Parameter], coverage: Coverage, count: int) -> dict[str, Any]:
    return {
        "rows": count,
        "covered": coverage.covered,
        "missing": coverage.missing_count,
        "impossible": coverage.impossible,
        "complete": coverage.complete,
        "missing_tuples": [
            {
                parameters[number].name: parameters[number].values[index].text
                for number, index in pairs
            }
            for pairs in coverage.missing
        ],
        "invalid_rows": [{"row": index + 1, "why": why} for index, why in coverage.invalid],
    }
