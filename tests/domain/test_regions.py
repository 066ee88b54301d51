"""The grid: every pixel in exactly one cell, at any size."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.regions import LONGEST_SIDE, Box, Grid, suited_cell

sizes = st.integers(1, 40)
grids = st.builds(Grid, height=sizes, width=sizes, cell_height=st.integers(1, 50), cell_width=st.integers(1, 50))


@given(grids)
def test_every_pixel_is_in_exactly_one_cell_and_cell_at_names_it(grid: Grid) -> None:
    seen = np.zeros((grid.height, grid.width), dtype=int)
    owner = np.empty((grid.height, grid.width), dtype=int)
    for cell in grid.cells.tolist():
        seen[grid.box(cell).slices] += 1
        owner[grid.box(cell).slices] = cell
    assert (seen == 1).all()
    assert all(grid.cell_at(row, col) == owner[row, col] for row in range(grid.height) for col in range(grid.width))


@given(grids)
def test_boxes_are_the_boxes_of_the_cells_in_order(grid: Grid) -> None:
    boxes = grid.boxes(grid.cells)
    assert boxes.dtype == np.int64
    assert [Box(row=r, col=c, height=h, width=w) for r, c, h, w in boxes.tolist()] == [
        grid.box(cell) for cell in grid.cells.tolist()
    ]
    assert int(boxes[:, 2] @ boxes[:, 3]) == grid.height * grid.width


@given(grids)
def test_no_cell_is_larger_than_asked_for(grid: Grid) -> None:
    _, _, heights, widths = grid.boxes(grid.cells).T
    assert heights.max() <= grid.cell_height
    assert widths.max() <= grid.cell_width
    assert grid.rows * grid.cols == grid.regions == len(heights)


def test_camvid_has_24_cells_and_cityscapes_128() -> None:
    assert Grid(height=360, width=480, cell_height=90, cell_width=80).regions == 24
    assert Grid(height=1024, width=2048, cell_height=128, cell_width=128).regions == 128


def test_the_last_row_and_column_are_cut_short() -> None:
    grid = Grid(height=10, width=7, cell_height=4, cell_width=3)
    assert (grid.rows, grid.cols) == (3, 3)
    assert grid.box(0) == Box(row=0, col=0, height=4, width=3)
    assert grid.box(5) == Box(row=4, col=6, height=4, width=1)
    assert grid.box(8) == Box(row=8, col=6, height=2, width=1)


def test_a_cell_larger_than_the_image_is_the_image() -> None:
    grid = Grid(height=5, width=6, cell_height=90, cell_width=80)
    assert grid.regions == 1
    assert grid.box(0) == Box(row=0, col=0, height=5, width=6)


@pytest.mark.parametrize("cell", [-1, 9])
def test_a_cell_outside_the_grid_is_an_index_error(cell: int) -> None:
    with pytest.raises(IndexError, match=f"Region {cell} is not one of the grid's 9"):
        Grid(height=10, width=7, cell_height=4, cell_width=3).box(cell)


@pytest.mark.parametrize(("row", "col"), [(-1, 0), (0, -1), (10, 0), (0, 7)])
def test_a_pixel_outside_the_image_is_an_index_error(row: int, col: int) -> None:
    with pytest.raises(IndexError, match="outside the image of 10 x 7"):
        Grid(height=10, width=7, cell_height=4, cell_width=3).cell_at(row, col)


@pytest.mark.parametrize(("size", "sentence"), [((0, 5, 1, 1), "has no pixels"), ((5, 5, 0, 1), "holds no pixels")])
def test_a_grid_without_pixels_is_refused(size: tuple[int, int, int, int], sentence: str) -> None:
    height, width, cell_height, cell_width = size
    with pytest.raises(ValueError, match=sentence):
        Grid(height=height, width=width, cell_height=cell_height, cell_width=cell_width)


def test_context_grows_on_all_sides_and_stops_at_the_image() -> None:
    box = Box(row=4, col=6, height=4, width=3)
    assert box.context(2, 20, 20) == Box(row=2, col=4, height=8, width=7)
    assert box.context(5, 10, 10) == Box(row=0, col=1, height=10, width=9)
    assert box.context(0, 10, 10) == box
    assert box.context(10**6, 10, 12) == Box(row=0, col=0, height=10, width=12)


def test_a_box_outside_the_image_has_no_context() -> None:
    with pytest.raises(ValueError, match="does not lie in an image of 7 x 10"):
        Box(row=4, col=6, height=4, width=3).context(1, 7, 10)
    with pytest.raises(ValueError, match="0 or more pixels, not -1"):
        Box(row=4, col=6, height=4, width=3).context(-1, 10, 10)


def test_a_box_knows_its_pixels() -> None:
    box = Box(row=1, col=2, height=2, width=3)
    pixels = np.arange(20).reshape(4, 5)
    assert pixels[box.slices].tolist() == [[7, 8, 9], [12, 13, 14]]
    assert box.area == 6


@pytest.mark.parametrize("wrong", [{"row": -1}, {"col": -1}, {"height": 0}, {"width": 0}])
def test_a_box_without_pixels_or_before_the_image_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="A box starts at a pixel"):
        Box(**({"row": 0, "col": 0, "height": 1, "width": 1} | wrong))


@pytest.mark.parametrize(
    ("sizes", "cell"),
    [
        ([(360, 480)], (90, 80)),
        ([(720, 960)], (90, 80)),
        ([(512, 512)], (86, 86)),
        ([(96, 128)], (24, 32)),
        ([(72, 96), (72, 96), (1000, 2000)], (18, 24)),
        ([(10, 30)], (8, 8)),
    ],
)
def test_cells_suit_the_images(sizes: list[tuple[int, int]], cell: tuple[int, int]) -> None:
    assert suited_cell(sizes) == cell


@given(st.integers(8, 6000), st.integers(8, 6000))
def test_suited_cells_are_as_many_as_four_by_four_and_alike(height: int, width: int) -> None:
    cell_height, cell_width = suited_cell([(height, width)])
    grid = Grid(height=height, width=width, cell_height=cell_height, cell_width=cell_width)
    for side, cell, parts in ((height, cell_height, grid.rows), (width, cell_width, grid.cols)):
        assert 8 <= cell <= LONGEST_SIDE
        assert parts >= 4 or cell == 8
        # What is left at the edge lacks less than one pixel for each cell before it.
        assert cell == 8 or parts * cell - side < parts
