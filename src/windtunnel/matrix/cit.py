# SPDX-License-Identifier: Apache-2.0
"""Models of Avocado's combinatorial varianter ("cit").

::

    PARAMETERS
    color [black, gold, red]
    shape [square, circle]

    CONSTRAINTS
    color != black || shape != square

A constraint is a list of "differs from", of which one at least must hold; the
value may stand on either side.
Source: the examples of avocado_varianter_cit.
"""

from __future__ import annotations

import re

from windtunnel.errors import LabFileError, Where
from windtunnel.matrix.covermodel import Constraint, Model, Parameter, Value
from windtunnel.matrix.pict import check_values, split_at
from windtunnel.matrix.predicate import Among, Not, Predicate, Some, constraints_of
from windtunnel.model.nearmiss import hint_for

_PARAMETER = re.compile(r"([^\[\]]*)\[([^\[\]]*)\]$")
_SECTIONS = ("PARAMETERS", "CONSTRAINTS")


def looks_like_cit(text: str) -> bool:
    """Whether the first line that says anything is the heading of such a model."""
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            return _section(line) != ""
    return False


# The section that a line begins; "" when it begins none.
def _section(line: str) -> str:
    name = line.strip().strip("[]").upper()
    return name if name in _SECTIONS else ""


def read_cit(text: str, *, file: str) -> Model:
    """Read a model.

    Args:
        text: of the file.
        file: its name, for messages.

    Raises:
        LabFileError: the first thing that is wrong, with its place.
    """
    parameters: list[Parameter] = []
    constraints: list[Constraint] = []
    section = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        where = Where(file, number, len(line) - len(line.lstrip()) + 1)
        if _section(line):
            section = _section(line)
        elif section == "PARAMETERS":
            parameters.append(_parameter(line, where, parameters))
        elif section == "CONSTRAINTS":
            constraints += _constraint(line, where, parameters)
        else:
            raise LabFileError(
                f"this belongs to no section: {line.strip()}",
                where=where,
                hint="the first line is: PARAMETERS",
            )
    if not parameters:
        raise LabFileError(
            "there are no parameters", where=Where(file), hint="a line is: name [value, value]"
        )
    return Model(tuple(parameters), tuple(constraints))


def _parameter(line: str, where: Where, parameters: list[Parameter]) -> Parameter:
    match = _PARAMETER.match(line.strip())
    if match is None or not match[1].strip():
        raise LabFileError(
            f"this is no parameter: {line.strip()}",
            where=where,
            hint="it is written: name [value, value]",
        )
    name = match[1].strip()
    if any(parameter.name == name for parameter in parameters):
        raise LabFileError(
            f"there are two parameters {name!r}", where=where, hint="rename one of them"
        )
    values = []
    for piece, column in split_at(match[2], ","):
        if not piece:
            place = Where(where.file, where.line, where.column + match.start(2) + column)
            raise LabFileError("a value is empty", where=place, hint="remove the comma")
        values.append(Value(piece))
    check_values(name, values, where, str)
    return Parameter(name, tuple(values), where)


def _constraint(line: str, where: Where, parameters: list[Parameter]) -> list[Constraint]:
    parts = []
    for piece, column in split_at(line, "||"):
        place = Where(where.file, where.line, column + 1)
        sides = [side for side, _ in split_at(piece, "!=")]
        if len(sides) != 2 or not all(sides):
            raise LabFileError(
                f"this is no constraint: {piece or line.strip()}",
                where=place,
                hint="it is written: name != value || name != value",
            )
        parts.append(_differs(sides[0], sides[1], place, parameters))
    return constraints_of(Some(tuple(parts)), line.strip(), where)


def _differs(left: str, right: str, where: Where, parameters: list[Parameter]) -> Predicate:
    numbers = {parameter.name: number for number, parameter in enumerate(parameters)}
    name, value = (left, right) if left in numbers else (right, left)
    if name not in numbers:
        raise LabFileError(
            f"neither {left!r} nor {right!r} is a parameter",
            where=where,
            hint=hint_for(left, numbers, what="parameters"),
        )
    texts = [one.text for one in parameters[numbers[name]].values]
    if value not in texts:
        raise LabFileError(
            f"parameter {name!r} has no value {value!r}",
            where=where,
            hint=hint_for(value, texts, what="values"),
        )
    return Not(Among((numbers[name],), frozenset({(texts.index(value),)})))
