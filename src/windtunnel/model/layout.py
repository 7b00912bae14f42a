# SPDX-License-Identifier: Apache-2.0
"""Where to draw the vertices of a graph: the same graph, the same picture.

Rings, chains, stars and fabrics (leaf and spine) have exact shapes. All else is
laid out by stress majorization: distances in the picture come near distances in
the graph. Then boxes that overlap are pushed apart, and parts that hang
together are packed in rows.

Source: Gansner, Koren, North: Graph Drawing by Stress Majorization (2004).
"""

from __future__ import annotations

import cmath
import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import mul

# Stress needs all distances: 1000 vertices are a million of them.
STRESS_VERTICES_MAX = 1000
# So many pairs are looked at in all: some seconds of Python at the most.
STRESS_PAIRS_MAX = 4_000_000
STRESS_ITERATIONS_MAX = 300
# To find how to turn a picture, so many edges are compared with each other.
STRAIGHTENED_EDGES_MAX = 150
# Boxes whose centres differ by less than this share of an edge are put in line.
SNAP = 0.16
# A chain longer than this goes on in the next row, back and forth.
CHAIN_VERTICES_MAX = 10
# Around every box at least so much stays free, in pixels.
MARGIN = 26.0
# Parts that do not hang together are so far apart, in pixels.
GAP = 70.0
_GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))

Point = complex


@dataclass(frozen=True, slots=True)
class Graph:
    """What to lay out.

    Attributes:
        sizes: width and height of each vertex's box, in pixels.
        edges: pairs of numbers of vertices; loops and parallel ones are allowed.
    """

    sizes: Sequence[tuple[float, float]]
    edges: Sequence[tuple[int, int]]


def place(graph: Graph, *, edge_length: float) -> list[Point]:
    """Find the centre of each vertex's box.

    Args:
        graph: what to lay out.
        edge_length: how far apart two neighbours should be, in pixels.

    Returns:
        Points (x to the right, y down); the picture begins near 0, 0.
    """
    neighbours: list[set[int]] = [set() for _ in graph.sizes]
    for one, other in graph.edges:
        if one != other:
            neighbours[one].add(other)
            neighbours[other].add(one)
    points = [0j] * len(graph.sizes)
    parts = _components(neighbours)
    single = [part[0] for part in parts if len(part) == 1]
    blocks = []
    for part in parts:
        if len(part) == 1:
            continue
        placed = _component(part, neighbours, graph, edge_length)
        blocks.append(_to_origin(placed, graph))
    if single:
        blocks.append(_to_origin(_rows(single, graph), graph))
    for offset, block in _packed(blocks):
        for vertex, point in block.points.items():
            points[vertex] = point + offset
    return points


@dataclass(frozen=True, slots=True)
class _Block:
    points: Mapping[int, Point]
    width: float
    height: float


def _components(neighbours: Sequence[set[int]]) -> list[list[int]]:
    seen: set[int] = set()
    parts = []
    for start in range(len(neighbours)):
        if start in seen:
            continue
        part = list(_distances(start, neighbours))
        seen.update(part)
        parts.append(sorted(part))
    return parts


# Steps from `start` to everything that it reaches, breadth first.
def _distances(start: int, neighbours: Sequence[set[int]]) -> dict[int, int]:
    distances = {start: 0}
    queue = deque([start])
    while queue:
        vertex = queue.popleft()
        for other in sorted(neighbours[vertex]):
            if other not in distances:
                distances[other] = distances[vertex] + 1
                queue.append(other)
    return distances


def _component(
    part: list[int], neighbours: Sequence[set[int]], graph: Graph, edge_length: float
) -> dict[int, Point]:
    degrees = sorted(len(neighbours[vertex]) for vertex in part)
    if degrees[-1] <= 2:
        order = _walk(part, neighbours)
        points = _ring(order) if degrees[0] == 2 else _chain(order, graph, edge_length)
    elif degrees[-1] == len(part) - 1 and degrees[-2] == 1:
        points = _star(part, neighbours)
    elif (tiers := _fabric(part, neighbours)) is not None:
        points = _tiers(*tiers, neighbours)
    elif len(part) > STRESS_VERTICES_MAX:
        return _rows(part, graph)
    else:
        points = _snapped(_turned(_stress(part, neighbours), part, neighbours))
    scaled = {vertex: point * edge_length for vertex, point in points.items()}
    edges = [
        (vertex, other) for vertex in part for other in sorted(neighbours[vertex]) if vertex < other
    ]
    _push_apart(scaled, edges, graph)
    return scaled


