"""Health: up as soon as the process is, ready only when requests can be served."""

import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

import pytest
from fastapi import FastAPI
from sqlalchemy import update
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from service import migrate
from service.app import create_app
from service.blobs import Blobs
from service.commands.going_down import losses_of
from service.db import Database
from service.settings import Settings
from service.store import job_orders, jobs, recovery
from service.store.jobs import queue_job
from service.store.workers import announce
from service.tables import Job
from tests.conftest import FakeClock, at_revision
from tests.maker import Maker

LABELLING = {"database": "ok", "migrations": "ok", "blobs": "ok", "disk": "ok"}


def test_the_process_is_up_and_ready_and_says_so_to_strangers(stranger: TestClient) -> None:
    assert stranger.get("/healthz").json() == {"status": "ok", "version": version("regionwise")}
    response = stranger.get("/readyz")
    assert response.status_code == 200
    assert response.json() == {
        "status": "ready",
        "checks": {**LABELLING, "broker": "embedded", "workers": "ok", "jobs": "ok"},
        "stalled": {},
    }


def test_an_old_schema_is_not_ready(stranger: TestClient, database: Database) -> None:
    with at_revision(database, "0001"):
        response = stranger.get("/readyz")
        assert response.status_code == 503
        assert "0001" in response.json()["checks"]["migrations"]
        assert stranger.get("/healthz").status_code == 200


def test_while_a_later_release_is_installed_people_go_on_labelling(
    stranger: TestClient, admin: TestClient, database: Database
) -> None:
    with at_revision(database, "9999"):
        response = stranger.get("/readyz")
        assert (response.status_code, response.json()["status"]) == (200, "degraded")
        checks = response.json()["checks"]
        assert "9999" in checks.pop("migrations")
        assert set(checks.values()) <= {"ok", "embedded"}
        assert admin.get("/projects").status_code == 200


def test_a_database_of_a_later_release_is_left_as_it_is_and_the_reason_said(database: Database, tmp_path: Path) -> None:
    url = database.engine.url.render_as_string(hide_password=False)
    with at_revision(database, "9999"):
        for brought in (
            lambda: migrate.upgrade(url),
            lambda: migrate.downgrade(url, "0001"),
            lambda: losses_of(url, "0001"),
        ):
            with pytest.raises(ValueError, match="later release has brought the database to 9999"):
                brought()
        with database.engine.connect() as connection:
            assert migrate.current(connection) == "9999"


