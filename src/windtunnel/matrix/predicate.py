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
class Both:
    """Each of two holds."""

    left: Predicate
    right: Predicate


@dataclass(frozen=True, slots=True)
class Either:
    """One of two holds, or both."""

    left: Predicate
    right: Predicate


Predicate = Among | Not | Both | Either


def constraints_of(predicate: Predicate, text: str, where: Where | None) -> list[Constraint]:
    """Make constraints that together say what the predicate says.

    What is joined by AND at the top becomes several: the fewer parameters one
    has, the sooner it is seen to be broken.
    """
    if isinstance(predicate, Both):
        return [
            *constraints_of(predicate.left, text, where),
            *constraints_of(predicate.right, text, where),
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
            return _parameters(predicate.left) | _parameters(predicate.right)


def _compiled(predicate: Predicate, place: Mapping[int, int]) -> Callable[[tuple[int, ...]], bool]:
    match predicate:
        case Among(parameters=parameters, allowed=allowed):
            places = tuple(place[number] for number in parameters)
            return lambda values: tuple(values[index] for index in places) in allowed
        case Not(inner=inner):
            negated = _compiled(inner, place)
            return lambda values: not negated(values)
        case Both(left=left, right=right):
            first, second = _compiled(left, place), _compiled(right, place)
            return lambda values: first(values) and second(values)
        case Either(left=left, right=right):
            first, second = _compiled(left, place), _compiled(right, place)
            return lambda values: first(values) or second(values)
