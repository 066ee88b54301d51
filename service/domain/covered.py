"""Which regions a label map labels that holds labels of parts of an image only: those of which every pixel is labelled."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.domain import quarters
from service.domain.masks import Mask
from service.domain.regions import Box, Grid


@dataclass(frozen=True, slots=True, kw_only=True)
class Covered:
    """Regions of a grid, by number: all of whose pixels are labelled. No two have a pixel in common.

    `partly` counts regions, the smallest that could be asked for there, of which some pixels are labelled and others not.
    """

    regions: Sequence[int]
    partly: int


def covered_regions(grid: Grid, labelled_HW: Mask, divided_as: Collection[int] = ()) -> Covered:
    """The largest regions that are labelled as a whole; but a cell that regions of `divided_as` lie in is divided into those.

    Raises ValueError for a mask that is not of the grid's size.
    """
    if labelled_HW.shape != (grid.height, grid.width):
        raise ValueError(f"The mask is {labelled_HW.shape}, the image {(grid.height, grid.width)}.")
    wanted = set(divided_as)
    divided = {above for region in wanted for above in _above(grid, region)}
    regions, partly = list[int](), 0
    level = grid.cells
    while level.size:
        counts, areas = _labelled(grid, labelled_HW, level)
        deeper = list[int]()
        for region, count, area in zip(level.tolist(), counts.tolist(), areas.tolist(), strict=True):
            parts = [] if region in wanted else _parts(grid, region)
            if region in divided and parts:
                deeper += parts
            elif count == area:
                regions.append(region)
            elif count and parts:
                deeper += parts
            elif count:
                partly += 1
        level = np.array(deeper, np.int64)
    return Covered(regions=sorted(regions), partly=partly)


def region_of_box(grid: Grid, box: Box) -> int | None:
    """The number of the region with these pixels, None where the grid has none. Of two with the same pixels the larger part."""
    if box.row >= grid.height or box.col >= grid.width:
        return None
    cell = grid.cell_at(box.row, box.col)
    numbers = cell + np.arange(grid.per_cell)
    boxes = grid.boxes(numbers)
    same = (boxes == (box.row, box.col, box.height, box.width)).all(axis=1) & grid.exist(numbers)
    found = numbers[same]
    return int(found[0]) if found.size else None


def _above(grid: Grid, region: int) -> list[int]:
    """What a region lies in, itself not among it."""
    cell, part = divmod(region, grid.per_cell)
    above = []
    while part:
        part = (part - 1) // 4
        above.append(cell * grid.per_cell + part)
    return above


def _parts(grid: Grid, region: int) -> list[int]:
    """The quarters of a region, none where it is not divided."""
    cell, part = divmod(region, grid.per_cell)
    if 4 * part + 4 >= grid.per_cell:
        return []
    numbers = cell * grid.per_cell + np.arange(4 * part + 1, 4 * part + 5)
    return [] if not grid.exist(numbers).all() else [int(each) for each in numbers]


def _labelled(grid: Grid, labelled_HW: Mask, regions: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of each region the labelled pixels, and all."""
    sums = np.zeros((grid.height + 1, grid.width + 1), np.int64)
    sums[1:, 1:] = labelled_HW.cumsum(axis=0, dtype=np.int64).cumsum(axis=1)
    row, col, height, width = grid.boxes(regions).T
    below, right = row + height, col + width
    counts = sums[below, right] - sums[row, right] - sums[below, col] + sums[row, col]
    return counts, height * width


def overlapping(cells: Collection[int], taken: Collection[int], levels: int) -> set[int]:
    """Which of an image's regions, by number, have a pixel that one of `taken` has."""
    return blocked_by(taken, levels) & set(cells)


def blocked_by(taken: Collection[int], levels: int) -> set[int]:
    """All regions of an image, by number, that have a pixel that one of `taken` has."""
    per_cell = quarters.nodes(levels)
    return {
        number - number % per_cell + part for number in taken for part in quarters.family(number % per_cell, levels)
    }
