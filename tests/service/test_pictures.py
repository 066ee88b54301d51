"""How images are said to be read, through the API: pages, scales, and the same file again. Their kinds are in tests/corpus."""

import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Picture
from starlette.testclient import TestClient

from service import pictures
from service.store import images as store
from tests.corpus.files import animated, oriented, saved
from tests.maker import Maker

HEIGHT, WIDTH = 64, 96
WIDE = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)


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


def test_of_a_tiff_with_pages_one_is_named_or_it_is_refused(admin: TestClient) -> None:
    data = animated("TIFF", WIDE, WIDE[::-1].copy())
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
    data = saved(WIDE[..., 0].astype(np.uint16))
    assert add(admin, data, scale="minmax").status_code == 201
    assert add(admin, data, scale="minmax").status_code == 200
    assert add(admin, data, scale="bits:12").json()["error"]["code"] == "image_exists"


def test_crops_are_of_what_is_seen(admin: TestClient, make: Maker) -> None:
    seen(admin, oriented(WIDE, 6))
    with make.database.read() as session:
        image = store.get_image(session, 1)
        assert (image.height, image.width, image.reading) == (WIDTH, HEIGHT, {"orientation": 6})
    assert admin.get("/images/1").json()["reading"] == {"orientation": 6}


def test_the_same_file_is_the_same_whatever_packs_what_is_seen_of_it(
    admin: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = saved(WIDE, "TIFF")
    assert add(admin, data).status_code == 201
    packed = pictures._png
    monkeypatch.setattr(pictures, "_png", lambda image: packed(image) + b"\0")
    assert add(admin, data).status_code == 200
