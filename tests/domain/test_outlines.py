"""Clicks of polygons worked out by hand, and what must hold for any label map."""

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from service.domain.classes import IGNORE
from service.domain.outlines import clicks_of_each, polygon_clicks

LABEL_MAPS = arrays.arrays(
    np.uint8, arrays.array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.sampled_from([0, 1, 2, IGNORE])
)


def plain(height: int = 20, width: int = 30) -> np.ndarray:
    return np.zeros((height, width), np.uint8)


def with_box(rows: slice, cols: slice, value: int = 1) -> np.ndarray:
    label_map = plain()
    label_map[rows, cols] = value
    return label_map


def test_a_region_of_one_class_costs_its_corners_however_small() -> None:
    assert [polygon_clicks(plain(*size)) for size in ((90, 80), (1, 40), (1, 1))] == [4, 4, 4]


def test_two_halves_share_the_border_between_them() -> None:
    # 4 corners of the region and the 2 ends of the border.
    assert polygon_clicks(with_box(slice(None), slice(15, None))) == 6
    assert polygon_clicks(with_box(slice(8, None), slice(None))) == 6


def test_four_quarters_share_the_cross_between_them() -> None:
    label_map = with_box(slice(10, None), slice(None), 2)
    label_map[:, 15:] += 1
    # 4 corners, 4 ends and the middle.
    assert polygon_clicks(label_map) == 9


def test_a_square_inside_a_square_is_an_outline_and_the_other_one_s_hole() -> None:
    assert polygon_clicks(with_box(slice(5, 15), slice(5, 15))) == 8


def test_a_square_inside_that_sticks_to_the_edge_interrupts_it() -> None:
    # 4 corners, 2 ends on the edge, 2 corners of the square inside.
    assert polygon_clicks(with_box(slice(5, None), slice(5, 15))) == 8


def test_two_squares_of_one_class_are_two_components_also_where_corners_touch() -> None:
    label_map = with_box(slice(3, 8), slice(3, 8))
    label_map[3:8, 20:25] = 1
    assert polygon_clicks(label_map) == 12
    label_map = with_box(slice(3, 8), slice(3, 8))
    label_map[8:13, 8:13] = 1
    # They share one vertex of their eight.
    assert polygon_clicks(label_map) == 4 + 7


def test_a_diagonal_staircase_is_one_straight_line() -> None:
    label_map = np.triu(np.ones((20, 20), np.uint8), 1)
    # Two triangles with a common side: its ends lie a pixel from the corners, which are no vertices of their own.
    assert polygon_clicks(label_map) == 4


def test_without_tolerance_every_turn_of_a_staircase_is_clicked() -> None:
    label_map = np.triu(np.ones((5, 5), np.uint8), 1)
    # The stair from (0, 1) down to (4, 5) turns 7 times between its ends; all 4 corners of the region remain.
    assert polygon_clicks(label_map, tolerance=0) == 7 + 2 + 4


@pytest.mark.parametrize(("deep", "clicks"), [(1, 8), (2, 12)])
def test_a_dent_no_deeper_than_the_tolerance_is_passed_over(deep: int, clicks: int) -> None:
    label_map = with_box(slice(5, 15), slice(5, 25))
    label_map[5 : 5 + deep, 12:18] = 0
    assert polygon_clicks(label_map) == clicks


def test_ignored_pixels_are_not_drawn_and_their_border_belongs_to_what_is_beside() -> None:
    assert polygon_clicks(np.full((20, 30), IGNORE, np.uint8)) == 0
    assert polygon_clicks(with_box(slice(None), slice(15, None), IGNORE)) == 4
    # A strip between two halves: nothing is shared any more.
    halves = with_box(slice(None), slice(15, None))
    halves[:, 13:17] = IGNORE
    assert polygon_clicks(halves) == 8
    assert polygon_clicks(with_box(slice(5, 15), slice(5, 15), IGNORE)) == 8


def test_a_single_pixel_is_clicked_as_a_triangle() -> None:
    assert polygon_clicks(with_box(slice(7, 8), slice(7, 8))) == 4 + 3
    # On the edge its two ends interrupt the region's outline, and a third vertex makes it an area.
    assert polygon_clicks(with_box(slice(0, 1), slice(7, 8))) == 4 + 2 + 1
    # In a corner it takes that corner along, and the rest has the two ends instead of it.
    assert polygon_clicks(with_box(slice(0, 1), slice(0, 1))) == 3 + 2 + 1


@given(LABEL_MAPS)
@settings(max_examples=150, deadline=None)
def test_without_tolerance_clicks_are_the_vertices_where_borders_turn_or_meet(label_map: np.ndarray) -> None:
    framed = np.pad(label_map, 1, constant_values=IGNORE)
    clicks = 0
    for row in range(label_map.shape[0] + 1):
        for col in range(label_map.shape[1] + 1):
            (a, b), (c, d) = framed[row : row + 2, col : col + 2]
            up, down, left, right = a != b, c != d, a != c, b != d
            straight = (up and down and not left and not right) or (left and right and not up and not down)
            clicks += bool(up + down + left + right) and not straight
    assert polygon_clicks(label_map, tolerance=0) == clicks


