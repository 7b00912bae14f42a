# SPDX-License-Identifier: Apache-2.0
"""One thing that is wrong with a lab, before its place in a text is known."""

from __future__ import annotations

from dataclasses import dataclass

from windtunnel.errors import Where

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        path: of the culprit: ("links", 3, "ends", 0, "interface").
        message: what is wrong, and the value.
        hint: how to mend it.
        key: whether the culprit is the last key of the path, not its value.
        first: the path of the other culprit, where two things clash.
        where: the place, where it is known already.
    """

    path: Path
    message: str
    hint: str = ""
    key: bool = False
    first: Path | None = None
    where: Where | None = None
