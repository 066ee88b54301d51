"""Owns how regions are cut out of pixel maps: which boxes may be, and many of one size at a time.

Shape suffixes: B images, H x W pixels of an image, R regions of h x w pixels, r some of them.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

# Pixels of regions worked on at a time by a thread (in a core's cache, or enough to fill a GPU).
_REGION_PIXELS = {"cpu": 2**20}
_REGION_PIXELS_ELSEWHERE = 2**26
_WIDER_THAN_ANY = 2**32


def check_boxes(boxes_R4: Tensor, size: tuple[int, int]) -> None:
    """Raise ValueError for a box of (row, col, height, width) that leaves an image of `size` (H, W)."""
    fits_R4 = torch.cat([boxes_R4[:, :2] >= 0, boxes_R4[:, 2:] >= 1], 1)
    fits_R2 = boxes_R4[:, :2] + boxes_R4[:, 2:] <= torch.tensor(size)
    bad_R = ~(fits_R4.all(1) & fits_R2.all(1))
    if bool(bad_R.any()):
        row, col, height, width = boxes_R4[bad_R][0].tolist()
        raise ValueError(f"a box of {height} x {width} at ({row}, {col}) is not within {size[0]} x {size[1]} pixels")


def pieces_of_one_size(sizes_R2: Tensor, device: torch.device) -> Iterable[tuple[tuple[int, int], Tensor]]:
    """Yield ((h, w), members): a grid has at most four sizes of cells, for its last row and column are cut short."""
    pixels = _REGION_PIXELS.get(device.type, _REGION_PIXELS_ELSEWHERE)
    sizes_R = sizes_R2[:, 0] * _WIDER_THAN_ANY + sizes_R2[:, 1]
    for size in torch.unique(sizes_R).tolist():
        height, width = divmod(size, _WIDER_THAN_ANY)
        members_r = (sizes_R == size).nonzero()[:, 0].to(device)
        for piece_r in torch.chunk(members_r, -(-len(members_r) * height * width // pixels)):
            yield (height, width), piece_r


def crops_of(map_BHW: Tensor, origins_R: Tensor, cell: tuple[int, int]) -> Tensor:
    """Copy regions out of contiguous maps, row by row: (h, R, w), so that the same row of all lies in one stretch."""
    height, width = cell
    rows_hR = origins_R + torch.arange(height, device=origins_R.device)[:, None] * map_BHW.shape[2]
    stretches_Xw = map_BHW.as_strided((map_BHW.numel() - width + 1, width), (1, 1))
    return stretches_Xw.index_select(0, rows_hR.view(-1)).view(height, -1, width)
