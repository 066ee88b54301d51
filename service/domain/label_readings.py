"""Label maps in the forms in which labs have them, as class ids: of fewer or more bits, by colours, with other values.

Shapes: HW height x width.
"""

import io
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.domain.classes import ClassSet, LabelMap
from service.domain.masks import MaskError, decode_png
from service.domain.pages import has_page
from service.domain.soundness import (
    BITS,
    PHOTOMETRIC,
    STRETCH,
    Unsound,
    is_deep_colour,
    numbers_of,
    pixels_decoded,
    require_sound,
)

WORDS = "VALUE=ID (255=1), binary, colors, ignore-unlisted"
_PAIR = re.compile(r"(\d{1,3})=(\d{1,3})")
_PNG = b"\x89PNG\r\n\x1a\n"
_NPY = b"\x93NUMPY"
_AT_ONCE = 1 << 20  # pixels
_COLOURED = ("RGB", "RGBA", "LA")


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelReading:
    """What is said of label maps. values: ids by the values that stand for them; binary: 0 is the first class, all else the
    second; colors: pixels are the classes' colours; ignore_unlisted: values and colours that stand for nothing are ignored
    pixels, and not refused. page: of a TIFF with several, from 0; None: those are refused.
    """

    values: Mapping[int, int] = field(default_factory=dict)
    binary: bool = False
    colors: bool = False
    ignore_unlisted: bool = False
    page: int | None = None

    @classmethod
    def parse(cls, text: str) -> "LabelReading":
        """Of words with commas between them, see WORDS. Raises ValueError with a sentence."""
        values, words = dict[int, int](), set[str]()
        for word in filter(None, (each.strip() for each in text.split(","))):
            pair = _PAIR.fullmatch(word)
            if pair and max(int(pair[1]), int(pair[2])) <= 255:
                values[int(pair[1])] = int(pair[2])
            elif word in ("binary", "colors", "ignore-unlisted"):
                words.add(word)
            else:
                raise ValueError(f"How label maps are read is said by {WORDS}, with commas between them, not {word!r}.")
        if "binary" in words and (values or "colors" in words):
            raise ValueError("binary says what every value is: leave other values and colors out.")
        return cls(
            values=values,
            binary="binary" in words,
            colors="colors" in words,
            ignore_unlisted="ignore-unlisted" in words,
        )


_AS_IT_IS = LabelReading()


def read_label_map(data: bytes, classes: ClassSet, *, max_pixels: int, reading: LabelReading = _AS_IT_IS) -> LabelMap:
    """The label map of a PNG, TIFF, BMP or NPY in class ids, uint8, height x width; unknown ids are left for `to_indices`.

    Grey of 1 to 16 bits and palette indices are values, whatever the palette's colours; RGB is read where the reading says
    `colors`. Raises MaskError: not_an_image, wrong_mode (colour without `colors`, values above 255, JPEG), too_large.
    """
    values_HW = _values(data, classes, reading, max_pixels)
    if reading.colors and values_HW.ndim == 2:
        raise MaskError("wrong_mode", "The label map has no colours: leave `colors` out.")
    if values_HW.ndim == 3:
        return _by_color(values_HW, classes, reading)
    return _mapped(values_HW, classes, reading)


def _mapped(values_HW: LabelMap, classes: ClassSet, reading: LabelReading) -> LabelMap:
    table = np.arange(256, dtype=np.uint8)
    if reading.binary:
        if len(classes) != 2:
            raise MaskError("wrong_mode", f"binary is for two classes, and there are {len(classes)}.")
        table[:] = classes.ids[1]
        table[0] = classes.ids[0]
        return np.asarray(table[values_HW])
    if reading.ignore_unlisted:
        unlisted = sorted(set(range(256)) - {*classes.known_ids, classes.ignore_id})
        table[unlisted] = classes.ignore_id
    for value, id_ in reading.values.items():
        table[value] = id_
    return np.asarray(table[values_HW])


