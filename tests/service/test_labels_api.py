"""POST /labels: what is stored, when it is the same, who comes too late, and what is refused whole."""

import base64
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sqlalchemy import func, select
from starlette.testclient import TestClient

from service.db import Database
from service.domain.masks import decode_label_png, encode_label_png, rle_encode
from service.tables import Event, Label, Lease, Project, Region, Round
from tests.conftest import FakeClock, Outbox
from tests.maker import Maker

Login = Callable[..., TestClient]
Post = Callable[..., Any]


@pytest.fixture
def project(make: Maker) -> Project:
    """A project with an open round of four regions of 90 x 80."""
    project = make.project()
    make.round_(project, make.images(project, 1), regions=4)
    return project


def take(client: TestClient, count: int = 1) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = client.get("/next-regions", params={"count": count}).json()["items"]
    return items


def label(region: dict[str, Any], mask: bytes | None = None, **more: Any) -> dict[str, Any]:
    mask = Maker.mask_png() if mask is None else mask
    given = {"region_id": region["id"], "lease_token": region["lease_token"]}
    return {**given, "mask_png": base64.b64encode(mask).decode(), **more}


def post(client: TestClient, *labels: dict[str, Any]) -> Any:
    return client.post("/labels", json={"labels": list(labels)})


def stored_labels(database: Database) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(Label)) or 0


def halves() -> np.ndarray:
    """Road (3) above, car (8) below, one ignored (11) row between: 44, 45 and 1 rows of 80."""
    label_map_HW = np.full((90, 80), 3, dtype=np.uint8)
    label_map_HW[44] = 11
    label_map_HW[45:] = 8
    return label_map_HW


def test_a_label_is_stored_counted_and_shown(client: TestClient, project: Project, database: Database) -> None:
    (region,) = take(client)
    response = post(client, label(region, encode_label_png(halves()), seconds=41.5))
    assert response.status_code == 201
    (stored,) = response.json()["labels"]
    counts = {name: count for name, count in stored.pop("class_counts").items() if count}
    assert counts == {"Road": 44 * 80, "Car": 45 * 80}
    assert stored == {"id": 1, "region_id": 1, "version": 1, "created": True}
    shown = client.get("/regions/1/label")
    np.testing.assert_array_equal(decode_label_png(shown.content, height=90, width=80), halves())
    detail = client.get("/regions/1").json()
    assert (detail["state"], detail["leased_until"], detail["label"]["seconds"]) == ("labelled", None, 41.5)
    with database.read() as session:
        assert session.scalars(select(Lease.end)).all() == ["labelled"]
        assert session.scalars(select(Event.kind).where(Event.kind == "region_labelled")).all() == ["region_labelled"]


def test_png_form_and_rle_say_the_same(client: TestClient, project: Project) -> None:
    regions = take(client, 4)
    png = encode_label_png(halves())
    compressed = {str(id): rle_encode(halves() == id) for id in (3, 8)}
    listed = {str(id): rle_encode(halves() == id, compressed=False) for id in (3, 8)}
    bare = [{"region_id": each["id"], "lease_token": each["lease_token"]} for each in regions]
    assert post(client, label(regions[0], png)).status_code == 201
    assert post(client, {**bare[1], "rle": compressed}, {**bare[2], "rle": listed}).status_code == 201
    form = client.post("/labels", data={**bare[3], "seconds": "2.5"}, files={"mask": ("m.png", png, "image/png")})
    assert form.status_code == 201
    maps = [client.get(f"/regions/{each['id']}/label").content for each in regions]
    assert len(set(maps)) == 1
    # The same pixels in another form are the same label.
    again = post(client, {**bare[0], "rle": listed})
    assert (again.status_code, again.json()["labels"][0]["id"]) == (200, 1)


def test_the_same_again_is_the_same_label_and_other_pixels_a_new_version(
    client: TestClient, project: Project, database: Database
) -> None:
    (region,) = take(client)
    first = post(client, label(region))
    again = post(client, label(region, seconds=9))
    other = post(client, label(region, Maker.mask_png(class_id=8)))
    back = post(client, label(region))
    answers = [(each.status_code, each.json()["labels"][0]) for each in (first, again, other, back)]
    assert [(status, each["id"], each["version"], each["created"]) for status, each in answers] == [
        (201, 1, 1, True),
        (200, 1, 1, False),
        (201, 2, 2, True),
        (201, 3, 3, True),
    ]
    assert client.get("/regions/1").json()["label"]["version"] == 3


