# SPDX-License-Identifier: Apache-2.0
"""PICT's models: parameters, sub-models, constraints.

A sub-model is read as a group: its parameters are covered with its order, and
everything else with that of the model. (PICT itself first makes rows of the
sub-model and then combines those; that is another aim, fewer kinds of rows.)
Source: doc/pict.md of github.com/microsoft/pict.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from windtunnel.errors import LabFileError, Where
from windtunnel.matrix.covermodel import Constraint, Group, Model, Parameter, Value
from windtunnel.matrix.pictconstraint import read_constraints
from windtunnel.model.nearmiss import hint_for

_CONSTRAINT = re.compile(
    r"\s*(?:\[|\(|(?:IF|NOT)\b(?!\s*:)|IS(?:NEGATIVE|POSITIVE)\s*\()", re.IGNORECASE
)
_GROUP = re.compile(r"\{([^{}]*)\}\s*(?:@\s*(\S+)\s*)?$")
_WEIGHT = re.compile(r"(.*?)\s*\(\s*(\d+)\s*\)$", re.DOTALL)
_REUSE = re.compile(r"<([^<>]*)>$")


@dataclass(frozen=True, slots=True)
class Reading:
    """What a model file says.

    Attributes:
        model: all of it.
        warnings: what is allowed and most likely wrong; each begins with its place.
    """

    model: Model
    warnings: tuple[str, ...] = ()


def read_pict(text: str, *, file: str, case_sensitive: bool = False) -> Reading:
    """Read a model.

    Args:
        text: of the file.
        file: its name, for messages.
        case_sensitive: whether "Win10" in a constraint is another value than "win10".

    Raises:
        LabFileError: the first thing that is wrong, with its place.
    """
    reader = _Reader(file, case_sensitive=case_sensitive)
    lines = text.splitlines()
    constraints: list[Constraint] = []
    warnings: list[str] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if _CONSTRAINT.match(line):
            # Line by line, so that places stay what they are.
            rest = ["" if one.lstrip().startswith("#") else one for one in lines[number - 1 :]]
            constraints, warnings = read_constraints(
                "\n".join(rest),
                first=Where(file, number),
                parameters=reader.parameters,
                case_sensitive=case_sensitive,
            )
            break
        if line.lstrip().startswith("{"):
            reader.read_group(line, number)
        else:
            reader.read_parameter(line, number)
    if not reader.parameters:
        raise LabFileError(
            "there are no parameters", where=Where(file), hint="a line is: name: value, value, …"
        )
    groups = tuple(reader.groups)
    return Reading(Model(tuple(reader.parameters), tuple(constraints), groups), tuple(warnings))


def split_at(text: str, separator: str) -> list[tuple[str, int]]:
    """Split a line; give each piece, stripped, with the column where it begins, from 0."""
    found = []
    start = 0
    for piece in text.split(separator):
        found.append((piece.strip(), start + len(piece) - len(piece.lstrip())))
        start += len(piece) + len(separator)
    return found


class _Reader:
    def __init__(self, file: str, *, case_sensitive: bool) -> None:
        self.file = file
        self.parameters: list[Parameter] = []
        self.groups: list[Group] = []
        self._fold: Callable[[str], str] = str if case_sensitive else str.lower

    def read_parameter(self, line: str, number: int) -> None:
        """Read a line "name: value, value (weight), ~negative, name | other name"."""
        name, colon, rest = line.partition(":")
        where = Where(self.file, number, len(line) - len(line.lstrip()) + 1)
        if not colon:
            raise LabFileError(
                f"this is no parameter, no sub-model and no constraint: {line.strip()}",
                where=where,
                hint="a parameter is a line: name: value, value, …",
            )
        name = name.strip()
        if not name:
            raise LabFileError("a parameter without a name", where=where, hint="name: value, …")
        if self.groups:
            raise LabFileError(
                f"parameter {name!r} comes after a sub-model",
                where=where,
                hint="first all parameters, then sub-models, then constraints",
            )
        if self._find(name) is not None:
            raise LabFileError(
                f"there are two parameters {name!r}", where=where, hint="rename one of them"
            )
        values: list[Value] = []
        for piece, column in split_at(rest, ","):
            place = Where(self.file, number, len(name_part(line)) + column + 1)
            values += self._values(piece, place)
        check_values(name, values, where, self._fold)
        self.parameters.append(Parameter(name, tuple(values), where))

    def _values(self, piece: str, where: Where) -> Sequence[Value]:
        if not piece:
            raise LabFileError(
                "a value is empty", where=where, hint='write a word for it, such as "none"'
            )
        reuse = _REUSE.match(piece)
        if reuse:
            found = self._find(reuse[1].strip())
            if found is None:
                raise LabFileError(
                    f"there is no parameter {reuse[1].strip()!r} whose values could be used",
                    where=where,
                    hint=self._hint(reuse[1].strip()),
                )
            return self.parameters[found].values
        weight = 1
        weighted = _WEIGHT.match(piece)
        if weighted and weighted[1]:
            piece, weight = weighted[1], int(weighted[2])
            if weight < 1:
                raise LabFileError("a weight is 0", where=where, hint="it is 1 or more")
        first, *aliases = (name for name, _ in split_at(piece, "|"))
        negative = first.startswith("~")
        first = first.removeprefix("~").strip()
        if not first or not all(aliases):
            raise LabFileError("a name of a value is empty", where=where, hint="remove the | or ~")
        return [Value(first, negative, weight, tuple(aliases))]

    def read_group(self, line: str, number: int) -> None:
        """Read a line "{ name, name } @ order"."""
        indent = len(line) - len(line.lstrip())
        where = Where(self.file, number, indent + 1)
        match = _GROUP.match(line.strip())
        if match is None or (match[2] is not None and not match[2].isdecimal()):
            raise LabFileError(
                f"this is no sub-model: {line.strip()}",
                where=where,
                hint="it is written { name, name } @ order",
            )
        members = []
        for name, column in split_at(match[1], ","):
            place = Where(self.file, number, indent + 2 + column)
            found = self._find(name)
            if found is None:
                raise LabFileError(
                    f"there is no parameter {name!r}", where=place, hint=self._hint(name)
                )
            if found in members:
                raise LabFileError(
                    f"parameter {name!r} is twice in a sub-model",
                    where=place,
                    hint="remove one of them",
                )
            members.append(found)
        # Without an order it has the model's, which is what the rest has, too.
        if match[2] is not None:
            self.groups.append(Group(tuple(members), int(match[2]), where))

    def _find(self, name: str) -> int | None:
        wanted = self._fold(name)
        for number, parameter in enumerate(self.parameters):
            if self._fold(parameter.name) == wanted:
                return number
        return None

    def _hint(self, name: str) -> str:
        return hint_for(name, [one.name for one in self.parameters], what="parameters so far")


def name_part(line: str) -> str:
    """What stands before the values, with the colon."""
    return line[: line.index(":") + 1]


def check_values(
    name: str, values: Sequence[Value], where: Where, fold: Callable[[str], str]
) -> None:
    """Find two values that nobody could tell apart.

    Raises:
        LabFileError: there are such.
    """
    seen: set[str] = set()
    for value in values:
        for text in (value.text, *value.aliases):
            if fold(text) in seen:
                raise LabFileError(
                    f"parameter {name!r} has the value {text!r} twice",
                    where=where,
                    hint="rename one of them: rows could not say which one they have",
                )
            seen.add(fold(text))
