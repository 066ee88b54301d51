"""Pixels of image files that were checked when they came: of a whole image, in strips, and in a box of it as a PNG."""

import io
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.domain.regions import Box

_ROWS = 256


def rgb(data: bytes) -> NDArray[np.uint8]:
    """The pixels of what `service.pictures.look` has found plain or derived, uint8, height x width x 3."""
    with Image.open(io.BytesIO(data)) as image:
        return rgb_of(image)


def rgb_strips(data: bytes, rows: int) -> Iterator[NDArray[np.uint8]]:
    """The same in strips so many rows high."""
    with Image.open(io.BytesIO(data)) as image:
        yield from _strips(image, rows)


def rgb_of(image: Image.Image) -> NDArray[np.uint8]:
    """The pixels of an open image, uint8, height x width x 3."""
    pixels_HW3 = np.empty((image.height, image.width, 3), np.uint8)
    for place, strip_hW3 in enumerate(_strips(image, _ROWS)):
        pixels_HW3[place * _ROWS :][: len(strip_hW3)] = strip_hW3
    return pixels_HW3


def _strips(image: Image.Image, rows: int) -> Iterator[NDArray[np.uint8]]:
    """RGB pixels in strips: Pillow's own, 4 bytes each, are held, and no copy of all of them."""
    image.load()
    whole = image.convert("RGB") if image.mode == "P" else image
    for top in range(0, image.height, rows):
        strip = whole.crop((0, top, image.width, min(image.height, top + rows)))
        yield np.asarray(strip if strip.mode == "RGB" else strip.convert("RGB"))


def crop_png(data: bytes, box: Box) -> bytes:
    """The pixels of a box of what is seen of an image, as an RGB PNG."""
    with Image.open(io.BytesIO(data)) as image:
        bounds = (box.col, box.row, box.col + box.width, box.row + box.height)
        crop = image.crop(bounds).convert("RGB") if image.mode != "P" else image.convert("RGB").crop(bounds)
    return _quick_png(crop)


def rgb_png(pixels_HW3: NDArray[np.uint8]) -> bytes:
    """RGB pixels as a PNG."""
    return _quick_png(Image.fromarray(pixels_HW3))


def _quick_png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", compress_level=1)  # people wait for it; the size hardly matters
    return buffer.getvalue()
