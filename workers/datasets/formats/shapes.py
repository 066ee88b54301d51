"""Shapes as tools write them, drawn into label maps: polygons and masks one over the other.

Shapes: HW height x width. Points are (x, y) in pixels, from the image's left and top.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from service.domain.classes import IGNORE
from service.domain.masks import MaskError, rle_decode
from workers.datasets.base import MAX_PIXELS, DatasetError
from workers.datasets.formats.annotated import Covered, Drawn, within

OVERLAPS = "Where shapes overlap, the later one counts."


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Pixels of a class by its index, IGNORE for ignored ones."""

    index: int
    mask: Callable[[], Covered]


def draw(shapes: Iterable[Shape], height: int, width: int, rest: int | None) -> Drawn | None:
    """Later shapes over earlier ones. Pixels in none have the index `rest`, or no label; None: nothing is labelled at all.

    Raises DatasetError for more pixels than a label map may have, and as the shapes do.
    """
    if not 0 < height * width <= MAX_PIXELS:
        raise DatasetError(f"An image of {height} x {width} pixels cannot be labelled; {MAX_PIXELS} is the limit.")
    indices_HW = np.full((height, width), IGNORE if rest is None else rest, np.uint8)
    labelled_HW = np.full((height, width), rest is not None, np.bool_)
    for shape in shapes:
        mask_HW = shape.mask()
        if mask_HW.shape != (height, width):
            raise DatasetError(f"A mask is {mask_HW.shape} pixels high and wide, its image {(height, width)}.")
        indices_HW[mask_HW] = shape.index
        labelled_HW |= mask_HW
    return Drawn(indices_HW=indices_HW, labelled_HW=labelled_HW) if labelled_HW.any() else None


def drawn_within(
    shapes: Iterable[Shape], size: tuple[int, int], rest: int | None, covered_HW: Covered | None
) -> Drawn | None:
    """As `draw`, where it is known what is labelled: pixels of it that are in no shape are void."""
    whole = draw(shapes, *size, rest)
    if covered_HW is None:
        return whole
    indices_HW = np.full(size, IGNORE, np.uint8) if whole is None else whole.indices_HW
    return within(Drawn(indices_HW=indices_HW, labelled_HW=covered_HW), covered_HW)


def rle_mask(rle: Any) -> Covered:
    """Of a COCO RLE, compressed or not. Raises DatasetError."""
    try:
        return rle_decode(rle, max_pixels=MAX_PIXELS)
    except MaskError as error:
        raise DatasetError(error.message) from error


def polygon_mask(polygons: Sequence[Any], height: int, width: int) -> Covered:
    """What is in any of the polygons, each x, y, x, y, ..., as COCO's own maskApi.c draws them. Raises DatasetError."""
    mask_api = _mask_api()
    clipped = [_clipped(each, height, width) for each in polygons]
    if not clipped:
        return np.zeros((height, width), np.bool_)
    return rle_mask(mask_api.merge(mask_api.frPyObjects(clipped, height, width)))


def box_mask(box: tuple[float, float, float, float], size: tuple[int, int], turned: float = 0.0) -> Covered:
    """What is in a box of left, top, right and bottom, of an image of (height, width), `turned` clockwise about its middle by
    so many degrees. Raises DatasetError.
    """
    left, top, right, bottom = box
    x, y, cos, sin = (
        (left + right) / 2,
        (top + bottom) / 2,
        math.cos(math.radians(turned)),
        math.sin(math.radians(turned)),
    )
    corners = [(left - x, top - y), (right - x, top - y), (right - x, bottom - y), (left - x, bottom - y)]
    points = [(x + cos * dx - sin * dy, y + sin * dx + cos * dy) for dx, dy in corners]
    return polygon_mask([[round(each, 9) for point in points for each in point]], *size)


def runs_mask(runs: Sequence[int], height: int, width: int) -> Covered:
    """Of lengths of runs along the rows, unset first. Raises DatasetError."""
    return np.ascontiguousarray(rle_mask({"size": [width, height], "counts": list(runs)}).T)


def placed(mask_HW: Covered, top: int, left: int, size: tuple[int, int]) -> Covered:
    """A mask at its place in an image of (height, width); what is outside is cut off."""
    whole_HW = np.zeros(size, np.bool_)
    rows, cols = slice(max(0, -top), max(0, size[0] - top)), slice(max(0, -left), max(0, size[1] - left))
    part = mask_HW[rows, cols]
    whole_HW[max(0, top) : max(0, top) + part.shape[0], max(0, left) : max(0, left) + part.shape[1]] = part
    return whole_HW


def _clipped(polygon: Any, height: int, width: int) -> list[float]:
    """A polygon within its image: memory would follow its length."""
    if not isinstance(polygon, list | tuple) or len(polygon) < 6 or len(polygon) % 2:
        raise DatasetError("A polygon is a list of x, y, x, y, ... of at least three points.")
    if not all(isinstance(each, int | float) and math.isfinite(each) for each in polygon):
        raise DatasetError("A polygon's points are numbers of pixels.")
    points = [(float(x), float(y)) for x, y in zip(polygon[::2], polygon[1::2], strict=True)]
    for axis, limit, sign in ((0, 0.0, 1), (0, float(width), -1), (1, 0.0, 1), (1, float(height), -1)):
        points = _on_one_side(points, axis, limit, sign)
    return [each for point in points for each in point] if len(points) > 2 else [0.0] * 6


_Point = tuple[float, float]


def _on_one_side(points: Sequence[_Point], axis: int, limit: float, sign: int) -> list[_Point]:
    """The part of a polygon where a coordinate is at least (sign 1) or at most (-1) a limit (Sutherland & Hodgman 1974)."""
    kept = list[_Point]()
    for start, end in zip([*points[-1:], *points[:-1]], points, strict=True):
        inside = [sign * (each[axis] - limit) >= 0 for each in (start, end)]
        if inside[0] != inside[1]:
            share, other = (limit - start[axis]) / (end[axis] - start[axis]), 1 - axis
            crossing = start[other] + share * (end[other] - start[other])
            kept.append((limit, crossing) if axis == 0 else (crossing, limit))
        if inside[1]:
            kept.append(end)
    return kept


def _mask_api() -> Any:
    try:
        from pycocotools import mask
    except ImportError as error:
        raise DatasetError("Polygons need the package pycocotools: pip install 'regionwise[formats]'.") from error
    return mask