def _by_color(pixels_HW3: NDArray[np.uint8], classes: ClassSet, reading: LabelReading) -> LabelMap:
    if len({each.color for each in classes.classes}) < len(classes):
        raise MaskError("wrong_mode", "Two classes have one colour, so that colours do not tell them apart.")
    # A colour that a class has taken over from a retired one is the class's.
    listed = (*classes.retired, *classes.classes)
    of_color = {(each.color[0] << 16) + (each.color[1] << 8) + each.color[2]: each.id for each in listed}
    ids_HW, unlisted = np.empty(pixels_HW3.shape[:2], np.uint8), set[int]()
    rows = max(1, _AT_ONCE // pixels_HW3.shape[1])  # bounds the memory that a large map takes
    for start in range(0, len(pixels_HW3), rows):
        part = pixels_HW3[start : start + rows].astype(np.uint32)
        codes, places = np.unique((part[..., 0] << 16) + (part[..., 1] << 8) + part[..., 2], return_inverse=True)
        unlisted |= set(codes.tolist()) - of_color.keys()
        ids = np.array([of_color.get(code, classes.ignore_id) for code in codes.tolist()], np.uint8)
        ids_HW[start : start + rows] = ids[places.reshape(part.shape[:2])]
    if unlisted and not reading.ignore_unlisted:
        named = ", ".join("{} {} {}".format(*_triple(code)) for code in sorted(unlisted)[:5])
        more = f" and {len(unlisted) - 5} more" if len(unlisted) > 5 else ""
        raise MaskError(
            "wrong_mode",
            f"The label map has colours of no class: {named}{more}. ignore-unlisted takes them as ignored.",
        )
    return ids_HW


def _triple(code: int) -> tuple[int, int, int]:
    return code >> 16, code >> 8 & 255, code & 255


def _values(data: bytes, classes: ClassSet, reading: LabelReading, max_pixels: int) -> NDArray[np.uint8]:
    """HW of values, or HW3 of colours."""
    if data[:6] == _NPY:
        return _of_numbers(_array(data, max_pixels))
    kind = _png_kind(data)
    if kind is not None and (kind == (0, 8) or (kind[0] == 3 and not reading.colors)):
        return decode_png(data, max_pixels=max_pixels)
    if data[:2] == b"\xff\xd8":
        raise MaskError(
            "wrong_mode", "The label map is a JPEG, which changes values: take the PNG that it was made of."
        )
    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "TIFF", "BMP")) as image:
            if pixels_decoded(image) > max_pixels:
                raise MaskError("too_large", f"The label map has more than {max_pixels} pixels, the limit.")
            if has_page(image, 1):
                _turn_to(image, reading.page, max_pixels)
            require_sound(image, data)
            if 0 in numbers_of(image, PHOTOMETRIC):
                raise MaskError("wrong_mode", "The label map is a TIFF in which 0 is white, which turns values over.")
            if image.mode in _COLOURED and is_deep_colour(image, data):
                raise MaskError("wrong_mode", "The label map is in colours of 16 bits: those of classes are of 8.")
            image.load()
            found, stretch = _of_picture(image, reading), _stretch(image, kind)
    except MaskError:
        raise
    except Unsound as error:
        raise MaskError(error.code, f"The label map cannot be read. {error.message}") from error
    except Exception as error:  # decoders of untrusted bytes fail in more ways than they document
        raise MaskError("not_an_image", "The label map is no PNG, TIFF, BMP or NPY, or it is damaged.") from error
    return found if stretch == 1 or found.ndim == 3 else np.asarray(found // stretch, np.uint8)


def _stretch(image: Image.Image, png: tuple[int, int] | None) -> int:
    """What Pillow has multiplied grey values of few bits by, in PNGs and TIFFs; palette indices are left as they are."""
    if png is not None:
        return STRETCH.get(png[1], 1) if png[0] == 0 else 1
    return STRETCH.get(max(numbers_of(image, BITS), default=8), 1) if image.mode == "L" else 1


def _turn_to(image: Image.Image, page: int | None, max_pixels: int) -> None:
    if page is None or not has_page(image, page):
        raise MaskError("wrong_mode", "The label map has several pages." if page is None else f"It has no page {page}.")
    image.seek(page)
    if image.width * image.height > max_pixels:
        raise MaskError("too_large", f"The label map has more than {max_pixels} pixels, the limit.")


def _of_picture(image: Image.Image, reading: LabelReading) -> NDArray[np.uint8]:
    if image.mode == "P" and reading.colors:
        return np.asarray(image.convert("RGB"))
    if image.mode in ("1", "L", "P", "I;16", "I;16B", "I;16L", "I;16N", "I"):
        return _of_numbers(np.asarray(image.convert("L")) // 255 if image.mode == "1" else np.asarray(image))
    if image.mode in _COLOURED:
        if not reading.colors:
            raise MaskError("wrong_mode", "The label map is in colour: `colors` reads it by the classes' colours.")
        if image.mode != "RGB" and image.getextrema()[-1] != (255, 255):
            raise MaskError("wrong_mode", "The label map is transparent in parts.")
        return np.asarray(image.convert("RGB"))
    raise MaskError("wrong_mode", f"The label map's pixels are of the kind {image.mode}; whole numbers are expected.")


def _array(data: bytes, max_pixels: int) -> NDArray[Any]:
    try:
        # The header is read alone first: an array of any size may be claimed in a few bytes.
        file = io.BytesIO(data)
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, kind = read(file)
        if len(shape) != 2 or kind.kind not in "biu":
            raise MaskError("wrong_mode", "A label map in an NPY is a table of whole numbers, height x width.")
        if shape[0] * shape[1] > max_pixels:
            raise MaskError("too_large", f"The label map has more than {max_pixels} pixels, the limit.")
        return np.asarray(np.load(io.BytesIO(data), allow_pickle=False))
    except MaskError:
        raise
    except Exception as error:  # of untrusted bytes
        raise MaskError("not_an_image", "The NPY is damaged or cut short.") from error


def _of_numbers(numbers_HW: NDArray[Any]) -> LabelMap:
    if numbers_HW.ndim != 2 or not numbers_HW.size:
        raise MaskError("wrong_mode", "A label map is height x width.")
    beyond = next((end for end in (int(numbers_HW.min()), int(numbers_HW.max())) if not 0 <= end <= 255), None)
    if beyond is not None:
        raise MaskError("wrong_mode", f"The label map has the value {beyond}; class ids go from 0 to 255.")
    return numbers_HW.astype(np.uint8)


def _png_kind(data: bytes) -> tuple[int, int] | None:
    """(colour type, bits) of a PNG; None for what is none."""
    if data[:8] != _PNG or len(data) < 33:
        return None
    bits, color = struct.unpack(">BB", data[24:26])
    return color, bits
