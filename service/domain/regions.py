"""Regions: the cells of a fixed, non-overlapping grid over an image."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Cells of `cell_height` x `cell_width` over an image of `height` x `width` pixels, numbered row by row.

    The last row and column are cut short where the cell does not divide the image: every pixel is in exactly one cell.
    A cell larger than the image is the image.
    """

    height: int
    width: int
    cell_height: int
    cell_width: int

    def __post_init__(self) -> None:
        if min(self.height, self.width) < 1:
            raise ValueError(f"An image of {self.height} x {self.width} has no pixels to divide into regions.")
        if min(self.cell_height, self.cell_width) < 1:
            raise ValueError(f"A region of {self.cell_height} x {self.cell_width} holds no pixels.")

    @property
    def rows(self) -> int:
        """Cells from top to bottom."""
        return -(-self.height // self.cell_height)

    @property
    def cols(self) -> int:
        """Cells from left to right."""
        return -(-self.width // self.cell_width)

    @property
    def cells(self) -> int:
        """Cells in all."""
        return self.rows * self.cols

    def box(self, cell: int) -> Box:
        """The pixels of a cell. Raises IndexError for a number outside 0..cells-1."""
        if not 0 <= cell < self.cells:
            raise IndexError(f"Cell {cell} is outside the grid's {self.cells} cells.")
        row, col = (cell // self.cols) * self.cell_height, (cell % self.cols) * self.cell_width
        return Box(
            row=row,
            col=col,
            height=min(self.cell_height, self.height - row),
            width=min(self.cell_width, self.width - col),
        )

    def boxes(self) -> NDArray[np.int64]:
        """Every cell's row, col, height and width: int64, cells x 4, in the order of the cell numbers."""
        cell_rows, cell_cols = np.divmod(np.arange(self.cells, dtype=np.int64), self.cols)
        rows, cols = cell_rows * self.cell_height, cell_cols * self.cell_width
        heights = np.minimum(self.cell_height, self.height - rows)
        widths = np.minimum(self.cell_width, self.width - cols)
        return np.stack([rows, cols, heights, widths], axis=1)

    def cell_at(self, row: int, col: int) -> int:
        """The number of the cell that holds a pixel. Raises IndexError for a pixel outside the image."""
        if not (0 <= row < self.height and 0 <= col < self.width):
            raise IndexError(f"Pixel ({row}, {col}) is outside the image of {self.height} x {self.width}.")
        return (row // self.cell_height) * self.cols + col // self.cell_width
