"""Label maps as bytes: 8-bit PNG and COCO run-length encoding, both ways, distrusting what is decoded."""

import io
import struct
import zlib
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from service.domain.classes import LabelMap
from service.domain.soundness import chunks_of, inflated_size, inflates_to

# Shapes: HW height x width of a label map or mask.

Code = Literal["not_an_image", "wrong_size", "wrong_mode", "too_large", "bad_rle", "overlapping_rle"]
Mask = NDArray[np.bool_]

MAX_RLE_PIXELS = 1 << 26
"""The largest mask that `rle_decode` makes, unless told otherwise: 8192 x 8192."""

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOR_TYPES = {0: "greyscale", 2: "RGB", 3: "palette", 4: "greyscale with alpha", 6: "RGBA"}
LONGEST_NUMBER = 7
"""Characters of 5 bits each that a count of a compressed RLE takes at most; one below 2**32 and its sign fit."""


class MaskError(ValueError):
    """A mask that cannot be taken: `code` for programs, `message`, a sentence, for people."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def decode_label_png(data: bytes, *, height: int, width: int) -> LabelMap:
    """A PNG's label map, uint8, height x width: its grey values, or its palette indices whatever the colours.

    Raises MaskError: not_an_image (also damaged or cut short), wrong_mode (colour, alpha, 1 to 4 or 16 bits of grey),
    wrong_size. Size and mode are judged by the header, before any pixel is decoded.
    """
    found = _label_png_size(data)
    if found != (height, width):
        raise MaskError("wrong_size", f"The label map is {_size(*found)}; {_size(height, width)} is expected.")
    return _decode(data, found)


def decode_png(data: bytes, *, max_pixels: int) -> LabelMap:
    """Like `decode_label_png` for any size of up to `max_pixels` pixels; too_large beyond."""
    height, width = _label_png_size(data)
    if height * width > max_pixels:
        raise MaskError("too_large", f"The label map is {_size(height, width)}; {max_pixels} pixels is the limit.")
    return _decode(data, (height, width))


def encode_label_png(label_map_HW: LabelMap, palette: list[int] | None = None) -> bytes:
    """An 8-bit PNG of a label map (uint8): greyscale, or with a palette of up to 256 red, green, blue triples."""
    if label_map_HW.dtype != np.uint8 or label_map_HW.ndim != 2 or not label_map_HW.size:
        raise ValueError(f"A label map is uint8, height x width, not {label_map_HW.dtype} of {label_map_HW.shape}.")
    image = Image.fromarray(label_map_HW)
    if palette is not None:
        if len(palette) > 768 or len(palette) % 3 or not all(0 <= value <= 255 for value in palette):
            raise ValueError("A palette holds up to 256 triples of whole numbers from 0 to 255.")
        # Filled up: Pillow packs a pixel into as few bits as the colours need, and so loses ids beyond them.
        image.putpalette(palette + [0] * (768 - len(palette)))
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def rle_encode(mask_HW: NDArray[Any], *, compressed: bool = True) -> dict[str, Any]:
    """A mask (bool, or anything true where set) as COCO RLE: {"size": [height, width], "counts": string or list}.

    The counts are lengths of runs down the columns, unset first; compressed as in cocoapi's maskApi.c, as a string.
    """
    if mask_HW.ndim != 2 or not mask_HW.size:
        raise ValueError(f"A mask is height x width, not of shape {mask_HW.shape}.")
    pixels = np.ravel(mask_HW.astype(np.bool_, copy=False), order="F")
    starts = np.flatnonzero(pixels[1:] != pixels[:-1]) + 1
    edges = np.concatenate([[0, 0] if pixels[0] else [0], starts, [pixels.size]])
    counts = np.diff(edges)
    return {"size": list(mask_HW.shape), "counts": _pack(counts) if compressed else counts.tolist()}


def rle_decode(rle: Mapping[str, Any], *, max_pixels: int = MAX_RLE_PIXELS) -> Mask:
    """The mask of a COCO RLE, compressed (str or bytes) or not (list): bool, height x width.

    Raises MaskError: bad_rle, or too_large beyond `max_pixels`, before anything of that size is allocated.
    """
    height, width = _rle_size(rle)
    if height * width > max_pixels:
        raise MaskError("too_large", f"The RLE is of {_size(height, width)}; {max_pixels} pixels is the limit.")
    counts = _counts(rle.get("counts"), height * width + 1)
    if ((counts[1:] == 0) & (counts[:-1] == 0)).any():
        raise MaskError("bad_rle", "The RLE's counts hold two runs of no pixel in a row.")
    if (counts < 0).any() or (counts > height * width).any() or int(counts.sum()) != height * width:
        raise MaskError("bad_rle", f"The RLE's counts do not add up to its size, {_size(height, width)}.")
    runs_set = np.arange(counts.size) % 2 == 1
    return np.ascontiguousarray(np.repeat(runs_set, counts).reshape(width, height).T)


def label_map_from_rles(rles: Mapping[int, Mapping[str, Any]], *, height: int, width: int, ignore_id: int) -> LabelMap:
    """The label map (ids, uint8, height x width) of one RLE per class id; `ignore_id` where no RLE is set.

    Raises MaskError: wrong_size, bad_rle (also for an id outside 0..255), overlapping_rle.
    """
    label_map_HW = np.full((height, width), ignore_id, dtype=np.uint8)
    covered_HW = np.zeros((height, width), dtype=np.bool_)
    for class_id, rle in rles.items():
        if not 0 <= class_id <= 255:
            raise MaskError("bad_rle", f"Class id {class_id} is outside 0 to 255.")
        found = _rle_size(rle)
        if found != (height, width):
            expected = _size(height, width)
            raise MaskError("wrong_size", f"The RLE of class {class_id} is of {_size(*found)}; {expected} is expected.")
        mask_HW = rle_decode(rle, max_pixels=height * width)
        shared_HW = mask_HW & covered_HW
        if shared_HW.any():
            other = label_map_HW[shared_HW][0]
            message = (
                f"The RLEs of classes {other} and {class_id} overlap, in {shared_HW.sum()} pixels with all others."
            )
            raise MaskError("overlapping_rle", message)
        label_map_HW[mask_HW] = class_id
        covered_HW |= mask_HW
    return label_map_HW


def _label_png_size(data: bytes) -> tuple[int, int]:
    """(height, width) of a PNG that holds a label map, from its first 33 bytes."""
    if data[:8] != _PNG_SIGNATURE or data[8:16] != b"\x00\x00\x00\rIHDR" or len(data) < 33:
        raise MaskError("not_an_image", "The label map is not a PNG.")
    width, height, bits, color_type = struct.unpack(">IIBB", data[16:26])
    if not (0 < width < 1 << 31 and 0 < height < 1 << 31) or data[26:28] != b"\x00\x00" or data[28] > 1:
        raise MaskError("not_an_image", "The PNG's header is damaged.")
    # Palette indices are what they are at any depth; a decoder stretches grey of fewer bits to 0..255.
    if (color_type, bits) not in {(0, 8), (3, 8), (3, 4), (3, 2), (3, 1)}:
        kind = _COLOR_TYPES.get(color_type, f"color type {color_type}")
        raise MaskError("wrong_mode", f"The PNG is {kind} of {bits} bits; a label map is 8-bit greyscale or palette.")
    return height, width


def _decode(data: bytes, size: tuple[int, int]) -> LabelMap:
    try:
        # Not Image.open: it tries other formats, and its limit on pixels is global where ours was checked already.
        with PngImagePlugin.PngImageFile(io.BytesIO(_essential_chunks(data))) as image:
            label_map_HW = np.array(image)
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, struct.error, zlib.error) as error:
        raise MaskError("not_an_image", "The PNG is damaged or cut short.") from error
    if label_map_HW.shape != size or label_map_HW.dtype != np.uint8:
        raise MaskError("not_an_image", "The PNG is damaged: its pixels do not agree with its header.")
    return label_map_HW


def _essential_chunks(data: bytes) -> bytes:
    """A PNG without its ancillary chunks (text, colour profiles, animation), which nobody reads.

    Raises ValueError, zlib.error or struct.error for a broken checksum and for more or fewer pixels than the header
    says: where pixels are damaged but inflate, or are missing, Pillow makes something up.
    """
    kept, pixels = [_PNG_SIGNATURE], list[bytes]()
    for kind, contents, chunk in chunks_of(data):
        if not kind[0] & 0x20:
            kept.append(chunk)
        if kind == b"IDAT":
            pixels.append(contents)
    if not inflates_to(pixels, inflated_size(data)):
        raise ValueError("The pixels are more or fewer than the header says.")
    return b"".join(kept)


def _size(height: int, width: int) -> str:
    return f"{height} high and {width} wide"


def _rle_size(rle: Mapping[str, Any]) -> tuple[int, int]:
    size = rle.get("size") if isinstance(rle, Mapping) else None
    if not isinstance(size, list | tuple) or len(size) != 2 or not all(_is_count(each) and each > 0 for each in size):
        raise MaskError("bad_rle", 'An RLE is an object with "size": [height, width] and "counts".')
    return int(size[0]), int(size[1])


def _counts(counts: object, most: int) -> NDArray[np.int64]:
    if isinstance(counts, str | bytes):
        packed = counts if isinstance(counts, bytes) else counts.encode("utf-8", "replace")
        if len(packed) > LONGEST_NUMBER * most:
            raise _too_many(most)
        unpacked = _unpack(packed)
        if unpacked.size > most:
            raise _too_many(most)
        return unpacked
    if isinstance(counts, list | tuple) and len(counts) > most:
        raise _too_many(most)
    if not isinstance(counts, list | tuple) or not all(_is_count(each) and each < 1 << 32 for each in counts):
        raise MaskError(
            "bad_rle", "The counts of an RLE are a string, or a list of whole numbers that are not negative."
        )
    return np.array(counts, dtype=np.int64)


def _too_many(most: int) -> MaskError:
    return MaskError("bad_rle", f"The RLE holds more counts than a mask of its size can have, {most}.")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _pack(counts: NDArray[np.int64]) -> str:
    """cocoapi's rleToString: numbers in groups of 5 bits, the least first, a character each.

    A sixth bit says that more groups follow; 48 is added to be printable. From the fourth count on, the number is the
    difference to the count two before.
    """
    rest = counts.copy()
    rest[3:] -= counts[1:-2]
    groups = np.zeros((LONGEST_NUMBER + 1, rest.size), dtype=np.uint8)
    present = np.zeros(groups.shape, dtype=np.bool_)
    more = np.ones(rest.size, dtype=np.bool_)
    place = 0
    while more.any():
        present[place] = more
        bits = rest & 31
        rest >>= 5
        more &= np.where(bits & 16, rest != -1, rest != 0)
        groups[place] = bits + 32 * more + 48
        place += 1
    return groups.T[present.T].tobytes().decode("ascii")


def _unpack(packed: bytes) -> NDArray[np.int64]:
    """The inverse of `_pack`, of untrusted bytes."""
    codes = np.frombuffer(packed, dtype=np.uint8).astype(np.int64) - 48
    last = codes & 32 == 0
    if not codes.size or codes.min() < 0 or codes.max() > 63 or not last[-1]:
        raise MaskError("bad_rle", "The counts of the RLE are not a compressed COCO RLE.")
    starts = np.concatenate([[0], np.flatnonzero(last)[:-1] + 1])
    lengths = np.diff(np.append(starts, codes.size))
    if lengths.max() > LONGEST_NUMBER:
        raise MaskError("bad_rle", "The counts of the RLE hold a number too large.")
    place = np.arange(codes.size) - np.repeat(starts, lengths)
    counts = np.add.reduceat((codes & 31) << (5 * place), starts)
    counts -= np.where(codes[last] & 16, np.int64(1) << (5 * lengths), 0)
    counts[1::2] = np.cumsum(counts[1::2])
    counts[2::2] = np.cumsum(counts[2::2])
    return counts
