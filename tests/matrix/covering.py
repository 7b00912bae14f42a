# SPDX-License-Identifier: Apache-2.0
"""Small models, and everything about them by brute force."""

from __future__ import annotations

from itertools import combinations, product

from hypothesis import strategies as st

from windtunnel.matrix.cells import ABSENT, ANY, Axis
from windtunnel.matrix.covermodel import Constraint, Group, Model, Parameter, Value


def plain_model(*levels, constraints=(), groups=()):
    """A model of parameters p0, p1, … with so many values 0, 1, …"""
    return Model(
        tuple(
            Parameter(f"p{number}", tuple(Value(str(value)) for value in range(count)))
            for number, count in enumerate(levels)
        ),
        tuple(constraints),
        tuple(groups),
    )


def forbid(parameters, *tuples):
    """A constraint: these tuples of values may not be."""
    forbidden = set(tuples)
    return Constraint(
        tuple(parameters),
        lambda values: values not in forbidden,
        f"{sorted(forbidden)} of {tuple(parameters)} are forbidden",
    )


@st.composite
def models(draw):
    """A model of up to five parameters, with constraints, groups and negative values."""
    levels = draw(st.lists(st.integers(1, 4), min_size=1, max_size=5))
    negative = st.sampled_from([False, False, False, True])
    parameters = []
    for number, count in enumerate(levels):
        values = [
            Value(f"v{index}", draw(negative), draw(st.integers(1, 3))) for index in range(count)
        ]
        if all(value.negative for value in values):
            values[0] = Value("v0")
        parameters.append(Parameter(f"p{number}", tuple(values)))
    numbers = st.sampled_from(range(len(levels)))
    constraints = []
    for _ in range(draw(st.integers(0, 3))):
        scope = draw(st.lists(numbers, min_size=1, max_size=3, unique=True))
        every = list(product(*(range(levels[number]) for number in scope)))
        constraints.append(forbid(scope, *draw(st.lists(st.sampled_from(every), max_size=5))))
    groups = []
    for _ in range(draw(st.integers(0, 2))):
        members = draw(st.lists(numbers, min_size=1, max_size=4, unique=True))
        groups.append(Group(tuple(members), draw(st.integers(1, len(members)))))
    return Model(tuple(parameters), tuple(constraints), tuple(groups))


def valid_rows(model):
    """Every row that may be."""
    negatives = set(model.negatives())
    return [
        row
        for row in product(*(range(len(parameter.values)) for parameter in model.parameters))
        if sum(pair in negatives for pair in enumerate(row)) <= 1
        and all(
            constraint.allows(tuple(row[number] for number in constraint.parameters))
            for constraint in model.constraints
        )
    ]


def column_sets(count, strength, groups=()):
    """The sets of parameters that count."""
    found = set()
    for columns in combinations(range(count), min(strength, count)):
        if not any(set(columns) <= set(group.parameters) for group in groups):
            found.add(columns)
    for group in groups:
        found |= set(combinations(sorted(group.parameters), group.strength))
    return found


def tuples_of(model, rows, strength):
    """The tuples that rows prove: of a row with a negative value, only those with it."""
    negatives = set(model.negatives())
    found = set()
    for row in rows:
        own = {pair for pair in enumerate(row) if pair in negatives}
        for columns in column_sets(len(model.parameters), strength, model.groups):
            pairs = tuple((column, row[column]) for column in columns)
            if own <= set(pairs):
                found.add(pairs)
    return found


class NestedSpace:
    """A matrix by brute force, as `windtunnel.matrix.cells.CellSpace`.

    Attributes:
        axes: an axis may lie inside a value of an earlier one.
    """

    def __init__(self, axes, keep=lambda _: True):
        self.axes = tuple(axes)
        self._cells = [cell for cell in self._grown(()) if keep(cell)]

    def _grown(self, cell):
        if len(cell) == len(self.axes):
            yield cell
            return
        axis = self.axes[len(cell)]
        if axis.inside is not None and cell[axis.inside[0]] != axis.inside[1]:
            yield from self._grown((*cell, ABSENT))
            return
        for value in range(len(axis.values)):
            yield from self._grown((*cell, value))

    def cells(self):
        return iter(self._cells)

    def __contains__(self, cell):
        return cell in self._cells

    def complete(self, partial):
        for cell in self._cells:
            if all(want in (ANY, have) for want, have in zip(partial, cell, strict=True)):
                return cell
        return None

    def allows(self, partial):
        return self.complete(partial) is not None

    def tuples(self, cells, strength):
        """The tuples of values (not of absence) in some cells."""
        tuples = {
            tuple((column, cell[column]) for column in columns)
            for cell in cells
            for columns in combinations(range(len(self.axes)), strength)
        }
        return {pairs for pairs in tuples if all(value >= 0 for _, value in pairs)}


def nested_space(keep=lambda _: True):
    """Four axes, two of them inside values."""
    return NestedSpace(
        [
            Axis("os", ("linux", "win", "bsd")),
            Axis("distro", ("debian", "fedora", "suse"), inside=(0, 0)),
            Axis("disk", ("ide", "virtio", "nvme")),
            Axis("queues", ("1", "4"), inside=(2, 1)),
            Axis("cpus", ("1", "2", "64")),
        ],
        keep,
    )
