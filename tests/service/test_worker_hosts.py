"""Segmenters that no worker can build are refused when a project is to have them, where that is known."""

from starlette.testclient import TestClient

from service.db import Database
from service.store.workers import announce
from tests.conftest import START
from tests.maker import Maker
from workers.jobs.presence import Presence
from workers.training.building import missing_segmenters

SMP = {"smp:": "They need the extra smp: pip install 'regionwise[smp]'."}
WANTED = "smp:unet:resnet18"


def say(database: Database, name: str, missing: dict[str, str]) -> None:
    with database.write() as session:
        announce(session, name, missing, START)


def made(admin: TestClient, name: str, **settings: str) -> tuple[int, str]:
    answer = admin.post("/projects", json={"name": name, "classes": "camvid", "settings": settings})
    return answer.status_code, "" if answer.is_success else answer.json()["error"]["message"]


def test_what_no_worker_has_is_refused_and_what_one_has_is_not(admin: TestClient, database: Database) -> None:
    assert made(admin, "unknown", segmenter=WANTED) == (201, "")  # no worker has ever started
    say(database, "left", SMP)
    code, message = made(admin, "refused", segmenter=WANTED)
    assert (code, "pip install 'regionwise[smp]'" in message) == (422, True)
    assert made(admin, "other", segmenter="efficientnet-lite0") == (201, "")
    say(database, "right", {})
    assert made(admin, "one has it", segmenter=WANTED) == (201, "")
    say(database, "right", SMP)  # it was started again, without
    assert made(admin, "none has it", segmenter=WANTED)[0] == 422


def test_a_change_of_the_segmenter_is_refused_whole(admin: TestClient, make: Maker, database: Database) -> None:
    project = make.project(segmenter="fpn")
    say(database, "left", {**SMP, "fpn-resnet50": "Download its weights."})
    body = {"settings": {"segmenter": "fpn-resnet50", "encoder": "frozen"}, "active": False}
    refused = admin.patch(f"/projects/{project.id}", json=body)
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "segmenter_not_installed")
    shown = admin.get(f"/projects/{project.id}").json()
    assert (shown["active"], shown["settings"]["segmenter"]) == (True, "fpn")
    # Its own weights are drawn where it is trained as a whole.
    body = {"settings": {"segmenter": "fpn-resnet50", "encoder": "trained"}}
    assert admin.patch(f"/projects/{project.id}", json=body).status_code == 200


def test_a_worker_says_what_it_lacks(database: Database, admin: TestClient) -> None:
    presence = Presence(database, lambda: START, missing_segmenters(), seconds=60.0)
    presence.start()
    assert "efficientnet-lite0" not in missing_segmenters()
    lacks = "smp:" in missing_segmenters()
    assert made(admin, "smp", segmenter=WANTED)[0] == (422 if lacks else 201)
    presence.close()
    assert made(admin, "nothing is known", segmenter=WANTED)[0] == 201
