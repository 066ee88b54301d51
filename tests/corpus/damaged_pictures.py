"""Pictures that are refused: damaged, cut short, moving, too large, or long to decode."""

import numpy as np

from tests.corpus import files as f
from tests.corpus.cases import GREY_NOISE, NOISE, Case, Refused, picture, refused

_DAMAGED = refused("not_an_image", "damaged")
_TOO_LARGE = refused("too_large", "is the limit")
_MOVING = refused("wrong_mode", "animated")
_LONG = refused("wrong_mode", "run lengths")
_PNG, _JPEG = f.png(NOISE, 8, f.RGB, level=0), f.saved(NOISE, "JPEG")
_TIFF = f.tiff(NOISE, photometric=2)
_PIXELS = _PNG.find(b"IDAT") + 4
_FRAMES = (NOISE, NOISE[::-1].copy())

_FILES: dict[str, tuple[bytes, Refused]] = {
    "nothing": (b"", _DAMAGED),
    "text": (b"not an image", _DAMAGED),
    "a GIF": (f.saved(GREY_NOISE, "GIF"), _DAMAGED),
    "PNG signature alone": (_PNG[:8], _DAMAGED),
    "PNG cut in its pixels": (_PNG[: _PIXELS + 100], _DAMAGED),
    "PNG without an end": (_PNG[:-12], refused("not_an_image", "cut short")),
    "PNG with a changed pixel": (f.flipped(_PNG, _PIXELS + 100), refused("not_an_image", "damaged")),
    "PNG of fewer rows than it says": (f.png(GREY_NOISE, size=(13, 17)), refused("not_an_image", "more or fewer")),
    "PNG of more rows than it says": (f.png(GREY_NOISE, size=(11, 17)), refused("not_an_image", "more or fewer")),
    "PNG 65,535 wide, it says": (f.png(GREY_NOISE, size=(12, 65_535)), refused("not_an_image", "more or fewer")),
    "PNG bomb": (f.png(GREY_NOISE, size=(65_535, 65_535)), _TOO_LARGE),
    "PNG bomb of a profile": (
        f.png(GREY_NOISE, extra=f.chunk(b"iCCP", b"x\0\0" + f.deflated(b"\0" * 50_000_000))),
        _DAMAGED,
    ),
    "APNG": (f.animated("PNG", *_FRAMES), _MOVING),
    "WebP that moves": (f.animated("WEBP", *_FRAMES), _MOVING),
    "GIF that moves": (f.animated("GIF", GREY_NOISE, GREY_NOISE[::-1].copy()), _DAMAGED),
    "WebP cut short": (f.saved(NOISE, "WEBP")[:-40], _DAMAGED),
    "JPEG cut in the middle": (_JPEG[: len(_JPEG) // 2], _DAMAGED),
    "JPEG without an end": (_JPEG[:-2], _DAMAGED),
    "JPEG bomb": (f.jpeg_of_size(_JPEG, 65_500, 65_500), _TOO_LARGE),
    "JPEG of endless scans": (
        f.saved(NOISE, "JPEG", progressive=True)[:-2] + b"\xff\xda\x00\x02" * 300 + b"\xff\xd9",
        refused("wrong_mode", "scans"),
    ),
    "TIFF cut in its pixels": (_TIFF[:300], _DAMAGED),
    "TIFF of a strip too few": (f.tiff(NOISE, strips=3, photometric=2, left_out=1), refused("not_an_image", "3 parts")),
    "TIFF of a tile too few": (f.tiff(GREY_NOISE, tile=16, left_out=1), refused("not_an_image", "2 parts")),
    "TIFF of a short strip": (f.tiff(GREY_NOISE, size=(20, 17)), refused("not_an_image", "cut short")),
    "TIFF bomb": (f.tiff(GREY_NOISE, size=(65_535, 65_535)), _TOO_LARGE),
    "TIFF of a tile that is a bomb": (f.tiff(GREY_NOISE, tile=32, tile_length=1 << 26), _TOO_LARGE),
    "TIFF of five bands": (f.tiff(np.dstack([NOISE, NOISE[..., :2]])), _DAMAGED),
    "BigTIFF, big-endian": (f.tiff(GREY_NOISE, big=True, order=">"), _DAMAGED),
    "BMP cut in its pixels": (f.saved(NOISE, "BMP")[:-40], _DAMAGED),
    "BMP bomb": (f.bmp(b"", 65_535, 65_535), _TOO_LARGE),
    "BMP of fewer run lengths than it says": (f.bmp(b"\x04\x07\0\0\0\1", 2, 4, runs=1), _DAMAGED),
    "BMP of run lengths that skip": (f.bmp(b"\0\2\0\xff" * 40 + b"\0\1", 7_000, 7_000, runs=1), _LONG),
    "BMP of run lengths, one row": (f.bmp(b"\1\1\0\0\0\1", 1, 30_000_000, runs=1), _LONG),
    "BMP of run lengths of nothing": (f.bmp(b"\0\0" * (3 << 20), 100, 100, runs=1), _LONG),
    "BMP of run lengths of 4 bits": (
        f.bmp(b"\xff\1" * 250_000 + b"\0\1", 7_000, 7_000, bits=4, runs=2, colors=16),
        _LONG,
    ),
}

DAMAGED_PICTURES: tuple[Case, ...] = tuple(
    picture(f"refused: {title}", data, outcome) for title, (data, outcome) in _FILES.items()
)
