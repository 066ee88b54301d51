"""Label maps of every kind: the ids that are kept of each, or how it is refused."""

import io
import pickle
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.corpus import files as f
from tests.corpus.cases import CLASSES, HEIGHT, NOISE, WIDTH, Case, Refused, Taken, refused
from tests.corpus.pictures import UPRIGHT

ONES: NDArray[np.uint8] = (np.random.default_rng(3).random((HEIGHT, WIDTH)) < 0.4).astype(np.uint8)
_MASK = 255 * ONES
_COLORS = np.array([each.color for each in CLASSES.classes], np.uint8)
_COLOURED = _COLORS[ONES]
_PICTURE = f.saved(NOISE)
_DAMAGED = refused("not_an_image", "damaged")


def _case(
    title: str,
    label: bytes,
    outcome: NDArray[Any] | Refused,
    reading: str = "",
    *,
    suffix: str = ".png",
    image: bytes = _PICTURE,
    seen: NDArray[np.uint8] = NOISE,
) -> Case:
    taken = outcome if isinstance(outcome, Refused) else Taken(pixels={"a.png": seen}, labels={"a.png": outcome})
    form = {"label_reading": reading} if reading else {}
    return Case(
        title=f"label map: {title}", images={"a.png": image}, labels={f"a{suffix}": label}, outcome=taken, form=form
    )


def _png(values: NDArray[Any] | Image.Image, **more: Any) -> bytes:
    return f.saved(values, "PNG", **more)


def _npz(values: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, values)
    return buffer.getvalue()


def _runs(values: NDArray[np.uint8]) -> bytes:
    """Of single pixels, from the last row up."""
    rows = [b"".join(b"\1" + bytes([value]) for value in row) for row in values[::-1].tolist()]
    return b"\0\0".join(rows) + b"\0\1"


_TAKEN = [
    *(_case(f"PNG grey {bits}", f.png(ONES, bits), ONES) for bits in (1, 2, 4, 8)),
    *(
        _case(f"PNG palette {bits}", f.png(ONES, bits, f.PALETTE, extra=f.palette((9, 9, 9), (5, 5, 5))), ONES)
        for bits in (1, 2, 4, 8)
    ),
    _case(
        "PNG palette, transparent",
        f.png(ONES, 8, f.PALETTE, extra=f.palette((9, 9, 9), (5, 5, 5), alphas=b"\0")),
        ONES,
    ),
    _case("PNG interlaced", f.png(ONES, 8, interlaced=True), ONES),
    _case("PNG and something behind", _png(ONES) + b"behind", ONES),
    _case("PNG of 16 bits", f.png(ONES, 16), ONES),
    _case("PNG with a profile", _png(ONES, icc_profile=b"junk"), ONES),
    _case(
        "all void",
        _png(np.full_like(ONES, 255)),
        refused("void_label_map", "no labelled pixel", "othing can be learned from train/a.png"),
    ),
    _case("one class alone", _png(np.zeros_like(ONES)), np.zeros_like(ONES)),
    *(_case(f"TIFF grey {bits}", f.tiff(ONES, bits), ONES, suffix=".tif") for bits in (1, 8)),
    _case("TIFF in tiles", f.tiff(ONES, tile=16), ONES, suffix=".tiff"),
    _case("BigTIFF", f.tiff(ONES, big=True), ONES, suffix=".tif"),
    _case("TIFF LZW", f.saved(ONES, "TIFF", compression="tiff_lzw"), ONES, suffix=".tif"),
    _case("TIFF int16", f.tiff(ONES.astype(np.int16), 16, format=2), ONES, suffix=".tif"),
    _case("TIFF int32", f.tiff(ONES.astype(np.int32), 32, format=2), ONES, suffix=".tif"),
    _case("BMP", f.saved(ONES, "BMP"), ONES, suffix=".bmp"),
    _case("BMP of run lengths", f.bmp(_runs(ONES), HEIGHT, WIDTH, runs=1), ONES, suffix=".bmp"),
    *(
        _case(f"NPY {kind}", f.npy(ONES.astype(kind)), ONES, suffix=".npy")
        for kind in ("i1", "u1", "<i2", ">i2", "u2", "i4", "u4", "i8", "u8", "?")
    ),
    _case("NPY in columns", f.npy(np.asfortranarray(ONES)), ONES, suffix=".npy"),
    _case("NPY called PNG", f.npy(ONES), ONES),
    _case("PNG called TIFF", _png(ONES), ONES, suffix=".tif"),
    _case("values named", _png(_MASK), ONES, "255=1"),
    _case("two values named", _png(3 + ONES), ONES, "3=0, 4=1"),
    _case("binary", _png(_MASK), ONES, "binary"),
    _case("binary of any value", _png(7 * ONES), ONES, "binary"),
    _case("binary of 1 bit", _png(Image.fromarray(_MASK).convert("1")), ONES, "binary"),
    _case("0 and 255 are a class and void", _png(_MASK), _MASK),
    _case("colours", _png(_COLOURED), ONES, "colors"),
    _case("colours, opaque", _png(np.dstack([_COLOURED, np.full_like(ONES, 255)])), ONES, "colors"),
    _case("colours, BMP", f.saved(_COLOURED, "BMP"), ONES, "colors", suffix=".bmp"),
    _case("colours, TIFF", f.tiff(_COLOURED, photometric=2), ONES, "colors", suffix=".tif"),
    _case("colours of a palette", f.png(ONES, 1, f.PALETTE, extra=f.palette(*_COLORS.tolist())), ONES, "colors"),
    _case("unlisted values ignored", _png(200 * ONES), np.where(ONES, 255, 0), "ignore-unlisted"),
    _case(
        "unlisted colours ignored", _png(_COLOURED + ONES[..., None]), np.where(ONES, 255, 0), "ignore-unlisted,colors"
    ),
]