def test_a_label_may_change_after_its_round_was_learned_from(
    client: TestClient, project: Project, database: Database
) -> None:
    regions = take(client, 4)
    post(client, *map(label, regions))
    with database.write() as session:
        session.get_one(Round, 1).state = "told"
    response = post(client, label(regions[0], Maker.mask_png(class_id=5)))
    assert (response.status_code, response.json()["labels"][0]["version"]) == (201, 2)
    with database.read() as session:
        assert session.get_one(Round, 1).state == "told"


def test_many_labels_are_stored_together_or_not_at_all(
    client: TestClient, project: Project, database: Database
) -> None:
    regions = take(client, 3)
    refused = post(client, label(regions[0]), label(regions[1], Maker.mask_png(class_id=99)), label(regions[2]))
    assert refused.status_code == 422
    assert stored_labels(database) == 0
    stored = post(client, *map(label, regions))
    assert [each["region_id"] for each in stored.json()["labels"]] == [1, 2, 3]
    mixed = post(client, label(regions[0]), label(take(client)[0]))
    assert [each["created"] for each in mixed.json()["labels"]] == [False, True]
    assert mixed.status_code == 201


def test_the_last_label_closes_the_round_and_queues_its_tell_once(
    client: TestClient, project: Project, outbox: Outbox, database: Database
) -> None:
    regions = take(client, 4)
    post(client, *map(label, regions[:3]))
    assert outbox == []
    for _ in range(2):
        post(client, label(regions[3]))
    assert [kind for _, kind in outbox] == ["tell"]
    with database.read() as session:
        assert session.get_one(Round, 1).state == "labelled"


def test_a_lease_that_ran_out_still_counts_while_nobody_took_the_region(
    client: TestClient, project: Project, clock: FakeClock
) -> None:
    (region,) = take(client)
    clock.advance(hours=30)
    assert post(client, label(region)).status_code == 201


def test_a_region_that_another_holds_now_is_lost(
    client: TestClient, login: Login, project: Project, clock: FakeClock, database: Database
) -> None:
    other = login()
    (late,) = take(client)
    clock.advance(minutes=20)
    (taken,) = take(other)
    assert taken["id"] == late["id"]
    response = post(client, label(late))
    assert (response.status_code, response.json()["error"]["code"]) == (409, "lease_lost")
    assert stored_labels(database) == 0
    clock.advance(minutes=20)  # now the other's has run out too, and nobody holds it
    assert post(client, label(late)).status_code == 201
    response = post(other, label(taken))
    assert (response.status_code, response.json()["error"]["code"]) == (409, "region_labelled")


def test_a_region_that_another_labelled_or_anybody_skipped_is_409(
    client: TestClient, login: Login, project: Project, clock: FakeClock
) -> None:
    other = login()
    late = take(client, 2)
    clock.advance(minutes=20)
    taken = take(other, 2)
    post(other, label(taken[0]))
    other.post(f"/regions/{taken[1]['id']}/skip", json={"lease_token": taken[1]["lease_token"], "reason": "blurred"})
    codes = [post(client, label(each)).json()["error"]["code"] for each in late]
    assert codes == ["region_labelled", "region_skipped"]


def test_a_released_region_may_still_be_labelled_while_it_is_free(client: TestClient, project: Project) -> None:
    (region,) = take(client)
    client.post(f"/regions/{region['id']}/release", json={"lease_token": region["lease_token"]})
    assert post(client, label(region)).status_code == 201


def test_only_the_one_who_was_given_a_region_labels_it(client: TestClient, login: Login, project: Project) -> None:
    mine, next_one = take(client, 2)
    stolen = post(login(), label(mine))
    swapped = post(client, {**label(next_one), "lease_token": mine["lease_token"]})
    made_up = post(client, {**label(mine), "lease_token": "1-" + "0" * 32})
    for response in (stolen, swapped, made_up):
        assert (response.status_code, response.json()["error"]["code"]) == (422, "bad_lease_token")


def test_all_ignored_is_a_label_too(client: TestClient, project: Project) -> None:
    regions = take(client, 2)
    bare = {"region_id": regions[1]["id"], "lease_token": regions[1]["lease_token"], "rle": {}}
    response = post(client, label(regions[0], Maker.mask_png(class_id=11)), bare)
    assert response.status_code == 201
    assert all(sum(each["class_counts"].values()) == 0 for each in response.json()["labels"])


