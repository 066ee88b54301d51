"""Crops of large images come from tiles that are decoded once; who finds no room to decode is told to come again."""

import io
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from fastapi import FastAPI
from numpy.typing import NDArray
from PIL import Image as Picture
from starlette.testclient import TestClient

from service import crops, decoding, pictures
from service.crops import Crops, tiled
from service.decoding import DecodingRoom
from service.domain.regions import Box
from service.errors import Busy
from service.pixels import crop_png, rgb, rgb_strips
from tests.maker import Maker

HEIGHT, WIDTH = 70, 45
BOXES = [
    Box(row=0, col=0, height=HEIGHT, width=WIDTH),
    Box(row=15, col=16, height=1, width=1),
    Box(row=69, col=44, height=1, width=1),
    Box(row=10, col=10, height=40, width=30),
]


@pytest.fixture
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crops, "TILE", 16)
    monkeypatch.setattr(crops, "LARGE", 1)
    monkeypatch.setattr(decoding, "SMALL", 0)


def pixels(png: bytes) -> NDArray[np.uint8]:
    with Picture.open(io.BytesIO(png)) as picture:
        assert picture.mode == "RGB"
        return np.asarray(picture)


@pytest.mark.parametrize(("kind", "mode"), [("PNG", "RGB"), ("PNG", "L"), ("PNG", "P"), ("PNG", "1"), ("JPEG", "RGB")])
@pytest.mark.parametrize("box", BOXES)
def test_pixels_from_tiles_are_those_of_the_image(kind: str, mode: str, box: Box, small_tiles: None) -> None:
    data = Maker.picture(HEIGHT, WIDTH, format=kind, mode="RGB")
    if mode != "RGB":
        buffer = io.BytesIO()
        Picture.open(io.BytesIO(data)).convert(mode).save(buffer, format=kind)
        data = buffer.getvalue()
    expected = np.asarray(Picture.open(io.BytesIO(data)).convert("RGB"))
    np.testing.assert_array_equal(tiled(data).read(box), expected[box.slices])
    np.testing.assert_array_equal(pixels(crop_png(data, box)), expected[box.slices])
    np.testing.assert_array_equal(np.concatenate(list(rgb_strips(data, 16))), expected)
    np.testing.assert_array_equal(rgb(data), expected)


def test_a_large_image_is_read_once_for_all_its_crops_however_many_come_at_once(small_tiles: None) -> None:
    data, reads = Maker.picture(HEIGHT, WIDTH), list[int]()
    cache = Crops(DecodingRoom(HEIGHT * WIDTH))

    def read() -> bytes:
        reads.append(1)
        return data

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda box: cache.png("a", (HEIGHT, WIDTH), box, read), BOXES * 4))
    assert len(reads) == 1
    for box, png in zip(BOXES * 4, found, strict=True):
        np.testing.assert_array_equal(pixels(png), rgb(data)[box.slices])


def test_the_image_that_nobody_looked_at_longest_is_forgotten_where_tiles_are_too_many(small_tiles: None) -> None:
    files = {key: Maker.picture(HEIGHT, WIDTH, seed=seed) for seed, key in enumerate("abc")}
    size, reads = tiled(files["a"]).nbytes, list[str]()
    cache = Crops(DecodingRoom(), kept_bytes=int(2.5 * size))

    def crop(key: str) -> None:
        cache.png(key, (HEIGHT, WIDTH), BOXES[1], lambda: (reads.append(key), files[key])[1])  # type: ignore[func-returns-value]

    for key in "abacab":
        crop(key)
    assert "".join(reads) == "abcb"


def test_decoding_waits_for_room_in_the_order_of_asking(small_tiles: None) -> None:
    room, order = DecodingRoom(10), list[str]()
    within, go_on = threading.Event(), threading.Event()

    def decode(name: str, size: int) -> None:
        with room.room(size):
            order.append(name)
            if name == "first":
                within.set()
                go_on.wait(10)

    with ThreadPoolExecutor(3) as pool:
        running = [pool.submit(decode, "first", 6)]
        assert within.wait(10)
        running.append(pool.submit(decode, "large", 100))  # more than there is room for: alone
        while len(room._line) < 1:
            pass
        running.append(pool.submit(decode, "small", 1))  # which would fit, and does not go first
        while len(room._line) < 2:
            pass
        assert order == ["first"]
        go_on.set()
        for each in running:
            each.result(10)
    assert order == ["first", "large", "small"]


def test_who_would_wait_behind_too_many_or_for_too_long_is_sent_away(small_tiles: None) -> None:
    crowded, slow = DecodingRoom(10, most_waiting=0), DecodingRoom(10, patience=0.01)
    with pytest.raises(Busy), crowded.room(5):
        pass
    with slow.room(10), pytest.raises(Busy), slow.room(1):
        pass
    with slow.room(10):  # whoever left stands in nobody's way
        pass


@pytest.mark.parametrize("path", ["/regions/1/crop", "/regions/1/context"])
def test_a_crop_without_room_is_503_with_retry_after(
    path: str, app: FastAPI, admin: TestClient, make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make.project()
    make.round_(project, make.images(project, 1), regions=1)
    monkeypatch.setattr(decoding, "SMALL", 0)
    app.state.crops = Crops(DecodingRoom(most_waiting=0))
    answer = admin.get(path)
    assert (answer.status_code, answer.json()["error"]["code"], answer.headers["Retry-After"]) == (503, "busy", "5")
    app.state.crops = Crops(DecodingRoom())
    assert admin.get(path).status_code == 200


def test_an_upload_without_room_is_503_and_stores_nothing(
    admin: TestClient, make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    make.project()
    monkeypatch.setattr(decoding, "SMALL", 0)
    monkeypatch.setattr(pictures, "ROOM", DecodingRoom(most_waiting=0))
    files = [("image", ("a.png", make.picture(64, 64)))]
    answer = admin.post("/projects/1/images", files=files, data={"split": "pool"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "busy")
    assert admin.get("/projects/1/images").json()["items"] == []
