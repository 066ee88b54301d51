"""Projects over HTTP: made, listed, changed within bounds, counted."""

from collections.abc import Callable

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from service.db import Database
from service.tables import Checkpoint, Event, Round
from tests.conftest import START
from tests.maker import Maker

CLASSES = [{"id": 0, "name": "road", "color": [1, 2, 3]}, {"id": 7, "name": "rest", "color": [4, 5, 6]}]
TWO_CLASSES = {"classes": CLASSES, "ignore_id": 9}

Login = Callable[..., TestClient]


@pytest.fixture
def client(login: Login) -> TestClient:
    """A client whose caller reviews: what annotators see of it is in test_access.py."""
    return login("reviewer", "ada")


def test_a_project_has_the_preset_classes_and_the_default_settings(admin: TestClient) -> None:
    response = admin.post("/projects", json={"name": "streets", "classes": "camvid"})
    assert response.status_code == 201
    project = response.json()
    assert [each["name"] for each in project["classes"]][:3] == ["Sky", "Building", "Pole"]
    assert (len(project["classes"]), project["ignore_id"], project["active"]) == (11, 11, True)
    assert (project["settings"]["batch_size"], project["settings"]["strategy"]) == (24, "auto")


def test_a_project_may_have_classes_of_its_own(admin: TestClient) -> None:
    project = admin.post("/projects", json={"name": "own", "classes": TWO_CLASSES}).json()
    assert project["classes"] == [{**each, "was": []} for each in CLASSES]
    assert (project["retired"], project["changes"]) == ([], 0)
    assert project["ignore_id"] == 9


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"ignore_id": 7}, "7"),
        ({"classes": [CLASSES[0]] * 2}, "0"),
        ({"classes": [CLASSES[0]]}, "classes"),
        ({"ignore_id": 256}, "ignore_id"),
        ({"classes": [*CLASSES, {"id": 1, "name": "x", "color": [1, 2]}]}, "color"),
        ({"classes": [*CLASSES, {"id": 1, "name": "x", "color": [1, 2, 300]}]}, "x"),
    ],
)
def test_classes_that_contradict_each_other_are_422_with_a_sentence(
    admin: TestClient, change: dict[str, object], named: str
) -> None:
    response = admin.post("/projects", json={"name": "own", "classes": {**TWO_CLASSES, **change}})
    assert response.status_code == 422
    assert named in response.json()["error"]["message"]


@pytest.mark.parametrize(
    "body",
    [
        {"name": "a"},
        {"name": "", "classes": "camvid"},
        {"name": "a\u0000b", "classes": "camvid"},
        {"name": "a", "classes": "imagenet"},
        {"name": "a", "classes": "camvid", "settings": {"batch_size": 0}},
        {"name": "a", "classes": "camvid", "settings": {"batch_size": 10**30}},
        {"name": "a", "classes": "camvid", "settings": {"no_such_setting": 1}},
        {"name": "a", "classes": "camvid", "settings": {"segmenter": "a\u0000"}},
        {"name": "a", "classes": "camvid", "stray": 1},
    ],
)
def test_a_body_that_does_not_fit_is_422(admin: TestClient, body: dict[str, object]) -> None:
    response = admin.post("/projects", json=body)
    assert response.status_code == 422
    assert response.json()["error"]["code"] == "invalid_request"


def test_names_are_given_once(admin: TestClient) -> None:
    body = {"name": "streets", "classes": "camvid"}
    assert [admin.post("/projects", json=body).status_code for _ in range(2)] == [201, 409]


def test_projects_are_listed_in_pages(admin: TestClient, make: Maker) -> None:
    for place in range(5):
        make.project(f"p{place}")
    first = admin.get("/projects", params={"limit": 2}).json()
    second = admin.get("/projects", params={"limit": 2, "after": first["next"]}).json()
    third = admin.get("/projects", params={"limit": 2, "after": second["next"]}).json()
    names = [[each["name"] for each in page["items"]] for page in (first, second, third)]
    assert names == [["p0", "p1"], ["p2", "p3"], ["p4"]]
    assert third["next"] is None
    for params in ({"limit": 501}, {"limit": 0}, {"after": -1}, {"after": 2**63}):
        assert admin.get("/projects", params=params).status_code == 422


def test_a_project_tells_how_far_it_has_come(client: TestClient, make: Maker, database: Database) -> None:
    project = make.project(budget=10, batch_size=3)
    images = make.images(project, 2)
    make.images(project, 3, split="reward", height=95, width=81)
    regions = make.round_(project, images, regions=6)
    with database.write() as session:
        for kind in ("segmenter", "segmenter", "policy"):
            session.add(Checkpoint(project_id=project.id, kind=kind, blob_key="x", description={}, created_at=START))
            session.flush()
        session.get_one(type(regions[0]), regions[0].id).state = "labelled"
        session.get_one(type(regions[0]), regions[1].id).state = "skipped"
        told = Round(project_id=project.id, number=2, state="told", size=1, seconds={}, note="", created_at=START)
        told.miou_before, told.miou_after, told.warning = 0.25, 0.5, "mIoU fell."
        session.add(told)
    detail = client.get(f"/projects/{project.id}").json()
    assert detail["images"] == {"pool": 2, "reward": 3}
    assert detail["pool_regions"] == 8  # two images of 180 x 160 in cells of 90 x 80
    assert detail["regions"] == {"open": 4, "review": 0, "labelled": 1, "skipped": 1}
    assert detail["rounds"] == {"scoring": 0, "open": 1, "labelled": 0, "told": 1}
    assert detail["budget_left"] == 5  # a skipped region costs nothing
    assert {kind: each["id"] for kind, each in detail["checkpoints"].items()} == {"segmenter": 2, "policy": 3}
    assert (detail["miou"], detail["warning"]) == (0.5, "mIoU fell.")
    listed = client.get(f"/projects/{project.id}/rounds").json()["items"]
    assert [each["warning"] for each in listed] == [None, "mIoU fell."]
    with database.write() as session:  # a round that did not fall takes the warning away
        session.add(Round(project_id=project.id, number=3, state="told", size=1, seconds={}, note="", created_at=START))
        session.add(Round(project_id=project.id, number=4, state="open", size=1, seconds={}, note="", created_at=START))
    assert client.get(f"/projects/{project.id}").json()["warning"] is None


