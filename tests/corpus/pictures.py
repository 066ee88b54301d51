"""Pictures of 8 bits and fewer, of every kind, and what is seen of each, worked out by hand."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.corpus import files as f
from tests.corpus.cases import GREY_NOISE, HEIGHT, NOISE, WIDTH, Case, picture, refused

_SIZE = (HEIGHT, WIDTH)
_CHANCE = np.random.default_rng(1)
_ALPHA = _CHANCE.integers(0, 256, _SIZE, dtype=np.uint8)
_RGBA = np.dstack([NOISE, _ALPHA])
_FLAT = np.full((16, 32, 3), (200, 40, 90), np.uint8)
_HALVES = np.where(np.arange(32)[None, :, None] < 16, np.array((200, 40, 90)), np.array((20, 160, 60)))
_HALVES = np.broadcast_to(_HALVES, (16, 32, 3)).astype(np.uint8)
_COLORS = np.array([(255, 255, 255), (200, 0, 0), (0, 100, 0), (9, 8, 7)], np.uint8)
_INDICES = _CHANCE.integers(0, 4, _SIZE, dtype=np.uint8)
_BMP_ROWS = np.arange(64, dtype=np.uint8).reshape(8, 8)
_BACK, _UNDER = "10,20,30", np.array((10, 20, 30), np.uint8)


def _values(bits: int) -> NDArray[np.uint8]:
    return (np.arange(HEIGHT * WIDTH).reshape(_SIZE) % (1 << bits)).astype(np.uint8)


def _over(alpha: NDArray[np.uint8], under: tuple[int, int, int]) -> NDArray[np.float64]:
    """Of NOISE with this alpha on a colour."""
    share = alpha[..., None] / 255
    return NOISE * share + np.array(under) * (1 - share)


def _profile() -> bytes:
    from PIL import ImageCms

    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


UPRIGHT = {
    0: lambda rows: rows,
    1: lambda rows: rows,
    2: lambda rows: rows[:, ::-1],
    3: lambda rows: rows[::-1, ::-1],
    4: lambda rows: rows[::-1],
    5: lambda rows: rows.swapaxes(0, 1),
    6: lambda rows: rows[::-1].swapaxes(0, 1),
    7: lambda rows: rows[::-1, ::-1].swapaxes(0, 1),
    8: lambda rows: rows[:, ::-1].swapaxes(0, 1),
    9: lambda rows: rows,
}
"""What EXIF's orientations mean: in 6 the left column is the top row, read upwards, and so on (TIFF 6.0, Orientation)."""

_TURNED = [
    picture(f"{format} turned {number}", f.oriented(NOISE, number, format), UPRIGHT[number](NOISE))
    for format in ("PNG", "TIFF", "WEBP")
    for number in UPRIGHT
] + [
    picture(
        f"JPEG turned {number}",
        f.oriented(_HALVES, number, "JPEG", quality=95, subsampling=0),
        UPRIGHT[number](_HALVES),
        within=4,
    )
    for number in UPRIGHT
]

_STRANGE_TURNS = [
    picture(f"orientation of EXIF kind {kind}, {value!r}", f.saved(NOISE, exif=f.exif_entry(kind, value)), NOISE)
    for kind, value in ((2, b"6\0\0\0"), (2, b"x\0\0\0"), (7, b"6\0\0\0"), (11, b"\0\0\xd0\x40"))
]

