# SPDX-License-Identifier: Apache-2.0
"""`windtunnel matrix …`: look at matrices of tests, and choose from them."""

from __future__ import annotations

import json as json_text
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from windtunnel.errors import UsageError
from windtunnel.ui import complete, cover_command, matrix_lab
from windtunnel.ui.failures import say_on_stderr
from windtunnel.ui.options import (
    JsonOption,
    NoOption,
    OnlyOption,
    ShardOption,
    examples,
    parse_shard,
)

if TYPE_CHECKING:
    from windtunnel.matrix.explain import Explanation
    from windtunnel.matrix.matrix import Matrix, MatrixVariant

FileArgument = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        help="A Cartesian configuration, or a lab with parameters.",
        autocompletion=complete.matrices,
    ),
]
DefaultsOption = Annotated[
    bool,
    typer.Option("--defaults", help="Of each variants block the default alone, if it has one."),
]
ExpandOption = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="With --defaults: a variants block to take wholly."),
]
StrictOption = Annotated[
    bool, typer.Option("--strict", help="A ${reference} to a key that is not set is an error.")
]
SampleOption = Annotated[
    int | None, typer.Option(metavar="N", min=1, help="Only N of them, drawn by --seed.")
]
SeedOption = Annotated[
    int, typer.Option(metavar="S", min=0, max=2**64 - 1, help="Another one draws others.")
]