@pytest.mark.parametrize(
    ("change", "status", "code", "named"),
    [
        ({"mask_png": base64.b64encode(Maker.mask_png(80, 90)).decode()}, 422, "wrong_size", "90 high and 80 wide"),
        ({"mask_png": base64.b64encode(Maker.mask_png(class_id=12)).decode()}, 422, "unknown_class_ids", "12"),
        ({"mask_png": base64.b64encode(Maker.picture(90, 80)).decode()}, 422, "wrong_mode", "RGB"),
        ({"mask_png": base64.b64encode(b"GIF89a").decode()}, 422, "not_an_image", "PNG"),
        ({"mask_png": base64.b64encode(Maker.mask_png()[:-20]).decode()}, 422, "not_an_image", "cut short"),
        ({"mask_png": "no base64!"}, 422, "not_an_image", "base64"),
        ({"mask_png": ""}, 422, "not_an_image", "PNG"),
        ({"mask_png": None, "rle": {"3": {"size": [90, 81], "counts": [0, 7290]}}}, 422, "wrong_size", "81"),
        ({"mask_png": None, "rle": {"3": {"size": [90, 80], "counts": [0, 7201]}}}, 422, "bad_rle", "counts"),
        ({"mask_png": None, "rle": {"3": {"size": [90, 80], "counts": "~~"}}}, 422, "bad_rle", "counts"),
        ({"mask_png": None, "rle": {"77": {"size": [90, 80], "counts": [0, 7200]}}}, 422, "unknown_class_ids", "77"),
        ({"mask_png": None, "rle": {"999": {"size": [90, 80], "counts": [0, 7200]}}}, 422, "bad_rle", "999"),
        (
            {"mask_png": None, "rle": {id: {"size": [90, 80], "counts": [0, 7200]} for id in ("3", "4")}},
            422,
            "overlapping_rle",
            "overlap",
        ),
        ({"mask_png": None}, 422, "invalid_request", "mask_png or rle"),
        ({"rle": {}}, 422, "invalid_request", "not both"),
        ({"mask_png": None, "rle": {"road": {"size": [90, 80], "counts": [0, 7200]}}}, 422, "invalid_request", "rle"),
        ({"seconds": -1}, 422, "invalid_request", "seconds"),
        ({"seconds": "soon"}, 422, "invalid_request", "seconds"),
        ({"region_id": 2**63}, 422, "invalid_request", "region_id"),
        ({"region_id": "1"}, 422, "invalid_request", "region_id"),
        ({"lease_token": 5}, 422, "invalid_request", "lease_token"),
        ({"stray": 1}, 422, "invalid_request", "stray"),
        ({"mask_png": "A" * 1_100_000}, 413, "too_large", "1,000,000 bytes"),
    ],
)
def test_what_does_not_fit_is_refused_with_a_sentence_and_nothing_stored(
    client: TestClient, project: Project, database: Database, change: dict[str, Any], status: int, code: str, named: str
) -> None:
    (region,) = take(client)
    sent = {key: value for key, value in {**label(region), **change}.items() if value is not None}
    response = post(client, sent)
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    assert named in response.json()["error"]["message"]
    assert stored_labels(database) == 0
    with database.read() as session:
        assert session.get_one(Region, 1).state == "open"


def test_bodies_that_cannot_be_labels_are_told_apart(client: TestClient, project: Project) -> None:
    (region,) = take(client)
    assert post(client).status_code == 422
    assert post(client, *[label(region)] * 2).json()["error"]["code"] == "duplicate_region"
    assert post(client, *[label(region)] * 201).status_code == 422
    assert post(client, {**label(region), "region_id": 99}).json()["error"]["code"] == "region_not_found"
    for content, kind, status in (
        (b"{", "application/json", 422),
        (b"[]", "application/json", 422),
        (b'{"labels": "\xff"}', "application/json", 422),
        (b'{"labels": [{"region_id": 1, "lease_token": "\\ud800"}]}', "application/json", 422),
        (b'{"labels": [{"region_id": ' + b"9" * 5000 + b"}]}", "application/json", 422),
        (b"[" * 10_000, "application/json", 422),
        (b"a=1", "application/x-www-form-urlencoded", 415),
        (b"x", "multipart/form-data", 422),
    ):
        response = client.post("/labels", content=content, headers={"Content-Type": kind})
        assert response.status_code == status, content[:50]
        assert response.json()["error"]["message"]
    form = {"region_id": "1", "lease_token": region["lease_token"]}
    assert client.post("/labels", data=form, files={"other": ("m.png", b"")}).status_code == 422
    assert client.post("/labels", data=form, files=[("mask", ("m", b"")), ("mask", ("m", b""))]).status_code == 422
