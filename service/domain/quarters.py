"""Cells that are divided into quarters, and those into quarters again: how the parts are numbered, and where they lie.

Part 0 is the cell. The quarters of part n are 4 n + 1 to 4 n + 4: above left, above right, below left, below right. Part n of
level l, where the cell's is 0, has the area of 4^-l cells, or a little less or more where its sides are odd.
"""

import numpy as np
from numpy.typing import NDArray

Parts = NDArray[np.int64]
MOST_LEVELS = 4
# Pixels: what would have a shorter side is not divided off.
SHORTEST_SIDE = 8


def require_levels(levels: int) -> None:
    """Raises ValueError."""
    if not 1 <= levels <= MOST_LEVELS:
        raise ValueError(f"Cells are divided into 1 to {MOST_LEVELS} levels, not {levels}.")


def nodes(levels: int) -> int:
    """Parts of a cell that is divided so often, itself among them."""
    return int((4**levels - 1) // 3)


def level(parts: Parts) -> Parts:
    """How often the cell was divided to get each part."""
    firsts = np.array([nodes(above) for above in range(1, MOST_LEVELS + 1)])
    return np.asarray(np.searchsorted(firsts, parts, side="right"), np.int64)


def share(part: int) -> float:
    """Of the cell: 1, or a quarter for each time that the cell was divided."""
    return float(0.25 ** int(level(np.array([part]))[0]))


def areas(parts: Parts, levels: int) -> Parts:
    """Of each part, in those of the smallest: 1, 4, 16, ..."""
    return np.asarray(4 ** (levels - 1 - level(parts)), np.int64)


def spans(parts: Parts, levels: int) -> tuple[Parts, Parts]:
    """Which of a cell's smallest parts each holds: the first, and the one after the last. Parts overlap where these do."""
    deep = level(parts)
    firsts = np.array([nodes(above) for above in range(MOST_LEVELS + 1)])
    sizes = areas(parts, levels)
    starts = (parts - firsts[deep]) * sizes
    return np.asarray(starts, np.int64), np.asarray(starts + sizes, np.int64)


def depths(boxes: Parts, levels: int) -> Parts:
    """Of cells of (row, col, height, width), shape (..., 4), the levels that they have: halves are not shorter than allowed."""
    shorter = boxes[..., 2:].min(axis=-1)
    # Halving rounds one of the halves down, and level l has sides of at least shorter // 2^l.
    allowed = [shorter // 2**deep >= SHORTEST_SIDE for deep in range(1, levels)]
    return 1 + np.asarray(sum(allowed, np.zeros_like(shorter)), np.int64)


def boxes(of_cells: Parts, parts: Parts) -> Parts:
    """Row, col, height and width, (N, 4), of a part of each of N cells, whose own boxes are given."""
    row, col, height, width = (of_cells[..., each].copy() for each in range(4))
    for below, right, there in _paths(parts):
        for start, size, second in ((row, height, below), (col, width, right)):
            first = (size + 1) // 2
            start += np.where(there & second, first, 0)
            size[...] = np.where(there, np.where(second, size - first, first), size)
    return np.stack([row, col, height, width], axis=-1)


def family(part: int, levels: int) -> list[int]:
    """The part, all that it lies in and all that lies in it: what has a pixel of it."""
    above, below, generation = [], [], [part]
    while generation and generation[0] < nodes(levels):
        below += generation
        generation = [child for each in generation for child in range(4 * each + 1, 4 * each + 5)]
    while part:
        part = (part - 1) // 4
        above.append(part)
    return sorted(above + below)


def _paths(parts: Parts) -> list[tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]]:
    """Division by division from the cell on: whether the way to each part goes below, goes right, and goes on at all."""
    steps, left = [], np.array(parts, np.int64)
    while left.any():
        there, quarter = left > 0, (left - 1) % 4
        steps.append((there, quarter))
        left = np.where(there, (left - 1) // 4, 0)
    # Gathered from the parts upwards: a step of a part that is deeper comes first, and so all begin together at the cell.
    return [(quarter >= 2, quarter % 2 == 1, there) for there, quarter in reversed(steps)]
