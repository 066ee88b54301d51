"""The likeliest class of every pixel, without interpolating where all cells around agree.

Shapes: B images, C classes, h x w cells, H x W pixels, b blocks of pixels between four cell centres, s x s pixels of one.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

# Blocks that are interpolated at a time: their logits stay in a core's cache.
_BLOCKS = 2**10


def likeliest_classes(logits_BChw: Tensor, stride: int, size: tuple[int, int]) -> Tensor:
    """(B, H, W) uint8: argmax of logits interpolated bilinearly from cells of `stride` pixels, as F.interpolate does.

    Between four cell centres logits are mixed with weights that sum to 1: a class that is likeliest at all four is so in
    between, and only the other blocks, a fifth of a street scene, are interpolated. Two classes that are alike to the last
    bit of a float may be told apart otherwise. H and W are at most h and w times the stride, which is even, or 1.
    """
    if stride == 1:
        return logits_BChw[..., : size[0], : size[1]].max(1).indices.to(torch.uint8)
    return torch.stack([_of_image(logits_Chw, stride)[: size[0], : size[1]] for logits_Chw in logits_BChw])


def _of_image(logits_Chw: Tensor, stride: int) -> Tensor:
    _, height, width = logits_Chw.shape
    # Blocks begin half a cell above and to the left of the image: what is beyond the outermost centres is as they are.
    padded_Chw = F.pad(logits_Chw[None], (1, 1, 1, 1), mode="replicate")[0]
    likeliest_hw = padded_Chw.max(0).indices.to(torch.uint8)
    at_4hw = torch.stack([likeliest_hw[rows, cols] for rows, cols in _CORNERS])
    blocks_hwss = at_4hw[0, :, :, None, None].repeat(1, 1, stride, stride)
    mixed_bb = (at_4hw[1:] != at_4hw[0]).any(0).nonzero(as_tuple=True)
    corners_hw = [padded_Chw[:, rows, cols] for rows, cols in _CORNERS]
    weights_4X = _weights(stride, logits_Chw)
    for rows_b, cols_b in zip(*(torch.split(each, _BLOCKS) for each in mixed_bb), strict=True):
        corners_Cb4 = torch.stack([corner_Chw[:, rows_b, cols_b] for corner_Chw in corners_hw], -1)
        found_bX = (corners_Cb4 @ weights_4X).max(0).indices.to(torch.uint8)
        blocks_hwss[rows_b, cols_b] = found_bX.view(-1, stride, stride)
    pixels_HW = blocks_hwss.permute(0, 2, 1, 3).reshape((height + 1) * stride, (width + 1) * stride)
    half = stride // 2
    return pixels_HW[half : half + height * stride, half : half + width * stride]


_BEFORE, _AFTER = slice(None, -1), slice(1, None)
_CORNERS = ((_BEFORE, _BEFORE), (_BEFORE, _AFTER), (_AFTER, _BEFORE), (_AFTER, _AFTER))


def _weights(stride: int, like: Tensor) -> Tensor:
    """(4, s * s): of each corner at each pixel of a block."""
    after_s = (torch.arange(stride, device=like.device, dtype=like.dtype) + 0.5) / stride
    each_2s = torch.stack([1 - after_s, after_s])
    return torch.einsum("as,bt->abst", each_2s, each_2s).reshape(4, stride * stride)
