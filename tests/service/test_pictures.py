"""Images in every form in which labs have them: what is seen of each, through the API, and what is refused with a sentence."""

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Picture
from PIL import ImageOps
from starlette.testclient import TestClient

from service import pictures
from service.blobs import Blobs
from service.db import Database
from service.domain.masks import decode_label_png, encode_label_png
from service.pictures import shape_of
from service.store import images as store
from tests.maker import Maker

HEIGHT, WIDTH = 64, 96
WIDE = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)


def saved(image: Picture.Image, format: str, **more: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=format, **more)
    return buffer.getvalue()


def oriented(pixels: NDArray[np.uint8], orientation: Any, format: str = "PNG") -> bytes:
    if format == "TIFF":
        return saved(Picture.fromarray(pixels), format, tiffinfo={0x0112: orientation})
    exif = Picture.Exif()
    exif[0x0112] = orientation
    return saved(Picture.fromarray(pixels), format, exif=exif, **({"lossless": True} if format == "WEBP" else {}))


@pytest.fixture(autouse=True)
def project(make: Maker) -> None:
    make.project()


def add(admin: TestClient, data: bytes, label: Any = None, **form: Any) -> Any:
    files = [("image", ("a.bin", data))] + ([] if label is None else [("label_map", ("a.x", label))])
    return admin.post("/projects/1/images", files=files, data={"split": "train", **form})


def seen(admin: TestClient, data: bytes, **form: Any) -> NDArray[np.uint8]:
    response = add(admin, data, **form)
    assert response.status_code == 201, response.text
    image = response.json()["items"][0]["image"]
    assert all(image["reading"].get(name, value) == value for name, value in form.items() if name == "scale")
    assert admin.get(image["url"]).content == data  # the bytes that came are the bytes that are kept
    shown = admin.get(f"/images/{image['id']}/seen")
    with Picture.open(io.BytesIO(shown.content)) as picture:
        assert (picture.height, picture.width) == (image["height"], image["width"])
        return np.asarray(picture.convert("RGB"))


@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(10))
def test_an_image_is_turned_upright_and_nothing_else_is(
    admin: TestClient, tmp_path: Path, orientation: int, format: str
) -> None:
    data = oriented(WIDE, orientation, format)
    with Picture.open(io.BytesIO(oriented(WIDE, orientation))) as picture:
        expected = np.asarray(ImageOps.exif_transpose(picture))
    np.testing.assert_array_equal(seen(admin, data), expected)
    path = tmp_path / "a.bin"
    path.write_bytes(data)
    shape = shape_of(path)
    assert (shape.height, shape.width) == expected.shape[:2]
    assert shape.stored == (None if orientation in (0, 1, 9) else (HEIGHT, WIDTH))
    assert (expected.shape[:2] == (WIDTH, HEIGHT)) == (orientation in (5, 6, 7, 8))


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_label_map_of_the_stored_rows_is_turned_with_its_image(
    admin: TestClient, database: Database, blobs: Blobs, orientation: int, format: str
) -> None:
    stored = (np.arange(HEIGHT * WIDTH) % 11).reshape(HEIGHT, WIDTH).astype(np.uint8)
    upright = np.asarray(ImageOps.exif_transpose(Picture.open(io.BytesIO(oriented(stored, orientation)))))
    assert add(admin, oriented(WIDE, orientation, format), encode_label_png(stored)).status_code == 201
    with database.read() as session:
        image = store.get_image(session, 1)
    assert image.label_key is not None
    kept = decode_label_png(blobs.get(image.label_key), height=image.height, width=image.width)
    # Where it fits both it is taken to be upright, as is whatever fits the upright image.
    np.testing.assert_array_equal(kept, upright if orientation >= 5 else stored)


def test_a_label_map_that_fits_neither_is_refused(admin: TestClient) -> None:
    label = encode_label_png(np.zeros((HEIGHT, WIDTH + 1), np.uint8))
    refused = add(admin, oriented(WIDE, 6), label)
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "wrong_size")


def deep(bits: int = 12) -> NDArray[np.uint16]:
    return np.random.default_rng(2).integers(100, 2**bits, (HEIGHT, WIDTH)).astype(np.uint16)


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
@pytest.mark.parametrize("scale", ["minmax", "percentile", "bits:12", "bits:16", "range:50:2000"])
def test_grey_of_16_bits_is_scaled_as_stated(admin: TestClient, format: str, scale: str) -> None:
    values = deep().astype(np.float64)
    low, high = {
        "minmax": (values.min(), values.max()),
        "percentile": tuple(np.percentile(values, [1, 99])),
        "bits:12": (0, 4095),
        "bits:16": (0, 65535),
        "range:50:2000": (50, 2000),
    }[scale]
    expected = np.rint(255 * np.clip((values - low) / (high - low), 0, 1)).astype(np.uint8)
    found = seen(admin, saved(Picture.fromarray(deep()), format), scale=scale)
    np.testing.assert_array_equal(found, np.repeat(expected[..., None], 3, 2))


