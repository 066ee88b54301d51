"""Whether all pixels of an image file are there, and are decoded in bounded time: what decoders pass over, or make up.

Pillow fills up with black what a PNG or a TIFF lacks, and reads signed numbers of 8 bits as if they had no sign.
"""

import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import Literal

from PIL import Image, TiffImagePlugin

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, ORIENTATION = 256, 257, 258, 259, 262, 274
TILE_WIDTH, TILE_LENGTH, SAMPLE_FORMAT = 322, 323, 339
STRETCH = {2: 85, 4: 17}
"""What values of grey PNGs of so many bits are stretched by, to go up to 255."""
_SAMPLES, _ROWS_PER_STRIP, _PLANES = 277, 278, 284
_STRIPS, _TILES = (273, 279), (324, 325)  # where they begin, and of how many bytes they are
_SIGNED, _SEPARATE, _YCBCR = 2, 2, 6
_NOT_COMPRESSED, _OLD_JPEG = 1, 6
_DEEP, _SHALLOW, _GREY = 16, 8, 0
_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
_PIECE, _INFLATED = 1 << 16, 1 << 20
_SCAN, _MOST_SCANS = b"\xff\xda", 200  # a JPEG may say in few bytes to go over all its pixels again and again
_RUN_LENGTHS, _MOST_RUN_LENGTH = (1, 2), 1 << 21  # pixels, and bytes: Pillow unpacks these one by one, in Python


