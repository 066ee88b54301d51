"""Images over HTTP: several at once, all or none, the same again for nothing, and nothing that is not an image."""

import hashlib
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image as Picture
from starlette.testclient import TestClient

from service.blobs import Blobs
from service.db import Database
from service.domain.masks import decode_label_png
from service.domain.usable import LEAST_SIDE, LONGEST_RATIO
from service.store import images as store
from service.store.pool import groups_of_split, image_in_group
from service.tables import Project
from tests.maker import Maker

Login = Callable[..., TestClient]


@pytest.fixture
def client(login: Login) -> TestClient:
    """A client whose caller reviews: what annotators see of it is in test_access.py."""
    return login("reviewer", "ada")


def upload(
    client: TestClient, *images: tuple[str, bytes], labels: tuple[tuple[str, bytes], ...] = (), split: str = "pool"
) -> Any:
    files = [("image", each) for each in images] + [("label_map", each) for each in labels]
    return client.post("/projects/1/images", files=files, data={"split": split})


@pytest.fixture(autouse=True)
def project(make: Maker) -> None:
    make.project()


@pytest.mark.parametrize(
    ("format", "media_type"), [("PNG", "image/png"), ("JPEG", "image/jpeg"), ("WEBP", "image/webp")]
)
def test_an_image_comes_back_byte_by_byte(
    admin: TestClient, client: TestClient, make: Maker, format: str, media_type: str
) -> None:
    data = make.picture(60, 50, format=format)
    response = upload(admin, ("a.bin", data))
    assert response.status_code == 201
    (item,) = response.json()["items"]
    image = item["image"]
    assert (item["status"], image["width"], image["height"], image["split"]) == ("created", 50, 60, "pool")
    assert (image["media_type"], image["sha256"]) == (media_type, hashlib.sha256(data).hexdigest())
    file = client.get(image["url"])
    assert (file.content, file.headers["Content-Type"]) == (data, media_type)
    assert "immutable" in file.headers["Cache-Control"]
    again = client.get(image["url"], headers={"If-None-Match": file.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get(f"/images/{image['id']}").json() == image


def test_a_label_map_finds_its_image_by_stem(admin: TestClient, make: Maker, database: Database, blobs: Blobs) -> None:
    label = make.mask_png(60, 50, 4)
    response = upload(
        admin,
        ("a.jpg", make.picture(60, 50, format="JPEG")),
        ("b.png", make.picture(60, 50)),
        labels=(("a.png", label),),
        split="train",
    )
    assert [each["image"]["has_label_map"] for each in response.json()["items"]] == [True, False]
    with database.read() as session:
        image = store.get_image(session, 1)
    assert image.label_key is not None
    np.testing.assert_array_equal(
        decode_label_png(blobs.get(image.label_key), height=60, width=50), np.full((60, 50), 4)
    )


def test_the_same_again_is_there_already_and_other_bytes_are_409(admin: TestClient, make: Maker) -> None:
    first, second = make.picture(60, 50, seed=1), make.picture(60, 50, seed=2)
    assert upload(admin, ("a.png", first)).status_code == 201
    again = upload(admin, ("a.png", first))
    assert (again.status_code, again.json()["items"][0]["status"]) == (200, "existing")
    mixed = upload(admin, ("a.png", first), ("b.png", second))
    assert mixed.status_code == 201
    assert [each["status"] for each in mixed.json()["items"]] == ["existing", "created"]
    for refused in (
        upload(admin, ("c.png", first), ("a.png", second)),
        upload(admin, ("a.png", first), split="test"),
        upload(admin, ("a.png", first), labels=(("a.png", make.mask_png(60, 50)),)),
    ):
        assert refused.status_code == 409
        assert refused.json()["error"]["code"] == "image_exists"
    assert [each["name"] for each in admin.get("/projects/1/images").json()["items"]] == ["a.png", "b.png"]


def test_groups_count_their_images_in_the_order_of_arrival(admin: TestClient, make: Maker, database: Database) -> None:
    upload(admin, ("a.png", make.picture(60, 50)), ("b.png", make.picture(50, 60)), ("c.png", make.picture(60, 50)))
    upload(admin, ("d.png", make.picture(60, 50)))
    with database.read() as session:
        groups = groups_of_split(session, 1, "pool")
        assert [(group.height, group.width, group.count) for group in groups] == [(60, 50, 3), (50, 60, 1)]
        names = [image_in_group(session, groups[0].id, ordinal).name for ordinal in range(3)]
        assert names == ["a.png", "c.png", "d.png"]
        assert image_in_group(session, groups[1].id, 0).name == "b.png"


def bomb() -> bytes:
    """A PNG whose header says 10,000 x 10,000 in a few bytes; it is refused before it is unpacked."""
    buffer = io.BytesIO()
    Picture.new("1", (10_000, 10_000)).save(buffer, format="PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"", 422, "not_an_image"),
        (bomb(), 413, "too_large"),
        (b"x" * 2_000_001, 413, "too_large"),
    ],
)
def test_what_is_not_a_fitting_image_is_refused_and_nothing_stored(
    admin: TestClient, make: Maker, blobs: Blobs, tmp_path: Any, data: bytes, status: int, code: str
) -> None:
    response = upload(admin, ("good.png", make.picture(60, 50)), ("bad.png", data))
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    assert "bad.png" in response.json()["error"]["message"]
    assert admin.get("/projects/1/images").json()["items"] == []
    assert not (tmp_path / "blobs").exists()


def test_a_label_map_that_does_not_fit_is_422_by_name(admin: TestClient, make: Maker) -> None:
    response = upload(admin, ("a.png", make.picture(60, 50)), labels=(("a.png", make.mask_png(60, 51)),))
    assert (response.status_code, response.json()["error"]["code"]) == (422, "wrong_size")
    assert "label map a.png" in response.json()["error"]["message"]
    assert admin.get("/projects/1/images").json()["items"] == []


def test_the_ids_that_no_class_has_are_named(admin: TestClient, make: Maker) -> None:
    response = upload(admin, ("a.png", make.picture(60, 50)), labels=(("a.png", make.mask_png(60, 50, 200)),))
    assert response.json()["error"]["detail"]["ids"] == [200]
    assert "200" in response.json()["error"]["message"]


def test_names_that_clash_or_stray_are_422(admin: TestClient, make: Maker) -> None:
    data, label = make.picture(60, 50), make.mask_png(60, 50)
    for response, code in (
        (upload(admin, ("a.png", data), ("a.png", data)), "duplicate_name"),
        (upload(admin, ("a.png", data), ("a.jpg", data), labels=(("a.png", label),)), "duplicate_name"),
        (upload(admin, ("a.png", data), labels=(("a.png", label), ("a.PNG", label))), "duplicate_name"),
        (upload(admin, ("a.png", data), labels=(("b.png", label),)), "stray_label_map"),
        (upload(admin, ("a" * 256, data)), "bad_name"),
        (upload(admin, ("..", data)), "bad_name"),
        (upload(admin, ("../../folder/a.png", data)), "bad_name"),
    ):
        assert (response.status_code, response.json()["error"]["code"]) == (422, code)


def test_folders_are_part_of_a_name(admin: TestClient, make: Maker) -> None:
    data, label = make.picture(60, 50), make.mask_png(60, 50)
    both = upload(admin, ("north/1.png", data), ("south\\1.png", data), labels=(("south/1.png", label),), split="train")
    items = [each["image"] for each in both.json()["items"]]
    assert [(each["name"], each["has_label_map"]) for each in items] == [("north/1.png", False), ("south/1.png", True)]
    assert upload(admin, ("./north//1.png", data), split="train").json()["items"][0]["status"] == "existing"


def test_uploads_need_a_project_a_split_a_file_and_an_admin(admin: TestClient, client: TestClient, make: Maker) -> None:
    data = make.picture(60, 50)
    files = [("image", ("a.png", data))]
    assert admin.post("/projects/9/images", files=files, data={"split": "pool"}).status_code == 404
    assert admin.post("/projects/1/images", files=files).status_code == 422
    assert admin.post("/projects/1/images", data={"split": "pool"}).status_code == 422
    assert upload(admin, ("a.png", data), split="attic").status_code == 422
    assert upload(client, ("a.png", data)).status_code == 403


def test_images_are_listed_in_pages_and_by_split(client: TestClient, make: Maker) -> None:
    with make.database.read() as session:
        project = session.get_one(Project, 1)
    make.images(project, 3)
    make.images(project, 2, split="reward")
    page = client.get("/projects/1/images", params={"limit": 2}).json()
    assert ([each["id"] for each in page["items"]], page["next"]) == ([1, 2], 2)
    rewards = client.get("/projects/1/images", params={"split": "reward"}).json()
    assert ([each["id"] for each in rewards["items"]], rewards["next"]) == ([4, 5], None)
    assert client.get("/projects/7/images").status_code == 404
    assert client.get("/images/99").status_code == 404
    assert client.get("/images/99/file").status_code == 404


def test_an_image_to_measure_on_needs_a_label_map(admin: TestClient, make: Maker) -> None:
    pictures = [(name, make.picture(60, 50)) for name in ("a.png", "b.png")]
    refused = upload(admin, *pictures, labels=(("a.png", make.mask_png(60, 50, 4)),), split="reward")
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "no_label_map")
    assert refused.json()["error"]["message"].startswith("b.png: It has no label map, and networks are measured on")
    assert admin.get("/projects/1/images").json()["items"] == []
    assert upload(admin, *pictures, split="train").status_code == 201


@pytest.mark.parametrize(("height", "width"), [(LEAST_SIDE - 1, 50), (50, LEAST_SIDE - 1), (1, 1)])
def test_an_image_that_no_network_takes_is_refused(admin: TestClient, make: Maker, height: int, width: int) -> None:
    refused = upload(admin, ("a.png", make.picture(height, width)))
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "too_small")
    assert f"It is {height} high and {width} wide" in refused.json()["error"]["message"]
    assert upload(admin, ("a.png", make.picture(LEAST_SIDE, LEAST_SIDE))).status_code == 201


@pytest.mark.parametrize("turned", [False, True])
def test_an_image_that_is_much_longer_than_wide_is_refused(admin: TestClient, make: Maker, turned: bool) -> None:
    height, width = 8, 8 * LONGEST_RATIO
    sides = (width, height) if turned else (height, width)
    assert upload(admin, ("a.png", make.picture(*sides))).status_code == 201
    longer = (width + 1, height) if turned else (height, width + 1)
    refused = upload(admin, ("b.png", make.picture(*longer)))
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "too_elongated")
    assert "100 times the shorter one at most" in refused.json()["error"]["message"]
    assert [each["name"] for each in admin.get("/projects/1/images").json()["items"]] == ["a.png"]