def test_floats_are_scaled_and_what_is_no_number_is_black(admin: TestClient) -> None:
    values = np.linspace(-1, 1, HEIGHT * WIDTH, dtype=np.float32).reshape(HEIGHT, WIDTH)
    values[0, 0] = np.nan
    found = seen(admin, saved(Picture.fromarray(values), "TIFF"), scale="range:-1:1")
    assert found[0, 0, 0] == 0
    assert (found[-1, -1, 0], found[HEIGHT // 2, 0, 0]) == (255, 128)


@pytest.mark.parametrize("kind", ["I;16", "F"])
def test_without_a_scale_deep_pixels_are_refused(admin: TestClient, kind: str) -> None:
    image = Picture.fromarray(deep() if kind == "I;16" else deep().astype(np.float32))
    refused = add(admin, saved(image, "TIFF"))
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "needs_scale")
    assert "minmax" in refused.json()["error"]["message"]


def test_alpha_is_composed_on_the_colour_that_is_stated(admin: TestClient) -> None:
    rgba = np.dstack([WIDE, np.linspace(0, 255, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH).astype(np.uint8)])
    data = saved(Picture.fromarray(rgba), "PNG")
    share = rgba[..., 3:] / 255
    for background in ((255, 255, 255), (0, 10, 20)):
        expected = WIDE * share + np.array(background) * (1 - share)
        files = [("image", (f"{background[0]}.png", data))]
        form = {"split": "train", "background": ",".join(map(str, background))}
        image = admin.post("/projects/1/images", files=files, data=form).json()["items"][0]["image"]
        with Picture.open(io.BytesIO(admin.get(f"/images/{image['id']}/seen").content)) as picture:
            assert np.abs(np.asarray(picture).astype(float) - expected).max() <= 1.01


def test_opaque_alpha_changes_nothing(admin: TestClient) -> None:
    rgba = np.dstack([WIDE, np.full((HEIGHT, WIDTH), 255, np.uint8)])
    np.testing.assert_array_equal(seen(admin, saved(Picture.fromarray(rgba), "PNG")), WIDE)


def test_palettes_cmyk_bilevel_bmp_and_tiff_are_what_the_eye_sees(admin: TestClient, make: Maker) -> None:
    whole = Picture.fromarray(WIDE)
    for number, data in enumerate(
        [
            saved(whole.quantize(16), "PNG"),
            saved(whole.convert("CMYK"), "JPEG", quality=95),
            saved(whole.convert("1"), "PNG"),
            saved(whole, "BMP"),
            saved(whole, "TIFF", compression="tiff_lzw"),
            saved(whole.convert("L"), "TIFF"),
        ]
    ):
        files = [("image", (f"{number}.x", data))]
        response = admin.post("/projects/1/images", files=files, data={"split": "train"})
        assert response.status_code == 201, response.text
        image = response.json()["items"][0]["image"]
        with (
            Picture.open(io.BytesIO(data)) as stored,
            Picture.open(io.BytesIO(admin.get(f"/images/{image['id']}/seen").content)) as shown,
        ):
            np.testing.assert_array_equal(np.asarray(shown.convert("RGB")), np.asarray(stored.convert("RGB")))


def test_of_a_tiff_with_pages_one_is_named_or_it_is_refused(admin: TestClient) -> None:
    stack = [Picture.fromarray(WIDE), Picture.fromarray(WIDE[::-1].copy())]
    data = saved(stack[0], "TIFF", save_all=True, append_images=stack[1:])
    refused = add(admin, data)
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "several_pages")
    beyond = add(admin, data, page=2)
    assert (beyond.status_code, beyond.json()["error"]["code"]) == (422, "bad_reading")
    np.testing.assert_array_equal(seen(admin, data, page=1), WIDE[::-1])


@pytest.mark.parametrize(
    "form",
    [
        {"scale": "loud"},
        {"scale": "bits:17"},
        {"scale": "range:5:1"},
        {"background": "white"},
        {"background": "1,2,300"},
    ],
)
def test_a_reading_that_is_none_is_refused(admin: TestClient, make: Maker, form: dict[str, str]) -> None:
    refused = add(admin, make.picture(60, 50), **form)
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "bad_reading")


def test_the_same_file_read_otherwise_is_another_image(admin: TestClient) -> None:
    data = saved(Picture.fromarray(deep()), "PNG")
    assert add(admin, data, scale="minmax").status_code == 201
    assert add(admin, data, scale="minmax").status_code == 200
    assert add(admin, data, scale="bits:12").json()["error"]["code"] == "image_exists"


def test_crops_are_of_what_is_seen(admin: TestClient, make: Maker) -> None:
    seen(admin, oriented(WIDE, 6))
    with make.database.read() as session:
        image = store.get_image(session, 1)
        assert (image.height, image.width, image.reading) == (WIDTH, HEIGHT, {"orientation": 6})
    assert admin.get("/images/1").json()["reading"] == {"orientation": 6}


