# SPDX-License-Identifier: Apache-2.0
"""One cell of a lab with parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LabCell:
    """One combination of a lab's parameters.

    Attributes:
        index: its place in the order of the lab, from 0, whatever filters leave of it.
        name: says what it has of each axis: "loss=1%,cc=bbr". It does not depend on
            which other cells there are. A lab without parameters has one cell of its
            own name.
        params: what `${key}` stands for in it.
    """

    index: int
    name: str
    params: Mapping[str, str]
