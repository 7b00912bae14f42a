# SPDX-License-Identifier: Apache-2.0
"""The nearest thing that would have been right, for error messages."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

# With more choices than this, finding the nearest one costs more than it helps.
CHOICES_MAX = 20_000
# So many names fit on a line.
LISTED_MAX = 12


def near_miss(value: str, choices: Iterable[str]) -> str | None:
    """Return the choice that is most like `value`; None when nothing is like it."""
    names = list(choices)[:CHOICES_MAX]
    lowered = {name.lower(): name for name in reversed(names)}
    if value.lower() in lowered:
        return lowered[value.lower()]
    close = difflib.get_close_matches(value, names, n=1, cutoff=0.6)
    return close[0] if close else None


def hint_for(value: str, choices: Iterable[str], *, what: str) -> str:
    """Write the hint for an unknown name: the near miss, or what there is.

    Args:
        value: the name that is unknown.
        choices: the names that are known.
        what: their plural, "nodes".
    """
    names = list(choices)
    nearest = near_miss(value, names)
    if nearest is not None:
        return f"did you mean {nearest!r}?"
    if not names:
        return f"there are no {what}"
    listed = ", ".join(names[:LISTED_MAX])
    more = f" and {len(names) - LISTED_MAX} more" if len(names) > LISTED_MAX else ""
    return f"the {what} are {listed}{more}"


def link_hint(name: str, links: Sequence[str]) -> str:
    """Write the hint for an unknown link: "r2-r1" is most often meant to be "r1-r2"."""
    for link in links:
        if sorted(link.split("-")) == sorted(name.split("-")):
            return f"did you mean {link!r}?"
    return hint_for(name, links, what="links")
