"""Outlines: what a region's classes cost to draw as polygons, in clicks.

Shapes: H, W height and width of a label map. A vertex is a corner between pixels, (row, col) with rows 0..H, cols 0..W.
"""

import math
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from service.domain.classes import IGNORE, LabelMap

Vertex = tuple[int, int]
Arc = list[Vertex]
"""A border between two junctions, or a closed one, whose first vertex is its last too: the vertices where it turns."""


def polygon_clicks(label_map_HW: LabelMap, tolerance: float = 1.0) -> int:
    """How many vertices an annotator clicks to draw every 4-connected component of one class as a polygon.

    Outer boundaries and holes are simplified so that they stay within `tolerance` pixels (Douglas & Peucker 1973). What
    is IGNORE is not drawn. A border between two components is clicked once, for annotation tools share it: the outlines
    are cut at their junctions, where three or more borders meet, each piece is simplified between its fixed ends, and
    every vertex that is left counts once. So one class alone costs 4 corners, two halves 6, two triangles 4.

    What would be simplified to less than an area is clicked as a triangle: a closed border keeps three vertices, and of
    several straight pieces between the same two junctions all but one have a vertex in between.

    Raises ValueError for a tolerance below 0 or what is not height x width.
    """
    if label_map_HW.ndim != 2 or not label_map_HW.size:
        raise ValueError(f"A label map is height x width, not of shape {label_map_HW.shape}.")
    if not tolerance >= 0:
        raise ValueError(f"A tolerance is 0 or more pixels, not {tolerance}.")
    if (label_map_HW == label_map_HW[0, 0]).all():
        return 0 if label_map_HW[0, 0] == IGNORE else 4
    borders, junctions = _borders(label_map_HW)
    clicks, straight = len(junctions), Counter[tuple[Vertex, Vertex]]()
    for arc in _arcs(borders, junctions):
        own = _simplified(arc, tolerance)
        if arc[0] == arc[-1]:
            # A free outline's first vertex is its own; that of one that hangs on a junction is counted there.
            clicks += max(own, 2) + (arc[0] not in junctions)
        else:
            clicks += own
            straight[min(arc[0], arc[-1]), max(arc[0], arc[-1])] += own == 0
    return clicks + sum(count - 1 for count in straight.values() if count > 1)


def _borders(label_map_HW: LabelMap) -> tuple[dict[Vertex, list[Vertex]], set[Vertex]]:
    """Where each vertex leads along straight pieces of border, and the vertices where more than two pieces meet.

    Pixels beside each other that differ have a border between them, as do the edges of the map, but for IGNORE.
    """
    framed = np.pad(label_map_HW, 1, constant_values=IGNORE)
    across = framed[:-1, 1:-1] != framed[1:, 1:-1]  # from a vertex to the one on its right
    down = framed[1:-1, :-1] != framed[1:-1, 1:]  # from a vertex to the one below
    right, left = np.pad(across, ((0, 0), (0, 1))), np.pad(across, ((0, 0), (1, 0)))
    below, above = np.pad(down, ((0, 1), (0, 0))), np.pad(down, ((1, 0), (0, 0)))
    degrees = right.astype(np.int8) + left + below + above
    turns = (degrees > 2) | ((degrees == 2) & (right != left))
    leads: dict[Vertex, list[Vertex]] = {vertex: [] for vertex in _vertices(turns)}
    for start, end in (*_pieces(turns, right), *((a[::-1], b[::-1]) for a, b in _pieces(turns.T, below.T))):
        leads[start].append(end)
        leads[end].append(start)
    return leads, set(_vertices(degrees > 2))


def _vertices(chosen: NDArray[np.bool_]) -> list[Vertex]:
    rows, cols = np.nonzero(chosen)
    return list(zip(rows.tolist(), cols.tolist(), strict=True))


def _pieces(turns: NDArray[np.bool_], onward: NDArray[np.bool_]) -> Iterator[tuple[Vertex, Vertex]]:
    """Straight pieces of border along the rows: a piece that begins at one turn ends at the next of its row."""
    vertices, begins = _vertices(turns), onward[turns].tolist()
    for place in np.flatnonzero(begins).tolist():
        yield vertices[place], vertices[place + 1]


def _arcs(leads: dict[Vertex, list[Vertex]], junctions: set[Vertex]) -> Iterator[Arc]:
    """Every border once: those between junctions first, then closed ones from their topmost, leftmost vertex."""
    walked: set[tuple[Vertex, Vertex]] = set()
    for start in (*sorted(junctions), *leads):
        for onward in leads[start]:
            if (start, onward) not in walked:
                arc = [start, onward]
                while arc[-1] not in junctions and arc[-1] != start:
                    one, other = leads[arc[-1]]
                    arc.append(other if one == arc[-2] else one)
                walked.update(pairwise(arc))
                walked.update(pairwise(arc[::-1]))
                yield arc


def _simplified(arc: Arc, tolerance: float) -> int:
    """How many vertices are left between the ends of an arc, so that none lies further off than allowed."""
    left, spans = 0, [(0, len(arc) - 1)]
    while spans:
        first, last = spans.pop()
        offs = _offs(arc[first + 1 : last], arc[first], arc[last])
        farthest = max(offs, default=0.0)
        if farthest > tolerance:
            middle = first + 1 + offs.index(farthest)
            left += 1
            spans += [(first, middle), (middle, last)]
    return left


def _offs(points: Arc, start: Vertex, end: Vertex) -> list[float]:
    """How far each point is from the straight line between two others, in pixels.

    Plain numbers, for most borders turn a few times only, where calling numpy would take longer than the work.
    """
    down, right = end[0] - start[0], end[1] - start[1]
    square = down * down + right * right
    offs = []
    for point in points:
        row, col = point[0] - start[0], point[1] - start[1]
        share = min(1.0, max(0.0, (row * down + col * right) / square)) if square else 0.0
        offs.append(math.hypot(row - share * down, col - share * right))
    return offs
