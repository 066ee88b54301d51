"""Regions over HTTP: looked at, held longer, given back, skipped."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image as Picture
from sqlalchemy import select
from starlette.testclient import TestClient

from service.db import Database
from service.store.images import get_image
from service.store.predictions import refresh_predictions
from service.tables import Lease, Project, Round
from tests.conftest import FakeClock, Outbox
from tests.maker import Maker

Login = Callable[..., TestClient]


@pytest.fixture
def client(login: Login) -> TestClient:
    """A client whose caller reviews: what annotators see of it is in test_access.py."""
    return login("reviewer", "ada")


@pytest.fixture
def project(make: Maker) -> Project:
    """A project with an open round of four predicted regions of 90 x 80, the cells of one image; anybody may skip all."""
    project = make.project(max_skip_share=1.0)
    make.round_(project, make.images(project, 1), regions=4, prediction=True)
    return project


def take(client: TestClient, count: int = 1) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = client.get("/next-regions", params={"count": count}).json()["items"]
    return items


def send(client: TestClient, region: dict[str, Any], what: str, **more: Any) -> Any:
    return client.post(f"/regions/{region['id']}/{what}", json={"lease_token": region["lease_token"], **more})


def pixels(response: Any) -> np.ndarray:
    assert (response.status_code, response.headers["Content-Type"]) == (200, "image/png")
    return np.array(Picture.open(io.BytesIO(response.content)).convert("RGB"))


def test_crop_and_context_are_the_images_pixels(client: TestClient, project: Project, make: Maker) -> None:
    whole_HW3 = np.array(Picture.open(io.BytesIO(make.picture(180, 160))))
    np.testing.assert_array_equal(pixels(client.get("/regions/2/crop")), whole_HW3[:90, 80:160])
    for margin, rows, cols in ((0, slice(0, 90), slice(80, 160)), (10, slice(0, 100), slice(70, 160))):
        context = client.get("/regions/2/context", params={"margin": margin})
        np.testing.assert_array_equal(pixels(context), whole_HW3[rows, cols])
    np.testing.assert_array_equal(pixels(client.get("/regions/4/context?margin=1024")), whole_HW3)
    for wrong in (-1, 1025, "wide"):
        assert client.get("/regions/2/context", params={"margin": wrong}).status_code == 422


def test_crops_of_every_kind_of_image_are_rgb(admin: TestClient, make: Maker) -> None:
    project = make.project()
    for place, mode in enumerate(("L", "P", "RGBA", "LA", "1")):
        file = ("image", (f"{mode}.png", make.picture(90, 80, mode=mode)))
        image = admin.post("/projects/1/images", files=[file], data={"split": "pool"}).json()["items"][0]["image"]
        with make.database.read() as session:
            rows = [get_image(session, image["id"])]
        (region,) = make.round_(project, rows, regions=1, number=place + 1)
        crop = admin.get(f"/regions/{region.id}/crop")
        assert Picture.open(io.BytesIO(crop.content)).mode == "RGB"
        assert pixels(crop).shape == (90, 80, 3)


def test_what_never_changes_is_asked_for_once(client: TestClient, project: Project) -> None:
    for path in ("/regions/1/crop", "/regions/1/context?margin=8"):
        first = client.get(path)
        assert "immutable" in first.headers["Cache-Control"]
        assert client.get(path, headers={"If-None-Match": first.headers["ETag"]}).status_code == 304
    assert client.get("/regions/1/crop").headers["ETag"] != client.get("/regions/2/crop").headers["ETag"]


def test_a_label_that_may_change_is_asked_for_again(client: TestClient, project: Project, make: Maker) -> None:
    (region,) = take(client)
    files = {"mask": ("m.png", make.mask_png())}
    client.post("/labels", data={"region_id": 1, "lease_token": region["lease_token"]}, files=files)
    first = client.get("/regions/1/label")
    assert "no-cache" in first.headers["Cache-Control"]
    headers = {"If-None-Match": first.headers["ETag"]}
    assert client.get("/regions/1/label", headers=headers).status_code == 304
    files = {"mask": ("m.png", make.mask_png(class_id=0))}
    client.post("/labels", data={"region_id": 1, "lease_token": region["lease_token"]}, files=files)
    assert client.get("/regions/1/label", headers=headers).status_code == 200


def test_a_prediction_says_whose_it_is_and_is_asked_for_again_once_it_is_anothers(
    client: TestClient, project: Project, make: Maker
) -> None:
    unknown = client.get("/regions/1/prediction")
    assert "X-Checkpoint-Id" not in unknown.headers
    assert client.get("/regions/1").json()["prediction_checkpoint_id"] is None
    old, new = (make.checkpoint(project, "segmenter", data).id for data in (b"old", b"new"))
    tags = [unknown.headers["ETag"]]
    for checkpoint, class_id in ((old, 2), (new, 5)):
        with make.database.write() as session:
            refresh_predictions(session, checkpoint, {1: make.mask_png(class_id=class_id)})
        response = client.get("/regions/1/prediction", headers={"If-None-Match": tags[-1]})
        assert (response.status_code, response.content) == (200, make.mask_png(class_id=class_id))
        assert response.headers["Cache-Control"] == "private, no-cache"
        assert response.headers["ETag"] == f'"prediction-1-{checkpoint}"'
        tags.append(response.headers["ETag"])
        again = client.get("/regions/1/prediction", headers={"If-None-Match": tags[-1]})
        for each in (response, again):
            assert each.headers["X-Checkpoint-Id"] == str(checkpoint)
        assert again.status_code == 304
        assert client.get("/regions/1").json()["prediction_checkpoint_id"] == checkpoint
    taken = take(client, 2)
    assert [each["prediction_checkpoint_id"] for each in taken] == [new, None]


def test_the_header_of_a_prediction_is_described(client: TestClient) -> None:
    described = client.get("/openapi.json").json()["paths"]["/regions/{id}/prediction"]["get"]["responses"]
    for status in ("200", "304"):
        assert described[status]["headers"]["X-Checkpoint-Id"]["schema"] == {"type": "integer"}
    assert "headers" not in client.get("/openapi.json").json()["paths"]["/regions/{id}/crop"]["get"]["responses"]["200"]


def test_a_prediction_is_a_label_map_of_class_ids(client: TestClient, project: Project, make: Maker) -> None:
    response = client.get("/regions/1/prediction")
    assert response.content == make.mask_png(90, 80, 1)


def test_what_is_not_there_is_404_with_its_own_code(client: TestClient, make: Maker) -> None:
    project = make.project()
    make.round_(project, make.images(project, 1), regions=1)
    codes = [client.get(f"/regions/1/{what}").json()["error"]["code"] for what in ("prediction", "label")]
    assert codes == ["no_prediction", "no_label"]
    for what in ("", "/crop", "/context", "/prediction", "/label"):
        response = client.get(f"/regions/77{what}")
        assert (response.status_code, response.json()["error"]["code"]) == (404, "region_not_found")


def test_a_region_tells_until_when_it_is_held(client: TestClient, project: Project, clock: FakeClock) -> None:
    assert client.get("/regions/1").json()["leased_until"] is None
    take(client)
    detail = client.get("/regions/1").json()
    assert (detail["leased_until"], detail["state"], detail["label"]) == ("2026-01-05T12:15:00Z", "open", None)
    clock.advance(minutes=15)
    assert client.get("/regions/1").json()["leased_until"] is None


def test_a_lease_is_renewed_from_now_on(client: TestClient, login: Login, project: Project, clock: FakeClock) -> None:
    (region,) = take(client)
    clock.advance(minutes=10)
    renewed = client.post(f"/leases/{region['lease_token']}/renew")
    assert renewed.json() == {
        "region_id": 1,
        "lease_token": region["lease_token"],
        "lease_expires_at": "2026-01-05T12:25:00Z",
    }
    clock.advance(minutes=14)
    assert take(login())[0]["id"] == 2
    clock.advance(minutes=60)  # run out, but nobody took it
    assert client.post(f"/leases/{region['lease_token']}/renew").status_code == 200


def test_a_lease_that_another_took_over_or_nobody_gave_is_not_renewed(
    client: TestClient, login: Login, project: Project, clock: FakeClock
) -> None:
    (region,) = take(client)
    token = region["lease_token"]
    for forged, status in (("77-" + "0" * 32, 404), (token[:-1] + "x", 422), ("x", 422), ("9" * 99, 422)):
        assert client.post(f"/leases/{forged}/renew").status_code == status
    clock.advance(minutes=16)
    other = login()
    assert take(other)[0]["id"] == 1
    response = client.post(f"/leases/{token}/renew")
    assert (response.status_code, response.json()["error"]["code"]) == (409, "lease_lost")
    assert other.post(f"/leases/{token}/renew").status_code == 404


def test_a_released_region_is_free_at_once(client: TestClient, login: Login, project: Project) -> None:
    (region,) = take(client)
    for _ in range(2):  # done already is as good
        assert send(client, region, "release").json() == {"id": 1, "state": "open", "skip_reason": None}
    (taken,) = take(login())
    assert taken["id"] == 1
    # Releasing once more does not take it from the one who has it now.
    assert send(client, region, "release").status_code == 200
    assert client.get("/regions/1").json()["leased_until"] is not None


def test_a_skipped_region_is_set_aside_with_its_reason(
    client: TestClient, login: Login, project: Project, database: Database, outbox: Outbox
) -> None:
    regions = take(client, 4)
    skipped = [send(client, regions[0], "skip", reason=" blurred ") for _ in range(2)]
    assert [each.json() for each in skipped] == [{"id": 1, "state": "skipped", "skip_reason": "blurred"}] * 2
    assert take(login()) == []
    assert outbox == []
    for region in regions[1:]:
        send(client, region, "skip", reason="dark")
    assert [kind for _, kind in outbox] == ["tell"]
    with database.read() as session:
        assert session.get_one(Round, 1).state == "labelled"
        assert set(session.scalars(select(Lease.end))) == {"skipped"}


def test_what_is_ended_or_held_by_another_is_neither_skipped_nor_released(
    client: TestClient, login: Login, project: Project, clock: FakeClock, make: Maker
) -> None:
    late = take(client, 3)
    clock.advance(minutes=20)
    other = login()
    taken = take(other, 3)
    send(other, taken[0], "skip", reason="blurred")
    files = {"mask": ("m.png", make.mask_png())}
    other.post("/labels", data={"region_id": 2, "lease_token": taken[1]["lease_token"]}, files=files)
    expected = {
        "skip": ["region_skipped", "region_labelled", "lease_lost"],
        "release": ["region_skipped", "region_labelled"],
    }
    for what, codes in expected.items():
        more = {"reason": "late"} if what == "skip" else {}
        answers = [send(client, region, what, **more) for region in late[: len(codes)]]
        assert [(each.status_code, each.json()["error"]["code"]) for each in answers] == [(409, code) for code in codes]


def test_a_skip_needs_a_reason_and_a_token_of_ones_own(client: TestClient, login: Login, project: Project) -> None:
    (region,) = take(client)
    for reason in ("", " ", "x" * 1001, "nul\u0000", None, 5):
        assert send(client, region, "skip", reason=reason).status_code == 422
    for what, more in (("skip", {"reason": "x"}), ("release", {})):
        stolen = send(login(), region, what, **more)
        assert (stolen.status_code, stolen.json()["error"]["code"]) == (422, "bad_lease_token")
        assert send(client, {**region, "id": 2}, what, **more).status_code == 422
        assert send(client, {**region, "id": 99}, what, **more).status_code == 404