def commands() -> typer.Typer:
    """Put the group together."""
    group = typer.Typer(
        help="Choose from all combinations of parameters.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    add = group.command
    add(
        "list",
        epilog=examples(
            "windtunnel matrix list tests.cfg --only 'linux..virtio' --no smp1",
            "windtunnel matrix list tests.cfg --shard 2/8",
            "windtunnel matrix list tests.cfg --sample 20 --seed 7",
            "windtunnel matrix list lab.yaml --only cc=bbr",
        ),
    )(list_)
    add("count", epilog=examples("windtunnel matrix count tests.cfg --only linux"))(count)
    add(
        "show",
        epilog=examples(
            "windtunnel matrix show tests.cfg 1000", "windtunnel matrix show tests.cfg boot.linux"
        ),
    )(show)
    add("explain", epilog=examples("windtunnel matrix explain tests.cfg boot.linux"))(explain)
    add("cover", epilog=cover_command.EPILOG)(cover_command.cover)
    return group


def list_(
    file: FileArgument,
    *,
    only: OnlyOption = None,
    no: NoOption = None,
    defaults: DefaultsOption = False,
    expand: ExpandOption = None,
    strict: StrictOption = False,
    shard: ShardOption = None,
    sample: SampleOption = None,
    seed: SeedOption = 0,
    json: JsonOption = False,
) -> None:
    """List variants, with their numbers.

    They come one at a time, so a pipe can take the first ones of very many.
    """
    if matrix_lab.is_lab(file):
        options = {"--defaults": defaults, "--expand": expand, "--strict": strict}
        matrix_lab.refuse_options(file, options)
        cells = matrix_lab.chosen(matrix_lab.cells_of(file, only, no), shard, sample, seed)
        if json:
            _print_json_list(cells)
        else:
            write = _writer()
            for cell in cells:
                write(f"{cell['number']:6} {cell['name']}\n")
        return
    matrix = _read(file, only, no, defaults=defaults, expand=expand, strict=strict)
    found = _selected(matrix, shard, sample, seed)
    if json:
        _print_json_list(_document(number, one) for number, one in found)
        return
    write = _writer()
    for number, one in found:
        write(f"{number:6} {one.name}\n")


def count(
    file: FileArgument,
    *,
    only: OnlyOption = None,
    no: NoOption = None,
    defaults: DefaultsOption = False,
    expand: ExpandOption = None,
    json: JsonOption = False,
) -> None:
    """Say how many variants there are, without listing them."""
    from windtunnel.ui import screen  # noqa: PLC0415 - slow to import

    if matrix_lab.is_lab(file):
        matrix_lab.refuse_options(file, {"--defaults": defaults, "--expand": expand})
    matrix = (
        matrix_lab.cells_of(file, only, no)
        if matrix_lab.is_lab(file)
        else _read(file, only, no, defaults=defaults, expand=expand, strict=False)
    )
    number = matrix.count()
    if not number:
        say_on_stderr(f"warning: {matrix.why_empty()}")
    if json:
        screen.print_json({"file": str(file), "count": number})
    else:
        screen.out().print(str(number))


def show(
    file: FileArgument,
    variant: Annotated[
        str, typer.Argument(metavar="VARIANT", help="Its number, its name or its short name.")
    ],
    *,
    only: OnlyOption = None,
    no: NoOption = None,
    defaults: DefaultsOption = False,
    expand: ExpandOption = None,
    strict: StrictOption = False,
    json: JsonOption = False,
) -> None:
    """Show the keys of a variant.

    Where several have the name, all of them are shown.
    """
    if matrix_lab.is_lab(file):
        options = {"--defaults": defaults, "--expand": expand, "--strict": strict}
        matrix_lab.refuse_options(file, options)
        cell = matrix_lab.cells_of(file, only, no).find(variant)
        if json:
            _print_json_list(iter([matrix_lab.document(cell)]))
        else:
            matrix_lab.write_cell(cell)
        return
    matrix = _read(file, only, no, defaults=defaults, expand=expand, strict=strict)
    found: list[tuple[int | None, MatrixVariant]]
    if variant.isdecimal():
        found = [(int(variant), matrix.variant(int(variant)))]
    else:
        found = [(None, one) for one in matrix.find(variant)]
    if not found:
        raise UsageError(
            f"the filters drop {variant!r}", hint=f"windtunnel matrix explain {file} {variant}"
        )
    if json:
        _print_json_list(_document(number, one) for number, one in found)
        return
    write = _writer()
    for number, one in found:
        write(one.name + ("" if number is None else f" (number {number})") + "\n")
        needs = f"needs {', '.join(one.needs)}\n" if one.needs else ""
        write("".join([needs, *(f"  {key} = {one.params[key]}\n" for key in sorted(one.params))]))


def explain(
    file: FileArgument,
    variant: Annotated[
        str,
        typer.Argument(
            metavar="VARIANT", help="Its name or its short name; of a lab, its number too."
        ),
    ],
    *,
    only: OnlyOption = None,
    no: NoOption = None,
    defaults: DefaultsOption = False,
    expand: ExpandOption = None,
    json: JsonOption = False,
) -> None:
    """Say which filters drop a variant, and which lines made its keys."""
    from windtunnel.ui import screen  # noqa: PLC0415 - slow to import

    if matrix_lab.is_lab(file):
        matrix_lab.refuse_options(file, {"--defaults": defaults, "--expand": expand})
        dropped = matrix_lab.cells_of(file, only, no).dropped_by(variant)
        if json:
            screen.print_json({"name": variant, "there": not dropped, "dropped_by": dropped})
        else:
            write = _writer()
            write(f"cell {variant}: {'is dropped' if dropped else 'is there'}\n")
            write("".join(f"  dropped by {one}\n" for one in dropped))
        return
    matrix = _read(file, only, no, defaults=defaults, expand=expand, strict=False)
    found = matrix.explain(variant)
    if json:
        screen.print_json([_explanation(one) for one in found])
        return
    write = _writer()
    for one in found:
        kind = "part of a join" if one.joined else "variant"
        state = "is dropped" if one.removed else "is there"
        write(f"{kind} {one.name}: {state}\n")
        for removal in one.removed:
            write(f"  dropped by {removal.text!r}, {removal.where}\n")
        for key in sorted(one.keys):
            for change in one.keys[key]:
                value = "deleted" if change.value is None else f"= {change.value}"
                write(f"  {key} {value}  ({change.text!r}, {change.where})\n")


def _read(
    file: Path,
    only: list[str] | None,
    no: list[str] | None,
    *,
    defaults: bool,
    expand: list[str] | None,
    strict: bool,
) -> Matrix:
    """Read a matrix, and say what is most likely a mistake in it."""
    # Imported here, so that other commands do not wait for it.
    from windtunnel.engine.labfile import read_text  # noqa: PLC0415
    from windtunnel.matrix.matrix import Matrix  # noqa: PLC0415
    from windtunnel.matrix.parser import read_beside  # noqa: PLC0415

    matrix = Matrix.read(
        read_text(file),
        file=str(file),
        read=read_beside,
        only=only or (),
        no=no or (),
        defaults=defaults,
        expand=expand or (),
        strict=strict,
    )
    matrix_lab.print_doubts(matrix.doubts())
    return matrix


def _selected(
    matrix: Matrix, shard: str | None, sample: int | None, seed: int
) -> Iterator[tuple[int, MatrixVariant]]:
    """The variants that are asked for, with their numbers."""
    if sample is not None:
        if shard is not None:
            raise UsageError("--shard and --sample together", hint="take one of them")
        found = matrix.sample(sample, seed)
    elif shard is None:
        found = enumerate(matrix.variants())
    else:
        begin, variants = matrix.shard(*parse_shard(shard))
        return enumerate(variants, begin)
    first = next(found, None)
    if first is None:
        raise matrix.why_empty()
    return chain([first], found)


def _document(number: int | None, one: MatrixVariant) -> dict[str, Any]:
    return {
        "number": number,
        "name": one.name,
        "short_name": one.short_name,
        "needs": list(one.needs),
        "params": dict(sorted(one.params.items())),
    }


def _explanation(one: Explanation) -> dict[str, Any]:
    return {
        "name": one.name,
        "there": not one.removed,
        "part_of_join": one.joined,
        "dropped_by": [{"text": by.text, "where": str(by.where)} for by in one.removed],
        "keys": {
            key: [
                {"text": change.text, "where": str(change.where), "value": change.value}
                for change in one.keys[key]
            ]
            for key in sorted(one.keys)
        },
    }


def _print_json_list(documents: Iterator[dict[str, Any]]) -> None:
    """Write a list that may be too long for memory as one JSON document."""
    write = _writer()
    before = "[\n"
    for one in documents:
        write(before + json_text.dumps(one, ensure_ascii=False))
        before = ",\n"
    write("[]\n" if before == "[\n" else "\n]\n")


def _writer() -> Any:
    """Writes to stdout as it is: there may be a million lines."""
    return sys.stdout.write
