"""Quarters of cells: numbers, places and families, against pictures of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.domain import quarters
from service.domain.regions import Grid

sides, levels = st.integers(1, 64), st.integers(1, quarters.MOST_LEVELS)
grids = st.builds(
    Grid,
    height=sides,
    width=sides,
    cell_height=st.integers(17, 60),
    cell_width=st.integers(17, 60),
    levels=levels,
)


def pixels_of(grid: Grid, region: int) -> set[tuple[int, int]]:
    box = grid.box(region)
    return {(row, col) for row in range(*box.slices[0].indices(999)) for col in range(*box.slices[1].indices(999))}


@settings(deadline=None)
@given(grids)
def test_quarters_that_are_there_divide_what_they_are_of(grid: Grid) -> None:
    for cell in grid.cells.tolist():
        for part in range(grid.per_cell):
            if not grid.exist([cell + part])[0]:
                with pytest.raises(IndexError, match="not one of the grid's"):
                    grid.box(cell + part)
                continue
            of = [cell + 4 * part + quarter for quarter in (1, 2, 3, 4) if 4 * part + quarter < grid.per_cell]
            there = [each for each in of if grid.exist([each])[0]]
            assert there in ([], of)  # all four or none
            boxes = grid.boxes(there)
            if there:
                whole = grid.box(cell + part)
                assert (boxes[:, 2:] >= quarters.SHORTEST_SIDE).all()
                assert int((boxes[:, 2] * boxes[:, 3]).sum()) == whole.area
                canvas = np.zeros((grid.height, grid.width), np.int64)
                for each in there:
                    canvas[grid.box(each).slices] += 1
                assert (canvas[whole.slices] == 1).all()
                assert canvas.sum() == whole.area
                # Above left first, then above right, below left, below right.
                assert np.lexsort((boxes[:, 1], boxes[:, 0])).tolist() == [0, 1, 2, 3]


@given(grids)
def test_with_one_level_regions_are_the_cells(grid: Grid) -> None:
    plain = Grid(height=grid.height, width=grid.width, cell_height=grid.cell_height, cell_width=grid.cell_width)
    assert plain.regions == plain.rows * plain.cols
    assert plain.cells.tolist() == list(range(plain.regions))
    np.testing.assert_array_equal(plain.boxes(plain.cells), grid.boxes(grid.cells))
    assert set(plain.depths().tolist()) == {1}


def test_camvid_s_cells_have_quarters_of_45_by_40_and_23_by_20_pixels() -> None:
    grid = Grid(height=360, width=480, cell_height=90, cell_width=80, levels=3)
    assert (grid.per_cell, grid.regions, set(grid.depths().tolist())) == (21, 504, {3})
    assert grid.boxes([0, 4, 20, 19, 21]).tolist() == [
        [0, 0, 90, 80],
        [45, 40, 45, 40],
        [68, 60, 22, 20],
        [68, 40, 22, 20],
        [0, 80, 90, 80],
    ]
    assert grid.cell_at(100, 170) == (6 + 2) * 21


def test_what_is_too_small_is_not_divided() -> None:
    grid = Grid(height=40, width=47, cell_height=32, cell_width=32, levels=3)
    assert grid.depths().tolist() == [3, 1, 1, 1]  # 32 x 32, 32 x 15, 8 x 32, 8 x 15
    assert grid.exist(np.arange(2 * 21)).tolist() == [True] * 22 + [False] * 20


@pytest.mark.parametrize("deep", [1, 2, 3, 4])
def test_a_family_has_a_pixel_in_common(deep: int) -> None:
    grid = Grid(height=64, width=64, cell_height=64, cell_width=64, levels=deep)
    pixels = [pixels_of(grid, part) for part in range(quarters.nodes(deep))]
    for part in range(quarters.nodes(deep)):
        expected = [other for other, theirs in enumerate(pixels) if theirs & pixels[part]]
        assert quarters.family(part, deep) == expected
        spans = [range(*each) for each in zip(*quarters.spans(np.arange(len(pixels)), deep), strict=True)]
        assert expected == [other for other, span in enumerate(spans) if set(span) & set(spans[part])]
        assert quarters.areas(np.array([part]), deep)[0] * len(pixels[-1]) == len(pixels[part])


@pytest.mark.parametrize("deep", [0, 5])
def test_levels_are_bounded(deep: int) -> None:
    with pytest.raises(ValueError, match="divided into 1 to 4 levels"):
        Grid(height=9, width=9, cell_height=9, cell_width=9, levels=deep)
