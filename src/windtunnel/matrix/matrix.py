# SPDX-License-Identifier: Apache-2.0
"""A matrix: what it has, how much of it, and any part of it without the rest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TypedDict

from windtunnel.errors import MatrixFileError, UsageError, Where
from windtunnel.matrix.cellspace import Cells
from windtunnel.matrix.expand import Dict, Expansion
from windtunnel.matrix.explain import (
    Explanation,
    Removal,
    bare,
    explain_way,
    nearest_labels,
    removal_of,
    ways,
)
from windtunnel.matrix.grammar import Read, parse
from windtunnel.matrix.indexes import sample_indexes, shard_bounds
from windtunnel.matrix.names import join_names
from windtunnel.matrix.operations import unknown_reference
from windtunnel.matrix.plan import Edge, Plan, make_plan
from windtunnel.matrix.states import States, first_that_empties
from windtunnel.matrix.syntax import (
    Assign,
    Condition,
    Filter,
    Label,
    Only,
    Statement,
    Variants,
)
from windtunnel.matrix.walks import Walk, Walks
from windtunnel.matrix.warn import Doubt, warnings_of
from windtunnel.model.nearmiss import hint_for

_NAMES = ("name", "shortname", "dep", "_name_map_file", "_short_name_map_file")


@dataclass(frozen=True, slots=True)
class MatrixVariant:
    """One variant.

    Attributes:
        name: all of its labels.
        short_name: without axes and defaults.
        needs: names of variants on which it depends.
        params: its keys.
    """

    name: str
    short_name: str
    needs: tuple[str, ...]
    params: dict[str, str]


class _Options(TypedDict):
    defaults: bool
    expand: Sequence[str]
    strict: bool


class Matrix:
    """A Cartesian configuration.

    Args:
        statements: of all texts, one after the other.
        defaults: of each variants block take the default alone, as long as it comes
            to anything.
        expand: names of variants blocks that are taken wholly even so.
        strict: whether a reference to a key that there is not is an error.
    """

    def __init__(
        self,
        statements: Sequence[Statement],
        *,
        defaults: bool = False,
        expand: Sequence[str] = (),
        strict: bool = False,
    ) -> None:
        self._statements = tuple(statements)
        self._options = _Options(defaults=defaults, expand=expand, strict=strict)
        self._strict = strict
        self._plan: Plan = make_plan(self._statements, defaults=defaults, expand=expand)
        self._states = States(self._plan)
        self._expansion = Expansion(self._plan, self._states, join_names=join_names, late=True)

    @classmethod
    def read(
        cls,
        text: str,
        *,
        file: str,
        read: Read,
        only: Sequence[str] = (),
        no: Sequence[str] = (),
        defaults: bool = False,
        expand: Sequence[str] = (),
        strict: bool = False,
    ) -> Matrix:
        """Read a matrix.

        Args:
            text: of the file.
            file: its name.
            read: reads what it includes.
            only: further filters, as behind "only".
            no: further filters, as behind "no".
            defaults: as for the class.
            expand: as for the class.
            strict: as for the class.

        Raises:
            MatrixFileError: something is wrong with it.
        """
        statements = list(parse(text, file=file, read=read))
        statements += _filters(only, no)
        return cls(statements, defaults=defaults, expand=expand, strict=strict)

    def filtered(self, only: Sequence[str] = (), no: Sequence[str] = ()) -> Matrix:
        """The same matrix with further filters behind its own.

        Args:
            only: as for `read`.
            no: as for `read`.

        Raises:
            MatrixFileError: a filter is wrong.
        """
        return Matrix((*self._statements, *_filters(only, no)), **self._options)

    def having(self, labels: Sequence[str]) -> Matrix:
        """The same matrix with only those variants that have all of some labels.

        Args:
            labels: "linux" or "os=linux"; in any order.
        """
        runs = tuple((_label(one),) for one in labels)
        only = Only(Filter((runs,), "..".join(labels)), negative=False, where=Where("<name>"))
        return Matrix((*self._statements, only), **self._options)

    def count(self) -> int:
        """How many variants there are. Nothing is expanded."""
        return self._states.count(self._states.start)

    def variants(self) -> Iterator[MatrixVariant]:
        """All variants in their order, one at a time."""
        return map(self._variant, self._expansion.all())

    def variant(self, index: int) -> MatrixVariant:
        """The variant with a number, from 0. Nothing else is expanded.

        Raises:
            UsageError: there are not so many.
        """
        count = self.count()
        if not 0 <= index < count:
            raise UsageError(
                f"there is no variant {index}: the matrix has {count}",
                hint="numbers begin at 0" if count else "the filters leave nothing",
            )
        return self._variant(next(self._expansion.from_index(index)))

    def shard(self, shard: int, shards: int) -> tuple[int, Iterator[MatrixVariant]]:
        """One of several shards, counted from 1: neighbours, as many as in the others.

        Returns:
            The number of its first variant, and its variants.

        Raises:
            UsageError: there is no such shard.
        """
        if not 1 <= shard <= shards:
            raise UsageError(
                f"there is no shard {shard}/{shards}", hint="the first of two shards is 1/2"
            )
        begin, end = shard_bounds(self.count(), shard, shards)
        if begin == end:
            return begin, iter(())
        found = islice(self._expansion.from_index(begin), end - begin)
        return begin, map(self._variant, found)

    def sample(self, size: int, seed: int) -> Iterator[tuple[int, MatrixVariant]]:
        """Some variants, drawn by a seed, in their order: with their numbers."""
        for index in sample_indexes(self.count(), size, seed):
            yield index, self.variant(index)

    def cells(self) -> Cells:
        """The matrix as axes and cells.

        Raises:
            MatrixFileError: it has a join inside a variant.
        """
        return Cells(self._plan, self._states)

    @property
    def chooses(self) -> bool:
        """Whether there is anything to choose; without, it is one variant without a name."""
        return bool(self._plan.start.target.number)

    @property
    def joins(self) -> bool:
        """Whether a variant is several at once, so that its walk parts; see `Walks`."""
        return self._plan.joins

    def walks(self) -> Walks:
        """The matrix as choices."""
        return Walks(self._plan, self._states)

    def explain_walk(self, walk: Walk) -> Explanation:
        """What became of the variant of a walk."""
        return explain_way(self._plan, self.walks().edges(walk))

    def unknown_label(self, name: str) -> str:
        """For a name that there is not: what in it nothing is called, in words; or nothing."""
        unknown, known = nearest_labels(self._plan, name)
        if not unknown:
            return ""
        return f"nothing is called {unknown[0]!r}; {hint_for(unknown[0], known, what='labels')}"

    def doubts(self) -> list[Doubt]:
        """What is most likely a mistake."""
        return warnings_of(self._statements, self._plan)

    def why_empty(self) -> MatrixFileError:
        """Say why nothing is left, for a matrix without variants."""
        culprit = first_that_empties(self._plan)
        if culprit is None:
            return MatrixFileError(
                "the joins leave nothing", hint="each word of a join must match something"
            )
        removal = removal_of(culprit)
        return MatrixFileError(
            f"the matrix is empty: nothing is left after {removal.text!r}",
            where=removal.where,
            hint="the filters before it leave something; all of them together do not",
        )

    def find(self, name: str) -> Iterator[MatrixVariant]:
        """The variants with a name or short name.

        Raises:
            UsageError: no variant has this name, even without all filters.
        """
        matrix = self
        if not self._plan.joins:
            self.explain(name)
            labels = bare(name)
            matrix = self.having(labels) if labels else self
        for one in matrix.variants():
            if name in (one.name, one.short_name):
                yield one

    def explain(self, name: str) -> list[Explanation]:
        """What became of a variant, by its name or short name; several may have the same.

        In a matrix with joins these are the parts of variants.

        Raises:
            UsageError: no variant has this name, even without all filters.
        """
        found = [self._explain(path) for path in ways(self._plan, name)]
        if not found:
            unknown, known = nearest_labels(self._plan, name)
            hint = "labels stand in the order of names: the last variants block comes first"
            if unknown:
                nearest = hint_for(unknown[0], known, what="labels")
                hint = f"no variant is called {unknown[0]!r}; {nearest}"
            raise UsageError(
                f"no variant has the name {name!r}, with or without filters", hint=hint
            )
        return found

    def _explain(self, path: list[Edge]) -> Explanation:
        found = explain_way(self._plan, path)
        if found.removed or found.joined:
            return found
        state = self._states.start
        assert state is not None, "no filter drops it"
        for edge in path[1:]:
            taken = {one: next_ for one, next_, _ in self._states.counts(state)}
            if edge not in taken:
                variant = next(iter(taken)).variant
                assert variant is not None, "there is a choice"
                note = Removal(f"defaults mode: '- {variant.text}' is taken", variant.where)
                return replace(found, removed=(note,))
            state = taken[edge]
        return found

    def _variant(self, keys: Dict) -> MatrixVariant:
        name, short, needs = keys.pop("name"), keys.pop("shortname"), keys.pop("dep")
        keys.pop("_name_map_file", None)
        keys.pop("_short_name_map_file", None)
        if self._strict:
            self._check_references(name, keys)
        return MatrixVariant(name, short, tuple(needs), keys)

    def _check_references(self, name: str, keys: dict[str, str]) -> None:
        for key, value in keys.items():
            unknown = unknown_reference(value, keys) if "${" in value else None
            if unknown is not None:
                raise MatrixFileError(
                    f"variant {name!r}: {key!r} refers to {unknown!r}, which is not set there",
                    where=_reference(self._statements, key, unknown),
                    hint=hint_for(unknown, keys, what="keys"),
                )


def _filters(only: Sequence[str], no: Sequence[str]) -> list[Statement]:
    def read(name: str, beside: str) -> tuple[str, str]:
        raise UsageError(f"a filter includes {name!r}", hint=f"include it in {beside or 'a file'}")

    return [
        statement
        for word, filters in (("only", only), ("no", no))
        for one in filters
        for statement in parse(f"{word} {one}", file=f"--{word}", read=read)
    ]


def _label(text: str) -> Label:
    axis, sign, value = text.strip("()").partition("=")
    return Label(value, axis) if sign else Label(axis)


def _reference(statements: Sequence[Statement], key: str, unknown: str) -> Where | None:
    """Where a key gets a reference; any other key's place if there is none of its own."""
    best: Where | None = None
    for one in statements:
        found: Where | None = None
        if isinstance(one, Assign):
            if f"${{{unknown}}}" in one.value:
                if one.key == key:
                    return one.where
                found = one.where
        elif isinstance(one, Condition):
            found = _reference(one.body, key, unknown)
        elif isinstance(one, Variants):
            for variant in one.variants:
                found = found or _reference(variant.body, key, unknown)
        best = best or found
    return best
