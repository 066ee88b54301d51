"""How an image that is too large to be decoded is divided into windows, each of which is an image of the pool."""

from itertools import pairwise

from service.domain.regions import Box
from service.domain.usable import LEAST_SIDE, UselessImage

SIDE = 2048
"""Pixels of a window's side, about: as many whole regions as fit."""
LONGEST_SIDE = 1 << 20
MOST_WINDOWS = 20_000
# What is left over at the end is a window of its own from this share of a side on; less is the last window's.
_LEAST_SHARE = 8


def windows_of(height: int, width: int, cell: tuple[int, int]) -> list[Box]:
    """The windows of an image, row by row: each pixel is in one, and no region of (height, width) `cell` in two.

    Raises UselessImage where the image is too small, or too large for all that.
    """
    if min(height, width) < LEAST_SIDE:
        sentence = f"It is {height} high and {width} wide; networks need at least {LEAST_SIDE} x {LEAST_SIDE} pixels."
        raise UselessImage("too_small", sentence)
    rows, cols = (_cuts(min(side, LONGEST_SIDE + 1), part) for side, part in zip((height, width), cell, strict=True))
    if max(height, width) > LONGEST_SIDE or (len(rows) - 1) * (len(cols) - 1) > MOST_WINDOWS:
        raise UselessImage(
            "too_large",
            f"It is {height} high and {width} wide; {LONGEST_SIDE:,} pixels a side and {MOST_WINDOWS:,} windows of about "
            f"{SIDE} x {SIDE} are the limit: cut it into parts.",
        )
    return [
        Box(row=top, col=left, height=below - top, width=right - left)
        for top, below in pairwise(rows)
        for left, right in pairwise(cols)
    ]


def _cuts(length: int, cell: int) -> list[int]:
    """Where windows along a side begin, and its end."""
    side = max(1, SIDE // cell) * cell
    begins = list(range(0, length, side))
    if len(begins) > 1 and length - begins[-1] < side // _LEAST_SHARE:
        begins.pop()
    return [*begins, length]