# The vertices of a ring or chain, one after the other, the first of the lab first.
def _walk(part: list[int], neighbours: Sequence[set[int]]) -> list[int]:
    ends = [vertex for vertex in part if len(neighbours[vertex]) == 1]
    order = [min(ends or part)]
    seen = set(order)
    while True:
        following = sorted(neighbours[order[-1]] - seen)
        if not following:
            return order
        order.append(following[0])
        seen.add(following[0])


# Clockwise from the top left; an even ring lies flat, an odd one has a tip.
def _ring(order: Sequence[int]) -> dict[int, Point]:
    count = len(order)
    radius = 0.5 / math.sin(math.pi / count)
    start = -math.pi / 2 - (math.pi / count if count % 2 == 0 else 0.0)
    return {
        vertex: cmath.rect(radius, start + 2 * math.pi * index / count)
        for index, vertex in enumerate(order)
    }


# From left to right; a long one comes back in the next row.
def _chain(order: Sequence[int], graph: Graph, edge_length: float) -> dict[int, Point]:
    rows = math.ceil(len(order) / CHAIN_VERTICES_MAX)
    columns = math.ceil(len(order) / rows)
    height = max(0.75, (max(graph.sizes[vertex][1] for vertex in order) + 80) / edge_length)
    points = {}
    for index, vertex in enumerate(order):
        row, column = divmod(index, columns)
        points[vertex] = complex(column if row % 2 == 0 else columns - 1 - column, row * height)
    return points


def _star(part: Sequence[int], neighbours: Sequence[set[int]]) -> dict[int, Point]:
    centre = max(part, key=lambda vertex: len(neighbours[vertex]))
    leaves = [vertex for vertex in part if vertex != centre]
    count = len(leaves)
    # Far enough for the leaves to stand side by side.
    radius = max(1.0, 0.36 / math.sin(math.pi / max(count, 2)))
    points: dict[int, Point] = {centre: 0j}
    start = -math.pi / 2 - (math.pi / count if count % 2 == 0 else 0.0)
    for index, leaf in enumerate(leaves):
        points[leaf] = cmath.rect(radius, start + 2 * math.pi * index / count)
    return points


# Spines and leaves, where nearly each of the ones is linked with each of the
# others; what hangs at one of them by a single edge does not count.
def _fabric(
    part: Sequence[int], neighbours: Sequence[set[int]]
) -> tuple[list[int], list[int]] | None:
    inner = [vertex for vertex in part if len(neighbours[vertex]) > 1]
    if not inner:
        return None
    within = [vertices & set(inner) for vertices in neighbours]
    distances = _distances(inner[0], within)
    sides: tuple[list[int], list[int]] = ([], [])
    for vertex in inner:
        sides[distances.get(vertex, 0) % 2].append(vertex)
    edges = sum(len(within[vertex]) for vertex in sides[0])
    is_split = all(not within[v] & set(side) for side in sides for v in side)
    is_dense = edges >= 0.7 * len(sides[0]) * len(sides[1]) and edges > len(inner)
    if not (is_split and is_dense):
        return None
    # Spines have fewer hosts, and there are fewer of them.
    ranked = sorted(
        sides, key=lambda side: (sum(len(neighbours[v] - within[v]) for v in side), len(side))
    )
    return ranked[0], ranked[1]


# Spines above, leaves below them, hosts at the bottom (or above a spine).
def _tiers(
    spines: Sequence[int], leaves: Sequence[int], neighbours: Sequence[set[int]]
) -> dict[int, Point]:
    inner = {*spines, *leaves}
    points: dict[int, Point] = {}
    width = _tier(leaves, inner, neighbours, points, y=1.6, side=1)
    upper: dict[int, Point] = {}
    upper_width = _tier(spines, inner, neighbours, upper, y=0.0, side=-1)
    # The narrower row is spread over the middle of the wider one.
    stretch = max(1.0, min(2.2, 0.7 * width / upper_width))
    for vertex, point in upper.items():
        points[vertex] = complex((point.real - upper_width / 2) * stretch + width / 2, point.imag)
    return points


# One row and what hangs at it; returns the row's width.
def _tier(
    row: Sequence[int],
    inner: set[int],
    neighbours: Sequence[set[int]],
    points: dict[int, Point],
    *,
    y: float,
    side: int,
) -> float:
    x = 0.0
    for vertex in row:
        hosts = sorted(neighbours[vertex] - inner)
        room = max(1.0, 0.62 * len(hosts) + 0.3)
        points[vertex] = complex(x + room / 2, y)
        for index, host in enumerate(hosts):
            offset = (index - (len(hosts) - 1) / 2) * 0.62
            points[host] = complex(x + room / 2 + offset, y + side * 0.95)
        x += room
    return x


