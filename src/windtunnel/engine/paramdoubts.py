# SPDX-License-Identifier: Apache-2.0
"""Values that `include` brings in and that look like slips of the pen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from windtunnel.matrix.warn import Doubt
from windtunnel.model.params import ParamAxis, ParamRule

_LOOKALIKES = str.maketrans("oli", "011")
_WORD_MIN = 4  # letters; shorter words of the same letters are words of their own


def strange_values(axes: Sequence[ParamAxis], rules: Sequence[ParamRule]) -> Iterator[Doubt]:
    """Name each new value that is most likely meant to be one that its axis has."""
    known = {axis.name: [value.label for value in axis.values] for axis in axes}
    seen: set[tuple[str, str]] = set()
    for rule in rules:
        for name, labels in rule.picks:
            for label in labels:
                near = None if label in known[name] else _slip(label, known[name])
                if near is not None and (name, label) not in seen:
                    seen.add((name, label))
                    yield Doubt(
                        f"the axis {name!r} has no value {label!r}, so a cell is made for it",
                        rule.where,
                        f"did you mean {near!r}?",
                    )


def _slip(label: str, known: Iterable[str]) -> str | None:
    """A known value of which this one is most likely a misspelling.

    The same but for case, blanks, 0 and O, 1 and l; or with letters in another order.
    """

    def looks(text: str) -> str:
        return "".join(text.lower().split()).translate(_LOOKALIKES)

    def is_slip(one: str) -> bool:
        same_letters = label.isalpha() and len(label) >= _WORD_MIN and sorted(one) == sorted(label)
        return looks(one) == looks(label) or same_letters

    return next(filter(is_slip, known), None)
