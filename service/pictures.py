"""Image files: checked without trust when they arrive, cut into crops when people look at regions."""

import io
from dataclasses import dataclass
from typing import Literal

from PIL import Image

from service.domain.regions import Box

# Pillow's own limit is one for the whole process; here the header is checked against the setting before any decoding.
Image.MAX_IMAGE_PIXELS = None

_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK")
_ORIENTATION = 0x0112  # EXIF


class PictureError(ValueError):
    """A file that cannot be taken: `code` for programs, `message`, a sentence, for people."""

    def __init__(self, code: Literal["not_an_image", "wrong_mode", "too_large", "turned_image"], message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of a checked image file."""

    height: int
    width: int
    media_type: str


def check_picture(data: bytes, *, max_pixels: int) -> Facts:
    """Size and type of a PNG, JPEG or WebP that decodes whole. Raises PictureError.

    The size is judged by the header, before any pixel is decoded.
    """
    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "WEBP")) as image:
            _check_header(image, max_pixels)
            image.load()
            return Facts(height=image.height, width=image.width, media_type=Image.MIME[image.format or ""])
    except PictureError:
        raise
    except Exception as error:  # decoders of untrusted bytes fail in more ways than they document
        raise PictureError("not_an_image", "It is not a PNG, JPEG or WebP image, or it is damaged.") from error


def _check_header(image: Image.Image, max_pixels: int) -> None:
    if image.width * image.height > max_pixels:
        size = f"{image.height} high and {image.width} wide"
        raise PictureError("too_large", f"It is {size}; {max_pixels:,} pixels is the limit.")
    if image.mode not in _MODES:
        raise PictureError("wrong_mode", f"Its pixels are of the kind {image.mode}; 8-bit grey or colour is expected.")
    if getattr(image, "n_frames", 1) > 1:
        raise PictureError("wrong_mode", "It is animated; a still image is expected.")
    # Browsers would turn such an image while label maps follow the stored rows and columns.
    if image.getexif().get(_ORIENTATION, 1) != 1:
        raise PictureError("turned_image", "Its EXIF data says that it is to be turned; save it upright.")


def crop_png(data: bytes, box: Box) -> bytes:
    """The pixels of a box of a stored image, as an RGB PNG."""
    with Image.open(io.BytesIO(data)) as image:
        bounds = (box.col, box.row, box.col + box.width, box.row + box.height)
        crop = image.crop(bounds).convert("RGB") if image.mode != "P" else image.convert("RGB").crop(bounds)
    buffer = io.BytesIO()
    crop.save(buffer, format="PNG", compress_level=1)  # people wait for it; the size hardly matters
    return buffer.getvalue()
