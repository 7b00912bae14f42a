# SPDX-License-Identifier: Apache-2.0
"""Why a variant is there or is not, and where its keys come from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from windtunnel.errors import Where
from windtunnel.matrix.content import Content, Plain
from windtunnel.matrix.operations import AddSuffix, Keys, Names, flat, operation_of
from windtunnel.matrix.plan import Constraint, Edge, Plan
from windtunnel.matrix.states import fulfilled
from windtunnel.matrix.syntax import Assign, Delete, Join


@dataclass(frozen=True, slots=True)
class Removal:
    """A filter that drops a variant.

    Attributes:
        text: the statement: "no a..b".
        where: the place of the filter.
    """

    text: str
    where: Where


@dataclass(frozen=True, slots=True)
class Change:
    """A statement that changed a key.

    Attributes:
        text: the statement: "k += v".
        where: its place.
        value: what the key then is; None: it is gone.
    """

    text: str
    where: Where
    value: str | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """What became of one way through a matrix.

    Attributes:
        name: the variant's.
        removed: the filters that drop it; empty when it is there.
        keys: for each key what changed it, in that order.
        joined: whether it is a part of variants, which a join puts together.
    """

    name: str
    removed: tuple[Removal, ...]
    keys: dict[str, tuple[Change, ...]]
    joined: bool = False


def ways(plan: Plan, name: str) -> Iterator[list[Edge]]:
    """All ways through a matrix that have a name or a short name, whatever the filters say."""
    labels = name.split(".") if name else []
    todo: list[tuple[list[Edge], int]] = [([plan.start], 0)]
    while todo:
        path, done = todo.pop()
        target = path[-1].target
        if not target.number:
            if done == len(labels):
                yield path
            continue
        for edge in reversed(target.edges):
            todo += [([*path, edge], after) for after in _after(edge, labels, done)]


def _after(edge: Edge, labels: list[str], done: int) -> list[int]:
    """How many labels are read behind an edge: none is a way that cannot be."""
    here = labels[done : done + len(edge.labels)]
    found = []
    if len(here) == len(edge.labels) and all(
        text in (str(label), label.value) for text, label in zip(here, edge.labels, strict=True)
    ):
        found.append(done + len(edge.labels))
    if edge.labels and edge.variant and edge.variant.default and done not in found:
        found.append(done)  # a default is left out of short names
    return found


def explain_way(plan: Plan, path: list[Edge]) -> Explanation:
    """Say which filters drop a way, and what changes its keys."""
    found = reached = 0
    for edge in path:
        found, reached = plan.patterns.step(edge.masks, found, reached)
    name = ".".join(edge.name for edge in path if edge.labels)
    removed = tuple(
        removal_of(one) for edge in path for one in edge.constraints if not fulfilled(one, found)
    )
    for edge in path:
        joins = edge.target.joins
        if joins and not any(fulfilled(one, found) for one in joins):
            removed += (removal_of(joins[0]),)
    contents = [content for edge in reversed(path) for content in edge.contents]
    short = ".".join(edge.short for edge in path if edge.short)
    keys = _trace(contents, found, Names({"name": name, "shortname": short}, suffixed=True))
    joined = any(edge.target.joins for edge in path)
    return Explanation(name, removed, keys, joined)


def removal_of(constraint: Constraint) -> Removal:
    """A filter as one reads it."""
    source = constraint.source
    if isinstance(source, Join):
        return Removal(f"join {' '.join(word.text for word in source.words)}", source.where)
    return Removal(f"{'no' if source.negative else 'only'} {source.filter.text}", source.where)


def _trace(contents: list[Content], found: int, names: Names) -> dict[str, tuple[Change, ...]]:
    keys: Keys = {}
    changes: dict[str, list[Change]] = {}
    for content in contents:
        for one in content.applying(found):
            operation = operation_of(one)
            before = dict(keys)
            operation.apply(keys, names)
            if isinstance(operation, AddSuffix):
                changes = {f"{key}{operation.suffix}": log for key, log in changes.items()}
                continue
            for key in {**before, **keys}:
                touched = isinstance(one, Assign) and one.key == key
                if touched or keys.get(key) != before.get(key):
                    change = Change(_text(one), one.where, keys.get(key))
                    changes.setdefault(flat(key), []).append(change)
    return {key: tuple(log) for key, log in changes.items()}


def _text(one: Plain) -> str:
    if isinstance(one, Assign):
        return f"{one.key} {one.operator} {one.value}".rstrip()
    assert isinstance(one, Delete), "a suffix changes keys and no values"
    return f"del {one.pattern}"


def nearest_labels(plan: Plan, name: str) -> tuple[list[str], list[str]]:
    """For a name that no way has: its labels that there are not, and those that there are."""
    known: dict[str, None] = {}
    for stop in plan.stops:
        for edge in stop.edges:
            for label in edge.labels:
                known[str(label)] = None
                known[label.value] = None
    return [one for one in name.split(".") if one not in known], list(known)


def bare(name: str) -> list[str]:
    """The labels of a name, without their axes."""
    return [one.strip("()").rpartition("=")[2] for one in name.split(".") if one]
