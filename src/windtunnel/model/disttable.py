# SPDX-License-Identifier: Apache-2.0
"""Tables of delays from files, in the format that tc(8) reads (`….dist`).

Whole numbers with white space between them; a line that begins with "#" is a
comment. iproute2's `maketable` makes such a file of measured round-trip times.

Source: iproute2, tc/q_netem.c, get_distribution().
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import BaseModel

from windtunnel.errors import LabFileError
from windtunnel.model.impairment import (
    TABLE_VALUE_MAX,
    TABLE_VALUE_MIN,
    TABLE_VALUES_MAX,
    DelayTable,
)
from windtunnel.model.linkschema import DistributionPart
from windtunnel.model.problem import Path

# A line of theirs has eight values; what is longer is something else.
_SHOWN_CHARACTERS_MAX = 20


def parse_delay_table(text: str) -> DelayTable:
    """Read a table.

    Raises:
        LabFileError: something that is no number, a number out of range, none
            at all or too many.
    """
    values: list[int] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("#"):
            continue
        for word in line.split():
            try:
                value = int(word)
            except ValueError as error:
                raise LabFileError(
                    f"line {number} of the table has {word[:_SHOWN_CHARACTERS_MAX]!r}, "
                    "which is no whole number",
                    hint="a table has whole numbers, and comments that begin with '#'",
                ) from error
            if not TABLE_VALUE_MIN <= value <= TABLE_VALUE_MAX:
                raise LabFileError(
                    f"line {number} of the table has {value}, which is not "
                    f"{TABLE_VALUE_MIN} to {TABLE_VALUE_MAX}",
                    hint="a value is the deviation in jitters, times 8192",
                )
            values.append(value)
    if not 0 < len(values) <= TABLE_VALUES_MAX:
        raise LabFileError(
            f"the table has {len(values)} values",
            hint=f"the kernel takes 1 to {TABLE_VALUES_MAX}",
        )
    return DelayTable(tuple(values))


def tables_of(part: Any, path: Path) -> Iterator[tuple[DistributionPart, Path]]:
    """Find the distributions with a file below a part of a lab file.

    Args:
        part: a model, or a list or mapping of models.
        path: where it stands.
    """
    match part:
        case DistributionPart():
            if part.table is not None:
                yield part, (*path, "table")
        case BaseModel():
            for name in part.model_fields_set:
                yield from tables_of(getattr(part, name), (*path, name))
        case dict():
            for name, one in part.items():
                yield from tables_of(one, (*path, name))
        case list():
            for index, one in enumerate(part):
                yield from tables_of(one, (*path, index))


def values_in(content: bytes) -> Sequence[int]:
    """The values of a table's file.

    Raises:
        LabFileError: it is not text, or as for `parse_delay_table`.
    """
    try:
        return parse_delay_table(content.decode()).values
    except UnicodeDecodeError as error:
        raise LabFileError(
            f"the table is not UTF-8 text: {error.reason} at byte {error.start}",
            hint="it is a text with whole numbers",
        ) from error
