"""Image files: checked without trust when they arrive, and read as people see them."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, TiffImagePlugin

from service.decoding import ROOM
from service.domain.masks import MaskError
from service.domain.pages import has_page
from service.domain.readings import SCALES, Reading, scaled
from service.domain.soundness import (
    BITS,
    ORIENTATION,
    PHOTOMETRIC,
    SAMPLE_FORMAT,
    STRETCH,
    Unsound,
    is_deep_colour,
    numbers_of,
    pixels_decoded,
    require_sound,
)
from service.errors import Busy
from service.pixels import rgb_of

# Pillow's own limit is one for the whole process; here the header is checked against the setting before any decoding.
Image.MAX_IMAGE_PIXELS = None

Code = Literal["not_an_image", "wrong_mode", "too_large", "needs_scale", "several_pages", "bad_reading"]

_SHOWN = {"PNG": "image/png", "JPEG": "image/jpeg", "MPO": "image/jpeg", "WEBP": "image/webp"}
_DERIVED = {"TIFF": "image/tiff", "BMP": "image/bmp"}  # browsers do not show them
MEDIA_TYPES = tuple(dict.fromkeys((*_SHOWN.values(), *_DERIVED.values())))
SUFFIXES = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/webp": ".webp",
    "image/tiff": ".tif",
    "image/bmp": ".bmp",
}
_OPENED = tuple(each for each in (*_SHOWN, *_DERIVED) if each != "MPO")  # an MPO is opened as the JPEG that it is too
_PLAIN = ("1", "L", "P", "RGB")
_SHALLOW = (*_PLAIN, "LA", "La", "PA", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV")
_DEEP = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")
_WORD = 32


class PictureError(ValueError):
    """A file that cannot be taken: `code` for programs, `message`, a sentence, for people."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Height and width of what is seen, and, where EXIF data turned it upright, (height, width) as it is stored, and how."""

    height: int
    width: int
    stored: tuple[int, int] | None = None
    orientation: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A checked image file as it is seen: upright, 8-bit.

    png: that as a PNG, where it is not just what the file holds, or no browser shows the file. reading: what was done to get
    there, as JSON values.
    """

    shape: Shape
    media_type: str
    png: bytes | None = None
    reading: dict[str, Any] = field(default_factory=dict)


_AS_IT_IS = Reading()
_SIDEWAYS = 5
# What EXIF's orientations do to rows and columns, of pictures and of label maps; from _SIDEWAYS on they change places.
_TURNS: dict[int, tuple[Image.Transpose, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]]] = {
    2: (Image.Transpose.FLIP_LEFT_RIGHT, np.fliplr),
    3: (Image.Transpose.ROTATE_180, lambda rows: np.rot90(rows, 2)),
    4: (Image.Transpose.FLIP_TOP_BOTTOM, np.flipud),
    5: (Image.Transpose.TRANSPOSE, np.transpose),
    6: (Image.Transpose.ROTATE_270, lambda rows: np.rot90(rows, -1)),
    7: (Image.Transpose.TRANSVERSE, lambda rows: np.rot90(rows, 2).T),
    8: (Image.Transpose.ROTATE_90, lambda rows: np.rot90(rows, 1)),
}


def look(data: bytes, *, max_pixels: int, reading: Reading = _AS_IT_IS) -> Picture:
    """A PNG, JPEG, WebP, TIFF or BMP that decodes whole. Raises PictureError, and Busy where there is no room to decode it.

    The size is judged by the header, before any pixel is decoded. EXIF's orientation is carried out; of several frames of an MPO
    the first is taken; alpha is composed on the reading's background; CMYK is converted by its profile, if it has one; pixels of
    more than 8 bits are scaled as the reading says.
    """
    with _opened(data, max_pixels, reading) as image, ROOM.room(pixels_decoded(image)):
        shape, format_ = _shape(image), image.format or ""
        seen, done = _seen(image, shape, data, reading)
        return Picture(
            shape=shape,
            media_type=(_SHOWN | _DERIVED)[format_],
            png=None if seen is image and format_ in _SHOWN else _png(seen),
            reading=done,
        )


def pixels_of(data: bytes, *, max_pixels: int, reading: Reading = _AS_IT_IS) -> NDArray[np.uint8]:
    """What `look` sees, RGB, uint8, height x width x 3. Raises PictureError."""
    with _opened(data, max_pixels, reading) as image:
        return rgb_of(_seen(image, _shape(image), data, reading)[0])


def shape_of(file: Path, reading: Reading = _AS_IT_IS) -> Shape:
    """Of what is seen of a file, by its header alone. Raises PictureError, and OSError where the file cannot be read."""
    with file.open("rb") as data, _opened(data, None, reading) as image:
        return _shape(image)


@contextmanager
def _opened(data: bytes | IO[bytes], max_pixels: int | None, reading: Reading) -> Iterator[Image.Image]:
    """An image whose header is checked, at its page; whatever fails is a PictureError."""
    try:
        with Image.open(io.BytesIO(data) if isinstance(data, bytes) else data, formats=_OPENED) as image:
            _check_header(image, max_pixels, reading)
            if reading.page is not None:
                image.seek(reading.page)
                _check_header(image, max_pixels, reading)
            yield image
    except (PictureError, Busy):
        raise
    except Unsound as error:
        raise PictureError(error.code, error.message) from error
    except EOFError as error:
        raise PictureError("bad_reading", f"It has no page {reading.page}.") from error
    except Exception as error:  # decoders of untrusted bytes fail in more ways than they document
        raise PictureError(
            "not_an_image", "It is not a PNG, JPEG, WebP, TIFF or BMP image that can be read here, or it is damaged."
        ) from error


def _check_header(image: Image.Image, max_pixels: int | None, reading: Reading) -> None:
    if max_pixels is not None and pixels_decoded(image) > max_pixels:
        size = f"{image.height} high and {image.width} wide"
        raise PictureError("too_large", f"It is {size}; {max_pixels:,} pixels is the limit.")
    if image.mode not in (*_SHALLOW, *_DEEP):
        raise PictureError("wrong_mode", f"Its pixels are of the kind {image.mode}, which cannot be read here.")
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        if reading.page is None and has_page(image, 1):
            raise PictureError("several_pages", "It has several pages: say which, from 0.")
    elif image.format != "MPO" and getattr(image, "n_frames", 1) > 1:
        raise PictureError("wrong_mode", "It is animated; a still image is expected.")


def _tag(image: Image.Image, tag: int) -> int:
    """A number of a TIFF, the largest where there are several; 0 without it, and of other images."""
    return max(numbers_of(image, tag), default=0)


def _shape(image: Image.Image) -> Shape:
    """Of an image that is not loaded yet: of a TIFF the sides are upright by then."""
    orientation, tiff = 1, isinstance(image, TiffImagePlugin.TiffImageFile)
    with suppress(Exception):  # metadata may be damaged where pixels are not
        orientation = _tag(image, ORIENTATION) if tiff else image.getexif().get(ORIENTATION, 1)
    if type(orientation) is not int or orientation not in _TURNS:  # 0 and 9 mean nothing, and are found in files
        return Shape(height=image.height, width=image.width)
    size = image.height, image.width
    other = size[::-1] if orientation >= _SIDEWAYS else size
    upright, stored = (size, other) if tiff else (other, size)
    return Shape(height=upright[0], width=upright[1], stored=stored, orientation=orientation)


def _seen(image: Image.Image, shape: Shape, data: bytes, reading: Reading) -> tuple[Image.Image, dict[str, Any]]:
    """What is seen of an image, the image itself where it is just that, and what was done to get there."""
    require_sound(image, data)
    done, upright = dict[str, Any](), image
    image.load()  # which turns a TIFF
    if reading.page is not None and image.format == "TIFF":
        done["page"] = reading.page
    if shape.stored is not None:
        done["orientation"] = shape.orientation
        upright = image if image.format == "TIFF" else image.transpose(_TURNS[shape.orientation][0])
        upright.info = dict(image.info)
    return _eight_bits(upright, data, reading, done), done


def _eight_bits(image: Image.Image, data: bytes, reading: Reading, done: dict[str, Any]) -> Image.Image:
    """The picture itself where it is shown as it is, else what is to be seen of it; what was done is added to `done`."""
    deep = image.mode not in _DEEP and is_deep_colour(image, data)
    if deep or image.mode in _DEEP:
        _require_scale(reading)
        done["scale"] = reading.scale
        if "transparency" in image.info:
            raise PictureError(
                "wrong_mode", "It has more than 8 bits and a value that is transparent: save it without."
            )
    if image.mode in _DEEP:
        return Image.fromarray(scaled(_numbers(image), reading.scale or ""))
    if deep and reading.scale != "bits:16":
        raise PictureError("wrong_mode", "It is of 16-bit colour, which is read as bits:16 alone: convert it before.")
    if image.mode == "CMYK":
        return _from_cmyk(image)
    if image.has_transparency_data:
        if image.mode == "L" and image.format == "PNG" and data[24] in STRETCH:
            image.info["transparency"] *= STRETCH[data[24]]  # which is said of the values in the file
        whole = image.convert("RGBA")
        if whole.getchannel("A").getextrema() != (255, 255):
            done["background"] = list(reading.background)
            ground = Image.new("RGBA", whole.size, (*reading.background, 255))
            return Image.alpha_composite(ground, whole).convert("RGB")
        return image if image.mode in ("RGBA", "LA") and not deep else whole.convert("RGB")
    return image if image.mode in _PLAIN and not deep else image.convert("RGB")


def _require_scale(reading: Reading) -> None:
    if reading.scale is None:
        sentence = f"It has more than 8 bits a pixel: `scale` says how they are brought to 0 to 255, {SCALES}."
        raise PictureError("needs_scale", sentence)


def _numbers(image: Image.Image) -> NDArray[Any]:
    """The numbers of a deep image as its file means them."""
    values = np.asarray(image)
    if image.mode == "I" and _tag(image, BITS) == _WORD and _tag(image, SAMPLE_FORMAT) in (0, 1):
        values = values.view(np.uint32)
    if (
        image.format == "TIFF"
        and isinstance(image, TiffImagePlugin.TiffImageFile)
        and image.tag_v2.get(PHOTOMETRIC) == 0
    ):
        if values.dtype != np.uint16:
            raise PictureError("wrong_mode", "It is a TIFF in which 0 is white, and not of 16 bits: convert it before.")
        values = np.iinfo(np.uint16).max - values
    return values


def _from_cmyk(image: Image.Image) -> Image.Image:
    profile = image.info.get("icc_profile")
    if profile:
        with suppress(ImageCms.PyCMSError, OSError):
            converted = ImageCms.profileToProfile(
                image, ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB"), outputMode="RGB"
            )
            if converted is not None:
                return converted
    return image.convert("RGB")


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    kept = image if image.mode in ("L", "RGB") else image.convert("RGB")
    kept.info = {}
    kept.save(buffer, format="PNG", compress_level=3)
    return buffer.getvalue()


def fitted(label_map_HW: NDArray[np.uint8], shape: Shape) -> NDArray[np.uint8]:
    """A label map of an image as it is seen, turned with it where it fits the image as it is stored and not as it is seen.

    Raises MaskError, wrong_size, for one that fits neither.
    """
    found, wanted = label_map_HW.shape, (shape.height, shape.width)
    if found == wanted:
        return label_map_HW
    if found == shape.stored:
        return np.ascontiguousarray(_TURNS[shape.orientation][1](label_map_HW))
    there, expected = (f"{height} high and {width} wide" for height, width in (found, wanted))
    raise MaskError("wrong_size", f"The label map is {there}; {expected} is expected.")
