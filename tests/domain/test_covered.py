"""What a label map of parts of an image labels: regions that are covered as a whole, in the size in which they were asked for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.covered import covered_regions, overlapping, region_of_box
from service.domain.regions import Box, Grid

FLAT = Grid(height=50, width=40, cell_height=20, cell_width=20)  # cells 0..5, the last row 10 high
DEEP = Grid(height=32, width=64, cell_height=32, cell_width=32, levels=3)  # two cells of 21 parts


def mask(grid: Grid, *boxes: Box) -> np.ndarray:
    labelled = np.zeros((grid.height, grid.width), np.bool_)
    for box in boxes:
        labelled[box.slices] = True
    return labelled


def test_a_cell_is_labelled_where_no_pixel_of_it_is_missing() -> None:
    labelled = mask(FLAT, FLAT.box(0), FLAT.box(5))
    labelled[20, 0] = True
    found = covered_regions(FLAT, labelled)
    assert (found.regions, found.partly) == ([0, 5], 1)
    labelled[49, 39] = False
    found = covered_regions(FLAT, labelled)
    assert (found.regions, found.partly) == ([0], 2)


def test_of_a_cell_that_is_labelled_in_part_the_largest_whole_parts_count() -> None:
    # The quarter above left, and of the one beside it the quarter above left and one pixel more.
    labelled = mask(DEEP, DEEP.box(1), DEEP.box(9))
    labelled[0, 24] = True
    found = covered_regions(DEEP, labelled)
    assert (found.regions, found.partly) == ([1, 9], 1)


def test_what_was_divided_stays_so() -> None:
    whole = np.ones((32, 64), np.bool_)
    assert covered_regions(DEEP, whole).regions == [0, 21]
    assert covered_regions(DEEP, whole, [2]).regions == [1, 2, 3, 4, 21]
    assert covered_regions(DEEP, whole, [5, 21]).regions == [2, 3, 4, 5, 6, 7, 8, 21]


def test_a_region_that_is_there_is_not_divided_any_further() -> None:
    assert covered_regions(DEEP, mask(DEEP, DEEP.box(1)), [0]) == covered_regions(
        Grid(height=32, width=64, cell_height=32, cell_width=32), mask(DEEP, DEEP.box(1))
    )


@given(st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_regions_are_labelled_as_a_whole_and_share_no_pixel(levels: int, seed: int) -> None:
    grid = Grid(height=70, width=90, cell_height=32, cell_width=40, levels=levels)
    chance = np.random.default_rng(seed)
    labelled = np.kron(chance.random((5, 6)) < 0.7, np.ones((14, 15))).astype(np.bool_)
    parts = np.arange(grid.regions)
    known = chance.choice(parts[grid.exist(parts)], 2)
    taken = [int(known[0])] if overlapping([int(known[1])], [int(known[0])], levels) else known.tolist()
    times = np.zeros(labelled.shape, np.int64)
    found = covered_regions(grid, labelled, taken).regions
    for region in found:
        times[grid.box(region).slices] += 1
        assert labelled[grid.box(region).slices].all()
        assert region in taken or not overlapping([region], taken, levels)
    assert times.max(initial=0) <= 1


def test_regions_are_found_by_their_pixels() -> None:
    for grid in (FLAT, DEEP):
        for region in range(grid.regions):
            assert region_of_box(grid, grid.box(region)) == region
    assert region_of_box(FLAT, Box(row=0, col=0, height=20, width=19)) is None
    assert region_of_box(FLAT, Box(row=90, col=0, height=20, width=20)) is None


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"The mask is \(3, 4\)"):
        covered_regions(FLAT, np.ones((3, 4), np.bool_))
