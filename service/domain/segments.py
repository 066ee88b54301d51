"""Segments: the pixels of each class of a label map, and the ways in which annotation tools write them.

Shapes: HW height x width of a label map or mask.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.domain.classes import LabelMap
from service.domain.masks import Mask, MaskError, rle_encode
from service.domain.regions import Box

_BRUSH_LENGTHS = (3, 4, 8, 16)  # bits of a run's length; which of the four is said by two bits before it


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """All pixels of one class in a label map: where they are, and the box around them."""

    class_id: int
    mask_HW: Mask
    box: Box

    @property
    def area(self) -> int:
        """Pixels of the class."""
        return int(np.count_nonzero(self.mask_HW))


def segments(label_map_HW: LabelMap, class_ids: Iterable[int]) -> Iterator[Segment]:
    """A segment for each of the ids that the label map (uint8) holds, in their order; other ids are passed over."""
    present = set(np.unique(label_map_HW).tolist())
    for class_id in class_ids:
        if class_id in present:
            mask_HW = label_map_HW == class_id
            yield Segment(class_id=class_id, mask_HW=mask_HW, box=_box(mask_HW))


def _box(mask_HW: Mask) -> Box:
    rows, cols = np.flatnonzero(mask_HW.any(axis=1)), np.flatnonzero(mask_HW.any(axis=0))
    top, left = int(rows[0]), int(cols[0])
    return Box(row=top, col=left, height=int(rows[-1]) - top + 1, width=int(cols[-1]) - left + 1)


def panoptic_rgb(segment_ids_HW: NDArray[np.integer]) -> NDArray[np.uint8]:
    """COCO's panoptic PNG, height x width x 3, of segment ids below 2**24: R + 256 G + 256**2 B; 0 is void."""
    ids_HW = segment_ids_HW.astype(np.uint32)
    return np.stack([ids_HW & 255, ids_HW >> 8 & 255, ids_HW >> 16 & 255], axis=-1).astype(np.uint8)


def row_runs(mask_HW: Mask) -> list[int]:
    """Lengths of runs along the rows, unset first: how CVAT writes the mask inside a shape's box."""
    counts: list[int] = rle_encode(mask_HW.T, compressed=False)["counts"]
    return counts


def brush_rle(mask_HW: Mask) -> list[int]:
    """A mask as the bytes of Label Studio's brush: rle-pack of its RGBA pixels, 255 where set and 0 elsewhere.

    Bits: 32 for how many values there are, 5 for the width of a value less one, 4 for each of four widths of lengths less
    one; then for each run a 1, 2 for which width its length has, its length less one, and its value (8).
    Source: github.com/thi-ng/umbrella, packages/rle-pack.
    """
    bits = [f"{4 * mask_HW.size:032b}{8 - 1:05b}", *(f"{width - 1:04b}" for width in _BRUSH_LENGTHS)]
    for place, count in enumerate(row_runs(mask_HW)):
        bits += _brush_run(4 * count, 255 * (place % 2))
    packed = "".join(bits)
    packed += "0" * (-len(packed) % 8)
    return list(int(packed, 2).to_bytes(len(packed) // 8, "big"))


def brush_mask(packed: Sequence[int], height: int, width: int) -> Mask:
    """The inverse of `brush_rle`, of untrusted bytes: set where the alpha of a pixel is, of height x width.

    Raises MaskError for what is no brush, or of another size.
    """
    if not all(isinstance(each, int) and 0 <= each <= 255 for each in packed):
        raise MaskError("bad_rle", "A brush is a list of bytes.")
    bits = "".join(f"{each:08b}" for each in packed)
    values, at = np.zeros(4 * height * width, np.uint8), 32 + 5 + 4 * len(_BRUSH_LENGTHS)
    if len(bits) < at or int(bits[:32], 2) != values.size or int(bits[32:37], 2) != 7:
        raise MaskError("wrong_size", f"The brush is not of an image {_size(height, width)}.")
    lengths, filled = [int(bits[start : start + 4], 2) + 1 for start in range(37, at, 4)], 0
    try:
        while filled < values.size:
            repeated, width_bits = bits[at] == "1", lengths[int(bits[at + 1 : at + 3], 2)]
            count, at = int(bits[at + 3 : at + 3 + width_bits], 2) + 1, at + 3 + width_bits
            each = 1 if repeated else count  # values that follow: one for all, or one for each
            read = [int(bits[at + 8 * place : at + 8 * place + 8], 2) for place in range(each)]
            values[filled : filled + count] = read
            filled, at = filled + count, at + 8 * each
    except (IndexError, ValueError) as error:
        raise MaskError("bad_rle", "The brush is cut short.") from error
    return np.asarray(values.reshape(height, width, 4)[..., 3] > 0)


def _size(height: int, width: int) -> str:
    return f"{height} high and {width} wide"


def _brush_run(length: int, value: int) -> Iterator[str]:
    longest = 1 << _BRUSH_LENGTHS[-1]
    while length > 0:
        part = min(length, longest)
        which = next(place for place, width in enumerate(_BRUSH_LENGTHS) if part <= 1 << width)
        yield f"1{which:02b}{part - 1:0{_BRUSH_LENGTHS[which]}b}{value:08b}"
        length -= part
