# SPDX-License-Identifier: Apache-2.0
"""Values that `include` brings in and that look like slips of the pen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher

from windtunnel.matrix.warn import Doubt
from windtunnel.model.params import ParamAxis, ParamRule

_LOOKALIKES = str.maketrans("oli", "011")
_WORD_MIN = 4  # letters; of shorter words, many are nearly the same
_ALIKE_MIN = 0.8  # of 1; one letter more, less or other in a word of five


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

    The same but for case, blanks, 0 and O, 1 and l; or nearly the same word, with the
    same digits: 20% beside 2% is most likely meant.
    """

    def looks(text: str) -> str:
        return "".join(text.lower().split()).translate(_LOOKALIKES)

    def is_slip(one: str) -> bool:
        return looks(one) == looks(label) or _is_nearly(label, one)

    return next(filter(is_slip, known), None)


def _is_nearly(label: str, one: str) -> bool:
    letters, digits = _parted(label)
    other_letters, other_digits = _parted(one)
    if digits != other_digits or len(letters) < _WORD_MIN:
        return False
    if sorted(letters) == sorted(other_letters):
        return True
    return SequenceMatcher(None, letters, other_letters, autojunk=False).ratio() >= _ALIKE_MIN


def _parted(label: str) -> tuple[str, str]:
    """Its letters, and its digits."""
    return (
        "".join(sign for sign in label.lower() if sign.isalpha()),
        "".join(sign for sign in label if sign.isdigit()),
    )
