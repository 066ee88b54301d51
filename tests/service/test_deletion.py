"""Deletions and new names over HTTP: what is said first, what goes, what stays, and what stands in the way."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update
from starlette.testclient import TestClient

from service.blobs import Blobs
from service.db import Database
from service.removal import remove_due
from service.store import job_orders
from service.store import jobs as jobs_store
from service.store.pool import groups_of_split
from service.store.removals import GRACE
from service.tables import Base, BlobRemoval, Event, Image, Job, Project, Region, Round
from tests.conftest import START, FakeClock
from tests.maker import Maker
from tests.service.labelled import Labelled, make_labelled

ALL = {"images": 4, "regions": 16, "labels": 7, "rounds": 1, "checkpoints": 1, "jobs": 0}


def files(tmp_path: Path) -> set[str]:
    root = tmp_path / "blobs"
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def rows(database: Database) -> dict[str, int]:
    """How many rows each table has, of those that belong to projects."""
    tables = [table for table in Base.metadata.tables.values() if "project_id" in table.c or table.name == "projects"]
    with database.read() as session:
        return {table.name: session.scalar(select(func.count()).select_from(table)) or 0 for table in tables}


def queued(database: Database, project: Project, kind: Any = "pretrain") -> int:
    with database.write() as session:
        return jobs_store.queue_job(session, project_id=project.id, kind=kind, payload={}, now=START).id


def running(database: Database, project: Project) -> int:
    job = queued(database, project)
    with database.write() as session:
        assert jobs_store.claim_job(session, job, now=START, stale_after=timedelta(minutes=2)) is not None
    return job


@pytest.fixture
def labelled(make: Maker, admin: TestClient) -> Labelled:
    """A project with labels, which the tests delete; its bytes are in the blobs."""
    return make_labelled(make, admin, name="My streets")


def tell(database: Database) -> None:
    """All rounds are learned from."""
    with database.write() as session:
        session.execute(update(Round).values(state="told"))


def test_a_project_that_is_not_confirmed_stays_and_says_what_would_go(
    labelled: Labelled, admin: TestClient, database: Database
) -> None:
    before = rows(database)
    for params in ({}, {"confirm": "streets"}):
        refused = admin.delete(f"/projects/{labelled.project.id}", params=params)
        assert refused.status_code == 409
        error = refused.json()["error"]
        assert (error["code"], error["detail"]) == ("confirm_deletion", {"confirm": "My streets", **ALL})
        assert error["message"] == (
            "This deletes the project My streets with 4 images, 7 labelled regions, 1 round and 1 checkpoint, for good. "
            "To go on, say confirm=My streets."
        )
    assert rows(database) == before


def test_a_project_is_deleted_with_all_that_is_its_own_and_its_events_stay(
    labelled: Labelled, admin: TestClient, make: Maker, database: Database, clock: FakeClock, tmp_path: Path
) -> None:
    other = make.project("other")
    shared = labelled.files["a.png"]
    admin.post(f"/projects/{other.id}/images", data={"split": "pool"}, files={"image": ("same.png", shared)})
    job = queued(database, labelled.project)
    make.blobs.replace(f"jobs/{job}/fit.safetensors", b"half a fit")
    make.blobs.replace(f"jobs/{job + 1}/fit.safetensors", b"somebody else's")
    events = rows(database)["events"]
    deleted = admin.delete(f"/projects/{labelled.project.id}", params={"confirm": "My streets", "force": True})
    assert (deleted.status_code, deleted.json()) == (200, {**ALL, "jobs": 1})
    assert rows(database) == {
        **dict.fromkeys(("image_groups", "images", "projects"), 1),
        **dict.fromkeys(("checkpoints", "jobs", "rounds", "regions"), 0),
        **dict.fromkeys(("class_changes", "comparisons", "gold_turns", "reviews"), 0),
        "events": events + 1,
        "memberships": 2,  # of the other project
    }
    with database.read() as session:
        last = session.scalars(select(Event).order_by(Event.id.desc()).limit(1)).one()
    assert (last.kind, last.project_id, last.detail["name"]) == ("project_deleted", labelled.project.id, "My streets")
    assert admin.get(f"/projects/{labelled.project.id}").status_code == 404

    assert remove_due(database, make.blobs, clock()) == 0  # a while goes by first
    clock.advance(seconds=GRACE.total_seconds())
    assert remove_due(database, make.blobs, clock()) == 6
    with database.read() as session:
        kept = session.scalars(select(Image)).one().blob_key
    assert files(tmp_path) == {kept, f"jobs/{job + 1}/fit.safetensors"}
    assert admin.get("/images/5/file").content == shared


def test_the_number_of_a_deleted_project_is_not_given_again(make: Maker, admin: TestClient) -> None:
    first = make.project("first")
    assert admin.delete(f"/projects/{first.id}", params={"confirm": "first"}).status_code == 200
    made = admin.post("/projects", json={"name": "first", "classes": "camvid"})
    assert made.json()["id"] == first.id + 1


def test_a_project_whose_job_runs_stays_until_that_has_ended(
    make: Maker, admin: TestClient, database: Database
) -> None:
    project = make.project("first")
    job = running(database, project)
    for params in ({}, {"confirm": "first"}):
        refused = admin.delete(f"/projects/{project.id}", params=params).json()["error"]
        assert (refused["code"], refused["detail"]) == ("job_running", {"job_id": job})
    with database.write() as session:
        jobs_store.cancel_job(session, session.get_one(Job, job), now=START)
    assert admin.delete(f"/projects/{project.id}", params={"confirm": "first"}).status_code == 200
    with database.write() as session:  # a message that comes late finds nothing
        assert jobs_store.claim_job(session, job, now=START, stale_after=timedelta(minutes=2)) is None


def test_bytes_that_come_again_before_they_are_removed_stay(
    labelled: Labelled, admin: TestClient, make: Maker, database: Database, clock: FakeClock
) -> None:
    assert (
        admin.delete(f"/projects/{labelled.project.id}", params={"confirm": "My streets", "force": True}).status_code
        == 200
    )
    again = make.project("again")
    sent = {"image": ("a.png", labelled.files["a.png"])}
    assert admin.post(f"/projects/{again.id}/images", data={"split": "pool"}, files=sent).status_code == 201
    clock.advance(hours=1)
    remove_due(database, make.blobs, clock())
    assert admin.get("/images/5/file").content == labelled.files["a.png"]
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(BlobRemoval)) == 0


def test_an_upload_whose_bytes_are_removed_meanwhile_is_refused_whole(
    make: Maker, admin: TestClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make.project()
    monkeypatch.setattr(Blobs, "put", lambda self, key, data: None)  # it was there, and is not any more
    sent = {"image": ("a.png", make.picture(32, 32))}
    refused = admin.post(f"/projects/{project.id}/images", data={"split": "pool"}, files=sent)
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "bytes_removed")
    assert rows(database)["images"] == 0


def test_bytes_that_cannot_be_removed_now_are_tried_again_and_keep_no_others(
    labelled: Labelled,
    admin: TestClient,
    make: Maker,
    database: Database,
    clock: FakeClock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    admin.delete(f"/projects/{labelled.project.id}", params={"confirm": "My streets", "force": True})
    clock.advance(hours=1)
    delete = Blobs.delete

    def refuse_one(self: Blobs, key: str) -> None:
        if key.startswith("checkpoints/"):
            raise PermissionError("read-only")
        delete(self, key)

    monkeypatch.setattr(Blobs, "delete", refuse_one)
    remove_due(database, make.blobs, clock())
    assert [name.partition("/")[0] for name in files(tmp_path)] == ["checkpoints"]
    monkeypatch.undo()
    clock.advance(hours=1)
    assert remove_due(database, make.blobs, clock()) == 1
    assert files(tmp_path) == set()


def test_an_image_says_what_goes_with_it_and_the_last_of_its_group_takes_its_place(
    labelled: Labelled, admin: TestClient, database: Database
) -> None:
    tell(database)
    second = labelled.images[1]
    refused = admin.delete(f"/images/{second.id}").json()["error"]
    lost = {"images": 1, "regions": 4, "labels": 2, "rounds": 0, "checkpoints": 0, "jobs": 0}
    assert (refused["code"], refused["detail"]) == ("confirm_deletion", {"confirm": second.name, **lost})
    assert refused["message"].startswith("This deletes the image a.jpg: 1 image and 2 labelled regions, for good")
    deleted = admin.delete(f"/images/{second.id}", params={"confirm": second.name})
    assert (deleted.status_code, deleted.json()) == (200, lost)
    with database.read() as session:
        (group,) = groups_of_split(session, labelled.project.id, "pool")
        places = session.execute(select(Image.ordinal, Image.name).order_by(Image.ordinal)).all()
        assert session.scalar(select(func.count()).where(Region.image_id == second.id)) == 0
    assert group.count == 3
    assert [tuple(each) for each in places] == [(0, "a.png"), (1, "Aux.webp"), (2, "a-2.png")]
    standing = admin.get(f"/projects/{labelled.project.id}").json()
    assert (standing["images"], standing["pool_regions"]) == ({"pool": 3}, 12)
    assert admin.get(f"/images/{second.id}").status_code == 404
    rounds = admin.get(f"/projects/{labelled.project.id}/rounds").json()["items"]
    assert [each["size"] for each in rounds] == [16]  # what was asked for was asked for


def test_a_group_without_images_goes_and_the_name_is_free_again(
    make: Maker, admin: TestClient, database: Database
) -> None:
    project = make.project()
    (image,) = make.images(project, 1)
    assert admin.delete(f"/images/{image.id}", params={"confirm": image.name}).status_code == 200
    assert rows(database)["image_groups"] == 0
    sent = {"image": (image.name, make.picture(32, 32, seed=1))}
    added = admin.post(f"/projects/{project.id}/images", data={"split": "pool"}, files=sent)
    assert added.status_code == 201
    assert added.json()["items"][0]["image"]["id"] == image.id + 1


def test_an_image_that_a_round_waits_for_stays(labelled: Labelled, admin: TestClient) -> None:
    image = labelled.images[0]
    refused = admin.delete(f"/images/{image.id}", params={"confirm": image.name}).json()["error"]
    assert refused["code"] == "round_needs_image"
    assert refused["message"].startswith("Round 1 has regions of a.png, and is not learned from yet")


def test_an_image_stays_while_a_job_is_under_way_and_goes_while_one_only_waits(
    make: Maker, admin: TestClient, database: Database
) -> None:
    project = make.project()
    first, second = make.images(project, 2)
    job = running(database, project)
    refused = admin.delete(f"/images/{first.id}", params={"confirm": first.name}).json()["error"]
    assert (refused["code"], refused["detail"]) == ("job_running", {"job_id": job})
    with database.write() as session:  # between two slices it still knows images by their places
        jobs_store.yield_job(session, session.get_one(Job, job), now=START)
    assert admin.delete(f"/images/{first.id}", params={"confirm": first.name}).status_code == 409
    with database.write() as session:
        job_orders.request_cancel(session, job, now=START)
    queued(database, project)
    assert admin.delete(f"/images/{first.id}", params={"confirm": first.name}).status_code == 200
    assert admin.get(f"/images/{second.id}").status_code == 200


def test_a_project_has_a_new_name(make: Maker, admin: TestClient, database: Database) -> None:
    first, second = make.project("first"), make.project("second")
    renamed = admin.patch(f"/projects/{first.id}", json={"name": " night "})
    assert (renamed.status_code, renamed.json()["name"]) == (200, "night")
    taken = admin.patch(f"/projects/{second.id}", json={"name": "night", "active": False})
    assert (taken.status_code, taken.json()["error"]["code"]) == (409, "project_exists")
    assert admin.get(f"/projects/{second.id}").json()["active"]
    assert admin.patch(f"/projects/{first.id}", json={"name": "night"}).status_code == 200
    with database.read() as session:
        changed = session.scalars(select(Event.detail).where(Event.kind == "project_changed")).all()
    assert changed == [{"changes": {"name": "night"}}]


def test_who_is_no_admin_neither_deletes_nor_renames(make: Maker, client: TestClient) -> None:
    project = make.project()
    (image,) = make.images(project, 1)
    for path in (f"/projects/{project.id}", f"/images/{image.id}"):
        assert client.delete(path).status_code == 403
        assert client.patch(path, json={"name": "mine"}).status_code == 403


def test_what_is_not_there_is_neither_deleted_nor_renamed(admin: TestClient) -> None:
    for path in ("/projects/7", "/images/7"):
        assert admin.delete(path, params={"confirm": "a"}).status_code == 404
        assert admin.patch(path, json={"name": "a"}).status_code == 404
