"""A campaign whose job has failed says so wherever it is looked at, and goes on when an admin says how."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from service.db import Database
from service.store import jobs, rounds
from service.store.watched import failed_for_good
from service.tables import Event, Job, Project, Region, Round
from tests.conftest import START
from tests.maker import Maker

FULL = "OSError: [Errno 28] No space left on device"


@pytest.fixture
def project(make: Maker, database: Database) -> Project:
    """A project whose first round is being scored."""
    project = make.project(batch_size=3)
    make.images(project, 2)
    with database.write() as session:
        rounds.advance(session, session.get_one(Project, project.id), START)
    return project


def job_of(database: Database, kind: str) -> Job:
    with database.read() as session:
        return session.scalars(select(Job).where(Job.kind == kind).order_by(Job.id.desc())).first() or pytest.fail(kind)


def fail(database: Database, kind: str, error: str = FULL) -> Job:
    with database.write() as session:
        job = session.get_one(Job, job_of(database, kind).id)
        jobs.fail_job(session, job, now=START, error=error, max_attempts=3, final=True)
    return job


def labelled_round(make: Maker, database: Database, project: Project) -> Round:
    """Round 1 with its labels, whose tell is queued."""
    made = make.round_(project, make.images(project, 1), regions=2)
    with database.write() as session:
        for region in made:
            session.get_one(Region, region.id).state = "labelled"
        round_ = session.get_one(Round, made[0].round_id)
        rounds.close_if_done(session, round_, START)
        return round_


def test_what_failed_for_good_is_told_to_those_who_wait_with_its_job_and_sentence(
    client: TestClient, project: Project, database: Database
) -> None:
    assert client.get("/next-regions").json()["reason"] == "scoring"
    job = fail(database, "ask")
    body = client.get("/next-regions").json()
    assert (body["reason"], body["job_id"], body["retry_after"]) == ("failed", job.id, 30)
    assert FULL in body["sentence"]


def test_the_project_and_readyz_say_that_it_stands_still(
    client: TestClient, stranger: TestClient, project: Project, database: Database
) -> None:
    job = fail(database, "ask")
    (stalled,) = client.get(f"/projects/{project.id}").json()["stalled"]
    assert stalled == {"round_id": 1, "round": 1, "job_id": job.id, "kind": "ask", "failed": True, "sentence": FULL}
    ready = stranger.get("/readyz")
    assert ready.status_code == 200
    assert ready.json()["stalled"] == {
        str(project.id): f"Job {job.id}, ask of round 1, has failed: see GET /jobs/{job.id}."
    }


def test_a_paused_project_does_not_stand_still(admin: TestClient, project: Project, database: Database) -> None:
    fail(database, "ask")
    admin.patch(f"/projects/{project.id}", json={"active": False})
    assert admin.get("/next-regions").json()["reason"] == "not_started"
    assert admin.get("/readyz").json()["stalled"] == {}


def test_a_failed_job_that_is_tried_again_is_waited_for(
    admin: TestClient, project: Project, database: Database
) -> None:
    job = fail(database, "ask")
    assert admin.post(f"/jobs/{job.id}/retry").status_code == 200
    assert admin.get("/next-regions").json()["reason"] == "scoring"
    assert admin.get(f"/projects/{project.id}").json()["stalled"] == []


def test_a_round_without_regions_is_closed_empty_and_the_next_is_asked_for(
    admin: TestClient, project: Project, database: Database
) -> None:
    job = fail(database, "ask")
    closed = admin.post("/rounds/1/close").json()
    assert (closed["state"], closed["size"]) == ("told", 0)
    assert closed["note"] == f"Closed without its ask (job {job.id}): {FULL}"
    assert admin.get("/next-regions").json()["reason"] == "scoring"
    second = job_of(database, "ask")
    assert (second.id != job.id, second.state, second.payload) == (True, "queued", {"round_id": 2})
    with database.read() as session:
        assert session.scalars(select(Event.kind).where(Event.kind == "round_closed")).all() == ["round_closed"]


def test_a_labelled_round_is_passed_over_and_keeps_its_labels(
    admin: TestClient, make: Maker, database: Database
) -> None:
    project = make.project(batch_size=3)
    round_ = labelled_round(make, database, project)
    job = fail(database, "tell")
    assert admin.get("/next-regions").json()["job_id"] == job.id
    with database.read() as session:
        assert [each.id for each in failed_for_good(session)] == [job.id]
    closed = admin.post(f"/rounds/{round_.id}/close").json()
    assert (closed["state"], closed["size"], closed["result_checkpoint_id"]) == ("told", 2, None)
    assert closed["note"].endswith(FULL)
    counts = admin.get(f"/projects/{project.id}").json()
    assert (counts["regions"]["labelled"], counts["stalled"]) == (2, [])
    with database.read() as session:
        assert failed_for_good(session) == []  # nobody waits for it any more
    assert job_of(database, "ask").state == "queued"


def test_a_job_that_waits_after_a_failure_says_why_and_is_due_and_may_be_gone_on_without(
    admin: TestClient, project: Project, database: Database
) -> None:
    with database.write() as session:
        job = session.get_one(Job, job_of(database, "ask").id)
        jobs.postpone_job(session, job, now=START, error=FULL, wait=timedelta(seconds=4))
    shown = admin.get(f"/jobs/{job.id}").json()
    assert (shown["state"], shown["error"], shown["due_at"]) == ("queued", FULL, "2026-01-05T12:00:04Z")
    assert admin.get("/next-regions").json()["reason"] == "scoring"
    assert admin.get(f"/projects/{project.id}").json()["stalled"][0]["failed"] is False
    assert admin.post("/rounds/1/close").status_code == 200
    assert job_of(database, "ask").payload == {"round_id": 2}
    assert admin.get(f"/jobs/{job.id}").json()["state"] == "cancelled"


def refused(response: Any) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


def test_a_round_that_goes_on_is_not_closed_and_annotators_close_none(
    admin: TestClient, client: TestClient, project: Project, database: Database, make: Maker
) -> None:
    assert refused(admin.post("/rounds/1/close")) == (409, "round_not_stalled")
    assert refused(admin.post("/rounds/77/close"))[0] == 404
    fail(database, "ask")
    assert client.post("/rounds/1/close").status_code == 403
    assert admin.post("/rounds/1/close").status_code == 200
    assert refused(admin.post("/rounds/1/close")) == (409, "round_not_stalled")
