"""Pictures of more than 8 bits: what is seen of each by what was said of its scale, and what is refused without."""

import numpy as np
from numpy.typing import NDArray

from tests.corpus import files as f
from tests.corpus.cases import HEIGHT, WIDTH, Case, picture, refused

_SIZE = (HEIGHT, WIDTH)
_CHANCE = np.random.default_rng(2)
_WORDS = _CHANCE.integers(0, 1 << 16, _SIZE, dtype=np.uint16)
_TWELVE = (_WORDS >> 4).astype(np.uint16)
_COLOUR_WORDS = _CHANCE.integers(0, 1 << 16, (*_SIZE, 3), dtype=np.uint16)

DEEP = refused("needs_scale", "minmax")


def _scaled(values: NDArray[np.generic], low: float, high: float) -> NDArray[np.uint8]:
    return np.rint(255 * np.clip((values.astype(float) - low) / (high - low), 0, 1)).astype(np.uint8)


_DEEP = [
    picture(f"16 bits in {format} without a scale", f.saved(_WORDS, format), DEEP) for format in ("PNG", "TIFF")
] + [
    picture(f"16 bits in {format}, {scale}", f.saved(_TWELVE, format), _scaled(_TWELVE, *ends), scale=scale)
    for format in ("PNG", "TIFF")
    for scale, ends in (
        ("minmax", (float(_TWELVE.min()), float(_TWELVE.max()))),
        ("percentile", tuple(float(end) for end in np.percentile(_TWELVE, [1, 99]))),
        ("bits:12", (0.0, 4095.0)),
        ("bits:16", (0.0, 65535.0)),
        ("range:50:2000", (50.0, 2000.0)),
    )
]

_DEEP += [
    picture("16-bit colour in PNG", f.png(_COLOUR_WORDS, 16, f.RGB), _COLOUR_WORDS / 257, within=1, scale="bits:16"),
    picture("16-bit colour without a scale", f.png(_COLOUR_WORDS, 16, f.RGB), DEEP),
    picture(
        "16-bit colour of 12 bits", f.png(_COLOUR_WORDS, 16, f.RGB), refused("wrong_mode", "bits:16"), scale="bits:12"
    ),
    picture("16-bit colour in TIFF without a scale", f.tiff(_COLOUR_WORDS, 16, photometric=2), DEEP),
    picture(
        "16-bit colour in TIFF",
        f.tiff(_COLOUR_WORDS, 16, photometric=2),
        _COLOUR_WORDS / 257,
        within=1,
        scale="bits:16",
    ),
    picture(
        "16-bit grey and opaque alpha",
        f.png(np.dstack([_WORDS, np.full(_SIZE, 65535, np.uint16)]), 16, f.GREY_ALPHA),
        _WORDS / 257,
        within=1,
        scale="bits:16",
    ),
    *(
        picture(
            f"16 bits of {kind[1]}, one value transparent",
            f.png(values, 16, kind, extra=f.transparent(*[7] * kind[1])),
            refused("wrong_mode", "transparent"),
            scale="bits:16",
        )
        for values, kind in ((_WORDS, f.GREY), (_COLOUR_WORDS, f.RGB))
    ),
    picture("16-bit TIFF, 0 white", f.tiff(_WORDS, 16, photometric=0), 255 - _WORDS / 257, within=1, scale="bits:16"),
    picture("16-bit TIFF, big-endian", f.tiff(_WORDS, 16, order=">"), _scaled(_WORDS, 0, 65535), scale="bits:16"),
]

_REAL = np.linspace(-1, 1, HEIGHT * WIDTH).reshape(_SIZE)
_HOLES = _REAL.astype(np.float32)
_HOLES[0, 0], _HOLES[0, 1], _HOLES[0, 2] = np.nan, np.inf, -np.inf
_SIGNED = _CHANCE.integers(-30000, 30000, _SIZE)
_LONG = (_WORDS.astype(np.uint32) << 16).astype(np.uint32)

_NUMBERS = [
    picture(
        "float TIFF with NaN",
        f.saved(_HOLES, "TIFF"),
        _scaled(np.where(np.isfinite(_HOLES), _HOLES, -1), -1, 1),
        scale="range:-1:1",
    ),
    picture("float TIFF without a scale", f.saved(_HOLES, "TIFF"), DEEP),
    picture(
        "float TIFF of NaN alone", f.saved(np.full(_SIZE, np.nan, np.float32), "TIFF"), np.zeros(_SIZE), scale="minmax"
    ),
    picture("double TIFF", f.tiff(_REAL, 64, format=3), refused("not_an_image", "can be read here"), scale="minmax"),
    picture("flat float TIFF", f.saved(np.full(_SIZE, 3, np.float32), "TIFF"), np.zeros(_SIZE), scale="minmax"),
    picture(
        "int16 TIFF",
        f.tiff(_SIGNED.astype(np.int16), 16, format=2),
        _scaled(_SIGNED, -30000, 30000),
        scale="range:-30000:30000",
    ),
    picture(
        "int32 TIFF",
        f.tiff(_SIGNED.astype(np.int32), 32, format=2),
        _scaled(_SIGNED, _SIGNED.min(), _SIGNED.max()),
        scale="minmax",
    ),
    picture("uint32 TIFF", f.tiff(_LONG, 32), _scaled(_LONG, _LONG.min(), _LONG.max()), scale="minmax"),
    picture("int8 TIFF", f.tiff(_SIGNED.astype(np.int8), 8, format=2), refused("wrong_mode", "sign")),
    picture(
        "half float TIFF",
        f.tiff(_REAL.astype(np.float16), 16, format=3),
        refused("not_an_image", "damaged"),
        scale="minmax",
    ),
]

DEEP_PICTURES: tuple[Case, ...] = (*_DEEP, *_NUMBERS)
