"""Owns the picture of a network: routers where they stand, links by how full they are, and the paths that matter.

Scalable Vector Graphics, drawn from an answer's own JSON, so that whoever asked can draw it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from math import cos, pi, radians, sin
from typing import Any

Json = Any
Point = tuple[float, float]
_WIDTH, _HEIGHT, _MARGIN, _LEGEND = 1200, 800, 70, 90
_BANDS = ((0.3, "#2e7d32"), (0.6, "#f9a825"), (0.9, "#ef6c00"), (1.0, "#c62828"))
_OVERFULL, _DOWN, _PATH = "#6a1b9a", "#9e9e9e", "#1565c0"


def draw(answer: Json) -> str:
    """The picture of an answer: `nodes` (name, and latitude and longitude where known), `links`, `paths`."""
    points = _places(answer["nodes"])
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT + _LEGEND}" font-family="sans-serif">',
        f"<title>{escape(str(answer['supposed']))}</title>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT + _LEGEND}" fill="#ffffff"/>',
        *_links(answer["links"], points),
        *_paths(answer.get("paths", ()), points),
        *_nodes(answer["nodes"], points),
        *_legend(str(answer["supposed"])),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _places(nodes: Sequence[Json]) -> dict[str, Point]:
    """Where routers are drawn: as on a map, or on a circle where nobody knows where they stand."""
    known = {each["name"]: each for each in nodes if each.get("latitude") is not None}
    if len(known) < len(nodes) or not nodes:
        return {each["name"]: _on_circle(index, len(nodes)) for index, each in enumerate(nodes)}
    middle = sum(each["latitude"] for each in nodes) / len(nodes)
    flat = {name: (each["longitude"] * cos(radians(middle)), -each["latitude"]) for name, each in known.items()}
    return _apart(_fitted(flat))


def _on_circle(index: int, count: int) -> Point:
    angle = 2 * pi * index / max(1, count)
    radius = min(_WIDTH, _HEIGHT) / 2 - _MARGIN
    return _WIDTH / 2 + radius * cos(angle), _HEIGHT / 2 + radius * sin(angle)


def _fitted(flat: Mapping[str, Point]) -> dict[str, Point]:
    xs, ys = ([point[axis] for point in flat.values()] for axis in (0, 1))
    spans = (max(xs) - min(xs) or 1.0, max(ys) - min(ys) or 1.0)
    scale = min((_WIDTH - 2 * _MARGIN) / spans[0], (_HEIGHT - 2 * _MARGIN) / spans[1])
    return {name: (_MARGIN + (x - min(xs)) * scale, _MARGIN + (y - min(ys)) * scale) for name, (x, y) in flat.items()}


def _apart(points: Mapping[str, Point]) -> dict[str, Point]:
    """Routers of one building side by side."""
    taken: dict[tuple[int, int], int] = {}
    placed = {}
    for name in sorted(points):
        x, y = points[name]
        cell = (round(x / 20), round(y / 20))
        beside = taken.get(cell, 0)
        taken[cell] = beside + 1
        placed[name] = (x + 26 * beside, y + 14 * beside)
    return placed


def _links(links: Iterable[Json], points: Mapping[str, Point]) -> Iterator[str]:
    for link in links:
        a, b = points[link["source"]], points[link["target"]]
        used = link["utilisation"]
        color = _DOWN if not link["is_up"] else next((shade for bound, shade in _BANDS if used <= bound), _OVERFULL)
        dashes = "" if link["is_up"] else ' stroke-dasharray="6 6"'
        start, end = _beside(a, b)
        text = f"{link['link']}: {used:.0%} of {link['capacity_bit_rate'] / 1e9:g} Gbit/s"
        yield (
            f'<line x1="{start[0]:.1f}" y1="{start[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}" stroke="{color}" '
            f'stroke-width="{2 + 4 * min(1.0, used):.1f}"{dashes}><title>{escape(text)}</title></line>'
        )


def _beside(a: Point, b: Point) -> tuple[Point, Point]:
    """The two directions of a wire are drawn side by side, each on its right."""
    length = ((b[0] - a[0]) ** 2 + (b[1] - a[1]) ** 2) ** 0.5 or 1.0
    dx, dy = -(b[1] - a[1]) / length * 3, (b[0] - a[0]) / length * 3
    return (a[0] + dx, a[1] + dy), (b[0] + dx, b[1] + dy)


def _paths(paths: Iterable[Json], points: Mapping[str, Point]) -> Iterator[str]:
    for path in paths:
        corners = " ".join(f"{points[name][0]:.1f},{points[name][1]:.1f}" for name in path["nodes"])
        yield (
            f'<polyline points="{corners}" fill="none" stroke="{_PATH}" stroke-width="9" stroke-opacity="0.25" '
            f'stroke-linejoin="round"><title>{escape(str(path["name"]))}</title></polyline>'
        )


def _nodes(nodes: Iterable[Json], points: Mapping[str, Point]) -> Iterator[str]:
    for node in nodes:
        x, y = points[node["name"]]
        fill = "#263238" if node.get("is_up", True) else _DOWN
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="8" fill="{fill}"/>'
        yield f'<text x="{x + 11:.1f}" y="{y - 9:.1f}" font-size="13">{escape(node["name"])}</text>'


def _legend(title: str) -> Iterator[str]:
    y = _HEIGHT + 30
    yield f'<text x="{_MARGIN}" y="{y}" font-size="18" font-weight="bold">{escape(title)}</text>'
    shades = [*((f"up to {bound:.0%}", shade) for bound, shade in _BANDS), ("too full", _OVERFULL)]
    shades += [("down", _DOWN), ("path", _PATH)]
    for index, (text, shade) in enumerate(shades):
        x = _MARGIN + 150 * index
        yield f'<rect x="{x}" y="{y + 20}" width="28" height="8" fill="{shade}"/>'
        yield f'<text x="{x + 36}" y="{y + 29}" font-size="13">{text}</text>'
