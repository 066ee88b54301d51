"""Labels that are imported while images go, and files whose names nearly fit."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from service.db import Database
from service.routes import labels as routes
from service.tables import Region
from tests.maker import Maker
from tests.service.test_label_imports_api import label_map, mask, send


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], None]:
    """Has something happen after label maps were matched with images, and before anything is written."""

    def happen(what: Callable[[], Any]) -> None:
        cut, left = routes.__dict__["cut"], [what]

        def cutting(*given: Any) -> Any:
            if left:
                left.pop()()
            return cut(*given)

        monkeypatch.setattr(routes, "cut", cutting)

    return happen


def test_an_image_that_goes_meanwhile_is_said_to_be_gone(
    admin: TestClient, make: Maker, meanwhile: Callable[..., None], database: Database
) -> None:
    make.images(make.project(), 1)
    meanwhile(lambda: admin.delete("/images/1", params={"confirm": "00000.png"}))
    response = send(admin, {"00000.png": label_map()})
    assert (response.status_code, response.json()["error"]["code"]) == (404, "not_found")
    with database.read() as session:
        assert session.scalars(select(Region)).all() == []


def test_regions_have_the_numbers_of_the_place_that_their_image_has_in_the_end(
    admin: TestClient, make: Maker, meanwhile: Callable[..., None], database: Database
) -> None:
    make.images(make.project(), 2)
    meanwhile(lambda: admin.delete("/images/1", params={"confirm": "00000.png"}))
    assert send(admin, {"00001.png": label_map()}).status_code in (200, 201)
    with database.read() as session:
        assert sorted(session.scalars(select(Region.number))) == [0, 1, 2, 3]


def test_a_mask_that_is_called_like_one_label_map_is_of_no_other(admin: TestClient, make: Maker) -> None:
    make.project()
    pictures = [("a.png", make.picture(180, 160)), ("a.jpg", make.picture(180, 160, format="JPEG"))]
    admin.post("/projects/1/images", data={"split": "pool"}, files=[("image", each) for each in pictures])
    answer = send(admin, {"a.png": label_map(), "a.jpg": label_map(1)}, {"a.png": mask(0)}).json()
    assert {item["name"]: len(item["regions"]) for item in answer["items"]} == {"a.png": 1, "a.jpg": 4}


def test_a_suffix_in_capitals_is_the_image_s(admin: TestClient, make: Maker) -> None:
    make.project()
    picture = make.picture(180, 160, format="JPEG")
    admin.post("/projects/1/images", data={"split": "pool"}, files=[("image", ("IMG_1.JPG", picture))])
    assert send(admin, {"IMG_1.png": label_map()}).json()["items"][0]["name"] == "IMG_1.JPG"
