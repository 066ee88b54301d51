"""Regions: the cells of a fixed, non-overlapping grid over an image, and their quarters where those may be asked for too."""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median_low
from typing import Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from service.domain import quarters

LONGEST_SIDE = 4096
"""Pixels that a region may be high or wide."""
USUAL_CELL = (90, 80)
"""Height and width of the paper's regions of CamVid, in pixels."""
_SHORTEST_SIDE, _FEWEST = 8, 4


def suited_cell(sizes: Iterable[tuple[int, int]]) -> tuple[int, int]:
    """Height and width of cells for images of these (heights, widths), of which there is one at least.

    They divide an image of the middle height and width into equal parts about as large as USUAL_CELL, into four rows and
    four columns at least where a cell has eight pixels a side then.
    """
    heights, widths = zip(*sizes, strict=True)
    return _suited(median_low(heights), USUAL_CELL[0]), _suited(median_low(widths), USUAL_CELL[1])


def _suited(side: int, usual: int) -> int:
    parts = max(_FEWEST, round(side / usual))
    return max(_SHORTEST_SIDE, -(-side // parts))


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A rectangle of pixels: its first row and column, its height and width."""

    row: int
    col: int
    height: int
    width: int

    def __post_init__(self) -> None:
        if self.row < 0 or self.col < 0 or self.height < 1 or self.width < 1:
            raise ValueError(f"A box starts at a pixel and holds at least one, unlike {self}.")

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns, to index an array with: `label_map_HW[box.slices]`."""
        return slice(self.row, self.row + self.height), slice(self.col, self.col + self.width)

    @property
    def area(self) -> int:
        """Pixels in the box."""
        return self.height * self.width

    def context(self, margin: int, height: int, width: int) -> "Box":
        """The box grown by `margin` pixels on each side and cut at an image of `height` x `width`.

        Raises ValueError for a negative margin or a box that does not lie in the image.
        """
        if margin < 0:
            raise ValueError(f"A margin is 0 or more pixels, not {margin}.")
        bottom, right = self.row + self.height, self.col + self.width
        if bottom > height or right > width:
            raise ValueError(f"{self} does not lie in an image of {height} x {width}.")
        top, left = max(0, self.row - margin), max(0, self.col - margin)
        bottom, right = min(height, bottom + margin), min(width, right + margin)
        return Box(row=top, col=left, height=bottom - top, width=right - left)


class Division(Protocol):
    """Settings that say how images are divided."""

    @property
    def cell_height(self) -> int:
        """Pixels."""

    @property
    def cell_width(self) -> int:
        """Pixels."""

    @property
    def levels(self) -> int:
        """1: cells alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Regions of an image of `height` x `width` pixels: cells of `cell_height` x `cell_width`, and their quarters.

    Cells lie row by row. The last row and column are cut short where the cell does not divide the image: every pixel is in
    exactly one cell. A cell larger than the image is the image. With `levels` of 2 the quarters of cells are regions too,
    with 3 the quarters' quarters, and so on (`service.domain.quarters`); what is too small to be divided is not. Numbers go
    cell after cell, and in a cell as quarters do.
    """

    height: int
    width: int
    cell_height: int
    cell_width: int
    levels: int = 1

    def __post_init__(self) -> None:
        if min(self.height, self.width) < 1:
            raise ValueError(f"An image of {self.height} x {self.width} has no pixels to divide into regions.")
        if min(self.cell_height, self.cell_width) < 1:
            raise ValueError(f"A region of {self.cell_height} x {self.cell_width} holds no pixels.")
        quarters.require_levels(self.levels)

    @classmethod
    def over(cls, height: int, width: int, division: Division) -> Self:
        """The grid of an image of this size, divided as settings say."""
        return cls(
            height=height,
            width=width,
            cell_height=division.cell_height,
            cell_width=division.cell_width,
            levels=division.levels,
        )

    @property
    def rows(self) -> int:
        """Cells from top to bottom."""
        return -(-self.height // self.cell_height)

    @property
    def cols(self) -> int:
        """Cells from left to right."""
        return -(-self.width // self.cell_width)

    @property
    def per_cell(self) -> int:
        """Regions of a cell, itself among them, and those counted that are too small to be there."""
        return quarters.nodes(self.levels)

    @property
    def regions(self) -> int:
        """Regions are numbered below this."""
        return self.rows * self.cols * self.per_cell

    @property
    def cells(self) -> NDArray[np.int64]:
        """The numbers of the undivided cells, which hold every pixel once."""
        return np.arange(self.rows * self.cols, dtype=np.int64) * self.per_cell

    def box(self, region: int) -> Box:
        """The pixels of a region. Raises IndexError for a number of none."""
        cell, part = divmod(region, self.per_cell)
        if not 0 <= region < self.regions or (part and not self.exist([region])[0]):
            raise IndexError(f"Region {region} is not one of the grid's {self.regions}.")
        if part:
            row, col, height, width = self.boxes([region])[0].tolist()
            return Box(row=row, col=col, height=height, width=width)
        # As below, but a hundred times as fast as arrays of one.
        row, col = (cell // self.cols) * self.cell_height, (cell % self.cols) * self.cell_width
        return Box(
            row=row,
            col=col,
            height=min(self.cell_height, self.height - row),
            width=min(self.cell_width, self.width - col),
        )

    def boxes(self, regions: ArrayLike) -> NDArray[np.int64]:
        """Row, col, height and width of each of the regions: int64, regions x 4."""
        cells, nodes = np.divmod(np.asarray(regions, np.int64), self.per_cell)
        return quarters.boxes(self._cell_boxes(cells), nodes)

    def share(self, region: int) -> float:
        """Of a cell, that is: 1, or a quarter for each time that the cell was divided."""
        return quarters.share(region % self.per_cell)

    def exist(self, regions: ArrayLike) -> NDArray[np.bool_]:
        """Whether each is there: not a part of what is too small to be divided."""
        cells, nodes = np.divmod(np.asarray(regions, np.int64), self.per_cell)
        return quarters.depths(self._cell_boxes(cells), self.levels) > quarters.level(nodes)

    def depths(self) -> NDArray[np.int64]:
        """Of each cell how many levels it has, 1 where it is not divided."""
        return quarters.depths(self._cell_boxes(np.arange(self.rows * self.cols)), self.levels)

    def _cell_boxes(self, cells: NDArray[np.int64]) -> NDArray[np.int64]:
        cell_rows, cell_cols = np.divmod(cells, self.cols)
        rows, cols = cell_rows * self.cell_height, cell_cols * self.cell_width
        heights = np.minimum(self.cell_height, self.height - rows)
        widths = np.minimum(self.cell_width, self.width - cols)
        return np.stack([rows, cols, heights, widths], axis=-1)

    def cell_at(self, row: int, col: int) -> int:
        """The number of the undivided cell that holds a pixel. Raises IndexError for a pixel outside the image."""
        if not (0 <= row < self.height and 0 <= col < self.width):
            raise IndexError(f"Pixel ({row}, {col}) is outside the image of {self.height} x {self.width}.")
        return ((row // self.cell_height) * self.cols + col // self.cell_width) * self.per_cell