class Unsound(ValueError):
    """A file that is not to be decoded: `code` for programs, `message`, a sentence, for people."""

    def __init__(self, code: Literal["not_an_image", "wrong_mode"], message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def require_sound(image: Image.Image, data: bytes) -> None:
    """Of an image at its page, not loaded yet, and the whole file's bytes. Raises Unsound."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        _require_sound_tiff(image, len(data))
    elif image.format == "PNG":
        _require_whole_png(data)
    elif image.format in ("JPEG", "MPO") and data.count(_SCAN) > _MOST_SCANS:
        raise Unsound("wrong_mode", f"It is a JPEG of more than {_MOST_SCANS} scans: save it again.")
    elif image.format == "BMP" and image.info.get("compression") in _RUN_LENGTHS:
        _require_short_runs(image, len(data))


def pixels_decoded(image: Image.Image) -> int:
    """How many pixels a decoder makes room for: those of the image, or of one of its tiles, which may claim more."""
    tile = max(numbers_of(image, TILE_WIDTH), default=0) * max(numbers_of(image, TILE_LENGTH), default=0)
    return max(image.width * image.height, tile)


def is_deep_colour(image: Image.Image, data: bytes) -> bool:
    """Whether colour or alpha is of more than 8 bits, of which Pillow gives the upper 8 without a word. Not for deep grey."""
    deep_png = data[:8] == _PNG and data[24] == _DEEP and data[25] != _GREY
    return deep_png or max(numbers_of(image, BITS), default=0) > _SHALLOW


def numbers_of(image: Image.Image, tag: int) -> list[int]:
    """What a TIFF says under a tag; empty where it says nothing, and for other images."""
    found = image.tag_v2.get(tag, ()) if isinstance(image, TiffImagePlugin.TiffImageFile) else ()
    return [each for each in (found if isinstance(found, tuple) else (found,)) if type(each) is int]


def chunks_of(data: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """(kind, contents, the chunk as it stands) of a PNG's chunks as far as the last.

    Raises ValueError or struct.error for what is cut short or does not match its checksum.
    """
    at, kind = len(_PNG), b""
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data) or zlib.crc32(data[at + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            raise ValueError("A chunk is cut short or does not match its checksum.")
        yield kind, data[at + 8 : end - 4], data[at:end]
        at = end


def inflates_to(parts: Iterable[bytes], size: int) -> bool:
    """Whether zlib's stream in these parts holds so many bytes and no more, never more than a piece of it in memory.

    Raises zlib.error.
    """
    inflate, found = zlib.decompressobj(), 0
    for part in parts:
        for start in range(0, len(part), _PIECE):
            rest = part[start : start + _PIECE]
            while rest and not inflate.eof and found <= size:
                found += len(inflate.decompress(rest, min(_INFLATED, size - found + 1)))
                rest = inflate.unconsumed_tail
    while not inflate.eof and found <= size and (last := inflate.decompress(b"", min(_INFLATED, size - found + 1))):
        found += len(last)
    return inflate.eof and found == size


def inflated_size(data: bytes) -> int:
    """Bytes of a PNG's pixels as its header has it: for each row of each pass a filter byte and the packed pixels."""
    width, height, bits, kind = struct.unpack(">IIBB", data[16:26])
    passes = _ADAM7 if data[28] else ((0, 0, 1, 1),)
    sizes = [(-((row - height) // down), -((col - width) // right)) for row, col, down, right in passes]
    whole = bits * _PNG_SAMPLES.get(kind, 1)
    return sum(rows * (1 + -(-cols * whole // 8)) for rows, cols in sizes if rows > 0 and cols > 0)


def _require_short_runs(image: Image.Image, size: int) -> None:
    if max(image.width * image.height, size) > _MOST_RUN_LENGTH:
        limit = f"{_MOST_RUN_LENGTH:,} pixels or bytes"
        raise Unsound("wrong_mode", f"It is a BMP of run lengths of more than {limit}: save it as PNG.")


def _require_whole_png(data: bytes) -> None:
    try:
        pixels = [contents for kind, contents, _ in chunks_of(data) if kind == b"IDAT"]
        whole = inflates_to(pixels, inflated_size(data))
    except (ValueError, struct.error, zlib.error) as error:
        raise Unsound("not_an_image", "It is a PNG that is damaged or cut short.") from error
    if not whole:
        raise Unsound("not_an_image", "It is a PNG that is damaged: its pixels are more or fewer than its header says.")


def _require_sound_tiff(image: Image.Image, size: int) -> None:
    if max(numbers_of(image, BITS), default=0) <= 8 and _SIGNED in numbers_of(image, SAMPLE_FORMAT):
        raise Unsound("wrong_mode", "It is a TIFF of numbers with a sign, of 8 bits: convert it before.")
    compression = _number(image, COMPRESSION, _NOT_COMPRESSED)
    if compression == _OLD_JPEG:  # which has places of its own
        return
    starts, sizes = (numbers_of(image, tag) for tag in (_TILES if numbers_of(image, _TILES[0]) else _STRIPS))
    needed = _needed(image)
    if len(starts) != len(needed) or (sizes and len(sizes) != len(needed)):
        raise Unsound("not_an_image", f"It is a TIFF of {len(needed)} parts, {len(starts)} of which are there.")
    least = needed if compression == _NOT_COMPRESSED else [1] * len(needed)
    held = sizes or least
    for start, there, bytes_ in zip(starts, held, least, strict=True):
        if there < bytes_ or start + there > size:
            raise Unsound("not_an_image", "It is a TIFF that is damaged or cut short.")


def _needed(image: Image.Image) -> list[int]:
    """Bytes of each strip or tile of a TIFF, were they not compressed."""
    width, height = _number(image, WIDTH, 0), _number(image, HEIGHT, 0)
    samples = _number(image, _SAMPLES, 1)
    planes = samples if _number(image, _PLANES, 1) == _SEPARATE else 1
    bits = max(numbers_of(image, BITS), default=1) * samples // planes
    bits = 0 if _number(image, PHOTOMETRIC, 1) == _YCBCR else bits  # colour is of fewer samples there
    if numbers_of(image, _TILES[0]):
        across, down = max(1, _number(image, TILE_WIDTH, width)), max(1, _number(image, TILE_LENGTH, height))
        return [-(-across * bits // 8) * down] * (-(-width // across) * -(-height // down) * planes)
    rows = max(1, min(height, _number(image, _ROWS_PER_STRIP, height)))
    strips = [min(rows, height - first) for first in range(0, height, rows)]
    return [-(-width * bits // 8) * each for each in strips] * planes


def _number(image: Image.Image, tag: int, otherwise: int) -> int:
    return next(iter(numbers_of(image, tag)), otherwise)
