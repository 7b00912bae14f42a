# SPDX-License-Identifier: Apache-2.0
"""A picture of a lab's topology as SVG, for light and dark screens.

Nodes are rounded boxes (those that forward packets are filled), networks are
pills, links are lines with what they do to packets above them and the
interfaces' names at their ends. Everything has a tooltip with its addresses.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from windtunnel.model.addressing import interfaces_by_node
from windtunnel.model.impairment import GilbertElliott, Impairment
from windtunnel.model.impairtext import loss_text
from windtunnel.model.lab import Endpoint, LabSpec, LinkSpec, NetworkSpec, NodeSpec
from windtunnel.model.layout import Graph, Point, place
from windtunnel.model.units import duration_text, rate_text, share_text

# Average advance of one character, as a share of the font's size (DejaVu Sans,
# the widest of the usual fonts, so that text never leaves its box).
_ADVANCE = 0.62
NAME_SIZE = 14.0
SMALL_SIZE = 10.5
TINY_SIZE = 9.0
BOX_HEIGHT = 34.0
BOX_HEIGHT_TWO_LINES = 46.0
PILL_HEIGHT = 30.0
PADDING = 28.0
HEAD_HEIGHT = 52.0
# With more nodes than this, names of interfaces and labels would only be noise.
LABELLED_NODES_MAX = 60

_STYLE = """
text { font-family: ui-sans-serif, system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
.paper { fill: #fbfbfa; }
.title { font-size: 18px; font-weight: 600; fill: #1d2330; }
.about { font-size: 11.5px; fill: #6b7280; }
.link { fill: none; stroke: #8a93a6; stroke-width: 1.8; }
.link.down { stroke-dasharray: 2 5; stroke-linecap: round; }
.link.lossy { stroke: #d97706; }
.member { stroke: #2f9e8f; }
.host rect { fill: #ffffff; stroke: #8a93a6; stroke-width: 1.5; }
.router rect { fill: #e6eefc; stroke: #3b6fd4; stroke-width: 1.6; }
.network rect { fill: #dff5f0; stroke: #2f9e8f; stroke-width: 1.5; }
.name { font-size: 14px; font-weight: 600; fill: #1d2330; }
.address { font-size: 10.5px; fill: #596275; }
.label { font-size: 10.5px; fill: #3d4658; }
.interface { font-size: 9px; fill: #7a8396; }
.label, .interface { paint-order: stroke; stroke: #fbfbfa; stroke-width: 3px; }
@media (prefers-color-scheme: dark) {
.paper { fill: #14171d; }
.title, .name { fill: #eef1f6; }
.about { fill: #98a1b3; }
.link { stroke: #6d778c; }
.link.lossy { stroke: #e8a33d; }
.link.member { stroke: #3fb8a6; }
.host rect { fill: #1e232c; stroke: #6d778c; }
.router rect { fill: #1c2b49; stroke: #6b9bf5; }
.network rect { fill: #12332f; stroke: #3fb8a6; }
.address { fill: #a8b2c5; }
.label { fill: #ccd3e0; }
.interface { fill: #929db1; }
.label, .interface { stroke: #14171d; }
}
""".strip()


@dataclass(frozen=True, slots=True)
class _Box:
    """A vertex of the picture: a node or a network.

    Attributes:
        kind: "host", "router" or "network"; its class in the style.
        name: what stands in it.
        second: the line below; may be empty.
        tooltip: what one sees when pointing at it.
    """

    kind: str
    name: str
    second: str
    tooltip: str

    @property
    def key(self) -> str:
        """What `lab_drawing` calls it."""
        return f"network:{self.name}" if self.kind == "network" else f"node:{self.name}"

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in pixels."""
        width = max(_width(self.name, NAME_SIZE), _width(self.second, SMALL_SIZE)) + 26
        if self.kind == "network":
            return max(width, 90.0), PILL_HEIGHT
        return max(width, 58.0), BOX_HEIGHT_TWO_LINES if self.second else BOX_HEIGHT


@dataclass(frozen=True, slots=True)
class _Line:
    """An edge of the picture: a link, or a member of a network.

    Attributes:
        ends: numbers of the boxes.
        interfaces: what stands at the two ends.
        label: what stands above its middle.
        style: its classes.
        tooltip: what one sees when pointing at it.
        key: what `lab_drawing` calls it.
        bend: how far the middle is off the straight line, in pixels.
    """

    ends: tuple[int, int]
    interfaces: tuple[str, str]
    label: str
    style: str
    tooltip: str
    key: str
    bend: float = 0.0


def lab_to_svg(spec: LabSpec) -> str:
    """Draw a lab.

    Args:
        spec: a lab that `check_spec` accepts.

    Returns:
        A whole SVG document; the same lab always gives the same text.
    """
    drawn = _drawn(spec, head=max(_width(spec.name, 20.0), _width(_about(spec), 12.0)))
    width, height = drawn.width, drawn.height + HEAD_HEIGHT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" {_box_attributes(width, height)}>',
        f"<title>{_text(spec.name)}</title>",
        f"<style>{_STYLE}</style>",
        f'<rect class="paper" width="{width:.0f}" height="{height:.0f}"/>',
        f'<text class="title" x="{PADDING:.0f}" y="34">{_text(spec.name)}</text>',
        f'<text class="about" x="{PADDING:.0f}" y="52">{_text(_about(spec))}</text>',
    ]
    for _, shapes in drawn.shapes:
        parts += shapes
    return "\n".join([*parts, "</svg>", ""])


@dataclass(frozen=True, slots=True)
class Drawing:
    """The shapes of a lab's picture, for a page that brings its own style.

    Attributes:
        width, height: of all, in pixels; it begins at 0, 0.
        shapes: of each link, member, node and network: its key ("link:r1-r2",
            "node:r1", "network:lan", "member:lan:r1:eth0"), and its SVG elements.
    """

    width: float
    height: float
    shapes: tuple[tuple[str, list[str]], ...]


def lab_drawing(spec: LabSpec) -> Drawing:
    """Draw a lab as shapes that can be told apart, without title and style.

    Args:
        spec: a lab that `check_spec` accepts.
    """
    return _drawn(spec, head=None)


# With a head, there is room above the shapes for a text that wide, in pixels.
def _drawn(spec: LabSpec, *, head: float | None) -> Drawing:
    boxes = _boxes(spec)
    lines = _lines(spec, boxes)
    is_labelled = len(boxes) <= LABELLED_NODES_MAX
    graph = Graph([box.size for box in boxes], [line.ends for line in lines])
    widest = max((box.size[0] for box in boxes), default=0.0)
    points = place(graph, edge_length=_edge_length(lines, widest, is_labelled=is_labelled))
    left, top, right, bottom = _extent(points, boxes, lines)
    above = 0.0 if head is None else HEAD_HEIGHT
    offset = complex(PADDING - left, PADDING + above - top)
    points = [point + offset for point in points]
    shapes = [
        (line.key, _draw_line(line, points, boxes, is_labelled=is_labelled)) for line in lines
    ]
    shapes += [(box.key, _draw_box(box, point)) for box, point in zip(boxes, points, strict=True)]
    return Drawing(
        max(right - left, head or 0.0) + 2 * PADDING, bottom - top + 2 * PADDING, tuple(shapes)
    )


# The corners of everything: boxes, and the tops of bent lines with their labels.
def _extent(
    points: Sequence[Point], boxes: Sequence[_Box], lines: Sequence[_Line]
) -> tuple[float, float, float, float]:
    corners: list[Point] = []
    for point, box in zip(points, boxes, strict=True):
        half = complex(*box.size) / 2
        corners += [point - half, point + half]
    for line in lines:
        start, end = (points[number] for number in line.ends)
        if line.bend:
            unit = (end - start) / (abs(end - start) or 1.0)
            middle = (start + end) / 2 + (1j * unit * line.bend if start != end else 0)
            corners += [middle - (16 + 16j), middle + (16 + 16j)]
        if start == end:
            corners.append(start - 1j * (boxes[line.ends[0]].size[1] / 2 + line.bend + 16))
    if not corners:
        return 0.0, 0.0, 0.0, 0.0
    xs, ys = [corner.real for corner in corners], [corner.imag for corner in corners]
    return min(xs), min(ys), max(xs), max(ys)


def _boxes(spec: LabSpec) -> list[_Box]:
    interfaces = interfaces_by_node(spec)
    boxes = [_node_box(node, interfaces[node.name]) for node in spec.nodes]
    boxes += [
        _Box("network", network.name, "", f"network {network.name}, mtu {network.mtu_bytes}")
        for network in spec.networks
    ]
    return boxes


def _node_box(node: NodeSpec, interfaces: Sequence[Endpoint]) -> _Box:
    sysctls = {name.replace("/", "."): value for name, value in node.sysctls}
    forwards = any(
        sysctls.get(name) == "1" for name in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding")
    )
    second = node.addresses[0].partition("/")[0] if node.addresses else ""
    tooltip = [node.name]
    if node.addresses:
        tooltip.append("lo " + " ".join(node.addresses))
    tooltip += [f"{end.interface} {' '.join(end.addresses)}" for end in interfaces]
    return _Box("router" if forwards else "host", node.name, second, "\n".join(tooltip))


def _lines(spec: LabSpec, boxes: Sequence[_Box]) -> list[_Line]:
    number = {node.name: index for index, node in enumerate(spec.nodes)}
    together: dict[tuple[int, int], int] = {}
    for link in spec.links:
        pair = _pair(link, number)
        together[pair] = together.get(pair, 0) + 1
    drawn: dict[tuple[int, int], int] = {}
    lines = []
    for link in spec.links:
        pair = _pair(link, number)
        index = drawn.get(pair, 0)
        drawn[pair] = index + 1
        lines.append(_link_line(link, number, _bend(pair, index, together[pair])))
    for offset, network in enumerate(spec.networks, start=len(spec.nodes)):
        assert boxes[offset].name == network.name, "networks come after the nodes"
        lines += [_member_line(network, end, number[end.node], offset) for end in network.members]
    return lines


def _pair(link: LinkSpec, number: dict[str, int]) -> tuple[int, int]:
    one, other = (number[end.node] for end in link.ends)
    return min(one, other), max(one, other)


# Parallel links are bent to both sides of the straight line; loops get larger.
def _bend(pair: tuple[int, int], index: int, count: int) -> float:
    if pair[0] == pair[1]:
        return 34.0 + 16.0 * index
    return (index - (count - 1) / 2) * 44.0


def _link_line(link: LinkSpec, number: dict[str, int], bend: float) -> _Line:
    first, second = link.ends
    ends = (number[first.node], number[second.node])
    # Parallel links must bend to different sides whichever end comes first.
    if ends[0] > ends[1]:
        bend = -bend
    parts = [] if link.name.startswith(f"{first.node}-{second.node}") else [link.name]
    if first.impairment == second.impairment:
        parts += _impairment_texts(first.impairment)
    else:
        there, back = (", ".join(_impairment_texts(end.impairment)) or "plain" for end in link.ends)
        parts += [f"→ {there}", f"← {back}"]
    style = "link"
    if not link.up:
        style += " down"
        parts.append("down")
    if first.impairment.loss or second.impairment.loss:
        style += " lossy"
    tooltip = [f"link {link.name}", *(_end_text(end) for end in link.ends)]
    return _Line(
        ends=ends,
        interfaces=(first.interface, second.interface),
        label=" · ".join(parts),
        style=style,
        tooltip="\n".join(tooltip),
        key=f"link:{link.name}",
        bend=bend,
    )


def _member_line(of: NetworkSpec, end: Endpoint, node: int, network: int) -> _Line:
    return _Line(
        ends=(node, network),
        interfaces=(end.interface, ""),
        label=" · ".join(_impairment_texts(end.impairment)),
        style="link member" + (" lossy" if end.impairment.loss else ""),
        tooltip=_end_text(end),
        key=f"member:{of.name}:{end.node}:{end.interface}",
    )


def _end_text(end: Endpoint) -> str:
    return " ".join([f"{end.node}:{end.interface}", *end.addresses])


def _impairment_texts(impairment: Impairment) -> list[str]:
    texts = []
    if impairment.delay_ns:
        jitter = f" ± {duration_text(impairment.jitter_ns)}" if impairment.jitter_ns else ""
        texts.append(duration_text(impairment.delay_ns) + jitter)
    if impairment.rate_bps is not None:
        texts.append(rate_text(impairment.rate_bps))
    if impairment.loss:
        is_burst = isinstance(impairment.loss, GilbertElliott)
        texts.append("loss in bursts" if is_burst else f"{loss_text(impairment.loss)} loss")
    for word in ("duplicate", "reorder", "corrupt"):
        share = getattr(impairment, word)
        if share:
            texts.append(f"{share_text(share)} {word}")
    return texts


def _about(spec: LabSpec) -> str:
    parts = [
        _count(spec.nodes, "node"),
        _count(spec.links, "link"),
        _count(spec.networks, "network"),
    ]
    if spec.stop_ns is not None:
        parts.append(f"stops after {duration_text(spec.stop_ns)}")
    return " · ".join(part for part in parts if part)


def _count(things: Sequence[object], word: str) -> str:
    if not things:
        return ""
    return f"{len(things)} {word}" + ("" if len(things) == 1 else "s")


# Room for both boxes' halves, the names of interfaces and the label.
def _edge_length(lines: Iterable[_Line], widest: float, *, is_labelled: bool) -> float:
    if not is_labelled:
        return 1.5 * (widest + 60.0)  # many nodes need room more than closeness
    longest = 0.0
    for line in lines:
        if line.ends[0] != line.ends[1]:
            names = sum(_width(text, TINY_SIZE) for text in line.interfaces)
            longest = max(longest, names + 40, _width(line.label, SMALL_SIZE) + 24)
    return widest + max(longest, 70.0)


def _draw_line(
    line: _Line, points: Sequence[Point], boxes: Sequence[_Box], *, is_labelled: bool
) -> list[str]:
    one, other = line.ends
    if one == other:
        return _draw_loop(line, points[one], boxes[one])
    start, end = points[one], points[other]
    chord = end - start
    unit = chord / (abs(chord) or 1.0)
    # A quadratic curve goes half as far off as its control point.
    control = (start + end) / 2 + 1j * unit * line.bend * 2
    path = (
        f"M{_xy(start)} Q{_xy(control)} {_xy(end)}" if line.bend else f"M{_xy(start)} L{_xy(end)}"
    )
    parts = [f'<path class="{line.style}" d="{path}"><title>{_text(line.tooltip)}</title></path>']
    if not is_labelled:
        return parts
    reading = _reading(unit)
    if line.label:
        middle = (start + end) / 2 + 1j * unit * line.bend
        parts.append(_along("label", line.label, middle - 1j * reading * 5, reading))
    return parts + _interface_names(line, (start, control, end), boxes)


# The names of interfaces, below the line, near the boxes; left out where there
# is no room for both (the tooltip has them).
def _interface_names(
    line: _Line, curve: tuple[Point, Point, Point], boxes: Sequence[_Box]
) -> list[str]:
    start, control, end = curve
    halves = [_width(name, TINY_SIZE) / 2 for name in line.interfaces]
    parts = []
    spots = []
    ways = ((start, control, end, 0), (end, control, start, 1))
    for (centre, via, far, index), half in zip(ways, halves, strict=True):
        width, height = boxes[line.ends[index]].size
        spot = tangent = 0j
        for step in range(1, 100):
            t = step / 100
            spot = (1 - t) ** 2 * centre + 2 * t * (1 - t) * via + t * t * far
            tangent = 2 * (1 - t) * (via - centre) + 2 * t * (far - via)
            away = spot - centre
            # Out of the box, by half of the name's length along the line.
            beyond = abs(away) - _border((width, height), away / abs(away))
            if beyond >= half + 6:
                break
        spots.append(spot)
        name = line.interfaces[index]
        if name:
            reading = _reading(tangent / abs(tangent))
            parts.append(_along("interface", name, spot + 1j * reading * 10, reading))
    has_room = abs(spots[0] - spots[1]) >= sum(halves) + 4
    goes_on = ((spots[1] - spots[0]) * (end - start).conjugate()).real > 0
    return parts if has_room and goes_on else []


# The direction in which text along a line is read: to the right, or upwards.
def _reading(unit: Point) -> Point:
    is_upright = abs(unit.real) < 0.05
    is_backward = unit.imag > 0 if is_upright else unit.real < 0
    return -unit if is_backward else unit


def _draw_loop(line: _Line, centre: Point, box: _Box) -> list[str]:
    width, height = box.size
    left, right = centre - width / 4, centre + width / 4
    lift = 1j * (height / 2 + line.bend * 1.3)
    path = f"M{_xy(left)} C{_xy(left - lift - 14)} {_xy(right - lift + 14)} {_xy(right)}"
    label = ", ".join(line.interfaces)
    spot = centre - 1j * (height / 2 + line.bend)
    return [
        f'<path class="{line.style}" d="{path}"><title>{_text(line.tooltip)}</title></path>',
        _along("interface", label, spot, 1 + 0j),
    ]


def _draw_box(box: _Box, centre: Point) -> list[str]:
    width, height = box.size
    corner = centre - complex(width, height) / 2
    radius = 15 if box.kind == "network" else 9
    x = f"{centre.real:.1f}"
    first = centre.imag + (-2.0 if box.second else 5.0)
    parts = [
        f'<g class="{box.kind}"><title>{_text(box.tooltip)}</title>',
        f'<rect {_xy_attributes(corner)} width="{width:.1f}" height="{height:.1f}" rx="{radius}"/>',
        f'<text class="name" x="{x}" y="{first:.1f}" text-anchor="middle">{_text(box.name)}</text>',
    ]
    if box.second:
        parts.append(
            f'<text class="address" x="{x}" y="{centre.imag + 13:.1f}" text-anchor="middle">'
            f"{_text(box.second)}</text>"
        )
    return [*parts, "</g>"]


# Text that is turned with its line.
def _along(style: str, text: str, spot: Point, reading: Point) -> str:
    angle = math.degrees(math.atan2(reading.imag, reading.real))
    turn = f' transform="rotate({angle:.1f} {spot.real:.1f} {spot.imag:.1f})"' if angle else ""
    return (
        f'<text class="{style}" x="{spot.real:.1f}" y="{spot.imag:.1f}" text-anchor="middle"'
        f"{turn}>{_text(text)}</text>"
    )


# From a box's centre to its border in a direction.
def _border(size: tuple[float, float], way: Point) -> float:
    across = size[0] / 2 / abs(way.real) if way.real else math.inf
    down = size[1] / 2 / abs(way.imag) if way.imag else math.inf
    return min(across, down)


def _xy_attributes(point: Point) -> str:
    return f'x="{point.real:.1f}" y="{point.imag:.1f}"'


def _box_attributes(width: float, height: float) -> str:
    return f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"'


def _xy(point: Point) -> str:
    return f"{point.real:.1f} {point.imag:.1f}"


def _width(text: str, size: float) -> float:
    return len(text) * size * _ADVANCE


def _text(text: str) -> str:
    return escape(text)
