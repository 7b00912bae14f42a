# SPDX-License-Identifier: Apache-2.0
"""The syntax tree of the Cartesian configuration.

A block is a sequence of statements. The variants blocks in it are its
dimensions: a leaf of the block has one variant of each of them, the last block
being the outermost loop and coming first in the name. Everything else in a
block applies to a leaf in the order of the text.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from windtunnel.errors import Where


@dataclass(frozen=True, slots=True)
class Label:
    """One part of a name, or of what a filter looks for.

    Attributes:
        value: "linux".
        axis: "os" of "(os=linux)"; None in a filter: of any axis or none.
    """

    value: str
    axis: str | None = None

    def __str__(self) -> str:
        return self.value if self.axis is None else f"({self.axis}={self.value})"

    def matches(self, label: Label) -> bool:
        """Whether this one, of a filter, stands for a label of a name."""
        return self.value == label.value and self.axis in (None, label.axis)


Run = tuple[Label, ...]
"""Labels that follow each other immediately: "a.b"."""


@dataclass(frozen=True, slots=True)
class Filter:
    """What a name must have: any of the alternatives, of which all runs.

    Attributes:
        alternatives: "a..b.c, d" is (((a,), (b, c)), ((d,),)).
        text: as it was written.
    """

    alternatives: tuple[tuple[Run, ...], ...]
    text: str


@dataclass(frozen=True, slots=True)
class Assign:
    """Set a key, or change what it or all that match hold.

    Attributes:
        operator: "=", "+=", "<=", "~=", "?=", "?+=" or "?<=".
        key: a key; a regular expression of whole keys for those with "?".
    """

    key: str
    operator: str
    value: str
    where: Where


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete all keys that match a regular expression wholly."""

    pattern: str
    where: Where


@dataclass(frozen=True, slots=True)
class Suffix:
    """Give every key that is set so far a suffix. Stands at the end of its block."""

    suffix: str
    where: Where


@dataclass(frozen=True, slots=True)
class Only:
    """Keep what matches, or with `negative` what does not: "only" and "no"."""

    filter: Filter
    negative: bool
    where: Where


@dataclass(frozen=True, slots=True)
class Join:
    """Multiply the leaves that match each of these."""

    words: tuple[Filter, ...]
    where: Where


@dataclass(frozen=True, slots=True)
class Condition:
    """Statements for the leaves that match, or with `negative` do not."""

    filter: Filter
    negative: bool
    body: tuple[Statement, ...]
    where: Where


@dataclass(frozen=True, slots=True)
class Variant:
    """One value of a dimension.

    Attributes:
        labels: one or more; "RHEL.6" has two.
        text: its name as it is written: "RHEL.6".
        default: whether it is left out of the short name, and preferred in defaults mode.
        needs: the runs on which it depends.
    """

    labels: Run
    text: str
    default: bool
    needs: tuple[Run, ...]
    body: tuple[Statement, ...]
    where: Where


@dataclass(frozen=True, slots=True)
class Variants:
    """A dimension.

    Attributes:
        name: None for one without a name.
        meta: what stands in brackets, apart from the default.
    """

    name: str | None
    variants: tuple[Variant, ...]
    where: Where
    meta: tuple[tuple[str, str], ...] = field(default=())


Statement = Assign | Delete | Suffix | Only | Join | Condition | Variants