def test_a_project_nobody_made_is_404(client: TestClient) -> None:
    for path in ("/projects/99", f"/projects/{2**63 - 1}"):
        response = client.get(path)
        assert response.status_code == 404
        assert response.json()["error"]["code"] == "not_found"
    for path in ("/projects/0", "/projects/-1", f"/projects/{2**63}", "/projects/one"):
        assert client.get(path).status_code == 422


def test_a_campaign_is_paused_and_resumed_and_its_changes_are_recorded(
    admin: TestClient, make: Maker, database: Database
) -> None:
    project = make.project(strategy="entropy")
    make.images(project, 1)
    path = f"/projects/{project.id}"
    assert admin.patch(path, json={"active": False}).json()["active"] is False
    changed = admin.patch(path, json={"active": True, "settings": {"budget": 48, "strategy": "entropy"}}).json()
    assert (changed["active"], changed["settings"]["budget"], changed["settings"]["batch_size"]) == (True, 48, 24)
    assert admin.patch(path, json={"settings": {"budget": None}}).json()["settings"]["budget"] is None
    with database.read() as session:
        kind = select(Event.detail).where(Event.kind == "project_changed").order_by(Event.id)
        changes = [detail["changes"] for detail in session.scalars(kind)]
    assert changes == [{"active": False}, {"budget": 48, "active": True}, {"budget": None}]


def test_settings_that_shape_regions_are_fixed_once_there_are_images(admin: TestClient, make: Maker) -> None:
    project = make.project()
    path = f"/projects/{project.id}"
    wanted = {"settings": {"cell_width": 40, "seed": 5, "learning_rate": 0.1}}
    assert admin.patch(path, json=wanted).json()["settings"]["cell_width"] == 40
    make.images(project, 1)
    assert admin.patch(path, json=wanted).status_code == 200  # nothing changes
    response = admin.patch(path, json={"settings": {"cell_width": 80, "seed": 6, "budget": 1}})
    assert response.status_code == 409
    assert response.json()["error"]["detail"] == {"fixed": ["cell_width", "seed"]}
    assert admin.get(path).json()["settings"]["budget"] is None
    assert admin.patch("/projects/99", json={}).status_code == 404


@pytest.mark.parametrize(
    ("given", "later", "cell"),
    [
        ({}, {}, (24, 32)),
        ({}, {"cell_height": 90, "cell_width": 80}, (90, 80)),
        ({}, {"budget": 5}, (24, 32)),
        ({"cell_width": 16}, {}, (90, 16)),
        ({"cell_height": 90, "cell_width": 80}, {}, (90, 80)),
    ],
)
def test_the_first_images_choose_the_size_of_regions_where_nobody_has(
    admin: TestClient, make: Maker, given: dict[str, int], later: dict[str, int], cell: tuple[int, int]
) -> None:
    made = admin.post("/projects", json={"name": "streets", "classes": "camvid", "settings": given}).json()
    path = f"/projects/{made['id']}"
    assert admin.patch(path, json={"settings": later}).status_code == 200
    for height, width in ((96, 128), (360, 480)):
        files = [("image", (f"{height}.png", make.picture(height, width)))]
        assert admin.post(f"{path}/images", files=files, data={"split": "pool"}).status_code == 201
        settings = admin.get(path).json()["settings"]
        assert (settings["cell_height"], settings["cell_width"]) == cell
    assert admin.patch(path, json={"settings": {"cell_width": 60}}).json()["error"]["code"] == "settings_fixed"


@pytest.mark.parametrize("levels", [1, 2])
def test_a_cost_may_change_while_a_campaign_runs(admin: TestClient, make: Maker, levels: int) -> None:
    settings = {"cost": "clicks", "levels": levels}
    made = admin.post("/projects", json={"name": "streets", "classes": "camvid", "settings": settings})
    assert (made.status_code, made.json()["settings"]["cost"]) == (201, "clicks")

    project = make.project("running", levels=levels)
    make.images(project, 1)
    changed = admin.patch(f"/projects/{project.id}", json={"settings": {"cost": "seconds"}})
    assert (changed.status_code, changed.json()["settings"]["cost"]) == (200, "seconds")
    assert changed.json()["settings"]["levels"] == levels


def test_bald_takes_dropout(admin: TestClient, make: Maker) -> None:
    refused = admin.post(
        "/projects", json={"name": "streets", "classes": "camvid", "settings": {"strategy": "bald", "dropout": 0}}
    )
    assert refused.status_code == 422
    assert "set dropout above 0" in refused.json()["error"]["message"]
    project = make.project("plain", dropout=0.0, strategy="entropy")
    refused = admin.patch(f"/projects/{project.id}", json={"settings": {"strategy": "bald"}})
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "settings_contradict")