def _rows(vertices: Sequence[int], graph: Graph) -> dict[int, Point]:
    width = max(graph.sizes[vertex][0] for vertex in vertices) + MARGIN
    height = max(graph.sizes[vertex][1] for vertex in vertices) + MARGIN
    columns = max(1, math.ceil(math.sqrt(len(vertices) * 1.6 * height / width)))
    return {
        vertex: complex(index % columns * width, index // columns * height)
        for index, vertex in enumerate(vertices)
    }


def _stress(part: list[int], neighbours: Sequence[set[int]]) -> dict[int, Point]:
    number = {vertex: index for index, vertex in enumerate(part)}
    distances: list[list[float]] = []
    for vertex in part:
        row = [0.0] * len(part)
        for other, steps in _distances(vertex, neighbours).items():
            row[number[other]] = float(steps)
        distances.append(row)
    points = _spectral(distances)
    count = len(part)
    weights = [[1 / (d * d) if d else 0.0 for d in row] for row in distances]
    totals = [sum(row) for row in weights]
    iterations = max(5, min(STRESS_ITERATIONS_MAX, STRESS_PAIRS_MAX // (count * count)))
    for _ in range(iterations):
        moved = 0.0
        for i in range(count):
            here = points[i]
            total = 0j
            for there, distance, weight in zip(points, distances[i], weights[i], strict=True):
                if weight:
                    away = here - there
                    total += weight * (there + away * (distance / (abs(away) or 1e-9)))
            target = total / totals[i]
            moved = max(moved, abs(target - here))
            points[i] = target
        if moved < 1e-4:
            break
    return dict(zip(part, points, strict=True))


# A first guess: the two strongest axes of the distances (classical scaling).
def _spectral(distances: Sequence[Sequence[float]]) -> list[Point]:
    count = len(distances)
    squares = [[-0.5 * d * d for d in row] for row in distances]
    means = [sum(row) / count for row in squares]
    mean = sum(means) / count
    matrix = [
        [value - means[i] - means[j] + mean for j, value in enumerate(row)]
        for i, row in enumerate(squares)
    ]
    axes: list[tuple[list[float], float]] = []
    for axis in (0, 1):
        vector = [math.sin(1.0 + axis + 1.7 * i * (axis + 1)) for i in range(count)]
        size = 0.0
        for _ in range(40):
            for known, _size in axes:
                overlap = sum(map(mul, vector, known))
                vector = [a - overlap * b for a, b in zip(vector, known, strict=True)]
            vector = [sum(map(mul, row, vector)) for row in matrix]
            size = math.sqrt(sum(map(mul, vector, vector))) or 1.0
            vector = [a / size for a in vector]
        axes.append((vector, math.sqrt(size)))
    (xs, x_size), (ys, y_size) = axes
    # Twins (two hosts of one switch) have equal distances: nudge them apart.
    return [
        complex(x * x_size, y * y_size) + cmath.rect(0.08, i * _GOLDEN_ANGLE)
        for i, (x, y) in enumerate(zip(xs, ys, strict=True))
    ]


# Turn it so that edges lie flat or upright, it is wider than high, and the
# first vertex of the lab is at the top left.
def _turned(
    points: dict[int, Point], part: list[int], neighbours: Sequence[set[int]]
) -> dict[int, Point]:
    turn = _straightening(points, part, neighbours)
    middle = sum(points.values()) / len(points)
    flat = {vertex: (point - middle) * turn for vertex, point in points.items()}
    candidates = []
    for mirror in (False, True):
        for quarter in range(4):
            factor = 1j**quarter
            candidates.append(
                {
                    vertex: (point.conjugate() if mirror else point) * factor
                    for vertex, point in flat.items()
                }
            )

    def rank(candidate: dict[int, Point]) -> tuple[bool, float, float]:
        xs = [point.real for point in candidate.values()]
        ys = [point.imag for point in candidate.values()]
        first, second = candidate[part[0]], candidate[part[1]]
        is_high = max(ys) - min(ys) > 1.02 * (max(xs) - min(xs))
        return is_high, round(first.real + first.imag, 2), round(second.imag - second.real, 2)

    return min(candidates, key=rank)


# The turn after which most edges lie flat or upright: one of them surely does.
def _straightening(
    points: dict[int, Point], part: list[int], neighbours: Sequence[set[int]]
) -> Point:
    directions = []
    for vertex in part:
        for other in sorted(neighbours[vertex]):
            away = points[other] - points[vertex]
            if vertex < other and abs(away) > 1e-6:
                directions.append(away / abs(away))
    # Fourth powers: directions that differ by a right angle become the same.
    quarters = [direction**4 for direction in directions[:STRAIGHTENED_EDGES_MAX]]

    def straightness(quarter: Point) -> tuple[int, float]:
        cosines = [(other * quarter.conjugate()).real for other in quarters]
        return sum(cosine > 0.95 for cosine in cosines), round(sum(cosines), 6)

    best = max(quarters, key=straightness, default=1 + 0j)
    return cmath.exp(-0.25j * cmath.phase(best))


# Put what is nearly in one row or column exactly there.
def _snapped(points: dict[int, Point]) -> dict[int, Point]:
    xs = _levels([point.real for point in points.values()])
    ys = _levels([point.imag for point in points.values()])
    return {vertex: complex(xs[point.real], ys[point.imag]) for vertex, point in points.items()}


def _levels(values: Sequence[float]) -> dict[float, float]:
    levels: dict[float, float] = {}
    group: list[float] = []
    for value in [*sorted(values), math.inf]:
        if group and value - group[0] > SNAP:
            middle = sum(group) / len(group)
            levels.update(dict.fromkeys(group, middle))
            group = []
        group.append(value)
    return levels


# Move boxes until none overlaps with another one or lies on an edge of others.
def _push_apart(points: dict[int, Point], edges: Sequence[tuple[int, int]], graph: Graph) -> None:
    vertices = list(points)
    is_small = len(vertices) <= 120  # beyond, looking at every edge takes too long
    for _ in range(80):
        moved = False
        # Neighbours in x only: boxes further apart than the widest cannot touch.
        vertices.sort(key=lambda vertex: (points[vertex].real, vertex))
        widest = max(graph.sizes[vertex][0] for vertex in vertices) + MARGIN
        for index, one in enumerate(vertices):
            for other in vertices[index + 1 :]:
                if points[other].real - points[one].real > widest + 1:
                    break
                moved |= _separate(one, other, points, graph)
        if is_small:
            for edge in edges:
                for vertex in vertices:
                    if vertex not in edge:
                        moved |= _off_the_edge(vertex, edge, points, graph)
        if not moved:
            return


def _separate(one: int, other: int, points: dict[int, Point], graph: Graph) -> bool:
    away = points[other] - points[one]
    room_x = (graph.sizes[one][0] + graph.sizes[other][0]) / 2 + MARGIN - abs(away.real)
    room_y = (graph.sizes[one][1] + graph.sizes[other][1]) / 2 + MARGIN - abs(away.imag)
    if room_x <= 0.5 or room_y <= 0.5:
        return False
    if room_x < room_y:
        push = complex(math.copysign(room_x / 2 + 0.5, away.real or one - other), 0)
    else:
        push = complex(0, math.copysign(room_y / 2 + 0.5, away.imag or one - other))
    points[one] -= push
    points[other] += push
    return True


def _off_the_edge(
    vertex: int, edge: tuple[int, int], points: dict[int, Point], graph: Graph
) -> bool:
    start, end = points[edge[0]], points[edge[1]]
    along = end - start
    length = abs(along)
    if length < 1:
        return False
    unit = along / length
    relative = (points[vertex] - start) * unit.conjugate()
    width, height = graph.sizes[vertex]
    # Half of the box as seen across and along the edge.
    across = (abs(unit.imag) * width + abs(unit.real) * height) / 2 + 8
    if not 0 < relative.real < length or abs(relative.imag) >= across:
        return False
    push = across - abs(relative.imag) + 1
    sign = math.copysign(1.0, relative.imag or 1.0)
    points[vertex] += 1j * unit * sign * push * 0.6
    for end_vertex in edge:
        points[end_vertex] -= 1j * unit * sign * push * 0.2
    return True


def _to_origin(points: Mapping[int, Point], graph: Graph) -> _Block:
    left = min(point.real - graph.sizes[vertex][0] / 2 for vertex, point in points.items())
    right = max(point.real + graph.sizes[vertex][0] / 2 for vertex, point in points.items())
    top = min(point.imag - graph.sizes[vertex][1] / 2 for vertex, point in points.items())
    bottom = max(point.imag + graph.sizes[vertex][1] / 2 for vertex, point in points.items())
    offset = complex(left, top)
    moved = {vertex: point - offset for vertex, point in points.items()}
    return _Block(moved, right - left, bottom - top)


# Blocks in rows, the highest first, in about the shape of a screen.
def _packed(blocks: Sequence[_Block]) -> list[tuple[Point, _Block]]:
    if not blocks:
        return []
    area = sum((block.width + GAP) * (block.height + GAP) for block in blocks)
    limit = max(math.sqrt(area * 1.6), *(block.width for block in blocks), 1.0)
    ordered = sorted(blocks, key=lambda block: -round(block.height))
    placed = []
    x = y = row_height = 0.0
    for block in ordered:
        if x and x + block.width > limit:
            x, y = 0.0, y + row_height + GAP
            row_height = 0.0
        placed.append((complex(x, y), block))
        x += block.width + GAP
        row_height = max(row_height, block.height)
    return placed
