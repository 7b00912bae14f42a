# SPDX-License-Identifier: Apache-2.0
"""One name of the names of two parts of a join."""

from __future__ import annotations

import re


def join_names(one: str, other: str) -> str:
    """What both begin with, then the rest of each: "x.a", "x.b" is "x.a.b"."""
    first, second = one.split("."), other.split(".")
    same = 0
    while same < min(len(first), len(second)) and first[same] == second[same]:
        same += 1
    return ".".join([*first, *second[same:]])


def join_names_as_ever(one: str, other: str) -> str:
    """As programs know it: a beginning with a named variant stays in both rests.

    "(m=x).a", "(m=x).b" is "(m=x)(m=x).a(m=x).b", because the beginning is taken
    for a regular expression. Where one name begins with the other, which used to
    crash, this is `join_names`.
    """
    at = 0
    while at < min(len(one), len(other)) and one[at] == other[at]:
        at += 1
    if at == min(len(one), len(other)):
        return join_names(one, other)
    same = one[:at].rpartition(".")[0]
    rests = [re.sub(f"^{same}", "", name) for name in (one, other)]
    return same + "".join(rests) if same else ".".join(rests)