@given(LABEL_MAPS)
@settings(max_examples=100, deadline=None)
def test_which_class_is_which_does_not_matter_and_tolerance_only_saves(label_map: np.ndarray) -> None:
    renamed = np.array([7, 3, 5, *range(3, 256)], np.uint8)[label_map]
    clicks = polygon_clicks(label_map)
    assert polygon_clicks(renamed) == clicks
    assert clicks <= polygon_clicks(label_map, tolerance=0)
    assert (clicks == 0) == bool((label_map == IGNORE).all())


@given(st.lists(LABEL_MAPS, max_size=8), st.sampled_from([0.0, 1.0, 2.5]))
@settings(max_examples=150, deadline=None)
def test_many_are_outlined_at_once_as_each_is_by_walking_along_its_borders(
    label_maps: list[np.ndarray], tolerance: float
) -> None:
    # Noise has many junctions, and what is drawn larger long borders.
    label_maps += [np.kron(each, np.ones((4, 3), np.uint8)) for each in label_maps]
    assert clicks_of_each(label_maps, tolerance).tolist() == [walked(each, tolerance) for each in label_maps]


def test_more_than_one_canvas_holds_are_told_in_their_order() -> None:
    label_maps = [with_box(slice(5, 15), slice(5, 5 + width)) for width in (0, 10)] + [
        plain(800, 900),
        np.eye(900, dtype=np.uint8),
    ]
    label_maps[2][100:700, 100:800] = np.eye(600, 700, dtype=np.uint8)
    told = [polygon_clicks(each) for each in label_maps]
    assert clicks_of_each(label_maps).tolist() == told
    assert clicks_of_each(label_maps[::-1]).tolist() == told[::-1]


@pytest.mark.parametrize(("shape", "tolerance"), [((4,), 1.0), ((0, 4), 1.0), ((4, 4), -1.0), ((4, 4), float("nan"))])
def test_what_cannot_be_outlined_is_refused(shape: tuple[int, ...], tolerance: float) -> None:
    with pytest.raises(ValueError, match=r"not of shape|0 or more pixels"):
        polygon_clicks(np.zeros(shape, np.uint8), tolerance)


Vertex = tuple[int, int]


def walked(label_map: np.ndarray, tolerance: float) -> int:
    """Clicks by walking along one border after the other, pixel by pixel."""
    if (label_map == label_map[0, 0]).all():
        return 0 if label_map[0, 0] == IGNORE else 4
    leads = neighbours(label_map)
    turning = {at for at, to in leads.items() if len(to) > 2 or (to[0][0] != to[1][0] and to[0][1] != to[1][1])}
    junctions = {at for at, to in leads.items() if len(to) > 2}
    clicks, straight = len(junctions), Counter[tuple[Vertex, Vertex]]()
    for path in walks(leads, junctions):
        kept = kept_between([at for at in path[1:-1] if at in turning], path[0], path[-1], tolerance)
        if path[0] == path[-1]:
            clicks += max(kept, 2) + (path[0] not in junctions)
        else:
            clicks += kept
            straight[path[0], path[-1]] += kept == 0
    return clicks + sum(count - 1 for count in straight.values() if count > 1)


def neighbours(label_map: np.ndarray) -> dict[Vertex, list[Vertex]]:
    """To which corners between pixels a border leads from each, in the order of rows."""
    framed = np.pad(label_map, 1, constant_values=IGNORE)
    leads: dict[Vertex, list[Vertex]] = {}
    for row in range(label_map.shape[0] + 1):
        for col in range(label_map.shape[1] + 1):
            (a, b), (c, d) = framed[row : row + 2, col : col + 2]
            ways = (
                (a != c, (row, col - 1)),
                (b != d, (row, col + 1)),
                (a != b, (row - 1, col)),
                (c != d, (row + 1, col)),
            )
            if onward := [to for there, to in ways if there]:
                leads[row, col] = onward
    return leads


def walks(leads: dict[Vertex, list[Vertex]], junctions: set[Vertex]) -> Iterator[list[Vertex]]:
    """Every border once, from its first end or corner: between junctions, then those that meet none."""
    seen: set[tuple[Vertex, Vertex]] = set()
    for start in (*sorted(junctions), *leads):
        for onward in leads[start]:
            if (start, onward) in seen:
                continue
            path = [start, onward]
            while path[-1] != start and path[-1] not in junctions:
                path += [to for to in leads[path[-1]] if to != path[-2]]
            seen.update((*pairwise(path), *pairwise(path[::-1])))
            yield path


def kept_between(corners: list[Vertex], start: Vertex, end: Vertex, tolerance: float) -> int:
    """Corners that are left between two others (Douglas & Peucker 1973)."""
    line = np.subtract(end, start)
    offs = []
    for corner in corners:
        off = np.subtract(corner, start)
        share = np.clip(off @ line / max(line @ line, 1), 0, 1)
        offs.append(np.hypot(*(off - share * line)))
    if max(offs, default=0.0) <= tolerance:
        return 0
    middle = int(np.argmax(offs))
    before, after = corners[:middle], corners[middle + 1 :]
    return (
        1
        + kept_between(before, start, corners[middle], tolerance)
        + kept_between(after, corners[middle], end, tolerance)
    )
