# SPDX-License-Identifier: Apache-2.0
"""What is to be covered: parameters, constraints, groups of another strength.

Plain data, made by the readers of model files and by calls. Parameters and
values are named by their numbers everywhere but in messages.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from windtunnel.errors import LabFileError, UsageError, Where
from windtunnel.matrix.cells import Cell

STRENGTH_MAX = 6
"""Studies of real failures found none that needed more than six values at once."""

VALUES_MAX = 10_000
"""Of one parameter. What has more is no list that a person wrote."""


@dataclass(frozen=True, slots=True)
class Value:
    """One value of a parameter.

    Attributes:
        text: for people and for rows.
        negative: out of range, meant to fail; a row has at most one such value.
        weight: how much it is preferred where the choice is free; 1 or more.
        aliases: other names of the same value, for which rows take turns.
    """

    text: str
    negative: bool = False
    weight: int = 1
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Parameter:
    """One column of the rows.

    Attributes:
        name: unique in the model.
        values: at least one.
        where: the place in the model's file; None when it was built by calls.
    """

    name: str
    values: tuple[Value, ...]
    where: Where | None = None

    def label(self, value: int) -> str:
        """Name a value for people: "os=linux", "mtu=~0" when it is negative."""
        found = self.values[value]
        return f"{self.name}={'~' * found.negative}{found.text}"


@dataclass(frozen=True, slots=True)
class Constraint:
    """What every row must satisfy.

    Attributes:
        parameters: the numbers of those that it speaks of, each once.
        allows: says whether values may stand together; gets their numbers in the
            order of `parameters`. The same arguments must always give the same answer.
        text: for messages.
        where: the place in the model's file.
    """

    parameters: tuple[int, ...]
    allows: Callable[[tuple[int, ...]], bool] = field(compare=False)
    text: str = ""
    where: Where | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Parameters that are covered with a strength of their own.

    Sets of parameters that lie wholly inside the group are covered as the group
    says; all others as the whole model.

    Attributes:
        parameters: their numbers, each once.
        strength: 1 to the number of parameters.
        where: the place in the model's file.
    """

    parameters: tuple[int, ...]
    strength: int
    where: Where | None = None


@dataclass(frozen=True, slots=True)
class Model:
    """Everything that rows are made of.

    Attributes:
        parameters: at least one.
        constraints: all of them hold in every row.
        groups: of another strength than the rest.
    """

    parameters: tuple[Parameter, ...]
    constraints: tuple[Constraint, ...] = ()
    groups: tuple[Group, ...] = ()

    def negatives(self) -> list[tuple[int, int]]:
        """Every negative value: the number of the parameter, and its own."""
        return [
            (number, index)
            for number, parameter in enumerate(self.parameters)
            for index, value in enumerate(parameter.values)
            if value.negative
        ]

    def positives(self) -> list[tuple[int, ...]]:
        """The numbers of the values that are not negative, for each parameter."""
        return [
            tuple(index for index, value in enumerate(parameter.values) if not value.negative)
            for parameter in self.parameters
        ]

    def row_fault(self, row: Cell) -> str:
        """Say what is wrong with a whole row; "" when nothing is."""
        negative = [self.label(*pair) for pair in self.negatives() if row[pair[0]] == pair[1]]
        if len(negative) > 1:
            return f"it has several negative values: {', '.join(negative)}"
        for constraint in self.constraints:
            if not constraint.allows(tuple(row[number] for number in constraint.parameters)):
                place = f" ({constraint.where})" if constraint.where else ""
                return f"it breaks the constraint {constraint.text}{place}"
        return ""

    def label(self, parameter: int, value: int) -> str:
        """Name a value for people: "os=linux"."""
        return self.parameters[parameter].label(value)

    def check(self) -> None:
        """Find what would make no sense.

        Raises:
            LabFileError: a parameter or a group cannot be covered.
        """
        if not self.parameters:
            raise LabFileError("there are no parameters", hint="a model needs at least one")
        for parameter in self.parameters:
            if len(parameter.values) > VALUES_MAX:
                raise LabFileError(
                    f"parameter {parameter.name!r} has {len(parameter.values)} values",
                    where=parameter.where,
                    hint=f"it may have {VALUES_MAX}; one value for each range is enough",
                )
            if all(value.negative for value in parameter.values):
                raise LabFileError(
                    f"parameter {parameter.name!r} has no value that is in range",
                    where=parameter.where,
                    hint="a row may have one negative value only, so every parameter "
                    "needs one that is not",
                )
        for group in self.groups:
            size = len(group.parameters)
            if not 1 <= group.strength <= min(size, STRENGTH_MAX):
                raise LabFileError(
                    f"a group of {size} parameters cannot have the strength {group.strength}",
                    where=group.where,
                    hint=f"it may be 1 to {min(size, STRENGTH_MAX)}",
                )


def check_strength(strength: int) -> None:
    """Check how many values at once are to be covered.

    Raises:
        UsageError: it is not 1 to `STRENGTH_MAX`.
    """
    if not 1 <= strength <= STRENGTH_MAX:
        raise UsageError(
            f"the strength is {strength}", hint=f"it may be 1 to {STRENGTH_MAX}; 2 covers all pairs"
        )