_TURNED = [
    # Where it fits both ways it is taken to be upright.
    _case(
        f"stored rows of a {format} turned {number}",
        _png(ONES),
        UPRIGHT[number](ONES) if number >= 5 else ONES,
        image=f.oriented(NOISE, number, format),
        seen=UPRIGHT[number](NOISE),
    )
    for format in ("PNG", "TIFF")
    for number in range(2, 9)
] + [
    _case(
        "upright, of a picture that is turned",
        _png(UPRIGHT[6](ONES).copy()),
        UPRIGHT[6](ONES),
        image=f.oriented(NOISE, 6),
        seen=UPRIGHT[6](NOISE),
    ),
    _case(
        "turned as its picture, both TIFFs",
        f.tiff(ONES, orientation=6),
        UPRIGHT[6](ONES),
        image=f.oriented(NOISE, 6, "TIFF"),
        seen=UPRIGHT[6](NOISE),
        suffix=".tif",
    ),
]

_REFUSED = [
    _case("nothing", b"", _DAMAGED),
    _case("of another size", _png(ONES[:, 1:].copy()), refused("wrong_size", "12 high and 17 wide is expected")),
    _case("on its side", _png(ONES.T.copy()), refused("wrong_size", "expected")),
    _case(
        "of a turned picture, of another size",
        _png(ONES[1:]),
        refused("wrong_size", "17 high and 12 wide"),
        image=f.oriented(NOISE, 6),
    ),
    _case("unknown ids", _png(200 * ONES), refused("unknown_class_ids", "200")),
    _case("value beyond 255", f.png(300 * ONES.astype(np.uint16), 16), refused("wrong_mode", "300")),
    _case("in colour", _png(_COLOURED), refused("wrong_mode", "`colors`")),
    _case("in other colours", _png(_COLOURED + np.uint8(1)), refused("wrong_mode", "1 1 1"), "colors"),
    _case("in no colour", _png(ONES), refused("wrong_mode", "no colours"), "colors"),
    _case("transparent", _png(np.dstack([_COLOURED, _MASK])), refused("wrong_mode", "transparent"), "colors"),
    _case(
        "of 16-bit colour", f.png(_COLOURED.astype(np.uint16), 16, f.RGB), refused("wrong_mode", "of 16 bits"), "colors"
    ),
    _case("a JPEG called PNG", f.saved(ONES, "JPEG"), refused("wrong_mode", "JPEG")),
    _case("a JPEG", f.saved(ONES, "JPEG"), refused("wrong_mode", "JPEG", "a.jpg is no label map"), suffix=".jpg"),
    _case("a GIF", f.saved(ONES, "GIF"), refused("not_an_image", "no PNG", "a.gif is no label map"), suffix=".gif"),
    _case("NPZ", _npz(ONES), refused("not_an_image", "no PNG", "a.npz is no label map"), suffix=".npz"),
    _case("a pickle", pickle.dumps(ONES), refused("not_an_image", "no PNG"), suffix=".npy"),
    _case("NPY float", f.npy(ONES.astype(np.float32)), refused("wrong_mode", "whole numbers"), suffix=".npy"),
    _case("NPY negative", f.npy(-ONES.astype(np.int8)), refused("wrong_mode", "-1"), suffix=".npy"),
    _case(
        "NPY of huge numbers",
        f.npy(ONES.astype(np.uint64) << np.uint64(63)),
        refused("wrong_mode", "9223372036854775808"),
        suffix=".npy",
    ),
    _case("NPY in 3-D", f.npy(ONES[None]), refused("wrong_mode", "height x width"), suffix=".npy"),
    _case(
        "NPY of objects",
        f.npy(np.array([{"a": 1}], dtype=object)),
        refused("wrong_mode", "whole numbers"),
        suffix=".npy",
    ),
    _case("NPY of text", f.npy(np.array([["a"]])), refused("wrong_mode", "whole numbers"), suffix=".npy"),
    _case("NPY cut short", f.npy(ONES)[:-10], _DAMAGED, suffix=".npy"),
    _case(
        "NPY that claims more",
        f.npy_header("|u1", (1 << 20, 1 << 20)),
        refused("too_large", "limit", "the limit"),
        suffix=".npy",
    ),
    _case("NPY that claims less than nothing", f.npy_header("|u1", (-1, -204)), _DAMAGED, suffix=".npy"),
    _case("NPY of no rows", f.npy(ONES[:0]), refused("wrong_mode", "height x width"), suffix=".npy"),
    _case("PNG cut short", _png(ONES)[:-30], _DAMAGED),
    _case("PNG of 16 bits, cut short", f.png(ONES, 16, size=(13, 17)), refused("not_an_image", "more or fewer")),
    _case("PNG of colours, changed", f.flipped(f.png(_COLOURED, 8, f.RGB, level=0), 80), _DAMAGED, "colors"),
    _case("PNG bomb", f.png(ONES, size=(65_535, 65_535)), refused("too_large", "limit", "is the limit")),
    _case(
        "TIFF of a strip too few", f.tiff(ONES, strips=3, left_out=1), refused("not_an_image", "3 parts"), suffix=".tif"
    ),
    _case(
        "TIFF of a tile that is a bomb",
        f.tiff(ONES, tile=32, tile_length=1 << 26),
        refused("too_large", "limit", "the limit"),
        suffix=".tif",
    ),
    *(
        _case(
            f"TIFF grey {bits}, 0 white",
            f.tiff(ONES, bits, photometric=0),
            refused("wrong_mode", "0 is white"),
            suffix=".tif",
        )
        for bits in (1, 8)
    ),
    _case("TIFF int8", f.tiff(ONES.astype(np.int8), format=2), refused("wrong_mode", "sign"), suffix=".tif"),
    _case(
        "TIFF float", f.saved(ONES.astype(np.float32), "TIFF"), refused("wrong_mode", "whole numbers"), suffix=".tif"
    ),
    _case("TIFF of pages", f.animated("TIFF", ONES, ONES), refused("wrong_mode", "several pages"), suffix=".tif"),
    _case(
        "BMP of run lengths of nothing",
        f.bmp(b"\0\0" * (3 << 20), HEIGHT, WIDTH, runs=1),
        refused("wrong_mode", "run lengths"),
        suffix=".bmp",
    ),
    *(
        _case(f"read as {reading}", _png(ONES), refused("bad_reading", said), reading)
        for reading, said in (("loud", "loud"), ("256=1", "256=1"), ("binary,255=1", "binary"))
    ),
]

LABEL_MAPS: tuple[Case, ...] = (*_TAKEN, *_TURNED, *_REFUSED)
