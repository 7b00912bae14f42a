# SPDX-License-Identifier: Apache-2.0
"""Conditions on the values of parameters, as the readers of model files build them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from windtunnel.errors import Where
from windtunnel.matrix.covermodel import Constraint


@dataclass(frozen=True, slots=True)
class Among:
    """The values of some parameters are one of these.

    Attributes:
        parameters: their numbers.
        allowed: numbers of values, in that order.
    """

    parameters: tuple[int, ...]
    allowed: frozenset[tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Not:
    """The inner one does not hold."""

    inner: Predicate


@dataclass(frozen=True, slots=True)
class Every:
    """Each part holds."""

    parts: tuple[Predicate, ...]


@dataclass(frozen=True, slots=True)
class Some:
    """One part holds, or several."""

    parts: tuple[Predicate, ...]


Predicate = Among | Not | Every | Some


def constraints_of(predicate: Predicate, text: str, where: Where | None) -> list[Constraint]:
    """Make constraints that together say what the predicate says.

    What is joined by AND at the top becomes several: the fewer parameters one
    has, the sooner it is seen to be broken.
    """
    if isinstance(predicate, Every):
        return [
            constraint
            for part in predicate.parts
            for constraint in constraints_of(part, text, where)
        ]
    parameters = tuple(sorted(_parameters(predicate)))
    place = {number: index for index, number in enumerate(parameters)}
    return [Constraint(parameters, _compiled(predicate, place), text, where)]


def _parameters(predicate: Predicate) -> set[int]:
    match predicate:
        case Among(parameters=parameters):
            return set(parameters)
        case Not(inner=inner):
            return _parameters(inner)
        case _:
            return set().union(*(_parameters(part) for part in predicate.parts))


def _compiled(predicate: Predicate, place: Mapping[int, int]) -> Callable[[tuple[int, ...]], bool]:
    match predicate:
        case Among(parameters=parameters, allowed=allowed):
            places = tuple(place[number] for number in parameters)
            return lambda values: tuple(values[index] for index in places) in allowed
        case Not(inner=inner):
            negated = _compiled(inner, place)
            return lambda values: not negated(values)
        case Every(parts=parts):
            all_of = [_compiled(part, place) for part in parts]
            return lambda values: all(holds(values) for holds in all_of)
        case _:
            some_of = [_compiled(part, place) for part in predicate.parts]
            return lambda values: any(holds(values) for holds in some_of)
