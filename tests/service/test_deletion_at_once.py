"""Deletions that meet other people: everyone gets an answer, nothing is half there, and a kill in between costs nothing."""

import base64
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from service.blobs import Blobs
from service.db import Database
from service.removal import remove_due
from service.tables import Image, ImageGroup
from tests.conftest import FakeClock
from tests.maker import Maker
from tests.service.labelled import make_labelled
from tests.service.test_deletion import files, rows
from tests.service.test_many_at_once import together

Login = Callable[..., TestClient]


def test_people_label_upload_cancel_and_delete_a_project_at_once(login: Login, make: Maker, database: Database) -> None:
    project = make.project(lookahead=False, batch_size=48)
    images = make.images(project, 12)
    make.round_(project, images, regions=48)
    (first,) = make.images(make.project("other"), 1)
    before = rows(database)
    mask = base64.b64encode(make.mask_png()).decode()
    statuses: Counter[tuple[str, int]] = Counter()

    def label(client: TestClient) -> None:
        while True:
            given = client.get("/next-regions", params={"project": project.id, "count": 2})
            statuses["next", given.status_code] += 1
            if given.status_code != 200 or not given.json()["items"]:
                return
            labels = [
                {"region_id": each["id"], "lease_token": each["lease_token"], "mask_png": mask}
                for each in given.json()["items"]
            ]
            statuses["label", client.post("/labels", json={"labels": labels}).status_code] += 1

    def upload(client: TestClient) -> None:
        for place in range(6):
            sent = {"image": (f"more-{place}.png", make.picture(32, 32, seed=place))}
            answer = client.post(f"/projects/{project.id}/images", data={"split": "pool"}, files=sent)
            statuses["upload", answer.status_code] += 1

    def delete(client: TestClient) -> None:
        while (
            answer := client.delete(f"/projects/{project.id}", params={"confirm": "streets", "force": True})
        ).status_code != 404:
            statuses["delete", answer.status_code] += 1

    works = [(label, login()) for _ in range(6)] + [(each, login("admin")) for each in (upload, delete, delete, delete)]
    together([lambda work=work, client=client: work(client) for work, client in works])  # type: ignore[misc]

    assert statuses["delete", 200] == 1
    assert {status for _, status in statuses} <= {200, 201, 404, 409}, statuses
    after = rows(database)
    assert {name: after[name] for name in after if name != "events"} == {
        **{name: 0 for name in before if name != "events"},
        **dict.fromkeys(("projects", "image_groups", "images"), 1),
        "memberships": len(works),  # of the other project, which is open to all
    }
    assert first.id == 13


def test_images_that_many_delete_at_once_leave_a_pool_without_gaps(
    login: Login, make: Maker, database: Database
) -> None:
    project = make.project()
    images = make.images(project, 12)
    gone: Counter[int] = Counter()

    def delete(client: TestClient, offset: int) -> None:
        for place in range(9):
            image = images[(offset + place) % 12] if (offset + place) % 4 else images[4]
            answer = client.delete(f"/images/{image.id}", params={"confirm": image.name})
            assert answer.status_code in (200, 404), answer.text
            gone[image.id] += answer.status_code == 200

    clients = [login("admin") for _ in range(6)]
    together([lambda client=client, n=n: delete(client, n) for n, client in enumerate(clients)])  # type: ignore[misc]

    left = {each.id for each in images} - set(gone)
    assert set(gone.values()) == {1}
    with database.read() as session:
        places = session.execute(select(Image.ordinal, Image.id).order_by(Image.ordinal)).all()
        counts = list(session.scalars(select(ImageGroup.count)))
    assert [place for place, _ in places] == list(range(len(left)))
    assert {id for _, id in places} == left
    assert counts == [len(left)]


class Killed(BaseException):
    """Nothing is run any more, as after a kill."""


@pytest.mark.parametrize("removed", [0, 1, 3])
def test_whoever_comes_after_a_kill_removes_the_bytes_that_are_left(
    make: Maker,
    admin: TestClient,
    database: Database,
    clock: FakeClock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    removed: int,
) -> None:
    labelled = make_labelled(make, admin)
    admin.delete(f"/projects/{labelled.project.id}", params={"confirm": labelled.project.name, "force": True})
    clock.advance(minutes=5)
    done, delete = 0, Blobs.delete

    def until_killed(self: Blobs, key: str) -> None:
        nonlocal done
        if done == removed:
            raise Killed
        done += 1
        delete(self, key)

    with monkeypatch.context() as patch:
        patch.setattr(Blobs, "delete", until_killed)
        with pytest.raises(Killed):
            remove_due(database, make.blobs, clock())
    assert len(files(tmp_path)) == 5 - removed
    assert remove_due(database, make.blobs, clock()) == 5
    assert files(tmp_path) == set()
    assert remove_due(database, make.blobs, clock()) == 0