_PNGS = [
    *(
        picture(f"PNG grey {bits}", f.png(_values(bits), bits), _values(bits) * (255 // ((1 << bits) - 1)))
        for bits in (1, 2, 4, 8)
    ),
    picture("PNG interlaced", f.png(NOISE, 8, f.RGB, interlaced=True), NOISE),
    picture("PNG interlaced 2 bits", f.png(_values(2), 2, interlaced=True), _values(2) * 85),
    *(
        picture(
            f"PNG palette {bits}",
            f.png(_INDICES, bits, f.PALETTE, extra=f.palette(*_COLORS.tolist())),
            _COLORS[_INDICES],
        )
        for bits in (2, 4, 8)
    ),
    picture(
        "PNG palette transparent",
        f.png(_INDICES, 2, f.PALETTE, extra=f.palette(*_COLORS.tolist(), alphas=bytes([255, 0]))),
        np.where((_INDICES == 1)[..., None], _UNDER, _COLORS[_INDICES]),
        background=_BACK,
    ),
    picture("PNG RGBA on white", f.saved(_RGBA), _over(_ALPHA, (255, 255, 255)), within=1),
    picture("PNG RGBA on a colour", f.saved(_RGBA), _over(_ALPHA, (10, 20, 30)), within=1, background=_BACK),
    picture("PNG RGBA opaque", f.saved(np.dstack([NOISE, np.full(_SIZE, 255, np.uint8)])), NOISE),
    picture(
        "PNG grey and alpha",
        f.saved(Image.fromarray(np.dstack([GREY_NOISE, _ALPHA]), "LA")),
        GREY_NOISE * (_ALPHA / 255) + 255 * (1 - _ALPHA / 255),
        within=1,
    ),
    *(
        picture(
            f"PNG grey {bits}, one value transparent",
            f.png(_values(bits), bits, extra=f.transparent(1)),
            np.where(
                (_values(bits) == 1)[..., None],
                _UNDER,
                np.repeat((_values(bits) * (255 // ((1 << bits) - 1)))[..., None], 3, 2),
            ),
            background=_BACK,
        )
        for bits in (1, 2, 4, 8)
    ),
    picture(
        "PNG RGB, one colour transparent",
        f.png(_COLORS[_INDICES], 8, f.RGB, extra=f.transparent(200, 0, 0)),
        np.where((_INDICES == 1)[..., None], _UNDER, _COLORS[_INDICES]),
        background=_BACK,
    ),
    picture("PNG with a profile", f.saved(NOISE, icc_profile=_profile()), NOISE),
    picture("PNG with a profile that is none", f.saved(NOISE, icc_profile=b"junk"), NOISE),
    picture("PNG and something behind", f.saved(NOISE) + b"behind" * 99, NOISE),
]

_TIFFS = [
    *(
        picture(f"TIFF grey {bits}", f.tiff(_values(bits), bits), _values(bits) * (255 // ((1 << bits) - 1)))
        for bits in (1, 4, 8)
    ),
    *(
        picture(
            f"TIFF grey {bits}, 0 white",
            f.tiff(_values(bits), bits, photometric=0),
            255 - _values(bits) * (255 // ((1 << bits) - 1)),
        )
        for bits in (1, 4, 8)
    ),
    picture("TIFF in strips", f.tiff(NOISE, strips=5, photometric=2), NOISE),
    picture("TIFF in tiles", f.tiff(NOISE, tile=16, photometric=2), NOISE),
    picture("TIFF of separate planes", f.tiff(NOISE, strips=3, photometric=2, planes=2), NOISE),
    picture("BigTIFF", f.tiff(NOISE, big=True, photometric=2), NOISE),
    picture("BigTIFF in tiles", f.tiff(GREY_NOISE, big=True, tile=16), GREY_NOISE),
    picture("TIFF in tiles, big-endian", f.tiff(GREY_NOISE, tile=16, order=">"), GREY_NOISE),
    picture("TIFF turned, in tiles", f.tiff(GREY_NOISE, tile=16, orientation=6), UPRIGHT[6](GREY_NOISE)),
    *(
        picture(f"TIFF {how}", f.saved(NOISE, "TIFF", compression=how), NOISE)
        for how in ("tiff_lzw", "tiff_adobe_deflate", "packbits")
    ),
    picture("TIFF JPEG", f.saved(_FLAT, "TIFF", compression="jpeg", quality=95), _FLAT, within=4),
    picture("TIFF palette", f.saved(Image.fromarray(_INDICES).convert("P"), "TIFF"), _INDICES),
    picture("TIFF RGBA", f.saved(_RGBA, "TIFF"), _over(_ALPHA, (255, 255, 255)), within=1),
    picture("TIFF CMYK", f.saved(Image.fromarray(_FLAT).convert("CMYK"), "TIFF"), _FLAT, within=1),
    picture(
        "TIFF page 1 of 2",
        f.animated("TIFF", NOISE, NOISE[::-1].copy()),
        refused("several_pages", "say which", "take each as an image (--pages all)"),
    ),
]

_JPEGS = [
    *(
        picture(f"JPEG sampled {how}", f.saved(_FLAT, "JPEG", quality=95, subsampling=how), _FLAT, within=3)
        for how in (0, 1, 2)
    ),
    picture("JPEG grey", f.saved(_FLAT[..., 0], "JPEG"), _FLAT[..., 0], within=3),
    picture("JPEG progressive", f.saved(_FLAT, "JPEG", progressive=True, quality=95), _FLAT, within=3),
    picture("JPEG and something behind", f.saved(_FLAT, "JPEG", quality=95) + b"behind" * 99, _FLAT, within=3),
    picture("JPEG CMYK of Adobe", f.saved(Image.fromarray(_FLAT).convert("CMYK"), "JPEG", quality=95), _FLAT, within=4),
    picture(
        "JPEG CMYK of nobody",
        f.without_adobe(f.saved(Image.fromarray(_FLAT).convert("CMYK"), "JPEG", quality=95)),
        _FLAT,
        within=4,
    ),
    picture(
        "JPEG CMYK with a profile of RGB",
        f.saved(Image.fromarray(_FLAT).convert("CMYK"), "JPEG", quality=95, icc_profile=_profile()),
        _FLAT,
        within=4,
    ),
    picture("MPO", f.animated("MPO", _FLAT, _HALVES, quality=95), _FLAT, within=3),
    picture("JPEG with a profile", f.saved(_FLAT, "JPEG", quality=95, icc_profile=_profile()), _FLAT, within=3),
]

_OTHERS = [
    picture("WebP", f.saved(NOISE, "WEBP"), NOISE),
    picture("WebP RGBA", f.saved(_RGBA, "WEBP", exact=True), _over(_ALPHA, (255, 255, 255)), within=1),
    picture("BMP", f.saved(NOISE, "BMP"), NOISE),
    *(
        picture(
            f"BMP, the {'top' if down else 'bottom'} row first",
            f.bmp(_BMP_ROWS.tobytes(), 8, 8, down=down),
            f.BMP_COLORS[_BMP_ROWS if down else _BMP_ROWS[::-1]],
        )
        for down in (True, False)
    ),
    picture(
        "BMP of run lengths",
        f.bmp(b"\x08\x07\0\0" * 7 + b"\x05\x09\0\x03\x01\x02\x03\0\0\1", 8, 8, runs=1),
        f.BMP_COLORS[np.array([[9, 9, 9, 9, 9, 1, 2, 3], *[[7] * 8] * 7])],
    ),
    picture(
        "BMP of run lengths of 4 bits",
        f.bmp(b"\x08\x12\0\0" * 7 + b"\x08\x33\0\1", 8, 8, bits=4, runs=2, colors=16),
        f.BMP_COLORS[np.array([[3] * 8, *[[1, 2] * 4] * 7])],
    ),
    picture("1 x 1", f.saved(NOISE[:1, :1]), refused("too_small", "1 high and 1 wide")),
    picture("7 high", f.saved(NOISE[:7]), refused("too_small", "7 high")),
    picture("7 wide", f.saved(NOISE[:, :7]), refused("too_small", "7 wide")),
    picture("8 x 8", f.saved(NOISE[:8, :8]), NOISE[:8, :8]),
    picture("800 wide", f.png(np.full((8, 800), 7, np.uint8)), np.full((8, 800), 7, np.uint8)),
    picture("801 wide", f.png(np.full((8, 801), 7, np.uint8)), refused("too_elongated", "801 wide")),
    picture("a JPEG called PNG", f.saved(_FLAT, "JPEG", quality=95), _FLAT, within=3, name="a.png"),
    picture("a PNG called JPEG", f.saved(NOISE), NOISE, name="a.jpg"),
    picture("a TIFF called BMP", f.saved(NOISE, "TIFF"), NOISE, name="a.bmp"),
    picture("a PNG called GIF", f.saved(NOISE), NOISE, name="a.gif"),
    picture("a suffix in capitals", f.saved(NOISE), NOISE, name="A.PNG"),
]

PICTURES: tuple[Case, ...] = (*_TURNED, *_STRANGE_TURNS, *_PNGS, *_TIFFS, *_JPEGS, *_OTHERS)
