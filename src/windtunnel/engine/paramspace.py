# SPDX-License-Identifier: Apache-2.0
"""The cells of a lab file's `params`: a product, less what is excluded, and some besides.

The product is a matrix like any other (`windtunnel.matrix`), in which axes and
values have numbers for names, so that nothing in a name means anything there.
What is included besides stands behind it, one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from math import prod

from windtunnel.engine.cell import LabCell
from windtunnel.engine.paramdoubts import strange_values
from windtunnel.engine.paraminclude import Labels, Pattern, included, pattern_of
from windtunnel.errors import LabFileError, UsageError, Where
from windtunnel.matrix.boxes import Boxes
from windtunnel.matrix.cover import cover_space
from windtunnel.matrix.matrix import Matrix
from windtunnel.matrix.syntax import (
    Condition,
    Filter,
    Label,
    Only,
    Statement,
    Variant,
    Variants,
)
from windtunnel.matrix.warn import Doubt
from windtunnel.model.nearmiss import hint_for
from windtunnel.model.params import ParamAxis, Params

_MEANT_SHOWN = 3  # of several cells that a part of a name may mean

RULES_DOUBTED_MAX = 200
"""Of so many rules each one is looked at for what it does; of more, none is."""


class ParamSpace:
    """The cells of `params` that filters leave."""

    def __init__(self, params: Params, *, only: Sequence[str], no: Sequence[str]) -> None:
        """Read the filters; nothing is expanded.

        Raises:
            UsageError: a filter names what there is not.
            LabFileError: too many cells are included.
        """
        self._source = params
        self._axes = params.axes
        self._product_size = prod(len(axis.values) for axis in self._axes)
        self._numbers = [
            {value.label: number for number, value in enumerate(axis.values)} for axis in self._axes
        ]
        self._exclude = params.exclude
        self._include_rules = params.include
        self._all_included = included(self._axes, params.exclude, params.include)
        self._kept = [(text, self._pattern(text)) for text in only]
        self._dropped = [(text, self._pattern(text)) for text in no]
        self._matrix = Matrix([*self._statements(), *self._filters()])
        self._boxes = Boxes(
            [len(axis.values) for axis in self._axes],
            [
                *(self._box(pattern_of(rule)) for rule in self._exclude),
                *(self._box(pattern) for _, pattern in self._dropped),
            ],
            self._allowed(pattern for _, pattern in self._kept),
        )
        self._product_count = self._boxes.count()
        self._included = [
            (number, labels)
            for number, labels in enumerate(self._all_included)
            if self._passes(labels)
        ]

    def count(self) -> int:
        """How many cells there are."""
        return self._product_count + len(self._included)

    def at(self, position: int) -> LabCell:
        """The cell at a position among those that the filters leave."""
        if position < self._product_count:
            return self._cell(self._labels(self._boxes.at(position)))
        return self._besides(position - self._product_count)

    def cells(self) -> Iterator[LabCell]:
        """All of them, one at a time."""
        for variant in self._matrix.variants():
            numbers = (int(variant.params[f"a{at}"]) for at in range(len(self._axes)))
            yield self._cell(self._labels(numbers))
        yield from map(self._besides, range(len(self._included)))

    def named(self, name: str) -> LabCell:
        """The cell with a name, if the filters leave it.

        Raises:
            UsageError: there is none.
        """
        for number, (_, labels) in enumerate(self._included):
            if self._name(labels) == name:
                return self._besides(number)
        read = self._read_name(name)
        if read is not None:
            wanted = tuple(
                numbers.get(label, -1) for numbers, label in zip(self._numbers, read, strict=True)
            )
            if -1 not in wanted and wanted in self._matrix.cells():
                return self._cell(read)
        if read is None or not self._knows(read):
            return self._meant(name)
        dropped = self.dropped_by(name)
        raise UsageError(f"the cell {name!r} is dropped", hint=f"by {' and by '.join(dropped)}")

    def _meant(self, text: str) -> LabCell:
        """The only cell that a filter leaves: a name with its parts in another order, or fewer."""
        pattern = self._pattern(text)
        one = ParamSpace(
            self._source,
            only=[*(kept for kept, _ in self._kept), text],
            no=[dropped for dropped, _ in self._dropped],
        )
        count = one.count()
        if count == 1:
            return one.at(0)
        if not count and len(pattern) < len(self._axes):
            raise one.why_empty()
        if not count:
            labels = tuple(min(pattern[axis.name]) for axis in self._axes)
            return self.named(self._name(labels))
        some = ", ".join(repr(one.at(at).name) for at in range(min(count, _MEANT_SHOWN)))
        raise UsageError(f"{text!r} is {count} cells", hint=f"such as {some}")

    def dropped_by(self, name: str) -> list[str]:
        """Which rules and filters drop the cell of a name; none: it is there.

        Raises:
            UsageError: no cell has this name.
        """
        labels = self._read_name(name)
        if labels is None or not self._knows(labels):
            pattern = self._pattern(name)  # names what is wrong with it
            if len(pattern) < len(self._axes) or any(len(some) != 1 for some in pattern.values()):
                example = self._name(tuple(axis.values[0].label for axis in self._axes))
                raise UsageError(
                    f"{name!r} names no single cell", hint=f"names are such as {example!r}"
                )
            labels = tuple(min(pattern[axis.name]) for axis in self._axes)
        excluded = [
            f"exclude, {rule.where}"
            for rule in self._exclude
            if labels not in self._all_included and self._agrees(labels, pattern_of(rule))
        ]
        unmet = [f"--only {text!r}" for text, one in self._kept if not self._agrees(labels, one)]
        met = [f"--no {text!r}" for text, one in self._dropped if self._agrees(labels, one)]
        return excluded + unmet + met

    def numbered(self, index: int) -> LabCell:
        """The cell with an index.

        Raises:
            UsageError: there is none, or it is dropped.
        """
        return self.named(self.name_of(index))

    def name_of(self, index: int) -> str:
        """The name of the cell with an index, whether it is dropped or not.

        Raises:
            UsageError: there is none.
        """
        for labels, place in self._all_included.items():
            if self._product_size + place == index:
                return self._name(labels)
        if not 0 <= index < self._product_size:
            raise UsageError(f"there is no cell number {index}", hint="numbers begin at 0")
        found = []
        for axis in reversed(self._axes):
            index, number = divmod(index, len(axis.values))
            found.append(axis.values[number].label)
        return self._name(tuple(reversed(found)))

    def cover(self, strength: int, seed: int) -> list[LabCell]:
        """Few cells that hold each combination of so many values; all that are included."""
        rows = cover_space(self._matrix.cells(), strength, seed=seed)
        found = [self._cell(self._labels(row)) for row in rows]
        found += map(self._besides, range(len(self._included)))
        return sorted(found, key=lambda cell: cell.index)

    def why_empty(self) -> LabFileError | UsageError:
        """Say why nothing is left."""
        kept: list[str] = []
        dropped: list[str] = []
        if not self._leaves(kept, dropped):
            return LabFileError("every cell is excluded", where=self._axes[0].where)
        for option, filters, given in (
            ("--only", self._kept, kept),
            ("--no", self._dropped, dropped),
        ):
            for text, _ in filters:
                given.append(text)
                if not self._leaves(kept, dropped):
                    return UsageError(
                        f"no cell is left after {option} {text!r}",
                        hint="what stands before it leaves some; all of it together does not",
                    )
        raise AssertionError("only an empty space is asked why")

    def _leaves(self, only: Sequence[str], no: Sequence[str]) -> bool:
        return ParamSpace(self._source, only=only, no=no).count() > 0

    # ---- cells ----

    def _cell(self, labels: Labels) -> LabCell:
        index = 0
        for axis, numbers, label in zip(self._axes, self._numbers, labels, strict=True):
            index = index * len(axis.values) + numbers[label]
        return LabCell(index, self._name(labels), self._params(labels))

    def _besides(self, number: int) -> LabCell:
        place, labels = self._included[number]
        return LabCell(self._product_size + place, self._name(labels), self._params(labels))

    def _name(self, labels: Labels) -> str:
        return ",".join(
            f"{axis.name}={label}" for axis, label in zip(self._axes, labels, strict=True)
        )

    def _read_name(self, name: str) -> Labels | None:
        """The labels of which a name is made; a label may have a comma in it."""

        def read(rest: str, at: int) -> Labels | None:
            head = f"{self._axes[at].name}="
            if not rest.startswith(head):
                return None
            rest = rest[len(head) :]
            if at == len(self._axes) - 1:
                return (rest,)
            end = -1
            while (end := rest.find(",", end + 1)) >= 0:
                tail = read(rest[end + 1 :], at + 1)
                if tail is not None:
                    return (rest[:end], *tail)
            return None

        return read(name, 0)

    def _params(self, labels: Labels) -> dict[str, str]:
        found: dict[str, str] = {}
        for axis, numbers, label in zip(self._axes, self._numbers, labels, strict=True):
            found[axis.name] = label
            if label in numbers:
                found |= axis.values[numbers[label]].keys
        return found

    def _labels(self, numbers: Iterable[int]) -> Labels:
        return tuple(
            axis.values[number].label for axis, number in zip(self._axes, numbers, strict=True)
        )

    # ---- the product as a matrix ----

    def _statements(self) -> list[Statement]:
        """The axes without what is excluded."""
        # The block that comes last is the outermost loop.
        blocks = [_block(number, axis) for number, axis in reversed(list(enumerate(self._axes)))]
        excluded = (self._no("exclude", pattern_of(rule), rule.where) for rule in self._exclude)
        return [*blocks, *excluded]

    def _filters(self) -> Iterator[Statement]:
        for text, pattern in self._kept:
            for one in self._picked(text, pattern):
                yield Only(one, negative=False, where=Where(f"<{text}>"))
        for text, pattern in self._dropped:
            yield self._no(text, pattern, Where(f"<{text}>"))

    def _no(self, text: str, pattern: Pattern, where: Where) -> Statement:
        """Drop what agrees with all axes of a pattern: conditions inside each other.

        One filter that lists all combinations would be as long as their product.
        """
        *outer, last = self._picked(text, pattern)
        found: Statement = Only(last, negative=True, where=where)
        for one in reversed(outer):
            found = Condition(one, negative=False, body=(found,), where=where)
        return found

    def _picked(self, text: str, pattern: Pattern) -> list[Filter]:
        """For each axis of a pattern the values that it picks of the product."""
        found = []
        for number, (axis, numbers) in enumerate(zip(self._axes, self._numbers, strict=True)):
            if axis.name in pattern:
                picked = tuple(
                    ((Label(str(at), f"a{number}"),),)
                    for label, at in numbers.items()
                    if label in pattern[axis.name]
                )
                # What is meant may be included cells alone: nothing of the product matches.
                found.append(Filter(picked or (((Label("none", "none"),),),), text))
        return found

    # ---- the product as a grid with boxes cut out ----

    def _box(self, pattern: Pattern) -> dict[int, set[int]]:
        """A pattern as numbers of axes and values; of the product alone."""
        return {
            at: {numbers[label] for label in pattern[axis.name] if label in numbers}
            for at, (axis, numbers) in enumerate(zip(self._axes, self._numbers, strict=True))
            if axis.name in pattern
        }

    def _allowed(self, patterns: Iterable[Pattern]) -> list[set[int]]:
        """For each axis the values on which all patterns agree."""
        found = [set(range(len(axis.values))) for axis in self._axes]
        for pattern in patterns:
            for at, values in self._box(pattern).items():
                found[at] &= values
        return found

    # ---- doubts ----

    def doubts(self) -> list[Doubt]:
        """Rules that do nothing, and new values of an axis that look like an old one."""
        if len(self._exclude) + len(self._include_rules) > RULES_DOUBTED_MAX:
            return []
        strange = strange_values(self._axes, self._include_rules)
        return [*self._idle_excludes(), *self._idle_includes(), *strange]

    def _idle_excludes(self) -> Iterator[Doubt]:
        sizes = [len(axis.values) for axis in self._axes]
        before: list[dict[int, set[int]]] = []
        for rule in self._exclude:
            pattern = pattern_of(rule)
            left = Boxes(sizes, before, self._allowed([pattern])).count()
            before.append(self._box(pattern))
            if not left:
                yield Doubt(
                    "this rule excludes nothing that was still there",
                    rule.where,
                    "rules before it exclude all of it",
                )

    def _idle_includes(self) -> Iterator[Doubt]:
        before = 0
        for number, rule in enumerate(self._include_rules):
            after = len(included(self._axes, self._exclude, self._include_rules[: number + 1]))
            if before == after:
                yield Doubt(
                    "this rule includes nothing that is not there already",
                    rule.where,
                    "the axes, or rules before it, have all of it",
                )
            before = after

    # ---- filters ----

    def _passes(self, labels: Labels) -> bool:
        return all(self._agrees(labels, pattern) for _, pattern in self._kept) and not any(
            self._agrees(labels, pattern) for _, pattern in self._dropped
        )

    def _agrees(self, labels: Labels, pattern: Pattern) -> bool:
        return all(
            label in pattern.get(axis.name, (label,))
            for axis, label in zip(self._axes, labels, strict=True)
        )

    def _pattern(self, text: str) -> Pattern:
        """Read `axis=value,axis=value`; a value may have * and ?, and a bare one any axis."""
        labels = self._read_name(text)
        if labels is not None and self._knows(labels):
            return {
                axis.name: frozenset((label,))
                for axis, label in zip(self._axes, labels, strict=True)
            }
        found: Pattern = {}
        for part in text.split(","):
            axis, values = self._pick(part.strip())
            found[axis] = found.get(axis, values) & values
        return found

    def _knows(self, labels: Labels) -> bool:
        return labels in self._all_included or all(
            label in numbers for numbers, label in zip(self._numbers, labels, strict=True)
        )

    def _pick(self, part: str) -> tuple[str, frozenset[str]]:
        known = {
            axis.name: list(numbers) + [labels[at] for labels in self._all_included]
            for at, (axis, numbers) in enumerate(zip(self._axes, self._numbers, strict=True))
        }
        name, sign, value = part.partition("=")
        if sign and name not in known:
            raise UsageError(f"there is no axis {name!r}", hint=hint_for(name, known, what="axes"))
        matching = {
            axis: frozenset(
                label for label in labels if fnmatchcase(label, value if sign else part)
            )
            for axis, labels in known.items()
            if not sign or axis == name
        }
        found = [(axis, labels) for axis, labels in matching.items() if labels]
        if len(found) == 1:
            return found[0]
        if found:
            axes = " and ".join(axis for axis, _ in found)
            raise UsageError(f"{part!r} is a value of {axes}", hint=f"write {found[0][0]}={part}")
        there = dict.fromkeys(label for axis in matching for label in known[axis])
        if sign:
            raise UsageError(
                f"the axis {name!r} has no value {value!r}",
                hint=hint_for(value, there, what="values"),
            )
        raise UsageError(f"no axis has a value {part!r}", hint=hint_for(part, there, what="values"))


def _block(number: int, axis: ParamAxis) -> Variants:
    variants = tuple(
        Variant(
            labels=(Label(str(at), f"a{number}"),),
            text=str(at),
            default=False,
            needs=(),
            body=(),
            where=axis.where,
        )
        for at in range(len(axis.values))
    )
    return Variants(f"a{number}", variants, axis.where)
