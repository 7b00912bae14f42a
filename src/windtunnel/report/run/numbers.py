# SPDX-License-Identifier: Apache-2.0
"""Curves with few enough points to draw, honestly: of many points, the least and the most."""

from __future__ import annotations

from collections.abc import Sequence

POINTS_MAX = 400
"""Of one curve: a screen has hardly more pixels for it."""

Points = list[list[int]]
"""Each `[time_ns, least, most]`, in the order of time."""


def thinned(values: Sequence[tuple[int, int]], *, points_max: int = POINTS_MAX) -> Points:
    """Give a curve as points; where it has too many, of each stretch of time its extremes.

    Args:
        values: time in nanoseconds and value, in the order of time.
        points_max: how many points there may be.
    """
    if len(values) <= points_max:
        return [[time_ns, value, value] for time_ns, value in values]
    first, last = values[0][0], values[-1][0]
    width = max((last - first) // points_max + 1, 1)
    points: dict[int, list[int]] = {}
    for time_ns, value in values:
        at = (time_ns - first) // width
        point = points.setdefault(at, [first + at * width + width // 2, value, value])
        point[1] = min(point[1], value)
        point[2] = max(point[2], value)
    return list(points.values())
