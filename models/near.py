"""What a frozen segmenter's head makes of a few regions, encoded from no more than the cells that it sees around them.

Shapes: B images, F components, h x w cells, n boxes, H hidden channels.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from models.frozen import FrozenSegmenter
from models.head import REACH
from models.inference import spread
from models.memory import let_go_of_file

# Cells of the windows that are encoded together: few enough for a core's cache, enough to fill a GPU.
_AT_ONCE = {"cpu": 2**12}
_AT_ONCE_ELSEWHERE = 2**17


class _Kind(NamedTuple):
    """Cells of a window, and where in it the box lies: windows of one kind are encoded together."""

    rows: int
    cols: int
    row: int
    col: int
    height: int
    width: int


class _Window(NamedTuple):
    """Which box it is of, and where it is cut out."""

    image: int
    place: int
    rows: slice
    cols: slice


def means_in_windows(segmenter: FrozenSegmenter, seen_BFhw: Tensor, boxes: Sequence[Tensor]) -> dict[int, Tensor]:
    """(n, H) means of the hidden channels over an image's boxes of cells, by image, where that is less than to encode all of it.

    `seen_BFhw` is what the segmenter's `look` gave; boxes, int64 (row, col, height, width) in cells, lie within. Equal to means
    over the whole image's channels but for rounding. In evaluation mode.
    """
    device, shape = segmenter.classifier.weight.device, seen_BFhw.shape[-2:]
    kinds: dict[_Kind, list[_Window]] = defaultdict(list)
    found: dict[int, Tensor] = {}
    for image, boxes_n4 in enumerate(boxes):
        cut = [(place, *_cut(tuple(box), shape)) for place, box in enumerate(boxes_n4.tolist())]
        if sum(kind.rows * kind.cols for _, kind, _, _ in cut) >= shape[0] * shape[1]:
            continue
        found[image] = torch.empty(len(boxes_n4), segmenter.classifier.in_channels, device=device)
        for place, kind, rows, cols in cut:
            kinds[kind].append(_Window(image, place, rows, cols))
    most = _AT_ONCE.get(device.type, _AT_ONCE_ELSEWHERE)
    pieces = [
        (kind, of_kind[start : start + each])
        for kind, of_kind in kinds.items()
        for each in (max(1, most // (kind.rows * kind.cols)),)
        for start in range(0, len(of_kind), each)
    ]

    def encoded(piece: tuple[_Kind, list[_Window]]) -> Tensor:
        kind, some = piece
        windows = torch.stack([seen_BFhw[each.image, :, each.rows, each.cols] for each in some]).to(device)
        own = segmenter.encode(windows)[..., kind.row : kind.row + kind.height, kind.col : kind.col + kind.width]
        return own.mean((2, 3))

    for (_, some), means_nH in zip(pieces, spread(encoded, pieces, device), strict=True):
        for window, means_H in zip(some, means_nH, strict=True):
            found[window.image][window.place] = means_H
    let_go_of_file(seen_BFhw)
    return found


def _cut(box: tuple[int, ...], shape: Sequence[int]) -> tuple[_Kind, slice, slice]:
    """What kind of window a box has in a map of so many rows and columns, and where."""
    row, col, height, width = box
    rows = slice(max(0, row - REACH), min(shape[0], row + height + REACH))
    cols = slice(max(0, col - REACH), min(shape[1], col + width + REACH))
    kind = _Kind(rows.stop - rows.start, cols.stop - cols.start, row - rows.start, col - cols.start, height, width)
    return kind, rows, cols
