"""Owns what helps people with a region: how unsure a segmenter is of each pixel, and what a frozen encoder sees of it.

Shapes: R regions of h x w pixels in an image of H x W, C classes, F channels of what a frozen encoder sees, D of them kept,
n x m cells of those.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from models.band_maps import BandMaps, band_maps, windows
from models.frozen import FrozenSegmenter
from models.pooling import BoxMeans, class_histograms
from models.segmenter import Segmenter

CHANNELS = 8
"""Of what an encoder sees: the directions in which a region varies most."""
MOST_CELLS = 2**12
MOST_PIXELS = 2**18
"""Of a region that is larger, means of 2 x 2 are kept, or of 2 x 2 of those."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionHints:
    """What is known of one region.

    `label_map_hw` has the likeliest classes, `uncertainty_hw` is entropy over ln C, times 255, both uint8 in main memory;
    `classes_C` is the share of its pixels that each class is predicted for; `above` the share of the image's cells of which
    the segmenter is surer.
    """

    label_map_hw: Tensor
    uncertainty_hw: Tensor
    uncertainty: float
    above: float
    classes_C: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionFeatures:
    """(D, n, m) uint8 of a region and a cell around it: 128 is the mean, and as far from it are 127 units as the farthest is.

    `stride` pixels lie between two cells; the first one's centre is at (top, left) of the region, in pixels from its corner.
    """

    features_Dnm: Tensor
    stride: int
    top: float
    left: float


def region_hints(
    segmenter: Segmenter, seen: Tensor, size: tuple[int, int], boxes_R4: Tensor, cells_X4: Tensor
) -> list[RegionHints]:
    """Hints on regions of one image, in the order of their boxes.

    Args:
        segmenter: as it is.
        seen: what its `look` gives of the image, (1, ...).
        size: (H, W).
        boxes_R4: rows of (row, col, height, width) within the image.
        cells_X4: boxes of the cells that the regions are compared with.
    """
    found: dict[int, RegionHints] = {}
    means = BoxMeans([cells_X4])
    bands = band_maps(segmenter, seen, size, {"entropy", "classes"}, {}, None, None)
    for window in windows(_taken_in(bands, means), boxes_R4):
        entropy_hW, classes_hW = (window.maps_1hW[name][0] for name in ("entropy", "classes"))
        for place, (row, col, height, width) in zip(window.complete.tolist(), window.boxes_n4.tolist(), strict=True):
            part = (slice(row, row + height), slice(col, col + width))
            found[place] = _hints(entropy_hW[part], classes_hW[part], segmenter.classes)
    of_cells_X = means.means()[:, 0]
    return [
        replace(found[place], above=float((of_cells_X < found[place].uncertainty).double().mean()))
        for place in range(len(boxes_R4))
    ]


def _hints(entropy_hw: Tensor, classes_hw: Tensor, class_count: int) -> RegionHints:
    return RegionHints(
        label_map_hw=classes_hw.cpu().contiguous(),
        uncertainty_hw=_smaller(entropy_hw),
        uncertainty=float(entropy_hw.mean()),
        above=0.0,
        classes_C=class_histograms(classes_hw[:, None].contiguous(), class_count)[0].cpu(),
    )


def _taken_in(bands: BandMaps, means: BoxMeans) -> BandMaps:
    for band, maps in bands:
        means.add(band.images, band.rows.start, maps["entropy"][:, None])
        yield band, maps


def region_features(segmenter: Segmenter, seen: Tensor, boxes_R4: Tensor) -> Iterator[RegionFeatures | None]:
    """What a frozen encoder sees of regions of one image, in the order of their boxes; None of a segmenter without one."""
    for row, col, height, width in boxes_R4.tolist():
        yield (
            None if not isinstance(segmenter, FrozenSegmenter) else _features(segmenter, seen, row, col, height, width)
        )


def _features(segmenter: FrozenSegmenter, seen: Tensor, row: int, col: int, height: int, width: int) -> RegionFeatures:
    stride, (rows, cols) = segmenter.stride, seen.shape[-2:]
    first = (max(0, row // stride - 1), max(0, col // stride - 1))
    last = (min(rows, -(-(row + height) // stride) + 1), min(cols, -(-(col + width) // stride) + 1))
    part_Fnm = seen[0, :, first[0] : last[0], first[1] : last[1]].float()
    step = 1
    while part_Fnm[0].numel() > MOST_CELLS:
        part_Fnm, step = F.avg_pool2d(part_Fnm, 2, ceil_mode=True), 2 * step
    kept_Dnm = _principal(part_Fnm)
    scale = 127 / max(float(kept_Dnm.abs().amax()), 1e-6)
    return RegionFeatures(
        features_Dnm=(128 + (kept_Dnm * scale).round()).to(torch.uint8).cpu(),
        stride=stride * step,
        top=(first[0] + step / 2) * stride - row,
        left=(first[1] + step / 2) * stride - col,
    )


def _principal(part_Fnm: Tensor) -> Tensor:
    """(D, n, m) of (F, n, m): principal components, largest first."""
    rows_XF = part_Fnm.flatten(1).T
    centred_XF = rows_XF - rows_XF.mean(0)
    _, axes_FF = torch.linalg.eigh((centred_XF.T @ centred_XF).double())
    axes_FD = axes_FF[:, -min(CHANNELS, axes_FF.shape[1]) :].flip(1)
    kept_DX: Tensor = (centred_XF @ axes_FD.float()).T
    return kept_DX.reshape(-1, *part_Fnm.shape[1:])


def _smaller(map_hw: Tensor) -> Tensor:
    """As bytes, and of no more pixels than are kept."""
    while map_hw.numel() > MOST_PIXELS:
        map_hw = F.avg_pool2d(map_hw[None], 2, ceil_mode=True)[0]
    return (map_hw.clamp(0, 1) * 255).round().to(torch.uint8).cpu()