def test_a_database_that_does_not_answer_is_not_ready(tmp_path: Path, blobs: Blobs) -> None:
    for url in ("postgresql+psycopg://nobody@127.0.0.1:1/none", f"sqlite:///{tmp_path}/no/such/folder/x.db"):
        app = create_app(Settings(data_dir=tmp_path), database=Database(url), blobs=blobs)
        client = TestClient(app, raise_server_exceptions=False)
        response = client.get("/readyz")
        assert (response.status_code, response.json()["status"]) == (503, "not_ready")
        assert response.json()["checks"]["database"] != "ok"
        answer = client.get("/projects", headers={"Authorization": "Bearer rw_x"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "database_unavailable")


def test_a_broker_that_is_away_delays_learning_and_stops_nobody_from_labelling(
    database: Database, blobs: Blobs, tmp_path: Path
) -> None:
    with database.write() as session:
        announce(session, "a machine", {}, datetime.now(UTC))
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        settings = Settings(data_dir=tmp_path, broker_url=f"redis://127.0.0.1:{port}/0")
        client = TestClient(create_app(settings, database=database, blobs=blobs))
        response = client.get("/readyz")
        assert response.json() == {
            "status": "ready",
            "checks": {**LABELLING, "broker": "ok", "workers": "ok", "jobs": "ok"},
            "stalled": {},
        }
    response = client.get("/readyz")
    assert response.status_code == 200
    assert response.json() == {
        "status": "degraded",
        "checks": {**LABELLING, "broker": "It does not answer.", "workers": "ok", "jobs": "ok"},
        "stalled": {},
    }


def test_without_a_worker_learning_is_held_up(database: Database, blobs: Blobs, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, broker_url="filesystem://")
    client = TestClient(create_app(settings, database=database, blobs=blobs))
    response = client.get("/readyz")
    assert (response.status_code, response.json()["status"]) == (200, "degraded")
    assert "regionwise worker" in response.json()["checks"]["workers"]
    with database.write() as session:
        announce(session, "a machine", {}, datetime.now(UTC))
    assert client.get("/readyz").json()["status"] == "ready"


def test_a_round_that_no_worker_looks_at_is_late_and_one_that_waits_for_another_is_not(
    stranger: TestClient, make: Maker, database: Database, clock: FakeClock
) -> None:
    with database.write() as session:
        queue_job(session, project_id=make.project().id, kind="tell", now=clock())
    clock.advance(minutes=4)
    assert stranger.get("/readyz").json()["status"] == "ready"
    clock.advance(minutes=2)
    response = stranger.get("/readyz")
    assert (response.status_code, response.json()["status"]) == (200, "degraded")
    assert "tell" in response.json()["checks"]["workers"]
    with database.write() as session:
        session.execute(update(Job).values(sent_at=None))
    assert stranger.get("/readyz").json()["status"] == "ready"


def _failed(session: Session, job: Job, now: datetime) -> None:
    jobs.fail_job(session, job, now=now, error="no room", max_attempts=3, wait=timedelta(minutes=30))


def _held(session: Session, job: Job, now: datetime) -> None:
    job.state, job.lock, job.sent_at = "queued", None, None


def _swept(session: Session, now: datetime) -> None:
    stale, often = timedelta(minutes=2), timedelta(seconds=30)
    recovery.sweep(session, now=now, resend_after=often, stale_after=stale, max_attempts=3)


SENT_AGAIN: dict[str, tuple[Callable[[Session, Job, datetime], object], Callable[[Session, Job, datetime], object]]] = {
    "tried again by somebody": (
        lambda session, job, now: jobs.end_job(job, "failed", now),
        lambda session, job, now: job_orders.retry_job(session, job.id, now=now),
    ),
    "due after a failure": (_failed, lambda session, job, now: _swept(session, now)),
    "of a worker that died": (lambda *_: None, lambda session, job, now: _swept(session, now)),
    "held back until now": (
        _held,
        lambda session, job, now: jobs.wake_waiting(session, job.project_id, now),
    ),
    "of a backup": (
        lambda session, job, now: recovery.set_back_restored(session.connection()),
        lambda session, job, now: _swept(session, now),
    ),
    "of a server that was down": (
        lambda session, job, now: jobs.set_back(job, now=now, wait=timedelta(0)),
        lambda session, job, now: recovery.restart_jobs(session, now, max_attempts=3),
    ),
}


@pytest.mark.parametrize("how", SENT_AGAIN)
def test_a_job_that_is_sent_again_is_late_five_minutes_after_that(
    stranger: TestClient, make: Maker, database: Database, clock: FakeClock, how: str
) -> None:
    def late() -> bool:
        return "No worker has looked" in stranger.get("/readyz").json()["checks"]["workers"]

    before, again = SENT_AGAIN[how]
    with database.write() as session:
        job = queue_job(session, project_id=make.project().id, kind="tell", now=clock())
        assert jobs.claim_job(session, job.id, now=clock(), stale_after=timedelta(minutes=2)) is not None
        before(session, job, clock())
    clock.advance(minutes=40)
    assert not late()
    with database.write() as session:
        again(session, session.get_one(Job, 1), clock())
    assert not late()
    clock.advance(minutes=4)
    with database.write() as session:
        _swept(session, clock())  # of what was sent already, no new wait
    clock.advance(minutes=2)
    assert late()


def test_a_job_that_is_given_up_is_named_until_it_is_tried_again(
    stranger: TestClient, admin: TestClient, make: Maker, database: Database, clock: FakeClock
) -> None:
    project = make.project("a secret project")
    with database.write() as session:
        job = queue_job(session, project_id=project.id, kind="tell", now=clock())
        job.state, job.error, job.finished_at = "failed", "a secret", clock()
    response = stranger.get("/readyz")
    assert (response.status_code, response.json()["status"]) == (200, "degraded")
    assert "job 1 (tell) of project 1" in response.json()["checks"]["jobs"]
    assert "secret" not in response.text
    assert admin.patch("/projects/1", json={"active": False}).status_code == 200
    assert stranger.get("/readyz").json()["checks"]["jobs"] == "ok"
    assert admin.patch("/projects/1", json={"active": True}).status_code == 200
    assert admin.post("/jobs/1/retry").status_code == 200
    assert stranger.get("/readyz").json()["checks"]["jobs"] == "ok"


def test_a_disk_that_is_nearly_full_is_not_ready(
    stranger: TestClient, app: FastAPI, settings: Settings, database: Database
) -> None:
    app.state.settings = settings.model_copy(update={"min_free_bytes": 1 << 60})
    response = stranger.get("/readyz")
    assert (response.status_code, response.json()["status"]) == (503, "not_ready")
    assert "make room" in response.json()["checks"]["disk"]


def test_learning_that_is_held_up_does_not_hide_that_nobody_can_label(
    stranger: TestClient, app: FastAPI, settings: Settings
) -> None:
    app.state.settings = settings.model_copy(update={"min_free_bytes": 1 << 60, "broker_url": "redis://127.0.0.1:1/0"})
    response = stranger.get("/readyz")
    assert (response.status_code, response.json()["status"]) == (503, "not_ready")
    assert response.json()["checks"]["broker"] == "It does not answer."


def test_the_application_starts_and_stops_whole(database: Database, blobs: Blobs, tmp_path: Path) -> None:
    app = create_app(Settings(data_dir=tmp_path, sweep_seconds=0.01), database=database, blobs=blobs)
    with TestClient(app) as client:
        assert client.get("/readyz").status_code == 200


def test_a_queue_that_no_worker_takes_is_named_once_jobs_wait_in_it(
    database: Database, blobs: Blobs, tmp_path: Path, make: Maker
) -> None:
    settings = Settings(data_dir=tmp_path, broker_url="filesystem://")
    client = TestClient(create_app(settings, database=database, blobs=blobs))
    with database.write() as session:
        announce(session, "a machine", {}, datetime.now(UTC), queues="rounds,cpu")
    assert client.get("/readyz").json()["checks"]["workers"] == "ok"
    with database.write() as session:
        queue_job(session, project_id=make.project().id, kind="pretrain", now=datetime.now(UTC))
    response = client.get("/readyz")
    assert (response.status_code, response.json()["status"]) == (200, "degraded")
    assert response.json()["checks"]["workers"] == (
        "No worker takes jobs of the queue gpu, where pretrain waits: start one with `regionwise worker --queues gpu`."
    )
    with database.write() as session:  # one of the release before takes all
        announce(session, "another", {}, datetime.now(UTC))
    assert client.get("/readyz").json()["checks"]["workers"] == "ok"