@pytest.mark.parametrize(
    ("kind", "value"), [(2, b"6\0\0\0"), (7, b"6\0\0\0"), (11, struct.pack("<f", 6.5)), (2, b"x\0\0\0")]
)
def test_an_orientation_that_is_no_whole_number_turns_nothing(admin: TestClient, kind: int, value: bytes) -> None:
    entry = struct.pack("<HHI", 0x0112, kind, 2 if kind == 2 else 1) + value
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + entry + b"\0" * 4
    data = saved(Picture.fromarray(WIDE), "JPEG", exif=exif)
    with Picture.open(io.BytesIO(data)) as picture:
        stored = np.asarray(picture.convert("RGB"))
    np.testing.assert_array_equal(seen(admin, data), stored)


def plain_tiff(values: NDArray[Any], bits: int, photometric: int = 1, sample_format: int = 1) -> bytes:
    """Of one sample a pixel, written by hand."""
    tags = [
        *((256, 4, 1, WIDTH), (257, 4, 1, HEIGHT), (258, 3, 1, bits), (259, 3, 1, 1), (262, 3, 1, photometric)),
        *((273, 4, 1, 8), (277, 3, 1, 1), (278, 4, 1, HEIGHT), (279, 4, 1, values.nbytes), (339, 3, 1, sample_format)),
    ]
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    body = values.tobytes()
    return b"II*\0" + struct.pack("<I", 8 + len(body)) + body + struct.pack("<H", len(tags)) + entries + b"\0" * 4


def deep_colour_tiff() -> bytes:
    """Written by hand: 16-bit RGB, 12 bits of which are used."""
    values = np.random.default_rng(5).integers(0, 4096, (HEIGHT, WIDTH, 3)).astype("<u2")
    tags = [
        *((256, 4, 1, WIDTH), (257, 4, 1, HEIGHT), (258, 3, 3, 8), (259, 3, 1, 1), (262, 3, 1, 2), (273, 4, 1, 14)),
        *((277, 3, 1, 3), (278, 4, 1, HEIGHT), (279, 4, 1, values.nbytes)),
    ]
    head = b"II*\0" + struct.pack("<I", 14 + values.nbytes) + struct.pack("<3H", 16, 16, 16)
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return head + values.tobytes() + struct.pack("<H", len(tags)) + entries + b"\0" * 4


def test_16_bit_colour_is_never_cut_to_8_without_a_word(admin: TestClient) -> None:
    refused = add(admin, deep_colour_tiff())
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "needs_scale")
    assert add(admin, deep_colour_tiff(), scale="bits:12").json()["error"]["code"] == "wrong_mode"
    assert seen(admin, deep_colour_tiff(), scale="bits:16").max() == 15


def test_unsigned_words_are_not_read_as_negative(admin: TestClient) -> None:
    values = np.zeros((HEIGHT, WIDTH), np.uint32)
    values[0, 0], values[1, 1] = 3_000_000_000, 1_500_000_000
    found = seen(admin, plain_tiff(values.astype("<u4"), 32), scale="minmax")[..., 0]
    assert (found[0, 0], found[1, 1], found[2, 2]) == (255, 128, 0)


def test_where_0_is_white_it_is_seen_white(admin: TestClient) -> None:
    values = np.zeros((HEIGHT, WIDTH), "<u2")
    values[0, 0] = 65535
    found = seen(admin, plain_tiff(values, 16, photometric=0), scale="bits:16")[..., 0]
    assert (found[0, 0], found[1, 1]) == (0, 255)


def test_a_jpeg_of_endless_scans_is_refused(admin: TestClient) -> None:
    data = saved(Picture.fromarray(WIDE), "JPEG", progressive=True)
    many = data[:-2] + b"\xff\xda\x00\x02" * 300 + data[-2:]
    refused = add(admin, many)
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "wrong_mode")


def test_a_tile_that_claims_more_than_the_limit_is_refused_before_it_is_unpacked(admin: TestClient) -> None:
    tags = [
        *((256, 4, 1, 8), (257, 4, 1, 8), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1), (277, 3, 1, 1)),
        *((322, 4, 1, 60_000), (323, 4, 1, 60_000), (324, 4, 1, 8), (325, 4, 1, 4)),
    ]
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    data = b"II*\0" + struct.pack("<I", 12) + b"\0" * 4 + struct.pack("<H", len(tags)) + entries + b"\0" * 4
    refused = add(admin, data)
    assert (refused.status_code, refused.json()["error"]["code"]) == (413, "too_large")


def test_the_same_file_is_the_same_whatever_packs_what_is_seen_of_it(
    admin: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = saved(Picture.fromarray(WIDE), "TIFF")
    assert add(admin, data).status_code == 201
    packed = pictures._png
    monkeypatch.setattr(pictures, "_png", lambda image: packed(image) + b"\0")
    assert add(admin, data).status_code == 200
