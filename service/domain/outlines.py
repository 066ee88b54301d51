"""Outlines: what a region's classes cost to draw as polygons, in clicks.

Many label maps are outlined at once, below each other on a canvas, since a round asks for the clicks of thousands of regions and
most of them have few borders.

Shapes: M label maps, H, W height and width of one or of a canvas, V vertices where borders turn or meet, E pieces of border
between two of them, each in both directions, A arcs, P points of all arcs, S spans of arcs, I points within spans. A vertex is
a corner between pixels, (row, col) with rows 0..H, cols 0..W.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.domain.classes import IGNORE, LabelMap

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

_AT_ONCE = 1 << 20  # pixels of a canvas, unless a single label map has more
# Ways out of a vertex, each beside the way back. An arc of which there are two ways begins with the earlier one.
_LEFT, _RIGHT, _UP, _DOWN = range(4)


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
    return int(clicks_of_each([label_map_HW], tolerance)[0])


def clicks_of_each(label_maps: Sequence[LabelMap], tolerance: float = 1.0) -> Ints:
    """(M,): `polygon_clicks` of label maps of any sizes. Raises ValueError as that does."""
    if not tolerance >= 0:
        raise ValueError(f"A tolerance is 0 or more pixels, not {tolerance}.")
    for each in label_maps:
        if each.ndim != 2 or not each.size:
            raise ValueError(f"A label map is height x width, not of shape {each.shape}.")
    clicks_M = np.zeros(len(label_maps), np.int64)
    several = []
    for place, each in enumerate(label_maps):
        if each.min() != each.max():
            several.append(place)
        elif each.flat[0] != IGNORE:
            clicks_M[place] = 4
    for places in _canvases(label_maps, several):
        clicks_M[places] = _clicks_on_canvas([label_maps[place] for place in places], tolerance)
    return clicks_M


def _canvases(label_maps: Sequence[LabelMap], places: list[int]) -> Iterator[list[int]]:
    """Those that go on a canvas together: of about one width, so that little of it is empty."""
    together = list[int]()
    pixels = 0
    for place in sorted(places, key=lambda place: label_maps[place].shape[1]):
        if together and pixels + label_maps[place].size > _AT_ONCE:
            yield together
            together, pixels = [], 0
        together.append(place)
        pixels += label_maps[place].size
    if together:
        yield together


def _clicks_on_canvas(label_maps: Sequence[LabelMap], tolerance: float) -> Ints:
    # A row of IGNORE lies between two of them, so that they have no vertex in common.
    begins_M = np.cumsum([0, *(len(each) + 1 for each in label_maps)])
    canvas_HW = np.full((begins_M[-1] - 1, max(each.shape[1] for each in label_maps)), IGNORE, np.uint8)
    for begin, each in zip(begins_M.tolist(), label_maps, strict=False):
        canvas_HW[begin : begin + len(each), : each.shape[1]] = each
    borders = _borders(canvas_HW)
    arcs = _arcs(borders)

    own_A = _simplified(borders.rows_V[arcs.points_P], borders.cols_V[arcs.points_P], arcs.begins_A, tolerance)
    ends_A = np.sort(np.stack([arcs.points_P[arcs.begins_A[:-1]], arcs.points_P[arcs.begins_A[1:] - 1]]), 0)
    closed_A = ends_A[0] == ends_A[1]
    # A free outline's first vertex is its own; that of one that hangs on a junction is counted there.
    clicks_A = np.where(closed_A, np.maximum(own_A, 2) + ~borders.junctions_V[ends_A[0]], own_A)
    straight_A = np.flatnonzero(~closed_A & (own_A == 0))
    _, firsts = np.unique(ends_A[:, straight_A], axis=1, return_index=True)
    clicks_A[np.delete(straight_A, firsts)] += 1

    counts_V = borders.junctions_V + np.bincount(ends_A[0], clicks_A, minlength=len(borders.junctions_V))
    maps_V = np.searchsorted(begins_M, borders.rows_V, side="right") - 1
    return np.bincount(maps_V, counts_V, minlength=len(label_maps)).astype(np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Borders:
    """Vertices in the order of rows, whether more than two pieces of border meet there, and in each direction where it leads.

    leads_V4: the vertex at the other end of the straight piece that leaves in that direction; -1 where there is none.
    """

    rows_V: Ints
    cols_V: Ints
    junctions_V: Flags
    leads_V4: Ints


def _borders(label_map_HW: LabelMap) -> _Borders:
    """Pixels beside each other that differ have a border between them, as do the edges of the map, but for IGNORE."""
    framed = np.pad(label_map_HW, 1, constant_values=IGNORE)
    across = framed[:-1, 1:-1] != framed[1:, 1:-1]  # from a vertex to the one on its right
    down = framed[1:-1, :-1] != framed[1:-1, 1:]  # from a vertex to the one below
    right, left = np.pad(across, ((0, 0), (0, 1))), np.pad(across, ((0, 0), (1, 0)))
    below, above = np.pad(down, ((0, 1), (0, 0))), np.pad(down, ((1, 0), (0, 0)))
    degrees = right.astype(np.int8) + left + below + above
    rows_V, cols_V = np.nonzero((degrees > 2) | ((degrees == 2) & (right != left)))
    leads_V4 = np.full((len(rows_V), 4), -1)
    # A piece that begins at one vertex ends at the next of its row or column.
    along = np.flatnonzero(right[rows_V, cols_V])
    leads_V4[along, _RIGHT], leads_V4[along + 1, _LEFT] = along + 1, along
    by_column_V = np.lexsort((rows_V, cols_V))
    along = np.flatnonzero(below[rows_V, cols_V][by_column_V])
    uppers, lowers = by_column_V[along], by_column_V[along + 1]
    leads_V4[uppers, _DOWN], leads_V4[lowers, _UP] = lowers, uppers
    return _Borders(rows_V=rows_V, cols_V=cols_V, junctions_V=degrees[rows_V, cols_V] > 2, leads_V4=leads_V4)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Arcs:
    """Borders between two junctions, or closed ones, whose first vertex is their last too: the vertices where they turn.

    points_P: those of all arcs, one arc after the other. begins_A: (A + 1,) where each begins, and where the last one ends.
    """

    points_P: Ints
    begins_A: Ints


def _arcs(borders: _Borders) -> _Arcs:
    """Every border once, from the end that comes first, a closed one from its topmost, leftmost vertex to the right."""
    starts_E, ways_E, ends_E, before_E = _steps(borders)
    firsts_E, ranks_E = _ranks(before_E)
    round_E = before_E[firsts_E] != firsts_E
    if round_E.any():
        # Borders without a junction go round and round: they are cut where they leave the first of their vertices.
        cut = np.flatnonzero(round_E & (starts_E == _least_before(starts_E, before_E)))
        before_E[cut] = cut
        firsts_E, ranks_E = _ranks(before_E)

    order_E = np.lexsort((ranks_E, firsts_E))
    begins = np.flatnonzero(ranks_E[order_E] == 0)
    sizes = np.diff(begins, append=len(order_E))
    first, last = order_E[begins], order_E[begins + sizes - 1]
    # Each is there in both directions.
    one, other, way, back = starts_E[first], ends_E[last], ways_E[first], ways_E[last] ^ 1
    chosen = (one < other) | ((one == other) & (way < back))
    order_E, sizes, last = order_E[np.repeat(chosen, sizes)], sizes[chosen], last[chosen]
    # Of each step its first vertex, and of an arc's last step both.
    points_P = np.insert(starts_E[order_E], np.cumsum(sizes), ends_E[last])
    return _Arcs(points_P=points_P, begins_A=np.cumsum([0, *(sizes + 1)]))


def _steps(borders: _Borders) -> tuple[Ints, Ints, Ints, Ints]:
    """(E,) each: where a piece of border starts, in which direction, where it ends, and the piece before it, or itself."""
    leads_V4 = borders.leads_V4
    starts_E, ways_E = np.nonzero(leads_V4 >= 0)
    ends_E = leads_V4[starts_E, ways_E]
    places_V4 = np.full(leads_V4.shape, -1)
    places_V4[starts_E, ways_E] = np.arange(len(starts_E))
    # Where a border turns it goes on along the other axis, in the one direction that there is.
    across_V = np.where(leads_V4[:, _RIGHT] >= 0, _RIGHT, _LEFT)
    upright_V = np.where(leads_V4[:, _DOWN] >= 0, _DOWN, _UP)
    goes_on = np.flatnonzero(~borders.junctions_V[ends_E])
    turn = ends_E[goes_on]
    onward = places_V4[turn, np.where(ways_E[goes_on] < _UP, upright_V[turn], across_V[turn])]
    before_E = np.arange(len(starts_E))
    before_E[onward] = goes_on
    return starts_E, ways_E, ends_E, before_E


def _ranks(before_E: Ints) -> tuple[Ints, Ints]:
    """(E,) each: the first of the pieces before each, and how many those are, by doubling (Wyllie 1979).

    Of what goes round without a first one they are of no meaning.
    """
    back_E, ranks_E = before_E, (before_E != np.arange(len(before_E))).astype(np.int64)
    for _ in range(len(before_E).bit_length()):
        ranks_E = ranks_E + ranks_E[back_E]
        further_E = back_E[back_E]
        if (further_E == back_E).all():
            break
        back_E = further_E
    return back_E, ranks_E


def _least_before(values_E: Ints, before_E: Ints) -> Ints:
    """(E,): the least of the values of each and of all before it."""
    for _ in range(len(before_E).bit_length()):
        values_E, before_E = np.minimum(values_E, values_E[before_E]), before_E[before_E]
    return values_E


def _simplified(rows_P: Ints, cols_P: Ints, begins_A: Ints, tolerance: float) -> Ints:
    """(A,): how many vertices are left between the ends of an arc, so that none lies further off than allowed."""
    left_A = np.zeros(len(begins_A) - 1, np.int64)
    arcs_S, firsts_S, lasts_S = np.arange(len(left_A)), begins_A[:-1], begins_A[1:] - 1
    while True:
        longer = np.flatnonzero(lasts_S - firsts_S > 1)
        if not longer.size:
            return left_A
        arcs_S, firsts_S, lasts_S = arcs_S[longer], firsts_S[longer], lasts_S[longer]
        farthest_S, middles_S = _farthest(rows_P, cols_P, firsts_S, lasts_S)
        far = np.flatnonzero(farthest_S > tolerance)
        left_A += np.bincount(arcs_S[far], minlength=len(left_A))
        arcs_S = np.repeat(arcs_S[far], 2)
        firsts_S, lasts_S = (
            np.stack(both, 1).ravel() for both in ((firsts_S[far], middles_S[far]), (middles_S[far], lasts_S[far]))
        )


def _farthest(rows_P: Ints, cols_P: Ints, firsts_S: Ints, lasts_S: Ints) -> tuple[NDArray[np.float64], Ints]:
    """(S,) each: how far the points between two others are from the straight line between those at most, in pixels, and the
    first that is as far.
    """
    counts_S = lasts_S - firsts_S - 1
    begins_S = np.cumsum([0, *counts_S[:-1]])
    spans_I = np.repeat(np.arange(len(counts_S)), counts_S)
    points_I = np.arange(len(spans_I)) + np.repeat(firsts_S + 1 - begins_S, counts_S)
    start_I = firsts_S[spans_I]
    down_S, right_S = rows_P[lasts_S] - rows_P[firsts_S], cols_P[lasts_S] - cols_P[firsts_S]
    rows_I, cols_I = rows_P[points_I] - rows_P[start_I], cols_P[points_I] - cols_P[start_I]
    down_I, right_I = down_S[spans_I], right_S[spans_I]
    square_I = down_I**2 + right_I**2
    share_I = ((rows_I * down_I + cols_I * right_I) / np.maximum(square_I, 1)).clip(0.0, 1.0)
    offs_I = np.hypot(rows_I - share_I * down_I, cols_I - share_I * right_I)
    farthest_S = np.maximum.reduceat(offs_I, begins_S)
    as_far = np.flatnonzero(offs_I == farthest_S[spans_I])
    return farthest_S, points_I[as_far[np.searchsorted(spans_I[as_far], np.arange(len(counts_S)))]]
