# SPDX-License-Identifier: Apache-2.0
"""What `include` adds to the cells of a lab's axes: what they have not, or what is excluded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from math import prod

from windtunnel.errors import LabFileError
from windtunnel.model.params import ParamAxis, ParamRule

INCLUDED_MAX = 10_000
"""So many cells may stand beside the product: each one is kept."""

Labels = tuple[str, ...]
"""What a cell has of each axis."""

Pattern = dict[str, frozenset[str]]
"""Which values of some axes a rule or a filter means; all of these axes must agree."""


def pattern_of(rule: ParamRule) -> Pattern:
    """What a rule means."""
    return {name: frozenset(labels) for name, labels in rule.picks}


def included(
    axes: Sequence[ParamAxis], exclude: Sequence[ParamRule], include: Sequence[ParamRule]
) -> dict[Labels, int]:
    """What stands besides the product, with its place there, in the order of the rules.

    Of a rule that is what the axes have not, or what is excluded: to name it is to want it.
    Nothing else of the product is looked at, so a rule may name one axis of many.

    Raises:
        LabFileError: there are more than `INCLUDED_MAX`.
    """
    found: dict[Labels, int] = {}
    labels_of = [tuple(value.label for value in axis.values) for axis in axes]
    for rule in include:
        picks = dict(rule.picks)
        choices = [picks.get(axis.name, labels_of[at]) for at, axis in enumerate(axes)]
        known = [
            tuple(label for label in choice if label in labels)
            for choice, labels in zip(choices, labels_of, strict=True)
        ]
        excluded = [_common(axes, known, pattern_of(one)) for one in exclude]
        parts = [*_with_new(choices, known), *excluded]
        if max((prod(map(len, part)) for part in parts), default=0) > INCLUDED_MAX:
            raise _too_many(rule)
        order = [{label: at for at, label in enumerate(choice)} for choice in choices]
        for labels in sorted(
            {labels for part in parts for labels in product(*part)},
            key=lambda labels: [at[label] for at, label in zip(order, labels, strict=True)],
        ):
            found.setdefault(labels, len(found))
        if len(found) > INCLUDED_MAX:
            raise _too_many(rule)
    return found


def _common(axes: Sequence[ParamAxis], choices: Sequence[Labels], pattern: Pattern) -> list[Labels]:
    """What of a product agrees with a pattern: a product again."""
    return [
        tuple(label for label in choice if label in pattern.get(axis.name, (label,)))
        for axis, choice in zip(axes, choices, strict=True)
    ]


def _with_new(choices: Sequence[Labels], known: Sequence[Labels]) -> Iterator[list[Labels]]:
    """Of a product what has a label that its axis has not: products again.

    One for each axis that can be the first to have such a label.
    """
    for at, (labels, old) in enumerate(zip(choices, known, strict=True)):
        new = tuple(label for label in labels if label not in old)
        if new:
            yield [*known[:at], new, *choices[at + 1 :]]


def _too_many(rule: ParamRule) -> LabFileError:
    return LabFileError(
        f"more than {INCLUDED_MAX} cells are included besides the axes",
        where=rule.where,
        hint="make the values of it values of the axes",
    )
