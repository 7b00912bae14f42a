# SPDX-License-Identifier: Apache-2.0
"""Points of a grid outside of boxes: against all points by hand."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from windtunnel.matrix.boxes import Boxes


@st.composite
def grids(draw):
    sizes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=5))
    values = [st.sets(st.integers(0, size - 1)) for size in sizes]
    axes = range(len(sizes))
    box = st.sets(st.sampled_from(axes)).flatmap(
        lambda some: st.fixed_dictionaries({axis: values[axis] for axis in some})
    )
    allowed = [draw(some) for some in values] if draw(st.booleans()) else None
    return sizes, draw(st.lists(box, max_size=6)), allowed


@given(grids())
def test_points_are_those_that_a_look_at_all_of_them_finds(grid):
    sizes, boxes, allowed = grid
    points = [
        point
        for point in itertools.product(*map(range, sizes))
        if (allowed is None or all(map(set.__contains__, allowed, point)))
        and not any(all(point[axis] in some for axis, some in box.items()) for box in boxes)
    ]
    found = Boxes(sizes, boxes, allowed)
    assert found.count() == len(points)
    assert [found.at(position) for position in range(len(points))] == points


def test_boxes_that_share_no_axis_are_counted_apart():
    axes = 40
    boxes = [{axis: [0], axis + 1: [1, 2]} for axis in range(0, axes, 2)]
    found = Boxes([10] * axes, boxes)
    assert found.count() == 98 ** (axes // 2)
    assert len(found.at(98**19)) == axes
    assert len(found._kept) <= axes, "each box, and what is left of it"
