"""Jobs, rounds and export over HTTP: who may, what is refused, and how it looks."""

import io
import json
import zipfile
from collections.abc import Callable

import pytest
from sqlalchemy import update
from starlette.testclient import TestClient

from service.db import Database
from service.store import jobs
from service.tables import Project, Region, Round
from tests.conftest import START, Outbox
from tests.maker import Maker

Login = Callable[..., TestClient]


@pytest.fixture
def client(login: Login) -> TestClient:
    """A client whose caller reviews: what annotators see of it is in test_access.py."""
    return login("reviewer", "ada")


def with_a_label(make: Maker, database: Database) -> Project:
    """A project with a labelled region, learned from: enough for pretrain and finish."""
    project = make.project()
    make.round_(project, make.images(project, 1), regions=1)
    with database.write() as session:
        session.execute(update(Round).values(state="told"))
        session.execute(update(Region).values(state="labelled"))
    return project


def test_an_admin_starts_a_job_and_reviewers_watch_it(
    admin: TestClient, client: TestClient, make: Maker, outbox: Outbox, database: Database
) -> None:
    project = with_a_label(make, database)
    started = admin.post(f"/projects/{project.id}/jobs", json={"kind": "pretrain", "settings": {"max_epochs": 3}})
    assert started.status_code == 202
    job = started.json()
    assert (job["kind"], job["state"], job["progress"]) == ("pretrain", "queued", 0.0)
    assert outbox == [(job["id"], "pretrain")]
    assert client.get(f"/jobs/{job['id']}").json() == job
    assert client.get(f"/projects/{project.id}/jobs").json() == {"items": [job], "next": None}


def test_two_jobs_of_a_kind_do_not_run_at_once(admin: TestClient, make: Maker, database: Database) -> None:
    project = with_a_label(make, database)
    first = admin.post(f"/projects/{project.id}/jobs", json={"kind": "finish"}).json()
    again = admin.post(f"/projects/{project.id}/jobs", json={"kind": "finish"})
    assert again.status_code == 409
    assert again.json()["error"]["code"] == "job_running"
    assert again.json()["error"]["detail"] == {"job_id": first["id"]}


def test_annotators_start_cancel_and_retry_nothing(
    admin: TestClient, login: Login, make: Maker, database: Database
) -> None:
    client = login("annotator")
    project = with_a_label(make, database)
    job = admin.post(f"/projects/{project.id}/jobs", json={"kind": "finish"}).json()
    for path in (f"/projects/{project.id}/jobs", f"/jobs/{job['id']}/cancel", f"/jobs/{job['id']}/retry"):
        assert client.post(path, json={"kind": "finish"}).status_code == 403
    assert client.get(f"/projects/{project.id}/export").status_code == 403


def test_jobs_that_do_not_exist_are_named_in_the_error(admin: TestClient, make: Maker) -> None:
    project = make.project()
    for body in ({"kind": "dance"}, {"kind": "pretrain", "settings": {"max_epochs": 0}}, {"kind": "ask"}, {}):
        response = admin.post(f"/projects/{project.id}/jobs", json=body)
        assert response.status_code == 422
        assert response.json()["error"]["message"]
    assert admin.get("/jobs/99").status_code == 404
    assert admin.post("/projects/99/jobs", json={"kind": "finish"}).status_code == 404


def test_a_job_is_cancelled_and_tried_again(admin: TestClient, make: Maker, database: Database) -> None:
    job = admin.post(f"/projects/{with_a_label(make, database).id}/jobs", json={"kind": "finish"}).json()
    assert admin.post(f"/jobs/{job['id']}/cancel").json()["state"] == "cancelled"
    assert admin.post(f"/jobs/{job['id']}/cancel").json()["error"]["code"] == "job_ended"
    assert admin.post(f"/jobs/{job['id']}/retry").json()["state"] == "queued"
    assert admin.post(f"/jobs/{job['id']}/retry").json()["error"]["code"] == "job_not_ended"


def test_failures_are_shown_with_their_reason(admin: TestClient, make: Maker, database: Database) -> None:
    project = make.project()
    with database.write() as session:
        job = jobs.queue_job(session, project_id=project.id, kind="tell", now=START)
        jobs.fail_job(session, job, now=START, error="no space left", max_attempts=3, final=True)
    shown = admin.get(f"/projects/{project.id}/jobs").json()["items"][0]
    assert (shown["state"], shown["error"]) == ("failed", "no space left")


def test_rounds_are_listed_in_order_and_in_pages(client: TestClient, make: Maker, database: Database) -> None:
    project = make.project()
    images = make.images(project, 3)
    for number in (1, 2, 3):
        make.round_(project, [images[number - 1]], regions=2, number=number)
    with database.write() as session:
        told = session.query(Round).filter_by(number=1).one()
        told.state, told.reward, told.miou_before, told.miou_after = "told", 1.5, 0.4, 0.415
        told.iou_per_class = [0.5, None, *[0.25] * 9]
        told.class_counts = list(range(11))
    first = client.get(f"/projects/{project.id}/rounds", params={"limit": 2}).json()
    assert [each["number"] for each in first["items"]] == [1, 2]
    assert first["items"][0]["iou_per_class"]["Sky"] == 0.5
    assert first["items"][0]["iou_per_class"]["Building"] is None
    assert first["items"][0]["class_counts"]["Bicyclist"] == 10
    rest = client.get(f"/projects/{project.id}/rounds", params={"after": first["next"]}).json()
    assert [each["number"] for each in rest["items"]] == [3]
    assert rest["next"] is None


def test_an_export_without_labels_is_an_empty_zip_with_a_manifest(admin: TestClient, make: Maker) -> None:
    response = admin.get(f"/projects/{make.project('My streets / 2').id}/export")
    assert response.headers["content-type"] == "application/zip"
    assert 'filename="My-streets-2.zip"' in response.headers["content-disposition"]
    archive = zipfile.ZipFile(io.BytesIO(response.content))
    assert archive.namelist() == ["manifest.json"]
    assert json.loads(archive.read("manifest.json"))["images"] == []
