# SPDX-License-Identifier: Apache-2.0
import math
import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.conftest import load_text
from windtunnel.model.graph import lab_to_svg
from windtunnel.model.layout import Graph, place

BOX = (60.0, 40.0)


def laid_out(count, edges):
    return place(Graph([BOX] * count, edges), edge_length=150.0)


def overlapping(points):
    return [
        (i, j)
        for i, one in enumerate(points)
        for j, other in enumerate(points[:i])
        if abs(one.real - other.real) < BOX[0] and abs(one.imag - other.imag) < BOX[1]
    ]


def ring(count):
    return [(i, (i + 1) % count) for i in range(count)]


def test_a_ring_is_a_circle():
    points = laid_out(6, ring(6))
    middle = sum(points) / 6
    assert [round(abs(point - middle)) for point in points] == [150] * 6


def test_a_ring_of_four_is_a_square_that_lies_flat():
    points = laid_out(4, ring(4))
    assert [(round(p.real), round(p.imag)) for p in points] == [
        (30, 20),
        (180, 20),
        (180, 170),
        (30, 170),
    ]


def test_a_chain_is_a_straight_line_from_left_to_right():
    points = laid_out(4, [(0, 1), (1, 2), (2, 3)])
    assert [(round(p.real), round(p.imag)) for p in points] == [
        (30, 20),
        (180, 20),
        (330, 20),
        (480, 20),
    ]


def test_a_star_has_its_leaves_on_a_circle():
    points = laid_out(7, [(0, leaf) for leaf in range(1, 7)])
    assert {round(abs(point - points[0])) for point in points[1:]} == {150}
    turns = sorted(
        math.degrees(math.atan2(p.imag, p.real)) for p in (q - points[0] for q in points[1:])
    )
    assert [round(b - a) for a, b in pairwise(turns)] == [60] * 5


def test_leaf_and_spine_are_two_rows():
    edges = [(spine, leaf) for spine in (0, 1) for leaf in (2, 3, 4, 5)]
    points = laid_out(6, edges)
    assert [round(point.imag) for point in points] == [20, 20, 260, 260, 260, 260]


@settings(max_examples=60)
@given(st.data())
def test_up_to_thirty_boxes_never_overlap(data):
    count = data.draw(st.integers(1, 30))
    vertex = st.integers(0, count - 1)
    edges = data.draw(st.lists(st.tuples(vertex, vertex), max_size=45))
    assert overlapping(laid_out(count, edges)) == []


@pytest.mark.parametrize("count", [40, 200])
def test_a_large_tree_has_no_overlaps_either(count):
    assert overlapping(laid_out(count, [(i, (i - 1) // 3) for i in range(1, count)])) == []


LAB = """
name: small
stop: 1 h
nodes:
  r1: {kind: router, addresses: [1.1.1.1/32]}
  h1:
  h2:
networks: {lan: {members: [h1, h2]}}
links:
  - {endpoints: [r1, h1], delay: 10 ms, jitter: 1 ms, rate: 100 Mbit}
  - {endpoints: [r1, "h1:wan"], name: backup, up: false, backward: {loss: 1%}}
"""


def test_the_picture_names_everything():
    root = ET.fromstring(lab_to_svg(load_text(LAB)))
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts == [
        "small",
        "3 nodes · 2 links · 1 network · stops after 1 h",
        "10 ms ± 1 ms · 100 Mbit",
        "eth0",
        "eth1",
        "backup · → plain · ← 1% loss · down",
        "eth1",
        "wan",
        "eth0",
        "eth0",
        "r1",
        "1.1.1.1",
        "h1",
        "h2",
        "lan",
    ]
    tooltips = [element.text for element in root.iter("{http://www.w3.org/2000/svg}title")]
    assert (
        "r1\nlo 1.1.1.1/32\neth0 10.0.0.1/30 fd00:0:0:1::1/64\neth1 10.0.0.5/30 fd00:0:0:2::1/64"
        in tooltips
    )


def test_the_picture_has_light_and_dark_colours_and_is_always_the_same():
    text = lab_to_svg(load_text(LAB))
    assert "@media (prefers-color-scheme: dark)" in text
    assert lab_to_svg(load_text(LAB)) == text


def test_a_link_of_a_node_with_itself_is_a_loop_above_it():
    text = lab_to_svg(load_text("name: x\nnodes: {r1: }\nlinks: [[r1, r1]]"))
    assert ">eth0, eth1</text>" in text
    assert " C" in text


def test_a_very_large_lab_is_drawn_in_rows():
    points = laid_out(1_100, [(i, (i * 7 + 1) % 1_100) for i in range(1_100)])
    assert overlapping(points[:200]) == []


def test_an_empty_lab_is_a_picture_with_a_title():
    root = ET.fromstring(lab_to_svg(load_text("name: nothing")))
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts == ["nothing", None]
