# SPDX-License-Identifier: Apache-2.0
"""The walk that makes a variant: a graph of stops, at each of which a choice is made.

A block has one variant of each variants block in it, the last one first. So
after a choice the walk goes into the chosen variant's own blocks, last one
first, and then back to the block before. Where it goes on depends on the
choice alone, not on how it came: the graph has one stop for each variants
block, and one for each `join`, however many variants there are.

What lies between is on the edges: filters that begin to apply, and content,
which belongs before everything that the walk met earlier, because the walk goes
against the order of the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count

from windtunnel.matrix.content import Content, constraints_in, content_of
from windtunnel.matrix.operations import limits_in
from windtunnel.matrix.patterns import Patterns, Test
from windtunnel.matrix.syntax import (
    Assign,
    Condition,
    Join,
    Label,
    Only,
    Run,
    Statement,
    Suffix,
    Variant,
    Variants,
)

Literals = tuple[tuple[Test, bool], ...]


class Constraint:
    """A filter: not all of its literals may come true.

    Attributes:
        number: in the order of the text.
        literals: tests, and what each comes to in a name that is dropped.
        source: the statement.
    """

    __slots__ = ("literals", "number", "runs", "source")

    def __init__(self, number: int, literals: Literals, source: Only | Join) -> None:
        self.number = number
        self.literals = literals
        self.source = source
        self.runs = 0
        for test, _ in literals:
            self.runs |= test.runs


@dataclass(slots=True, eq=False)
class Edge:
    """A way from one stop to the next.

    Attributes:
        labels: what it adds to the name; none when there is no choice.
        masks: the bits of the labels.
        variant: what is chosen; None when there is no choice.
        file: the file's name that the variant is in, without its folder.
        name, short, plain: what it adds to the name, to the short name (nothing for
            a default), and to the short name if it were no default.
        needs: names on which it depends, behind what comes before it.
        constraints: filters that begin to apply.
        contents: what it does to keys, in the order of the text.
        target: the next stop.
        kind: edges of a stop with the same number do the same as far as filters go.
        patch: the contents as one dict, where nothing but assignments is in them.
    """

    labels: Run
    masks: tuple[int, ...]
    variant: Variant | None
    file: str
    name: str
    short: str
    plain: str
    needs: tuple[str, ...]
    constraints: tuple[Constraint, ...]
    contents: tuple[Content, ...]
    target: Stop
    kind: int = 0
    patch: dict[str, str] | None = None


@dataclass(slots=True, eq=False)
class Stop:
    """A choice to make, a join, or the end.

    Attributes:
        number: the stop's own; the end is 0, and every edge leads to a lower number.
        edges: none at the end.
        source: the variants block; None at a join and at the end.
        joins: for a join what each part must match; a part goes along the only edge.
        preferred: whether the first edge is enough, if it comes to anything.
        runs: what those filters ask for that can still begin to apply.
        labels: the bits of all labels that can still come.
        whole: the runs that can still come wholly.
        kinds: how many kinds of edges there are.
        last: whether all edges lead to the end.
        keys: all keys of the edges' patches.
    """

    number: int
    edges: tuple[Edge, ...] = ()
    source: Variants | None = None
    joins: tuple[Constraint, ...] = ()
    preferred: bool = False
    runs: int = 0
    labels: int = 0
    whole: int = 0
    kinds: int = 0
    last: bool = False
    keys: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Way:
    """What lies between a place in the text and the next stop of the walk."""

    constraints: tuple[Constraint, ...]
    contents: tuple[Content, ...]
    target: Stop


@dataclass(frozen=True, slots=True)
class Plan:
    """A matrix, ready to be walked.

    Attributes:
        start: an edge that leads to the first stop.
        stops: by number.
        patterns: what labels do to filters.
        limits: keys that limit others: (key, the other, how).
        suffixes: whether a suffix occurs anywhere.
        joins: whether a join occurs anywhere.
        conditions: whether any statement but a filter is in a condition.
        file: the file's name that all variants are in, without its folder; None: several.
    """

    start: Edge
    stops: tuple[Stop, ...]
    patterns: Patterns
    limits: tuple[tuple[str, str, str], ...]
    suffixes: bool
    joins: bool
    conditions: bool
    file: str | None


@dataclass(slots=True)
class _Maker:
    patterns: Patterns
    expand: frozenset[str] | None  # None: no defaults mode
    stops: list[Stop] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=count)

    def stop(self) -> Stop:
        made = Stop(len(self.stops))
        self.stops.append(made)
        return made

    def body(self, statements: Sequence[Statement], after: _Way, axis: str | None = None) -> _Way:
        """Add a block to the walk, before what comes after it.

        Args:
            statements: the block.
            after: what the walk meets after it.
            axis: the name of the variants block in which it is the body of a variant.
        """
        segment: list[Statement] = []
        block: Variants | None = None
        way = after
        for one in statements:
            if isinstance(one, Variants) and one.variants:
                way = self._segment(segment, block, way, None)
                segment, block = [], one
            else:
                segment.append(one)
        return self._segment(segment, block, way, axis)

    def _segment(
        self,
        statements: Sequence[Statement],
        block: Variants | None,
        after: _Way,
        axis: str | None,
    ) -> _Way:
        """Add a variants block, if any, and the statements that follow it."""
        inner = after if block is None else _Way((), (), self._choice(block, after, axis))
        content = content_of(statements, self.patterns)
        constraints = tuple(
            Constraint(next(self.numbers), literals, one)
            for one, literals in constraints_in(statements, self.patterns)
        )
        words = [(word, one) for one in statements if isinstance(one, Join) for word in one.words]
        if words:
            stop = self.stop()
            stop.joins = tuple(
                Constraint(next(self.numbers), ((self.patterns.test(word), False),), join)
                for word, join in words
            )
            stop.edges = (_edge((), None, inner),)
            inner = _Way((), (), stop)
        return _Way(
            inner.constraints + constraints,
            (*inner.contents, content) if content else inner.contents,
            inner.target,
        )

    def _choice(self, block: Variants, after: _Way, axis: str | None) -> Stop:
        edges = []
        for one in block.variants:
            way = after
            if block.name is not None:
                own = content_of([Assign(block.name, "=", one.text, one.where)], self.patterns)
                assert own, "it sets a key"
                way = _Way(after.constraints, (*after.contents, own), after.target)
            edges.append(_edge(one.labels, one, self.body(one.body, way, block.name)))
        stop = self.stop()
        stop.source = block
        default = next((at for at, one in enumerate(block.variants) if one.default), None)
        if default is not None and self.expand is not None and block.name not in self.expand:
            edges.insert(0, edges.pop(default))
            # A name stands also for the last block in each of its variants, as it always did.
            stop.preferred = axis not in self.expand
        stop.edges = tuple(edges)
        return stop


def _edge(labels: Run, variant: Variant | None, way: _Way) -> Edge:
    plain = ".".join(label.value for label in labels)
    return Edge(
        labels=labels,
        masks=(),
        variant=variant,
        file=re.split(r"[/\\]", variant.where.file)[-1] if variant else "",
        name=".".join(map(str, labels)),
        short="" if variant and variant.default else plain,
        plain=plain,
        needs=tuple(".".join(map(str, run)) for run in variant.needs) if variant else (),
        constraints=way.constraints,
        contents=way.contents,
        target=way.target,
    )


def make_plan(
    statements: Sequence[Statement], *, defaults: bool = False, expand: Sequence[str] = ()
) -> Plan:
    """Make the graph of a whole text.

    Args:
        statements: the text's.
        defaults: whether of each variants block the default alone is taken, as long
            as it comes to anything.
        expand: names of variants blocks that are taken wholly even so.
    """
    maker = _Maker(Patterns(), frozenset(expand) if defaults else None)
    end = maker.stop()
    start = _edge((), None, maker.body(statements, _Way((), (), end)))
    for stop in maker.stops:  # after all filters are known, and targets before others
        _work_out(stop, maker.patterns)
    edges = [start, *(edge for stop in maker.stops for edge in stop.edges)]
    for edge in edges:
        edge.patch = _patch(edge.contents)
    for stop in maker.stops:
        stop.last = bool(stop.edges) and not any(edge.target.number for edge in stop.edges)
        stop.keys = frozenset(key for edge in stop.edges for key in edge.patch or ())
    files = {edge.file for edge in edges if edge.labels}
    facts = _Facts()
    facts.look(statements)
    return Plan(
        start=start,
        stops=tuple(maker.stops),
        patterns=maker.patterns,
        limits=tuple(limits_in(iter(dict.fromkeys(facts.keys)))),
        suffixes=facts.suffixes,
        joins=any(stop.joins for stop in maker.stops),
        conditions=any(one.runs for edge in edges for one in edge.contents),
        file=files.pop() if len(files) == 1 else None,
    )


def _work_out(stop: Stop, patterns: Patterns) -> None:
    """Fill in what follows from all filters, and from the stops behind."""
    kinds: dict[tuple[tuple[int, ...], tuple[Constraint, ...], int], int] = {}
    for edge in stop.edges:
        edge.masks = tuple(patterns.mask(label) for label in edge.labels)
        masks = edge.masks if any(edge.masks) else edge.masks[:1]
        key = (masks, edge.constraints, edge.target.number)
        edge.kind = kinds.setdefault(key, len(kinds))
        stop.runs |= edge.target.runs
        stop.labels |= edge.target.labels
        for mask in edge.masks:
            stop.labels |= mask
        for constraint in edge.constraints:
            stop.runs |= constraint.runs
    for constraint in stop.joins:
        stop.runs |= constraint.runs
    stop.kinds = len(kinds)
    stop.whole = patterns.whole_runs(stop.labels)


def _patch(contents: tuple[Content, ...]) -> dict[str, str] | None:
    patch: dict[str, str] = {}
    for one in contents:
        items = () if one.runs else one.items(0)
        if len(items) != 1 or not isinstance(items[0], dict):
            return None
        patch.update(items[0])
    return patch


@dataclass(slots=True)
class _Facts:
    """What occurs anywhere in a text."""

    keys: list[str] = field(default_factory=list)
    suffixes: bool = False

    def look(self, statements: Sequence[Statement]) -> None:
        for one in statements:
            if isinstance(one, Assign):
                self.keys.append(one.key)
            elif isinstance(one, Suffix):
                self.suffixes = True
            elif isinstance(one, Condition):
                self.look(one.body)
            elif isinstance(one, Variants):
                self.keys += [one.name] if one.name else []
                for variant in one.variants:
                    self.look(variant.body)


def labels_of(plan: Plan) -> dict[Label, None]:
    """All labels that names can have, in the order of the walk's graph."""
    return {label: None for stop in plan.stops for edge in stop.edges for label in edge.labels}
