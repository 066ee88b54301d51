"""Owns how pixel maps and feature maps are reduced over regions: grid pooling, class histograms and plain means.

Shape suffixes: R regions of h x w pixels, G x G bins of a grid, U = 3 * G * G, C classes, D channels of a map of H x W; B images.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from models.inference import spread

GRID = 8

# Counters that each class of a region has, see class_histograms.
_LANES = 4


def grid_pooled(entropy_hRw: Tensor) -> Tensor:
    """Pool adaptively, rows before columns, to (R, 192): minima, means and maxima, one grid after the other.

    Raises ValueError for entropies that are not finite.
    """
    height, regions, width = entropy_hRw.shape
    kinds: tuple[Callable[..., Tensor], ...] = (torch.amin, torch.mean, torch.amax)
    rows_3GRw = entropy_hRw.new_empty(len(kinds), GRID, regions, width)
    for place, (top, bottom) in enumerate(_bins(height)):
        for kind, reduce in enumerate(kinds):
            reduce(entropy_hRw[top:bottom], 0, out=rows_3GRw[kind, place])
    pooled_3GRG = [_columns_pooled(rows_GRw, reduce) for reduce, rows_GRw in zip(kinds, rows_3GRw, strict=True)]
    uncertainty_RU = torch.stack(pooled_3GRG).permute(2, 0, 1, 3).flatten(1)
    if not bool(uncertainty_RU.isfinite().all()):
        raise ValueError("the segmenter's predictions are not finite: it has diverged, or its checkpoint is damaged")
    return uncertainty_RU


def _columns_pooled(rows_GRw: Tensor, reduce: Callable[..., Tensor]) -> Tensor:
    width = rows_GRw.shape[2]
    if width % GRID == 0:
        return reduce(rows_GRw.view(*rows_GRw.shape[:2], GRID, width // GRID), 3)
    return torch.stack([reduce(rows_GRw[:, :, left:right], 2) for left, right in _bins(width)], 2)


def _bins(size: int) -> list[tuple[int, int]]:
    """Return the bounds of torch's adaptive pooling: bins overlap by a pixel where GRID does not divide the size."""
    return [(i * size // GRID, -(-(i + 1) * size // GRID)) for i in range(GRID)]


def class_histograms(classes_hRw: Tensor, class_count: int) -> Tensor:
    """Return the share of each class in each region, (R, C). Raises ValueError for a class beyond the last."""
    height, regions, width = classes_hRw.shape
    if int(classes_hRw.amax()) >= class_count:
        raise ValueError(f"a predicted class is not among 0 to {class_count - 1}")
    # Neighbouring pixels mostly share their class, and a counter hit again and again is waited for: neighbours take
    # turns with _LANES counters of the same class. The narrowest integers that hold all keys are read fastest.
    keys = regions * _LANES * class_count
    dtype = torch.int16 if keys < 2**15 else torch.int32
    bases_Rw = (
        torch.arange(0, keys, _LANES * class_count, dtype=dtype, device=classes_hRw.device)[:, None]
        + torch.arange(width, dtype=dtype, device=classes_hRw.device) % _LANES * class_count
    )
    counts = torch.bincount((classes_hRw + bases_Rw).view(-1), minlength=keys)
    return counts.view(regions, _LANES, class_count).sum(1) / (height * width)


class BoxMeans:
    """Means of every channel over boxes of (row, col, height, width) in maps that come whole, or band by band."""

    def __init__(self, boxes: Sequence[Tensor]) -> None:
        """`boxes`: (n, 4) int64 for each image, within its map."""
        self._boxes = boxes
        self._sums: list[Tensor | None] = [None] * len(boxes)

    def add(self, images: slice, top: int, maps_BDhW: Tensor) -> None:
        """Take in the rows from `top` on of the maps of some images."""
        pairs = list(zip(maps_BDhW, self._boxes[images], strict=True))
        found = spread(lambda pair: _box_sums(*pair, top), pairs, maps_BDhW.device)
        for image, sums_nD in enumerate(found, images.start):
            before = self._sums[image]
            self._sums[image] = sums_nD if before is None else before + sums_nD

    def means(self) -> Tensor:
        """(R, D) float32, image by image, once every row of every image was taken in."""
        pairs = [
            (sums, boxes.to(sums.device))
            for sums, boxes in zip(self._sums, self._boxes, strict=True)
            if sums is not None
        ]
        return torch.cat(
            [(sums_nD / (boxes_n4[:, 2] * boxes_n4[:, 3])[:, None]).float() for sums_nD, boxes_n4 in pairs]
        )


def _box_sums(map_DhW: Tensor, boxes_n4: Tensor, top: int) -> Tensor:
    """Return the sum of every channel over what of the boxes lies in these rows: (n, D).

    Rows and columns are summed one after the other, as products with matrices of zeros and ones. Boxes of a grid share
    their few ranges of rows and of columns, so that each range is summed once.
    """
    channels, height, width = map_DhW.shape
    if not len(boxes_n4):
        return torch.zeros(0, channels, device=map_DhW.device)
    boxes_n4 = boxes_n4.to(map_DhW.device)
    rows_n, within_rows_rh = _ranges(boxes_n4[:, [0, 2]], range(top, top + height), map_DhW.dtype)
    cols_n, within_cols_cW = _ranges(boxes_n4[:, [1, 3]], range(width), map_DhW.dtype)
    sums_Drc = within_rows_rh @ (map_DhW @ within_cols_cW.T)
    return sums_Drc[:, rows_n, cols_n].T


def _ranges(starts_and_sizes_n2: Tensor, steps: range, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return which of the different ranges each box has, and which steps lie in each: (ranges, L) of zeros and ones."""
    ranges_r2, of_box_n = torch.unique(starts_and_sizes_n2, dim=0, return_inverse=True)
    first_r1, size_r1 = ranges_r2[:, :1], ranges_r2[:, 1:]
    steps_L = torch.arange(steps.start, steps.stop, device=ranges_r2.device)
    return of_box_n, ((steps_L >= first_r1) & (steps_L < first_r1 + size_r1)).to(dtype)


def feature_boxes(boxes_n4: Tensor, stride: int) -> Tensor:
    """Return, for boxes in pixels, the boxes of those features whose centres lie within: (n, 4) int64, none empty.

    Feature i spans the pixels from i * stride to (i + 1) * stride. A box that holds no centre has the one feature that
    spans the box's own centre.
    """
    firsts_n2, ends_n2 = boxes_n4[:, :2], boxes_n4[:, :2] + boxes_n4[:, 2:]
    # The first i with (i + 1/2) * stride >= start, in whole numbers.
    lows_n2, highs_n2 = (-((stride - 2 * each_n2) // (2 * stride)) for each_n2 in (firsts_n2, ends_n2))
    empty_n2 = highs_n2 <= lows_n2
    lows_n2 = torch.where(empty_n2, (firsts_n2 + ends_n2) // (2 * stride), lows_n2)
    return torch.cat([lows_n2, torch.where(empty_n2, 1, highs_n2 - lows_n2)], 1)
