# SPDX-License-Identifier: Apache-2.0
"""What is allowed in a matrix and is most likely a mistake.

A filter that names what there is not is no error: `only` then leaves nothing,
and `no` does nothing. The order of labels in a name is the other trap: the last
variants block comes first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from windtunnel.errors import Where
from windtunnel.matrix.plan import Plan, Stop, labels_of
from windtunnel.matrix.syntax import (
    Assign,
    Condition,
    Filter,
    Join,
    Label,
    Only,
    Statement,
    Variants,
)
from windtunnel.model.nearmiss import hint_for


@dataclass(frozen=True, slots=True)
class Doubt:
    """Something that is most likely a mistake.

    Attributes:
        message: what, and the value.
        where: the place.
        hint: what may have been meant.
    """

    message: str
    where: Where
    hint: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}\n  {self.hint}"


def warnings_of(statements: Sequence[Statement], plan: Plan) -> list[Doubt]:
    """All warnings about a matrix, in the order of the text."""
    return list(_Warner(plan).look(statements))


class _Warner:
    def __init__(self, plan: Plan) -> None:
        self._labels = list(labels_of(plan))
        self._known: dict[Label, bool] = {}
        self._pairs = _neighbours(plan)

    def look(self, statements: Sequence[Statement]) -> Iterator[Doubt]:
        for one in statements:
            if isinstance(one, Only):
                yield from self._filter(one.filter, "no" if one.negative else "only", one.where)
            elif isinstance(one, Join):
                for word in one.words:
                    yield from self._filter(word, "join", one.where)
            elif isinstance(one, Condition):
                yield from self.look(one.body)
            elif isinstance(one, Variants):
                for variant in one.variants:
                    yield from self.look(variant.body)
            elif isinstance(one, Assign) and one.key.startswith(("(", "!(")):
                yield Doubt(
                    f"{one.key!r} becomes a key, because the line has a '=' before any ':'",
                    one.where,
                    "a condition cannot name an axis; use the bare label",
                )

    def _filter(self, filter_: Filter, word: str, where: Where) -> Iterator[Doubt]:
        for run in dict.fromkeys(run for runs in filter_.alternatives for run in runs):
            unknown = [label for label in run if not self._is_known(label)]
            for label in unknown:
                yield Doubt(
                    f"'{word} {filter_.text}': no variant is called {str(label)!r}",
                    where,
                    self._hint(label),
                )
            if unknown:
                continue
            for first, second in pairwise(run):
                if not self._adjoin(first, second):
                    yield Doubt(
                        f"'{word} {filter_.text}': no name has "
                        f"{str(first)!r} immediately before {str(second)!r}",
                        where,
                        f"did you mean '{second}.{first}'? the last variants block comes first"
                        if self._adjoin(second, first)
                        else f"'{first}..{second}' is both, in any order",
                    )

    def _is_known(self, label: Label) -> bool:
        known = self._known.get(label)
        if known is None:
            known = self._known[label] = any(label.matches(one) for one in self._labels)
        return known

    def _hint(self, label: Label) -> str:
        if label.axis is None:
            names = dict.fromkeys(one.value for one in self._labels)
            return hint_for(label.value, names, what="labels")
        return hint_for(
            str(label), dict.fromkeys(str(one) for one in self._labels if one.axis), what="labels"
        )

    def _adjoin(self, first: Label, second: Label) -> bool:
        return any(
            second.matches(next_)
            for one, nexts in self._pairs.items()
            if first.matches(one)
            for next_ in nexts
        )


def _neighbours(plan: Plan) -> dict[Label, set[Label]]:
    """For each label those that can come immediately after it in a name."""
    pairs: dict[Label, set[Label]] = {}
    firsts: list[set[Label]] = []
    for stop in plan.stops:  # targets come before
        firsts.append(_firsts(stop, firsts))
        for edge in stop.edges:
            for label, next_ in pairwise(edge.labels):
                pairs.setdefault(label, set()).add(next_)
            if edge.labels:
                pairs.setdefault(edge.labels[-1], set()).update(firsts[edge.target.number])
    return pairs


def _firsts(stop: Stop, firsts: list[set[Label]]) -> set[Label]:
    found: set[Label] = set()
    for edge in stop.edges:
        found |= {edge.labels[0]} if edge.labels else firsts[edge.target.number]
    return found
