"""Label maps in every form in which labs have them, through the API: the ids that are kept, or a refusal with a sentence."""

import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Picture
from starlette.testclient import TestClient

from service.blobs import Blobs
from service.db import Database
from service.domain.classes import ClassSet, LabelClass
from service.domain.masks import decode_label_png
from service.store import images as store
from tests.maker import Maker

HEIGHT, WIDTH = 40, 50
TWO = ClassSet(
    classes=(
        LabelClass(id=0, name="Ground", color=(0, 0, 0)),
        LabelClass(id=1, name="Cell", color=(255, 0, 0)),
    )
)
ONES: NDArray[np.uint8] = (np.random.default_rng(3).random((HEIGHT, WIDTH)) < 0.4).astype(np.uint8)
COLORS = np.array([each.color for each in TWO.classes], np.uint8)


def saved(image: Picture.Image, format: str = "PNG", **more: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=format, **more)
    return buffer.getvalue()


def npy(values: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()


def claimed() -> bytes:
    """An NPY whose header says far more than there is."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "|u1", "fortran_order": False, "shape": (1 << 20, 1 << 20)})
    return buffer.getvalue()


def grey(values: NDArray[np.uint8], bits: int) -> bytes:
    """A PNG of grey of few bits, written by hand: Pillow writes none of 2 and 4."""
    import struct
    import zlib

    packed = bytearray()
    for row in values:
        line = "".join(f"{value:0{bits}b}" for value in row)
        line += "0" * (-len(line) % 8)
        packed += b"\0" + int(line, 2).to_bytes(len(line) // 8, "big")

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], bits, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(packed)))
        + chunk(b"IEND", b"")
    )


@pytest.fixture(autouse=True)
def project(make: Maker) -> None:
    make.project(classes=TWO)


def add(admin: TestClient, make: Maker, label: bytes, reading: str) -> Any:
    files = [("image", ("a.png", make.picture(HEIGHT, WIDTH))), ("label_map", ("a.x", label))]
    return admin.post("/projects/1/images", files=files, data={"split": "train", "label_reading": reading})


@pytest.mark.parametrize(
    ("label", "reading"),
    [
        (saved(Picture.fromarray(ONES)), ""),
        (saved(Picture.fromarray(255 * ONES).convert("1")), ""),
        (grey(ONES, 1), ""),
        (grey(ONES, 2), ""),
        (grey(ONES, 4), ""),
        (saved(Picture.fromarray(ONES.astype(np.uint16))), ""),
        (saved(Picture.fromarray(ONES), "TIFF"), ""),
        (saved(Picture.fromarray(ONES.astype(np.int32)), "TIFF"), ""),
        (saved(Picture.fromarray(ONES), "BMP"), ""),
        (npy(ONES), ""),
        (npy(ONES.astype(np.int64)), ""),
        (npy(ONES.astype(bool)), ""),
        (saved(Picture.fromarray(255 * ONES)), "255=1"),
        (saved(Picture.fromarray(255 * ONES)), "binary"),
        (saved(Picture.fromarray(7 * ONES)), "binary"),
        (saved(Picture.fromarray(3 + ONES)), "3=0, 4=1"),
        (saved(Picture.fromarray(COLORS[ONES])), "colors"),
        (saved(Picture.fromarray(np.dstack([COLORS[ONES], np.full_like(ONES, 255)]))), "colors"),
        (saved(Picture.fromarray(COLORS[ONES]), "BMP"), "colors"),
    ],
)
def test_what_is_kept_is_the_ids(
    admin: TestClient, make: Maker, database: Database, blobs: Blobs, label: bytes, reading: str
) -> None:
    response = add(admin, make, label, reading)
    assert response.status_code == 201, response.text
    with database.read() as session:
        key = store.get_image(session, 1).label_key
    assert key is not None
    np.testing.assert_array_equal(decode_label_png(blobs.get(key), height=HEIGHT, width=WIDTH), ONES)


@pytest.mark.parametrize(
    ("label", "reading", "code", "sentence"),
    [
        (saved(Picture.fromarray(200 * ONES)), "", "unknown_class_ids", "200"),
        (saved(Picture.fromarray(COLORS[ONES])), "", "wrong_mode", "`colors`"),
        (saved(Picture.fromarray(COLORS[ONES] + np.uint8(1))), "colors", "wrong_mode", "1 1 1"),
        (saved(Picture.fromarray(ONES)), "colors", "wrong_mode", "no colours"),
        (saved(Picture.fromarray(COLORS[ONES]), "JPEG"), "colors", "wrong_mode", "JPEG"),
        (saved(Picture.fromarray(300 * ONES.astype(np.uint16))), "", "wrong_mode", "300"),
        (npy(-ONES.astype(np.int16)), "", "wrong_mode", "-1"),
        (npy(ONES.astype(np.float32)), "", "wrong_mode", "whole numbers"),
        (npy(ONES[None]), "", "wrong_mode", "height x width"),
        (npy(np.array([{"a": 1}], dtype=object)), "", "wrong_mode", "whole numbers"),
        (npy(ONES)[:-10], "", "not_an_image", "damaged"),
        (claimed(), "", "too_large", "limit"),
        (saved(Picture.fromarray(ONES))[:-30], "", "not_an_image", "damaged"),
        (saved(Picture.fromarray(ONES.T.copy())), "", "wrong_size", "expected"),
        (saved(Picture.fromarray(ONES)), "loud", "bad_reading", "loud"),
        (saved(Picture.fromarray(ONES)), "256=1", "bad_reading", "256=1"),
        (saved(Picture.fromarray(ONES)), "binary,255=1", "bad_reading", "binary"),
    ],
)
def test_what_is_no_label_map_is_refused(
    admin: TestClient, make: Maker, label: bytes, reading: str, code: str, sentence: str
) -> None:
    response = add(admin, make, label, reading)
    error = response.json()["error"]
    assert (response.status_code in (413, 422), error["code"]) == (True, code)
    assert sentence in error["message"]
    assert admin.get("/projects/1/images").json()["items"] == []


@pytest.mark.parametrize("label", [200 * ONES, COLORS[ONES] + ONES[..., None]])
def test_what_is_unlisted_is_ignored_only_when_asked(
    admin: TestClient, make: Maker, database: Database, blobs: Blobs, label: NDArray[np.uint8]
) -> None:
    reading = "ignore-unlisted" + (",colors" if label.ndim == 3 else "")
    assert add(admin, make, saved(Picture.fromarray(label)), reading).status_code == 201
    with database.read() as session:
        key = store.get_image(session, 1).label_key
    assert key is not None
    kept = decode_label_png(blobs.get(key), height=HEIGHT, width=WIDTH)
    np.testing.assert_array_equal(kept, np.where(ONES, 255, 0))


def test_a_label_map_without_a_labelled_pixel_is_refused(admin: TestClient, make: Maker) -> None:
    response = add(admin, make, saved(Picture.fromarray(200 * (1 + ONES))), "ignore-unlisted")
    assert (response.status_code, response.json()["error"]["code"]) == (422, "void_label_map")
    assert response.json()["error"]["message"].startswith("label map a.x: It has no labelled pixel")
    assert admin.get("/projects/1/images").json()["items"] == []
